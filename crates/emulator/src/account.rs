//! An account: the (workspace, user) that owns quota, with its keys and its standing.

use serde::{Deserialize, Serialize};

use crate::calendar;
use crate::price::Money;
use crate::quota::{Plan, Quota};

/// An API key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Key {
    /// Its name in faults, log and counters.
    pub label: String,
    /// `sk-` + 64 alphanumerics, or `oc_sk_…` for the new Console (upstream.md §0.1).
    pub secret: String,
    /// Deleted keys are unknown keys (upstream.md §2.2).
    pub deleted: bool,
}

impl Key {
    /// A legacy key derived from its label, the same in every run.
    pub fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            secret: format!("sk-{}", letters(label, 64)),
            deleted: false,
        }
    }

    /// A key of the new Console (upstream.md §0.1).
    pub fn console(label: &str) -> Self {
        Self { secret: format!("oc_sk_{}", letters(label, 48)), ..Self::new(label) }
    }
}

/// One subscription and everything that decides whether its requests are served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the service's own")]
pub struct Account {
    /// Its name in faults, log and counters.
    pub label: String,
    /// `wrk_…`
    pub workspace: String,
    /// `usr_…`
    pub user: String,
    /// Its keys; an account without any gets one named like the account.
    pub keys: Vec<Key>,
    /// Go or Go Plus. Setting it in Rust does not change `quota.limits`.
    pub plan: Plan,
    /// There is a Go subscription (`CreditsError`, `EntitlementError`, `Account.Disabled`).
    pub subscribed: bool,
    /// The three windows.
    pub quota: Quota,
    /// "Use balance": over the limit, requests go on and cost money (upstream.md §4).
    pub use_balance: bool,
    /// Prepaid dollars.
    pub balance: Money,
    /// A payment method is stored (`CreditsError`).
    pub payment_method: bool,
    /// The workspace's spending limit per calendar month (`MonthlyLimitError`).
    pub workspace_limit: Option<Money>,
    /// The member's spending limit per calendar month (`UserLimitError`).
    pub user_limit: Option<Money>,
    /// The workspace is blocked (`AuthError`, `INFERENCE_ACCESS_BLOCKED`).
    pub blocked: bool,
    /// The workspace is flagged: blocked for `claude-*` and `gpt-*` only.
    pub flagged: bool,
    /// Opted in to training (`DataPolicyError`).
    pub training: bool,
    /// Opted in to region "cn" (`RegionError`); the service's default is off outside China.
    pub region_cn: bool,
    /// Models not served to this workspace: the bare 403 `{"model":"…"}` (upstream.md §2.2).
    pub unserved: Vec<String>,
    /// Models switched off by the workspace; only counts when the balance pays.
    pub disabled_models: Vec<String>,
    /// `migrated_at` is set: legacy keys are forwarded to the new service (upstream.md §0.1).
    pub migrated: bool,
    /// Value of the dashboard's cookie `auth` (upstream.md §3.6).
    pub cookie: String,
    /// Balance spent in the calendar month that begins at `.0`.
    pub spent: (i64, Money),
}

impl Default for Account {
    fn default() -> Self {
        Self {
            label: String::new(),
            workspace: String::new(),
            user: String::new(),
            keys: Vec::new(),
            plan: Plan::Go,
            subscribed: true,
            quota: Quota::new(Plan::Go, 0),
            use_balance: false,
            balance: Money::ZERO,
            payment_method: true,
            workspace_limit: None,
            user_limit: None,
            blocked: false,
            flagged: false,
            training: false,
            region_cn: false,
            unserved: Vec::new(),
            disabled_models: Vec::new(),
            migrated: false,
            cookie: String::new(),
            spent: (0, Money::ZERO),
        }
    }
}

impl Account {
    /// A Go account in good standing with one key; ids and key follow from the label.
    pub fn new(label: &str) -> Self {
        Self { label: label.to_owned(), ..Self::default() }
    }

    /// The same on another plan.
    #[must_use]
    pub fn plan(mut self, plan: Plan) -> Self {
        self.plan = plan;
        self.quota.limits = plan.limits();
        self
    }

    /// With another key.
    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        self.keys.push(key);
        self
    }

    /// Fills in what was left out: ids, a key, the cookie, a creation date some days before `now`.
    pub(crate) fn completed(mut self, now: i64) -> Self {
        let fill = |field: &mut String, prefix: &str, label: &str| {
            if field.is_empty() {
                *field = format!("{prefix}{}", letters(&format!("{prefix}{label}"), 26));
            }
        };
        fill(&mut self.workspace, "wrk_", &self.label);
        fill(&mut self.user, "usr_", &self.label);
        fill(&mut self.cookie, "Fe26.2**", &self.label);
        if self.keys.is_empty() {
            self.keys.push(Key::new(&self.label));
        }
        for (index, key) in self.keys.iter_mut().enumerate() {
            if key.label.is_empty() {
                key.label = match index {
                    0 => self.label.clone(),
                    _ => format!("{}-{}", self.label, index + 1),
                };
            }
            if key.secret.is_empty() {
                key.secret = Key::new(&key.label).secret;
            }
        }
        if self.quota.created_ms == 0 {
            let spread = xxhash_rust::xxh3::xxh3_64(self.label.as_bytes()) % (27 * 86_400);
            let seconds = i64::try_from(spread).unwrap_or(0);
            self.quota.created_ms = now - now.rem_euclid(calendar::SECOND) - seconds * 1_000;
        }
        self
    }

    /// The key with this secret, unless deleted.
    pub(crate) fn find_key(&self, secret: &str) -> Option<&Key> {
        self.keys.iter().find(|key| !key.deleted && key.secret == secret)
    }

    /// Balance spent in the calendar month of `now`.
    pub fn spent_this_month(&self, now: i64) -> Money {
        if self.spent.0 == calendar::month_start(now) { self.spent.1 } else { Money::ZERO }
    }

    /// Takes the cost of a request from the balance.
    pub(crate) fn pay(&mut self, now: i64, cost: Money) {
        self.spent = (calendar::month_start(now), self.spent_this_month(now) + cost);
        self.balance -= cost;
    }
}

/// `count` alphanumerics that follow from `seed` alone.
fn letters(seed: &str, count: usize) -> String {
    const ALPHABET: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    (0u64..)
        .take(count)
        .map(|index| {
            let hash = xxhash_rust::xxh3::xxh3_64_with_seed(seed.as_bytes(), index);
            let at = usize::try_from(hash % 62).unwrap_or(0);
            ALPHABET.get(at).copied().map_or('a', char::from)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_look_like_the_service_s() {
        let account = Account::new("a").completed(1_000_000_000_000);
        let secret = &account.keys[0].secret;
        assert_eq!(secret.len(), 67);
        assert!(secret.starts_with("sk-"));
        assert!(secret[3..].chars().all(|c| c.is_ascii_alphanumeric()));
        assert_eq!(Account::new("a").completed(5).keys, account.keys, "the same in every run");
        assert!(Key::console("n").secret.starts_with("oc_sk_"));
    }

    #[test]
    fn spending_counts_by_calendar_month() {
        let mut account = Account { balance: Money::dollars(5.0), ..Account::new("a") };
        account.pay(10, Money::dollars(1.0));
        account.pay(20, Money::dollars(1.0));
        assert_eq!(account.spent_this_month(30), Money::dollars(2.0));
        assert_eq!(account.spent_this_month(32 * calendar::DAY), Money::ZERO);
        assert_eq!(account.balance, Money::dollars(3.0));
    }
}
