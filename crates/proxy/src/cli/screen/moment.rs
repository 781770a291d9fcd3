//! Moments as people say them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cli::screen::Look;

/// A moment as the documents of a proxy have it: `2026-11-24T14:20:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(pub Timestamp);

impl Moment {
    /// From milliseconds since 1970.
    pub fn from_millis(millis: i64) -> Self {
        Self(Timestamp::from_millisecond(millis).unwrap_or_default())
    }

    /// Seconds from `earlier` to this.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.as_second().saturating_sub(earlier.0.as_second())
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{:.3}", self.0))
    }
}

/// Seconds in a day.
const DAY: i64 = 86_400;

/// Says moments as they look from one moment in one zone.
#[derive(Debug, Clone)]
pub struct Times {
    now: Moment,
    zone: TimeZone,
}

impl Times {
    /// In this machine's zone; UTC where it has none.
    pub fn here(now: Moment) -> Self {
        Self::new(now, TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    /// In another zone.
    pub fn new(now: Moment, zone: TimeZone) -> Self {
        Self { now, zone }
    }

    /// The moment from which it is looked.
    pub const fn now(&self) -> Moment {
        self.now
    }

    fn say(&self, at: Moment, form: &str) -> String {
        at.0.to_zoned(self.zone.clone()).strftime(form).to_string()
    }

    /// `Tue 14:20`; `24 Dec 14:20` where the day of the week would not be plain.
    pub fn at(&self, at: Moment) -> String {
        self.say(at, if self.is_near(at) { "%a %H:%M" } else { "%-d %b %H:%M" })
    }

    /// `14:20`, on the same day.
    pub fn clock(&self, at: Moment) -> String {
        self.say(at, "%H:%M")
    }

    /// `Tue`, or `24 Dec`.
    pub fn day(&self, at: Moment) -> String {
        self.say(at, if self.is_near(at) { "%a" } else { "%-d %b" })
    }

    /// `Tue 24 Nov 14:20`, with the year where it is another.
    pub fn whole(&self, at: Moment) -> String {
        let this_year = self.say(at, "%Y") == self.say(self.now, "%Y");
        self.say(at, if this_year { "%a %-d %b %H:%M" } else { "%a %-d %b %Y %H:%M" })
    }

    /// What the zone is called, as `UTC` or `UTC+1`.
    pub fn zone(&self) -> String {
        let seconds = self.zone.to_offset(self.now.0).seconds();
        let (hours, minutes) = (seconds.abs() / 3_600, seconds.abs() / 60 % 60);
        let sign = if seconds < 0 { '-' } else { '+' };
        match (hours, minutes) {
            (0, 0) => "UTC".to_owned(),
            (_, 0) => format!("UTC{sign}{hours}"),
            _ => format!("UTC{sign}{hours}:{minutes:02}"),
        }
    }

    /// Whether the day of the week says which day is meant.
    pub fn is_near(&self, at: Moment) -> bool {
        at.since(self.now).abs() < 7 * DAY
    }

    /// How long until then and when that is: `2 h 14 min, 17:54`.
    pub fn until_at(&self, at: Moment) -> String {
        let seconds = at.since(self.now);
        if seconds <= 0 {
            return "now".to_owned();
        }
        let when = if seconds < DAY { self.clock(at) } else { self.at(at) };
        format!("{}, {when}", span(seconds))
    }

    /// The same in a sentence: `in 2 h 14 min (17:54)`.
    pub fn in_at(&self, at: Moment) -> String {
        match self.until_at(at).split_once(", ") {
            Some((span, when)) => format!("in {span} ({when})"),
            None => "now".to_owned(),
        }
    }

    /// `24 Nov 14:20`, or `24 Nov 2027` where the year is another.
    pub fn date(&self, at: Moment) -> String {
        let this_year = self.say(at, "%Y") == self.say(self.now, "%Y");
        self.say(at, if this_year { "%-d %b %H:%M" } else { "%-d %b %Y" })
    }

    /// `Tue 18:00–21:00`, `Tue 18:00 – Wed 09:00`, or one moment.
    pub fn range(&self, from: Moment, to: Moment, look: Look) -> String {
        let day = "%Y-%m-%d";
        if self.at(from) == self.at(to) {
            self.at(from)
        } else if self.say(from, day) == self.say(to, day) {
            format!("{}{}{}", self.at(from), look.dash(), self.clock(to))
        } else {
            format!("{} {} {}", self.at(from), look.dash(), self.at(to))
        }
    }
}

/// Seconds as people say them: the two largest units, whole days from a week on.
pub fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours, minutes) = (seconds / DAY, seconds / 3_600 % 24, seconds / 60 % 60);
    let two = |large: String, count: i64, unit: &str| {
        if count > 0 { format!("{large} {count} {unit}") } else { large }
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} min"),
        3_600..DAY => two(format!("{hours} h"), minutes, "min"),
        _ if days < 7 => two(format!("{days} d"), hours, "h"),
        _ => format!("{days} d"),
    }
}

/// Half the width of a forecast, in seconds, to a figure that promises no more than it can hold.
pub fn spread(seconds: i64) -> String {
    let rounded = |unit: i64| ((seconds + unit / 2) / unit).max(1);
    match seconds {
        ..600 => format!("{} min", rounded(60)),
        600..5_400 => format!("{} min", rounded(300) * 5),
        5_400..129_600 => format!("{} h", rounded(3_600)),
        _ => format!("{} d", rounded(DAY)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Tuesday.
    const NOW: &str = "2026-11-24T14:20:00Z";

    fn moment(text: &str) -> Moment {
        Moment(text.parse().unwrap())
    }

    #[test]
    fn spans_and_spreads() {
        for (seconds, text) in [
            (-5, "0 s"),
            (59, "59 s"),
            (61, "1 min"),
            (3_600, "1 h"),
            (8_040, "2 h 14 min"),
            (90_000, "1 d 1 h"),
            (7 * DAY - 1, "6 d 23 h"),
            (25 * DAY + 7_200, "25 d"),
        ] {
            assert_eq!(span(seconds), text);
        }
        for (seconds, text) in [
            (0, "1 min"),
            (599, "10 min"),
            (1_500, "25 min"),
            (5_399, "90 min"),
            (5_400, "2 h"),
            (36_000, "10 h"),
            (DAY * 2, "2 d"),
        ] {
            assert_eq!(spread(seconds), text);
        }
    }

    #[test]
    fn moments() {
        let utc = Times::new(moment(NOW), TimeZone::UTC);
        let east = Times::new(moment(NOW), TimeZone::fixed(jiff::tz::offset(9)));
        for (at, short, whole) in [
            ("2026-11-24T17:54:10Z", "Tue 17:54", "Tue 24 Nov 17:54"),
            ("2026-11-30T14:19:00Z", "Mon 14:19", "Mon 30 Nov 14:19"),
            ("2026-12-01T14:20:00Z", "1 Dec 14:20", "Tue 1 Dec 14:20"),
            ("2027-01-02T03:04:00Z", "2 Jan 03:04", "Sat 2 Jan 2027 03:04"),
        ] {
            assert_eq!(
                (utc.at(moment(at)).as_str(), utc.whole(moment(at)).as_str()),
                (short, whole)
            );
        }
        assert_eq!(east.at(moment(NOW)), "Tue 23:20");
        assert_eq!((utc.zone(), east.zone()), ("UTC".to_owned(), "UTC+9".to_owned()));
        assert_eq!(utc.until_at(moment("2026-11-24T16:34:00Z")), "2 h 14 min, 16:34");
        assert_eq!(utc.until_at(moment("2026-11-30T10:00:00Z")), "5 d 19 h, Mon 10:00");
        assert_eq!(
            (utc.until_at(moment(NOW)), utc.in_at(moment(NOW))),
            ("now".into(), "now".into())
        );
        assert_eq!(utc.in_at(moment("2026-11-24T16:34:00Z")), "in 2 h 14 min (16:34)");
        assert_eq!(utc.date(moment(NOW)), "24 Nov 14:20");
        assert_eq!(utc.date(moment("2025-11-24T16:34:00Z")), "24 Nov 2025");
        let (from, to) = (moment("2026-11-24T18:00:00Z"), moment("2026-11-24T21:00:00Z"));
        assert_eq!(utc.range(from, to, Look::PLAIN), "Tue 18:00-21:00");
        assert_eq!(east.range(moment(NOW), to, Look::PLAIN), "Tue 23:20 - Wed 06:00");
        assert_eq!(utc.range(from, from, Look::PLAIN), "Tue 18:00");
    }

    #[test]
    fn as_documents_have_them() {
        let at: Moment = serde_json::from_str("\"2026-11-24T14:20:00.5Z\"").unwrap();
        assert_eq!(serde_json::to_string(&at).unwrap(), "\"2026-11-24T14:20:00.500Z\"");
        assert!(serde_json::from_str::<Moment>("\"soon\"").is_err());
    }
}
