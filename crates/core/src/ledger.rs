//! One account's quota: what is known of its three windows, and what a quota-dollar counts there.
//!
//! Requests are settled as they end, reports come in now and then, and the two are brought
//! together: `belief` holds an interval for each window, `scale` learns percent per
//! quota-dollar from the reports' integer steps, `multipliers` whose dollars count how much.

use crate::cost::{Charge, Cost};
use crate::price::Plan;
use crate::report::{Report, Source};
use crate::time::{Millis, SECOND};
use crate::window::{PerWindow, Window};

mod belief;
mod crossing;
mod image;
mod multipliers;
mod recent;
mod scale;

pub use belief::Belief;
pub use image::{LedgerImage, MultiplierImage, SeenImage, WindowImage};

use belief::{Gauge, Taken};
use multipliers::{Change, Multipliers};
use recent::{Entry, Recent, SLACK};
use scale::{Lesson, Scale};

/// What others used lately counts on for so many hours.
const FOREIGN_MEMORY: f64 = 0.25;
/// The belief's upper end grows by so many times the mean of what others used lately.
const FOREIGN_MARGIN: f64 = 2.0;

/// Quota-dollars that others may use between two reports without a trace.
const UNSEEN: f64 = 0.01;

/// Another explanation must be better by this much, in the unit of a logarithm.
const BETTER: f64 = 0.1;
/// Points of usage without which no explanation is looked for.
const POINTS: f64 = 3.0;
/// Points without which what is published of a single model is not doubted.
const MANY_POINTS: f64 = 8.0;
/// Steps between two looks for another explanation.
const PATIENCE: u32 = 3;

/// What a report taught.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Learned {
    /// The report was news.
    pub fresh: bool,
    /// Quota-dollars that others used on the account since the last report, at least.
    pub foreign: f64,
    /// Percent per quota-dollar, the plan, or a model's multiplier are taken to be others than
    /// before.
    pub revised: bool,
}

/// What upstream said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastReport {
    /// When it was asked.
    pub sent: Millis,
    /// When it answered.
    pub received: Millis,
    /// Which way.
    pub source: Source,
    /// Percent of each window, as last reported.
    pub percent: PerWindow<Option<u8>>,
}

/// Use by others, in percent per hour.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Foreign {
    rate: f64,
}

/// One account's quota.
#[derive(Debug)]
pub struct Ledger {
    gauges: PerWindow<Gauge>,
    scale: Scale,
    multipliers: Multipliers,
    recent: Recent,
    foreign: PerWindow<Foreign>,
    /// When a window has to be looked at.
    due: Millis,
    advanced: Option<Millis>,
    /// Steps to wait before looking for another explanation.
    patience: u32,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

impl Ledger {
    /// Nothing known: the published dollars, roughly.
    pub fn new() -> Self {
        Self {
            gauges: PerWindow::default(),
            scale: Scale::new(),
            multipliers: Multipliers::default(),
            recent: Recent::default(),
            foreign: PerWindow::default(),
            due: Millis(i64::MIN),
            advanced: None,
            patience: 0,
        }
    }

    /// The configuration says which plan the account has, or (`None`) leaves it to be found out.
    pub fn tell_plan(&mut self, plan: Option<Plan>) {
        let changes = plan.is_some_and(|plan| plan != self.multipliers.plan);
        self.multipliers.told = plan.is_some();
        if let Some(plan) = plan.filter(|_| changes) {
            self.multipliers.plan = plan;
            self.scale.refit(&self.multipliers.weights());
        }
    }

    /// The plan that the account is taken to have.
    pub const fn plan(&self) -> Plan {
        self.multipliers.plan
    }

    /// Lets windows end that are over. Returns for each that ended how many percent it left
    /// unused, at least (0 where nothing was ever reported). Cheap while nothing is due.
    #[inline]
    pub fn advance(&mut self, now: Millis) -> PerWindow<Option<f64>> {
        self.expect_others(now);
        if now < self.due { [None; 3] } else { self.end_windows(now) }
    }

    fn end_windows(&mut self, now: Millis) -> PerWindow<Option<f64>> {
        let ended = Window::ALL.map(|window| {
            let gauge = self.gauges.get_mut(window.index())?;
            let end = gauge.resets;
            let certain = gauge.certain;
            let left = gauge.advance(window, now)?;
            // The end of a window that we took to be open may be a few seconds off, or wrong.
            let at = end
                .filter(|_| certain)
                .map(|end| self.scale.snapshot(self.recent.iter(), end, end.plus(SLACK)));
            self.scale.begin(window, at.as_ref());
            Some(left)
        });
        self.schedule();
        ended
    }

    /// Use by others goes on as it did lately.
    fn expect_others(&mut self, now: Millis) {
        let span = self.advanced.map_or(0, |before| now.since(before)).max(0);
        self.advanced = Some(now);
        for (gauge, foreign) in self.gauges.iter_mut().zip(&mut self.foreign) {
            if foreign.rate > 0.0 {
                // It fades, so that even a long sleep adds no more than twice what was seen.
                let left = (-hours(span) / FOREIGN_MEMORY).exp();
                gauge.expect(FOREIGN_MARGIN * foreign.rate * FOREIGN_MEMORY * (1.0 - left));
                foreign.rate *= left;
                if foreign.rate < 0.01 {
                    foreign.rate = 0.0;
                }
            }
        }
    }

    /// What the charge takes from this account's quota, as far as is known now.
    pub fn cost(&self, charge: &Charge) -> Cost {
        self.multipliers.cost(charge)
    }

    /// Counts a request whose last byte came from upstream at `ended`. Returns what it took.
    pub fn settle(&mut self, charge: &Charge, ended: Millis) -> Cost {
        let (slot, unit) = self.multipliers.enter(charge);
        let weight = self.multipliers.weight(slot);
        let entry = Entry::new(slot, charge.low * unit.0, charge.high * unit.1, ended);
        let cost = Cost { low: entry.low * weight.0, high: entry.high * weight.1 };
        if !(cost.high > 0.0 && cost.high < 1e9 && (0.0..=cost.high).contains(&cost.low)) {
            return Cost::default();
        }
        self.recent.push(entry);
        self.scale.meter(&entry);
        for (window, (gauge, rates)) in
            Window::ALL.into_iter().zip(self.gauges.iter_mut().zip(&self.scale.rates))
        {
            gauge.settle(window, cost, (entry.first, entry.last), rates);
        }
        let [five_hour, ..] = &self.gauges;
        self.due = self.due.min(five_hour.due());
        cost
    }

    /// Takes in a report. Late, repeated and contradictory ones do no harm.
    pub fn report(&mut self, report: &Report) -> Learned {
        let mut learned = Learned::default();
        let (sent, received) = (report.sent, report.received.max(report.sent));
        let before = self.reported().map(|(at, _)| at);
        let snapshot = self.scale.snapshot(self.recent.iter(), sent, received);
        let mut over = None;
        for (window, reading) in Window::ALL.into_iter().zip(report.windows) {
            let Some(reading) = reading else { continue };
            let rates = self.rates(window);
            let Some(gauge) = self.gauges.get_mut(window.index()) else { continue };
            let (recent, multipliers) = (&self.recent, &self.multipliers);
            let since = |start| since(recent, multipliers, (sent, received), start);
            let asked = (sent, received, report.source);
            let Some(taken) = gauge.report(window, reading, asked, &rates, since) else { continue };
            learned.fresh = true;
            over = over.max(gauge.over);
            if taken.foreign > 0.0 {
                let dollars = taken.foreign / rates.high;
                learned.foreign = learned.foreign.max(dollars);
            }
            self.others_used(window, &taken, before, received);
            if !taken.same {
                self.scale.begin(window, None);
            }
            let weights = self.multipliers.weights();
            let lesson = self.scale.report(window, reading.percent.min(100), &snapshot, &weights);
            learned.revised |= self.reflect(window, lesson);
        }
        for (gauge, rates) in self.gauges.iter_mut().zip(&self.scale.rates) {
            // Whoever uses one window uses all.
            gauge.over = gauge.over.max(over);
            if learned.fresh {
                gauge.own.high += UNSEEN * rates.best;
            }
        }
        self.schedule();
        learned
    }

    /// Once others were seen, whatever more than expected is reported is likely theirs.
    fn others_used(
        &mut self,
        window: Window,
        taken: &Taken,
        before: Option<Millis>,
        received: Millis,
    ) {
        let Some(foreign) = self.foreign.get_mut(window.index()) else { return };
        if taken.surprise || foreign.rate > 0.0 {
            // What came in a long silence says little about the next minutes.
            let span = before.map_or(0, |before| received.since(before));
            let memory = hours(span).max(FOREIGN_MEMORY);
            foreign.rate = (foreign.rate + taken.likely / memory).max(0.0);
        }
    }

    /// Draws conclusions from a step: other multipliers, or another ratio.
    fn reflect(&mut self, window: Window, lesson: Lesson) -> bool {
        match lesson {
            Lesson::Nothing => false,
            Lesson::Contradicts => {
                self.patience = 0;
                if !self.explain() {
                    self.scale.restart(window, &self.multipliers.weights());
                    self.patience = 1;
                }
                true
            }
            Lesson::Fits if self.patience > 0 => {
                self.patience -= 1;
                false
            }
            Lesson::Fits => {
                let published = 100.0 / window.published_dollars();
                let odd = (self.rates(window).best / published).ln().abs() > BETTER;
                (odd || self.multipliers.unknown()) && self.explain()
            }
        }
    }

    /// Looks for multipliers that explain the reports better than the present ones.
    fn explain(&mut self) -> bool {
        let present = self.scale.fit(&self.multipliers.weights());
        self.patience = PATIENCE;
        if present.points < POINTS {
            return false;
        }
        let strain = present.distance + self.multipliers.strain();
        let limit = if present.sound { strain - BETTER } else { f64::INFINITY };
        let mut best: Option<(f64, Change)> = None;
        for change in self.multipliers.changes() {
            if self.multipliers.doubts(change) && (present.sound || present.points < MANY_POINTS) {
                continue;
            }
            let other = self.multipliers.with(change);
            let fit = self.scale.fit(&other.weights());
            let strain = fit.distance + other.strain();
            if fit.sound && strain < best.map_or(limit, |(best, _)| best) {
                best = Some((strain, change));
            }
        }
        let Some((_, change)) = best else { return false };
        self.multipliers.make(change);
        self.scale.refit(&self.multipliers.weights());
        true
    }

    /// A request was refused because the window is exhausted until then. Without a window nothing
    /// can be said of any.
    pub fn exhausted(&mut self, window: Option<Window>, until: Millis, now: Millis) {
        if let Some(window) = window
            && let Some(gauge) = self.gauges.get_mut(window.index())
        {
            gauge.refuse(window, until, now);
            self.schedule();
        }
    }

    /// What is believed of a window, as of the last [`Ledger::advance`].
    #[inline]
    pub fn belief(&self, window: Window) -> Belief {
        self.gauge(window).belief()
    }

    /// Percent per quota-dollar, least and most.
    pub fn per_dollar(&self, window: Window) -> (f64, f64) {
        let rates = self.rates(window);
        (rates.low, rates.high)
    }

    /// Percent per quota-dollar, most likely: as published while nothing speaks against it.
    pub fn likely_per_dollar(&self, window: Window) -> f64 {
        self.rates(window).best
    }

    /// Quota-dollars left in a window, most likely; `None` while nothing was reported.
    pub fn dollars_left(&self, window: Window) -> Option<f64> {
        let gauge = self.gauge(window);
        let used = f64::midpoint(gauge.now.low, gauge.now.high);
        gauge.reported.then(|| (100.0 - used).max(0.0) / self.rates(window).best)
    }

    /// Has upstream said anything?
    pub fn known(&self) -> bool {
        self.gauges.iter().any(|gauge| gauge.reported)
    }

    /// When upstream last reported, and by which way.
    pub fn reported(&self) -> Option<(Millis, Source)> {
        self.last_report().map(|last| (last.received, last.source))
    }

    /// What upstream said last.
    pub fn last_report(&self) -> Option<LastReport> {
        let last =
            self.gauges.iter().filter_map(|gauge| gauge.last).max_by_key(|seen| seen.received)?;
        Some(LastReport {
            sent: last.sent,
            received: last.received,
            source: last.source,
            percent: [0, 1, 2].map(|index| Some(self.gauges.get(index)?.last?.percent)),
        })
    }

    /// When the next integer step of a window is to be expected at this rate (quota-dollars per
    /// hour): the moment to ask for a report.
    pub fn step_due(&self, rate_per_hour: f64, now: Millis) -> Option<Millis> {
        let steps = Window::ALL.into_iter().filter_map(|window| {
            let gauge = self.gauge(window);
            let used = f64::midpoint(gauge.now.low, gauge.now.high);
            let percent_per_hour = rate_per_hour * self.rates(window).best;
            let away = (used.floor() + 1.0 - used) / percent_per_hour;
            #[expect(clippy::cast_possible_truncation, reason = "checked to be within a day")]
            let step = || now.plus((away * HOUR_MS) as i64 + SECOND);
            let soon = gauge.reported && used < 100.0 && (0.0..24.0).contains(&away);
            soon.then(step).filter(|step| gauge.resets.is_none_or(|end| *step < end))
        });
        steps.min()
    }

    /// Another ledger turned out to be of the same account: whichever was told more lately counts,
    /// plus what the other settled since.
    pub fn absorb(&mut self, mut other: Self) {
        if other.reported().map(|(at, _)| at) > self.reported().map(|(at, _)| at) {
            std::mem::swap(self, &mut other);
        }
        self.scale.absorb(&other.scale);
        for entry in other.recent.iter() {
            let (least, most) = other.multipliers.weight(entry.slot);
            let cost = Cost { low: entry.low * least, high: entry.high * most };
            for (window, (gauge, rates)) in
                Window::ALL.into_iter().zip(self.gauges.iter_mut().zip(&self.scale.rates))
            {
                gauge.settle(window, cost, (entry.first, entry.last), rates);
            }
            // Of models unknown here, in quota-dollars: good enough until the next report.
            self.recent.push(Entry {
                slot: scale::OTHERS,
                low: cost.low,
                high: cost.high,
                ..*entry
            });
        }
        for (gauge, other) in self.gauges.iter_mut().zip(&other.gauges) {
            gauge.limited |= other.limited && other.refused > gauge.last.map(|last| last.sent);
            gauge.refused = gauge.refused.max(other.refused);
        }
        self.foreign = PerWindow::default();
        self.schedule();
    }

    /// The clock was moved by so many milliseconds. Ends that upstream named stay where they are.
    pub fn shift(&mut self, span: i64) {
        for gauge in &mut self.gauges {
            gauge.shift(span);
        }
        self.recent.shift(span);
        self.scale.shift(span);
        self.advanced = self.advanced.map(|at| at.plus(span));
        self.schedule();
    }

    fn schedule(&mut self) {
        let due = self.gauges.iter().map(Gauge::due).min();
        let weekly_unknown = self.gauge(Window::Weekly).resets.is_none();
        self.due = due.filter(|_| !weekly_unknown).unwrap_or(Millis(i64::MIN));
    }

    fn gauge(&self, window: Window) -> &Gauge {
        let [five_hour, weekly, monthly] = &self.gauges;
        match window {
            Window::FiveHour => five_hour,
            Window::Weekly => weekly,
            Window::Monthly => monthly,
        }
    }

    fn rates(&self, window: Window) -> scale::Rates {
        let [five_hour, weekly, monthly] = self.scale.rates;
        match window {
            Window::FiveHour => five_hour,
            Window::Weekly => weekly,
            Window::Monthly => monthly,
        }
    }
}

/// Quota-dollars settled in a window that began at `start` that a report cannot have (at least)
/// and may not have (at most).
fn since(
    recent: &Recent,
    multipliers: &Multipliers,
    (sent, received): (Millis, Millis),
    start: Option<Millis>,
) -> Cost {
    let mut sum = Cost::default();
    for entry in recent.iter() {
        if start.is_some_and(|start| entry.last.plus(SLACK) < start) {
            continue;
        }
        let (least, most) = multipliers.weight(entry.slot);
        if !entry.maybe_in(received) {
            sum.low += entry.low * least;
        }
        if !entry.surely_in(sent) {
            sum.high += entry.high * most;
        }
    }
    sum
}

const HOUR_MS: f64 = 3_600_000.0;

#[expect(clippy::cast_precision_loss, reason = "spans stay far below 2^52 milliseconds")]
const fn hours(span: i64) -> f64 {
    span as f64 / HOUR_MS
}

#[cfg(test)]
mod tests;
