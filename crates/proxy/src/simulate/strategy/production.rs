//! The pool that serves, on a virtual clock: the same calls as the server makes, in the same order.

use std::collections::VecDeque;
use std::sync::Arc;

use saros_core::fault::{Answer, Body, Fault, of_answer};
use saros_core::format::Format;
use saros_core::id::{KeyId, SessionKey, UpstreamId};
use saros_core::meter::{Bill, Tokens};
use saros_core::pool::{
    Admission, AllowBalance, Ask, Effects, NoUsage, Observation, Outcome, Pool, Roster, RosterKey,
    Rules, Trail,
};
use saros_core::report::{Reading, Report, Source};
use saros_core::select::Strategy;
use saros_core::time::Millis;
use saros_core::window;
use saros_emulator::{Exhausted, Quota, Reported, Window};

use super::super::Settings;
use super::super::trace::Request;
use super::super::world::{Sums, World};

/// A body has about this many bytes per token of the prompt.
const BYTES_PER_TOKEN: u64 = 4;
/// The pool's clockwork is looked at this often at most, as in the server.
const BEAT: i64 = 1_000;

pub(super) fn replay(world: World<'_>, settings: &Settings, predictive: bool) -> Sums {
    let mut desk = Desk::new(world, settings, predictive);
    let requests = &desk.world.trace().requests;
    for (request, index) in requests.iter().zip(0..) {
        desk.advance(request.at);
        desk.enter(index, *request);
    }
    // Those still waiting get their answer.
    while let Some(until) = desk.waiting.iter().map(|waiter| waiter.until).min() {
        desk.advance(until.max(desk.now.saturating_add(1)));
    }
    desk.world.finish()
}

/// A request in the queue.
struct Waiter {
    request: Request,
    ask: Ask,
    trail: Trail,
    until: i64,
}

struct Desk<'a> {
    world: World<'a>,
    pool: Pool,
    models: Vec<Arc<str>>,
    /// Milliseconds between two reports on an account.
    lag: i64,
    reports: bool,
    now: i64,
    /// The pool is looked after then at the earliest.
    next_beat: i64,
    /// Usage reports that were ordered: account and when they come, soonest first.
    ordered: VecDeque<(i64, usize)>,
    /// When each account was last reported on.
    reported: Vec<i64>,
    waiting: Vec<Waiter>,
}

impl<'a> Desk<'a> {
    fn new(world: World<'a>, settings: &Settings, predictive: bool) -> Self {
        let accounts = world.accounts().len();
        let key = |account: usize| RosterKey {
            id: key_of(account),
            label: format!("account-{}", account + 1).into(),
            upstream: UpstreamId(0),
            plan: None,
            allow_balance: AllowBalance::default(),
        };
        let roster =
            Roster { keys: (0..accounts).map(key).collect(), rules: rules(settings, predictive) };
        let models = world.trace().models.iter().map(|model| Arc::from(model.id.as_str()));
        let mut desk = Self {
            models: models.collect(),
            world,
            pool: Pool::new(),
            lag: settings.report_lag,
            reports: predictive,
            now: settings.start,
            next_beat: settings.start,
            ordered: VecDeque::new(),
            reported: vec![i64::MIN; accounts],
            waiting: Vec::new(),
        };
        let effects = desk.pool.apply(roster, false, Millis(desk.now));
        desk.carry_out(&effects);
        desk
    }

    /// All that happens by itself until then.
    fn advance(&mut self, until: i64) {
        while let Some(moment) = self.next_event().filter(|moment| *moment <= until) {
            self.now = self.now.max(moment);
            self.world.advance(self.now);
            if let Some((_, account)) = self.ordered.pop_front_if(|(at, _)| *at <= moment) {
                self.report(account);
                continue;
            }
            self.next_beat = self.now.saturating_add(BEAT);
            let effects = self.pool.tick(Millis(self.now));
            self.carry_out(&effects);
            self.ask_again(|waiter, now| waiter.until <= now);
        }
        self.now = self.now.max(until);
        self.world.advance(self.now);
    }

    fn next_event(&self) -> Option<i64> {
        let due = self.pool.due().map(|due| due.0.max(self.next_beat));
        let report = self.ordered.front().map(|(at, _)| *at);
        let waiter = self.waiting.iter().map(|waiter| waiter.until).min();
        [due, report, waiter].into_iter().flatten().min()
    }

    fn enter(&mut self, _index: usize, request: Request) {
        let ask = Ask {
            model: self.models.get(usize::from(request.model)).cloned(),
            format: Some(Format::Chat),
            session: request.named.then_some(SessionKey(u64::from(request.session) + 1)),
            warm: request.named,
            body_bytes: request.input.saturating_mul(BYTES_PER_TOKEN),
        };
        let trail = self.pool.enter(Millis(self.now));
        self.attempt(Waiter { request, ask, trail, until: i64::MAX });
    }

    /// Asks for an account until there is an answer, or the request waits.
    fn attempt(&mut self, mut waiter: Waiter) {
        let now = Millis(self.now);
        loop {
            let (admission, effects) = self.pool.admit(&waiter.ask, &waiter.trail, now);
            self.carry_out(&effects);
            let grant = match admission {
                Admission::Go(grant) => grant,
                Admission::Wait { until } => {
                    waiter.until = until.0;
                    self.waiting.push(waiter);
                    return;
                }
                Admission::Refuse(_) => {
                    self.world.refuse();
                    break;
                }
            };
            match self.world.serve(account_of(grant.key), &waiter.request, self.now) {
                Ok(tokens) => {
                    let effects = self.pool.answered(grant.lease, now);
                    self.carry_out(&effects);
                    let bill = Bill::exact(Tokens {
                        input: tokens.input,
                        cached: Some(tokens.cached),
                        cache_write: tokens.cache_write,
                        output: tokens.output,
                        reasoning: tokens.reasoning,
                    });
                    let effects = self.pool.settle(grant.lease, Outcome::Served(bill), now);
                    self.carry_out(&effects);
                    break;
                }
                Err(exhausted) => {
                    let fault = wall(exhausted);
                    waiter.trail.record(grant.key, fault.clone());
                    let effects = self.pool.settle(grant.lease, Outcome::Faulted(fault), now);
                    self.carry_out(&effects);
                }
            }
        }
        let effects = self.pool.leave(waiter.trail.ticket, now);
        self.carry_out(&effects);
    }

    /// Orders of the pool. Waiters that it wakes ask again within [`Desk::advance`].
    fn carry_out(&mut self, effects: &Effects) {
        for key in &effects.poll {
            let account = account_of(*key);
            let last = self.reported.get(account).copied().unwrap_or(i64::MIN);
            let at = self.now.max(last.saturating_add(self.lag));
            let place = self.ordered.partition_point(|(other, _)| *other <= at);
            self.ordered.insert(place, (at, account));
        }
        for waiter in &mut self.waiting {
            if effects.wake.contains(&waiter.trail.ticket) {
                waiter.until = waiter.until.min(self.now);
            }
        }
    }

    fn ask_again(&mut self, whether: impl Fn(&Waiter, i64) -> bool) {
        let now = self.now;
        let (again, rest) =
            std::mem::take(&mut self.waiting).into_iter().partition(|waiter| whether(waiter, now));
        self.waiting = rest;
        let again: Vec<Waiter> = again;
        for waiter in again {
            self.attempt(waiter);
        }
    }

    /// The service answers an order.
    fn report(&mut self, account: usize) {
        let now = self.now;
        if let Some(last) = self.reported.get_mut(account) {
            *last = now;
        }
        let quota = self.world.accounts().get(account).filter(|_| self.reports);
        let observation = match quota {
            Some(quota) => Observation::Usage(usage(quota, account, now)),
            None => Observation::NoUsage(NoUsage::Absent),
        };
        let effects = self.pool.observe(key_of(account), observation, Millis(now));
        self.carry_out(&effects);
        self.ask_again(|waiter, now| waiter.until <= now);
    }
}

/// The defaults, which are what people run.
fn rules(settings: &Settings, predictive: bool) -> Rules {
    Rules {
        strategy: if predictive { Strategy::Predictive } else { Strategy::RoundRobin },
        prices: Arc::clone(&settings.prices),
        ..Rules::default()
    }
}

fn key_of(account: usize) -> KeyId {
    KeyId(account as u64 + 1)
}

fn account_of(key: KeyId) -> usize {
    usize::try_from(key.0.saturating_sub(1)).unwrap_or(usize::MAX)
}

/// A quota 429, as it is read from the wire.
fn wall(exhausted: Exhausted) -> Fault {
    let limit = match exhausted.window {
        Window::FiveHour => window::Window::FiveHour,
        Window::Weekly => window::Window::Weekly,
        Window::Monthly => window::Window::Monthly,
    };
    of_answer(&Answer {
        status: 429,
        retry_after: u64::try_from(exhausted.retry_after).ok(),
        body: Body::Error,
        kind: Some("GoUsageLimitError".to_owned()),
        limit: Some(limit),
        speaks_of_quota: true,
        ..Answer::default()
    })
}

/// A report, as it is read from the wire.
fn usage(quota: &Quota, account: usize, now: i64) -> Report {
    let usage = quota.usage(now);
    let reading = |reported: Reported| {
        Some(Reading {
            percent: u8::try_from(reported.percent).unwrap_or(100),
            limited: reported.limited,
            resets_at: Some(Millis(now.saturating_add(reported.resets_in.saturating_mul(1_000)))),
        })
    };
    Report {
        source: Source::Api,
        sent: Millis(now),
        received: Millis(now),
        windows: [reading(usage.rolling), reading(usage.weekly), reading(usage.monthly)],
        workspace: Some(format!("wrk_{account}")),
        user: Some(format!("usr_{account}")),
        use_balance: None,
    }
}
