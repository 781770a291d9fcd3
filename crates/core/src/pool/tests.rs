//! The pool as its edges see it.

use std::sync::Arc;

use super::{
    Admission, AllowBalance, Ask, Effects, Grant, Notice, Outcome, Pool, Refusal, Roster,
    RosterKey, Rules, State, Trail,
};
use crate::fault::{Answer, Body, Fault, FaultKind, Trouble, of_answer, of_trouble};
use crate::format::Format;
use crate::id::{KeyId, LeaseId, UpstreamId};
use crate::meter::Bill;
use crate::time::Millis;

mod answers;
mod breakers;
mod clock;
mod faults;
mod machine;
mod queue;
mod quota;
mod roster;
mod sessions;
mod speed;

const START: Millis = Millis(1_790_000_000_000);

/// A pool with a clock, and requests that are one line each.
struct Desk {
    pool: Pool,
    now: Millis,
    notices: Vec<Notice>,
}

/// Keys 1 to `n`, all at the same upstream.
fn keys(n: u64) -> Vec<RosterKey> {
    (1..=n).map(|id| key(id, 0)).collect()
}

fn key(id: u64, upstream: u16) -> RosterKey {
    RosterKey {
        id: KeyId(id),
        label: format!("key-{id}").into(),
        upstream: UpstreamId(upstream),
        plan: None,
        allow_balance: AllowBalance::No,
    }
}

fn ask(model: &str) -> Ask {
    Ask {
        model: Some(model.into()),
        format: Some(Format::Chat),
        session: None,
        warm: false,
        body_bytes: 0,
    }
}

fn error(status: u16, kind: &str) -> Fault {
    of_answer(&Answer { status, body: Body::Error, kind: Some(kind.into()), ..Answer::default() })
}

fn server_error() -> Fault {
    error(500, "error")
}

fn quota(seconds: u64, workspace: &str) -> Fault {
    of_answer(&Answer {
        status: 429,
        body: Body::Error,
        kind: Some("GoUsageLimitError".into()),
        retry_after: Some(seconds),
        workspace: Some(workspace.into()).filter(|w: &String| !w.is_empty()),
        ..Answer::default()
    })
}

fn after(status: u16, kind: &str, seconds: u64) -> Fault {
    of_answer(&Answer {
        status,
        body: Body::Error,
        kind: Some(kind.into()),
        retry_after: Some(seconds),
        ..Answer::default()
    })
}

/// What an attempt meets.
type World<'a> = &'a dyn Fn(KeyId) -> Result<(), Fault>;

impl Desk {
    fn new(keys: Vec<RosterKey>) -> Self {
        Self::with(keys, Rules::default())
    }

    fn with(keys: Vec<RosterKey>, rules: Rules) -> Self {
        let mut pool = Pool::new();
        let _started = pool.apply(Roster { keys, rules }, false, START);
        Self { pool, now: START, notices: Vec::new() }
    }

    fn pass(&mut self, span: i64) {
        self.now = self.now.plus(span);
    }

    fn note(&mut self, effects: Effects) -> Effects {
        self.notices.extend(effects.notices.iter().cloned());
        effects
    }

    fn admit(&mut self, ask: &Ask, trail: &Trail) -> Admission {
        let (admission, effects) = self.pool.admit(ask, trail, self.now);
        self.note(effects);
        admission
    }

    fn enter(&mut self) -> Trail {
        self.pool.enter(self.now)
    }

    fn answered(&mut self, lease: LeaseId) -> Effects {
        let effects = self.pool.answered(lease, self.now);
        self.note(effects)
    }

    fn settle(&mut self, lease: LeaseId, outcome: Outcome) -> Effects {
        let effects = self.pool.settle(lease, outcome, self.now);
        self.note(effects)
    }

    /// A first attempt that must go.
    fn go(&mut self, model: &str) -> Grant {
        let trail = self.enter();
        match self.admit(&ask(model), &trail) {
            Admission::Go(grant) => grant,
            other => panic!("not admitted: {other:?}"),
        }
    }

    /// A first attempt that must wait.
    fn waits(&mut self, model: &str) -> Trail {
        let trail = self.enter();
        match self.admit(&ask(model), &trail) {
            Admission::Wait { .. } => trail,
            other => panic!("does not wait: {other:?}"),
        }
    }

    /// A first attempt that must not go.
    fn refused(&mut self, model: &str) -> Refusal {
        let trail = self.enter();
        match self.admit(&ask(model), &trail) {
            Admission::Refuse(refusal) => refusal,
            other => panic!("admitted: {other:?}"),
        }
    }

    /// A whole request: the keys it tried, and how it ended.
    fn request(&mut self, ask: &Ask, world: World) -> (Vec<u64>, Result<(), Refusal>) {
        let mut trail = self.enter();
        let mut tried = Vec::new();
        loop {
            let grant = match self.admit(ask, &trail) {
                Admission::Go(grant) => grant,
                Admission::Refuse(refusal) => return (tried, Err(refusal)),
                Admission::Wait { .. } => panic!("waits"),
            };
            tried.push(grant.key.0);
            match world(grant.key) {
                Ok(()) => {
                    self.answered(grant.lease);
                    self.settle(grant.lease, Outcome::Served(Bill::NOTHING));
                    return (tried, Ok(()));
                }
                Err(fault) => {
                    let outcome = if fault.kind == FaultKind::Cut {
                        Outcome::Cut(Bill::NOTHING, fault.clone())
                    } else {
                        Outcome::Faulted(fault.clone())
                    };
                    self.settle(grant.lease, outcome);
                    trail.record(grant.key, fault);
                }
            }
        }
    }

    /// The key that serves a request in a healthy world.
    fn served(&mut self, model: &str) -> u64 {
        match self.request(&ask(model), &|_| Ok(())) {
            (tried, Ok(())) => tried[0],
            other => panic!("not served: {other:?}"),
        }
    }

    fn state(&self, key: u64) -> State {
        let standings = self.pool.standings(self.now);
        standings.iter().find(|s| s.key == KeyId(key)).map(|s| s.state).expect("a known key")
    }

    fn states(&self) -> Vec<State> {
        self.pool.standings(self.now).iter().map(|standing| standing.state).collect()
    }
}
