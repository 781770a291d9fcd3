//! Is somebody at work, since when, and what does that usually cost?

use crate::time::{MINUTE, Millis};

/// A pause longer than this ends an activity.
const PAUSE: i64 = 5 * MINUTE;
/// The rate of the last minutes is taken over so many of them.
const SPAN: f64 = 20.0;
/// What activity usually costs counts like so many minutes of it.
const USUAL_MINUTES: f64 = 5.0;
/// What the usual forgets with each request.
const KEEP: f64 = 0.998;

/// See the module.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Presence {
    /// When the present activity began; `None` before the first.
    pub(super) since: Option<Millis>,
    /// The last request.
    pub(super) last: Millis,
    /// Dollars spent in activities, and their minutes, forgetting.
    pub(super) dollars: f64,
    pub(super) minutes: f64,
}

impl Presence {
    pub(super) fn spend(&mut self, at: Millis, dollars: f64) {
        let pause = at.since(self.last);
        if self.since.is_none() || pause > PAUSE {
            self.since = Some(at);
            self.minutes += 1.0;
        } else {
            self.minutes += minutes(pause);
        }
        self.last = self.last.max(at);
        self.dollars = (self.dollars + dollars) * KEEP;
        self.minutes *= KEEP;
    }

    /// Dollars per hour that go on, given the rate of the last twenty minutes.
    pub(super) fn rate(&self, now: Millis, recent: f64) -> f64 {
        let Some(since) = self.since.filter(|_| now.since(self.last) <= PAUSE) else {
            return recent;
        };
        if self.minutes <= 0.0 {
            return recent;
        }
        let active = (minutes(now.since(since)) + 1.0).min(SPAN);
        let usual = self.dollars / self.minutes * 60.0;
        (recent * SPAN + usual * USUAL_MINUTES) / (active + USUAL_MINUTES)
    }

    pub(super) fn shift(&mut self, span: i64) {
        self.since = self.since.map(|since| since.plus(span));
        self.last = self.last.plus(span);
    }

    /// Two that were active side by side.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.since = match (self.since, other.since) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        self.last = self.last.max(other.last);
        self.dollars += other.dollars;
        self.minutes = self.minutes.max(other.minutes);
    }
}

fn minutes(span: i64) -> f64 {
    super::float(span.max(0)) / super::float(MINUTE)
}
