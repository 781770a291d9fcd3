//! Moments as the service writes them: ISO 8601 in the profile of RFC 3339.

use saros_core::time::{DAY, HOUR, MINUTE, Millis, SECOND};

/// `2026-08-13T16:27:38.287Z`, with or without a fraction, with `Z`, an offset or neither (then
/// UTC is meant).
pub(crate) fn parse(text: &str) -> Option<Millis> {
    let text = text.trim();
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut date = date.split('-');
    let (year, month, day) =
        (digits(date.next()?, 4)?, digits(date.next()?, 2)?, digits(date.next()?, 2)?);
    if date.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (time, offset) = match time.find(['Z', 'z', '+', '-']) {
        Some(end) => time.split_at_checked(end)?,
        None => (time, "Z"),
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut time = time.split(':');
    let (hour, minute) = (digits(time.next()?, 2)?, digits(time.next()?, 2)?);
    let second = digits(time.next()?, 2)?;
    if time.next().is_some() || hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    let at = days(year, month, day) * DAY
        + hour * HOUR
        + minute * MINUTE
        + second * SECOND
        + millis(fraction)?
        - offset_of(offset)?;
    Some(Millis(at))
}

fn digits(text: &str, length: usize) -> Option<i64> {
    let fits = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok())?
}

fn millis(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut padded = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    padded.try_fold(0, |sum, byte| Some(sum * 10 + i64::from(byte - b'0')))
}

fn offset_of(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = text.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':').or_else(|| rest.split_at_checked(2))?;
    let span = digits(hours, 2)? * HOUR + digits(minutes, 2)? * MINUTE;
    Some(if sign == "-" { -span } else { span })
}

/// Days from 1 January 1970 in the Gregorian calendar, counted in years that begin in March, so
/// that the leap day is their last.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let month = (month + 9) % 12;
    let leap_days = year / 4 - year / 100 + year / 400;
    // From 1 March of year 0 to 1 January 1970 are 719,468 days.
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        for (text, at) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-24T00:00:00Z", 1_795_478_400_000),
            ("2026-11-30T00:00:00.287Z", 1_795_996_800_287),
            ("2026-11-30T01:00:00.2+01:00", 1_795_996_800_200),
            ("2026-11-29T23:30:00-0030", 1_795_996_800_000),
            ("2026-11-30 00:00:00", 1_795_996_800_000),
            ("2024-02-29T12:00:00.123456Z", 1_709_208_000_123),
            ("2000-03-01T00:00:00Z", 951_868_800_000),
        ] {
            assert_eq!(parse(text), Some(Millis(at)), "{text}");
        }
        for text in [
            "",
            "T",
            "2026-11-30",
            "2026-13-01T00:00:00Z",
            "2026-11-30T00:00Z",
            "soon",
            "2026-11-30T00:00:00.Z",
            "2026-11-30T0é:00:00Z",
            "2026-11-30T00:00:00+é",
            "26-11-30T00:00:00Z",
            "2026-11-30T00:00:00:00Z",
            "2026-11-30T99:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
