//! The virtual clock: where the emulator's time comes from.
//!
//! Virtual time runs `speed` times as fast as tokio's clock (which a test may pause) and can be
//! moved by hand. Windows, rate limits, `resetsAt` and every pause of an answer follow it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A shared clock. Clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Reading>>);

#[derive(Debug)]
struct Reading {
    base_ms: i64,
    anchor: Instant,
    speed: f64,
}

impl Reading {
    fn now_ms(&self) -> i64 {
        let real = Instant::now().saturating_duration_since(self.anchor);
        self.base_ms.saturating_add(to_ms(real.as_secs_f64() * 1000.0 * self.speed))
    }

    /// Kept within the years 1970 to 9000, so that calendar arithmetic cannot overflow.
    fn anchor_anew(&mut self, now_ms: i64) {
        const LATEST: i64 = 221_845_392_000_000;
        self.base_ms = now_ms.clamp(0, LATEST);
        self.anchor = Instant::now();
    }
}

impl Clock {
    /// A clock that stands at `epoch_ms` now and runs at speed 1.
    pub fn starting_at(epoch_ms: i64) -> Self {
        Self(Arc::new(Mutex::new(Reading {
            base_ms: epoch_ms,
            anchor: Instant::now(),
            speed: 1.0,
        })))
    }

    /// A clock that starts at the machine's time.
    pub fn system() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::starting_at(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Milliseconds since 1970, UTC.
    pub fn now_ms(&self) -> i64 {
        self.read().now_ms()
    }

    /// How many virtual seconds pass in one of tokio's.
    pub fn speed(&self) -> f64 {
        self.read().speed
    }

    /// Changes the speed; the time shown does not jump. Pauses that already run keep their length.
    pub fn set_speed(&self, speed: f64) {
        let mut reading = self.read();
        let now = reading.now_ms();
        reading.anchor_anew(now);
        reading.speed = if speed.is_finite() && speed > 0.0 { speed } else { 1.0 };
    }

    /// Moves the time forward at once. Pauses that already run keep their length.
    pub fn advance(&self, by: Duration) {
        let mut reading = self.read();
        let now = reading.now_ms();
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        reading.anchor_anew(now.saturating_add(by));
    }

    /// Sets the time, forwards or back.
    pub fn set(&self, epoch_ms: i64) {
        self.read().anchor_anew(epoch_ms);
    }

    /// When a pause of `ms` virtual milliseconds that begins now is over.
    pub(crate) fn after(&self, ms: u64) -> Instant {
        let speed = self.speed();
        #[expect(clippy::cast_precision_loss, reason = "a pause is far below 2^52 ms")]
        let seconds = ms as f64 / 1000.0 / speed;
        let pause = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        Instant::now()
            .checked_add(pause)
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400 * 365))
    }

    /// Waits `ms` virtual milliseconds.
    pub async fn sleep(&self, ms: u64) {
        if ms > 0 {
            tokio::time::sleep_until(self.after(ms)).await;
        }
    }

    fn read(&self) -> std::sync::MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is what is wanted")]
fn to_ms(ms: f64) -> i64 {
    ms as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn follows_paused_time_speed_and_hand() {
        let clock = Clock::starting_at(1_000);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(clock.now_ms(), 3_000);
        clock.set_speed(60_480.0); // a week in ten seconds
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(clock.now_ms(), 3_000 + 7 * 86_400_000);
        clock.advance(Duration::from_hours(1));
        assert_eq!(clock.now_ms(), 3_000 + 7 * 86_400_000 + 3_600_000);
        clock.set(5);
        assert_eq!(clock.now_ms(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_virtual_time() {
        let clock = Clock::starting_at(0);
        clock.set_speed(1_000.0);
        let before = Instant::now();
        clock.sleep(5_000).await;
        assert_eq!(Instant::now() - before, Duration::from_millis(5));
        assert_eq!(clock.now_ms(), 5_000);
    }
}
