//! The ring of recent faults that account breakers count over, and the pardon.
//!
//! A server error on one account speaks against that account. The same kind of error from two
//! accounts within seconds speaks against what they have in common: the model, if both asked for
//! the same one, else the upstream. Then the notes move: they no longer count against the accounts,
//! and the pool counts them there instead. Moved notes remain as witnesses for what follows.

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::fault::FaultKind;
use crate::id::{AccountId, UpstreamId};
use crate::time::{Millis, SECOND};

/// Two accounts that fail alike within this many milliseconds share a cause.
pub const TOGETHER: i64 = 10 * SECOND;

/// Notes kept; the oldest that counts for nothing goes first.
const CAPACITY: usize = 256;

/// A fault to be written down.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Whose attempt it was.
    pub account: AccountId,
    /// Where it went.
    pub upstream: UpstreamId,
    /// The model it asked for.
    pub model: Option<Arc<str>>,
    /// What it ran into.
    pub kind: FaultKind,
    /// When the attempt began.
    pub begun: Millis,
    /// When it failed.
    pub at: Millis,
    /// Does it count towards the account's breaker?
    pub counts: bool,
}

#[derive(Debug)]
struct Note {
    id: u64,
    entry: Entry,
    moved: bool,
}

/// Blame that moved away from accounts.
#[derive(Debug, PartialEq, Eq)]
pub struct Pardon {
    /// Whom it is counted on now.
    pub blamed: Blamed,
    /// The notes that moved, each with its account. May be the new note alone, when its witnesses
    /// had moved before.
    pub moved: SmallVec<[(u64, AccountId); 4]>,
}

/// What the failing accounts had in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blamed {
    /// The model.
    Model(Arc<str>),
    /// The upstream.
    Upstream(UpstreamId),
    /// Nothing with a name: the requests named no model, so they may have been at fault themselves.
    Nobody,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub struct Evidence {
    notes: VecDeque<Note>,
    next: u64,
}

impl Evidence {
    /// Writes a fault down and returns its number.
    pub fn record(&mut self, mut entry: Entry) -> u64 {
        self.make_room(entry.at);
        entry.counts &= !self.same_event(&entry);
        let id = self.next;
        self.next += 1;
        self.notes.push_back(Note { id, entry, moved: false });
        id
    }

    /// When the network goes, every stream in flight on an account breaks. That is one failure, not
    /// several in a row: an attempt that was already running when the last one failed the same way
    /// does not count again.
    fn same_event(&self, entry: &Entry) -> bool {
        matches!(entry.kind, FaultKind::Reset | FaultKind::Cut | FaultKind::Timeout)
            && self.notes.iter().any(|Note { entry: other, .. }| {
                let row =
                    other.counts && other.account == entry.account && other.kind == entry.kind;
                row && other.at > entry.begun
            })
    }

    fn make_room(&mut self, now: Millis) {
        self.notes.retain(|note| {
            (note.entry.counts && !note.moved) || now.since(note.entry.at) < TOGETHER
        });
        if self.notes.len() >= CAPACITY {
            let idle = self.notes.iter().position(|note| note.moved || !note.entry.counts);
            self.notes.remove(idle.unwrap_or(0));
        }
    }

    /// Moves blame, if the note has a witness from another account.
    pub fn pardon(&mut self, id: u64) -> Option<Pardon> {
        let new = self.notes.iter().find(|note| note.id == id)?.entry.clone();
        let alike =
            |note: &Note| note.entry.kind == new.kind && new.at.since(note.entry.at) <= TOGETHER;
        let same_model = |note: &Note| alike(note) && note.entry.model == new.model;
        let same_upstream = |note: &Note| alike(note) && note.entry.upstream == new.upstream;
        let witnessed = |shared: &dyn Fn(&Note) -> bool| {
            self.notes.iter().any(|note| note.entry.account != new.account && shared(note))
        };
        let (blamed, shared): (_, &dyn Fn(&Note) -> bool) = if witnessed(&same_model) {
            (new.model.clone().map_or(Blamed::Nobody, Blamed::Model), &same_model)
        } else if witnessed(&same_upstream) {
            let named = new.model.is_some();
            (if named { Blamed::Upstream(new.upstream) } else { Blamed::Nobody }, &same_upstream)
        } else {
            return None;
        };
        let mut moved = SmallVec::new();
        for note in self.notes.iter_mut().filter(|note| !note.moved && shared(note)) {
            note.moved = true;
            moved.push((note.id, note.entry.account));
        }
        Some(Pardon { blamed, moved })
    }

    /// Faults in a row that count against this account.
    pub fn count(&self, account: AccountId) -> u32 {
        let counting =
            |note: &&Note| note.entry.account == account && note.entry.counts && !note.moved;
        u32::try_from(self.notes.iter().filter(counting).count()).unwrap_or(u32::MAX)
    }

    /// Headers of a 2xx arrived: the row of errors ends; what was said of this model is refuted.
    pub fn answered(&mut self, account: AccountId, model: Option<&Arc<str>>) {
        self.notes.retain_mut(|Note { entry, .. }| {
            if entry.account != account || entry.kind == FaultKind::Cut {
                return true;
            }
            entry.counts = false;
            entry.model.as_ref() != model
        });
    }

    /// An answer was delivered whole: the row of cut streams ends too.
    pub fn served(&mut self, account: AccountId) {
        for note in self.notes.iter_mut().filter(|note| note.entry.account == account) {
            note.entry.counts = false;
        }
    }

    /// Two accounts turned out to be one.
    pub fn relabel(&mut self, from: AccountId, to: AccountId) {
        for note in self.notes.iter_mut().filter(|note| note.entry.account == from) {
            note.entry.account = to;
        }
    }

    /// The account is gone.
    pub fn forget(&mut self, account: AccountId) {
        self.notes.retain(|note| note.entry.account != account);
    }

    /// Is there nothing to remember?
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// The clock was set: moves all times by `span` milliseconds.
    pub fn shift(&mut self, span: i64) {
        for Note { entry, .. } in &mut self.notes {
            entry.at = entry.at.plus(span);
            entry.begun = entry.begun.plus(span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: AccountId = AccountId(1);
    const B: AccountId = AccountId(2);

    fn entry(account: AccountId, model: &str, kind: FaultKind, at: i64) -> Entry {
        Entry {
            account,
            upstream: UpstreamId(0),
            model: (!model.is_empty()).then(|| model.into()),
            kind,
            begun: Millis(at),
            at: Millis(at),
            counts: true,
        }
    }

    fn record(evidence: &mut Evidence, account: AccountId, model: &str, at: i64) -> Option<Pardon> {
        let id = evidence.record(entry(account, model, FaultKind::ServerError, at));
        evidence.pardon(id)
    }

    #[test]
    fn one_account_alone_is_to_blame() {
        let mut evidence = Evidence::default();
        for at in 0..3 {
            assert_eq!(record(&mut evidence, A, "m", at), None);
        }
        assert_eq!(evidence.count(A), 3);
    }

    #[test]
    fn two_accounts_on_one_model_blame_the_model() {
        let mut evidence = Evidence::default();
        record(&mut evidence, A, "m", 0);
        record(&mut evidence, A, "m", 1);
        let pardon = record(&mut evidence, B, "m", TOGETHER).expect("a witness");
        assert_eq!(pardon.blamed, Blamed::Model("m".into()));
        assert_eq!(pardon.moved.as_slice(), [(0, A), (1, A), (2, B)]);
        assert_eq!((evidence.count(A), evidence.count(B)), (0, 0));
        let third = record(&mut evidence, A, "m", TOGETHER).expect("moved notes still witness");
        assert_eq!(third.moved.as_slice(), [(3, A)]);
    }

    #[test]
    fn two_accounts_on_two_models_blame_the_upstream() {
        let mut evidence = Evidence::default();
        record(&mut evidence, A, "m", 0);
        let pardon = record(&mut evidence, B, "n", 1).expect("a witness");
        assert_eq!(pardon.blamed, Blamed::Upstream(UpstreamId(0)));
    }

    #[test]
    fn other_upstreams_kinds_and_times_are_no_witnesses() {
        let mut evidence = Evidence::default();
        record(&mut evidence, A, "m", 0);
        let elsewhere =
            Entry { upstream: UpstreamId(1), ..entry(B, "n", FaultKind::ServerError, 1) };
        for stranger in [
            elsewhere,
            entry(B, "m", FaultKind::Timeout, 1),
            entry(B, "m", FaultKind::ServerError, TOGETHER + 1),
        ] {
            let id = evidence.record(stranger);
            assert_eq!(evidence.pardon(id), None);
        }
    }

    #[test]
    fn requests_without_a_model_blame_nobody() {
        let mut evidence = Evidence::default();
        record(&mut evidence, A, "", 0);
        assert_eq!(record(&mut evidence, B, "", 1).map(|p| p.blamed), Some(Blamed::Nobody));
    }

    #[test]
    fn streams_that_break_together_count_once() {
        let mut evidence = Evidence::default();
        for _ in 0..5 {
            evidence.record(Entry { begun: Millis(0), ..entry(A, "m", FaultKind::Cut, 10) });
        }
        assert_eq!(evidence.count(A), 1);
        evidence.record(Entry { begun: Millis(10), ..entry(A, "m", FaultKind::Cut, 20) });
        assert_eq!(evidence.count(A), 2);
    }

    #[test]
    fn answers_end_rows() {
        let mut evidence = Evidence::default();
        record(&mut evidence, A, "m", 0);
        evidence.record(entry(A, "m", FaultKind::Cut, 1));
        evidence.answered(A, Some(&"other".into()));
        assert_eq!(evidence.count(A), 1, "the cut remains");
        assert!(
            record(&mut evidence, B, "m", 2).is_some(),
            "another model's answer refutes nothing"
        );
        evidence.served(A);
        assert_eq!(evidence.count(A), 0);
    }

    #[test]
    fn merged_accounts_do_not_witness_for_each_other() {
        let mut evidence = Evidence::default();
        record(&mut evidence, A, "m", 0);
        evidence.relabel(A, B);
        assert_eq!(record(&mut evidence, B, "m", 1), None);
        assert_eq!(evidence.count(B), 2);
    }

    #[test]
    fn the_ring_is_bounded() {
        let mut evidence = Evidence::default();
        for at in 0..1_000 {
            record(
                &mut evidence,
                AccountId(u32::try_from(at).unwrap_or(0)),
                &at.to_string(),
                at * TOGETHER * 2,
            );
        }
        assert!(evidence.notes.len() <= CAPACITY);
    }
}
