//! The one place that holds mutable state: accounts, leases, breakers, cooldowns, waiters.
//!
//! The edges carry out what comes back and decide nothing themselves.
//!
//! | file | what it does |
//! |---|---|
//! | `types` | what goes in and comes out |
//! | `roster` | start, reload, retirement, two keys that turn out to be one account |
//! | `account` | one key, one account, and what keeps them out |
//! | `admit` | may a request go, and to whom; what to answer when nobody can serve it |
//! | `settle` | the end of an attempt |
//! | `blame` | what a fault does to its scope, and the pardon |
//! | `queue` | requests that wait for a slot |
//! | `lease` | attempts in flight |
//! | `persist` | what survives a restart |
//! | `observe` | what is learned beside requests |
//! | `model` | what is known about models |
//! | `upstream` | what is known about upstreams |
//! | `funds` | what an account may still use, and what is held of it |
//! | `polls` | when its usage is asked for |
//! | `outlook` | what a request will cost, and who is chosen by that |
//! | `book` | what an attempt cost |
//! | `totals` | sums for the owner |
//! | `view` | what is known and foreseen, for people |
//! | `budget` | how many ambiguous repeats are left |
//! | `standing` | how keys stand, for people |

use smallvec::SmallVec;

use crate::affinity::Affinity;
use crate::appetite::Appetite;
use crate::evidence::Evidence;
use crate::forecast::Demand;
use crate::id::{KeyId, LeaseId, TicketId};
use crate::select::Candidate;
use crate::time::Millis;
use crate::twins::Twins;
use crate::warmth::Warmth;

mod account;
mod admit;
mod blame;
mod book;
mod budget;
mod funds;
mod lease;
mod model;
mod observe;
mod outlook;
mod persist;
mod polls;
mod queue;
mod roster;
mod settle;
mod standing;
mod totals;
mod types;
mod upstream;
mod view;

#[cfg(test)]
mod tests;

pub use observe::{NoUsage, Observation};
pub use types::{
    Admission, AllowBalance, Ask, Decision, Effects, Grant, Held, Notice, Outcome, Refusal, Roster,
    RosterKey, Rules, Standing, State, Trail,
};

/// Candidate rows of one decision. Pools larger than this work, but allocate.
pub type Rows = SmallVec<[Candidate; 16]>;

/// See the module documentation. Every method takes `now`; a `now` that lies before the last one
/// seen shifts all stored times, so that a clock set back never prolongs a cooldown.
#[derive(Debug, Default)]
pub struct Pool {
    /// The last `now` seen.
    now: Millis,
    rules: Rules,
    /// In rotation order; keys that retire stand at the end until their last lease ends.
    keys: Vec<account::Key>,
    accounts: Vec<account::Account>,
    upstreams: upstream::Upstreams,
    models: model::Models,
    leases: lease::Leases,
    evidence: Evidence,
    queue: queue::Queue,
    budget: budget::Budget,
    /// The key that was used last.
    last: Option<KeyId>,
    next_ticket: u64,
    next_account: u32,
    affinity: Affinity,
    warmth: Warmth,
    appetite: Appetite,
    /// Of the pool as a whole.
    demand: Demand,
    twins: Twins,
    totals: totals::Totals,
    foresight: observe::Foresight,
    /// Something is due sooner than it was.
    rearm: bool,
}

impl Pool {
    /// An empty pool; `apply` fills it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Start and reload alike. A removed key retires with its last lease. A key whose secret is new
    /// starts fresh; a reload (`fresh: true`) also forgives dead keys.
    pub fn apply(&mut self, roster: Roster, fresh: bool, now: Millis) -> Effects {
        self.sync(now);
        let mut effects = Effects { save: true, ..Effects::default() };
        self.take_roster(roster, fresh);
        self.wake_waiters(&mut effects);
        self.order_reports(&mut effects);
        effects
    }

    /// A place in the pool for a new request.
    pub fn enter(&mut self, now: Millis) -> Trail {
        self.sync(now);
        self.budget.request(now);
        self.next_ticket += 1;
        Trail {
            ticket: TicketId(self.next_ticket),
            tried: SmallVec::new(),
            last: None,
            replays: 0,
            queued_since: None,
        }
    }

    /// A place in the pool for a new request, and the first answer to it: [`Pool::enter`] and
    /// [`Pool::admit`] in one.
    pub fn begin(&mut self, ask: &Ask, now: Millis) -> (Trail, Admission, Effects) {
        let trail = self.enter(now);
        let (admission, effects) = self.admit(ask, &trail, now);
        (trail, admission, effects)
    }

    /// May this request go, and to whom?
    pub fn admit(&mut self, ask: &Ask, trail: &Trail, now: Millis) -> (Admission, Effects) {
        self.sync(now);
        let mut effects = Effects::default();
        self.wake_waiters(&mut effects);
        effects.wake.retain(|ticket| *ticket != trail.ticket);
        let waiter = self.queue.ask_again(trail.ticket);
        let admission = self.decide(ask, trail, waiter);
        if waiter.is_some() && !matches!(admission, Admission::Wait { .. }) {
            self.queue.remove(trail.ticket);
        }
        // A trial moves others too: while a key is tried, its account's next key speaks.
        let trial = matches!(&admission, Admission::Go(grant) if grant.trial);
        if waiter.is_some() || trial {
            self.wake_waiters(&mut effects);
        }
        effects.rearm = std::mem::take(&mut self.rearm);
        (admission, effects)
    }

    /// A 2xx's headers were accepted: closes a half-open breaker.
    pub fn answered(&mut self, lease: LeaseId, now: Millis) -> Effects {
        self.sync(now);
        let mut effects = Effects::default();
        self.welcome(lease, &mut effects);
        self.wake_waiters(&mut effects);
        effects
    }

    /// Closes a lease, once; an unknown lease is ignored.
    pub fn settle(&mut self, lease: LeaseId, outcome: Outcome, now: Millis) -> Effects {
        self.sync(now);
        let mut effects = Effects::default();
        self.close(lease, outcome, &mut effects);
        self.wake_waiters(&mut effects);
        effects.rearm = std::mem::take(&mut self.rearm);
        effects
    }

    /// A waiter went away, or the request ended.
    pub fn leave(&mut self, ticket: TicketId, now: Millis) -> Effects {
        self.sync(now);
        let mut effects = Effects::default();
        if self.queue.remove(ticket) {
            self.wake_waiters(&mut effects);
        }
        effects
    }

    /// Housekeeping: expired cooldowns, waiters whose time is up.
    pub fn tick(&mut self, now: Millis) -> Effects {
        self.sync(now);
        let mut effects = Effects::default();
        self.models.tidy(now);
        for account in &mut self.accounts {
            account.tidy(now);
        }
        self.watch_demand();
        self.refresh();
        self.wake_waiters(&mut effects);
        self.order_reports(&mut effects);
        effects
    }

    /// When `tick` has something to do next.
    pub fn due(&self) -> Option<Millis> {
        self.guards_due().into_iter().chain(self.refresh_due()).chain(self.reports_due()).min()
    }

    /// When something ends that keeps requests out or waiting.
    fn guards_due(&self) -> Option<Millis> {
        let accounts = self.accounts.iter().flat_map(account::Account::ends);
        let keys = self.keys.iter().filter_map(account::Key::end);
        accounts
            .chain(keys)
            .chain(self.models.ends())
            .chain(self.upstreams.ends())
            .filter(|end| *end > self.now)
            .chain(self.queue.deadline())
            .min()
    }

    /// How every key stands, in rotation order.
    pub fn standings(&self, now: Millis) -> Vec<Standing> {
        self.standings_at(now)
    }

    /// Models that are not asked for at the moment.
    pub fn held_models(&self, now: Millis) -> Vec<Held> {
        self.held_models_at(now)
    }

    /// The rows from which [`Pool::admit`] would choose, in rotation order, as of the last `now`.
    pub fn candidates(&self, ask: &Ask, trail: &Trail) -> Rows {
        self.rows(ask, trail)
    }

    /// Attempts in flight.
    pub fn in_flight(&self) -> usize {
        self.leases.len()
    }

    /// Takes note of the time. A clock that was set back takes all stored times with it, so that
    /// what had a minute to go still has a minute to go.
    fn sync(&mut self, now: Millis) {
        let span = now.since(self.now);
        self.now = now;
        if span >= 0 {
            if self.foresight.informed {
                self.end_windows();
            }
            return;
        }
        for key in &mut self.keys {
            key.shift(span);
        }
        for account in &mut self.accounts {
            account.shift(span);
        }
        self.upstreams.shift(span);
        self.models.shift(span);
        self.leases.shift(span);
        self.evidence.shift(span);
        self.queue.shift(span);
        self.budget.shift(span);
        self.affinity.shift(span);
        self.demand.shift(span);
        self.twins.shift(span);
        self.totals.shift(span);
        self.foresight.shift(span);
    }
}
