//! What an ended attempt cost: written down against the account's quota, its session, and what is
//! known of the model.

use std::sync::Arc;

use super::lease::Lease;
use super::outlook::COLD;
use super::{Effects, Notice, Outcome, Pool};
use crate::cost::{Charge, Cost};
use crate::fault::{Fault, FaultKind, Verdict};
use crate::id::LeaseId;
use crate::meter::{Bill, Tokens};
use crate::price::Rate;
use crate::select::Strategy;
use crate::time::{DAY, Millis};
use crate::warmth;
use crate::window::Window;

impl Pool {
    /// A 2xx's headers: the session is at home here now.
    pub(super) fn settle_down(&mut self, id: LeaseId) {
        let Some(lease) = self.leases.get_mut(id) else { return };
        let Some(session) = lease.session else { return };
        let (model, key, bytes) = (lease.model.clone(), lease.key, lease.body_bytes);
        let Some(account) = self.key(key).map(|key| key.account) else { return };
        if self.rules.strategy == Strategy::Predictive {
            self.affinity.answered(session, account, model.as_ref(), bytes, self.now);
        }
    }

    /// Gives back what was held, and writes down what it really cost.
    pub(super) fn book(&mut self, lease: &Lease, outcome: &Outcome, effects: &mut Effects) {
        if let Some((_, account)) = self.key_mut(lease.key) {
            let funds = &mut account.funds;
            funds.reserved = funds.reserved.saturating_sub(lease.reserved);
        }
        if lease.blameless {
            return;
        }
        match outcome {
            Outcome::Served(bill) | Outcome::Cut(bill, _) => {
                self.charge(lease, bill, effects);
                self.learn(lease, bill);
            }
            Outcome::Abandoned(bill) if *bill != Bill::NOTHING => self.charge(lease, bill, effects),
            Outcome::Faulted(fault) if fault.verdict == Verdict::Maybe => {
                self.maybe_charge(lease, effects);
            }
            Outcome::Abandoned(_) | Outcome::Faulted(_) => {}
        }
        if let Outcome::Faulted(fault) | Outcome::Cut(_, fault) = outcome {
            self.unsettle(lease, fault);
        }
    }

    /// What may or may not have been served: the client's own retry should go elsewhere.
    fn unsettle(&mut self, lease: &Lease, fault: &Fault) {
        let unclear = fault.kind.ambiguous() || fault.kind == FaultKind::Timeout;
        let Some(session) = lease.session.filter(|_| unclear) else { return };
        let Some(account) = self.key(lease.key).map(|key| key.account) else { return };
        let (model, bytes) = (lease.model.as_ref(), lease.body_bytes);
        self.affinity.suspend(session, account, model, bytes, self.now);
    }

    fn charge(&mut self, lease: &Lease, bill: &Bill, effects: &mut Effects) {
        let ended = bill.ended.unwrap_or(self.now).min(self.now);
        let charge = Charge::of(bill, lease.model.as_ref(), &self.rules.prices, ended);
        let cost = self.spend(lease, &charge, ended, effects);
        self.watch_balance(lease, bill, cost, effects);
    }

    /// Upstream may have served it, and charged what was held for it at most.
    fn maybe_charge(&mut self, lease: &Lease, effects: &mut Effects) {
        let multipliers = self.rules.prices.multipliers(lease.model.as_deref().unwrap_or_default());
        let charge = Charge { low: 0.0, high: lease.list, model: lease.model.clone(), multipliers };
        self.spend(lease, &charge, self.now, effects);
    }

    /// Takes it from the account's quota. What was foreseen is out of date then.
    fn spend(
        &mut self,
        lease: &Lease,
        charge: &Charge,
        ended: Millis,
        effects: &mut Effects,
    ) -> Cost {
        let Some((_, account)) = self.key_mut(lease.key) else { return Cost::default() };
        let (cost, sooner) = account.funds.charge(charge, ended);
        self.demand.spend(ended, cost.middle());
        let first = !std::mem::replace(&mut self.foresight.restless, true);
        self.rearm |= sooner || (first && self.foresight.informed);
        effects.save = true;
        cost
    }

    /// What the answer taught of the model, its cache and its prices.
    fn learn(&mut self, lease: &Lease, bill: &Bill) {
        if !bill.metered {
            return;
        }
        let (tokens, now) = (bill.high, bill.ended.unwrap_or(self.now).min(self.now));
        let model = lease.model.as_ref();
        let list = self.list_cost(model, bill, now);
        self.totals.count(model, &tokens, list, now);
        if lease.body_bytes > 0 {
            self.appetite.learn(model, lease.body_bytes, lease.known, &tokens);
        }
        let Some(account) = self.key(lease.key).map(|key| key.account) else { return };
        if self.rules.strategy != Strategy::Predictive {
            return;
        }
        let Some(session) = lease.session else { return };
        let bytes = lease.body_bytes;
        let turn = self.affinity.settled(session, account, model, bytes, &tokens, now);
        let Some(turn) = turn else { return };
        if turn.moved_from.is_none() {
            self.warmth.learn_stay(model, turn.rested, turn.prefix, tokens.cached);
            return;
        }
        let warm = self.warmth.warm(model, turn.rested);
        if warm >= COLD {
            self.totals.moved(self.tax(model, &tokens, turn.prefix, warm, now));
        }
        self.warmth.learn_move(model, turn.rested, turn.prefix, tokens.cached);
    }

    fn list_cost(&self, model: Option<&Arc<str>>, bill: &Bill, at: Millis) -> f64 {
        let by_table = || self.rules.prices.list_cost(model?, &bill.high, at);
        bill.list_cost.or_else(by_table).unwrap_or(0.0)
    }

    /// Input that had to be paid at full price because the session had moved, in list dollars.
    fn tax(
        &self,
        model: Option<&Arc<str>>,
        tokens: &Tokens,
        prefix: u64,
        warm: f64,
        at: Millis,
    ) -> f64 {
        let rate = model.and_then(|model| self.rules.prices.rate_at(model, prefix, at));
        let survives = self.warmth.survives(model);
        let price = |rate: Rate| {
            warmth::tax(rate.input, rate.cache_read, prefix, tokens.cached, warm, survives)
        };
        rate.map_or(0.0, price)
    }

    /// A charge on the prepaid balance, or an answer from an account whose quota is used up, means
    /// that the owner pays. Unless that is allowed, the account is parked.
    fn watch_balance(&mut self, lease: &Lease, bill: &Bill, cost: Cost, effects: &mut Effects) {
        let now = self.now;
        let charged = bill.balance_cost.filter(|dollars| *dollars > 0.0);
        let Some((key, account)) = self.key_mut(lease.key) else { return };
        let key = key.id;
        let funds = &mut account.funds;
        if let Some(dollars) = charged {
            funds.balance.spent += dollars;
            funds.balance.off = false;
        }
        // Models without a price pass upstream's quota check: they say nothing.
        let beyond = cost.high > 0.0 && funds.was_limited(lease.begun);
        if (charged.is_none() && !beyond) || funds.balance.may_be_spent() {
            return;
        }
        let resets = Window::ALL.map(|window| funds.ledger.belief(window));
        let limited = resets.iter().filter(|belief| belief.limited).filter_map(|b| b.resets).max();
        let until = limited.or(resets.iter().filter_map(|b| b.resets).max());
        let until = until.filter(|until| now < *until).unwrap_or(now.plus(DAY));
        let told = funds.balance.parked.is_some_and(|parked| now < parked);
        funds.balance.parked = funds.balance.parked.max(Some(until));
        effects.save = true;
        if !told {
            account.away = true;
            let _sooner = account.funds.polls.at_once(now);
            self.order_reports(effects);
            effects.notices.push(Notice::BalanceSpent { key, amount: charged, until });
        }
    }
}
