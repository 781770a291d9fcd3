//! Timers that outlive requests.
//!
//! Nearly every request is answered long before its time is up. To arm a timer for each and to take
//! it back costs more than looking at one that is armed already: so a timer is lent, stays armed
//! when it comes back, and is set anew only where it would ring too late or has rung too early.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// More timers than this are not worth their memory.
const KEPT: usize = 32;

/// Where timers are while nobody waits.
#[derive(Default)]
pub struct Timers(Mutex<Vec<Pin<Box<Sleep>>>>);

/// A timer on loan.
pub struct Timer<'a> {
    home: &'a Timers,
    sleep: Option<Pin<Box<Sleep>>>,
    deadline: Instant,
}

impl Timers {
    /// A timer that rings at `deadline`.
    pub fn at(&self, deadline: Instant) -> Timer<'_> {
        let mut timer = Timer { home: self, sleep: self.kept().pop(), deadline };
        timer.set(deadline);
        timer
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Pin<Box<Sleep>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Timer<'_> {
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

impl Drop for Timer<'_> {
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
}
