//! The wall: eight requests at once run into the end of a five-hour window. The pool decides, the
//! emulator's quota is the truth, the clock is virtual.

use std::collections::VecDeque;
use std::sync::Arc;

use saros_core::fault::{Answer, Body, of_answer};
use saros_core::format::Format;
use saros_core::id::{KeyId, LeaseId, UpstreamId};
use saros_core::meter::{Bill, Tokens};
use saros_core::pool::{
    Admission, AllowBalance, Ask, Effects, NoUsage, Observation, Outcome, Pool, Roster, RosterKey,
    Rules, Trail,
};
use saros_core::price::Prices;
use saros_core::report::{Reading, Report, Source};
use saros_core::time::{HOUR, Millis, SECOND};
use saros_emulator::{Model, Money, Plan, Quota, Reported, Window};

const START: Millis = Millis(1_767_600_000_000);
const KEY: KeyId = KeyId(1);
const MODEL: &str = "glm-5.2";
/// As many at once, and each takes so long.
const PARALLEL: usize = 8;
const TAKES: i64 = 9 * SECOND;
/// A report is under way for so long.
const REPORT: i64 = 200;

/// What the owner set at the service.
#[derive(Clone, Copy, PartialEq)]
enum Balance {
    /// Past the wall, requests are served and paid.
    On,
    /// Past the wall, requests are refused.
    Off,
}

struct Running {
    lease: LeaseId,
    ends: Millis,
    cost: Money,
    tokens: Tokens,
}

#[derive(Default)]
struct Sums {
    served: u32,
    walls: u32,
    /// Requests that began past the wall and were paid from the balance.
    paid: u32,
    largest: f64,
}

struct Wall {
    pool: Pool,
    quota: Quota,
    balance: Balance,
    now: Millis,
    reports: VecDeque<Millis>,
    running: Vec<Running>,
    waiting: Vec<Trail>,
    nth: u64,
    sums: Sums,
}

impl Wall {
    fn new(balance: Balance) -> Self {
        let key = RosterKey {
            id: KEY,
            label: "one".into(),
            upstream: UpstreamId(0),
            plan: None,
            allow_balance: AllowBalance::No,
        };
        let prices: Arc<Prices> = Arc::new(saros_proxy::catalogue::prices());
        let mut wall = Self {
            pool: Pool::new(),
            quota: Quota::new(Plan::Go, START.0 - 30 * 24 * HOUR + 9 * HOUR),
            balance,
            now: START,
            reports: VecDeque::new(),
            running: Vec::new(),
            waiting: Vec::new(),
            nth: 0,
            sums: Sums::default(),
        };
        let rules = Rules { prices, ..Rules::default() };
        let effects = wall.pool.apply(Roster { keys: vec![key], rules }, false, START);
        wall.obey(&effects);
        wall
    }

    fn obey(&mut self, effects: &Effects) {
        self.reports.extend(effects.poll.iter().map(|_| self.now.plus(REPORT)));
    }

    /// Requests without pause until `until`: as many as may run at once.
    fn run(&mut self, until: Millis) {
        while self.now < until {
            self.now = self.now.plus(100);
            while self.reports.front().is_some_and(|at| *at <= self.now) {
                self.reports.pop_front();
                let report = report(&self.quota, self.now);
                let effects = self.pool.observe(KEY, Observation::Usage(report), self.now);
                self.obey(&effects);
            }
            let (ended, rest) = std::mem::take(&mut self.running)
                .into_iter()
                .partition(|running: &Running| running.ends <= self.now);
            self.running = rest;
            for running in ended as Vec<Running> {
                self.end(&running);
            }
            if self.pool.due().is_some_and(|due| due <= self.now) {
                let effects = self.pool.tick(self.now);
                self.obey(&effects);
            }
            for trail in std::mem::take(&mut self.waiting) {
                self.begin(trail);
            }
            // One comes every second, so that they end one by one.
            let room = self.running.len() + self.waiting.len() < PARALLEL;
            if room && self.now.0 % SECOND == 0 {
                let trail = self.pool.enter(self.now);
                self.begin(trail);
            }
        }
    }

    fn begin(&mut self, mut trail: Trail) {
        let (tokens, bytes) = size(self.nth);
        let ask = Ask {
            model: Some(MODEL.into()),
            format: Some(Format::Chat),
            session: None,
            warm: false,
            body_bytes: bytes,
        };
        let (admission, effects) = self.pool.admit(&ask, &trail, self.now);
        self.obey(&effects);
        let lease = match admission {
            Admission::Go(grant) => grant.lease,
            Admission::Wait { .. } => return self.waiting.push(trail),
            Admission::Refuse(_) => {
                let effects = self.pool.leave(trail.ticket, self.now);
                return self.obey(&effects);
            }
        };
        self.nth += 1;
        if let Err(exhausted) = self.quota.admit(self.now.0) {
            if self.balance == Balance::Off {
                self.sums.walls += 1;
                let fault = of_answer(&Answer {
                    status: 429,
                    retry_after: u64::try_from(exhausted.retry_after).ok(),
                    body: Body::Error,
                    kind: Some("GoUsageLimitError".to_owned()),
                    limit: Some(saros_core::window::Window::FiveHour),
                    speaks_of_quota: true,
                    ..Answer::default()
                });
                trail.record(KEY, fault.clone());
                let effects = self.pool.settle(lease, Outcome::Faulted(fault), self.now);
                self.obey(&effects);
                let effects = self.pool.leave(trail.ticket, self.now);
                return self.obey(&effects);
            }
            self.sums.paid += 1;
        }
        let effects = self.pool.answered(lease, self.now);
        self.obey(&effects);
        let model = Model::find(MODEL).unwrap();
        let priced = saros_emulator::Tokens {
            input: tokens.input,
            output: tokens.output,
            ..saros_emulator::Tokens::default()
        };
        let cost = model.quota_cost(model.price.list_cost(&priced, self.now.0), Plan::Go);
        let ends = self.now.plus(TAKES);
        self.running.push(Running { lease, ends, cost, tokens });
        let effects = self.pool.leave(trail.ticket, self.now);
        self.obey(&effects);
    }

    fn end(&mut self, running: &Running) {
        self.quota.charge(self.now.0, running.cost);
        self.sums.served += 1;
        self.sums.largest = self.sums.largest.max(running.cost.to_dollars());
        let bill = Bill::exact(running.tokens);
        let effects = self.pool.settle(running.lease, Outcome::Served(bill), self.now);
        self.obey(&effects);
    }

    /// Quota-dollars of the five-hour window that nobody used.
    fn unused(&self) -> f64 {
        let (limit, used) = (
            self.quota.limit(Window::FiveHour).to_dollars(),
            self.quota.used(Window::FiveHour, self.now.0).to_dollars(),
        );
        limit - used
    }
}

/// The nth request: three to ten cents, in an order without rhythm.
fn size(nth: u64) -> (Tokens, u64) {
    let mixed = nth.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    let input = 20_000 + mixed % 50_000;
    let output = 200 + mixed % 1_500;
    (Tokens { input, cached: Some(0), output, ..Tokens::default() }, input * 4)
}

fn report(quota: &Quota, now: Millis) -> Report {
    let usage = quota.usage(now.0);
    let reading = |reported: Reported| {
        Some(Reading {
            percent: u8::try_from(reported.percent).unwrap(),
            limited: reported.limited,
            resets_at: Some(now.plus(reported.resets_in * SECOND)),
        })
    };
    Report {
        source: Source::Api,
        sent: now,
        received: now,
        windows: [reading(usage.rolling), reading(usage.weekly), reading(usage.monthly)],
        workspace: None,
        user: None,
        use_balance: None,
    }
}

#[test]
fn with_balance_on_or_unknown_nothing_is_spent_and_next_to_nothing_left() {
    let mut wall = Wall::new(Balance::On);
    wall.run(START.plus(2 * HOUR));
    let (unused, sums) = (wall.unused(), &wall.sums);
    assert!(sums.served > 100, "{} served", sums.served);
    assert_eq!((sums.paid, sums.walls), (0, 0), "never past the wall");
    let limit = wall.quota.limit(Window::FiveHour).to_dollars();
    assert!(unused <= (limit / 100.0).max(sums.largest), "${unused} of ${limit} unused");
}

#[test]
fn with_balance_off_each_window_ends_with_one_refusal_at_most_and_nothing_left() {
    let mut wall = Wall::new(Balance::Off);
    // It was refused before, in an earlier window: so the pool knows.
    wall.quota.set_percent(Window::FiveHour, 100.0, START.0 - 5 * HOUR + 30 * SECOND);
    let first = wall.pool.enter(wall.now);
    wall.begin(first);
    assert_eq!(wall.sums.walls, 1, "before any report");
    for window in 1..=2 {
        let ends = START.plus(window * 5 * HOUR - 30 * 60 * SECOND);
        wall.run(ends);
        let walls = wall.sums.walls;
        assert!(walls <= 1 + u32::try_from(window).unwrap(), "{walls} refusals");
        assert!(wall.unused() <= 0.0, "${} unused", wall.unused());
        wall.run(START.plus(window * 5 * HOUR + 60 * SECOND));
    }
}

#[test]
fn without_any_report_requests_go() {
    let mut wall = Wall::new(Balance::Off);
    let failed = Observation::NoUsage(NoUsage::Absent);
    let effects = wall.pool.observe(KEY, failed, wall.now);
    drop(effects);
    wall.reports.clear();
    wall.run(START.plus(60 * SECOND));
    assert!(wall.sums.served > 0);
}
