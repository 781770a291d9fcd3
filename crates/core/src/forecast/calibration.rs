//! How often the intervals were right, and how wide they must be.
//!
//! While there is demand, the middle 80 % of the demand of the next hour, five hours, day and
//! three days are written down, one promise for each at a time, and compared with what came. The
//! same statement about time ("`left` will last until") is right exactly as often: the two are one
//! curve read along the other axis.

use crate::time::{DAY, HOUR, Millis};

/// For which spans promises are made.
pub(super) const HORIZONS: [i64; 4] = [HOUR, 5 * HOUR, DAY, 3 * DAY];
/// How much a miss widens and a hit narrows ln k: in balance where one in five is missed. Gently,
/// and within bounds: promises begin when work does, and are missed more often than the rest.
const MISS: f64 = 0.02;
const HIT: f64 = -0.005;
const LEAST: f64 = 0.5;
const MOST: f64 = 2.0;
/// Trust: so many outcomes, of which lately this share was right.
const OUTCOMES: u32 = 20;
const RIGHT: f64 = 0.65;
/// What the share of right ones forgets with each outcome.
const FORGET: f64 = 0.05;

/// A promise that is still open.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Promise {
    pub(super) due: Millis,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) spent: f64,
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Calibration {
    pub(super) promises: [Option<Promise>; 4],
    /// Logarithm of k for each horizon.
    pub(super) widths: [f64; 4],
    pub(super) outcomes: u32,
    /// The share of outcomes that were right lately.
    pub(super) right: f64,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { promises: [None; 4], widths: [0.0; 4], outcomes: 0, right: 0.8 }
    }
}

impl Calibration {
    /// Is there a free place for a promise?
    pub(super) fn wants(&self) -> bool {
        self.promises.iter().any(Option::is_none)
    }

    pub(super) fn is_free(&self, index: usize) -> bool {
        self.promises.get(index).is_some_and(Option::is_none)
    }

    pub(super) fn promise(&mut self, index: usize, due: Millis, low: f64, high: f64) {
        if let Some(place) = self.promises.get_mut(index) {
            *place = Some(Promise { due, low, high, spent: 0.0 });
        }
    }

    pub(super) fn spend(&mut self, dollars: f64) {
        for promise in self.promises.iter_mut().flatten() {
            promise.spent += dollars;
        }
    }

    /// What was promised cannot be judged.
    pub(super) fn forget(&mut self) {
        self.promises = [None; 4];
    }

    /// Judges the promises that are due.
    pub(super) fn advance(&mut self, now: Millis) {
        for (place, width) in self.promises.iter_mut().zip(&mut self.widths) {
            let Some(promise) = place.take_if(|promise| promise.due <= now) else { continue };
            let hit = (promise.low..=promise.high).contains(&promise.spent);
            *width = Self::bounded(*width + if hit { HIT } else { MISS });
            self.outcomes = self.outcomes.saturating_add(1);
            self.right += FORGET * (f64::from(u8::from(hit)) - self.right);
        }
    }

    /// k for a span, between those of the neighbouring horizons.
    pub(super) fn k(&self, span: i64) -> f64 {
        let mut before: Option<(i64, f64)> = None;
        for (horizon, width) in HORIZONS.iter().zip(&self.widths) {
            if span <= *horizon {
                let Some((start, low)) = before else { return width.exp() };
                let share = super::float(span - start) / super::float(horizon - start);
                return (low + (width - low) * share).exp();
            }
            before = Some((*horizon, *width));
        }
        before.map_or(1.0, |(_, width)| width.exp())
    }

    pub(super) fn trusted(&self) -> bool {
        self.outcomes >= OUTCOMES && self.right >= RIGHT
    }

    /// The logarithm of a k within its bounds.
    pub(super) fn bounded(width: f64) -> f64 {
        if width.is_finite() { width.clamp(LEAST.ln(), MOST.ln()) } else { 0.0 }
    }

    pub(super) fn shift(&mut self, span: i64) {
        for promise in self.promises.iter_mut().flatten() {
            promise.due = promise.due.plus(span);
        }
    }

    /// Promises about halves say nothing about the whole.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.promises = [None; 4];
        for (mine, theirs) in self.widths.iter_mut().zip(&other.widths) {
            *mine = mine.max(*theirs);
        }
        self.outcomes = self.outcomes.min(other.outcomes);
        self.right = self.right.min(other.right);
    }
}
