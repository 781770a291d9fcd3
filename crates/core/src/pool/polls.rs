//! When an account's usage is asked for.
//!
//! The service answers from a database and has no rate limit of its own, so gentleness is up to us:
//! once a minute while the account is in use, every ten minutes while it rests, and out of turn only
//! when something is to be learned. One question at a time; failures make it rarer.

use smallvec::SmallVec;

use crate::id::KeyId;
use crate::pool::NoUsage;
use crate::time::{HOUR, MINUTE, Millis, SECOND};

/// The first question comes within so long of the start.
const FIRST: i64 = 2 * SECOND;
/// While the account is in use.
const ACTIVE: i64 = MINUTE;
/// While it rests.
const IDLE: i64 = 10 * MINUTE;
/// An account counts as in use for so long after its last request.
const IN_USE: i64 = 2 * MINUTE;
/// Between two questions, whatever there is to be learned.
const APART: i64 = 20 * SECOND;
/// The same where a request waits for the answer.
const APART_FOR_WAITERS: i64 = 5 * SECOND;
/// After a reset that was foreseen.
const AFTER_RESET: i64 = 2 * SECOND;
/// An order that was not answered for so long is lost.
const LOST: i64 = MINUTE;
/// Failures make it rarer up to so long.
const MOST: i64 = 30 * MINUTE;
/// An upstream without a usage API is asked again so rarely.
const ABSENT: i64 = HOUR;

/// The questions about one account.
#[derive(Debug, Default)]
pub(super) struct Polls {
    /// Not before then; `None`: not begun yet.
    next: Option<Millis>,
    /// Those under way: one, unless two accounts that were both asked for turned out to be one.
    asked: SmallVec<[(KeyId, Millis); 1]>,
    /// When the last one was sent.
    last: Option<Millis>,
    failures: u32,
    /// Not before then, whatever there is to be learned.
    silent_until: Option<Millis>,
    /// Spreads the questions of several accounts.
    jitter: Jitter,
}

/// A sequence of fractions in `0.0..1.0` that differs from account to account.
#[derive(Debug, Default)]
struct Jitter(u64);

impl Jitter {
    /// One step of a 64-bit linear congruential generator (Knuth's MMIX constants).
    fn next(&mut self) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        i64::try_from(self.0 >> 44).unwrap_or(0)
    }

    /// `span`, up to a tenth shorter or longer.
    fn around(&mut self, span: i64) -> i64 {
        let tenth = span / 10;
        span - tenth + self.next() * (2 * tenth) / (1 << 20)
    }

    /// Somewhere within `span`.
    fn within(&mut self, span: i64) -> i64 {
        self.next() * span / (1 << 20)
    }
}

impl Polls {
    /// `seed` tells accounts apart.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            jitter: Jitter(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            ..Self::default()
        }
    }

    /// Is it time to ask? Says so once; an answer or a loss must follow.
    pub(super) fn ask(&mut self, key: KeyId, now: Millis) -> bool {
        self.asked.retain(|(_, at)| now.since(*at) < LOST);
        if !self.asked.is_empty() {
            return false;
        }
        let jitter = &mut self.jitter;
        let next = *self.next.get_or_insert_with(|| now.plus(jitter.within(FIRST)));
        if now < next {
            return false;
        }
        self.asked.push((key, now));
        self.last = Some(now);
        true
    }

    /// When [`Polls::ask`] has something to say.
    pub(super) fn due(&self) -> Option<Millis> {
        let lost = self.asked.iter().map(|(_, at)| at.plus(LOST)).max();
        lost.or(self.next)
    }

    /// Is this key's order open?
    pub(super) fn awaits(&self, key: KeyId) -> bool {
        self.asked.iter().any(|(asked, _)| *asked == key)
    }

    /// Takes over the questions about the other half of the same account.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.asked.extend(other.asked.iter().copied());
        self.last = self.last.max(other.last);
    }

    /// A report came. `used`: when the account was last used.
    pub(super) fn answered(&mut self, key: KeyId, used: Option<Millis>, now: Millis) {
        self.asked.retain(|(asked, _)| *asked != key);
        self.failures = 0;
        self.silent_until = None;
        let in_use = used.is_some_and(|used| now.since(used) < IN_USE);
        let span = if in_use { ACTIVE } else { IDLE };
        self.next = Some(now.plus(self.jitter.around(span)));
    }

    /// No report came.
    pub(super) fn failed(&mut self, key: KeyId, why: NoUsage, now: Millis) {
        self.asked.retain(|(asked, _)| *asked != key);
        self.failures = self.failures.saturating_add(1);
        let growing = ACTIVE.saturating_mul(1 << self.failures.min(10)).min(MOST);
        let span = match why {
            NoUsage::Absent => ABSENT,
            NoUsage::Refused | NoUsage::NotSubscribed => MOST,
            NoUsage::Trouble { retry_after } => {
                let given = retry_after.and_then(|s| i64::try_from(s).ok()).unwrap_or(0);
                growing.max(given.saturating_mul(SECOND))
            }
        };
        let until = now.plus(self.jitter.around(span).max(span));
        self.next = Some(until);
        self.silent_until = Some(until);
    }

    /// The account is in use: at the beat of that. This and the following say whether the next
    /// question comes sooner now.
    pub(super) fn used(&mut self) -> bool {
        let beat = self.last.map(|last| last.plus(ACTIVE));
        beat.is_some_and(|beat| self.hasten(beat))
    }

    /// Something is to be learned at `at`, for instance that a percentage has moved on.
    pub(super) fn expect(&mut self, at: Millis) -> bool {
        let apart = self.last.map_or(at, |last| last.plus(APART));
        self.hasten(at.max(apart))
    }

    /// A window resets at `at`.
    pub(super) fn expect_reset(&mut self, at: Millis) -> bool {
        self.expect(at.plus(AFTER_RESET))
    }

    /// A request waits for the answer.
    pub(super) fn wanted(&mut self, now: Millis) -> bool {
        let apart = self.last.map_or(now, |last| last.plus(APART_FOR_WAITERS));
        self.hasten(now.max(apart))
    }

    /// A request was refused for want of quota: whatever the beat, this is news.
    pub(super) fn at_once(&mut self, now: Millis) -> bool {
        let apart = self.last.map_or(now, |last| last.plus(SECOND));
        self.hasten(now.max(apart))
    }

    fn hasten(&mut self, at: Millis) -> bool {
        let at = self.silent_until.map_or(at, |until| at.max(until));
        let sooner = self.next.is_none_or(|next| at < next);
        if sooner {
            self.next = Some(at);
        }
        sooner && self.asked.is_empty()
    }

    /// The key whose order was open is gone, or the configuration is new: nothing is silent for ever.
    pub(super) fn forgive(&mut self, now: Millis) {
        self.silent_until = None;
        self.failures = 0;
        self.next = Some(now);
    }

    /// The machine slept, or the clock was set.
    pub(super) fn shift(&mut self, span: i64) {
        let shift = |at: &mut Option<Millis>| *at = at.map(|at| at.plus(span));
        shift(&mut self.next);
        shift(&mut self.last);
        shift(&mut self.silent_until);
        for (_, at) in &mut self.asked {
            *at = at.plus(span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: KeyId = KeyId(1);
    const START: Millis = Millis(1_790_000_000_000);

    /// Asks as soon as it is time, and says when that was.
    fn asked(polls: &mut Polls, from: Millis) -> Millis {
        if polls.ask(KEY, from) {
            return from;
        }
        let due = polls.due().expect("has begun");
        assert!(due > from, "the timer would spin");
        assert!(polls.ask(KEY, due), "due, so it asks");
        due
    }

    #[test]
    fn first_within_two_seconds_then_by_use() {
        for seed in 0..50 {
            let mut polls = Polls::new(seed);
            let first = asked(&mut polls, START);
            assert!((0..=2 * SECOND).contains(&first.since(START)));
            assert!(!polls.ask(KEY, first), "one at a time");
            polls.answered(KEY, Some(first), first);
            let second = asked(&mut polls, first);
            assert!((54 * SECOND..=66 * SECOND).contains(&second.since(first)), "in use");
            polls.answered(KEY, Some(first), second.plus(3 * MINUTE));
            let third = asked(&mut polls, second.plus(3 * MINUTE));
            assert!((9 * MINUTE..=14 * MINUTE).contains(&third.since(second)), "at rest");
        }
    }

    #[test]
    fn use_shortens_a_rest() {
        let mut polls = Polls::new(1);
        let first = asked(&mut polls, START);
        polls.answered(KEY, None, first);
        polls.used();
        assert_eq!(polls.due(), Some(first.plus(MINUTE)));
    }

    #[test]
    fn news_is_asked_for_but_never_in_a_hurry() {
        let mut polls = Polls::new(1);
        let first = asked(&mut polls, START);
        polls.answered(KEY, Some(first), first.plus(100));
        polls.expect(first.plus(5 * SECOND));
        assert_eq!(polls.due(), Some(first.plus(20 * SECOND)));
        polls.wanted(first.plus(100));
        assert_eq!(polls.due(), Some(first.plus(5 * SECOND)));
        polls.expect_reset(first.plus(SECOND));
        assert_eq!(polls.due(), Some(first.plus(5 * SECOND)), "what is sooner remains");
    }

    #[test]
    fn failures_make_it_rarer_and_nothing_hurries_them() {
        let mut polls = Polls::new(1);
        let mut at = asked(&mut polls, START);
        let mut last = 0;
        for _ in 0..8 {
            polls.failed(KEY, NoUsage::Trouble { retry_after: None }, at);
            polls.wanted(at);
            let next = asked(&mut polls, at);
            assert!(next.since(at) >= last && next.since(at) <= 33 * MINUTE);
            (last, at) = (next.since(at).min(MOST), next);
        }
        polls.failed(KEY, NoUsage::Trouble { retry_after: Some(7_200) }, at);
        assert!(polls.due().is_some_and(|due| due.since(at) >= 2 * HOUR), "as the service says");
        polls.failed(KEY, NoUsage::Absent, at);
        assert!(polls.due().is_some_and(|due| due.since(at) >= HOUR));
    }

    #[test]
    fn an_order_that_nobody_answers_is_given_again() {
        let mut polls = Polls::new(1);
        let first = asked(&mut polls, START);
        assert_eq!(polls.due(), Some(first.plus(MINUTE)));
        assert!(polls.ask(KEY, first.plus(MINUTE)));
    }
}
