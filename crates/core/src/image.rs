//! What survives a restart: plain data, apart from the types that decide, so that a change of
//! those does not change the file.

use serde::{Deserialize, Serialize};

use crate::affinity::AffinityImage;
use crate::appetite::AppetiteImage;
use crate::forecast::DemandImage;
use crate::ledger::LedgerImage;
use crate::warmth::WarmthImage;

/// The state of a pool. Fields that a file does not have take their defaults; fields that this
/// version does not know are ignored. Accounts are named by the ids of their keys, which survive
/// rename, reorder and reload; times are Unix milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Image {
    /// When it was made.
    pub at: i64,
    /// Every account.
    pub accounts: Vec<AccountImage>,
    /// Sessions and their accounts.
    pub affinity: AffinityImage,
    /// What is known of prompt caches.
    pub warmth: WarmthImage,
    /// What is known of requests' costs.
    pub appetite: AppetiteImage,
    /// The pool's own demand.
    pub demand: DemandImage,
    /// Sums.
    pub totals: TotalsImage,
    /// The key used last.
    pub last: Option<u64>,
}

/// One account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AccountImage {
    /// Its keys.
    pub keys: Vec<KeyImage>,
    /// Its workspace, where known.
    pub workspace: Option<String>,
    /// Its quota.
    pub ledger: LedgerImage,
    /// Its demand.
    pub demand: DemandImage,
    /// Prepaid balance spent, in dollars.
    pub balance_spent: f64,
    /// "Use balance" is off.
    pub balance_off: bool,
    /// Not used until then, because requests went on its balance.
    pub parked: Option<i64>,
    /// Out of quota until then, as a refused request said.
    pub out_of_quota: Option<i64>,
    /// Cooling until then, and why.
    pub cooling: Option<(i64, String)>,
    /// Barred by the service, and until when it is not tried again.
    pub barred: Option<BreakerImage>,
    /// Its breaker.
    pub breaker: Option<BreakerImage>,
    /// Models it is not used for: until when, why, and the span that grows.
    pub holds: Vec<HoldImage>,
}

/// One key of an account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KeyImage {
    /// Fingerprint of its secret.
    pub id: u64,
    /// Refused by the service, and until when it is not tried again.
    pub refused: Option<BreakerImage>,
}

/// A breaker that is not closed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BreakerImage {
    /// Which fault opened it.
    pub why: String,
    /// When it becomes half-open.
    pub until: i64,
    /// For how long it was opened last, in milliseconds.
    pub span: i64,
}

/// A model for which an account is not used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HoldImage {
    /// Which.
    pub model: String,
    /// Which fault.
    pub why: String,
    /// Until when.
    pub until: i64,
    /// The span that grows, in milliseconds.
    pub span: i64,
}

/// Sums since the beginning.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TotalsImage {
    /// Since when.
    pub since: Option<i64>,
    /// Per model.
    pub models: Vec<UseImage>,
    /// List dollars paid again because a warm session moved.
    pub rotation_tax: f64,
    /// Warm sessions that moved.
    pub switches: u64,
    /// Quota-dollars lost at resets.
    pub forfeited: f64,
}

/// What one model consumed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UseImage {
    /// Which.
    pub model: String,
    /// Requests answered.
    pub requests: u64,
    /// Prompt tokens, cached ones included.
    pub input: u64,
    /// Of them read from the cache.
    pub cached: u64,
    /// Output tokens.
    pub output: u64,
    /// List dollars.
    pub list_cost: f64,
}
