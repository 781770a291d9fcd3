//! Random sequences of everything an edge can do, in any order, with clocks that jump.
//!
//! The reference is bookkeeping, not a second pool: what must hold is stated as invariants that are
//! checked after each step, and as promises that are checked when the dust has settled.

mod steps;

use std::collections::{BTreeMap, BTreeSet};

use proptest::test_runner::Config;
use proptest_state_machine::{StateMachineTest, prop_state_machine};

use super::*;
use crate::breaker::{Breaker, Phase};
use crate::id::TicketId;
use crate::pool::account::Key;
use crate::pool::admit::Gate;
use crate::pool::{NoUsage, Observation};
use crate::report::{Reading, Report, Source};
use crate::time::{DAY, HOUR, MINUTE};
use steps::{MODELS, Reference, Step, end};

#[derive(Debug)]
struct Request {
    ask: Ask,
    trail: Trail,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    Waits { until: Millis },
    Woken,
    Flies { lease: LeaseId, key: KeyId },
}

#[derive(Debug)]
struct Edge {
    pool: Pool,
    now: Millis,
    requests: BTreeMap<TicketId, Request>,
    ended: Vec<LeaseId>,
    /// Keys that were said to be dead, until when.
    dead: BTreeMap<KeyId, Millis>,
    /// Reports ordered, and since when.
    asked: BTreeMap<KeyId, Millis>,
}

impl Edge {
    fn flying(&self) -> Vec<(TicketId, LeaseId, KeyId)> {
        let flies = |(ticket, request): (&TicketId, &Request)| match request.stage {
            Stage::Flies { lease, key } => Some((*ticket, lease, key)),
            _ => None,
        };
        self.requests.iter().filter_map(flies).collect()
    }

    fn resting(&self) -> Vec<TicketId> {
        let rests = |request: &Request| !matches!(request.stage, Stage::Flies { .. });
        self.requests.iter().filter(|(_, request)| rests(request)).map(|(id, _)| *id).collect()
    }

    fn take(&mut self, effects: Effects) {
        for key in effects.poll {
            let before = self.asked.insert(key, self.now);
            let lost = |at: Millis| self.now.since(at) >= MINUTE;
            assert!(before.is_none_or(lost), "asked twice at once");
        }
        for ticket in effects.wake {
            let request = self.requests.get_mut(&ticket).expect("only waiters are woken");
            assert!(matches!(request.stage, Stage::Waits { .. }), "woken once: {request:?}");
            request.stage = Stage::Woken;
        }
        for notice in effects.notices {
            match notice {
                Notice::Dead { key, until, why } => {
                    let account = self.account(key);
                    let whole = why != FaultKind::KeyRefused;
                    for other in self.pool.keys.iter().map(|key| key.id).collect::<Vec<_>>() {
                        if other == key || (whole && self.account(other) == account) {
                            self.dead.insert(other, until);
                        }
                    }
                }
                Notice::Cooling { until, .. } => assert!(until > self.now),
                _ => {}
            }
        }
    }

    fn account(&self, key: KeyId) -> Option<crate::id::AccountId> {
        self.pool.keys.iter().find(|known| known.id == key).map(|known| known.account)
    }

    fn load(&self, key: KeyId) -> usize {
        let account = self.account(key);
        self.flying().iter().filter(|(_, _, other)| self.account(*other) == account).count()
    }

    fn ask(&mut self, ticket: TicketId) {
        let Some(request) = self.requests.get(&ticket) else { return };
        let (ask, trail) = (request.ask.clone(), request.trail.clone());
        let (admission, effects) = self.pool.admit(&ask, &trail, self.now);
        let stage = match admission {
            Admission::Go(grant) => {
                self.check_grant(&grant, &trail);
                Stage::Flies { lease: grant.lease, key: grant.key }
            }
            Admission::Wait { until } => {
                assert!(until > self.now);
                Stage::Waits { until }
            }
            Admission::Refuse(refusal) => {
                assert!(refusal != Refusal::LastAttempt || trail.last.is_some(), "no attempt");
                self.requests.remove(&ticket);
                self.take(effects);
                return;
            }
        };
        self.requests.get_mut(&ticket).expect("asked").stage = stage;
        self.take(effects);
    }

    fn check_grant(&self, grant: &Grant, trail: &Trail) {
        let account = self.account(grant.key);
        assert!(account.is_some());
        for (tried, kind) in &trail.tried {
            assert_ne!(*tried, grant.key, "the same key twice");
            // A refused key never reached its account: another key of it may.
            if *kind != FaultKind::KeyRefused {
                assert_ne!(self.account(*tried), account, "tried twice");
            }
        }
        let limit = self.pool.rules.max_concurrent as usize;
        assert!(limit == 0 || self.load(grant.key) < limit, "more than the limit");
        if let Some(until) = self.dead.get(&grant.key) {
            assert!(*until <= self.now && grant.trial, "dead until {until:?}: {grant:?}");
        }
        let ambiguous = trail.tried.iter().filter(|(_, kind)| kind.ambiguous()).count();
        assert!(ambiguous <= 1, "repeated twice");
        assert_eq!(grant.replay, ambiguous == 1);
    }

    fn settle(&mut self, (ticket, lease, key): (TicketId, LeaseId, KeyId), outcome: Outcome) {
        if matches!(outcome, Outcome::Served(_) | Outcome::Cut(..)) {
            self.revived(lease);
        }
        let fault = match &outcome {
            Outcome::Faulted(fault) | Outcome::Cut(_, fault) => Some(fault.clone()),
            Outcome::Served(_) | Outcome::Abandoned(_) => None,
        };
        let request = self.requests.get_mut(&ticket).expect("in flight");
        request.stage = Stage::Idle;
        match fault {
            Some(fault) => request.trail.record(key, fault),
            None => drop(self.requests.remove(&ticket)),
        }
        let effects = self.pool.settle(lease, outcome, self.now);
        self.ended.push(lease);
        self.take(effects);
    }

    /// A dead key's own trial is answered.
    fn revived(&mut self, lease: LeaseId) {
        let open = self.pool.leases.get_mut(lease).map(|lease| (lease.blameless, lease.answered));
        if open != Some((false, false)) {
            return;
        }
        let revived = self.pool.keys.iter().filter(|key| {
            let barred = self.pool.accounts.get(key.slot).is_some_and(|a| a.barred.tries(lease));
            key.refused.tries(lease) || barred
        });
        for id in revived.map(|key| key.id).collect::<Vec<_>>() {
            self.dead.remove(&id);
        }
    }

    fn jump(&mut self, span: i64) {
        self.now = self.now.plus(span);
        if span < 0 {
            for until in self.dead.values_mut() {
                *until = until.plus(span);
            }
            for at in self.asked.values_mut() {
                *at = at.plus(span);
            }
            for request in self.requests.values_mut() {
                if let Stage::Waits { until } = &mut request.stage {
                    *until = until.plus(span);
                }
            }
        }
        self.tick();
    }

    fn tick(&mut self) {
        let effects = self.pool.tick(self.now);
        self.take(effects);
        assert!(self.pool.due().is_none_or(|due| due > self.now), "the timer would spin");
    }

    fn reload(&mut self, mask: u8, fresh: bool, limit: u32, moved: bool) {
        let chosen = (1..=6_u64).filter(|id| mask >> (id - 1) & 1 == 1);
        let keys: Vec<_> = chosen.map(|id| key(id, u16::from(moved && id % 2 == 0))).collect();
        if fresh || moved {
            self.dead.clear();
        }
        self.dead.retain(|id, _| keys.iter().any(|key| key.id == *id));
        // A key that comes back is new to the pool.
        self.asked.retain(|id, _| keys.iter().any(|key| key.id == *id));
        let rules = Rules { max_concurrent: limit, ..Rules::default() };
        let effects = self.pool.apply(Roster { keys, rules }, fresh, self.now);
        // A move away from another upstream forgives as well.
        if !moved {
            let barred = |key: &Key| {
                let account = self.pool.accounts.get(key.slot);
                let shut = |breaker: &Breaker| breaker.phase(self.now, None) != Phase::Closed;
                shut(&key.refused) || account.is_some_and(|account| shut(&account.barred))
            };
            let keys: BTreeSet<_> =
                self.pool.keys.iter().filter(|key| barred(key)).map(|key| key.id).collect();
            self.dead.retain(|id, _| keys.contains(id));
        }
        self.take(effects);
    }

    fn step(&mut self, step: Step) {
        let flying = self.flying();
        let flight = |pick: usize| flying.get(pick.checked_rem(flying.len())?).copied();
        let resting = self.resting();
        let rest = |pick: usize| resting.get(pick.checked_rem(resting.len())?).copied();
        match step {
            Step::Enter { model, route } => {
                let trail = self.pool.enter(self.now);
                let format = (!route).then_some(Format::Chat);
                let ask = Ask { format, ..ask(MODELS[model]) };
                let ticket = trail.ticket;
                self.requests.insert(ticket, Request { ask, trail, stage: Stage::Idle });
                self.ask(ticket);
            }
            Step::Ask { pick } => {
                if let Some(ticket) = rest(pick) {
                    self.ask(ticket);
                }
            }
            Step::Answer { pick } => {
                if let Some((_, lease, _)) = flight(pick) {
                    self.revived(lease);
                    let effects = self.pool.answered(lease, self.now);
                    self.take(effects);
                }
            }
            Step::Settle { pick, end: kind } => {
                if let Some(flight) = flight(pick) {
                    self.settle(flight, end(kind, flight.2));
                }
            }
            Step::SettleAgain { pick } => {
                if let Some(lease) = pick.checked_rem(self.ended.len()).map(|i| self.ended[i]) {
                    let effects = self.pool.settle(lease, end(3, KeyId(1)), self.now);
                    self.take(effects);
                }
            }
            Step::Leave { pick } => {
                if let Some(ticket) = rest(pick) {
                    self.requests.remove(&ticket);
                    let effects = self.pool.leave(ticket, self.now);
                    self.take(effects);
                }
            }
            Step::Apply { keys, fresh, limit, moved } => self.reload(keys, fresh, limit, moved),
            Step::Jump { span } => self.jump(span),
            Step::Hear { pick, percents, hours } => {
                let asked: Vec<_> = self.asked.keys().copied().collect();
                let Some(key) = pick.checked_rem(asked.len()).map(|index| asked[index]) else {
                    return;
                };
                self.asked.remove(&key);
                let observation = self.report(percents, hours);
                let effects = self.pool.observe(key, observation, self.now);
                self.take(effects);
            }
            Step::Tick => {
                self.now = self.pool.due().unwrap_or(self.now).max(self.now);
                self.tick();
            }
        }
    }

    /// More than 100 percent: no report.
    fn report(&self, percents: [u8; 3], hours: i64) -> Observation {
        if percents[0] > 100 {
            return Observation::NoUsage(NoUsage::Trouble { retry_after: None });
        }
        let reading = |percent: u8| {
            let resets_at = Some(self.now.plus(hours * HOUR));
            Some(Reading { percent, limited: percent == 100, resets_at })
        };
        Observation::Usage(Report {
            source: Source::Api,
            sent: self.now,
            received: self.now,
            windows: percents.map(reading),
            workspace: None,
            user: None,
            use_balance: None,
        })
    }

    fn check(&self) {
        let pool = &self.pool;
        for account in &pool.accounts {
            let on_it =
                |lease: &&super::super::lease::Lease| self.account(lease.key) == Some(account.id);
            let held: u64 =
                pool.leases.iter().map(|(_, lease)| lease).filter(on_it).map(|l| l.reserved).sum();
            assert_eq!(account.funds.reserved, held, "a reservation leaked: {account:?}");
        }
        let flying = self.flying();
        assert_eq!(pool.in_flight(), flying.len());
        let open: BTreeSet<_> = pool.leases.iter().map(|(id, _)| id).collect();
        assert_eq!(open, flying.iter().map(|(_, lease, _)| *lease).collect());
        for key in &pool.keys {
            let own = flying.iter().filter(|(_, _, id)| *id == key.id).count();
            assert_eq!(key.in_flight as usize, own, "{key:?}");
            assert!(!key.retired || own > 0, "retired without a lease");
            assert_eq!(pool.accounts[key.slot].id, key.account);
        }
        let sum: usize = pool.standings(self.now).iter().map(|s| s.in_flight as usize).sum();
        assert!(sum <= flying.len());
        self.check_trials(&open);
        self.check_waiters();
    }

    fn check_trials(&self, open: &BTreeSet<LeaseId>) {
        let free = |breaker: &Breaker| {
            breaker.phase(self.now, None) != Phase::Trying
                || open.iter().any(|lease| breaker.tries(*lease))
        };
        for account in &self.pool.accounts {
            assert!(free(&account.barred) && free(&account.breaker), "leaked: {account:?}");
        }
        assert!(self.pool.keys.iter().all(|key| free(&key.refused)));
        assert!(self.pool.models.breakers().all(free));
        assert!(self.pool.upstreams.breakers().all(free));
    }

    /// Nobody sleeps while it could run, or while there is nothing to wait for.
    fn check_waiters(&self) {
        for request in self.requests.values() {
            if let Stage::Waits { until } = request.stage {
                assert!(self.now < until, "overslept");
                if matches!(self.pool.gate(request.ask.model.as_ref()), Gate::Awaited(_)) {
                    continue;
                }
                let rows = self.pool.candidates(&request.ask, &request.trail);
                assert!(rows.iter().all(|row| !row.fit.runs()), "sleeps beside a free slot");
                let hope = rows.iter().any(|row| row.fit.is_worth_waiting_for());
                assert!(hope, "sleeps for nothing");
            }
        }
    }

    /// When everything has ended and every span has passed, everybody can go.
    fn settle_dust(&mut self) {
        for flight in self.flying() {
            self.settle(flight, Outcome::Abandoned(Bill::NOTHING));
        }
        self.jump(self.pool.rules.queue_timeout);
        let asleep = |request: &Request| matches!(request.stage, Stage::Waits { .. });
        assert!(!self.requests.values().any(asleep), "never woken");
        for ticket in self.resting() {
            let effects = self.pool.leave(ticket, self.now);
            self.requests.remove(&ticket);
            self.take(effects);
        }
        self.jump(3 * DAY);
        assert_eq!(self.pool.in_flight(), 0);
        assert!(self.pool.accounts.iter().all(|account| account.funds.reserved == 0));
        for model in MODELS {
            let trail = self.pool.enter(self.now);
            let (admission, effects) = self.pool.admit(&ask(model), &trail, self.now);
            assert!(matches!(admission, Admission::Go(_)), "{model}: {admission:?}");
            self.take(effects);
            if let Admission::Go(grant) = admission {
                let effects = self.pool.settle(grant.lease, end(1, grant.key), self.now);
                self.take(effects);
            }
        }
    }
}

impl StateMachineTest for Edge {
    type SystemUnderTest = Self;
    type Reference = Reference;

    fn init_test((): &()) -> Self {
        let mut pool = Pool::new();
        let rules = Rules { max_concurrent: 2, ..Rules::default() };
        let _started = pool.apply(Roster { keys: keys(5), rules }, false, START);
        Self {
            pool,
            now: START,
            requests: BTreeMap::new(),
            ended: Vec::new(),
            dead: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }

    fn apply(mut state: Self, (): &(), step: Step) -> Self {
        state.step(step);
        state.check();
        state
    }

    fn teardown(mut state: Self, (): ()) {
        state.settle_dust();
    }
}

prop_state_machine! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]
    #[test]
    fn the_pool_keeps_its_promises(sequential 1..120 => Edge);
}
