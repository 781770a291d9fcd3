//! Percent per quota-dollar, learned from the integer steps of reports.
//!
//! Everything here is relative to the published dollars: a ratio of 1 means that $12, $30 and $60
//! are the windows. Where reports step from `p` to `q`, the truth was under `p + 1` at the one and
//! at or over `q` at the other; two such crossings bound the ratio on both sides by what was
//! metered between them, at most and at least. Use by others can only make it look higher, so a
//! higher ratio must show itself several times before it is believed, and a lower one at once.

use super::crossing::{Crossing, Metered, Range, Snapshot, WIDEN, Weighed, from_one, span};
use super::multipliers::Weights;
use super::recent::Entry;
use crate::time::Millis;
use crate::window::{PerWindow, Window};

/// Models that are told apart, plus one for all others.
pub(super) const SLOTS: usize = OTHERS + 1;
/// The slot of all others.
pub(super) const OTHERS: usize = 11;

/// Crossings kept per window.
const MOST: usize = 16;

/// Before anything is known: Go Plus allows up to eight times as much of a model as Go, and a price
/// table can be wrong by two.
const PRIOR: Range = Range { lo: 0.12, hi: 2.2 };

/// Spans, and points of usage, that must agree on a higher ratio before it is believed.
const CONFIRM: (u32, f64) = (3, 3.5);

/// Windows that contradict each other so often do not share their ratio.
const QUARRELS: u32 = 4;

/// One window's crossings and what they say.
#[derive(Debug)]
struct Learner {
    range: Range,
    ring: Vec<Crossing>,
    /// Spans that begin before this crossing have others' use in them.
    clean: usize,
    last: Option<(f64, Snapshot)>,
    /// A higher ratio that was seen, and how often.
    rival: Option<(Range, u32)>,
    /// The newest crossing has not been learned from: requests that it knew of may be settled late.
    fresh: bool,
}

impl Default for Learner {
    fn default() -> Self {
        Self { range: PRIOR, ring: Vec::new(), clean: 0, last: None, rival: None, fresh: false }
    }
}

impl Learner {
    /// Another window begins, or the story does not go on for another reason.
    fn begin(&mut self) {
        self.ring.clear();
        self.clean = 0;
        self.last = None;
        self.rival = None;
        self.fresh = false;
    }

    fn push(&mut self, crossing: Crossing) {
        if self.ring.len() >= MOST {
            self.ring.remove(0);
            self.clean = self.clean.saturating_sub(1);
        }
        self.ring.push(crossing);
    }

    /// Takes down where a report stands.
    fn step(&mut self, percent: f64, at: &Snapshot) {
        let Some((old, last)) = self.last.replace((percent, *at)) else { return };
        if percent < old {
            // Given back, or another subscription: nothing can be concluded across it.
            self.begin();
            self.last = Some((percent, *at));
        } else if percent > old {
            self.push(Crossing {
                under: old + 1.0,
                before: last.sure,
                sent: last.sent,
                over: percent,
                after: at.most,
                received: at.received,
            });
            self.fresh = true;
        }
    }

    /// What the newest crossing says together with every older one.
    fn newest(&self, window: Window, weights: &Weights) -> Range {
        let Some((newest, older)) = self.ring.split_last() else { return Range::ANY };
        let newest = newest.weigh(weights);
        let spans = older
            .iter()
            .enumerate()
            .map(|(index, old)| span(window, &old.weigh(weights), &newest, index >= self.clean));
        spans.fold(Range::ANY, Range::and)
    }

    /// What all crossings say together.
    fn all(&self, window: Window, weights: &Weights) -> Range {
        let mut weighed = [const { None::<Weighed> }; MOST];
        let mut range = Range::ANY;
        for (index, crossing) in self.ring.iter().enumerate() {
            let newest = crossing.weigh(weights);
            for (place, old) in weighed.iter().enumerate().take(index) {
                if let Some(old) = old {
                    range = range.and(span(window, old, &newest, place >= self.clean));
                }
            }
            if let Some(place) = weighed.get_mut(index) {
                *place = Some(newest);
            }
        }
        range
    }

    /// Points of usage that clean spans cover.
    fn points(&self) -> f64 {
        match (self.ring.get(self.clean), self.ring.last()) {
            (Some(first), Some(last)) => last.over - first.under,
            _ => 0.0,
        }
    }

    /// Starts over from the crossings at hand: all of them, else the last two.
    fn restart(&mut self, window: Window, weights: &Weights) {
        self.ring.drain(..self.clean.min(self.ring.len()));
        self.clean = 0;
        self.rival = None;
        // A ratio outside of the prior is believed once it has shown itself.
        let wide = Range { lo: PRIOR.lo / 8.0, hi: PRIOR.hi * 8.0 };
        if let Some(range) = self.all(window, weights).and(wide).sound() {
            self.range = range;
            return;
        }
        self.ring.drain(..self.ring.len().saturating_sub(2));
        self.range = self.all(window, weights).and(wide).sound().unwrap_or(PRIOR);
    }

    fn late(&mut self, entry: &Entry) {
        if let Some((_, last)) = &mut self.last {
            if entry.surely_in(last.sent) {
                last.sure.add(entry, 1.0);
            }
            if entry.maybe_in(last.received) {
                last.most.add(entry, 1.0);
            }
        }
        for crossing in self.ring.iter_mut().rev() {
            if !entry.maybe_in(crossing.received) {
                break;
            }
            crossing.after.add(entry, 1.0);
            if entry.surely_in(crossing.sent) {
                crossing.before.add(entry, 1.0);
            }
        }
    }
}

/// What a crossing taught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lesson {
    /// No step.
    Nothing,
    /// A step that fits.
    Fits,
    /// The multipliers or the ratio must be others.
    Contradicts,
}

/// How crossings fit some multipliers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fit {
    /// One ratio explains them all.
    pub(super) sound: bool,
    /// How far that is from the published one, in the unit of a logarithm.
    pub(super) distance: f64,
    /// Points of usage that they cover.
    pub(super) points: f64,
}

/// What one account's windows count a quota-dollar for.
#[derive(Debug, Default)]
pub(super) struct Scale {
    total: Metered,
    /// When upstream last answered with a report that was taken in: what ended before it is late.
    newest: Millis,
    learners: PerWindow<Learner>,
    /// Least, most and likely percent per quota-dollar, widened.
    pub(super) rates: PerWindow<Rates>,
    /// Windows do not share a ratio: their dollars are not 20, 50 and 100 % of the month's.
    apart: bool,
    quarrels: (Option<Window>, u32),
}

/// Percent per quota-dollar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) best: f64,
}

impl Default for Rates {
    fn default() -> Self {
        Self { low: 0.0, high: 0.0, best: 0.0 }
    }
}

impl Scale {
    pub(super) fn new() -> Self {
        let mut scale = Self { newest: Millis(i64::MIN), ..Self::default() };
        scale.conclude();
        scale
    }

    /// Counts what was settled.
    pub(super) fn meter(&mut self, entry: &Entry) {
        self.total.add(entry, 1.0);
        if entry.first <= self.newest {
            for learner in &mut self.learners {
                learner.late(entry);
            }
        }
    }

    /// What was metered up to a report sent and received then.
    pub(super) fn snapshot<'a>(
        &self,
        recent: impl Iterator<Item = &'a Entry>,
        sent: Millis,
        received: Millis,
    ) -> Snapshot {
        let (mut sure, mut most) = (self.total, self.total);
        for entry in recent {
            if !entry.surely_in(sent) {
                sure.add(entry, -1.0);
            }
            if !entry.maybe_in(received) {
                most.add(entry, -1.0);
            }
        }
        Snapshot { sent, received, sure, most }
    }

    /// The window began anew: at nothing, if that is certain.
    pub(super) fn begin(&mut self, window: Window, nothing: Option<&Snapshot>) {
        let Some(learner) = self.learner(window) else { return };
        learner.begin();
        if let Some(at) = nothing {
            learner.last = Some((0.0, *at));
            learner.push(Crossing {
                under: 0.0,
                before: at.sure,
                sent: at.sent,
                over: 0.0,
                after: at.most,
                received: at.received,
            });
            let received = at.received;
            self.newest = self.newest.max(received);
        }
    }

    /// Takes in a report of a window that goes on.
    pub(super) fn report(
        &mut self,
        window: Window,
        percent: u8,
        at: &Snapshot,
        weights: &Weights,
    ) -> Lesson {
        self.newest = self.newest.max(at.received);
        let known = self.effective(window);
        let Some(learner) = self.learner(window) else { return Lesson::Nothing };
        let lesson = learner.learn(window, weights, known);
        learner.step(f64::from(percent), at);
        if lesson == Lesson::Fits {
            self.conclude();
        }
        lesson
    }

    fn learner(&mut self, window: Window) -> Option<&mut Learner> {
        self.learners.get_mut(window.index())
    }

    /// The ratio of a window, not widened: all windows' together while they agree.
    fn effective(&self, window: Window) -> Range {
        let shared = self.learners.iter().map(|learner| learner.range).fold(Range::ANY, Range::and);
        match shared.sound() {
            Some(shared) if !self.apart => shared,
            _ => self.learners.get(window.index()).map_or(PRIOR, |learner| learner.range),
        }
    }

    fn conclude(&mut self) {
        for window in Window::ALL {
            let range = self.effective(window);
            let published = 100.0 / window.published_dollars();
            if let Some(rates) = self.rates.get_mut(window.index()) {
                *rates = Rates {
                    low: range.lo / WIDEN * published,
                    high: range.hi * WIDEN * published,
                    best: range.best() * published,
                };
            }
        }
    }

    /// The window's crossings contradict what was known, and no multiplier explains it: starts
    /// over, and takes the other windows along unless they are known to differ.
    pub(super) fn restart(&mut self, window: Window, weights: &Weights) {
        if let Some(learner) = self.learner(window) {
            learner.restart(window, weights);
        }
        let (last, quarrels) = self.quarrels;
        let quarrels = quarrels + u32::from(last.is_some_and(|last| last != window));
        self.quarrels = (Some(window), quarrels);
        self.apart |= quarrels >= QUARRELS;
        if !self.apart {
            for other in Window::ALL.into_iter().filter(|other| *other != window) {
                if let Some(learner) = self.learner(other) {
                    learner.range = PRIOR.wider(4.0);
                    let last = learner.last;
                    learner.begin();
                    learner.last = last;
                }
            }
        }
        self.conclude();
    }

    /// The multipliers changed: what the crossings at hand say with the new ones.
    pub(super) fn refit(&mut self, weights: &Weights) {
        for window in Window::ALL {
            if let Some(learner) = self.learner(window) {
                learner.rival = None;
                let range = learner.all(window, weights).and(PRIOR).sound();
                learner.range = range.unwrap_or(PRIOR);
            }
        }
        self.conclude();
    }

    /// How the crossings at hand fit these weights.
    pub(super) fn fit(&self, weights: &Weights) -> Fit {
        let mut shared = Range::ANY;
        let (mut gap, mut points) = (0.0_f64, 0.0_f64);
        let mut distance = 0.0_f64;
        for (window, learner) in Window::ALL.into_iter().zip(&self.learners) {
            let range = learner.all(window, weights);
            gap = gap.max((range.lo / (range.hi * WIDEN)).ln());
            points = points.max(learner.points());
            shared = shared.and(range);
            distance = distance.max(from_one(range));
        }
        if !self.apart {
            gap = gap.max((shared.lo / (shared.hi * WIDEN)).ln());
            distance = from_one(shared);
        }
        Fit { sound: gap <= 0.0, distance, points }
    }

    pub(super) fn shift(&mut self, span: i64) {
        if self.newest != Millis(i64::MIN) {
            self.newest = self.newest.plus(span);
        }
        for learner in &mut self.learners {
            if let Some((_, last)) = &mut learner.last {
                last.sent = last.sent.plus(span);
                last.received = last.received.plus(span);
            }
            for crossing in &mut learner.ring {
                crossing.sent = crossing.sent.plus(span);
                crossing.received = crossing.received.plus(span);
            }
        }
    }

    /// Two accounts turned out to be one: each took the other's use for a stranger's, so only the
    /// upper bounds hold.
    pub(super) fn absorb(&mut self, other: &Self) {
        for (own, other) in self.learners.iter_mut().zip(&other.learners) {
            own.begin();
            own.range.hi = own.range.hi.min(other.range.hi).max(PRIOR.lo);
            own.range.lo = PRIOR.lo.min(own.range.hi);
        }
        self.conclude();
    }

    /// What was learned, for the image.
    pub(super) fn learned(&self) -> PerWindow<Range> {
        [0, 1, 2].map(|index| self.learners.get(index).map_or(PRIOR, |learner| learner.range))
    }

    /// Restores what was learned; what makes no sense is left out.
    pub(super) fn relearn(&mut self, ranges: PerWindow<(f64, f64)>) {
        for (learner, (lo, hi)) in self.learners.iter_mut().zip(ranges) {
            if lo > 0.0 && lo <= hi && hi.is_finite() {
                learner.range = Range { lo, hi };
            }
        }
        self.conclude();
    }
}

impl Learner {
    /// Learns from the newest crossing, one report later.
    fn learn(&mut self, window: Window, weights: &Weights, known: Range) -> Lesson {
        if !std::mem::take(&mut self.fresh) {
            return Lesson::Nothing;
        }
        let idle = self
            .ring
            .last()
            .is_some_and(|newest| newest.after.high(weights) - newest.before.high(weights) < 1e-9);
        if idle {
            // Somebody else's use: ours was none.
            self.clean = self.ring.len().saturating_sub(1);
            self.rival = None;
            return Lesson::Nothing;
        }
        let seen = self.newest(window, weights);
        if seen.hi * WIDEN < known.lo {
            return Lesson::Contradicts;
        }
        if seen.lo > known.hi * WIDEN {
            // Others' use, or a higher ratio: what is new from here on will tell.
            let rival =
                self.rival.and_then(|(rival, times)| Some((rival.and(seen).sound()?, times + 1)));
            let first = rival.is_none();
            let (rival, times) = rival.unwrap_or((seen, 1));
            if first {
                self.clean = self.ring.len().saturating_sub(1);
            }
            self.rival = rival.lo.is_finite().then_some((rival, times));
            if times >= CONFIRM.0 && self.points() >= CONFIRM.1 {
                return Lesson::Contradicts;
            }
            return Lesson::Fits;
        }
        if seen.hi < known.hi {
            // A span that the known ratio explains: the rival was somebody else's use.
            self.rival = None;
        }
        if let Some(range) = self.range.and(seen).sound() {
            self.range = range;
        }
        Lesson::Fits
    }
}
