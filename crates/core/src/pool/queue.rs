//! Requests that wait, first come, first served: for a slot, with `maxConcurrentPerKey`, or for the
//! outcome of a half-open breaker's trial that is under way.
//!
//! A slot that becomes free is promised to the first waiter that can use it, and that waiter is
//! woken. Nobody else gets the slot until the waiter has asked again, gone away, or run out of time;
//! so newcomers do not overtake, and as many are woken as can run. A waiter for whom nothing is left
//! to wait for is woken as well, to be told.

use std::sync::Arc;

use smallvec::SmallVec;

use super::admit::Gate;
use super::{Effects, Pool};
use crate::fault::FaultKind;
use crate::id::{AccountId, KeyId, TicketId};
use crate::select::{Candidate, Fit};
use crate::time::{MINUTE, Millis};

/// Waiters at once; who comes then is refused.
const CAPACITY: usize = 1_024;

/// A waiter that never asked again after its time was up is forgotten after so long.
const LOST: i64 = MINUTE;

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiters: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    ticket: TicketId,
    model: Option<Arc<str>>,
    tried: SmallVec<[(KeyId, FaultKind); 4]>,
    deadline: Millis,
    call: Call,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    /// Asleep.
    Waits,
    /// Woken; a slot of this account is promised to it.
    Promised(AccountId),
    /// Woken without a promise.
    Called,
}

impl Queue {
    pub(super) fn is_full(&self) -> bool {
        self.waiters.len() >= CAPACITY
    }

    pub(super) fn push(
        &mut self,
        ticket: TicketId,
        model: Option<Arc<str>>,
        tried: SmallVec<[(KeyId, FaultKind); 4]>,
        deadline: Millis,
    ) {
        self.waiters.push(Waiter { ticket, model, tried, deadline, call: Call::Waits });
    }

    /// A waiter asks again: its promise ends. Returns its deadline; `None`: it does not wait.
    pub(super) fn ask_again(&mut self, ticket: TicketId) -> Option<Millis> {
        let waiter = self.waiters.iter_mut().find(|waiter| waiter.ticket == ticket)?;
        waiter.call = Call::Waits;
        Some(waiter.deadline)
    }

    /// Returns whether it was there.
    pub(super) fn remove(&mut self, ticket: TicketId) -> bool {
        let index = self.waiters.iter().position(|waiter| waiter.ticket == ticket);
        index.map(|index| self.waiters.remove(index)).is_some()
    }

    /// Slots of this account that are promised.
    pub(super) fn promised(&self, account: AccountId) -> u32 {
        let promised = self.waiters.iter().filter(|w| w.call == Call::Promised(account)).count();
        u32::try_from(promised).unwrap_or(u32::MAX)
    }

    /// When the first waiter's time is up.
    pub(super) fn deadline(&self) -> Option<Millis> {
        let in_time = self.waiters.iter().filter(|waiter| waiter.call != Call::Called);
        in_time.map(|waiter| waiter.deadline).min()
    }

    /// Two accounts turned out to be one.
    pub(super) fn relabel(&mut self, from: AccountId, to: AccountId) {
        for waiter in self.waiters.iter_mut().filter(|w| w.call == Call::Promised(from)) {
            waiter.call = Call::Promised(to);
        }
    }

    /// The clock was set.
    pub(super) fn shift(&mut self, span: i64) {
        for waiter in &mut self.waiters {
            waiter.deadline = waiter.deadline.plus(span);
        }
    }

    /// Drops the lost, and takes back the promises of those whose time is up. Tells those who sleep.
    fn end_times(&mut self, now: Millis, effects: &mut Effects) {
        // Those who sleep are woken first, however far the clock has jumped.
        self.waiters
            .retain(|waiter| waiter.call != Call::Called || now.since(waiter.deadline) < LOST);
        for waiter in self.waiters.iter_mut().filter(|waiter| waiter.deadline <= now) {
            if waiter.call == Call::Waits {
                effects.wake.push(waiter.ticket);
            }
            waiter.call = Call::Called;
        }
    }
}

impl Pool {
    /// Gives free slots to those who wait for them, in their order.
    pub(super) fn wake_waiters(&mut self, effects: &mut Effects) {
        if self.queue.waiters.is_empty() {
            return;
        }
        self.queue.end_times(self.now, effects);
        // Most waiters differ in nothing but their model: whom one of them cannot use, the next
        // cannot either.
        let mut stuck: SmallVec<[Option<Arc<str>>; 4]> = SmallVec::new();
        for index in 0..self.queue.waiters.len() {
            let Some(waiter) = self.queue.waiters.get(index) else { break };
            let plain = waiter.tried.is_empty();
            if waiter.call != Call::Waits || (plain && stuck.contains(&waiter.model)) {
                continue;
            }
            let call = self.call(waiter);
            let Some(waiter) = self.queue.waiters.get_mut(index) else { break };
            waiter.call = call;
            if call != Call::Waits {
                effects.wake.push(waiter.ticket);
            } else if plain {
                stuck.push(waiter.model.clone());
            }
        }
    }

    fn call(&self, waiter: &Waiter) -> Call {
        match self.gate(waiter.model.as_ref()) {
            Gate::Open => {}
            Gate::Awaited(_) => return Call::Waits,
            Gate::Shut(_) => return Call::Called,
        }
        let rows = self.rows_for(waiter.model.as_ref(), &waiter.tried);
        let runs = |row: &&Candidate| row.fit.runs();
        let tries = |row: &&Candidate| row.fit == Fit::LastResort;
        if let Some(row) = rows.iter().find(runs).or_else(|| rows.iter().find(tries)) {
            Call::Promised(row.account)
        } else if rows.iter().any(|row| row.fit.is_worth_waiting_for()) {
            Call::Waits
        } else {
            Call::Called
        }
    }
}
