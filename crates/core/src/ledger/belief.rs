//! What one window holds: an interval, never a point.

use super::recent::SLACK;
use super::scale::Rates;
use crate::cost::Cost;
use crate::report::{Reading, Source};
use crate::time::{DAY, MINUTE, Millis, SECOND};
use crate::window::{FIVE_HOURS, Window, next_monday};

/// Two ends of a window that differ by no more are the same: reports count whole seconds from
/// when they were asked for, and our own idea of when a window opened is a little early or late.
const SAME: i64 = MINUTE;

/// A page does not count before this long after the last report of the API.
const PAGE_AFTER: i64 = MINUTE;

/// A report of a hundred says "at least": the belief then reaches so much further.
const OVER: f64 = 1.0;

/// For so long after reports and our sums contradicted each other, reports alone count.
const DOUBT: i64 = WEEK;

const WEEK: i64 = 7 * DAY;

/// What is believed of one window now.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Belief {
    /// Percent used, at least.
    pub low: f64,
    /// Percent used, at most. Not clipped: over a hundred means that it may be exhausted.
    pub high: f64,
    /// Upstream has said something about it. Until then the figures are our own use alone and bind
    /// nothing.
    pub reported: bool,
    /// Upstream refuses requests because of it, or uses the prepaid balance for them.
    pub limited: bool,
    /// When it ends, where that is known and it is open.
    pub resets: Option<Millis>,
}

/// A report's word on one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    pub(super) percent: u8,
    pub(super) sent: Millis,
    pub(super) received: Millis,
    pub(super) source: Source,
}

/// How a report changed a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Taken {
    /// The window is the one that was known before, so that what it counts goes on.
    pub(super) same: bool,
    /// Percent that somebody else used until the report before, at least.
    pub(super) foreign: f64,
    /// Percent that somebody else used until this report, if it was somebody: likely.
    pub(super) likely: f64,
    /// It must have been somebody, or something of ours that is still to be settled.
    pub(super) surprise: bool,
}

/// Percent, at least and at most.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Span {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Span {
    const ANYTHING: Self = Self { low: 0.0, high: f64::INFINITY };

    /// Both hold; where they cannot, the second.
    fn then(self, said: Self) -> Self {
        let both = Self { low: self.low.max(said.low), high: self.high.min(said.high) };
        if both.low <= both.high { both } else { said }
    }
}

/// One window of one account.
///
/// What was known before the last report and what that report said are kept apart until the next
/// one: a request that ended before the report but is settled after it (a slow client) is in the
/// report already, but not in what was known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing of its own")]
pub(super) struct Gauge {
    /// What was known without the last report, and was settled since.
    pub(super) own: Span,
    /// What the last report said, and was settled since.
    pub(super) said: Option<Span>,
    /// The two together.
    pub(super) now: Span,
    /// When the report before the last was here: it may know what ended before.
    pub(super) before: Option<Millis>,
    /// Until then, use by others is expected, so that nothing but reports bounds it from above.
    pub(super) over: Option<Millis>,
    /// Until then, our own sums were found too high, so that nothing but reports bounds it from
    /// below.
    pub(super) under: Option<Millis>,
    pub(super) reported: bool,
    pub(super) limited: bool,
    /// When it was last found exhausted by a request: older reports do not know.
    pub(super) refused: Option<Millis>,
    /// When it ends.
    pub(super) resets: Option<Millis>,
    /// Upstream or the calendar said so; else it was opened by one of our own requests.
    pub(super) certain: bool,
    /// `resets` was given as a span from now, so it moves along when the clock is set.
    pub(super) relative: bool,
    /// A five-hour window that a request opened which may not have been charged ends then.
    pub(super) maybe: Option<Millis>,
    /// When it began; what ended before belongs to another.
    pub(super) start: Option<Millis>,
    pub(super) last: Option<Seen>,
}

/// To the whole second: the milliseconds of reported resets are noise.
fn rounded(at: Millis) -> Millis {
    Millis(at.0.saturating_add(SECOND / 2).div_euclid(SECOND).saturating_mul(SECOND))
}

impl Gauge {
    pub(super) const fn belief(&self) -> Belief {
        Belief {
            low: self.now.low,
            high: self.now.high,
            reported: self.reported,
            limited: self.limited,
            resets: self.resets,
        }
    }

    /// When [`Gauge::advance`] has something to do.
    pub(super) fn due(&self) -> Millis {
        let end = self.resets.unwrap_or(Millis(i64::MAX));
        self.maybe.map_or(end, |maybe| maybe.min(end))
    }

    /// Lets the window end if it is over. Returns the percent that it left unused, at least.
    pub(super) fn advance(&mut self, window: Window, now: Millis) -> Option<f64> {
        if window == Window::Weekly && self.resets.is_none() {
            self.resets = Some(next_monday(now));
            self.certain = true;
        }
        let vague = self.maybe.is_some_and(|maybe| maybe <= now);
        if vague {
            self.own.low = 0.0;
            self.said = self.said.map(|said| Span { low: 0.0, ..said });
            self.now.low = 0.0;
            self.maybe = None;
        }
        let end = self.resets.filter(|end| *end <= now)?;
        let left = if self.reported { (100.0 - self.now.high).clamp(0.0, 100.0) } else { 0.0 };
        let high = if vague { self.now.high } else { 0.0 };
        self.hold(Span { low: 0.0, high });
        self.limited = false;
        self.relative = false;
        self.maybe = None;
        (self.start, self.resets, self.certain) = (Some(end), None, false);
        if window == Window::Weekly {
            let next = next_monday(now);
            (self.start, self.resets, self.certain) = (Some(next.plus(-WEEK)), Some(next), true);
        }
        Some(left)
    }

    /// Counts what was settled.
    #[inline]
    pub(super) fn settle(
        &mut self,
        window: Window,
        cost: Cost,
        (first, last): (Millis, Millis),
        rates: &Rates,
    ) {
        if self.start.is_some_and(|start| last.plus(SLACK) < start) {
            return;
        }
        let never = Millis(i64::MIN);
        let (known, asked) = self.last.map_or((never, never), |seen| (seen.received, seen.sent));
        let (low, high) = (cost.low * rates.low, cost.high * rates.high);
        let begun = self.start.is_none_or(|start| first > start.plus(SLACK));
        if begun && self.before.is_none_or(|before| first > before) {
            self.own.low += low;
        }
        self.own.high += high;
        if let Some(said) = &mut self.said {
            if begun && first > known {
                said.low += low;
            }
            if last.plus(SLACK) > asked {
                said.high += high;
            }
        }
        self.combine();
        if window == Window::FiveHour && self.resets.is_none() && cost.high > 0.0 {
            self.open(cost, first, asked);
        }
    }

    /// The first request of a five-hour window opens it when it is charged.
    fn open(&mut self, cost: Cost, ended: Millis, asked: Millis) {
        if ended.plus(SLACK) < asked {
            return;
        }
        let end = ended.plus(FIVE_HOURS);
        if cost.low > 0.0 {
            self.resets = Some(end);
            self.certain = false;
            if self.maybe.is_none() {
                self.start = Some(ended.plus(-SLACK));
            }
        } else if self.maybe.is_none() {
            self.maybe = Some(end);
            self.start = Some(ended.plus(-SLACK));
        }
    }

    /// Does a report sent then, from there, say more than what is known?
    fn news(&self, sent: Millis, received: Millis, source: Source) -> bool {
        let Some(last) = self.last else { return true };
        match (last.source, source) {
            (Source::Api, Source::Page) => sent >= last.received.plus(PAGE_AFTER),
            // A page that was read at the same time as the API was asked is worth less.
            (Source::Page, Source::Api) => received >= last.sent,
            _ => sent > last.sent && received >= last.received,
        }
    }

    /// Takes in what a report says. `since` tells what was settled that it cannot have (at least)
    /// and may not have (at most), in quota-dollars, in a window that began then.
    pub(super) fn report(
        &mut self,
        window: Window,
        reading: Reading,
        (sent, received, source): (Millis, Millis, Source),
        rates: &Rates,
        since: impl Fn(Option<Millis>) -> Cost,
    ) -> Option<Taken> {
        if !self.news(sent, received, source) {
            return None;
        }
        let percent = reading.percent.min(100);
        let end = reading.resets_at.map(rounded);
        // The end of an idle window slides along: it is no end.
        let idle = window == Window::FiveHour
            && percent == 0
            && end.is_none_or(|end| end >= received.plus(FIVE_HOURS - SAME));
        let end = end.filter(|_| !idle);
        let same = self.identify(window, idle, end, sent)? && self.reported;
        let seen = Seen { percent, sent, received, source };
        self.before = self.last.replace(seen).map(|last| last.received);
        let limited = reading.limited || percent >= 100;
        if limited || self.refused.is_none_or(|refused| sent >= refused) {
            self.limited = limited;
        }
        let since = since(self.start);
        let low = f64::from(percent) + since.low * rates.low;
        let high = if percent >= 100 { f64::INFINITY } else { f64::from(percent) + 1.0 };
        let said = Span { low, high: high + since.high * rates.high };
        let known = self.now;
        let foreign = if same { self.excess(received) } else { 0.0 };
        // Refused a moment ago and open now: something was given back.
        let open_again = percent < 100 && known.low >= 100.0;
        self.own = if same && !open_again { known } else { Span::ANYTHING };
        if self.over.is_some_and(|until| received < until) {
            self.own.high = f64::INFINITY;
        }
        if self.under.is_some_and(|until| received < until) {
            self.own.low = 0.0;
        }
        (self.said, self.reported) = (Some(said), true);
        let high = if said.high.is_finite() { said.high } else { said.low };
        let likely = f64::midpoint(said.low, high) - f64::midpoint(known.low, known.high);
        let likely = if same && known.high.is_finite() { likely } else { 0.0 };
        let surprise = same && said.low > known.high;
        self.combine();
        if window == Window::FiveHour && self.resets.is_none() && self.maybe.is_none() {
            self.start = None;
        }
        Some(Taken { same, foreign, likely, surprise })
    }

    /// By how many percent the last report exceeds what else is known, with what was settled late:
    /// others' use, at least. Whoever was wrong once is believed less for a week: what is used
    /// between two integers cannot be seen.
    fn excess(&mut self, now: Millis) -> f64 {
        let Some(said) = self.said else { return 0.0 };
        let excess = (said.low - self.own.high).max(0.0);
        if excess > 0.0 {
            self.over = Some(now.plus(DOUBT));
        }
        if self.own.low > said.high {
            self.under = Some(now.plus(DOUBT));
        }
        excess
    }

    /// Believes what was known and what was said together, else what was said.
    fn combine(&mut self) {
        self.now = self.said.map_or(self.own, |said| self.own.then(said));
        if !self.now.high.is_finite() {
            self.now.high = self.now.low + OVER;
        }
    }

    /// Knows this and nothing else.
    fn hold(&mut self, span: Span) {
        (self.own, self.said, self.now) = (span, None, span);
    }

    /// Others may have used so many percent.
    pub(super) fn expect(&mut self, percent: f64) {
        self.own.high += percent;
        if let Some(said) = &mut self.said {
            said.high += percent;
        }
        self.now.high += percent;
    }

    /// Which window does the report speak of? `None`: one that is over. Otherwise, is it the one
    /// that we know?
    fn identify(
        &mut self,
        window: Window,
        idle: bool,
        end: Option<Millis>,
        sent: Millis,
    ) -> Option<bool> {
        if idle {
            return Some(self.rest(sent));
        }
        let Some(end) = end else {
            // Without an end, only its age tells.
            let over = self.start.is_some_and(|start| sent < start.plus(SLACK));
            return (!over).then_some(self.reported);
        };
        if self.start.is_some_and(|start| end <= start.plus(SAME)) {
            return None;
        }
        let old = self.resets;
        let near = old.is_some_and(|old| end.since(old).abs() <= SAME);
        let same = near || (old.is_none() && self.reported);
        let begun = match window {
            Window::FiveHour => Some(end.plus(-FIVE_HOURS)),
            Window::Weekly => Some(end.plus(-WEEK)),
            // Ours ended early: the new one began between the last report and this one.
            Window::Monthly if !same => self.last.map(|last| last.sent),
            Window::Monthly => self.start,
        };
        let jitter = old.is_some_and(|old| end.since(old).abs() <= SECOND);
        if !(jitter && self.certain) {
            self.resets = Some(end);
        }
        (self.certain, self.relative) = (true, false);
        self.maybe = None;
        self.start = begun;
        Some(same)
    }

    /// No five-hour window was open at the time of the report.
    fn rest(&mut self, sent: Millis) -> bool {
        let opened = |end: Millis| end.plus(-FIVE_HOURS);
        // Ours was opened a while before by something that was not charged.
        let wrong = self.resets.is_some_and(|end| opened(end).plus(SAME) < sent);
        if wrong {
            (self.resets, self.certain, self.start) = (None, false, None);
        }
        if self.maybe.is_some_and(|end| opened(end).plus(SAME) < sent) {
            self.maybe = None;
            if self.resets.is_none() {
                self.start = None;
            }
        }
        self.reported && !wrong
    }

    /// A request was refused because of it.
    pub(super) fn refuse(&mut self, window: Window, until: Millis, now: Millis) {
        let low = self.now.low.max(100.0);
        self.hold(Span { low, high: self.now.high.max(low + OVER) });
        (self.limited, self.reported, self.refused) = (true, true, Some(now));
        let until = rounded(until);
        if self.resets.is_none_or(|end| end.since(until).abs() > SAME) {
            (self.resets, self.certain, self.maybe) = (Some(until), true, None);
            self.relative = true;
            if window == Window::FiveHour {
                self.start = Some(until.plus(-FIVE_HOURS));
            }
        }
    }

    /// The clock was moved. What upstream and the calendar say stays true.
    pub(super) fn shift(&mut self, span: i64) {
        let move_it = |at: &mut Option<Millis>| *at = at.map(|at| at.plus(span));
        if self.relative || !self.certain {
            move_it(&mut self.resets);
        }
        move_it(&mut self.maybe);
        move_it(&mut self.refused);
        move_it(&mut self.before);
        move_it(&mut self.over);
        move_it(&mut self.under);
        if let Some(last) = &mut self.last {
            last.sent = last.sent.plus(span);
            last.received = last.received.plus(span);
        }
    }
}
