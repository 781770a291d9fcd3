//! What requests consume.

use crate::time::Millis;

/// Tokens of one answer, as the service itself counts them, with the formats'
/// differences removed: `input` never includes cached or cache-write tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens {
    /// Prompt tokens that were neither read from nor written to the cache.
    pub input: u64,
    /// Prompt tokens read from the cache; `None` when the answer has no such field.
    pub cached: Option<u64>,
    /// Prompt tokens written to the cache.
    pub cache_write: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// The part of `output` that was reasoning.
    pub reasoning: u64,
}

/// What an attempt cost, as an interval: exact when both ends are equal, `[0, estimate]` when it
/// may or may not have been charged.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bill {
    /// The least it can have cost.
    pub low: Tokens,
    /// The most it can have cost.
    pub high: Tokens,
    /// List cost reported by the service in dollars (`usage.opencode.list_cost`).
    pub list_cost: Option<f64>,
    /// What hit the prepaid balance in dollars, when the wire said so.
    pub balance_cost: Option<f64>,
    /// False when the figures were estimated because no usage was seen.
    pub metered: bool,
    /// When upstream's last byte came; `None`: when the attempt is settled. A slow client settles
    /// late.
    pub ended: Option<Millis>,
}

impl Bill {
    /// A bill read from the answer's own usage.
    pub const fn exact(tokens: Tokens) -> Self {
        Self {
            low: tokens,
            high: tokens,
            list_cost: None,
            balance_cost: None,
            metered: true,
            ended: None,
        }
    }

    /// A bill for something that may or may not have been charged: `[0, estimate]`.
    pub const fn at_most(estimate: Tokens) -> Self {
        Self {
            low: Tokens { input: 0, cached: None, cache_write: 0, output: 0, reasoning: 0 },
            high: estimate,
            list_cost: None,
            balance_cost: None,
            metered: false,
            ended: None,
        }
    }

    /// Nothing was consumed.
    pub const NOTHING: Self =
        Self::at_most(Tokens { input: 0, cached: None, cache_write: 0, output: 0, reasoning: 0 });
}
