//! One key, one account, and what keeps them out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::funds::Funds;
use crate::breaker::{Breaker, Growth, PATIENCE, Phase};
use crate::fault::FaultKind;
use crate::id::{AccountId, KeyId, UpstreamId};
use crate::image::HoldImage;
use crate::select::{Block, Guard};
use crate::time::{Millis, SECOND};
use crate::window::Window;

/// While a trial is under way, its outcome is expected within this span.
const SOON: i64 = 5 * SECOND;

/// Models an account can be held for at once; their names come from clients.
const HOLDS: usize = 256;

/// One configured key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: KeyId,
    pub(super) label: Arc<str>,
    pub(super) upstream: UpstreamId,
    pub(super) account: AccountId,
    /// Where its account stands in the pool's list; set anew whenever that list changes.
    pub(super) slot: usize,
    /// Removed from the configuration; waits for its last lease.
    pub(super) retired: bool,
    /// Leases open on it. Changed only where a lease is opened or closed.
    pub(super) in_flight: u32,
    /// Open while the service does not know the key. The account may have another one.
    pub(super) refused: Breaker,
    pub(super) last_fault: Option<(FaultKind, Millis)>,
}

/// What owns quota upstream.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: AccountId,
    /// Has just one key; set anew whenever the keys change.
    pub(super) alone: bool,
    /// Named by an answer.
    pub(super) workspace: Option<String>,
    /// Open while the service refuses the account whatever key asks.
    pub(super) barred: Breaker,
    /// Opened by consecutive server errors.
    pub(super) breaker: Breaker,
    /// As a refused request said.
    pub(super) quota: Option<Quota>,
    pub(super) funds: Funds,
    pub(super) cooldown: Option<Cooldown>,
    pub(super) holds: Holds,
    /// The owner was told that it is away, and not yet that it is back.
    pub(super) away: bool,
}

/// A window is exhausted.
#[derive(Debug)]
pub(super) struct Quota {
    pub(super) until: Millis,
    pub(super) window: Option<Window>,
}

/// Not used for a while.
#[derive(Debug)]
pub(super) struct Cooldown {
    pub(super) until: Millis,
    pub(super) why: FaultKind,
    /// The note that caused it, for a pardon.
    pub(super) note: u64,
}

/// Models that an account is not used for.
#[derive(Debug, Default)]
pub(super) struct Holds {
    map: BTreeMap<Arc<str>, Hold>,
}

#[derive(Debug)]
pub(super) struct Hold {
    pub(super) until: Millis,
    pub(super) why: FaultKind,
    span: i64,
}

/// How a key stands for one request.
#[derive(Debug, Default)]
pub(super) struct Stand {
    pub(super) block: Option<Block>,
    /// Usable, as some breaker's trial.
    pub(super) trial: bool,
    /// Kept out by something that will not end with a trial under way.
    pub(super) firm: bool,
}

impl Key {
    /// What keeps this key out, whoever its account is.
    pub(super) fn stand(&self, upstream: Phase, now: Millis) -> Stand {
        let mut stand = Stand::default();
        stand.breaker(Guard::Dead, &self.refused, self.refused.phase(now, None), now);
        stand.phase(Guard::Upstream, None, upstream, now);
        stand
    }

    pub(super) fn end(&self) -> Option<Millis> {
        self.refused.until()
    }

    pub(super) fn shift(&mut self, span: i64) {
        self.refused.shift(span);
        if let Some((_, at)) = &mut self.last_fault {
            *at = at.plus(span);
        }
    }
}

impl Account {
    pub(super) fn new(id: AccountId) -> Self {
        Self {
            id,
            alone: true,
            workspace: None,
            barred: Breaker::default(),
            breaker: Breaker::default(),
            quota: None,
            funds: Funds::new(u64::from(id.0)),
            cooldown: None,
            holds: Holds::default(),
            away: false,
        }
    }

    /// Adds what keeps the account out, for any model, to how its key stands.
    pub(super) fn stand(&self, mut stand: Stand, now: Millis) -> Stand {
        let guard = match self.barred.why() {
            // Ends by itself with the month: not dead, but looked at as rarely.
            Some(FaultKind::SpendingLimit) => Guard::Cooling,
            _ => Guard::Dead,
        };
        stand.breaker(guard, &self.barred, self.barred.phase(now, None), now);
        stand.breaker(Guard::Cooling, &self.breaker, self.breaker.phase(now, Some(PATIENCE)), now);
        if let Some(quota) = self.quota.as_ref().filter(|quota| now < quota.until) {
            stand.add(Guard::Quota, Some(FaultKind::Quota), quota.until);
        }
        if let Some(until) = self.funds.limited(now) {
            stand.add(Guard::Quota, Some(FaultKind::Quota), until);
        }
        if let Some(until) = self.funds.balance.parked.filter(|until| now < *until) {
            stand.add(Guard::Balance, Some(FaultKind::Quota), until);
        }
        if let Some(cooldown) = self.cooldown.as_ref().filter(|cooldown| now < cooldown.until) {
            stand.add(Guard::Cooling, Some(cooldown.why), cooldown.until);
        }
        stand
    }

    /// Adds what keeps the account out for this model.
    pub(super) fn stand_for(
        &self,
        model: Option<&Arc<str>>,
        mut stand: Stand,
        now: Millis,
    ) -> Stand {
        if let Some(hold) = self.holds.get(model).filter(|hold| now < hold.until) {
            let alone = stand.block.is_none() && hold.why == FaultKind::NotForAccount;
            let guard = if alone { Guard::NotServed } else { Guard::Model };
            stand.add(guard, Some(hold.why), hold.until);
        }
        stand
    }

    /// Is it out until somebody does something about it?
    pub(super) fn is_dead(&self, now: Millis) -> bool {
        matches!(self.barred.phase(now, None), Phase::Open { .. } | Phase::Trying)
    }

    /// May it be given requests, as far as the service and its quota go?
    pub(super) fn is_in_use(&self, now: Millis) -> bool {
        !self.is_dead(now)
            && self.quota.as_ref().is_none_or(|quota| quota.until <= now)
            && self.funds.limited(now).is_none()
            && self.funds.balance.parked.is_none_or(|until| until <= now)
    }

    /// Forgets what is over.
    pub(super) fn tidy(&mut self, now: Millis) {
        self.quota.take_if(|quota| quota.until <= now);
        self.cooldown.take_if(|cooldown| cooldown.until <= now);
        self.funds.balance.parked.take_if(|until| *until <= now);
        self.holds.tidy(now);
    }

    /// When what keeps it out ends, past or future.
    pub(super) fn ends(&self) -> impl Iterator<Item = Millis> {
        let quota = self.quota.as_ref().map(|quota| quota.until);
        let cooldown = self.cooldown.as_ref().map(|cooldown| cooldown.until);
        let patience = self.breaker.patience_ends();
        let parked = self.funds.balance.parked;
        [quota, cooldown, parked, self.barred.until(), self.breaker.until(), patience]
            .into_iter()
            .flatten()
            .chain(self.holds.map.values().map(|hold| hold.until))
            .chain(self.funds.resets())
    }

    pub(super) fn shift(&mut self, span: i64) {
        self.barred.shift(span);
        self.breaker.shift(span);
        self.funds.shift(span);
        if let Some(quota) = &mut self.quota {
            quota.until = quota.until.plus(span);
        }
        if let Some(cooldown) = &mut self.cooldown {
            cooldown.until = cooldown.until.plus(span);
        }
        for hold in self.holds.map.values_mut() {
            hold.until = hold.until.plus(span);
        }
    }

    /// Takes over the other half of the same account: whatever lasts longer holds for both.
    pub(super) fn absorb(&mut self, other: Self) {
        self.barred.merge(other.barred);
        self.breaker.merge(other.breaker);
        self.away |= other.away;
        self.funds.absorb(other.funds);
        if other.quota.as_ref().map(|q| q.until) > self.quota.as_ref().map(|q| q.until) {
            self.quota = other.quota;
        }
        if other.cooldown.as_ref().map(|c| c.until) > self.cooldown.as_ref().map(|c| c.until) {
            self.cooldown = other.cooldown;
        }
        for (model, hold) in other.holds.map {
            if self.holds.get(Some(&model)).is_none_or(|own| own.until < hold.until) {
                self.holds.insert(&model, hold);
            }
        }
    }
}

impl Holds {
    pub(super) fn held_at(&self, now: Millis) -> impl Iterator<Item = (&Arc<str>, &Hold)> {
        self.map.iter().filter(move |(_, hold)| now < hold.until)
    }

    pub(super) fn get(&self, model: Option<&Arc<str>>) -> Option<&Hold> {
        if self.map.is_empty() { None } else { self.map.get(model?) }
    }

    /// Holds a model until then, or longer if it already is. Returns whether that is news.
    pub(super) fn until(&mut self, model: &Arc<str>, why: FaultKind, until: Millis) -> bool {
        if self.get(Some(model)).is_some_and(|hold| hold.until >= until) {
            return false;
        }
        self.insert(model, Hold { until, why, span: 0 });
        true
    }

    /// Holds a model for longer than the last time, unless it is held already. Returns until when.
    pub(super) fn grow(
        &mut self,
        model: &Arc<str>,
        why: FaultKind,
        growth: Growth,
        now: Millis,
    ) -> Option<Millis> {
        let last = self.get(Some(model));
        if last.is_some_and(|hold| now < hold.until && hold.why == why) {
            return None;
        }
        let span = match last {
            Some(hold) if hold.why == why => growth.after(hold.span),
            _ => growth.first,
        };
        self.insert(model, Hold { until: now.plus(span), why, span });
        Some(now.plus(span))
    }

    /// The model was served: nothing else but a limit that upstream gave an end remains.
    pub(super) fn answered(&mut self, model: Option<&Arc<str>>, now: Millis) {
        if let Some(name) = model
            && self.get(model).is_some_and(|hold| hold.until <= now || hold.span > 0)
        {
            self.map.remove(name);
        }
    }

    /// What survives a restart.
    pub(super) fn image(&self) -> Vec<HoldImage> {
        let one = |(model, hold): (&Arc<str>, &Hold)| HoldImage {
            model: model.to_string(),
            why: hold.why.name().to_owned(),
            until: hold.until.0,
            span: hold.span,
        };
        self.map.iter().map(one).collect()
    }

    pub(super) fn restore(&mut self, images: Vec<HoldImage>) {
        for image in images {
            let Some(why) = FaultKind::named(&image.why) else { continue };
            let (until, span) = (Millis(image.until), image.span.max(0));
            self.insert(&Arc::from(image.model), Hold { until, why, span });
        }
    }

    fn insert(&mut self, model: &Arc<str>, hold: Hold) {
        if self.map.len() >= HOLDS && !self.map.contains_key(model) {
            let first = self.map.iter().min_by_key(|(_, hold)| hold.until);
            if let Some(first) = first.map(|(name, _)| Arc::clone(name)) {
                self.map.remove(&first);
            }
        }
        self.map.insert(Arc::clone(model), hold);
    }

    /// Drops what is over, but remembers a growing span for as long again.
    fn tidy(&mut self, now: Millis) {
        self.map.retain(|_, hold| now < hold.until.plus(hold.span));
    }
}

impl Stand {
    fn breaker(&mut self, guard: Guard, breaker: &Breaker, phase: Phase, now: Millis) {
        self.phase(guard, breaker.why(), phase, now);
    }

    fn phase(&mut self, guard: Guard, why: Option<FaultKind>, phase: Phase, now: Millis) {
        match phase {
            Phase::Closed => {}
            Phase::HalfOpen => self.trial = true,
            Phase::Open { until } => self.add(guard, why, until),
            Phase::Trying => self.expect(guard, why, now.plus(SOON)),
        }
    }

    /// Kept out by a trial under way. A dead key's re-check is a long shot; nobody waits for it.
    fn expect(&mut self, guard: Guard, why: Option<FaultKind>, until: Millis) {
        let firm = self.firm || guard == Guard::Dead;
        self.add(guard, why, until);
        self.firm = firm;
    }

    /// Of several blocks the one that ends last counts, but death before everything.
    fn add(&mut self, guard: Guard, why: Option<FaultKind>, until: Millis) {
        self.firm = true;
        let rank = |block: &Block| (block.guard == Guard::Dead, block.until);
        let new = Block { guard, why, until };
        if self.block.as_ref().is_none_or(|old| rank(old) < rank(&new)) {
            self.block = Some(new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_are_bounded() {
        let mut holds = Holds::default();
        for n in 0..2_000 {
            holds.until(&format!("m{n}").into(), FaultKind::RateLimit, Millis(n));
        }
        assert_eq!(holds.map.len(), HOLDS);
    }

    #[test]
    fn a_growing_hold_remembers_its_span_for_a_while() {
        let (mut holds, model, why) = (Holds::default(), "m".into(), FaultKind::NotForAccount);
        let growth = Growth { first: 100, most: 1_000 };
        assert_eq!(holds.grow(&model, why, growth, Millis(0)), Some(Millis(100)));
        assert_eq!(holds.grow(&model, why, growth, Millis(50)), None, "known already");
        holds.tidy(Millis(150));
        assert_eq!(holds.grow(&model, why, growth, Millis(150)), Some(Millis(350)));
        holds.tidy(Millis(550));
        assert_eq!(holds.grow(&model, why, growth, Millis(550)), Some(Millis(650)));
    }

    #[test]
    fn death_counts_before_longer_blocks() {
        let mut stand = Stand::default();
        stand.add(Guard::Quota, None, Millis(500));
        stand.add(Guard::Dead, None, Millis(100));
        stand.add(Guard::Cooling, None, Millis(900));
        assert_eq!(stand.block.map(|block| block.guard), Some(Guard::Dead));
    }
}
