//! Usage figures as the service gives them, for the baselines: highest percent, floored, some
//! seconds old.

use saros_emulator::Quota;

/// What was last reported of each account.
#[derive(Debug)]
pub(super) struct Reporter {
    /// Milliseconds between reports.
    lag: i64,
    last: Option<i64>,
    highest: Vec<i64>,
}

impl Reporter {
    pub(super) fn new(lag: i64, accounts: usize) -> Self {
        Self { lag: lag.max(1), last: None, highest: vec![0; accounts] }
    }

    /// Reports that are due by `now`, before what happens at `now`.
    pub(super) fn advance(&mut self, accounts: &[Quota], now: i64) {
        let round = now.div_euclid(self.lag);
        if self.last == Some(round) {
            return;
        }
        self.last = Some(round);
        // Nothing was charged since that moment: the figures are those it had.
        let then = round * self.lag;
        for (highest, quota) in self.highest.iter_mut().zip(accounts) {
            let usage = quota.usage(then);
            let percents = [usage.rolling, usage.weekly, usage.monthly].map(|it| it.percent);
            *highest = percents.into_iter().max().unwrap_or_default();
        }
    }

    /// The highest percent of the account's windows.
    pub(super) fn highest(&self, account: usize) -> i64 {
        self.highest.get(account).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use saros_emulator::{Money, Plan};

    use super::*;

    #[test]
    fn figures_are_floored_and_old() {
        let mut quotas = vec![Quota::new(Plan::Go, 0)];
        let mut reporter = Reporter::new(60_000, 1);
        let mut highest = |quotas: &[Quota], now| {
            reporter.advance(quotas, now);
            reporter.highest(0)
        };
        assert_eq!(highest(&quotas, 1_000), 0);
        quotas[0].charge(2_000, Money::dollars(11.99));
        assert_eq!(highest(&quotas, 59_999), 0);
        assert_eq!(highest(&quotas, 60_000), 99);
    }
}
