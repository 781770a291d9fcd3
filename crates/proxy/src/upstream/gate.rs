//! Tells wakes from outside apart from those that a poll causes itself.
//!
//! hyper hands heads and frames from a connection to its user through channels, and each hand-over
//! wakes the task at the other end. Here one task polls both ends, one after the other, so such a
//! wake would only make the runtime poll the whole request once more for nothing: two to four times
//! a request without this.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

/// After this many rounds the task is woken the usual way, so that others get their turn.
const ROUNDS: usize = 64;

/// A waker in front of the task's own, silent while its owner is polling.
pub(crate) struct Gate {
    shared: Arc<Shared>,
    /// Always the same one, so that sockets and channels need not replace theirs.
    waker: Waker,
}

struct Shared {
    polling: AtomicBool,
    woken: AtomicBool,
    task: Mutex<Waker>,
}

impl Default for Gate {
    fn default() -> Self {
        let shared = Arc::new(Shared {
            polling: AtomicBool::new(false),
            woken: AtomicBool::new(false),
            task: Mutex::new(Waker::noop().clone()),
        });
        Self { waker: Waker::from(Arc::clone(&shared)), shared }
    }
}

impl Gate {
    /// Runs `poll` until it finds something, or until it is pending without having woken itself.
    pub(crate) fn poll(
        &self,
        waker: &Waker,
        mut poll: impl FnMut(&mut Context<'_>) -> bool,
    ) -> bool {
        self.serves(waker);
        self.shared.polling.store(true, Ordering::Release);
        let mut inner = Context::from_waker(&self.waker);
        let mut found = false;
        for _ in 0..ROUNDS {
            self.shared.woken.store(false, Ordering::Release);
            found = poll(&mut inner);
            if found || !self.shared.woken.load(Ordering::Acquire) {
                break;
            }
        }
        self.shared.polling.store(false, Ordering::Release);
        if !found && self.shared.woken.load(Ordering::Acquire) {
            waker.wake_by_ref();
        }
        found
    }

    /// Whether anything has happened since the last poll began its last round: nothing has if not.
    pub(crate) fn has_woken(&self) -> bool {
        self.shared.woken.load(Ordering::Acquire)
    }

    /// Nobody waits any more: the last task is not kept in memory for the sake of its waker.
    pub(crate) fn rest(&self) {
        self.serves(Waker::noop());
    }

    fn serves(&self, waker: &Waker) {
        let mut task = self.shared.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !task.will_wake(waker) {
            task.clone_from(waker);
        }
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        if !self.polling.load(Ordering::Acquire) {
            self.task.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn own_wakes_cause_another_round_and_foreign_ones_wake_the_task() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let task = Waker::from(Arc::clone(&count));
        let gate = Gate::default();
        let mut rounds = 0;
        let mut kept = None;
        let found = gate.poll(&task, |cx| {
            rounds += 1;
            if rounds < 3 {
                cx.waker().wake_by_ref();
            }
            kept = Some(cx.waker().clone());
            false
        });
        assert_eq!((found, rounds, count.0.load(Ordering::Relaxed)), (false, 3, 0));
        assert!(!gate.has_woken());
        kept.unwrap().wake();
        assert!(gate.has_woken());
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn endless_own_wakes_become_one_of_the_task() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let task = Waker::from(Arc::clone(&count));
        let mut rounds = 0;
        let found = Gate::default().poll(&task, |cx| {
            rounds += 1;
            cx.waker().wake_by_ref();
            false
        });
        assert_eq!((found, rounds), (false, ROUNDS));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }
}
