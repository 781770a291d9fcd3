//! What is known and foreseen, for people. Made on demand; nothing decides by it.

use std::cmp::Reverse;

use super::Pool;
use super::account::Account;
use super::funds::Funds;
use crate::time::Millis;
use crate::view::{AccountView, CacheView, Foreseen, ModelUse, PoolView, View, WindowView};
use crate::window::{PerWindow, Window};

impl Pool {
    /// What is known and foreseen.
    pub fn view(&self, now: Millis) -> View {
        let now = now.max(self.now);
        let accounts: Vec<AccountView> =
            self.accounts_in_order().map(|a| self.account_view(a, now)).collect();
        View {
            at: now,
            pool: self.pool_view(now),
            accounts,
            models: self.model_uses(),
            caches: self.caches(),
            since: self.totals.since.unwrap_or(now),
            rotation_tax: self.totals.rotation_tax,
            switches: self.totals.switches,
            forfeited: self.totals.forfeited,
            balance_spent: self.accounts.iter().map(|account| account.funds.balance.spent).sum(),
        }
    }

    /// In the rotation order of each one's first key.
    fn accounts_in_order(&self) -> impl Iterator<Item = &Account> {
        let first = |slot: usize, key: usize| {
            self.active().position(|other| other.slot == slot) == Some(key)
        };
        let keys = self.active().enumerate();
        keys.filter(move |(index, key)| first(key.slot, *index))
            .filter_map(|(_, key)| self.accounts.get(key.slot))
    }

    fn account_view(&self, account: &Account, now: Millis) -> AccountView {
        let keys = self.active().filter(|key| key.account == account.id);
        let windows = Window::ALL.map(|window| account.funds.window_view(window, now));
        AccountView {
            account: account.id,
            keys: keys.map(|key| (key.id, key.label.clone())).collect(),
            binds: binds(&windows),
            windows,
            reported: account.funds.ledger.reported(),
            balance_spent: account.funds.balance.spent,
            parked: account.funds.balance.parked.filter(|until| now < *until),
        }
    }

    /// The pool is dry when the last account is, if the demand goes to whoever is left.
    fn pool_view(&self, now: Millis) -> PoolView {
        let alive = || self.accounts.iter().filter(|account| !account.is_dead(now));
        let returns = alive().filter_map(|account| account.returns(now)).min();
        let known = self.foresight.informed && alive().all(|account| account.funds.ledger.known());
        let trusted = known && self.demand.trusted();
        PoolView { dry: trusted.then(|| self.dry(now)), returns, scarce: self.foresight.scarce }
    }

    fn dry(&self, now: Millis) -> Foreseen {
        // What each account can still serve until its first window ends for longer than five hours,
        // all of it up to the first return.
        let alive = || self.accounts.iter().filter(|account| !account.is_dead(now));
        let left: f64 = alive().map(|account| account.funds.left(now)).sum();
        let until = alive().filter_map(|account| account.funds.first_reset(now)).min();
        self.demand.exhaustion(now, left, until.unwrap_or(now.plus(crate::time::DAY)))
    }

    fn model_uses(&self) -> Vec<ModelUse> {
        let mut uses: Vec<ModelUse> = self
            .totals
            .models
            .iter()
            .map(|(model, used)| ModelUse {
                model: model.clone(),
                requests: used.requests,
                input: used.input,
                cached: used.cached,
                output: used.output,
                list_cost: used.list_cost,
            })
            .collect();
        uses.sort_by_key(|used| Reverse(used.requests));
        uses
    }

    fn caches(&self) -> Vec<CacheView> {
        let known = self.warmth.models().filter(|model| self.totals.models.contains_key(*model));
        known
            .map(|model| CacheView {
                model: model.clone(),
                warm_for: self.warmth.warm_for(Some(model)),
                survives: self.warmth.survives(Some(model)),
                seen: self.warmth.seen(Some(model)),
            })
            .collect()
    }
}

/// The window that will be exhausted first, by its median.
fn binds(windows: &PerWindow<WindowView>) -> Option<usize> {
    let limited = windows.iter().position(|window| window.limited);
    let ends = windows
        .iter()
        .enumerate()
        .filter_map(|(index, window)| Some((window.forecast?.p50?, index)));
    limited.or_else(|| ends.min().map(|(_, index)| index))
}

impl Account {
    /// When it is of use again, if it is out of quota now.
    fn returns(&self, now: Millis) -> Option<Millis> {
        let refused = self.quota.as_ref().map(|quota| quota.until).filter(|until| now < *until);
        let parked = self.funds.balance.parked.filter(|until| now < *until);
        refused.max(self.funds.limited(now)).max(parked)
    }
}

impl Funds {
    fn window_view(&self, window: Window, now: Millis) -> WindowView {
        let belief = self.ledger.belief(window);
        let left = self.ledger.dollars_left(window).filter(|_| belief.reported);
        let until = self.ends(window, now);
        let trusted = self.demand.trusted();
        let foreseen = left.filter(|_| trusted);
        let unused = |left: f64| (left - self.demand.expected(now, until)).max(0.0);
        WindowView {
            percent: belief.reported.then(|| (belief.low, belief.high.min(100.0))),
            limited: belief.limited,
            resets_at: belief.resets,
            burn: self.demand.rate(now),
            forecast: foreseen.map(|left| self.demand.exhaustion(now, left, until)),
            forfeits: foreseen.map(unused),
        }
    }

    /// Quota-dollars it can serve before its next reset.
    fn left(&self, now: Millis) -> f64 {
        if self.limited(now).is_some() {
            return 0.0;
        }
        let left = Window::ALL.into_iter().filter_map(|window| self.ledger.dollars_left(window));
        left.reduce(f64::min).unwrap_or(0.0)
    }

    fn first_reset(&self, now: Millis) -> Option<Millis> {
        let resets = Window::ALL.into_iter().filter_map(|window| self.ledger.belief(window).resets);
        resets.filter(|at| now < *at).min()
    }
}
