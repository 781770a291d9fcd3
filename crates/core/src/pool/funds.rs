//! What an account may still use, what of it is spoken for, and whether it costs the owner money.

use super::polls::Polls;
use super::types::AllowBalance;
use crate::cost::{Charge, Cost};
use crate::forecast::Demand;
use crate::ledger::{Belief, Ledger};
use crate::report::Report;
use crate::select;
use crate::time::{DAY, HOUR, Millis};
use crate::window::{FIVE_HOURS, PerWindow, Window, next_monday};

const WEEK: i64 = 7 * DAY;
/// The share of its quota that a busy week uses of every account. Measured in simulated
/// months: 0 costs up to 3 % of what could be served, 1 as much, and 0.6 to 0.9 are alike.
const BUSY_WEEK: f64 = 0.75;

/// Quota-dollars are counted in millionths where sums must come out even.
const MICROS: f64 = 1e6;

#[derive(Debug)]
pub(super) struct Funds {
    pub(super) ledger: Ledger,
    pub(super) demand: Demand,
    pub(super) balance: Balance,
    pub(super) polls: Polls,
    /// When a request last ended or began on it.
    pub(super) used: Option<Millis>,
    /// When a report was asked for that says `rate-limited`, and none since that does not.
    pub(super) limited_since: Option<Millis>,
    /// Sum of the reservations of its leases, in millionths of a quota-dollar. Changed only where a
    /// lease is opened or closed.
    pub(super) reserved: u64,
}

/// Prepaid money.
#[derive(Debug, Default)]
pub(super) struct Balance {
    /// What the owner allows.
    pub(super) allow: AllowBalance,
    /// Dollars seen to be spent.
    pub(super) spent: f64,
    /// "Use balance" is off: a request was refused for want of quota.
    pub(super) off: bool,
    /// Not used until then, because requests were paid from it.
    pub(super) parked: Option<Millis>,
}

/// Is there quota left for one more request?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Yes, as far as is known.
    Open,
    /// Perhaps, and it costs nothing to try.
    Try,
    /// Not known before what is in flight has ended or a report has come.
    Unsure,
}

/// A reservation.
pub(super) fn micros(dollars: f64) -> u64 {
    let micros = (dollars * MICROS).clamp(0.0, 1e15);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    let micros = micros as u64;
    micros
}

/// The other way round.
pub(super) fn dollars(micros: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53 in practice")]
    let micros = micros as f64;
    micros / MICROS
}

impl Balance {
    /// May requests be paid from it?
    pub(super) fn may_be_spent(&self) -> bool {
        match self.allow {
            AllowBalance::No => false,
            AllowBalance::Yes => true,
            AllowBalance::UpTo(cap) => self.spent < cap,
        }
    }
}

impl Funds {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            ledger: Ledger::new(),
            demand: Demand::default(),
            balance: Balance::default(),
            polls: Polls::new(seed),
            used: None,
            limited_since: None,
            reserved: 0,
        }
    }

    /// Until when the service would refuse requests, or pay them from the balance.
    pub(super) fn limited(&self, now: Millis) -> Option<Millis> {
        if self.balance.may_be_spent() {
            return None;
        }
        // One that does not say until when lasts as long as such a window can, or until a report
        // says otherwise: to use it sooner could cost money.
        let since = self.limited_since.unwrap_or(now);
        let beliefs = Window::ALL.map(|window| (window, self.ledger.belief(window)));
        let limited = beliefs.into_iter().filter(|(_, belief)| belief.limited);
        let until = |(window, belief): (Window, Belief)| {
            belief.resets.unwrap_or_else(|| self.ends(window, since))
        };
        limited.map(until).filter(|until| now < *until).max()
    }

    /// Is a window used up, and was it when `moment` came, as far as a report says? Whoever is
    /// served all the same is paid from the balance. A refusal says that nobody is.
    pub(super) fn was_limited(&self, moment: Millis) -> bool {
        self.limited_since.is_some_and(|since| since < moment) && !self.balance.off
    }

    /// Upstream looks at its counter before a request and adds the cost afterwards: what counts is
    /// what was used and what is in flight, not what this one will cost.
    pub(super) fn room(&self, in_flight: u32) -> Room {
        if self.balance.may_be_spent() {
            return Room::Open;
        }
        let in_air = dollars(self.reserved);
        let beliefs = Window::ALL.map(|window| (self.ledger.belief(window), window));
        let reported = || beliefs.iter().filter(|(belief, _)| belief.reported);
        let full = |spoken_for: f64| {
            reported().any(|(belief, window)| {
                let (_, most) = self.ledger.per_dollar(*window);
                belief.high + spoken_for * most >= 100.0
            })
        };
        if !full(in_air) {
            return Room::Open;
        }
        // A report of 99 says "less than 100": with nothing in flight the next request is served.
        if in_flight == 0 && reported().all(|(belief, _)| belief.high <= 100.0) {
            return Room::Open;
        }
        if self.balance.off { Room::Try } else { Room::Unsure }
    }

    /// What a strategy may weigh.
    pub(super) fn quota(&self, now: Millis) -> select::Quota {
        let beliefs: PerWindow<_> = Window::ALL.map(|window| self.ledger.belief(window));
        let reported = beliefs.iter().filter(|belief| belief.reported);
        let middles = reported.map(|belief| f64::midpoint(belief.low, belief.high));
        let highest = middles.reduce(f64::max);
        let (urgency, error) = self.urgency(now);
        select::Quota {
            highest: highest.map(narrow),
            urgency: narrow(urgency),
            error: narrow(error),
        }
    }

    /// Quota-dollars per hour that have to be used until the month's reset, and by how much that can
    /// be wrong.
    ///
    /// What next week can use is kept for next week: an account that enters a busy week with less
    /// than a week's dollars is a hole in it, and one that enters it with more cannot use them. What
    /// is missing of that reserve is counted by the week, however far away the reset is.
    fn urgency(&self, now: Millis) -> (f64, f64) {
        let month = self.ledger.belief(Window::Monthly);
        let Some(left) = self.ledger.dollars_left(Window::Monthly) else { return (0.0, 0.0) };
        let resets = month.resets.unwrap_or(now.plus(30 * DAY));
        let spare = left - dollars(self.reserved) - self.reserve(resets, now);
        let span = if spare > 0.0 { resets.since(now).max(HOUR) } else { WEEK };
        let (least, _) = self.ledger.per_dollar(Window::Monthly);
        let error = (month.high - month.low) / 2.0 / least.max(f64::EPSILON);
        let hours = float(span) / float(HOUR);
        (spare / hours, error / hours)
    }

    /// Quota-dollars that next week will use of this month, if it is busy.
    fn reserve(&self, resets: Millis, now: Millis) -> f64 {
        let next_week = self.ends(Window::Weekly, now);
        let share = float(resets.since(next_week).clamp(0, WEEK)) / float(WEEK);
        let week = 100.0 / self.ledger.likely_per_dollar(Window::Weekly).max(f64::EPSILON);
        BUSY_WEEK * share * week
    }

    /// A report came.
    pub(super) fn hear(&mut self, report: &Report) {
        self.ledger.report(report);
        if let Some(on) = report.use_balance {
            self.balance.off = !on;
        }
        let limited = Window::ALL.iter().any(|window| self.ledger.belief(*window).limited);
        self.limited_since = self.limited_since.or(Some(report.sent)).filter(|_| limited);
        for window in Window::ALL {
            let belief = self.ledger.belief(window);
            if let Some(resets) = belief.resets.filter(|at| *at > report.received) {
                // It was just set to come later, and that is always noticed.
                let _sooner = self.polls.expect_reset(resets);
            }
        }
    }

    /// Windows whose reset has passed begin anew. Returns the quota-dollars that this took away, if
    /// any window did.
    pub(super) fn pass(&mut self, now: Millis) -> Option<f64> {
        let unused = self.ledger.advance(now);
        if unused == [None; 3] {
            return None;
        }
        let limited = Window::ALL.iter().any(|window| self.ledger.belief(*window).limited);
        self.limited_since = self.limited_since.filter(|_| limited);
        // What the longest window loses is what is lost: the others are parts of it.
        let [.., month] = unused;
        let (_, most) = self.ledger.per_dollar(Window::Monthly);
        Some(month.unwrap_or(0.0) / most.max(f64::EPSILON))
    }

    /// When its windows end, as far as is known.
    pub(super) fn resets(&self) -> impl Iterator<Item = Millis> {
        Window::ALL.into_iter().filter_map(|window| self.ledger.belief(window).resets)
    }

    /// When a window ends, if it is open or opens now.
    pub(super) fn ends(&self, window: Window, now: Millis) -> Millis {
        let known = self.ledger.belief(window).resets.filter(|at| *at > now);
        known.unwrap_or_else(|| match window {
            Window::FiveHour => now.plus(FIVE_HOURS),
            Window::Weekly => next_monday(now),
            Window::Monthly => now.plus(30 * DAY),
        })
    }

    /// When it was last used, if something is in flight now or was a while ago.
    pub(super) fn in_use(&self, now: Millis) -> Option<Millis> {
        if self.reserved > 0 { Some(now) } else { self.used }
    }

    /// An attempt has cost this. Returns what that is here, and whether a report is wanted sooner
    /// now.
    pub(super) fn charge(&mut self, charge: &Charge, ended: Millis) -> (Cost, bool) {
        let cost = self.ledger.settle(charge, ended);
        self.demand.spend(ended, cost.middle());
        self.used = Some(ended);
        let step = self.ledger.step_due(self.demand.rate(ended), ended);
        (cost, step.is_some_and(|step| self.polls.expect(step)))
    }

    /// Takes over the other half of the same account.
    pub(super) fn absorb(&mut self, other: Self) {
        self.ledger.absorb(other.ledger);
        self.demand.absorb(&other.demand);
        self.polls.absorb(&other.polls);
        self.balance.spent += other.balance.spent;
        self.balance.off |= other.balance.off;
        self.balance.parked = self.balance.parked.max(other.balance.parked);
        self.used = self.used.max(other.used);
        self.limited_since = self.limited_since.or(other.limited_since);
        self.reserved = self.reserved.saturating_add(other.reserved);
    }

    pub(super) fn shift(&mut self, span: i64) {
        self.ledger.shift(span);
        self.demand.shift(span);
        self.polls.shift(span);
        self.used = self.used.map(|at| at.plus(span));
        self.limited_since = self.limited_since.map(|at| at.plus(span));
        self.balance.parked = self.balance.parked.map(|at| at.plus(span));
    }
}

fn float(span: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "spans far below 2^53")]
    let span = span as f64;
    span
}

/// Percents and dollars per hour fit into half the room, in every row of every decision.
pub(super) fn narrow(value: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "a figure to compare by")]
    let value = value as f32;
    value
}
