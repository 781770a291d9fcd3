//! The usual week: what is spent in which quarter of an hour, learned over weeks.
//!
//! Two classes of days (Monday to Friday, Saturday and Sunday, UTC) of 96 quarters each. Until a
//! class has been seen, the mean so far is carried forward.

use crate::time::{DAY, HOUR, MINUTE, Millis};

/// One slot of the profile.
pub(super) const SLOT: i64 = 15 * MINUTE;
const SLOTS: usize = 96;
const WEEK_SLOTS: usize = 7 * SLOTS;
const WEEK: i64 = 7 * DAY;
/// 1970-01-05, a Monday 00:00 UTC.
const MONDAY: i64 = 4 * DAY;
/// What a day's slot keeps of what was known before it: two weeks of memory for both classes.
const KEEP: [f64; 2] = [0.9, 0.78];
/// τ in hours, and what is left after a slot: e^(−15/240).
const FADE_HOURS: f64 = 4.0;
const FADE_PER_SLOT: f64 = 0.939_413_062_813_475_8;
/// Weights of a slot's neighbours: work does not begin at the same quarter every day.
const KERNEL: [f64; 5] = [1.0, 0.8, 0.6, 0.4, 0.2];
/// How many hours of the mean a slot is worth before anything was seen of it.
const PRIOR_HOURS: f64 = 0.75;
/// A mean is taken over no less than this: a morning's work is not the rate of a day.
const FIRST_DAY: f64 = 24.0;

/// Dollars seen, and the hours in which they were.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) dollars: f64,
    pub(super) hours: f64,
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    /// By class and quarter of the day.
    pub(super) seen: [[Seen; SLOTS]; 2],
    /// The start of the open slot; `None` before anything was spent.
    pub(super) slot: Option<Millis>,
    /// Dollars of the open slot.
    pub(super) open: f64,
    /// Dollars from Monday 00:00 to the start of each slot of the usual week.
    week: Box<[f64; WEEK_SLOTS + 1]>,
    /// ∫ usual(s)·e^(−(s−t)/τ) ds from the start t of each slot to the end of all weeks.
    ahead: Box<[f64; WEEK_SLOTS + 1]>,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            seen: [[Seen::default(); SLOTS]; 2],
            slot: None,
            open: 0.0,
            week: Box::new([0.0; WEEK_SLOTS + 1]),
            ahead: Box::new([0.0; WEEK_SLOTS + 1]),
        }
    }
}

impl Profile {
    /// Closes the slots that are over.
    pub(super) fn advance(&mut self, now: Millis) {
        let Some(slot) = self.slot else { return };
        if now.since(slot) < SLOT {
            return;
        }
        // Beyond two weeks of silence there is nothing left to forget.
        let mut slot = Millis(slot.0.max(floor(now).0 - 2 * WEEK));
        while now.since(slot) >= SLOT {
            self.close(slot);
            slot = slot.plus(SLOT);
        }
        self.slot = Some(slot);
        self.rebuild();
    }

    pub(super) fn spend(&mut self, at: Millis, dollars: f64) {
        if self.slot.is_none() {
            self.slot = Some(floor(at));
        }
        self.advance(at);
        self.open += dollars;
    }

    /// The slots until now were not seen.
    pub(super) fn skip(&mut self, now: Millis) {
        let Some(slot) = self.slot else { return };
        if now.since(slot) < SLOT {
            return;
        }
        self.slot = Some(floor(now));
        if self.open > 0.0 {
            self.close(slot);
            self.rebuild();
        }
    }

    fn close(&mut self, slot: Millis) {
        let (class, quarter) = place(slot);
        let dollars = std::mem::take(&mut self.open);
        let keep = KEEP.get(class).copied().unwrap_or_default();
        if let Some(seen) = self.seen.get_mut(class).and_then(|day| day.get_mut(quarter)) {
            seen.dollars = seen.dollars * keep + dollars;
            seen.hours = seen.hours * keep + 0.25;
        }
    }

    /// The usual week from what was seen.
    pub(super) fn rebuild(&mut self) {
        let all = self.seen.iter().flatten().fold(Seen::default(), Seen::and);
        let mean = all.dollars / all.hours.max(FIRST_DAY);
        let mut rates = [[0.0; SLOTS]; 2];
        for (rates, day) in rates.iter_mut().zip(&self.seen) {
            for (quarter, rate) in rates.iter_mut().enumerate() {
                let near = around(day, quarter);
                *rate = (near.dollars + PRIOR_HOURS * mean) / (near.hours + PRIOR_HOURS);
            }
        }
        let mut sum = 0.0;
        let days = (0..7).flat_map(|day| rates.get(usize::from(day >= 5)).into_iter().flatten());
        for (place, rate) in self.week.iter_mut().zip(std::iter::once(&0.0).chain(days)) {
            sum += rate * 0.25;
            *place = sum;
        }
        // Backwards twice around the week: what the first round started from has faded by then.
        let mut after = 0.0;
        for _ in 0..2 {
            let slots = self.ahead.iter_mut().rev().skip(1);
            let dollars = self.week.iter().rev().zip(self.week.iter().rev().skip(1));
            for (place, (end, start)) in slots.zip(dollars) {
                after = (end - start) / 0.25 * FADE_HOURS * (1.0 - FADE_PER_SLOT)
                    + FADE_PER_SLOT * after;
                *place = after;
            }
        }
        if let Some(last) = self.ahead.last_mut() {
            *last = after;
        }
    }

    /// ∫ usual(s)·e^(−(s−t)/τ) ds from `at` on, without end.
    pub(super) fn fading(&self, at: Millis) -> f64 {
        let into = at.0.saturating_sub(MONDAY).rem_euclid(WEEK);
        let slot = index(into / SLOT);
        let next = self.ahead.get(slot + 1).copied().unwrap_or_default();
        let left = (-float(SLOT - into % SLOT) / float(super::FADE)).exp();
        self.rate(at) * FADE_HOURS * (1.0 - left) + left * next
    }

    /// Usual dollars in the span.
    pub(super) fn between(&self, from: Millis, until: Millis) -> f64 {
        (self.since_monday(until) - self.since_monday(from)).max(0.0)
    }

    /// Dollars from the first Monday of all to this moment, if every week had been usual.
    fn since_monday(&self, at: Millis) -> f64 {
        let since = at.0.saturating_sub(MONDAY);
        let (weeks, into) = (since.div_euclid(WEEK), since.rem_euclid(WEEK));
        let (slot, rest) = (index(into / SLOT), into % SLOT);
        let at = |slot: usize| self.week.get(slot).copied().unwrap_or_default();
        let whole = at(WEEK_SLOTS);
        let (low, high) = (at(slot), at(slot + 1));
        float(weeks) * whole + low + (high - low) * float(rest) / float(SLOT)
    }

    /// Usual dollars per hour around a moment.
    pub(super) fn rate(&self, at: Millis) -> f64 {
        let slot = floor(at);
        self.between(slot, slot.plus(SLOT)) * float(HOUR) / float(SLOT)
    }

    pub(super) fn shift(&mut self, span: i64) {
        self.slot = self.slot.map(|slot| floor(slot.plus(span)));
    }

    pub(super) fn absorb(&mut self, other: &Self) {
        for (mine, theirs) in self.seen.iter_mut().flatten().zip(other.seen.iter().flatten()) {
            mine.dollars += theirs.dollars;
            mine.hours = mine.hours.max(theirs.hours);
        }
        self.open += other.open;
        self.slot = self.slot.max(other.slot);
        self.rebuild();
    }
}

impl Seen {
    fn and(self, other: &Self) -> Self {
        Self { dollars: self.dollars + other.dollars, hours: self.hours + other.hours }
    }
}

/// What was seen around a quarter, neighbours counting less. Midnight has neighbours on both sides.
fn around(day: &[Seen; SLOTS], quarter: usize) -> Seen {
    let mut sum = Seen::default();
    for (distance, weight) in KERNEL.iter().enumerate() {
        let sides = [quarter + distance, quarter + SLOTS - distance];
        for side in sides.iter().take(if distance == 0 { 1 } else { 2 }) {
            let seen = day.get(side % SLOTS).copied().unwrap_or_default();
            sum.dollars += weight * seen.dollars;
            sum.hours += weight * seen.hours;
        }
    }
    sum
}

/// The start of the slot.
pub(super) const fn floor(at: Millis) -> Millis {
    Millis(at.0 - at.0.rem_euclid(SLOT))
}

/// Class and quarter of a slot.
fn place(slot: Millis) -> (usize, usize) {
    let into = slot.0.saturating_sub(MONDAY).rem_euclid(WEEK);
    (usize::from(into / DAY >= 5), index(into % DAY / SLOT))
}

fn index(slot: i64) -> usize {
    usize::try_from(slot).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "spans far below 2^52 milliseconds")]
pub(super) const fn float(span: i64) -> f64 {
    span as f64
}
