//! What others do, as baselines.

use super::super::Settings;
use super::super::trace::Request;
use super::super::world::{Sums, World};
use super::reporter::Reporter;

/// A simple strategy to compare with. All of them go on to the next account after an exhausted
/// answer and leave that account alone for as long as the answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// Rotation among accounts whose highest window is under `usageThreshold` (70 percent); when
    /// there is none, the account whose highest window is lowest.
    Threshold,
    /// Smooth weighted round-robin by 100 − the highest window.
    UsageWeighted,
    /// The first account that works, in order; a session stays where it is.
    FillFirst,
}

/// The default of `usageThreshold`.
const THRESHOLD: i64 = 70;

impl Baseline {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Threshold => "threshold",
            Self::UsageWeighted => "usage-weighted",
            Self::FillFirst => "fill-first",
        }
    }
}

pub(super) fn replay(mut world: World<'_>, settings: &Settings, baseline: Baseline) -> Sums {
    let mut chooser = Chooser::new(baseline, &world, settings.report_lag);
    for request in &world.trace().requests {
        world.advance(request.at);
        chooser.reporter.advance(world.accounts(), request.at);
        chooser.serve(&mut world, request);
    }
    world.finish()
}

struct Chooser {
    baseline: Baseline,
    reporter: Reporter,
    /// Until when each account is left alone.
    closed: Vec<i64>,
    /// Current weights of the smooth weighted round-robin.
    weights: Vec<i64>,
    /// The account used last.
    last: Option<usize>,
    /// Where each session is.
    seats: Vec<Option<usize>>,
}

impl Chooser {
    fn new(baseline: Baseline, world: &World<'_>, lag: i64) -> Self {
        let accounts = world.accounts().len();
        Self {
            baseline,
            reporter: Reporter::new(lag, accounts),
            closed: vec![i64::MIN; accounts],
            weights: vec![0; accounts],
            last: None,
            seats: vec![None; world.trace().sessions as usize],
        }
    }

    fn serve(&mut self, world: &mut World<'_>, request: &Request) {
        while let Some(account) = self.choose(request) {
            match world.serve(account, request, request.at) {
                Ok(_) => {
                    self.last = Some(account);
                    if let Some(seat) = self.seats.get_mut(request.session as usize) {
                        *seat = Some(account);
                    }
                    return;
                }
                Err(exhausted) => {
                    if let Some(closed) = self.closed.get_mut(account) {
                        *closed = request.at + exhausted.retry_after.max(1) * 1_000;
                    }
                }
            }
        }
        world.refuse();
    }

    fn choose(&mut self, request: &Request) -> Option<usize> {
        let open: Vec<usize> = (0..)
            .zip(&self.closed)
            .filter(|(_, until)| **until <= request.at)
            .map(|(account, _)| account)
            .collect();
        match self.baseline {
            Baseline::Threshold => self.under_threshold(&open),
            Baseline::UsageWeighted => self.weighted(&open),
            Baseline::FillFirst => {
                let seat = self.seats.get(request.session as usize).copied().flatten();
                seat.filter(|seat| open.contains(seat)).or(open.first().copied())
            }
        }
    }

    fn under_threshold(&self, open: &[usize]) -> Option<usize> {
        let under = |account: &&usize| self.reporter.highest(**account) < THRESHOLD;
        let turn = |account: usize| (Some(account) <= self.last, account);
        let next = open.iter().filter(under).min_by_key(|account| turn(**account));
        let lowest = || {
            open.iter().min_by_key(|account| (self.reporter.highest(**account), turn(**account)))
        };
        next.or_else(lowest).copied()
    }

    fn weighted(&mut self, open: &[usize]) -> Option<usize> {
        let mut total = 0;
        for account in open {
            // A full account keeps a weight of one: the report may be older than its reset.
            let weight = (100 - self.reporter.highest(*account)).max(1);
            total += weight;
            if let Some(current) = self.weights.get_mut(*account) {
                *current += weight;
            }
        }
        let current = |account: &usize| self.weights.get(*account).copied().unwrap_or_default();
        let chosen = open.iter().rev().max_by_key(|account| current(account)).copied()?;
        if let Some(weight) = self.weights.get_mut(chosen) {
            *weight -= total;
        }
        Some(chosen)
    }
}
