//! One account's life: requests, strangers, reports that come late, and the truth beside it.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of a simulation, all of them small"
)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use saros_core::cost::Charge;
use saros_core::ledger::Ledger;
use saros_core::meter::{Bill, Tokens};
use saros_core::price::{PriceOverride, Prices};
use saros_core::report::{Reading, Report, Source};
use saros_core::time::{DAY, HOUR, MINUTE, Millis, SECOND};
use saros_core::window::Window;
use saros_emulator::{self as emulator, Model, Money, Quota};

use saros_proxy::catalogue;

/// A Monday.
const START: i64 = 1_795_392_000_000;

const WINDOWS: [(Window, emulator::Window); 3] = [
    (Window::FiveHour, emulator::Window::FiveHour),
    (Window::Weekly, emulator::Window::Weekly),
    (Window::Monthly, emulator::Window::Monthly),
];

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    fn span(&mut self, from: i64, to: i64) -> i64 {
        from + (self.unit() * (to - from) as f64) as i64
    }

    /// Mostly around the middle, sometimes three or four times as much.
    fn spread(&mut self, middle: f64) -> f64 {
        let sum: f64 = (0..6).map(|_| self.unit()).sum::<f64>() - 3.0;
        middle * (sum * 1.1).exp()
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[(self.next() % of.len() as u64) as usize]
    }
}

/// How a run differs from what is published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Twist {
    /// Not at all.
    None,
    /// The account is Go Plus and nobody said so.
    GoPlus,
    /// Every price of the table is wrong by this factor, and the wire does not say the cost.
    Prices(f64),
    /// In the middle, one model's allowance becomes a half of what it was.
    Halved,
    /// One model's allowance is not known here.
    Unknown,
}

/// Who else uses the account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Others {
    Nobody,
    /// A request now and then.
    Sometimes,
    /// A session now and then, as busy as our own.
    Sessions,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    pub(super) twist: Twist,
    pub(super) others: Others,
    /// Models in use.
    pub(super) models: usize,
    /// A report every so many requests.
    pub(super) every: u32,
    pub(super) requests: u32,
}

enum Event {
    Begin,
    Ask,
    Charge { id: usize },
    Settle { id: usize },
    Read { sent: i64 },
    Receive(Box<Report>),
}

struct Sent {
    charge: Charge,
    ended: i64,
    /// What upstream takes for it.
    taken: Money,
    settled: bool,
    charged: bool,
}

#[derive(Default)]
pub(super) struct Figures {
    pub(super) steps: u32,
    pub(super) held: u32,
    pub(super) held_of: [u32; 3],
    pub(super) widths: [Vec<f64>; 3],
    /// The error of the scale at ten points of usage, and at the end.
    pub(super) early: Option<f64>,
    pub(super) late: f64,
    pub(super) foreign: f64,
}

pub(super) struct Run {
    dice: Dice,
    setting: Setting,
    now: i64,
    events: BinaryHeap<Reverse<(i64, usize)>>,
    queued: Vec<Option<Event>>,
    sent: Vec<Sent>,
    open: Vec<usize>,
    quota: Quota,
    plan: emulator::Plan,
    models: Vec<Model>,
    spent: Vec<f64>,
    prices: Prices,
    wire: bool,
    ledger: Ledger,
    session_until: i64,
    begun: u32,
    points: f64,
    last_percent: i64,
    figures: Figures,
}

impl Run {
    pub(super) fn new(seed: u64, setting: Setting) -> Self {
        let mut dice = Dice(seed);
        let plan = match setting.twist {
            Twist::GoPlus => emulator::Plan::GoPlus,
            _ => emulator::Plan::Go,
        };
        let all: Vec<Model> = emulator::models()
            .into_iter()
            .filter(|model| !model.price.is_free() && model.go_monthly.is_some())
            .collect();
        let models: Vec<Model> = (0..setting.models).map(|_| dice.pick(&all).clone()).collect();
        let mut prices = catalogue::prices();
        for model in &models {
            let old = catalogue::prices();
            let price = old.get(&model.id).unwrap();
            match setting.twist {
                Twist::Prices(factor) => {
                    let rate = price.rate.unwrap();
                    let words = PriceOverride {
                        input: Some(rate.input * factor),
                        output: Some(rate.output * factor),
                        cache_read: Some(rate.cache_read * factor),
                        cache_write: Some(rate.cache_write * factor),
                        monthly_limit: None,
                    };
                    prices.overlay(&model.id, &words);
                }
                Twist::Unknown if model.id == models[0].id => {
                    prices.insert(
                        &model.id,
                        saros_core::price::Price { monthly: [None; 2], ..*price },
                    );
                }
                _ => {}
            }
        }
        let wire = !matches!(setting.twist, Twist::Prices(_)) && dice.chance(0.5);
        let created = START - dice.span(0, 28) * DAY - dice.span(0, DAY);
        Self {
            now: START + dice.span(0, 7 * DAY),
            setting,
            events: BinaryHeap::new(),
            queued: Vec::new(),
            sent: Vec::new(),
            open: Vec::new(),
            quota: Quota::new(plan, created),
            plan,
            spent: vec![0.0; models.len()],
            models,
            prices,
            wire,
            ledger: Ledger::new(),
            session_until: 0,
            begun: 0,
            points: 0.0,
            last_percent: 0,
            figures: Figures::default(),
            dice,
        }
    }

    fn at(&mut self, at: i64, event: Event) {
        self.events.push(Reverse((at, self.queued.len())));
        self.queued.push(Some(event));
    }

    pub(super) fn run(mut self) -> Figures {
        self.at(self.now, Event::Ask);
        self.at(self.now + SECOND, Event::Begin);
        while let Some(Reverse((at, id))) = self.events.pop() {
            self.now = at;
            let event = self.queued[id].take().unwrap();
            self.ledger.advance(Millis(at));
            self.happen(event);
            self.judge();
        }
        self.figures.late = self.scale_error();
        self.figures
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Begin => self.begin(),
            Event::Ask => {
                let travel = self.travel();
                self.at(self.now + travel, Event::Read { sent: self.now });
            }
            Event::Charge { id } => {
                self.sent[id].charged = true;
                let taken = self.sent[id].taken;
                if taken > Money::ZERO {
                    self.quota.charge(self.now, taken);
                }
            }
            Event::Settle { id } => {
                self.sent[id].settled = true;
                let charge = self.sent[id].charge.clone();
                self.ledger.settle(&charge, Millis(self.sent[id].ended));
            }
            Event::Read { sent } => self.read(sent),
            Event::Receive(report) => {
                let learned = self.ledger.report(&report);
                self.figures.foreign += learned.foreign;
                if self.dice.chance(0.05) {
                    let again = self.ledger.report(&report);
                    assert!(!again.fresh, "a report twice");
                }
            }
        }
    }

    fn travel(&mut self) -> i64 {
        if self.dice.chance(0.05) {
            self.dice.span(SECOND, 20 * SECOND)
        } else {
            self.dice.span(20, 800)
        }
    }

    fn read(&mut self, sent: i64) {
        let usage = self.quota.usage(self.now);
        let reading = |of: emulator::Reported| {
            Some(Reading {
                percent: u8::try_from(of.percent).unwrap(),
                limited: of.limited,
                resets_at: Some(Millis(self.now + of.resets_in * SECOND)),
            })
        };
        let windows = [reading(usage.rolling), reading(usage.weekly), reading(usage.monthly)];
        self.points += (usage.rolling.percent - self.last_percent).max(0) as f64;
        self.last_percent = usage.rolling.percent;
        let received = self.now + self.travel();
        let report = Report {
            source: Source::Api,
            sent: Millis(sent),
            received: Millis(received),
            windows,
            workspace: None,
            user: None,
            use_balance: None,
        };
        self.at(received, Event::Receive(Box::new(report)));
    }

    /// One request of ours, and perhaps one of somebody else's.
    fn begin(&mut self) {
        self.begun += 1;
        if self.begun > self.setting.requests {
            return;
        }
        if self.begun.is_multiple_of(self.setting.every) {
            let at = self.now + self.dice.span(0, 20 * SECOND);
            self.at(at, Event::Ask);
        }
        self.disturb();
        self.settle_the_change();
        let pause = match self.dice.unit() {
            x if x < 0.002 => self.dice.span(HOUR, 12 * HOUR),
            x if x < 0.02 => self.dice.span(2 * MINUTE, HOUR),
            _ => self.dice.span(0, 40 * SECOND),
        };
        self.at(self.now + pause, Event::Begin);
        if let Err(full) = self.quota.admit(self.now) {
            let window = WINDOWS.iter().find(|(_, theirs)| *theirs == full.window).unwrap().0;
            let until = Millis(self.now + full.retry_after * SECOND);
            self.ledger.exhausted(Some(window), until, Millis(self.now));
            // Come back when it resets; what is over by then is known from its end.
            self.at(self.now + full.retry_after * SECOND + MINUTE, Event::Ask);
            self.events.retain(|Reverse((_, id))| !matches!(self.queued[*id], Some(Event::Begin)));
            self.at(self.now + full.retry_after * SECOND + 2 * MINUTE, Event::Begin);
            return;
        }
        let ended = self.now + self.dice.span(SECOND, 90 * SECOND);
        let index = (self.dice.next() % self.models.len() as u64) as usize;
        let model = self.models[index].clone();
        let (theirs, ours) = self.tokens(&model);
        let list = model.price.list_cost(&theirs, ended);
        let quota = model.quota_cost(list, self.plan);
        let name: Arc<str> = model.id.as_str().into();
        let cut = self.dice.chance(0.04);
        let (bill, taken) = if cut {
            let taken = if self.dice.chance(0.5) { quota } else { Money::ZERO };
            let estimate = Tokens { output: ours.output * 2, ..ours };
            (Bill::at_most(estimate), taken)
        } else {
            let list_cost = self.wire.then(|| list.to_dollars());
            self.spent[index] += list.to_dollars();
            (Bill { list_cost, ..Bill::exact(ours) }, quota)
        };
        let charge = Charge::of(&bill, Some(&name), &self.prices, Millis(ended));
        let id = self.sent.len();
        self.sent.push(Sent { charge, ended, taken, settled: false, charged: false });
        self.open.push(id);
        let lag = self.dice.span(0, 1_500);
        self.at(ended + lag, Event::Charge { id });
        let slow = if self.dice.chance(0.05) { 30 * SECOND } else { SECOND };
        let slow = self.dice.span(0, slow);
        self.at(ended + slow, Event::Settle { id });
    }

    /// So many that a request takes a tenth of a percent of five hours, in the middle.
    fn tokens(&mut self, model: &Model) -> (emulator::Tokens, Tokens) {
        let million = emulator::Tokens { input: 1_000_000, ..Default::default() };
        let dear = model.quota_cost(model.price.list_cost(&million, START), self.plan).to_dollars()
            / self.plan.monthly_pool() as f64;
        let prompt = self.dice.spread((900.0 / dear).min(150_000.0));
        let cached = if self.dice.chance(0.85) { prompt * 0.95 } else { 0.0 };
        let (input, cached) = ((prompt - cached) as u64, cached as u64);
        let output = self.dice.spread((input + cached) as f64 / 60.0) as u64;
        (
            emulator::Tokens { input, cached, cache_write: 0, output, reasoning: 0 },
            Tokens { input, cached: Some(cached), cache_write: 0, output, reasoning: 0 },
        )
    }

    fn disturb(&mut self) {
        let often = match self.setting.others {
            Others::Nobody => return,
            Others::Sometimes => 0.01,
            Others::Sessions => {
                if self.dice.chance(0.004) {
                    self.session_until = self.now + self.dice.span(10 * MINUTE, HOUR);
                }
                if self.now < self.session_until { 1.0 } else { 0.0 }
            }
        };
        if self.dice.chance(often) {
            let model = self.dice.pick(&self.models).clone();
            let (theirs, _) = self.tokens(&model);
            let cost = model.quota_cost(model.price.list_cost(&theirs, self.now), self.plan);
            self.quota.charge(self.now, cost);
        }
    }

    fn settle_the_change(&mut self) {
        if self.setting.twist == Twist::Halved && self.begun == self.setting.requests / 2 {
            let id = self.models[0].id.clone();
            for model in self.models.iter_mut().filter(|model| model.id == id) {
                model.go_monthly = model.go_monthly.map(|limit| limit / 2);
            }
            self.points = 0.0;
            self.figures.early = None;
            self.spent.fill(0.0);
        }
    }

    /// Is the truth within the belief, apart from what is under way between the two?
    fn judge(&mut self) {
        self.open.retain(|id| {
            let sent = &self.sent[*id];
            !(sent.settled && sent.charged)
        });
        if self.points >= 11.0 && self.figures.early.is_none() {
            self.figures.early = Some(self.scale_error());
        }
        if !self.ledger.known() {
            return;
        }
        let mut held = true;
        for (index, (window, theirs)) in WINDOWS.into_iter().enumerate() {
            let limit = self.quota.limit(theirs).to_dollars();
            let percent = |money: Money| money.to_dollars() / limit * 100.0;
            let truth = percent(self.quota.used(theirs, self.now));
            let mut under_way = (0.0, 0.0);
            for sent in self.open.iter().map(|id| &self.sent[*id]) {
                match (sent.settled, sent.charged) {
                    (true, false) => under_way.0 += percent(sent.taken),
                    (false, true) => under_way.1 += percent(sent.taken),
                    _ => {}
                }
            }
            let belief = self.ledger.belief(window);
            let ok = belief.low.min(100.0) <= truth + under_way.0 + 1e-6
                && (truth - under_way.1).min(100.0) <= belief.high + 1e-6;
            self.figures.held_of[index] += u32::from(ok);
            held &= ok;
            self.figures.widths[index].push(belief.high - belief.low);
        }
        self.figures.steps += 1;
        self.figures.held += u32::from(held);
    }

    /// How far percent for the dollars spent here is off.
    fn scale_error(&self) -> f64 {
        let (mut ours, mut theirs) = (0.0, 0.0);
        for (model, spent) in self.models.iter().zip(&self.spent) {
            let truth = model.quota_cost(Money::dollars(1.0), self.plan).to_dollars()
                / self.plan.monthly_pool() as f64;
            theirs += spent * truth * 100.0;
            let tokens = Tokens { input: 1_000_000, ..Tokens::default() };
            let emulated = emulator::Tokens { input: 1_000_000, ..Default::default() };
            let name: Arc<str> = model.id.as_str().into();
            // What a list dollar of theirs is here.
            let at = START + 12 * HOUR;
            let ours_list = self.prices.list_cost(&model.id, &tokens, Millis(at)).unwrap();
            let list = ours_list / model.price.list_cost(&emulated, at).to_dollars();
            let multipliers = self.prices.multipliers(&model.id);
            let charge = Charge { low: list, high: list, model: Some(name), multipliers };
            let cost = self.ledger.cost(&charge);
            ours += spent * cost.middle() * self.ledger.likely_per_dollar(Window::Monthly);
        }
        if theirs > 0.0 { (ours / theirs - 1.0).abs() } else { 0.0 }
    }
}
