//! How much will be asked for, and when something runs out.
//!
//! Demand in the next `h` is a random sum S. Its mean is what goes on now, fading, plus what is
//! usual at those hours, coming in as the present fades:
//!
//! μ(h) = ∫₀ʰ r·e^(−t/τ) + usual(t)·(1 − e^(−t/τ)) dt,  τ four hours.
//!
//! r is the rate of the last twenty minutes; of an activity that is younger than that, the rate since
//! it began, held to what activity usually costs (`presence`): the first request after a pause says
//! that an agent has started, not that it spends little.
//!
//! S ~ Gamma with that mean and variance k·(φμ + (σμ)²): φμ for requests that come one by one (φ is
//! their cost-weighted mean cost), σ for agents that start and stop, and k learned from how often
//! intervals were right. The q-quantile of the time to exhaustion is the first h with
//! P(S ≥ left) ≥ q.
//!
//! A point forecast stays far off whatever the model; that is why only intervals are shown.

use crate::time::{HOUR, MINUTE, Millis};
use crate::view::Foreseen;
use calibration::Calibration;
use presence::Presence;
use profile::{Profile, float};
use recent::Recent;

mod calibration;
mod gamma;
mod image;
mod presence;
mod profile;
mod recent;

#[cfg(test)]
mod tests;

pub use image::DemandImage;

/// How fast the present fades into the usual.
const FADE: i64 = 240 * MINUTE;
/// Relative spread of demand beside that of single requests: agents start and stop.
const SPREAD: f64 = 0.5;
/// What φ forgets with each request.
const KEEP: f64 = 0.999;
/// Times are found to the minute.
const GRAIN: i64 = MINUTE;

/// What is asked of one account, or of the pool, over time. Amounts are quota-dollars.
#[derive(Debug, Clone, Default)]
pub struct Demand {
    recent: Recent,
    presence: Presence,
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
        self.recent.add(at, dollars);
        self.presence.spend(at, dollars);
        self.profile.spend(at, dollars);
        self.calibration.spend(dollars);
        self.cost = self.cost * KEEP + dollars;
        self.square = self.square * KEEP + dollars * dollars;
        if self.calibration.wants() {
            self.promise(at);
        }
    }

    /// Writes down what is foreseen, to be judged later.
    fn promise(&mut self, at: Millis) {
        for (index, horizon) in calibration::HORIZONS.iter().enumerate() {
            if self.calibration.is_free(index) {
                let until = at.plus(*horizon);
                let (low, high) = (self.quantile(at, until, 0.1), self.quantile(at, until, 0.9));
                // Next to nothing counts as nothing: that the agents stop is foreseen.
                let low = if low < self.grain() { 0.0 } else { low };
                self.calibration.promise(index, until, low, high);
            }
        }
    }

    /// Takes note that time passed: silence is data too. Cheap when less than a quarter of an hour
    /// went by; [`Demand::spend`] does it by itself.
    pub fn advance(&mut self, now: Millis) {
        self.calibration.advance(now);
        self.profile.advance(now);
    }

    /// Nothing could be spent since the last call (the account was closed): that silence says
    /// nothing about demand.
    pub fn skip(&mut self, now: Millis) {
        self.calibration.forget();
        self.profile.skip(now);
    }

    /// [`Demand::advance`] while what was asked for could be served, else [`Demand::skip`].
    pub fn pass(&mut self, now: Millis, open: bool) {
        if open { self.advance(now) } else { self.skip(now) }
    }

    /// Quota-dollars per hour, over the last twenty minutes.
    pub fn rate(&self, now: Millis) -> f64 {
        self.recent.rate(now)
    }

    /// Mean demand in the span.
    pub fn expected(&self, now: Millis, until: Millis) -> f64 {
        self.mean(self.present(now), now, until)
    }

    /// The q-quantile of demand in the span, 0 < q < 1.
    pub fn quantile(&self, now: Millis, until: Millis, q: f64) -> f64 {
        let k = self.calibration.k(until.since(now));
        let spread = self.spread(self.expected(now, until), k);
        gamma::quantile(spread.shape, q) * spread.scale
    }

    /// When `left` quota-dollars will be gone. `None` in a field: not before `until`.
    pub fn exhaustion(&self, now: Millis, left: f64, until: Millis) -> Foreseen {
        if left <= 0.0 {
            return Foreseen { p10: Some(now), p50: Some(now), p90: Some(now) };
        }
        let rate = self.present(now);
        let span = until.since(now);
        if span <= 0 {
            return Foreseen::default();
        }
        // What was learned of the width moves the ends of the interval, not its middle.
        let chance = |h: i64, learned: bool| {
            let k = if learned { self.calibration.k(h) } else { 1.0 };
            let spread = self.spread(self.mean(rate, now, now.plus(h)), k);
            gamma::tail(spread.shape, left / spread.scale)
        };
        let mut from = 0;
        let mut first = |q: f64, learned: bool| {
            if chance(span, learned) < q {
                from = span;
                return None;
            }
            let (mut no, mut yes) = (from, span);
            while yes - no > GRAIN {
                let middle = no + (yes - no) / 2;
                if chance(middle, learned) >= q { yes = middle } else { no = middle }
            }
            from = no;
            Some(now.plus(yes))
        };
        Foreseen { p10: first(0.1, true), p50: first(0.5, false), p90: first(0.9, true) }
    }

    /// Whether the intervals have been right often enough to be shown to people. The scheduler
    /// uses them from the start.
    pub fn trusted(&self) -> bool {
        self.calibration.trusted()
    }

    /// The rate that goes on.
    fn present(&self, now: Millis) -> f64 {
        self.presence.rate(now, self.rate(now))
    }

    fn mean(&self, rate: f64, now: Millis, until: Millis) -> f64 {
        let span = until.since(now).max(0);
        let fade = float(FADE) / float(HOUR);
        let faded = (-float(span) / float(FADE)).exp();
        // The part of the usual that the present still stands for.
        let held_back = self.profile.fading(now) - faded * self.profile.fading(now.plus(span));
        rate * fade * (1.0 - faded)
            + (self.profile.between(now, now.plus(span)) - held_back).max(0.0)
    }

    fn spread(&self, mean: f64, k: f64) -> Spread {
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
