//! The one clock: wall time at an anchor plus monotonic time since.
//!
//! Decisions compare times minutes and days apart, so they need wall time; but wall time can be set
//! back and forth. So `now` runs on the monotonic clock and is anchored anew only when the two have
//! drifted apart by more than [`DRIFT`]: a jump forward then means that the machine slept.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use saros_core::time::Millis;
use tokio::time::Instant;

/// How far wall and monotonic time may drift apart before the clock is anchored anew
/// (ARCHITECTURE.md, "One clock").
pub const DRIFT: i64 = 5_000;

/// See the module documentation.
pub struct Clock {
    began: Instant,
    /// Wall time at `began`, as anchored last.
    anchor: AtomicI64,
    wall: Box<dyn Fn() -> Millis + Send + Sync>,
}

/// What [`Clock::check`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jump {
    /// Wall time is ahead: the machine slept, or the clock was set forward.
    Forward(Duration),
    /// Wall time is behind: the clock was set back.
    Back(Duration),
}

impl Clock {
    /// The machine's own clock.
    pub fn system() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
        })
    }

    /// A clock over another source of wall time, for tests.
    pub fn new(wall: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        let anchor = AtomicI64::new(wall().0);
        Self { began: Instant::now(), anchor, wall: Box::new(wall) }
    }

    /// Now.
    pub fn now(&self) -> Millis {
        self.at(Instant::now())
    }

    /// The time at a moment that was read from the monotonic clock.
    pub fn at(&self, moment: Instant) -> Millis {
        Millis(self.anchor.load(Ordering::Relaxed)).plus(self.elapsed(moment))
    }

    fn elapsed(&self, moment: Instant) -> i64 {
        let elapsed = moment.saturating_duration_since(self.began);
        // Not `as_millis`, which divides 128-bit numbers.
        let seconds = i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX);
        seconds.saturating_mul(1_000).saturating_add(i64::from(elapsed.subsec_millis()))
    }

    /// Whether it and wall time have drifted apart, so that [`Clock::check`] would anchor it anew.
    pub fn has_drifted(&self, moment: Instant) -> bool {
        (self.wall)().since(self.at(moment)).abs() > DRIFT
    }

    /// Compares with wall time and anchors anew when they have drifted apart.
    pub fn check(&self) -> Option<Jump> {
        let (wall, moment) = ((self.wall)(), Instant::now());
        let drift = wall.since(self.at(moment));
        if drift.abs() <= DRIFT {
            return None;
        }
        self.anchor.store(wall.plus(-self.elapsed(moment)).0, Ordering::Relaxed);
        let span = Duration::from_millis(drift.unsigned_abs());
        Some(if drift > 0 { Jump::Forward(span) } else { Jump::Back(span) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static WALL: AtomicI64 = AtomicI64::new(1_000_000);

    #[tokio::test(start_paused = true)]
    async fn a_drift_of_more_than_five_seconds_anchors_anew() {
        let clock = Clock::new(|| Millis(WALL.load(Ordering::Relaxed)));
        assert_eq!(clock.now(), Millis(1_000_000));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(clock.now(), Millis(1_003_000));
        assert_eq!(clock.check(), None, "three seconds behind are tolerated");

        WALL.store(9_000_000, Ordering::Relaxed);
        assert_eq!(clock.check(), Some(Jump::Forward(Duration::from_millis(7_997_000))));
        assert_eq!(clock.now(), Millis(9_000_000));

        WALL.store(1_000, Ordering::Relaxed);
        assert_eq!(clock.check(), Some(Jump::Back(Duration::from_millis(8_999_000))));
        assert_eq!(clock.now(), Millis(1_000));
    }
}
