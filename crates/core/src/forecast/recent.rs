//! What was spent in the last twenty minutes.

use crate::time::{HOUR, MINUTE, Millis};

/// Minutes kept: twenty whole ones, of which the first and the last are parts.
const MINUTES: usize = 21;
const SPAN: i64 = 21;

/// A ring of one-minute sums, and the smooth rate that they give.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent {
    /// Sums by minute of the clock modulo [`MINUTES`].
    sums: [f64; MINUTES],
    /// The minute that was last written.
    minute: i64,
}

const fn minute_of(at: Millis) -> i64 {
    at.0.div_euclid(MINUTE)
}

fn place(minute: i64) -> usize {
    usize::try_from(minute.rem_euclid(SPAN)).unwrap_or_default()
}

impl Recent {
    pub(super) fn add(&mut self, at: Millis, dollars: f64) {
        let minute = minute_of(at);
        if minute - self.minute >= SPAN {
            self.sums = [0.0; MINUTES];
            self.minute = minute;
        }
        while self.minute < minute {
            self.minute += 1;
            if let Some(sum) = self.sums.get_mut(place(self.minute)) {
                *sum = 0.0;
            }
        }
        if self.minute - minute < SPAN
            && let Some(sum) = self.sums.get_mut(place(minute))
        {
            *sum += dollars;
        }
    }

    /// Dollars per hour. The oldest minute counts by the part of it that is still inside.
    pub(super) fn rate(&self, now: Millis) -> f64 {
        let minute = minute_of(now);
        let into = fraction(now.0.rem_euclid(MINUTE), MINUTE);
        let mut sum = 0.0;
        for back in 0..SPAN {
            let then = minute - back;
            if then > self.minute || self.minute - then >= SPAN {
                continue;
            }
            let share = if back == SPAN - 1 { 1.0 - into } else { 1.0 };
            sum += share * self.sums.get(place(then)).copied().unwrap_or_default();
        }
        sum / fraction(SPAN * MINUTE - MINUTE, HOUR)
    }

    pub(super) fn shift(&mut self, span: i64) {
        // Whole minutes: a rest of less than one is lost, which a rate over twenty forgives.
        let minutes = span.div_euclid(MINUTE);
        self.sums.rotate_right(place(minutes));
        self.minute += minutes;
    }

    /// The sums, oldest first, and the minute of the last.
    pub(super) fn image(&self) -> (i64, Vec<f64>) {
        let sums = (0..SPAN)
            .rev()
            .map(|back| self.sums.get(place(self.minute - back)).copied().unwrap_or_default());
        (self.minute, sums.collect())
    }

    pub(super) fn restore(minute: i64, sums: &[f64]) -> Self {
        let mut recent = Self { minute, ..Self::default() };
        for (back, sum) in (0..SPAN).zip(sums.iter().rev()) {
            if let Some(place) = recent.sums.get_mut(place(minute - back)) {
                *place = super::sane(*sum);
            }
        }
        recent
    }

    pub(super) fn absorb(&mut self, other: &Self) {
        let (minute, sums) = other.image();
        for (back, sum) in (0..SPAN).zip(sums.iter().rev()) {
            self.add(Millis((minute - back) * MINUTE), *sum);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "spans far below 2^52 milliseconds")]
const fn fraction(part: i64, whole: i64) -> f64 {
    part as f64 / whole as f64
}
