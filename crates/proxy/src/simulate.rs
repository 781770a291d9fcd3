//! `simulate`: what would have become of a month, under this strategy or another.
//!
//! A trace is replayed on a virtual clock through the very pool that serves, against the emulated
//! service's quota, and beside it through simple strategies.
//!
//! | file | what it does |
//! |---|---|
//! | `trace` | reads requests |
//! | `generate` | makes them up |
//! | `world` | accounts, caches, and the sums |
//! | `strategy` | who chooses |
//! | `bound` | the most that anybody could have served |
//! | `outcome` | the figures, for people and for programs |
//! | `foresight` | how often forecasts were right |

use std::sync::Arc;

use saros_core::price::Prices;
use saros_emulator::{Plan, Quota};

pub use bound::Bound;
pub use generate::{LOADS, Load};
pub use outcome::{Outcome, table};
pub use strategy::{Baseline, Strategy};
pub use trace::{Trace, TraceError};
pub use world::Cache;

use world::World;

pub mod bound;
pub mod foresight;
pub mod generate;
mod outcome;
mod strategy;
mod trace;
mod world;

#[cfg(test)]
mod tests;

/// 2026-01-05 00:00 UTC, a Monday: day 0 unless another is asked for.
pub const FIRST_MONDAY: i64 = 1_767_571_200_000;
const DAY: f64 = 86_400_000.0;

/// The world of a simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Days from the start to each account's first monthly reset: as many as there are accounts.
    pub anniversaries: Vec<f64>,
    /// Their plan.
    pub plan: Plan,
    /// Whether a session's cache survives a move.
    pub cache: Cache,
    /// For how long a prompt cache holds, in milliseconds.
    pub cache_ttl: i64,
    /// Milliseconds between two usage reports on an account.
    pub report_lag: i64,
    /// Day 0, epoch milliseconds.
    pub start: i64,
    /// What our own scheduler believes of prices; the service has its own table.
    pub prices: Arc<Prices>,
}

impl Settings {
    /// So many accounts, everything else as by default; first resets spread evenly over 30 days.
    pub fn new(accounts: u32) -> Self {
        let every = 30.0 / f64::from(accounts.max(1));
        Self {
            anniversaries: (1..=accounts).map(|nth| f64::from(nth) * every).collect(),
            plan: Plan::Go,
            cache: Cache::LostOnSwitch,
            cache_ttl: 600_000,
            report_lag: 60_000,
            start: FIRST_MONDAY,
            prices: Arc::new(crate::catalogue::prices()),
        }
    }

    /// Fresh accounts.
    pub fn accounts(&self) -> Vec<Quota> {
        let quota = |days: &f64| Quota::new(self.plan, self.moment(*days));
        self.anniversaries.iter().map(quota).collect()
    }

    /// Whole seconds, as the service's own resets are shown.
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is what is wanted")]
    fn moment(&self, days: f64) -> i64 {
        self.start.saturating_add((days * DAY / 1_000.0).round() as i64 * 1_000)
    }

    /// Makes up a trace of so many days that asks for the load's share of what these accounts can
    /// pay for.
    pub fn generate(&self, load: &Load, days: u32, seed: u64) -> Trace {
        generate::at_load(self, load, days, seed)
    }
}

/// Replays the trace under each strategy.
pub fn run(trace: &Trace, settings: &Settings, strategies: &[Strategy]) -> Vec<Outcome> {
    let accounts = settings.accounts();
    let offers = trace.requests.iter().map(|request| {
        (request.at, trace.cost(request, request.prefix, settings.plan).1.to_dollars())
    });
    let bound = Bound::new(&accounts, settings.start, trace.end()).dollars(offers);
    let replay = |strategy: &Strategy| {
        let rules = (settings.plan, settings.cache, settings.cache_ttl);
        let world = World::new(trace, accounts.clone(), rules, settings.start);
        Outcome::new(*strategy, strategy.replay(world, settings), bound)
    };
    strategies.iter().map(replay).collect()
}
