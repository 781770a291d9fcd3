//! Where each conversation sits, and what its account still has of it in the cache.
//!
//! One session id is not one conversation: titles, summaries and sub-agents are asked for under the
//! id of the session they belong to, with another model or with a much smaller body. So a session
//! has several *strands*, each with its model and its seat. A request continues the strand of its
//! model whose last body fits it best: conversations grow from turn to turn, and shrink by at most
//! a third when an old tool result is left out. A request that is smaller than that continues
//! nothing, nor does one that is many times larger (little of it can be cached). It is either
//! beside the conversation, which then keeps its seat, or the conversation was compacted: then
//! nothing of it is cached and it may go anywhere. The two need not be told apart, for in both
//! cases there is no seat to hold on to.
//!
//! What follows from the facts kept here is the pool's business.

mod image;
mod recency;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::appetite::{Known, prompt_of};
use crate::by_model::memorable;
use crate::id::{AccountId, SessionKey};
use crate::meter::Tokens;
use crate::time::Millis;
pub use image::{AffinityImage, SeatImage};
use recency::Recency;

/// Strands remembered at once, of all sessions. The one not used for longest goes first.
pub const SEATS: usize = 4_096;
/// A turn makes a conversation at most so many times larger. What grows by more is another one, or
/// so new that hardly any of it can be cached.
const GROWTH: u64 = 8;
/// A strand that was left for so many milliseconds longer than another one fits half as well.
const AWAY: f64 = 600_000.0;
/// Strands of one session: beyond it, its own oldest makes room rather than another session's.
const STRANDS: usize = 8;

/// Where a strand sits.
#[derive(Debug, Clone, PartialEq)]
pub struct Seat {
    /// The account that answered it last.
    pub account: AccountId,
    /// Its model.
    pub model: Option<Arc<str>>,
    /// Tokens of its last prompt; 0 until an answer was metered.
    pub prompt: u64,
    /// Tokens of its last prompt and the answer to it: what its next prompt begins with.
    pub prefix: u64,
    /// Bytes of the last body.
    pub body_bytes: u64,
    /// When its last answer ended; while one runs, when that began.
    pub at: Millis,
    /// It shall not be held on to, because a request of it failed ambiguously on this account: the
    /// client's own retry should go to another. Until the next answer.
    pub suspended: Option<AccountId>,
    /// Where it sat before; until the first answer on the new account is settled.
    pub moved_from: Option<AccountId>,
    /// What the running answer will teach.
    running: Option<Running>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Running {
    rested: i64,
}

/// What can be learned from a settled answer about the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Tokens of its prompt that were known from the turn before; never 0.
    pub prefix: u64,
    /// How long the strand had rested, in milliseconds.
    pub rested: i64,
    /// It moved: from this account.
    pub moved_from: Option<AccountId>,
}

/// Sessions and where they sit.
#[derive(Debug, Clone, Default)]
pub struct Affinity {
    /// The first strand of each session; the others follow by [`Strand::next`].
    first: BTreeMap<SessionKey, u32>,
    strands: Vec<Strand>,
    recency: Recency,
    /// The first vacant strand; the others follow by [`Strand::next`].
    vacant: Option<u32>,
}

#[derive(Debug, Clone)]
struct Strand {
    session: SessionKey,
    /// `None`: vacant.
    seat: Option<Seat>,
    next: Option<u32>,
}

impl Seat {
    fn new(account: AccountId, model: Option<Arc<str>>, body_bytes: u64, at: Millis) -> Self {
        Self {
            account,
            model,
            prompt: 0,
            prefix: 0,
            body_bytes,
            at,
            suspended: None,
            moved_from: None,
            running: None,
        }
    }

    /// How long it has rested, in milliseconds; never negative.
    pub fn idle(&self, now: Millis) -> i64 {
        now.since(self.at).max(0)
    }

    /// What helps to guess the next request's cost.
    pub fn known(&self) -> Known {
        Known { prompt: self.prompt, prefix: self.prefix, body_bytes: self.body_bytes }
    }
}

impl Affinity {
    /// The conversation shrank too much to be continued: its body is less than two thirds of the
    /// last one's.
    ///
    /// Clients that leave out old tool results save a few of the largest; compaction leaves about
    /// a tenth.
    pub fn compacted(seat: &Seat, body_bytes: u64) -> bool {
        body_bytes < seat.body_bytes / 3 * 2
    }

    /// The seat that a request of this session, model and size continues. `None`: it is new, beside
    /// the conversation, or compacted.
    pub fn seat(
        &self,
        session: SessionKey,
        model: Option<&Arc<str>>,
        body_bytes: u64,
    ) -> Option<&Seat> {
        self.strand(self.find(session, model, body_bytes)?)?.seat.as_ref()
    }

    /// Does the session have a seat for this model, although none that the request continues? For
    /// explanations: it was compacted, or is beside the conversation.
    pub fn shrank(&self, session: SessionKey, model: Option<&Arc<str>>, body_bytes: u64) -> bool {
        let mut seats =
            self.of(session).filter_map(|(_, seat)| (seat.model.as_ref() == model).then_some(seat));
        let first = seats.next();
        first.is_some_and(|seat| Self::compacted(seat, body_bytes))
            && seats.all(|seat| Self::compacted(seat, body_bytes))
    }

    /// The headers of an answer were accepted: the strand sits here now.
    pub fn answered(
        &mut self,
        session: SessionKey,
        account: AccountId,
        model: Option<&Arc<str>>,
        body_bytes: u64,
        at: Millis,
    ) {
        let Some(seat) = self.take(session, account, model, body_bytes, at) else { return };
        let rested = seat.idle(at);
        if seat.account != account {
            seat.moved_from = Some(seat.account);
            seat.account = account;
            seat.running = Some(Running { rested });
        } else if seat.running.take().is_none() {
            // Where another answer still runs, or was cut and never settled, it is not clear how
            // long the cache had rested: then neither teaches anything.
            seat.running = Some(Running { rested });
        }
        seat.suspended = None;
        seat.body_bytes = body_bytes;
        seat.at = at;
    }

    /// An answer's last byte was read from upstream at `at`. Returns what it teaches about the
    /// cache, if anything. Answers without figures (no tokens at all) leave the sizes as they were.
    pub fn settled(
        &mut self,
        session: SessionKey,
        account: AccountId,
        model: Option<&Arc<str>>,
        body_bytes: u64,
        tokens: &Tokens,
        at: Millis,
    ) -> Option<Turn> {
        let seat = self.take(session, account, model, body_bytes, at)?;
        if seat.account != account {
            return None; // it moved on while this answer ran
        }
        let (before, running, moved_from) =
            (seat.prefix, seat.running.take(), seat.moved_from.take());
        seat.at = seat.at.max(at);
        let prompt = prompt_of(tokens);
        if prompt == 0 {
            return None;
        }
        seat.prompt = prompt;
        seat.prefix = prompt.saturating_add(tokens.output);
        seat.body_bytes = body_bytes;
        let prefix = before.min(prompt);
        let turn = |running: Running| Turn { prefix, rested: running.rested, moved_from };
        running.map(turn).filter(|turn| turn.prefix > 0)
    }

    /// An ambiguous failure, or no headers in time, on `account`: the client's retry should go
    /// elsewhere. A strand without a seat gets one, to remember that.
    pub fn suspend(
        &mut self,
        session: SessionKey,
        account: AccountId,
        model: Option<&Arc<str>>,
        body_bytes: u64,
        at: Millis,
    ) {
        if let Some(seat) = self.take(session, account, model, body_bytes, at) {
            seat.suspended = Some(account);
        }
    }

    /// The account is gone: nobody sits there any more.
    pub fn forget_account(&mut self, account: AccountId) {
        for place in 0..self.places() {
            let seat = self.seat_at(place);
            if seat.is_some_and(|seat| seat.account == account) {
                self.remove(place);
            } else if let Some(seat) = self.seat_mut(place) {
                seat.moved_from = seat.moved_from.filter(|from| *from != account);
                seat.suspended = seat.suspended.filter(|at| *at != account);
            }
        }
    }

    /// Two accounts turned out to be one: who sits at `from` sits at `to`.
    pub fn relabel(&mut self, from: AccountId, to: AccountId) {
        let rename = |account: AccountId| if account == from { to } else { account };
        for place in 0..self.places() {
            let Some(seat) = self.seat_mut(place) else { continue };
            seat.account = rename(seat.account);
            seat.suspended = seat.suspended.map(rename);
            let moved = seat.moved_from.map(rename);
            seat.moved_from = moved.filter(|before| *before != seat.account);
        }
    }

    /// The clock was set by `span` milliseconds.
    pub fn shift(&mut self, span: i64) {
        for place in 0..self.places() {
            if let Some(seat) = self.seat_mut(place) {
                seat.at = seat.at.plus(span);
            }
        }
    }

    /// How many strands have a seat.
    pub fn len(&self) -> usize {
        self.strands.iter().filter(|strand| strand.seat.is_some()).count()
    }

    /// Nobody has a seat.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The seat that a request continues, or a new one; just used now.
    fn take(
        &mut self,
        session: SessionKey,
        account: AccountId,
        model: Option<&Arc<str>>,
        body_bytes: u64,
        at: Millis,
    ) -> Option<&mut Seat> {
        if model.is_some_and(|name| !memorable(name)) {
            return None;
        }
        let place = match self.find(session, model, body_bytes) {
            Some(place) => {
                self.recency.touch(place);
                place
            }
            None => self.add(session, Seat::new(account, model.cloned(), body_bytes, at))?,
        };
        self.seat_mut(place)
    }

    /// The strand that fits best. Growing by so much counts as shrinking by its square root:
    /// bodies shrink rarely. And of two that fit about equally well, the one used more lately goes
    /// on: a conversation that was compacted grows past its former size again.
    #[expect(
        clippy::cast_precision_loss,
        reason = "only compared, and bodies are below 2^53 bytes"
    )]
    fn find(&self, session: SessionKey, model: Option<&Arc<str>>, body_bytes: u64) -> Option<u32> {
        let mut best: Option<(f64, u32)> = None;
        let latest = self.of(session).map(|(_, seat)| seat.at).max()?;
        for (place, seat) in self.of(session) {
            let too_large = body_bytes > seat.body_bytes.saturating_mul(GROWTH);
            if seat.model.as_ref() != model || too_large || Self::compacted(seat, body_bytes) {
                continue;
            }
            let ratio = body_bytes.max(1) as f64 / seat.body_bytes.max(1) as f64;
            let misfit = if ratio < 1.0 { ratio.powi(-2) } else { ratio };
            let misfit = misfit * (1.0 + latest.since(seat.at) as f64 / AWAY);
            if best.is_none_or(|(least, _)| misfit < least) {
                best = Some((misfit, place));
            }
        }
        best.map(|(_, place)| place)
    }

    /// The strands of a session.
    fn of(&self, session: SessionKey) -> impl Iterator<Item = (u32, &Seat)> {
        let first = self.first.get(&session).copied();
        let next = |place: &u32| self.strand(*place)?.next;
        std::iter::successors(first, next).filter_map(|place| Some((place, self.seat_at(place)?)))
    }

    /// Gives a seat to a new strand; returns its place.
    fn add(&mut self, session: SessionKey, seat: Seat) -> Option<u32> {
        self.make_room(session);
        let place = match self.vacant {
            Some(place) => {
                self.vacant = self.strand(place)?.next;
                place
            }
            None => self.places(),
        };
        let next = self.first.insert(session, place);
        let strand = Strand { session, seat: Some(seat), next };
        match self.strands.get_mut(place as usize) {
            Some(vacant) => *vacant = strand,
            None => self.strands.push(strand),
        }
        self.recency.touch(place);
        Some(place)
    }

    fn make_room(&mut self, session: SessionKey) {
        let oldest_of_its_own = if self.of(session).count() >= STRANDS {
            self.of(session).min_by_key(|(_, seat)| seat.at).map(|(place, _)| place)
        } else {
            None
        };
        let full = self.vacant.is_none() && self.strands.len() >= SEATS;
        let leaves = oldest_of_its_own.or(self.recency.oldest().filter(|_| full));
        if let Some(place) = leaves {
            self.remove(place);
        }
    }

    /// Takes a strand out of its session and out of the order of use.
    fn remove(&mut self, place: u32) {
        let Some((session, next)) = self.strand(place).map(|strand| (strand.session, strand.next))
        else {
            return;
        };
        let before = self
            .of(session)
            .map(|(other, _)| other)
            .find(|other| self.strand(*other).is_some_and(|strand| strand.next == Some(place)));
        match (before, next) {
            (Some(before), _) => {
                if let Some(before) = self.strands.get_mut(before as usize) {
                    before.next = next;
                }
            }
            (None, Some(next)) => {
                self.first.insert(session, next);
            }
            (None, None) => {
                self.first.remove(&session);
            }
        }
        self.recency.remove(place);
        let vacant = self.vacant.replace(place);
        if let Some(strand) = self.strands.get_mut(place as usize) {
            (strand.seat, strand.next) = (None, vacant);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most SEATS")]
    fn places(&self) -> u32 {
        self.strands.len() as u32
    }

    fn strand(&self, place: u32) -> Option<&Strand> {
        self.strands.get(place as usize)
    }

    fn seat_at(&self, place: u32) -> Option<&Seat> {
        self.strand(place)?.seat.as_ref()
    }

    fn seat_mut(&mut self, place: u32) -> Option<&mut Seat> {
        self.strands.get_mut(place as usize)?.seat.as_mut()
    }
}
