//! The waker of a client's connection, which can be told not to listen for a moment.
//!
//! Whenever a piece of a request's body is taken, hyper wakes the connection's task, for it might
//! bring the next piece. With the last piece there is none, and the whole connection, with the
//! request that is under way on it, would be polled once more for nothing: every third poll.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// See the module documentation.
pub struct Ear {
    deaf: AtomicBool,
    missed: AtomicUsize,
    task: Mutex<Waker>,
}

impl Default for Ear {
    fn default() -> Self {
        let task = Mutex::new(Waker::noop().clone());
        Self { deaf: AtomicBool::new(false), missed: AtomicUsize::new(0), task }
    }
}

impl Ear {
    /// Wakes this task from now on.
    pub fn serves(&self, task: &Waker) {
        let mut known = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.will_wake(task) {
            known.clone_from(task);
        }
    }

    /// Runs `work`, and counts the wakes that come meanwhile instead of passing them on.
    fn covered<T>(&self, work: impl FnOnce() -> T) -> (T, usize) {
        self.deaf.store(true, Ordering::Release);
        let done = work();
        self.deaf.store(false, Ordering::Release);
        (done, self.missed.swap(0, Ordering::AcqRel))
    }

    fn pass_on(&self) {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
    }
}

impl Wake for Ear {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.deaf.load(Ordering::Acquire) {
            self.missed.fetch_add(1, Ordering::AcqRel);
        } else {
            self.pass_on();
        }
    }
}

/// The body of a request on its way in.
pub struct Arriving {
    /// What hyper brings.
    pub body: Incoming,
    /// The connection's ear, if the wakes that a piece causes are for the sake of this body alone:
    /// over HTTP/1.1.
    pub ear: Option<Arc<Ear>>,
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self { body, ear } = &mut *self;
        let Some(ear) = ear else { return Pin::new(body).poll_frame(cx) };
        let (polled, wakes) = ear.covered(|| Pin::new(&mut *body).poll_frame(cx));
        // One wake asks for the next piece. A second one is about something else.
        let needless = usize::from(body.is_end_stream());
        if wakes > needless {
            ear.pass_on();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
    fn wakes_reach_the_task_unless_they_are_covered() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let ear = Arc::new(Ear::default());
        let waker = Waker::from(Arc::clone(&ear));
        waker.wake_by_ref();
        ear.serves(&Waker::from(Arc::clone(&count)));
        waker.wake_by_ref();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        let ((), wakes) = ear.covered(|| waker.wake_by_ref());
        assert_eq!((wakes, count.0.load(Ordering::Relaxed)), (1, 1));
        let ((), wakes) = ear.covered(|| ());
        assert_eq!(wakes, 0, "counted once");
        waker.wake();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
    }
}
