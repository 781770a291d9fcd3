//! How keys stand, for people.

use std::sync::Arc;

use super::account::Key;
use super::{Held, Pool, Rows, Standing, State};
use crate::breaker::Phase;
use crate::pool::model::memorable;
use crate::pool::{Ask, Trail};
use crate::select::{Block, Guard};
use crate::time::Millis;

impl Pool {
    pub(super) fn standings_at(&self, now: Millis) -> Vec<Standing> {
        self.active().map(|key| self.standing(key, now.max(self.now))).collect()
    }

    fn standing(&self, key: &Key, now: Millis) -> Standing {
        // What the way to the service is like says nothing of the key.
        let stand = key.stand(Phase::Closed, now);
        let stand = match self.accounts.get(key.slot) {
            Some(account) => account.stand(stand, now),
            None => stand,
        };
        let state = match stand.block {
            Some(Block { guard: Guard::Dead, .. }) => State::Dead,
            Some(Block { guard: Guard::Quota | Guard::Balance, .. }) => State::OutOfQuota,
            Some(_) => State::Cooling,
            None if stand.trial => State::Trial,
            None => State::Ready,
        };
        Standing {
            key: key.id,
            label: Arc::clone(&key.label),
            account: key.account,
            state,
            why: stand.block.and_then(|block| block.why),
            until: stand.block.map(|block| block.until),
            in_flight: key.in_flight,
            last_fault: key.last_fault,
        }
    }

    pub(super) fn held_models_at(&self, now: Millis) -> Vec<Held> {
        let now = now.max(self.now);
        let everywhere = self.models.held_at(now).map(|(model, why, until)| Held {
            model: Arc::clone(model),
            label: None,
            why,
            until,
        });
        let at_accounts = self.active().filter_map(|key| Some((key, self.accounts.get(key.slot)?)));
        let at_accounts = at_accounts.flat_map(|(key, account)| {
            account.holds.held_at(now).map(|(model, hold)| Held {
                model: Arc::clone(model),
                label: Some(Arc::clone(&key.label)),
                why: Some(hold.why),
                until: hold.until,
            })
        });
        everywhere.chain(at_accounts).collect()
    }

    pub(super) fn rows(&self, ask: &Ask, trail: &Trail) -> Rows {
        self.rows_for(memorable(ask.model.as_ref()), &trail.tried)
    }
}
