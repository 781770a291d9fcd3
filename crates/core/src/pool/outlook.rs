//! What a request will probably cost, where its conversation is warm, and who is chosen by that.

use std::sync::Arc;

use super::account::{Account, Key};
use super::funds::{Room, narrow};
use super::{Ask, Pool};
use crate::appetite::Known;
use crate::cost::Charge;
use crate::id::AccountId;
use crate::price::Plan;
use crate::select::{Candidate, Fit, Need, Quota, Reason, Strategy, predictive, round_robin};
use crate::warmth::leaving_cost;

/// A cache less likely to be warm than this does not hold a session on its account.
pub(super) const COLD: f64 = 0.5;

/// Where a session came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Came {
    /// The account that served it last.
    pub(super) from: AccountId,
    /// What was known of it.
    pub(super) known: Known,
    /// The chance that the cache was still warm.
    pub(super) warm: f64,
}

/// What is expected of one request.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    pub(super) need: Need,
    pub(super) came: Option<Came>,
    /// List dollars: probably, and at most in nine cases of ten. `None`: not worth working out,
    /// because nothing is known of any quota.
    pub(super) list: Option<(f64, f64)>,
}

impl Pool {
    pub(super) fn outlook(
        &self,
        ask: &Ask,
        model: Option<&Arc<str>>,
        rows: &[Candidate],
    ) -> Outlook {
        let last = rows.iter().position(|row| Some(row.key) == self.last);
        let threshold = self.rules.usage_threshold.map(f32::from);
        let mut need = Need { last, threshold, ..Need::default() };
        if self.rules.strategy == Strategy::RoundRobin {
            return Outlook { need, ..Outlook::default() };
        }
        need.scarce = self.foresight.scarce;
        let came = self.came(ask, model);
        let list = self.foresight.informed.then(|| self.expect(ask, model, came.as_ref()));
        if let Some(came) = came.filter(|came| came.warm >= COLD) {
            need.seat = Some(came.from);
            let prefix = came.known.prefix;
            let rate = model.and_then(|model| self.rules.prices.rate_at(model, prefix, self.now));
            if let Some(rate) = rate {
                let survives = self.warmth.survives(model);
                let (input, cached) = (rate.input, rate.cache_read);
                let list = leaving_cost(input, cached, prefix, came.warm, survives);
                need.leaving = narrow(list * self.multiplier(model));
            }
        }
        let likely = list.map_or(0.0, |(likely, _)| likely);
        need.cost = narrow(likely * self.multiplier(model));
        Outlook { need, came, list }
    }

    pub(super) fn choose(&self, rows: &[Candidate], need: &Need) -> Option<(usize, Reason)> {
        match self.rules.strategy {
            Strategy::Predictive => predictive::choose(rows, need),
            Strategy::RoundRobin => round_robin::choose(rows, need),
        }
    }

    /// Where the conversation was before, if that still means anything.
    fn came(&self, ask: &Ask, model: Option<&Arc<str>>) -> Option<Came> {
        let session = ask.session.filter(|_| ask.warm)?;
        let seat = self.affinity.seat(session, model, ask.body_bytes)?;
        if seat.suspended == Some(seat.account) {
            return None;
        }
        let warm = self.warmth.warm(model, seat.idle(self.now));
        Some(Came { from: seat.account, known: seat.known(), warm })
    }

    fn expect(&self, ask: &Ask, model: Option<&Arc<str>>, came: Option<&Came>) -> (f64, f64) {
        let (known, warm) = came.map_or((Known::default(), 0.0), |came| (came.known, came.warm));
        let guess = self.appetite.guess(model, ask.body_bytes, known, warm);
        // A model without a price may be as dear as the dearest.
        let prices = &self.rules.prices;
        let price = |tokens| {
            let known = model.and_then(|model| prices.list_cost(model, tokens, self.now));
            known.unwrap_or_else(|| prices.dearest_cost(tokens))
        };
        (price(&guess.likely), price(&guess.most))
    }

    /// By what a strategy compares costs, before it is known whose plan will count.
    fn multiplier(&self, model: Option<&Arc<str>>) -> f64 {
        let known = model.and_then(|model| self.rules.prices.multiplier(model, Plan::Go));
        known.unwrap_or(1.0)
    }

    /// What the request will cost on the account of this row, in quota-dollars.
    pub(super) fn cost_at(
        &self,
        row: &Candidate,
        model: Option<&Arc<str>>,
        outlook: &Outlook,
    ) -> (f64, f64) {
        let Some((low, high)) = outlook.list else { return (0.0, 0.0) };
        let Some(account) = self.account(row.account) else { return (0.0, 0.0) };
        let multipliers = self.rules.prices.multipliers(model.map_or("", |model| model));
        let charge = Charge { low, high, model: model.cloned(), multipliers };
        let cost = account.funds.ledger.cost(&charge);
        (cost.low, cost.high)
    }

    /// What a strategy may weigh of this key's account.
    pub(super) fn quota_of(&self, key: &Key) -> Quota {
        if !self.foresight.informed {
            return Quota::default();
        }
        self.accounts
            .get(key.slot)
            .map_or(Quota::default(), |account| account.funds.quota(self.now))
    }

    /// Is there doubt that the account has quota left?
    pub(super) fn doubt(&self, account: &Account, in_flight: u32) -> Option<Fit> {
        if !self.foresight.informed || self.rules.strategy == Strategy::RoundRobin {
            return None;
        }
        match account.funds.room(in_flight) {
            Room::Open => None,
            Room::Try => Some(Fit::LastResort),
            Room::Unsure => Some(Fit::Unsure),
        }
    }

    /// Somebody waits to hear what is left.
    pub(super) fn want_reports(&mut self, rows: &[Candidate]) {
        let now = self.now;
        for row in rows.iter().filter(|row| row.fit == Fit::Unsure) {
            if let Some((_, account)) = self.key_mut(row.key) {
                let sooner = account.funds.polls.wanted(now);
                self.rearm |= sooner;
            }
        }
    }
}
