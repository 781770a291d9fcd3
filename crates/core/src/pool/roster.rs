//! Who is in the pool: start, reload, retirement, and two keys that turn out to be one account.

use super::account::{Account, Key};
use super::{Effects, Notice, Pool, Roster, RosterKey};
use crate::breaker::Breaker;
use crate::id::{AccountId, KeyId};

/// Workspace ids are short; a longer one is none.
const WORKSPACE: usize = 256;

impl Pool {
    pub(super) fn take_roster(&mut self, roster: Roster, fresh: bool) {
        self.rules = roster.rules;
        self.rules.breaker_threshold = self.rules.breaker_threshold.max(1);
        let mut old = std::mem::take(&mut self.keys);
        let order: Vec<_> = old.iter().filter(|key| !key.retired).map(|key| key.id).collect();
        for configured in roster.keys {
            if self.keys.iter().all(|key| key.id != configured.id) {
                let known = old.iter().position(|key| key.id == configured.id);
                let key = match known {
                    Some(index) => self.renew(old.remove(index), configured),
                    None => self.register(configured),
                };
                self.keys.push(key);
            }
        }
        if fresh {
            self.keys.iter_mut().for_each(|key| key.refused.reset());
            let now = self.now;
            for account in &mut self.accounts {
                account.barred.reset();
                account.funds.balance.parked = None;
                account.funds.polls.forgive(now);
            }
        }
        self.rewind(&order);
        for mut key in old.into_iter().filter(|key| key.in_flight > 0) {
            key.retired = true;
            self.keys.push(key);
        }
        self.upstreams.keep(self.keys.iter().map(|key| key.upstream));
        self.reindex();
    }

    /// A key that was here before keeps what is known about it, unless it now leads elsewhere.
    fn renew(&mut self, mut key: Key, configured: RosterKey) -> Key {
        key.label = configured.label;
        key.retired = false;
        if let Some(account) = self.accounts.get_mut(key.slot) {
            account.funds.ledger.tell_plan(configured.plan);
            account.funds.balance.allow = configured.allow_balance;
        }
        if key.upstream != configured.upstream {
            key.upstream = configured.upstream;
            key.refused.reset();
            if let Some(account) = self.accounts.get_mut(key.slot) {
                account.barred.reset();
            }
        }
        key
    }

    fn register(&mut self, configured: RosterKey) -> Key {
        let account = AccountId(self.next_account);
        self.next_account = self.next_account.wrapping_add(1);
        let mut new = Account::new(account);
        new.funds.ledger.tell_plan(configured.plan);
        new.funds.balance.allow = configured.allow_balance;
        self.accounts.push(new);
        Key {
            id: configured.id,
            label: configured.label,
            upstream: configured.upstream,
            account,
            slot: self.accounts.len() - 1,
            retired: false,
            in_flight: 0,
            refused: Breaker::default(),
            last_fault: None,
        }
    }

    /// If the key that was used last is gone, its turn passes to those after it, not to the first.
    fn rewind(&mut self, order: &[KeyId]) {
        let used = order.iter().position(|id| Some(*id) == self.last);
        let before = used.and_then(|used| order.get(..=used)).unwrap_or_default();
        let stays = |id: &KeyId| self.keys.iter().any(|key| key.id == *id);
        self.last = before.iter().rev().find(|id| stays(id)).copied();
    }

    /// After any change of keys or accounts.
    fn reindex(&mut self) {
        let Self { keys, accounts, evidence, affinity, twins, .. } = self;
        accounts.retain(|account| {
            let used = keys.iter().any(|key| key.account == account.id);
            if !used {
                evidence.forget(account.id);
                affinity.forget_account(account.id);
                twins.forget(account.id);
            }
            used
        });
        for account in accounts.iter_mut() {
            account.alone = keys.iter().filter(|key| key.account == account.id).count() == 1;
        }
        for key in keys {
            let slot = accounts.iter().position(|account| account.id == key.account);
            key.slot = slot.unwrap_or(usize::MAX);
        }
    }

    /// A key whose last lease ended leaves, if it was removed from the configuration.
    pub(super) fn retire(&mut self, id: KeyId) {
        let gone = |key: &Key| key.id == id && key.retired && key.in_flight == 0;
        if self.keys.iter().any(gone) {
            self.keys.retain(|key| !gone(key));
            self.reindex();
        }
    }

    /// An answer to `key` named the workspace. Two keys of one workspace share its quota, because
    /// only one member of a workspace can subscribe.
    pub(super) fn learn_workspace(&mut self, key: KeyId, workspace: &str, effects: &mut Effects) {
        let Some(slot) = self.key(key).map(|key| key.slot) else { return };
        let Some(account) = self.accounts.get_mut(slot) else { return };
        if account.workspace.is_some() || workspace.is_empty() || workspace.len() > WORKSPACE {
            return;
        }
        let joins = account.id;
        account.workspace = Some(workspace.to_owned());
        let same =
            |other: &&Account| other.id != joins && other.workspace.as_deref() == Some(workspace);
        if let Some(keeps) = self.accounts.iter().find(same).map(|account| account.id) {
            self.merge(keeps, joins, key, effects);
        }
    }

    pub(super) fn merge(
        &mut self,
        keeps: AccountId,
        joins: AccountId,
        key: KeyId,
        effects: &mut Effects,
    ) {
        let first = self.keys.iter().find(|key| key.account == keeps).map(|key| key.id);
        let index = self.accounts.iter().position(|account| account.id == joins);
        let (Some(first), Some(index)) = (first, index) else { return };
        let half = self.accounts.remove(index);
        if let Some(account) = self.accounts.iter_mut().find(|account| account.id == keeps) {
            account.absorb(half);
        }
        for key in self.keys.iter_mut().filter(|key| key.account == joins) {
            key.account = keeps;
        }
        self.evidence.relabel(joins, keeps);
        self.queue.relabel(joins, keeps);
        self.affinity.relabel(joins, keeps);
        self.twins.forget(joins);
        self.reindex();
        effects.notices.push(Notice::Merged { keeps: first, joins: key });
        effects.save = true;
    }

    pub(super) fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == id)
    }

    pub(super) fn key(&self, id: KeyId) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// A key and its account.
    pub(super) fn key_mut(&mut self, id: KeyId) -> Option<(&mut Key, &mut Account)> {
        let key = self.keys.iter_mut().find(|key| key.id == id)?;
        let account = self.accounts.get_mut(key.slot)?;
        Some((key, account))
    }

    /// Keys in the configuration, in rotation order.
    pub(super) fn active(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().take_while(|key| !key.retired)
    }

    /// Attempts in flight on the account of this key.
    pub(super) fn load(&self, key: &Key) -> u32 {
        if self.accounts.get(key.slot).is_some_and(|account| account.alone) {
            return key.in_flight;
        }
        let siblings = self.keys.iter().filter(|other| other.account == key.account);
        siblings.map(|other| other.in_flight).sum()
    }
}
