//! Tells wakes from outside apart from those that a poll causes itself.
//!
//! hyper hands heads and frames from a connection to its user through channels, and each hand-over
//! wakes the task at the other end. Here one task polls both ends, one after the other, so such a
//! wake would only make the runtime poll the whole request once more for nothing: two to four times
//! a request without this.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

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
    /// Since the last round began.
    wakes: AtomicUsize,
    task: Mutex<Waker>,
}

impl Default for Gate {
    fn default() -> Self {
        let shared = Arc::new(Shared {
            polling: AtomicBool::new(false),
            wakes: AtomicUsize::new(0),
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
            self.shared.wakes.store(0, Ordering::Release);
            found = poll(&mut inner);
            if found || !self.has_woken() {
                break;
            }
        }
        self.shared.polling.store(false, Ordering::Release);
        if !found && self.has_woken() {
            waker.wake_by_ref();
        }
        found
    }

    /// Whether anything has happened since the last poll began its last round: nothing has if not.
    pub(crate) fn has_woken(&self) -> bool {
        self.shared.wakes.load(Ordering::Acquire) > 0
    }

    /// Looks at what was fed in the last poll. Taking a piece wakes the feeder once, which might
    /// bring the next one: it sees that itself when it is polled again, so it counts as quiet.
    pub(crate) fn take<T>(&self, look: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let was_quiet = !self.has_woken();
        self.shared.polling.store(true, Ordering::Release);
        let taken = look(&mut Context::from_waker(Waker::noop()));
        self.shared.polling.store(false, Ordering::Release);
        if was_quiet && taken.is_ready() {
            let wakes = &self.shared.wakes;
            let _forgotten = wakes.compare_exchange(1, 0, Ordering::AcqRel, Ordering::Acquire);
        }
        taken
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
        self.wakes.fetch_add(1, Ordering::AcqRel);
        if !self.polling.load(Ordering::Acquire) {
            self.task.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn the_one_wake_of_a_taken_piece_is_not_news() {
        let gate = Gate::default();
        let wake = |times: usize| (0..times).for_each(|_| gate.waker.wake_by_ref());
        let check = |before, during, taken: Poll<()>, news| {
            gate.poll(Waker::noop(), |_| true);
            wake(before);
            let look = |_: &mut Context<'_>| {
                wake(during);
                taken
            };
            assert_eq!(gate.take(look), taken);
            assert_eq!(gate.has_woken(), news, "{before} {during} {taken:?}");
        };
        check(0, 0, Poll::Ready(()), false);
        check(0, 1, Poll::Ready(()), false);
        check(0, 2, Poll::Ready(()), true);
        check(1, 0, Poll::Ready(()), true);
        check(0, 1, Poll::Pending, true);
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
