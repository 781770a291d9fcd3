//! Timers that outlive requests.
//!
//! Nearly every request is answered long before its time is up. To arm a timer for each and to take
//! it back costs more than looking at one that is armed already: so a timer is lent, stays armed
//! when it comes back, and is set anew only where it would ring too late or has rung too early.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// More timers than this are not worth their memory.
const KEPT: usize = 32;

/// Where timers are while nobody waits.
#[derive(Default)]
pub struct Timers(Mutex<Vec<Pin<Box<Sleep>>>>);

/// A timer on loan.
pub struct Timer<H: Deref<Target = Timers>> {
    home: H,
    sleep: Option<Pin<Box<Sleep>>>,
    deadline: Instant,
}

impl Timers {
    /// A timer that rings at `deadline`.
    pub fn at(&self, deadline: Instant) -> Timer<&Self> {
        Timer::new(self, deadline)
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Pin<Box<Sleep>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H: Deref<Target = Timers>> Timer<H> {
    fn new(home: H, deadline: Instant) -> Self {
        let sleep = home.kept().pop();
        let mut timer = Self { home, sleep, deadline };
        timer.set(deadline);
        timer
    }

    /// Lets it ring at `deadline` instead.
    pub fn set(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if let Some(sleep) = &mut self.sleep
            && sleep.deadline() > deadline
        {
            sleep.as_mut().reset(deadline);
        }
    }

    /// Ready once the deadline has passed.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        while sleep.as_mut().poll(cx).is_ready() {
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// hyper's timer for connections of clients: each head of a request is waited for with one.
#[derive(Clone)]
pub struct ForHeads(pub Arc<Timers>);

impl hyper::rt::Timer for ForHeads {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Timer::new(Arc::clone(&self.0), deadline.into()))
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into()
    }
}

impl<H: Deref<Target = Timers> + Unpin> Future for Timer<H> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Timer::poll(self.get_mut(), cx)
    }
}

impl hyper::rt::Sleep for Timer<Arc<Timers>> {}

impl<H: Deref<Target = Timers>> Drop for Timer<H> {
    fn drop(&mut self) {
        let mut kept = self.home.kept();
        if kept.len() < KEPT {
            kept.extend(self.sleep.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    async fn check(timers: &Timers, span: u64) {
        let begun = Instant::now();
        let span = Duration::from_secs(span);
        let mut timer = timers.at(begun + span);
        poll_fn(|cx| timer.poll(cx)).await;
        assert_eq!(Instant::now() - begun, span);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_was_armed_for_another_rings_in_time() {
        let timers = Timers::default();
        // Comes back unused, armed for the tenth second.
        let mut timer = timers.at(Instant::now() + Duration::from_secs(10));
        assert!(poll_fn(|cx| Poll::Ready(timer.poll(cx).is_pending())).await);
        drop(timer);
        assert_eq!(timers.kept().len(), 1);
        check(&timers, 3).await;
        check(&timers, 30).await;
        tokio::time::advance(Duration::from_secs(50)).await;
        check(&timers, 5).await;
        assert_eq!(timers.kept().len(), 1, "one was enough");
    }

    #[tokio::test(start_paused = true)]
    async fn hyper_gets_the_same_ones() {
        let timers = Arc::new(Timers::default());
        check(&timers, 10).await;
        let begun = Instant::now();
        hyper::rt::Timer::sleep(&ForHeads(Arc::clone(&timers)), Duration::from_secs(7)).await;
        assert_eq!(Instant::now() - begun, Duration::from_secs(7));
        assert_eq!(timers.kept().len(), 1);
    }
}
