//! What reports' steps say: dollars metered between two crossings of integers.

use super::multipliers::Weights;
use super::recent::Entry;
use super::scale::SLOTS;
use crate::time::Millis;
use crate::window::Window;

/// What is learned is taken to be wrong by so much.
pub(super) const WIDEN: f64 = 1.02;

pub(super) type Row = [f64; SLOTS];

/// An interval of ratios.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    pub(super) lo: f64,
    pub(super) hi: f64,
}

impl Range {
    pub(super) const ANY: Self = Self { lo: 0.0, hi: f64::INFINITY };

    pub(super) fn and(self, other: Self) -> Self {
        Self { lo: self.lo.max(other.lo), hi: self.hi.min(other.hi) }
    }

    /// Not empty, or by no more than what it is widened by anyway: then its middle.
    pub(super) fn sound(self) -> Option<Self> {
        if self.lo <= self.hi {
            return Some(self);
        }
        let middle = (self.lo * self.hi).sqrt();
        (self.lo <= self.hi * WIDEN * WIDEN).then_some(Self { lo: middle, hi: middle })
    }

    /// The published ratio while that lies in the middle half, else what is nearest to it there.
    pub(super) fn best(self) -> f64 {
        let (lo, hi) = (self.lo.ln(), self.hi.ln());
        let quarter = (hi - lo) / 4.0;
        0.0_f64.min(hi - quarter).max(lo + quarter).exp()
    }
}

/// List dollars by slot, at least and at most, since the account is known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Metered {
    low: Row,
    high: Row,
}

impl Metered {
    pub(super) fn add(&mut self, entry: &Entry, sign: f64) {
        if let Some(low) = self.low.get_mut(entry.slot) {
            *low += sign * entry.low;
        }
        if let Some(high) = self.high.get_mut(entry.slot) {
            *high += sign * entry.high;
        }
    }

    pub(super) fn low(&self, weights: &Weights) -> f64 {
        self.low.iter().zip(weights).map(|(dollars, (least, _))| dollars * least).sum()
    }

    pub(super) fn high(&self, weights: &Weights) -> f64 {
        self.high.iter().zip(weights).map(|(dollars, (_, most))| dollars * most).sum()
    }
}

/// What was metered up to a report: what it has for certain, and all that it may have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Snapshot {
    pub(super) sent: Millis,
    pub(super) received: Millis,
    pub(super) sure: Metered,
    pub(super) most: Metered,
}

/// Reports stepped over one or more integers.
#[derive(Debug, Clone)]
pub(super) struct Crossing {
    /// The truth was under this…
    pub(super) under: f64,
    /// …when at least this had been metered, by a report sent then.
    pub(super) before: Metered,
    pub(super) sent: Millis,
    /// The truth was at or over this…
    pub(super) over: f64,
    /// …when at most this had been metered, by a report received then.
    pub(super) after: Metered,
    pub(super) received: Millis,
}

/// A crossing's dollars under some weights.
pub(super) struct Weighed {
    pub(super) under: f64,
    pub(super) over: f64,
    pub(super) before: (f64, f64),
    pub(super) after: (f64, f64),
}

impl Crossing {
    pub(super) fn weigh(&self, weights: &Weights) -> Weighed {
        Weighed {
            under: self.under,
            over: self.over,
            before: (self.before.low(weights), self.before.high(weights)),
            after: (self.after.low(weights), self.after.high(weights)),
        }
    }
}

/// What the span from one crossing to a later one says. `clean`: nobody else used the account
/// in between, as far as is known.
pub(super) fn span(window: Window, a: &Weighed, b: &Weighed, clean: bool) -> Range {
    let published = 100.0 / window.published_dollars();
    let mut range = Range::ANY;
    let most = (b.after.1 - a.before.1).max(0.0);
    if clean && b.over > a.under {
        range.lo = (b.over - a.under) / most / published;
    }
    let least = b.before.0 - a.after.0;
    if least > 1e-9 {
        range.hi = (b.under - a.over) / least / published;
    }
    range
}

impl Range {
    pub(super) fn wider(self, factor: f64) -> Self {
        Self { lo: self.lo / factor, hi: self.hi * factor }
    }
}

/// How far the published ratio is from what is possible.
pub(super) fn from_one(range: Range) -> f64 {
    let over = (range.lo / WIDEN).ln();
    let under = -(range.hi * WIDEN).ln();
    over.max(under).max(0.0)
}
