//! The three windows of a subscription, exactly as upstream.md §4 describes them, usable
//! without HTTP: every method takes `now` in epoch milliseconds.

use serde::{Deserialize, Serialize};

use crate::calendar::{self, HOUR, SECOND};
use crate::price::Money;

/// Which subscription an account has (upstream.md §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plan {
    /// $10 a month: $12 / $30 / $60 of quota.
    #[default]
    Go,
    /// $40 a month. Its dollars are not published (upstream.md §10.4); assumed 20 % / 50 % / 100 %
    /// of `Plan::monthly_pool`.
    GoPlus,
}

impl Plan {
    /// The monthly pool in dollars against which model allowances are scaled. For Go the published
    /// $60; for Go Plus the largest published model allowance, $240.
    pub const fn monthly_pool(self) -> i64 {
        match self {
            Self::Go => 60,
            Self::GoPlus => 240,
        }
    }

    /// The limits that follow: 20 %, 50 % and 100 % of the pool.
    pub const fn limits(self) -> Limits {
        let unit = self.monthly_pool() * 100_000_000;
        Limits { five_hour: Money(unit / 5), weekly: Money(unit / 2), monthly: Money(unit) }
    }
}

/// One of the three quota periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Window {
    /// Opened by the first tracked request after the previous one expired.
    FiveHour,
    /// Monday 00:00 UTC to Monday 00:00 UTC.
    Weekly,
    /// From anniversary to anniversary of the subscription.
    Monthly,
}

impl Window {
    /// All three, in the order in which the service checks them (upstream.md §2.1).
    pub const CHECKED: [Self; 3] = [Self::Weekly, Self::Monthly, Self::FiveHour];

    /// `metadata.limitName` of a `GoUsageLimitError` (upstream.md §2.2).
    pub const fn limit_name(self) -> &'static str {
        match self {
            Self::FiveHour => "5 hour",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        }
    }
}

/// Quota-dollars per window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Per five-hour window.
    pub five_hour: Money,
    /// Per week.
    pub weekly: Money,
    /// Per month.
    pub monthly: Money,
}

/// A window is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// Which one is reported: the first exceeded in the order of [`Window::CHECKED`].
    pub window: Window,
    /// Whole seconds until it resets.
    pub retry_after: i64,
}

/// What `/usage` says of one window (upstream.md §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported {
    /// `rate-limited` rather than `ok`.
    pub limited: bool,
    /// Floored; 100 only at the limit.
    pub percent: i64,
    /// Whole seconds until the reset; five hours for an idle rolling window.
    pub resets_in: i64,
}

/// What `/usage` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The five-hour window.
    pub rolling: Reported,
    /// The week.
    pub weekly: Reported,
    /// The month.
    pub monthly: Reported,
}

/// A counter and the moment it was last written; the service decides on reading whether it still
/// counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Counter {
    used: Money,
    at: Option<i64>,
}

impl Counter {
    fn used_since(&self, start: i64) -> Money {
        if self.at.is_some_and(|at| at >= start) { self.used } else { Money::ZERO }
    }

    fn add(&mut self, start: i64, now: i64, cost: Money) {
        self.used = self.used_since(start) + cost;
        self.at = Some(now);
    }
}

/// The quota of one subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quota {
    /// What may be used.
    pub limits: Limits,
    /// When the subscription was created: the anniversary of the monthly window.
    pub created_ms: i64,
    rolling: Counter,
    weekly: Counter,
    monthly: Counter,
    #[serde(skip)]
    month: Option<(i64, i64)>,
}

/// Five hours.
pub const ROLLING_MS: i64 = 5 * HOUR;

impl Quota {
    /// An unused quota.
    pub fn new(plan: Plan, created_ms: i64) -> Self {
        Self {
            limits: plan.limits(),
            created_ms,
            rolling: Counter::default(),
            weekly: Counter::default(),
            monthly: Counter::default(),
            month: None,
        }
    }

    /// Whether a request may start now. Nothing in flight counts: counters move when a request
    /// ends (upstream.md §3.5).
    pub fn admit(&self, now: i64) -> Result<(), Exhausted> {
        for window in Window::CHECKED {
            if self.used(window, now) >= self.limit(window) {
                return Err(Exhausted { window, retry_after: self.resets_in(window, now) });
            }
        }
        Ok(())
    }

    /// Records a finished request of this quota-weighted cost. The first after the five-hour
    /// window expired opens the next one at this moment.
    pub fn charge(&mut self, now: i64, cost: Money) {
        match self.opened(now) {
            Some(_) => self.rolling.used += cost,
            None => self.rolling = Counter { used: cost, at: Some(now) },
        }
        let (month, end) = self.month_at(now);
        self.month = Some((month, end));
        self.weekly.add(calendar::week_start(now), now, cost);
        self.monthly.add(month, now, cost);
    }

    /// What `/usage` reports.
    pub fn usage(&self, now: i64) -> Usage {
        Usage {
            rolling: self.reported(Window::FiveHour, now),
            weekly: self.reported(Window::Weekly, now),
            monthly: self.reported(Window::Monthly, now),
        }
    }

    /// Quota-dollars used in the window.
    pub fn used(&self, window: Window, now: i64) -> Money {
        match window {
            Window::FiveHour => self.opened(now).map_or(Money::ZERO, |_| self.rolling.used),
            Window::Weekly => self.weekly.used_since(calendar::week_start(now)),
            Window::Monthly => self.monthly.used_since(self.month_at(now).0),
        }
    }

    /// What the window allows.
    pub const fn limit(&self, window: Window) -> Money {
        match window {
            Window::FiveHour => self.limits.five_hour,
            Window::Weekly => self.limits.weekly,
            Window::Monthly => self.limits.monthly,
        }
    }

    /// Whole seconds, rounded up, until the window resets.
    pub fn resets_in(&self, window: Window, now: i64) -> i64 {
        let at = match window {
            Window::FiveHour => self.opened(now).unwrap_or(now) + ROLLING_MS,
            Window::Weekly => calendar::week_start(now) + calendar::WEEK,
            Window::Monthly => self.month_at(now).1,
        };
        (at - now + SECOND - 1) / SECOND
    }

    /// Sets how much of the window is used, as a percentage of its limit. A five-hour window that
    /// is not open is opened now.
    pub fn set_percent(&mut self, window: Window, percent: f64, now: i64) {
        let used = Money::dollars(self.limit(window).to_dollars() * percent / 100.0);
        match window {
            Window::FiveHour => {
                let at = self.opened(now).unwrap_or(now);
                self.rolling = Counter { used, at: Some(at) };
            }
            Window::Weekly => self.weekly = Counter { used, at: Some(now) },
            Window::Monthly => self.monthly = Counter { used, at: Some(now) },
        }
    }

    /// When the open five-hour window was opened.
    pub fn opened(&self, now: i64) -> Option<i64> {
        self.rolling.at.filter(|at| now < at.saturating_add(ROLLING_MS))
    }

    fn month_at(&self, now: i64) -> (i64, i64) {
        match self.month {
            Some((start, end)) if start <= now && now < end => (start, end),
            _ => calendar::month_period(self.created_ms, now),
        }
    }

    fn reported(&self, window: Window, now: i64) -> Reported {
        let (used, limit) = (self.used(window, now), self.limit(window));
        let limited = used >= limit;
        let share = if limit.0 > 0 { i128::from(used.0) * 100 / i128::from(limit.0) } else { 100 };
        let percent = i64::try_from(share).unwrap_or(100).clamp(0, 100);
        Reported { limited, percent, resets_in: self.resets_in(window, now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{DAY, MINUTE, WEEK};

    const MONDAY: i64 = 4 * DAY + 100 * WEEK;
    const CENT: Money = Money(1_000_000);

    fn quota() -> Quota {
        Quota::new(Plan::Go, MONDAY - 10 * DAY + 6 * HOUR)
    }

    #[test]
    fn published_limits() {
        let limits = quota().limits;
        assert_eq!(limits.five_hour, Money::dollars(12.0));
        assert_eq!(limits.weekly, Money::dollars(30.0));
        assert_eq!(limits.monthly, Money::dollars(60.0));
    }

    #[test]
    fn the_rolling_window_opens_with_the_first_charge_and_does_not_slide() {
        let mut quota = quota();
        assert_eq!(quota.usage(MONDAY).rolling.resets_in, 18_000);
        assert_eq!(quota.usage(MONDAY + HOUR).rolling.resets_in, 18_000, "idle: slides");
        quota.charge(MONDAY, CENT);
        quota.charge(MONDAY + 4 * HOUR, Money::dollars(6.0));
        assert_eq!(quota.usage(MONDAY + 4 * HOUR).rolling.resets_in, 3_600);
        assert_eq!(quota.usage(MONDAY + 4 * HOUR).rolling.percent, 50);
        let last = MONDAY + 5 * HOUR - 1;
        assert_eq!(quota.usage(last).rolling.percent, 50);
        assert_eq!(quota.usage(last).rolling.resets_in, 1, "rounded up");
        assert_eq!(quota.usage(last + 1).rolling.percent, 0, "all of it at once");
        quota.charge(MONDAY + 7 * HOUR, CENT);
        assert_eq!(quota.opened(MONDAY + 7 * HOUR), Some(MONDAY + 7 * HOUR));
        assert_eq!(quota.used(Window::FiveHour, MONDAY + 7 * HOUR), CENT);
    }

    #[test]
    fn the_week_resets_on_monday() {
        let mut quota = quota();
        quota.charge(MONDAY + 7 * DAY - 1, Money::dollars(30.0));
        let refused = quota.admit(MONDAY + 7 * DAY - 1).unwrap_err();
        assert_eq!(refused, Exhausted { window: Window::Weekly, retry_after: 1 });
        assert_eq!(quota.used(Window::Weekly, MONDAY + 7 * DAY), Money::ZERO);
    }

    #[test]
    fn the_month_resets_at_its_anniversary() {
        let mut quota = quota();
        quota.charge(MONDAY, Money::dollars(1.0));
        let (start, end) = calendar::month_period(quota.created_ms, MONDAY);
        assert_eq!(start, quota.created_ms);
        assert_eq!(quota.used(Window::Monthly, end - 1), Money::dollars(1.0));
        assert_eq!(quota.used(Window::Monthly, end), Money::ZERO);
        quota.charge(end, CENT);
        assert_eq!(quota.used(Window::Monthly, end), CENT);
    }

    #[test]
    fn weekly_is_reported_before_monthly_before_five_hour() {
        let mut quota = quota();
        quota.set_percent(Window::FiveHour, 100.0, MONDAY);
        assert_eq!(quota.admit(MONDAY).unwrap_err().window, Window::FiveHour);
        quota.set_percent(Window::Monthly, 100.0, MONDAY);
        assert_eq!(quota.admit(MONDAY).unwrap_err().window, Window::Monthly);
        quota.set_percent(Window::Weekly, 100.0, MONDAY);
        assert_eq!(quota.admit(MONDAY).unwrap_err().window, Window::Weekly);
        // After the weekly reset the month still blocks.
        assert_eq!(quota.admit(MONDAY + WEEK).unwrap_err().window, Window::Monthly);
    }

    #[test]
    fn percent_is_floored_and_hundred_means_limited() {
        let mut quota = quota();
        quota.charge(MONDAY, Money(12 * 100_000_000 - 1));
        let rolling = quota.usage(MONDAY).rolling;
        assert_eq!((rolling.percent, rolling.limited), (99, false));
        assert!(quota.admit(MONDAY).is_ok(), "99 % admits any number of requests");
        quota.charge(MONDAY + MINUTE, Money(1));
        let rolling = quota.usage(MONDAY + MINUTE).rolling;
        assert_eq!((rolling.percent, rolling.limited), (100, true));
    }
}
