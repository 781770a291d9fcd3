//! The guard of one scope: closed, open, half-open.
//!
//! - **Closed**: everything passes.
//! - **Open**: nothing passes until a moment that lies further away after each failed trial.
//! - **Half-open**: that moment has passed. One lease, the trial, may pass. Its answer closes the
//!   breaker, its failure opens it for longer, and anything else (the client left, the fault spoke
//!   of somebody else) frees the trial and judges nobody.
//!
//! The breaker does not count failures: [`crate::evidence`] does, or a [`Tally`]. It serves for
//! consecutive server errors as well as for dead keys, which are nothing but a breaker that opens
//! at the first word and is tried again very slowly.

use crate::fault::FaultKind;
use crate::id::LeaseId;
use crate::time::{DAY, HOUR, MINUTE, Millis, SECOND};

/// How long a breaker stays open: `first`, then double that after each failed trial, `most` at last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// Milliseconds the first time.
    pub first: i64,
    /// Milliseconds at most.
    pub most: i64,
}

impl Growth {
    /// Dead keys: the service blocks accounts that hammer it, so a re-check is rare.
    pub const RECHECK: Self = Self { first: 10 * MINUTE, most: DAY };
    /// A saturated model: providers recover within seconds.
    pub const MODEL: Self = Self { first: 10 * SECOND, most: 30 * SECOND };
    /// The way to the service, or the service: found again as soon as it is back.
    pub const UPSTREAM: Self = Self { first: 2 * SECOND, most: 30 * SECOND };
    /// A model that an account may not use: changes only when its owner opts in or pays.
    pub const NOT_SERVED: Self = Self { first: HOUR, most: DAY };

    /// An account's consecutive server errors: as configured, one hour at most.
    pub const fn account(cooldown: i64) -> Self {
        Self { first: cooldown, most: if cooldown > HOUR { cooldown } else { HOUR } }
    }

    /// The span after `span`.
    pub const fn after(self, span: i64) -> i64 {
        let double = span.saturating_mul(2);
        if double > self.most { self.most } else { double }
    }
}

/// How long a trial keeps everybody else out. Headers of a long request come minutes late; by then
/// a refusal would have come, and the others have waited long enough.
pub const PATIENCE: i64 = 30 * SECOND;

/// What a breaker says now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Everything passes.
    Closed,
    /// Nothing passes.
    Open {
        /// When it becomes half-open.
        until: Millis,
    },
    /// One trial may pass.
    HalfOpen,
    /// The trial is under way.
    Trying,
}

/// See the module documentation.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    opening: Option<Opening>,
}

#[derive(Debug, Clone)]
struct Opening {
    why: FaultKind,
    until: Millis,
    span: i64,
    /// The note that opened it, for a pardon.
    note: Option<u64>,
    /// Its end and span before the last trial failed; `None` when it was closed before.
    before: Option<(Millis, i64)>,
    trial: Option<(LeaseId, Millis)>,
}

impl Breaker {
    /// What it says at `now`. With `patience`, a trial older than that keeps nobody out any more.
    pub fn phase(&self, now: Millis, patience: Option<i64>) -> Phase {
        match &self.opening {
            None => Phase::Closed,
            Some(opening) if now < opening.until => Phase::Open { until: opening.until },
            Some(Opening { trial: Some((_, since)), .. })
                if patience.is_none_or(|span| now.since(*since) < span) =>
            {
                Phase::Trying
            }
            Some(_) => Phase::HalfOpen,
        }
    }

    /// Why it is open or half-open.
    pub fn why(&self) -> Option<FaultKind> {
        self.opening.as_ref().map(|opening| opening.why)
    }

    /// When it becomes, or became, half-open.
    pub fn until(&self) -> Option<Millis> {
        self.opening.as_ref().map(|opening| opening.until)
    }

    /// The note that opened it last.
    pub fn note(&self) -> Option<u64> {
        self.opening.as_ref().and_then(|opening| opening.note)
    }

    /// Was it closed before it opened, rather than tried in vain?
    pub fn first_opening(&self) -> bool {
        self.opening.as_ref().is_some_and(|opening| opening.before.is_none())
    }

    /// Why it opened last, until when, and for how long: what survives a restart.
    pub fn opening(&self) -> Option<(FaultKind, Millis, i64)> {
        self.opening.as_ref().map(|opening| (opening.why, opening.until, opening.span))
    }

    /// A breaker as it was before a restart.
    pub fn reopened(why: FaultKind, until: Millis, span: i64) -> Self {
        let span = span.max(0);
        Self { opening: Some(Opening { why, until, span, note: None, before: None, trial: None }) }
    }

    /// Opens a closed breaker. Returns until when, or `None` when it was not closed: attempts that
    /// began before it opened teach nothing new.
    pub fn open(
        &mut self,
        why: FaultKind,
        note: Option<u64>,
        now: Millis,
        growth: Growth,
    ) -> Option<Millis> {
        if self.opening.is_some() {
            return None;
        }
        let (span, until) = (growth.first, now.plus(growth.first));
        self.opening = Some(Opening { why, until, span, note, before: None, trial: None });
        Some(until)
    }

    /// Opens it for longer, if `lease` is its trial. Returns until when.
    pub fn fail(
        &mut self,
        lease: LeaseId,
        why: FaultKind,
        note: Option<u64>,
        now: Millis,
        growth: Growth,
    ) -> Option<Millis> {
        let opening = self.opening.as_mut().filter(|o| o.trial.is_some_and(|t| t.0 == lease))?;
        let span = growth.after(opening.span);
        *opening = Opening {
            why,
            until: now.plus(span),
            span,
            note,
            before: Some((opening.until, opening.span)),
            trial: None,
        };
        Some(now.plus(span))
    }

    /// Makes `lease` the trial, if one may pass. Returns whether it did.
    pub fn try_out(&mut self, lease: LeaseId, now: Millis, patience: Option<i64>) -> bool {
        let half_open = self.phase(now, patience) == Phase::HalfOpen;
        if let Some(opening) = self.opening.as_mut().filter(|_| half_open) {
            opening.trial = Some((lease, now));
        }
        half_open
    }

    /// When the trial under way keeps nobody out any more.
    pub fn patience_ends(&self) -> Option<Millis> {
        let (_, since) = self.opening.as_ref()?.trial?;
        Some(since.plus(PATIENCE))
    }

    /// Is `lease` its trial?
    pub fn tries(&self, lease: LeaseId) -> bool {
        self.opening.as_ref().is_some_and(|o| o.trial.is_some_and(|t| t.0 == lease))
    }

    /// The trial ended and taught nothing.
    pub fn free(&mut self, lease: LeaseId) {
        if let Some(opening) = &mut self.opening
            && opening.trial.is_some_and(|trial| trial.0 == lease)
        {
            opening.trial = None;
        }
    }

    /// Closes it if it is half-open, whoever's answer it was. Returns whether it did.
    pub fn close(&mut self, now: Millis) -> bool {
        let half_open = self.opening.as_ref().is_some_and(|opening| opening.until <= now);
        if half_open {
            self.opening = None;
        }
        half_open
    }

    /// Closes it in whatever phase.
    pub fn reset(&mut self) {
        self.opening = None;
    }

    /// Takes the last opening back, as if what caused it had never happened.
    pub fn pardon(&mut self) {
        if let Some(opening) = &mut self.opening {
            match opening.before.take() {
                Some((until, span)) => {
                    (opening.until, opening.span, opening.note) = (until, span, None);
                }
                None => self.opening = None,
            }
        }
    }

    /// Of two breakers of one account, the one that is open for longer remains.
    pub fn merge(&mut self, other: Self) {
        if other.until() > self.until() {
            *self = other;
        }
    }

    /// The clock was set: moves all times by `span` milliseconds.
    pub fn shift(&mut self, span: i64) {
        if let Some(opening) = &mut self.opening {
            opening.until = opening.until.plus(span);
            if let Some((until, _)) = &mut opening.before {
                *until = until.plus(span);
            }
            if let Some((_, since)) = &mut opening.trial {
                *since = since.plus(span);
            }
        }
    }
}

/// Failures in a row on a model or an upstream. An answer ends a row of errors, but only an answer
/// that was delivered whole ends a row of cut streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    errors: u32,
    cuts: u32,
}

impl Tally {
    /// Counts `times` faults of this kind.
    pub fn add(&mut self, kind: FaultKind, times: u32) {
        let row = if kind == FaultKind::Cut { &mut self.cuts } else { &mut self.errors };
        *row = row.saturating_add(times);
    }

    /// Length of the row.
    pub fn sum(self) -> u32 {
        self.errors.saturating_add(self.cuts)
    }

    /// Headers of a 2xx arrived.
    pub fn answered(&mut self) {
        self.errors = 0;
    }

    /// An answer was delivered whole.
    pub fn served(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHY: FaultKind = FaultKind::ServerError;
    const LEASE: LeaseId = LeaseId(1);
    const GROWTH: Growth = Growth { first: 100, most: 300 };

    fn half_open() -> Breaker {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.open(WHY, None, Millis(0), GROWTH), Some(Millis(100)));
        breaker
    }

    #[test]
    fn opens_then_lets_one_trial_through() {
        let mut breaker = half_open();
        assert_eq!(breaker.phase(Millis(99), None), Phase::Open { until: Millis(100) });
        assert_eq!(breaker.phase(Millis(100), None), Phase::HalfOpen);
        assert!(breaker.try_out(LEASE, Millis(100), None));
        assert_eq!(breaker.phase(Millis(100), None), Phase::Trying);
        assert!(!breaker.try_out(LeaseId(2), Millis(101), None));
        assert!(breaker.tries(LEASE) && !breaker.tries(LeaseId(2)));
    }

    #[test]
    fn failed_trials_open_it_for_longer_up_to_the_limit() {
        let mut breaker = half_open();
        let mut now = Millis(100);
        for span in [200, 300, 300] {
            breaker.try_out(LEASE, now, None);
            assert_eq!(breaker.fail(LEASE, WHY, None, now, GROWTH), Some(now.plus(span)));
            now = now.plus(span);
        }
    }

    #[test]
    fn attempts_from_before_teach_nothing() {
        let mut breaker = half_open();
        assert_eq!(breaker.open(WHY, None, Millis(50), GROWTH), None);
        assert_eq!(breaker.fail(LEASE, WHY, None, Millis(50), GROWTH), None);
        assert!(!breaker.close(Millis(50)), "an answer does not end the time of an open breaker");
        assert_eq!(breaker.until(), Some(Millis(100)));
    }

    #[test]
    fn a_freed_trial_judges_nobody() {
        let mut breaker = half_open();
        assert!(breaker.try_out(LEASE, Millis(100), None));
        breaker.free(LeaseId(7));
        assert_eq!(breaker.phase(Millis(100), None), Phase::Trying);
        breaker.free(LEASE);
        assert_eq!(breaker.phase(Millis(100), None), Phase::HalfOpen);
    }

    #[test]
    fn patience_ends_a_trials_privilege_only_where_asked() {
        let mut breaker = half_open();
        assert!(breaker.try_out(LEASE, Millis(100), None));
        let late = Millis(100).plus(PATIENCE);
        assert_eq!(breaker.phase(late, Some(PATIENCE)), Phase::HalfOpen);
        assert_eq!(breaker.phase(late, None), Phase::Trying);
    }

    #[test]
    fn a_pardon_restores_what_was_before() {
        let mut breaker = half_open();
        assert!(breaker.try_out(LEASE, Millis(100), None));
        breaker.fail(LEASE, WHY, Some(9), Millis(100), GROWTH);
        breaker.pardon();
        assert_eq!(breaker.phase(Millis(100), None), Phase::HalfOpen);
        assert!(breaker.try_out(LEASE, Millis(100), None));
        assert_eq!(breaker.fail(LEASE, WHY, None, Millis(100), GROWTH), Some(Millis(300)));
        let mut fresh = half_open();
        fresh.pardon();
        assert_eq!(fresh.phase(Millis(0), None), Phase::Closed);
    }

    #[test]
    fn merging_keeps_the_longer_one() {
        let (mut short, long) = (half_open(), {
            let mut breaker = Breaker::default();
            breaker.open(WHY, None, Millis(500), GROWTH);
            breaker
        });
        short.merge(long);
        assert_eq!(short.until(), Some(Millis(600)));
        short.merge(Breaker::default());
        assert_eq!(short.until(), Some(Millis(600)));
    }

    #[test]
    fn only_a_whole_answer_ends_a_row_of_cuts() {
        let mut tally = Tally::default();
        tally.add(WHY, 1);
        tally.add(FaultKind::Cut, 1);
        tally.answered();
        assert_eq!(tally.sum(), 1);
        tally.served();
        assert_eq!(tally.sum(), 0);
    }
}
