//! What is known and foreseen, for people and for programs: the figures behind `usage`, `/health`
//! and `/saros/v1/accounts`. Made on demand; nothing decides by it.

use std::sync::Arc;

use crate::id::{AccountId, KeyId};
use crate::report::Source;
use crate::time::Millis;
use crate::window::PerWindow;

/// The pool at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// When.
    pub at: Millis,
    /// Every account, in the rotation order of its first key.
    pub accounts: Vec<AccountView>,
    /// The pool as a whole.
    pub pool: PoolView,
    /// What each model consumed since [`View::since`], most requests first.
    pub models: Vec<ModelUse>,
    /// What is known of each model's prompt cache, for the models used.
    pub caches: Vec<CacheView>,
    /// Since when the totals count.
    pub since: Millis,
    /// What moves of warm sessions between accounts have cost in list dollars: input that had to
    /// be paid again at full price.
    pub rotation_tax: f64,
    /// How many warm sessions moved.
    pub switches: u64,
    /// Quota-dollars that resets took away unused.
    pub forfeited: f64,
    /// Prepaid balance spent, in dollars, as far as the wire said so.
    pub balance_spent: f64,
}

/// One account.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountView {
    /// Which.
    pub account: AccountId,
    /// Its keys, in rotation order.
    pub keys: Vec<(KeyId, Arc<str>)>,
    /// The windows.
    pub windows: PerWindow<WindowView>,
    /// Which window will end its service first, if any does before its reset.
    pub binds: Option<usize>,
    /// When upstream last reported on it, and by which way.
    pub reported: Option<(Millis, Source)>,
    /// Prepaid balance spent on it, in dollars.
    pub balance_spent: f64,
    /// Parked because requests went on its prepaid balance: until when.
    pub parked: Option<Millis>,
}

/// One window of one account.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct WindowView {
    /// Percent used, at least and at most; `None` while nothing was ever reported.
    pub percent: Option<(f64, f64)>,
    /// The service said `rate-limited`, or a request found it exhausted.
    pub limited: bool,
    /// When it resets; `None` while unknown, and of a five-hour window that is not open.
    pub resets_at: Option<Millis>,
    /// Quota-dollars per hour at the present rate.
    pub burn: f64,
    /// When it will be exhausted; `None`: not enough data.
    pub forecast: Option<Foreseen>,
    /// Quota-dollars that its reset will probably take away unused; `None`: not enough data.
    pub forfeits: Option<f64>,
}

/// When something ends, as quantiles. `None` in a field: not before the reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Foreseen {
    /// One truth in ten comes earlier.
    pub p10: Option<Millis>,
    /// Half of them.
    pub p50: Option<Millis>,
    /// One in ten comes later.
    pub p90: Option<Millis>,
}

/// The pool as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PoolView {
    /// When no account can serve any more; `None`: not enough data.
    pub dry: Option<Foreseen>,
    /// When the next capacity returns, where some is missing now.
    pub returns: Option<Millis>,
    /// Does the scheduler treat quota as scarce?
    pub scarce: bool,
}

/// What one model consumed.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelUse {
    /// Which.
    pub model: Arc<str>,
    /// Requests that were answered.
    pub requests: u64,
    /// Prompt tokens, cached ones included.
    pub input: u64,
    /// Of them read from the cache.
    pub cached: u64,
    /// Output tokens.
    pub output: u64,
    /// List price in dollars.
    pub list_cost: f64,
}

/// What is known of one model's prompt cache.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheView {
    /// Which.
    pub model: Arc<str>,
    /// How long a session may rest and be still warm more often than not, in milliseconds.
    pub warm_for: i64,
    /// The chance that the cache survives a change of account.
    pub survives: f64,
    /// From how many answers and moves this was learned.
    pub seen: (u64, u64),
}
