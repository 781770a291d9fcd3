//! What is learned beside requests: usage reports and their failures. And when they are asked for.

use super::account::{Account, Stand};
use super::{Effects, Notice, Pool};
use crate::fault::FaultKind;
use crate::id::{AccountId, KeyId};
use crate::report::Report;
use crate::time::{Millis, SECOND};
use crate::window::Window;

/// Something learned about an account beside its requests. Each [`Effects::poll`] is answered by
/// exactly one of the first two.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// The usage API answered.
    Usage(Report),
    /// The usage API gave no report.
    NoUsage(NoUsage),
    /// A dashboard page was read.
    Page(Report),
}

/// Why the usage API gave no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoUsage {
    /// 404 or 405: this upstream has none. Asked again rarely.
    Absent,
    /// 401: the key is not known. Teaches the pool nothing: a request will.
    Refused,
    /// 403 `EntitlementError`: no Go subscription.
    NotSubscribed,
    /// Anything else; with the seconds of `retry-after`, if there was one.
    Trouble {
        /// Seconds.
        retry_after: Option<u64>,
    },
}

/// What was foreseen for the pool, and when.
#[derive(Debug, Default)]
pub(super) struct Foresight {
    /// Something was said of some account's quota.
    pub(super) informed: bool,
    /// Something happened since scarcity was judged last.
    pub(super) restless: bool,
    /// When scarcity was judged last.
    pub(super) refreshed: Option<Millis>,
    /// Does any window bind before its reset, in one case of ten?
    pub(super) scarce: bool,
}

impl Foresight {
    pub(super) fn shift(&mut self, span: i64) {
        self.refreshed = self.refreshed.map(|at| at.plus(span));
    }
}

impl Pool {
    /// Takes note of what was learned with `key`.
    pub fn observe(&mut self, key: KeyId, observation: Observation, now: Millis) -> Effects {
        self.sync(now);
        let mut effects = Effects::default();
        match observation {
            Observation::Usage(report) => {
                if let Some(account) = self.awaiting(key) {
                    let busy = account.funds.in_use(now);
                    account.funds.polls.answered(key, busy, now);
                }
                self.hear(key, &report, &mut effects);
            }
            Observation::Page(report) => self.hear(key, &report, &mut effects),
            Observation::NoUsage(why) => {
                if let Some(account) = self.awaiting(key) {
                    account.funds.polls.failed(key, why, now);
                }
            }
        }
        self.refresh();
        self.wake_waiters(&mut effects);
        self.order_reports(&mut effects);
        effects.rearm = true;
        effects
    }

    /// The account of a key whose report was ordered. What comes unasked, or too late, changes no
    /// schedule.
    fn awaiting(&mut self, key: KeyId) -> Option<&mut Account> {
        let (_, account) = self.key_mut(key)?;
        account.funds.polls.awaits(key).then_some(account)
    }

    fn hear(&mut self, key: KeyId, report: &Report, effects: &mut Effects) {
        let Some((_, account)) = self.key_mut(key) else { return };
        let id = account.id;
        account.funds.hear(report);
        self.foresight.informed = true;
        self.foresight.restless = true;
        effects.save = true;
        if let Some(workspace) = &report.workspace {
            self.learn_workspace(key, workspace, effects);
        }
        let limit = self.account(id).and_then(|account| account.funds.limited(self.now));
        if let Some(until) = limit {
            self.tell_limit(key, until, effects);
        }
        self.welcome_back(key, effects);
        if let Some(twin) = self.twins.observe(id, report) {
            self.join(twin, id, effects);
        }
    }

    /// The owner should know, once, that a window is used up.
    fn tell_limit(&mut self, key: KeyId, until: Millis, effects: &mut Effects) {
        let Some((_, account)) = self.key_mut(key) else { return };
        if std::mem::replace(&mut account.away, true) {
            return;
        }
        let why = FaultKind::Quota;
        effects.notices.push(Notice::Cooling { key, model: None, why, until });
    }

    /// A report that shows room again ends what only reports had said.
    fn welcome_back(&mut self, key: KeyId, effects: &mut Effects) {
        let now = self.now;
        let Some((_, account)) = self.key_mut(key) else { return };
        if account.away && account.stand(Stand::default(), now).block.is_none() {
            account.away = false;
            effects.notices.push(Notice::Back { key });
        }
    }

    /// Two accounts that have been two so far are one, by what the service reports of them.
    fn join(&mut self, keeps: AccountId, joins: AccountId, effects: &mut Effects) {
        let key = self.keys.iter().find(|key| key.account == joins).map(|key| key.id);
        if let Some(key) = key {
            self.merge(keeps, joins, key, effects);
        }
    }

    /// Orders the reports for which it is time.
    pub(super) fn order_reports(&mut self, effects: &mut Effects) {
        let now = self.now;
        for slot in 0..self.accounts.len() {
            let Some(account) = self.accounts.get(slot) else { break };
            let id = account.id;
            let Some(key) = self.speaker(id) else { continue };
            let Some(account) = self.accounts.get_mut(slot) else { break };
            if account.funds.polls.ask(key, now) {
                effects.poll.push(key);
            }
        }
    }

    /// When a report is to be ordered.
    pub(super) fn reports_due(&self) -> impl Iterator<Item = Millis> {
        let in_use = |slot: usize| self.active().any(|key| key.slot == slot);
        let accounts = self.accounts.iter().enumerate().filter(move |(slot, _)| in_use(*slot));
        accounts.filter_map(|(_, account)| account.funds.polls.due())
    }

    /// When scarcity is to be judged again.
    pub(super) fn refresh_due(&self) -> Option<Millis> {
        let due = || self.foresight.refreshed.map_or(self.now, |at| at.plus(SECOND));
        (self.foresight.informed && self.foresight.restless).then(due)
    }

    /// Windows whose reset has passed begin anew.
    pub(super) fn end_windows(&mut self) {
        for account in &mut self.accounts {
            if let Some(forfeited) = account.funds.pass(self.now) {
                self.totals.forfeited += forfeited;
                self.foresight.restless = true;
            }
        }
    }

    /// Silence is data too, unless it was enforced.
    pub(super) fn watch_demand(&mut self) {
        let now = self.now;
        let mut any = false;
        for account in &mut self.accounts {
            let open = account.is_in_use(now);
            any |= open;
            account.funds.demand.pass(now, open);
        }
        self.demand.pass(now, any);
    }

    /// Judges anew whether quota is scarce, at most once a second.
    pub(super) fn refresh(&mut self) {
        let now = self.now;
        if !self.foresight.informed {
            return;
        }
        let seen = self.foresight.refreshed.is_some_and(|at| now.since(at) < SECOND && now >= at);
        if seen || !self.foresight.restless {
            return;
        }
        self.foresight.refreshed = Some(now);
        self.foresight.restless = false;
        self.foresight.scarce = self.is_scarce();
    }

    /// Does any window of any account in use bind before its reset, in one case of ten, if everybody
    /// takes turns as before? Not while anything is unknown of any of them.
    fn is_scarce(&self) -> bool {
        let (now, in_use) = (self.now, || self.accounts.iter().filter(|a| a.is_in_use(self.now)));
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let sharing = in_use().count() as f64;
        let binds = |account: &Account, window: Window| {
            let Some(left) = account.funds.ledger.dollars_left(window) else { return false };
            let until = account.funds.ends(window, now);
            self.demand.quantile(now, until, 0.9) / sharing >= left
        };
        in_use().all(|account| account.funds.ledger.known())
            && in_use().any(|account| Window::ALL.into_iter().any(|window| binds(account, window)))
    }
}
