//! Tells wakes from outside apart from those a poll causes itself.
//!
//! hyper passes frames and heads between a connection and its user through channels, and each
//! hand-over wakes the task at the other end. Here both ends are polled by one task, one after the
//! other, so such a wake would only make the runtime poll the whole task once more for nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

/// A waker in front of the task's own, silent while its owner is polling.
pub(super) struct Gate {
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
    /// Runs `poll` until it is ready or pending with nothing left to do: again each time it woke
    /// itself, up to a bound, after which the task is woken the usual way.
    pub(super) fn poll<T>(
        &self,
        cx: &Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Option<T>,
    ) -> Option<T> {
        const ROUNDS: usize = 64;
        {
            let mut task = self.shared.task.lock().unwrap_or_else(PoisonError::into_inner);
            if !task.will_wake(cx.waker()) {
                task.clone_from(cx.waker());
            }
        }
        self.shared.polling.store(true, Ordering::Release);
        let mut inner = Context::from_waker(&self.waker);
        let mut outcome = None;
        for _ in 0..ROUNDS {
            self.shared.woken.store(false, Ordering::Release);
            outcome = poll(&mut inner);
            if outcome.is_some() || !self.shared.woken.load(Ordering::Acquire) {
                break;
            }
        }
        self.shared.polling.store(false, Ordering::Release);
        if outcome.is_none() && self.shared.woken.load(Ordering::Acquire) {
            cx.waker().wake_by_ref();
        }
        outcome
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
