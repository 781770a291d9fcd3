//! How much will be asked for, and when something runs out.
//!
//! Demand in the next `h` is a random sum S. Its mean is what goes on now, fading, plus what is
//! usual at those hours, coming in as the present fades:
//!
//! μ(h) = ∫₀ʰ r·e^(−t/τ) + usual(t)·(1 − e^(−t/τ)) dt,  r the rate of the last twenty minutes.
//!
//! S ~ Gamma with that mean and variance k·(φμ + (σμ)²): φμ for requests that come one by one (φ is
//! their cost-weighted mean cost), σ for agents that start and stop, and k learned from how often
//! the middle 80 % were right. The q-quantile of the time to exhaustion is the first h with
//! P(S ≥ left) ≥ q.
//!
//! A point forecast stays far off whatever the model; that is why only intervals are shown.

use crate::time::{HOUR, MINUTE, Millis};
use crate::view::Foreseen;
use calibration::Calibration;
use profile::{Profile, SLOT, float};
use recent::Recent;

mod calibration;
mod gamma;
mod image;
mod profile;
mod recent;

#[cfg(test)]
mod tests;

pub use image::DemandImage;

/// How fast the present fades into the usual.
const FADE: i64 = 45 * MINUTE;
/// After so much time nothing is left of the present.
const FADED: i64 = 6 * FADE;
/// e^(−15/45): what is left of the present one slot later.
const FADE_PER_SLOT: f64 = 0.716_531_310_573_789_3;
/// Relative spread of demand beside that of single requests: agents start and stop.
const SPREAD: f64 = 0.35;
/// What φ forgets with each request.
const KEEP: f64 = 0.999;
/// Times are found to the minute.
const GRAIN: i64 = MINUTE;

/// What is asked of one account, or of the pool, over time. Amounts are quota-dollars.
#[derive(Debug, Clone, Default)]
pub struct Demand {
    recent: Recent,
    profile: Profile,
    /// Σ cost and Σ cost² of requests, forgetting.
    cost: f64,
    square: f64,
    calibration: Calibration,
}

impl Demand {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// A request of this cost ended, in quota-dollars.
    pub fn spend(&mut self, at: Millis, dollars: f64) {
        let dollars = sane(dollars);
        self.advance(at);
        if self.calibration.wants() {
            for (index, horizon) in calibration::HORIZONS.iter().enumerate() {
                if self.calibration.is_free(index) {
                    let until = at.plus(*horizon);
                    let low = self.quantile(at, until, 0.1);
                    let high = self.quantile(at, until, 0.9);
                    // Next to nothing counts as nothing: that the agents stop is foreseen.
                    let low = if low < self.grain() { 0.0 } else { low };
                    self.calibration.promise(index, until, low, high);
                }
            }
        }
        self.recent.add(at, dollars);
        self.profile.spend(at, dollars);
        self.calibration.spend(dollars);
        self.cost = self.cost * KEEP + dollars;
        self.square = self.square * KEEP + dollars * dollars;
    }

    /// Takes note that time passed: silence is data too. Cheap when less than a quarter of an hour
    /// went by; [`Demand::spend`] does it by itself.
    pub fn advance(&mut self, now: Millis) {
        self.calibration.advance(now);
        self.profile.advance(now);
    }

    /// Quota-dollars per hour, over the last twenty minutes.
    pub fn rate(&self, now: Millis) -> f64 {
        self.recent.rate(now)
    }

    /// Mean demand in the span.
    pub fn expected(&self, now: Millis, until: Millis) -> f64 {
        self.mean(self.rate(now), now, until)
    }

    /// The q-quantile of demand in the span, 0 < q < 1.
    pub fn quantile(&self, now: Millis, until: Millis, q: f64) -> f64 {
        let spread = self.spread(self.expected(now, until), until.since(now));
        gamma::quantile(spread.shape, q) * spread.scale
    }

    /// When `left` quota-dollars will be gone. `None` in a field: not before `until`.
    pub fn exhaustion(&self, now: Millis, left: f64, until: Millis) -> Foreseen {
        if left <= 0.0 {
            return Foreseen { p10: Some(now), p50: Some(now), p90: Some(now) };
        }
        let rate = self.rate(now);
        let span = until.since(now);
        if span <= 0 {
            return Foreseen::default();
        }
        let chance = |h: i64| {
            let mean = self.mean(rate, now, now.plus(h));
            let spread = self.spread(mean, h);
            gamma::tail(spread.shape, left / spread.scale)
        };
        let last = chance(span);
        let mut from = 0;
        let mut first = |q: f64| {
            if last < q {
                return None;
            }
            let (mut no, mut yes) = (from, span);
            while yes - no > GRAIN {
                let middle = no + (yes - no) / 2;
                if chance(middle) >= q { yes = middle } else { no = middle }
            }
            from = no;
            Some(now.plus(yes))
        };
        Foreseen { p10: first(0.1), p50: first(0.5), p90: first(0.9) }
    }

    /// Whether the intervals have been right often enough to be shown to people. The scheduler
    /// uses them from the start.
    pub fn trusted(&self) -> bool {
        self.calibration.trusted()
    }

    fn mean(&self, rate: f64, now: Millis, until: Millis) -> f64 {
        let span = until.since(now).max(0);
        let fade = float(FADE) / float(HOUR);
        let present = rate * fade * (1.0 - (-float(span) / float(FADE)).exp());
        present + self.profile.between(now, until) - self.held_back(now, span)
    }

    /// ∫ usual(t)·e^(−t/τ) dt: the part of the usual that the present still stands for.
    fn held_back(&self, now: Millis, span: i64) -> f64 {
        let span = span.min(FADED);
        let first = (profile::floor(now).plus(SLOT).since(now)).min(span);
        let fade = float(FADE) / float(HOUR);
        let after_first = (-float(first) / float(FADE)).exp();
        let mut sum = self.profile.rate(now) * (1.0 - after_first);
        let (mut at, mut weight) = (first, after_first);
        while at < span {
            let length = SLOT.min(span - at);
            let next = if length == SLOT {
                weight * FADE_PER_SLOT
            } else {
                weight * (-float(length) / float(FADE)).exp()
            };
            sum += self.profile.rate(now.plus(at)) * (weight - next);
            weight = next;
            at += length;
        }
        sum * fade
    }

    fn spread(&self, mean: f64, horizon: i64) -> Spread {
        let k = self.calibration.k(horizon);
        let scale = k * (self.grain() + SPREAD * SPREAD * mean);
        Spread { shape: mean / scale, scale }
    }

    /// φ: the cost of the request in which an average dollar goes.
    fn grain(&self) -> f64 {
        if self.cost > 0.0 { self.square / self.cost } else { 0.01 }
    }
}

/// A Gamma distribution.
struct Spread {
    shape: f64,
    scale: f64,
}

/// Amounts from files and from foreign price lists: never negative, never not a number.
fn sane(dollars: f64) -> f64 {
    if dollars.is_finite() { dollars.max(0.0) } else { 0.0 }
}
