//! What a request holds of the pool: its place, and the right to run an attempt. Both are given back
//! when dropped, whatever was cancelled.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use saros_core::fault::Fault;
use saros_core::id::LeaseId;
use saros_core::meter::{Bill, Tokens};
use saros_core::pool::{Admission, Ask, Outcome, Trail};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::server::app::App;

/// A request's place in the pool; leaves it when dropped.
pub struct Ticket {
    app: Arc<App>,
    /// What has been tried.
    pub trail: Trail,
    /// The first answer, which came with the place.
    first: Option<Admission>,
    waited: bool,
}

impl Ticket {
    /// A place, and the first answer to its request.
    pub(super) fn new(app: &Arc<App>, trail: Trail, first: Admission) -> Self {
        Self { app: Arc::clone(app), trail, first: Some(first), waited: false }
    }

    /// Asks until there is an answer other than "wait".
    pub async fn admit(&mut self, ask: &Ask) -> Admission {
        loop {
            let admission = self.first.take().unwrap_or_else(|| self.ask_again(ask));
            let Admission::Wait { until } = admission else { return admission };
            let woken = self.wait_handle();
            self.trail.queued_since.get_or_insert(self.app.clock.now());
            let span = until.since(self.app.clock.now()).max(0).unsigned_abs();
            let span = std::time::Duration::from_millis(span);
            // Either way the pool is asked again, and says whether the time is up.
            drop(tokio::time::timeout(span, woken.notified()).await);
        }
    }

    fn ask_again(&self, ask: &Ask) -> Admission {
        let (admission, effects) = self.app.pool().admit(ask, &self.trail, self.app.clock.now());
        self.app.carry_out(&effects);
        admission
    }

    fn wait_handle(&mut self) -> Arc<Notify> {
        self.waited = true;
        let mut waiters = self.app.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(waiters.entry(self.trail.ticket).or_default())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.waited {
            return;
        }
        {
            let mut waiters = self.app.waiters.lock().unwrap_or_else(PoisonError::into_inner);
            waiters.remove(&self.trail.ticket);
        }
        let effects = self.app.pool().leave(self.trail.ticket, self.app.clock.now());
        self.app.carry_out(&effects);
    }
}

/// The right to run one attempt. Dropping it unsettled means that the client went away.
pub struct Lease {
    app: Arc<App>,
    id: LeaseId,
    /// What the attempt will have cost at most if nobody hears how it ended.
    estimate: Tokens,
    sent: bool,
    /// A 2xx's headers came, and the pool has not heard of it.
    untold: bool,
    open: bool,
}

impl Lease {
    /// Takes over a grant.
    pub fn new(app: &Arc<App>, id: LeaseId, estimate: Tokens) -> Self {
        Self { app: Arc::clone(app), id, estimate, sent: false, untold: false, open: true }
    }

    /// For what costs nothing and takes no slot: settles nothing.
    pub fn none(app: &Arc<App>) -> Self {
        let (id, estimate) = (LeaseId(u64::MAX), Tokens::default());
        Self { app: Arc::clone(app), id, estimate, sent: false, untold: false, open: false }
    }

    /// From now on the attempt may cost something.
    pub fn sent(&mut self) {
        self.sent = true;
    }

    /// A 2xx's headers came. The pool hears of it with the end of an answer that is all there
    /// already, or by [`Lease::tell`].
    pub fn answered(&mut self) {
        self.untold = true;
    }

    /// The end has to be waited for: that there is an answer may matter to others before.
    pub fn tell(&mut self) {
        if std::mem::take(&mut self.untold) {
            let effects = self.app.pool().answered(self.id, self.app.clock.now());
            self.app.carry_out(&effects);
        }
    }

    /// The attempt ended so. Only the first word counts.
    pub fn settle(&mut self, outcome: Outcome, moment: Instant) {
        if std::mem::take(&mut self.open) {
            if matches!(outcome, Outcome::Abandoned(_)) {
                // Every other end of an answer says itself that there was one.
                self.tell();
            }
            self.app.settle(self.id, outcome, self.app.clock.at(moment));
        }
    }

    /// The attempt failed before the first byte of a 2xx.
    pub fn faulted(mut self, fault: Fault) {
        self.settle(Outcome::Faulted(fault), Instant::now());
    }

    /// The most that the attempt can have cost.
    pub fn estimate(&self) -> Tokens {
        self.estimate
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let bill = if self.sent { Bill::at_most(self.estimate) } else { Bill::NOTHING };
        if self.open {
            self.settle(Outcome::Abandoned(bill), Instant::now());
        }
    }
}

/// Counts a request as active until dropped.
pub struct Active(Arc<App>);

impl Active {
    /// One more.
    pub fn new(app: &Arc<App>) -> Self {
        app.active.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(app))
    }

    /// Where it is active.
    pub fn app(&self) -> &App {
        &self.0
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}
