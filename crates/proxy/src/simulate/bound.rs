//! The most that any strategy could have served: a linear programme.
//!
//! max Σ x[account, block], where blocks lie between consecutive weekly or monthly resets of any
//! account; Σ x in a block is at most what was offered in it, and Σ x of an account within one of
//! its weekly or monthly windows at most that window's dollars. Five-hour windows are left out, so
//! the bound lies above what is possible where they bind.

use saros_emulator::{Quota, Window};

use self::simplex::maximum;

mod simplex;

/// A span of time in epoch milliseconds, the end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: i64,
    until: i64,
}

/// The calendar windows of some accounts in a span of time.
#[derive(Debug)]
pub struct Bound {
    blocks: Vec<Span>,
    /// Account, window, dollars.
    windows: Vec<(usize, Span, f64)>,
    accounts: usize,
}

impl Bound {
    /// For these accounts between two moments, the last included.
    pub fn new(accounts: &[Quota], from: i64, until: i64) -> Self {
        let mut windows = Vec::new();
        let mut cuts = vec![from, until.saturating_add(1)];
        for (account, quota) in accounts.iter().enumerate() {
            for window in [Window::Weekly, Window::Monthly] {
                let dollars = quota.limit(window).to_dollars();
                let mut start = from;
                while start <= until {
                    let end = reset(quota, window, start);
                    windows.push((account, Span { from: start, until: end }, dollars));
                    cuts.push(end);
                    start = end;
                }
            }
        }
        cuts.retain(|cut| (from..=until.saturating_add(1)).contains(cut));
        cuts.sort_unstable();
        cuts.dedup();
        let blocks = cuts.iter().zip(cuts.iter().skip(1));
        let blocks = blocks.map(|(from, until)| Span { from: *from, until: *until }).collect();
        Self { blocks, windows, accounts: accounts.len() }
    }

    /// The maximum for these offers: moment and quota-dollars.
    pub fn dollars(&self, offers: impl Iterator<Item = (i64, f64)>) -> f64 {
        let mut offered = vec![0.0; self.blocks.len()];
        for (at, dollars) in offers {
            let block = self.blocks.partition_point(|block| block.until <= at);
            if let Some(sum) = offered.get_mut(block) {
                *sum += dollars;
            }
        }
        self.maximum(offered)
    }

    /// The maximum if any amount is offered at any time.
    pub fn capacity(&self) -> f64 {
        self.maximum(vec![1e9; self.blocks.len()])
    }

    fn maximum(&self, offered: Vec<f64>) -> f64 {
        let variable = |account: usize, block: usize| account * self.blocks.len() + block;
        let mut rows: Vec<(Vec<usize>, f64)> = Vec::new();
        for (block, dollars) in offered.into_iter().enumerate() {
            rows.push((
                (0..self.accounts).map(|account| variable(account, block)).collect(),
                dollars,
            ));
        }
        for (account, window, dollars) in &self.windows {
            let inside = self
                .blocks
                .iter()
                .enumerate()
                .filter(|(_, block)| window.from <= block.from && block.until <= window.until);
            rows.push((inside.map(|(block, _)| variable(*account, block)).collect(), *dollars));
        }
        maximum(self.accounts * self.blocks.len(), &rows)
    }
}

/// When the window around `now` ends.
pub(super) fn reset(quota: &Quota, window: Window, now: i64) -> i64 {
    now.saturating_add(quota.resets_in(window, now).max(1).saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use saros_emulator::Plan;

    use super::*;

    const DAY: i64 = 86_400_000;
    const MONDAY: i64 = 4 * DAY;

    fn check(resets: &[i64], days: i64, offers: &[(i64, f64)], want: f64) {
        let accounts: Vec<_> =
            resets.iter().map(|day| Quota::new(Plan::Go, MONDAY + day * DAY)).collect();
        let bound = Bound::new(&accounts, MONDAY, MONDAY + days * DAY - 1);
        let offers = offers.iter().map(|(day, dollars)| (MONDAY + day * DAY, *dollars));
        let got = bound.dollars(offers);
        assert!((got - want).abs() < 1e-6, "{resets:?} {days}: {got}, not {want}");
    }

    #[test]
    fn by_hand() {
        check(&[30], 7, &[(0, 10.0), (3, 5.0)], 15.0);
        // A week's dollars.
        check(&[30], 7, &[(0, 50.0)], 30.0);
        // A month's dollars over four weeks.
        check(&[30], 28, &[(0, 50.0), (7, 50.0), (14, 50.0), (21, 50.0)], 60.0);
        // A reset in the middle of a week gives a new month, but not a new week.
        check(&[17], 28, &[(0, 30.0), (7, 30.0), (14, 10.0), (18, 50.0)], 90.0);
        // Two accounts, and only what is offered.
        check(&[30, 10], 14, &[(0, 100.0), (8, 100.0)], 120.0);
        check(&[30, 10], 14, &[(0, 40.0), (8, 1.0)], 41.0);
    }

    #[test]
    fn capacity_is_what_the_windows_hold() {
        let accounts = [Quota::new(Plan::Go, MONDAY + 30 * DAY)];
        let bound = Bound::new(&accounts, MONDAY, MONDAY + 28 * DAY);
        assert!((bound.capacity() - 60.0).abs() < 1e-6);
    }
}
