//! Choosing one account among several: one file per strategy.
//!
//! A strategy sees nothing but the candidate rows. The rows keep the reason of everyone who was
//! passed over, so that an explanation renders them later and decides nothing.

use crate::fault::FaultKind;
use crate::id::{AccountId, KeyId};
use crate::time::Millis;

pub mod round_robin;

/// One key and how it stands for the request at hand. Rows come in rotation order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The key.
    pub key: KeyId,
    /// Its account.
    pub account: AccountId,
    /// Attempts in flight on the account.
    pub in_flight: u32,
    /// Can it run the request?
    pub fit: Fit,
}

/// Whether a candidate can run the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Yes.
    Usable,
    /// Yes, as a half-open breaker's single trial.
    Trial,
    /// Not before one of its attempts ends: `maxConcurrentPerKey`.
    Full,
    /// Not before the trial of a half-open breaker ends, which is under way.
    Awaited(Block),
    /// The request has tried it.
    Tried,
    /// Another key of the same account stands for it.
    SharesAccount,
    /// Not before the block ends.
    Blocked(Block),
}

impl Fit {
    /// Can it run the request now?
    pub const fn runs(self) -> bool {
        matches!(self, Self::Usable | Self::Trial)
    }
}

/// What keeps a candidate out, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Which of its guards.
    pub guard: Guard,
    /// The fault behind it.
    pub why: Option<FaultKind>,
    /// The earliest return.
    pub until: Millis,
}

/// The guards of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Dead: only a re-check, a new configuration or `reload` helps.
    Dead,
    /// Out of quota.
    Quota,
    /// A cooldown or breaker of the account.
    Cooling,
    /// A cooldown of the account for this model.
    Model,
    /// The account may not use this model, and nothing else keeps it out.
    NotServed,
    /// The breaker of its upstream.
    Upstream,
}
