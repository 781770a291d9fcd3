//! The one clock: wall time at an anchor plus monotonic time since.
//!
//! Decisions compare times minutes and days apart, so they need wall time; but wall time can be set
//! back and forth. So `now` runs on the monotonic clock and is anchored anew only when the two have
//! drifted apart by more than [`DRIFT`]: a jump forward then means that the machine slept.

use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use saros_core::time::Millis;
use tokio::time::Instant;

/// How far wall and monotonic time may drift apart before the clock is anchored anew
/// (ARCHITECTURE.md, "One clock").
pub const DRIFT: i64 = 5_000;

/// See the module documentation.
pub struct Clock {
    anchor: Mutex<Anchor>,
    wall: Box<dyn Fn() -> Millis + Send + Sync>,
}

#[derive(Debug, Clone, Copy)]
struct Anchor {
    wall: Millis,
    monotonic: Instant,
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
        let anchor = Anchor { wall: wall(), monotonic: Instant::now() };
        Self { anchor: Mutex::new(anchor), wall: Box::new(wall) }
    }

    /// Now.
    pub fn now(&self) -> Millis {
        let anchor = *self.anchor.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let elapsed = Instant::now().saturating_duration_since(anchor.monotonic);
        anchor.wall.plus(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }

    /// Whether it and wall time have drifted apart, so that [`Clock::check`] would anchor it anew.
    pub fn has_drifted(&self) -> bool {
        (self.wall)().since(self.now()).abs() > DRIFT
    }

    /// Compares with wall time and anchors anew when they have drifted apart.
    pub fn check(&self) -> Option<Jump> {
        let wall = (self.wall)();
        let drift = wall.since(self.now());
        if drift.abs() <= DRIFT {
            return None;
        }
        *self.anchor.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Anchor { wall, monotonic: Instant::now() };
        let span = Duration::from_millis(drift.unsigned_abs());
        Some(if drift > 0 { Jump::Forward(span) } else { Jump::Back(span) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

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
