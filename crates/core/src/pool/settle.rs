//! The good end of an attempt, and any end of a lease.

use super::account::Stand;
use super::lease::Lease;
use super::{Effects, Notice, Outcome, Pool};
use crate::id::LeaseId;

impl Pool {
    /// Headers of a 2xx arrived: whoever had failed before works again.
    pub(super) fn welcome(&mut self, id: LeaseId, effects: &mut Effects) {
        let Some(lease) = self.leases.get_mut(id).filter(|lease| !lease.answered) else { return };
        lease.answered = true;
        if lease.blameless {
            return;
        }
        self.settle_down(id);
        let Some(lease) = self.leases.get_mut(id) else { return };
        let (now, model, key) = (self.now, lease.model.clone(), lease.key);
        if let Some(upstream) = self.upstreams.get_mut(lease.upstream) {
            upstream.tally.answered();
            upstream.breaker.close(now);
        }
        if let Some(model) = self.models.get_mut(model.as_ref()) {
            model.tally.answered();
            model.breaker.close(now);
        }
        let Some((key, account)) = self.key_mut(key) else { return };
        // A dead key is revived by its own trial only, not by an answer to something older.
        if key.refused.tries(id) {
            key.refused.reset();
        }
        if account.barred.tries(id) {
            account.barred.reset();
        }
        account.breaker.close(now);
        account.holds.answered(model.as_ref(), now);
        if account.away && account.stand(Stand::default(), now).block.is_none() {
            account.away = false;
            effects.notices.push(Notice::Back { key: key.id });
            effects.save = true;
        }
        let account = account.id;
        self.evidence.answered(account, model.as_ref());
    }

    /// Ends a lease.
    pub(super) fn close(&mut self, id: LeaseId, outcome: Outcome, effects: &mut Effects) {
        if matches!(outcome, Outcome::Served(_) | Outcome::Cut(..)) {
            self.welcome(id, effects);
        }
        let Some(lease) = self.leases.close(id) else { return };
        self.book(&lease, &outcome, effects);
        if let Some((key, _)) = self.key_mut(lease.key) {
            key.in_flight = key.in_flight.saturating_sub(1);
        }
        match outcome {
            Outcome::Served(_) => self.delivered(&lease),
            Outcome::Cut(_, fault) | Outcome::Faulted(fault) => {
                self.blame(id, &lease, &fault, effects);
            }
            Outcome::Abandoned(_) => {}
        }
        if lease.trial {
            self.free_trials(id, &lease);
        }
        self.retire(lease.key);
    }

    /// An answer arrived whole: rows of cut streams end.
    fn delivered(&mut self, lease: &Lease) {
        if lease.blameless {
            return;
        }
        if let Some(model) = self.models.get_mut(lease.model.as_ref()) {
            model.tally.served();
        }
        if let Some(upstream) = self.upstreams.get_mut(lease.upstream) {
            upstream.tally.served();
        }
        let Some(account) = self.key(lease.key).map(|key| key.account) else { return };
        self.evidence.served(account);
    }

    /// Whatever trial this lease still holds has taught nothing.
    fn free_trials(&mut self, id: LeaseId, lease: &Lease) {
        if let Some(model) = self.models.get_mut(lease.model.as_ref()) {
            model.breaker.free(id);
        }
        if let Some(upstream) = self.upstreams.get_mut(lease.upstream) {
            upstream.breaker.free(id);
        }
        let Some((key, account)) = self.key_mut(lease.key) else { return };
        key.refused.free(id);
        account.barred.free(id);
        account.breaker.free(id);
    }
}
