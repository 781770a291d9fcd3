//! Calendar arithmetic in UTC on epoch milliseconds: weeks, anniversaries, midnights.

use jiff::Timestamp;
use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;

pub(crate) const SECOND: i64 = 1_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
pub(crate) const WEEK: i64 = 7 * DAY;
/// 1970-01-05, the first Monday of the epoch.
const FIRST_MONDAY: i64 = 4 * DAY;

/// The last Monday 00:00 UTC at or before `now` (upstream.md §4, weekly).
pub(crate) fn week_start(now: i64) -> i64 {
    now - (now - FIRST_MONDAY).rem_euclid(WEEK)
}

/// The next UTC midnight after `now` (upstream.md §2.2, `FreeUsageLimitError`).
pub(crate) fn next_midnight(now: i64) -> i64 {
    day_start(now) + DAY
}

/// The UTC midnight at or before `now`.
pub(crate) fn day_start(now: i64) -> i64 {
    now - now.rem_euclid(DAY)
}

/// The first instant of the calendar month of `now`, UTC.
pub(crate) fn month_start(now: i64) -> i64 {
    let date = civil(now).date();
    epoch_ms(date.first_of_month().to_datetime(jiff::civil::Time::midnight()))
}

/// The monthly period around `now` of a subscription created at `created`: the anniversary at or
/// before `now` and the next one. The day is clamped to the month's length, the time of day is
/// that of the creation (upstream.md §4, monthly).
pub(crate) fn month_period(created: i64, now: i64) -> (i64, i64) {
    let (from, to) = (civil(created), civil(now));
    let guess = (i32::from(to.year()) - i32::from(from.year())) * 12 + i32::from(to.month())
        - i32::from(from.month());
    let mut months = guess;
    // The guess is off by one at most: the anniversary of this month may still lie ahead.
    while anniversary(from, months) > now {
        months -= 1;
    }
    while anniversary(from, months + 1) <= now {
        months += 1;
    }
    (anniversary(from, months), anniversary(from, months + 1))
}

fn anniversary(created: DateTime, months: i32) -> i64 {
    // Counted from the creation itself, so that a 31st does not stay clamped to a 28th.
    let span = jiff::Span::new().try_months(months).unwrap_or_default();
    epoch_ms(created.checked_add(span).unwrap_or(created))
}

/// Whether `now` lies in a DeepSeek peak: 01:00–04:00 or 06:00–10:00 UTC; `weekdays_only` leaves
/// Saturday and Sunday out (upstream.md §4, peak pricing).
pub(crate) fn in_peak(now: i64, weekdays_only: bool) -> bool {
    let hour = now.rem_euclid(DAY) / HOUR;
    let weekend = weekdays_only && {
        let day = civil(now).date().weekday();
        day == Weekday::Saturday || day == Weekday::Sunday
    };
    !weekend && ((1..4).contains(&hour) || (6..10).contains(&hour))
}

/// `2026-08-13T16:27:38.287Z`, always with three digits of milliseconds (upstream.md §3.2).
pub(crate) fn iso(epoch_ms: i64) -> String {
    let at = civil(epoch_ms);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        epoch_ms.rem_euclid(1000)
    )
}

/// An HTTP date (RFC 9110 §5.6.7).
pub(crate) fn http_date(epoch_ms: i64) -> String {
    civil(epoch_ms).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn civil(epoch_ms: i64) -> DateTime {
    let at = Timestamp::from_millisecond(epoch_ms).unwrap_or_default();
    TimeZone::UTC.to_datetime(at)
}

fn epoch_ms(at: DateTime) -> i64 {
    TimeZone::UTC.to_timestamp(at).map_or(0, Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn weeks_begin_on_monday() {
        assert_eq!(week_start(ms("2026-11-22T23:59:59Z")), ms("2026-11-16T00:00:00Z"));
        assert_eq!(week_start(ms("2026-11-23T00:00:00Z")), ms("2026-11-23T00:00:00Z"));
    }

    #[test]
    fn anniversaries_are_clamped_but_come_back() {
        let created = ms("2026-01-31T06:06:01Z");
        let period = month_period(created, ms("2026-03-01T00:00:00Z"));
        assert_eq!(period, (ms("2026-02-28T06:06:01Z"), ms("2026-03-31T06:06:01Z")));
        let period = month_period(created, ms("2026-02-28T06:06:00Z"));
        assert_eq!(period, (created, ms("2026-02-28T06:06:01Z")));
        assert_eq!(month_period(created, created).0, created);
        // A clock before the creation still has a period around it.
        let period = month_period(created, ms("2025-12-31T06:06:00Z"));
        assert_eq!(period, (ms("2025-11-30T06:06:01Z"), ms("2025-12-31T06:06:01Z")));
    }

    #[test]
    fn peaks() {
        assert!(in_peak(ms("2026-11-20T01:00:00Z"), true), "a Friday");
        assert!(!in_peak(ms("2026-11-20T04:00:00Z"), true));
        assert!(!in_peak(ms("2026-11-21T07:00:00Z"), true), "a Saturday");
        assert!(in_peak(ms("2026-11-21T07:00:00Z"), false));
    }

    #[test]
    fn http_dates() {
        assert_eq!(http_date(ms("2026-11-02T03:04:05Z")), "Mon, 02 Nov 2026 03:04:05 GMT");
    }

    #[test]
    fn iso_keeps_three_digits() {
        assert_eq!(iso(ms("2026-08-13T16:27:38.2Z")), "2026-08-13T16:27:38.200Z");
        assert_eq!(iso(ms("2026-08-13T16:27:38Z")), "2026-08-13T16:27:38.000Z");
    }
}
