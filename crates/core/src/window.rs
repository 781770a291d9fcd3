//! The three quota periods, and when they end.

use crate::time::{DAY, HOUR, Millis};

/// One of the three quota periods of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// `fiveHour`, opened by its first request.
    FiveHour,
    /// `weekly`, Monday 00:00 UTC.
    Weekly,
    /// `monthly`, on the subscription's anniversary.
    Monthly,
}

/// Something of each window, indexed by [`Window::index`].
pub type PerWindow<T> = [T; 3];

/// How long the five-hour window lasts from the request that opens it.
pub const FIVE_HOURS: i64 = 5 * HOUR;

impl Window {
    /// All of them, shortest first; the order of [`PerWindow`].
    pub const ALL: PerWindow<Self> = [Self::FiveHour, Self::Weekly, Self::Monthly];

    /// Its place in a [`PerWindow`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The word used in figures for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FiveHour => "fiveHour",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        }
    }

    /// What a Go subscription may use in it, in quota-dollars, as published: $12, $30, $60
    /// (20 %, 50 % and 100 % of the month's).
    pub const fn published_dollars(self) -> f64 {
        match self {
            Self::FiveHour => 12.0,
            Self::Weekly => 30.0,
            Self::Monthly => 60.0,
        }
    }
}

/// The first Monday 00:00 UTC after `now`, where every account's weekly window ends.
pub const fn next_monday(now: Millis) -> Millis {
    // 1 January 1970 was a Thursday: the first Monday came four days later.
    let monday = 4 * DAY;
    let since = (now.0 - monday).rem_euclid(7 * DAY);
    now.plus(7 * DAY - since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_end_on_mondays() {
        // 2026-11-24 was a Tuesday, 2026-11-30 00:00 UTC the Monday after it.
        let (tuesday, monday) = (Millis(1_795_478_400_000), Millis(1_795_996_800_000));
        assert_eq!(next_monday(tuesday), monday);
        assert_eq!(next_monday(Millis(monday.0 - 1)), monday);
        assert_eq!(next_monday(monday), monday.plus(7 * DAY), "the new week has begun");
    }
}
