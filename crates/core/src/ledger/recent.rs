//! What was settled lately: what a report can still be too old to know of.

use std::collections::VecDeque;

use crate::time::{MINUTE, Millis, SECOND};

/// How long after upstream's last byte its counter may move.
pub(super) const SLACK: i64 = 2 * SECOND;

/// How long after its end a request that may not have been charged may still be: upstream goes on
/// reading from the provider without us.
const GRACE: i64 = MINUTE;

/// Settles are kept for so long: longer than any report takes to arrive.
const KEEP: i64 = 5 * MINUTE;

/// At most so many. Two hundred requests in [`KEEP`] are more than one account serves.
const MOST: usize = 256;

/// One request, or several of the same model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Entry {
    /// The model's slot.
    pub(super) slot: usize,
    /// List dollars, at least.
    pub(super) low: f64,
    /// List dollars, at most.
    pub(super) high: f64,
    /// Not charged before.
    pub(super) first: Millis,
    /// Charged before [`SLACK`] after this, if at all.
    pub(super) last: Millis,
}

impl Entry {
    pub(super) const fn new(slot: usize, low: f64, high: f64, ended: Millis) -> Self {
        let last = if low < high { ended.plus(GRACE) } else { ended };
        Self { slot, low, high, first: ended, last }
    }

    /// A report asked for then has it for certain.
    pub(super) fn surely_in(&self, sent: Millis) -> bool {
        self.last.plus(SLACK) <= sent
    }

    /// A report received then may have it.
    pub(super) fn maybe_in(&self, received: Millis) -> bool {
        self.first <= received
    }
}

/// The settles of the last minutes.
#[derive(Debug, Default)]
pub(super) struct Recent {
    ring: VecDeque<Entry>,
}

impl Recent {
    pub(super) fn push(&mut self, entry: Entry) {
        while self.ring.front().is_some_and(|old| old.last.plus(KEEP) < entry.first) {
            self.ring.pop_front();
        }
        if self.ring.len() < MOST {
            self.ring.push_back(entry);
        } else if let Some(same) = self.ring.iter_mut().rev().find(|old| old.slot == entry.slot) {
            same.low += entry.low;
            same.high += entry.high;
            same.first = same.first.min(entry.first);
            same.last = same.last.max(entry.last);
        } else {
            self.ring.pop_front();
            self.ring.push_back(entry);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.ring.iter()
    }

    pub(super) fn shift(&mut self, span: i64) {
        for entry in &mut self.ring {
            entry.first = entry.first.plus(span);
            entry.last = entry.last.plus(span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(slot: usize, at: i64) -> Entry {
        Entry::new(slot, 1.0, 1.0, Millis(at))
    }

    #[test]
    fn a_burst_is_merged_but_never_lost() {
        let mut recent = Recent::default();
        for (n, slot) in (0..2_000).zip([0, 1, 2].into_iter().cycle()) {
            recent.push(entry(slot, n));
        }
        assert_eq!(recent.ring.len(), MOST);
        assert!((recent.iter().map(|entry| entry.high).sum::<f64>() - 2_000.0).abs() < 1e-9);
        recent.push(entry(0, KEEP + 3_000));
        assert_eq!(recent.ring.len(), 1, "the burst is over");
    }

    #[test]
    fn what_a_report_knows() {
        let exact = entry(0, 10_000);
        assert!(exact.surely_in(Millis(12_000)) && !exact.surely_in(Millis(11_999)));
        assert!(exact.maybe_in(Millis(10_000)) && !exact.maybe_in(Millis(9_999)));
        let aborted = Entry::new(0, 0.0, 1.0, Millis(10_000));
        assert!(!aborted.surely_in(Millis(60_000)), "upstream may read on without us");
        assert!(aborted.surely_in(Millis(80_000)));
    }
}
