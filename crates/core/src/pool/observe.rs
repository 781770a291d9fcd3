//! What is learned beside requests: usage reports and their failures.

use super::{Effects, Pool};
use crate::id::KeyId;
use crate::report::Report;
use crate::time::Millis;

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

impl Pool {
    /// Takes note of what was learned with `key`.
    pub fn observe(&mut self, _key: KeyId, _observation: Observation, now: Millis) -> Effects {
        self.sync(now);
        Effects::default()
    }
}
