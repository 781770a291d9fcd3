//! How many ambiguous repeats are left.
//!
//! A repeat of a request that may have been served can cost twice, and when the service is ill every
//! repeat is load it does not need. So at most a tenth of the requests of the last minute are
//! repeated, but three a minute always.

use crate::time::{Millis, SECOND};

const SLOT: i64 = 5 * SECOND;
const SLOTS: usize = 12;
const ALWAYS: u32 = 3;

/// A minute in slots of five seconds.
#[derive(Debug, Default)]
pub(super) struct Budget {
    slots: [Slot; SLOTS],
}

#[derive(Debug, Default, Clone, Copy)]
struct Slot {
    /// Number of the five seconds it counts.
    turn: i64,
    requests: u32,
    replays: u32,
}

impl Budget {
    /// A new request.
    pub(super) fn request(&mut self, now: Millis) {
        if let Some(slot) = self.slot(now) {
            slot.requests = slot.requests.saturating_add(1);
        }
    }

    /// Is there a repeat left?
    pub(super) fn allows(&self, now: Millis) -> bool {
        let oldest = turn(now) - i64::try_from(SLOTS).unwrap_or(0);
        let minute = self.slots.iter().filter(|slot| slot.turn > oldest);
        let (requests, replays) = minute.fold((0_u32, 0_u32), |(requests, replays), slot| {
            (requests.saturating_add(slot.requests), replays.saturating_add(slot.replays))
        });
        replays < ALWAYS.max(requests / 10)
    }

    /// A repeat was granted.
    pub(super) fn spend(&mut self, now: Millis) {
        if let Some(slot) = self.slot(now) {
            slot.replays = slot.replays.saturating_add(1);
        }
    }

    /// The clock was set.
    pub(super) fn shift(&mut self, span: i64) {
        // Slots are found by their turn, so each must land where that turn belongs.
        let old = std::mem::take(&mut self.slots);
        for mut slot in old.into_iter().filter(|slot| slot.requests + slot.replays > 0) {
            slot.turn = slot.turn.saturating_add(span.div_euclid(SLOT));
            if let Some(place) = self.slots.get_mut(place(slot.turn)) {
                *place = slot;
            }
        }
    }

    fn slot(&mut self, now: Millis) -> Option<&mut Slot> {
        let turn = turn(now);
        let slot = self.slots.get_mut(place(turn))?;
        if slot.turn != turn {
            *slot = Slot { turn, ..Slot::default() };
        }
        Some(slot)
    }
}

const fn turn(now: Millis) -> i64 {
    now.0.div_euclid(SLOT)
}

fn place(turn: i64) -> usize {
    usize::try_from(turn.rem_euclid(i64::try_from(SLOTS).unwrap_or(1))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MINUTE;

    fn spend_all(budget: &mut Budget, now: Millis) -> u32 {
        let mut spent = 0;
        while budget.allows(now) {
            budget.spend(now);
            spent += 1;
        }
        spent
    }

    #[test]
    fn three_a_minute_always() {
        let mut budget = Budget::default();
        let start = Millis(1_000_000);
        assert_eq!(spend_all(&mut budget, start), 3);
        assert_eq!(spend_all(&mut budget, start.plus(MINUTE - SLOT)), 0);
        assert_eq!(spend_all(&mut budget, start.plus(MINUTE)), 3);
    }

    #[test]
    fn a_tenth_of_the_last_minutes_requests() {
        let mut budget = Budget::default();
        for second in 0..60 {
            budget.request(Millis(second * SECOND));
            budget.request(Millis(second * SECOND));
        }
        assert_eq!(spend_all(&mut budget, Millis(59 * SECOND)), 12);
        assert_eq!(spend_all(&mut budget, Millis(10 * MINUTE)), 3);
    }

    #[test]
    fn a_clock_set_back_neither_adds_nor_loses() {
        let mut budget = Budget::default();
        spend_all(&mut budget, Millis(10 * MINUTE));
        budget.shift(-7 * MINUTE);
        assert!(!budget.allows(Millis(3 * MINUTE)));
        assert!(budget.allows(Millis(4 * MINUTE)));
    }
}
