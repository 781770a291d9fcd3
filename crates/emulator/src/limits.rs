//! The limiters in front of everything: per key, model and minute; per IP and day.

use std::collections::HashMap;

use crate::calendar::{self, MINUTE};

/// Counts requests.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    minute: i64,
    per_key: HashMap<(String, String), u32>,
    day: i64,
    per_ip: HashMap<String, u32>,
}

impl Limits {
    /// Counts a request of this key for this model in the clock minute of `now`; whether it is
    /// within the limit (upstream.md §2.2, `RateLimitError`).
    pub(crate) fn key(&mut self, secret: &str, model: &str, limit: u32, now: i64) -> bool {
        let minute = now.div_euclid(MINUTE);
        if self.minute != minute {
            self.minute = minute;
            self.per_key.clear();
        }
        let count = self.per_key.entry((secret.to_owned(), model.to_owned())).or_default();
        *count = count.saturating_add(1);
        *count <= limit
    }

    /// Counts a free request of this IP on the UTC day of `now`; whether it is within the limit
    /// (upstream.md §2.2, `FreeUsageLimitError`).
    pub(crate) fn ip(&mut self, ip: &str, limit: u32, now: i64) -> bool {
        let day = calendar::day_start(now);
        if self.day != day {
            self.day = day;
            self.per_ip.clear();
        }
        let count = self.per_ip.entry(ip.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count <= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_per_clock_minute_and_day() {
        let mut limits = Limits::default();
        assert!(limits.key("k", "m", 1, 59_000));
        assert!(!limits.key("k", "m", 1, 59_999));
        assert!(limits.key("k", "other", 1, 59_999));
        assert!(limits.key("k", "m", 1, 60_000), "a new clock minute");
        assert!(limits.ip("1.2.3.4", 1, 0));
        assert!(!limits.ip("1.2.3.4", 1, calendar::DAY - 1));
        assert!(limits.ip("1.2.3.4", 1, calendar::DAY));
    }
}
