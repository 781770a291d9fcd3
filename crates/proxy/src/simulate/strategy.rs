//! The strategies that can be compared: ours through the very pool that serves, and baselines.

use super::Settings;
use super::world::{Sums, World};

mod baseline;
mod production;
mod reporter;

pub use baseline::Baseline;

/// A way to choose accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// `predictive`: the pool, with usage reports.
    Predictive,
    /// `round-robin`: the pool without usage reports, which is pure rotation.
    RoundRobin,
    /// One of the baselines.
    Baseline(Baseline),
}

impl Strategy {
    /// All, ours first.
    pub const ALL: [Self; 5] = [
        Self::Predictive,
        Self::RoundRobin,
        Self::Baseline(Baseline::Threshold),
        Self::Baseline(Baseline::UsageWeighted),
        Self::Baseline(Baseline::FillFirst),
    ];

    /// Its name on the command line and in the output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Predictive => "predictive",
            Self::RoundRobin => "round-robin",
            Self::Baseline(baseline) => baseline.name(),
        }
    }

    /// Replays the trace of `world`.
    pub(super) fn replay(self, world: World<'_>, settings: &Settings) -> Sums {
        match self {
            Self::Predictive | Self::RoundRobin => {
                production::replay(world, settings, self == Self::Predictive)
            }
            Self::Baseline(baseline) => baseline::replay(world, settings, baseline),
        }
    }
}
