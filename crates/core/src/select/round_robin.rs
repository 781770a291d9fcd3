//! `round-robin`: strict rotation A, B, C, A over the accounts that can run the request.
//!
//! Two layers. With usage data, accounts of which any window is at or over the threshold are passed
//! over; when all are, the one whose highest window is lowest is used. Without data, or for accounts
//! without, nobody is passed over. Among those who remain: idle before busy, where a stream in flight
//! counts as busy; when all are busy the least loaded one is shared. Ties go to the one that is next
//! in rotation.

use super::{Candidate, Need, Reason, eligible, turn};

/// The row to use, and why it.
pub fn choose(rows: &[Candidate], need: &Need) -> Option<(usize, Reason)> {
    let over = |row: &Candidate| match (need.threshold, row.quota.highest) {
        (Some(threshold), Some(highest)) => highest >= threshold,
        _ => false,
    };
    let running = || rows.iter().enumerate().filter(|(_, row)| row.fit.runs());
    if running().all(|(_, row)| over(row)) {
        let least = running().min_by(|(a, left), (b, right)| {
            let highest = |row: &Candidate| row.quota.highest.unwrap_or(0.0);
            let by_use = highest(left).total_cmp(&highest(right));
            by_use
                .then(left.in_flight.cmp(&right.in_flight))
                .then(turn(need.last, *a).cmp(&turn(need.last, *b)))
        });
        return least.map(|(index, _)| (index, Reason::LeastUsed));
    }
    let chosen = eligible(rows, need.threshold);
    rows.iter()
        .enumerate()
        .filter(|(_, row)| chosen(row))
        .min_by_key(|(index, row)| (row.in_flight, turn(need.last, *index)))
        .map(|(index, _)| (index, Reason::Turn))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Fit, Quota};
    use super::*;
    use crate::id::{AccountId, KeyId};

    fn row(key: u32, fit: Fit, in_flight: u32) -> Candidate {
        let quota = Quota::default();
        Candidate { key: KeyId(u64::from(key)), account: AccountId(key), in_flight, fit, quota }
    }

    fn after(last: Option<usize>) -> Need {
        Need { last, ..Need::default() }
    }

    fn check(loads: &[u32], fits: &[Fit], last: Option<usize>, want: Option<usize>) {
        let rows: Vec<_> = (0..)
            .zip(loads.iter().zip(fits))
            .map(|(key, (load, fit))| row(key, *fit, *load))
            .collect();
        let got = choose(&rows, &after(last)).map(|(index, _)| index);
        assert_eq!(got, want, "{rows:?} after {last:?}");
    }

    #[test]
    fn rotation() {
        use Fit::{Full, Trial, Usable};
        check(&[], &[], None, None);
        check(&[0, 0, 0], &[Usable; 3], None, Some(0));
        check(&[0, 0, 0], &[Usable; 3], Some(0), Some(1));
        check(&[0, 0, 0], &[Usable; 3], Some(2), Some(0));
        check(&[0, 0, 0], &[Usable; 3], Some(9), Some(0));
        // Idle before busy, whoever's turn it is.
        check(&[0, 1, 1], &[Usable; 3], Some(0), Some(0));
        // All busy: the least loaded, then the turn.
        check(&[2, 3, 2], &[Usable; 3], Some(0), Some(2));
        check(&[2, 3, 2], &[Usable; 3], Some(2), Some(0));
        // Only those that run.
        check(&[0, 0, 5], &[Full, Fit::Tried, Trial], None, Some(2));
        check(&[0, 0], &[Full, Fit::SharesAccount], None, None);
    }

    #[track_caller]
    fn thresholds(used: &[Option<f32>], loads: &[u32], last: Option<usize>, want: (usize, Reason)) {
        let rows: Vec<_> = (0..)
            .zip(used.iter().zip(loads))
            .map(|(key, (highest, load))| Candidate {
                quota: Quota { highest: *highest, ..Quota::default() },
                ..row(key, Fit::Usable, *load)
            })
            .collect();
        let need = Need { threshold: Some(70.0), ..after(last) };
        assert_eq!(choose(&rows, &need), Some(want), "{used:?}");
    }

    #[test]
    fn usage_before_rotation() {
        let no_data = [None; 3];
        thresholds(&no_data, &[0; 3], Some(0), (1, Reason::Turn));
        thresholds(&[Some(10.0), Some(69.9), Some(0.0)], &[0; 3], Some(0), (1, Reason::Turn));
        thresholds(&[Some(10.0), Some(70.0), Some(0.0)], &[0; 3], Some(0), (2, Reason::Turn));
        thresholds(&[Some(99.0), None, Some(80.0)], &[0; 3], Some(1), (1, Reason::Turn));
        // Under the threshold but busy comes before idle but over it.
        thresholds(&[Some(90.0), Some(20.0)], &[0, 3], None, (1, Reason::Turn));
        let all_over = [Some(90.0), Some(75.0), Some(80.0)];
        thresholds(&all_over, &[0; 3], Some(1), (1, Reason::LeastUsed));
        thresholds(&[Some(75.0), Some(75.0)], &[0; 2], Some(0), (1, Reason::LeastUsed));
    }

    proptest! {
        /// With everybody idle, every run of n requests visits each usable account once, in order.
        #[test]
        fn strict_when_idle(usable in proptest::collection::vec(any::<bool>(), 1..16), start in 0_usize..16) {
            let rows: Vec<_> = (0..).zip(&usable)
                .map(|(key, ok)| row(key, if *ok { Fit::Usable } else { Fit::Tried }, 0))
                .collect();
            let order: Vec<_> = (0..usable.len()).filter(|i| usable[*i]).collect();
            let mut last = Some(start);
            let mut seen = Vec::new();
            for _ in 0..order.len() * 2 {
                last = choose(&rows, &after(last)).map(|(index, _)| index).or(last);
                seen.extend(last);
            }
            let turn = order.iter().position(|i| *i > start).unwrap_or(0);
            let want: Vec<_> = (0..order.len() * 2).map(|k| order[(turn + k) % order.len()]).collect();
            prop_assert_eq!(seen, want);
        }
    }
}
