//! May a request go, and to whom; and what to answer when nobody can serve it.

use std::sync::Arc;

use smallvec::SmallVec;

use super::account::{Account, Key};
use super::funds::micros;
use super::lease::Lease;
use super::model::memorable;
use super::outlook::Outlook;
use super::{Admission, Ask, Decision, Grant, Pool, Refusal, Rows, Trail};
use crate::appetite::Known;
use crate::breaker::{Growth, PATIENCE, Phase};
use crate::fault::{Fault, FaultKind, Rotation, Verdict};
use crate::id::{AccountId, KeyId, LeaseId};
use crate::select::{Candidate, Fit, Guard, Reason};
use crate::time::Millis;
use crate::window::Window;

/// Whether requests for a model may be made at all.
pub(super) enum Gate {
    Open,
    /// A trial is under way: its outcome is worth waiting for.
    Awaited(Refusal),
    Shut(Refusal),
}

impl Pool {
    /// `waiter`: until when the request may wait, if it already does.
    pub(super) fn decide(&mut self, ask: &Ask, trail: &Trail, waiter: Option<Millis>) -> Admission {
        if self.active().next().is_none() {
            return Admission::Refuse(Refusal::NoKeys);
        }
        if !self.may_go_on(ask, trail) {
            return Admission::Refuse(Refusal::LastAttempt);
        }
        let model = memorable(ask.model.as_ref());
        match self.gate(model) {
            Gate::Open => {}
            Gate::Awaited(refusal) => return self.wait_for_trial(model, trail, waiter, refusal),
            Gate::Shut(refusal) => return Admission::Refuse(after(trail, refusal)),
        }
        let rows = self.rows_for(model, &trail.tried);
        let outlook = self.outlook(ask, model, &rows);
        if let Some(choice) = self.choose(&rows, &outlook.need) {
            return self.grant(&rows, choice, &outlook, ask, trail);
        }
        if rows.iter().any(|row| row.fit == Fit::Full) {
            let span = self.rules.queue_timeout;
            return self.wait(model, trail, waiter, span, Refusal::QueueTimeout);
        }
        if rows.iter().any(|row| row.fit == Fit::Unsure) {
            self.want_reports(&rows);
            let span = self.rules.queue_timeout;
            return self.wait(model, trail, waiter, span, Refusal::NoReport);
        }
        if rows.iter().any(|row| matches!(row.fit, Fit::Awaited(_))) {
            let refusal = self.refusal(&rows, trail);
            return self.wait_for_trial(model, trail, waiter, refusal);
        }
        let in_vain = nothing_to_lose(&rows, trail);
        match in_vain.and_then(|index| Some((index, rows.get(index)?))) {
            Some((index, row)) if self.has_room(row.account, row.in_flight) => {
                self.grant(&rows, (index, Reason::NothingToLose), &outlook, ask, trail)
            }
            // Soon, not in the hour for which the model is held.
            Some(_) => Admission::Refuse(Refusal::QueueFull),
            None => Admission::Refuse(self.refusal(&rows, trail)),
        }
    }

    /// Does the last fault let the request go on?
    fn may_go_on(&self, ask: &Ask, trail: &Trail) -> bool {
        let Some(last) = &trail.last else { return true };
        let alike = trail.tried.iter().filter(|(_, kind)| *kind == last.kind).count();
        let ambiguous = trail.tried.iter().filter(|(_, kind)| kind.ambiguous()).count();
        let rotates = match last.rotation {
            Rotation::Never => false,
            Rotation::Freely => true,
            Rotation::Tries(tries) => alike < usize::from(tries),
        };
        let unserved = match last.verdict {
            Verdict::No => true,
            Verdict::Maybe => {
                self.rules.replay_ambiguous && ambiguous <= 1 && self.budget.allows(self.now)
            }
            Verdict::Yes => false,
        };
        ask.format.is_some() && rotates && unserved
    }

    /// What is known about the model may keep everybody from asking for it.
    pub(super) fn gate(&self, model: Option<&Arc<str>>) -> Gate {
        let Some(model) = self.models.get(model) else { return Gate::Open };
        if let Some(until) = model.held(self.now) {
            return Gate::Shut(Refusal::FreeLimit { until });
        }
        match model.phase(self.now) {
            Phase::Closed | Phase::HalfOpen => Gate::Open,
            Phase::Open { until } => Gate::Shut(Refusal::ModelOpen { until }),
            Phase::Trying => {
                Gate::Awaited(Refusal::ModelOpen { until: self.now.plus(Growth::MODEL.first) })
            }
        }
    }

    /// How every key stands for this request, in rotation order.
    pub(super) fn rows_for(&self, model: Option<&Arc<str>>, tried: &[(KeyId, FaultKind)]) -> Rows {
        // A refused key never reached its account: another key of it may.
        let accounts: SmallVec<[AccountId; 4]> = tried
            .iter()
            .filter(|(_, kind)| *kind != FaultKind::KeyRefused)
            .filter_map(|(id, _)| self.key(*id))
            .map(|key| key.account)
            .collect();
        let keys = |id| tried.iter().any(|(tried, _)| *tried == id);
        self.active().map(|key| self.row(key, model, &accounts, keys(key.id))).collect()
    }

    fn row(
        &self,
        key: &Key,
        model: Option<&Arc<str>>,
        tried: &[AccountId],
        tried_itself: bool,
    ) -> Candidate {
        let tried = tried_itself || tried.contains(&key.account);
        let in_flight = self.load(key);
        Candidate {
            key: key.id,
            account: key.account,
            in_flight,
            fit: self.fit(key, model, tried, in_flight),
            quota: self.quota_of(key),
        }
    }

    fn fit(&self, key: &Key, model: Option<&Arc<str>>, tried: bool, in_flight: u32) -> Fit {
        let Some(account) = self.accounts.get(key.slot) else { return Fit::SharesAccount };
        if !account.alone && self.speaker(key.account) != Some(key.id) {
            return Fit::SharesAccount;
        }
        let stand = key.stand(self.upstreams.phase(key.upstream, self.now), self.now);
        let stand = account.stand_for(model, account.stand(stand, self.now), self.now);
        if let Some(block) = stand.block.filter(|_| stand.firm) {
            Fit::Blocked(block)
        } else if tried {
            Fit::Tried
        } else if let Some(block) = stand.block {
            Fit::Awaited(block)
        } else if !self.has_room(account.id, in_flight) {
            Fit::Full
        } else if let Some(doubt) = self.doubt(account, in_flight) {
            doubt
        } else if stand.trial {
            Fit::Trial
        } else {
            Fit::Usable
        }
    }

    /// Is there a slot left on the account that nobody was promised?
    fn has_room(&self, account: AccountId, in_flight: u32) -> bool {
        let limit = self.rules.max_concurrent;
        limit == 0 || in_flight.saturating_add(self.queue.promised(account)) < limit
    }

    /// Of several keys of one account, the first that works.
    pub(super) fn speaker(&self, account: AccountId) -> Option<KeyId> {
        let works = |key: &&Key| {
            let upstream = self.upstreams.phase(key.upstream, self.now);
            key.stand(upstream, self.now).block.is_none()
        };
        let own = || self.active().filter(|key| key.account == account);
        own().find(works).or_else(|| own().next()).map(|key| key.id)
    }

    fn grant(
        &mut self,
        rows: &[Candidate],
        (chosen, reason): (usize, Reason),
        outlook: &Outlook,
        ask: &Ask,
        trail: &Trail,
    ) -> Admission {
        let model = memorable(ask.model.as_ref());
        let Some(row) = rows.get(chosen) else { return Admission::Refuse(Refusal::NoKeys) };
        let cost = self.cost_at(row, model, outlook);
        let now = self.now;
        let Some((key, account)) = self.key_mut(row.key) else {
            return Admission::Refuse(Refusal::NoKeys);
        };
        let reserved = micros(cost.1);
        key.in_flight += 1;
        account.funds.reserved = account.funds.reserved.saturating_add(reserved);
        account.funds.used = Some(now);
        let sooner = account.funds.polls.used();
        let upstream = key.upstream;
        self.rearm |= sooner;
        let lease = self.leases.open(Lease {
            key: row.key,
            upstream,
            model: model.cloned(),
            blameless: ask.format.is_none(),
            trial: false,
            answered: false,
            begun: self.now,
            reserved,
            list: outlook.list.map_or(0.0, |(_, most)| most),
            session: ask.session,
            body_bytes: ask.body_bytes,
            known: outlook.came.map_or_else(Known::default, |came| came.known),
        });
        let trial = self.take_trials(lease, row.key, model);
        if trial && let Some(lease) = self.leases.get_mut(lease) {
            lease.trial = true;
        }
        if trail.last.as_ref().is_some_and(|last| last.verdict == Verdict::Maybe) {
            self.budget.spend(self.now);
        }
        self.last = Some(row.key);
        let replay = trail.tried.iter().any(|(_, kind)| kind.ambiguous());
        let decision = Decision {
            rows: rows.into(),
            chosen,
            reason,
            cost,
            seat: outlook.came.map(|came| (came.from, came.warm)),
            scarce: outlook.need.scarce,
        };
        Admission::Go(Grant { lease, key: row.key, trial, replay, decision })
    }

    /// Makes the lease the trial of every breaker on its way that is half-open.
    fn take_trials(&mut self, lease: LeaseId, key: KeyId, model: Option<&Arc<str>>) -> bool {
        let now = self.now;
        let Some((key, account)) = self.key_mut(key) else { return false };
        let mut trial = key.refused.try_out(lease, now, None);
        trial |= account.barred.try_out(lease, now, None);
        trial |= account.breaker.try_out(lease, now, Some(PATIENCE));
        let upstream = key.upstream;
        if let Some(upstream) = self.upstreams.get_mut(upstream) {
            trial |= upstream.breaker.try_out(lease, now, Some(PATIENCE));
        }
        if let Some(model) = self.models.get_mut(model) {
            trial |= model.breaker.try_out(lease, now, Some(PATIENCE));
        }
        trial
    }

    fn wait_for_trial(
        &mut self,
        model: Option<&Arc<str>>,
        trail: &Trail,
        waiter: Option<Millis>,
        in_vain: Refusal,
    ) -> Admission {
        // By then the trial has an outcome, or keeps nobody out any more.
        let span = self.rules.queue_timeout.min(PATIENCE);
        self.wait(model, trail, waiter, span, in_vain)
    }

    fn wait(
        &mut self,
        model: Option<&Arc<str>>,
        trail: &Trail,
        waiter: Option<Millis>,
        span: i64,
        in_vain: Refusal,
    ) -> Admission {
        let until = waiter.unwrap_or_else(|| self.now.plus(span));
        if until <= self.now {
            return Admission::Refuse(after(trail, in_vain));
        }
        if waiter.is_none() {
            if self.queue.is_full() {
                return Admission::Refuse(after(trail, Refusal::QueueFull));
            }
            self.queue.push(trail.ticket, model.cloned(), trail.tried.clone(), until);
        }
        Admission::Wait { until }
    }

    /// The row of the account that returns first; the dead count only when all are dead.
    fn refusal(&self, rows: &[Candidate], trail: &Trail) -> Refusal {
        // An account that this request has tried and that others may still use: the pool is not
        // exhausted, this request's trail is.
        if rows.iter().any(|row| row.fit == Fit::Tried) {
            return Refusal::LastAttempt;
        }
        let blocks = rows.iter().filter_map(|row| match row.fit {
            Fit::Blocked(block) | Fit::Awaited(block) if block.guard != Guard::Dead => {
                Some((block, row.account))
            }
            _ => None,
        });
        let Some((first, account)) = blocks.min_by_key(|(block, _)| block.until) else {
            return after(trail, Refusal::AllDead);
        };
        let until = first.until;
        if !matches!(first.guard, Guard::Quota | Guard::Balance) {
            return after(trail, Refusal::Cooling { until });
        }
        let account = self.accounts.iter().find(|other| other.id == account);
        let quota = account.and_then(|account| account.quota.as_ref());
        after(
            trail,
            Refusal::OutOfQuota {
                until,
                window: quota.and_then(|quota| quota.window).or(account.and_then(binding)),
                workspace: account.and_then(|account| account.workspace.clone()),
            },
        )
    }
}

/// The window that keeps an account out for longest, as reported.
fn binding(account: &Account) -> Option<Window> {
    let limited = |window: &Window| account.funds.ledger.belief(*window).limited;
    Window::ALL.into_iter().filter(limited).max_by_key(|w| account.funds.ledger.belief(*w).resets)
}

/// No account may use this model, and nothing else keeps them out. An answer of our own could
/// not say why; so one of them is asked once more, and the client gets the service's own words.
fn nothing_to_lose(rows: &[Candidate], trail: &Trail) -> Option<usize> {
    let mut best: Option<(Millis, usize)> = None;
    let others = rows.iter().enumerate().filter(|(_, row)| row.fit != Fit::SharesAccount);
    for (index, row) in others {
        match row.fit {
            Fit::Blocked(block) if block.guard == Guard::Dead => {}
            Fit::Blocked(block) if block.guard == Guard::NotServed => {
                if best.is_none_or(|(until, _)| block.until < until) {
                    best = Some((block.until, index));
                }
            }
            _ => return None,
        }
    }
    best.map(|(_, index)| index).filter(|_| trail.last.is_none())
}

/// What to answer after the last attempt: its own outcome, unless that spoke of what the owner holds
/// at one account, where the state of all of them says more.
fn after(trail: &Trail, refusal: Refusal) -> Refusal {
    match &trail.last {
        Some(Fault { kind, .. }) if !FaultKind::speaks_of_account(*kind) => Refusal::LastAttempt,
        _ => refusal,
    }
}
