//! `round-robin`: strict rotation A, B, C, A over the accounts that can run the request.
//!
//! Idle before busy, where a stream in flight counts as busy. When all are busy the least loaded
//! one is shared. Ties go to the one that is next in rotation.

use super::Candidate;

/// The row to use. `last` is the row that was used last, wherever it stands now.
pub fn choose(rows: &[Candidate], last: Option<usize>) -> Option<usize> {
    let start = last.map_or(0, |last| last.saturating_add(1));
    let turn = |index: usize| if index >= start { (0, index) } else { (1, index) };
    rows.iter()
        .enumerate()
        .filter(|(_, row)| row.fit.runs())
        .min_by_key(|(index, row)| (row.in_flight, turn(*index)))
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Fit;
    use super::*;
    use crate::id::{AccountId, KeyId};

    fn row(key: u32, fit: Fit, in_flight: u32) -> Candidate {
        Candidate { key: KeyId(u64::from(key)), account: AccountId(key), in_flight, fit }
    }

    fn check(loads: &[u32], fits: &[Fit], last: Option<usize>, want: Option<usize>) {
        let rows: Vec<_> = (0..)
            .zip(loads.iter().zip(fits))
            .map(|(key, (load, fit))| row(key, *fit, *load))
            .collect();
        assert_eq!(choose(&rows, last), want, "{rows:?} after {last:?}");
    }

    #[test]
    fn table() {
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
                last = choose(&rows, last).or(last);
                seen.extend(last);
            }
            let turn = order.iter().position(|i| *i > start).unwrap_or(0);
            let want: Vec<_> = (0..order.len() * 2).map(|k| order[(turn + k) % order.len()]).collect();
            prop_assert_eq!(seen, want);
        }
    }
}
