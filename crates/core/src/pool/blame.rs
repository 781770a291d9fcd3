//! What a fault does to its scope, and the pardon.

use std::sync::Arc;

use smallvec::SmallVec;

use super::account::{Cooldown, Quota};
use super::lease::Lease;
use super::{Effects, Notice, Pool};
use crate::breaker::Growth;
use crate::evidence::{Blamed, Entry};
use crate::fault::{Fault, FaultKind, Penalty, Scope};
use crate::id::{AccountId, KeyId, LeaseId, UpstreamId};
use crate::time::{Millis, SECOND};

impl Pool {
    pub(super) fn blame(
        &mut self,
        id: LeaseId,
        lease: &Lease,
        fault: &Fault,
        effects: &mut Effects,
    ) {
        if lease.blameless {
            return;
        }
        if let Some(workspace) = &fault.workspace {
            self.learn_workspace(lease.key, workspace, effects);
        }
        let now = self.now;
        let upstream = lease.upstream;
        self.heard(upstream, fault);
        let Some((key, _)) = self.key_mut(lease.key) else { return };
        if key.upstream != upstream {
            // A reload sent the key elsewhere: what the old place says of it counts no more.
            return;
        }
        key.last_fault = Some((fault.kind, now));
        match (fault.kind.penalty(), fault.scope) {
            (Penalty::Nothing, _) => {}
            (Penalty::Recheck, _) => self.bar(id, lease, fault.kind, effects),
            (Penalty::Until(unsaid), scope) => {
                let given = fault.retry_after.map(|span| now.plus(span));
                let until = given.unwrap_or_else(|| unsaid.ends(now));
                match scope {
                    Scope::AccountModel => self.hold(lease, fault.kind, until, effects),
                    Scope::Model => self.hold_model(lease, fault.kind, until, effects),
                    _ => self.exhaust(lease, fault, until, effects),
                }
            }
            (Penalty::Growing, _) => self.hold_longer(lease, fault.kind, effects),
            (Penalty::Cooldown, _) => self.cool(id, lease, fault.kind, effects),
            (Penalty::Counts, Scope::Model) => {
                self.blame_model(id, lease.model.as_ref(), fault.kind, 1, effects);
            }
            (Penalty::Counts, Scope::Upstream | Scope::Network) => {
                self.blame_upstream(id, upstream, fault.kind, 1, effects);
            }
            (Penalty::Counts, _) => self.count(id, lease, fault.kind, effects),
        }
    }

    /// Any answer that is not a server error shows that the service is there.
    fn heard(&mut self, upstream: UpstreamId, fault: &Fault) {
        let now = self.now;
        if fault.status.is_some_and(|status| status < 500)
            && let Some(upstream) = self.upstreams.get_mut(upstream)
        {
            upstream.tally.answered();
            upstream.breaker.close(now);
        }
    }

    /// The service refuses the key, or the account whatever key asks.
    fn bar(&mut self, id: LeaseId, lease: &Lease, why: FaultKind, effects: &mut Effects) {
        let now = self.now;
        let Some((key, account)) = self.key_mut(lease.key) else { return };
        let guard =
            if why == FaultKind::KeyRefused { &mut key.refused } else { &mut account.barred };
        let until = guard
            .fail(id, why, None, now, Growth::RECHECK)
            .or_else(|| guard.open(why, None, now, Growth::RECHECK));
        if let Some(until) = until {
            account.away = true;
            effects.save = true;
            effects.notices.push(if why == FaultKind::SpendingLimit {
                Notice::Cooling { key: lease.key, model: None, why, until }
            } else {
                Notice::Dead { key: lease.key, why, until }
            });
        }
    }

    /// A window of the account is exhausted.
    fn exhaust(&mut self, lease: &Lease, fault: &Fault, until: Millis, effects: &mut Effects) {
        let now = self.now;
        let Some((_, account)) = self.key_mut(lease.key) else { return };
        // The service would not refuse, were it allowed to go on the balance.
        account.funds.balance.off = true;
        account.funds.ledger.exhausted(fault.window, until, now);
        let _sooner = account.funds.polls.at_once(now);
        self.foresight.informed = true;
        self.order_reports(effects);
        let Some((_, account)) = self.key_mut(lease.key) else { return };
        let known = account.quota.as_ref().map(|quota| quota.until);
        if known.is_some_and(|known| until <= known) {
            return;
        }
        account.quota = Some(Quota { until, window: fault.window });
        // Several requests learn the same at once, each with its own rounding to seconds.
        if known.is_none_or(|known| until.since(known) > 2 * SECOND) {
            self.tell(lease.key, None, fault.kind, until, effects);
        }
    }

    /// The account is not used for this model until then.
    fn hold(&mut self, lease: &Lease, why: FaultKind, until: Millis, effects: &mut Effects) {
        let Some((_, account)) = self.key_mut(lease.key) else { return };
        if let Some(model) = &lease.model
            && account.holds.until(model, why, until)
        {
            self.tell(lease.key, Some(model), why, until, effects);
        }
    }

    fn hold_longer(&mut self, lease: &Lease, why: FaultKind, effects: &mut Effects) {
        let now = self.now;
        let Some((_, account)) = self.key_mut(lease.key) else { return };
        if let Some(model) = &lease.model
            && let Some(until) = account.holds.grow(model, why, Growth::NOT_SERVED, now)
        {
            self.tell(lease.key, Some(model), why, until, effects);
        }
    }

    /// Nobody is asked for this model until then.
    fn hold_model(&mut self, lease: &Lease, why: FaultKind, until: Millis, effects: &mut Effects) {
        let Some(name) = &lease.model else { return };
        let model = self.models.touch(name, self.now);
        let news = model.held(self.now).is_none();
        model.hold(until);
        if news {
            effects.save = true;
            effects.notices.push(Notice::ModelOpen { model: Arc::clone(name), why, until });
        }
    }

    /// The account rests, on a suspicion that a second account can lift.
    fn cool(&mut self, id: LeaseId, lease: &Lease, why: FaultKind, effects: &mut Effects) {
        let Some(note) = self.witness(lease, why, false) else { return };
        if self.pardon(id, note, why, effects) {
            return;
        }
        let now = self.now;
        let until = now.plus(self.rules.breaker_cooldown);
        let Some((key, account)) = self.key_mut(lease.key) else { return };
        // Refused once more, in other words: a dead key stays dead.
        key.refused.fail(id, why, None, now, Growth::RECHECK);
        account.barred.fail(id, why, None, now, Growth::RECHECK);
        let known = account.cooldown.as_ref().is_some_and(|cooldown| now < cooldown.until);
        account.cooldown = Some(Cooldown { until, why, note });
        if !known {
            self.tell(lease.key, None, why, until, effects);
        }
    }

    /// One more error in a row on the account.
    fn count(&mut self, id: LeaseId, lease: &Lease, why: FaultKind, effects: &mut Effects) {
        let Some(note) = self.witness(lease, why, true) else { return };
        if self.pardon(id, note, why, effects) {
            return;
        }
        let (now, threshold) = (self.now, self.rules.breaker_threshold);
        let growth = Growth::account(self.rules.breaker_cooldown);
        let Some(account) = self.key(lease.key).map(|key| key.account) else { return };
        let enough = self.evidence.count(account) >= threshold;
        let Some((_, account)) = self.key_mut(lease.key) else { return };
        let failed = account.breaker.fail(id, why, Some(note), now, growth);
        let until = match failed {
            None if enough => account.breaker.open(why, Some(note), now, growth),
            _ => failed,
        };
        if let Some(until) = until {
            self.tell(lease.key, None, why, until, effects);
        }
    }

    fn witness(&mut self, lease: &Lease, kind: FaultKind, counts: bool) -> Option<u64> {
        let (at, key) = (self.now, self.key(lease.key)?);
        let entry = Entry {
            account: key.account,
            upstream: lease.upstream,
            model: lease.model.clone(),
            kind,
            begun: lease.begun,
            at,
            counts,
        };
        Some(self.evidence.record(entry))
    }

    /// Moves blame to the model or the upstream, if another account has failed alike. Undoes what
    /// the notes that moved had caused. Returns whether it did.
    fn pardon(&mut self, id: LeaseId, note: u64, what: FaultKind, effects: &mut Effects) -> bool {
        let Some(pardon) = self.evidence.pardon(note) else { return false };
        for account in &mut self.accounts {
            let moved = |note: u64| pardon.moved.contains(&(note, account.id));
            if pardon.moved.iter().all(|(_, pardoned)| *pardoned != account.id) {
                continue;
            }
            let caused = account.breaker.note().is_some_and(moved);
            let too_few = account.breaker.first_opening()
                && self.evidence.count(account.id) < self.rules.breaker_threshold;
            if caused || too_few {
                account.breaker.pardon();
            }
            let caused = account.cooldown.as_ref().is_some_and(|cooldown| moved(cooldown.note));
            if caused {
                account.cooldown = None;
            }
        }
        let others: SmallVec<[AccountId; 4]> =
            pardon.moved.iter().filter(|(moved, _)| *moved != note).map(|moved| moved.1).collect();
        if !others.is_empty() {
            let pardoned = self.active().filter(|key| others.contains(&key.account));
            let keys: Vec<KeyId> = pardoned.map(|key| key.id).collect();
            effects.notices.push(Notice::Pardoned { keys, what });
            effects.save = true;
        }
        let times = u32::try_from(pardon.moved.len()).unwrap_or(u32::MAX);
        match pardon.blamed {
            Blamed::Model(model) => self.blame_model(id, Some(&model), what, times, effects),
            Blamed::Upstream(upstream) => self.blame_upstream(id, upstream, what, times, effects),
            Blamed::Nobody => {}
        }
        true
    }

    fn blame_model(
        &mut self,
        id: LeaseId,
        model: Option<&Arc<str>>,
        why: FaultKind,
        times: u32,
        effects: &mut Effects,
    ) {
        let Some(name) = model else { return };
        let threshold = self.rules.breaker_threshold;
        let model = self.models.touch(name, self.now);
        if let Some(until) = model.blame(why, times, threshold, id, self.now) {
            effects.save = true;
            effects.notices.push(Notice::ModelOpen { model: Arc::clone(name), why, until });
        }
    }

    fn blame_upstream(
        &mut self,
        id: LeaseId,
        upstream: UpstreamId,
        why: FaultKind,
        times: u32,
        effects: &mut Effects,
    ) {
        let (now, threshold) = (self.now, self.rules.breaker_threshold);
        let Some(entry) = self.upstreams.get_mut(upstream) else { return };
        if let Some(until) = entry.blame(why, times, threshold, id, now) {
            effects.save = true;
            effects.notices.push(Notice::UpstreamOpen { upstream, until });
        }
    }

    /// The owner should know that this account is not used for a while.
    fn tell(
        &mut self,
        id: KeyId,
        model: Option<&Arc<str>>,
        why: FaultKind,
        until: Millis,
        effects: &mut Effects,
    ) {
        if model.is_none()
            && let Some((_, account)) = self.key_mut(id)
        {
            account.away = true;
        }
        effects.save = true;
        effects.notices.push(Notice::Cooling { key: id, model: model.cloned(), why, until });
    }
}
