//! Whether there is something to save: told for every request, heard at most once a second.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Between two snapshots at least.
const PAUSE: Duration = Duration::from_secs(1);

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Changes {
    dirty: AtomicBool,
    bell: Notify,
    last: Mutex<Option<Instant>>,
}

impl Changes {
    /// There is something. One read of a flag, unless it is the first since the last snapshot.
    pub(super) fn mark(&self) {
        if !self.dirty.load(Ordering::Relaxed) && !self.dirty.swap(true, Ordering::Relaxed) {
            self.bell.notify_one();
        }
    }

    /// Resolves when there is something, and the last time is a second ago. What comes after counts
    /// anew.
    pub(super) async fn next(&self) {
        while !self.dirty.load(Ordering::Relaxed) {
            self.bell.notified().await;
        }
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last {
            tokio::time::sleep_until(last + PAUSE).await;
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.dirty.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn at_once_and_then_once_a_second() {
        let changes = Changes::default();
        let start = Instant::now();
        changes.mark();
        changes.mark();
        changes.next().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        changes.mark();
        changes.next().await;
        assert_eq!(start.elapsed(), PAUSE);
        let idle = tokio::time::timeout(Duration::from_secs(60), changes.next()).await;
        assert!(idle.is_err(), "nothing changed");
        changes.mark();
        changes.next().await;
        assert_eq!(start.elapsed(), Duration::from_secs(61));
    }
}
