//! `predictive`: a warm session's own account, then idle before busy, then what would be lost first.
//!
//! While nothing is scarce, placement can lose nothing, and everything but warm sessions rotates
//! strictly. Under scarcity the account goes first that needs the highest rate of use from now on so
//! that its month's reset takes nothing away, beside what is kept for next week. Accounts that differ
//! by less than their figures can be wrong rotate among themselves.

use super::{Candidate, Fit, Need, Reason, eligible, round_robin, turn};

/// The row to use, and why it.
pub fn choose(rows: &[Candidate], need: &Need) -> Option<(usize, Reason)> {
    let chosen = eligible(rows, need.threshold);
    if let Some(index) = warm(rows, need, &chosen) {
        return Some((index, Reason::Warm));
    }
    if !rows.iter().any(|row| row.fit.runs()) {
        return last_resort(rows, need);
    }
    if !need.scarce {
        return round_robin::choose(rows, need);
    }
    most_urgent(rows, need, &chosen).or_else(|| round_robin::choose(rows, need))
}

/// The session's own account, unless moving the request saves more than the lost cache costs.
fn warm(rows: &[Candidate], need: &Need, chosen: &impl Fn(&Candidate) -> bool) -> Option<usize> {
    let seat = need.seat?;
    let index = rows.iter().position(|row| row.account == seat && chosen(row))?;
    let own = rows.get(index)?.quota;
    if !need.scarce {
        return Some(index);
    }
    // What is spent here and would have been lost there is gained by moving, the more so the
    // further apart the two are.
    let others = rows.iter().filter(|row| chosen(row)).map(|row| row.quota);
    let best = others.map(|quota| quota.urgency - quota.error).fold(0.0, f32::max);
    let own = (own.urgency + own.error).max(0.0);
    let gain = if best > own { need.cost * (1.0 - own / best) } else { 0.0 };
    (gain <= need.leaving).then_some(index)
}

fn most_urgent(
    rows: &[Candidate],
    need: &Need,
    chosen: &impl Fn(&Candidate) -> bool,
) -> Option<(usize, Reason)> {
    let least_load = rows.iter().filter(|row| chosen(row)).map(|row| row.in_flight).min()?;
    let idlest = || {
        let all = rows.iter().enumerate();
        all.filter(|(_, row)| chosen(row) && row.in_flight == least_load)
    };
    // At least this urgent is the most urgent one; whoever may be as urgent takes turns with it.
    let sure =
        idlest().map(|(_, row)| row.quota.urgency - row.quota.error).fold(f32::MIN, f32::max);
    idlest()
        .filter(|(_, row)| row.quota.urgency + row.quota.error >= sure)
        .min_by_key(|(index, _)| turn(need.last, *index))
        .map(|(index, _)| (index, Reason::Urgency))
}

/// Nobody is known to have quota left: whoever costs nothing to ask, in turn.
fn last_resort(rows: &[Candidate], need: &Need) -> Option<(usize, Reason)> {
    rows.iter()
        .enumerate()
        .filter(|(_, row)| row.fit == Fit::LastResort)
        .min_by_key(|(index, row)| (row.in_flight, turn(need.last, *index)))
        .map(|(index, _)| (index, Reason::LastResort))
}

#[cfg(test)]
mod tests {
    use super::super::{Block, Guard, Quota};
    use super::*;
    use crate::id::{AccountId, KeyId};
    use crate::time::Millis;

    fn row(key: u32, in_flight: u32, urgency: f32) -> Candidate {
        let quota = Quota { highest: Some(10.0), urgency, error: 0.01 };
        let (key, account) = (KeyId(u64::from(key)), AccountId(key));
        Candidate { key, account, in_flight, fit: Fit::Usable, quota }
    }

    fn index(rows: &[Candidate], need: &Need) -> Option<(usize, Reason)> {
        choose(rows, need)
    }

    #[test]
    fn nothing_scarce_means_rotation() {
        let rows = [row(0, 0, 0.1), row(1, 0, 0.9), row(2, 0, 0.5)];
        let need = |last| Need { last: Some(last), ..Need::default() };
        assert_eq!(index(&rows, &need(0)), Some((1, Reason::Turn)));
        assert_eq!(index(&rows, &need(1)), Some((2, Reason::Turn)));
        assert_eq!(index(&rows, &need(2)), Some((0, Reason::Turn)));
    }

    #[test]
    fn under_scarcity_what_is_lost_first_is_used_first() {
        let need = Need { scarce: true, ..Need::default() };
        let rows = [row(0, 0, 0.1), row(1, 0, 0.9), row(2, 0, 0.5)];
        assert_eq!(index(&rows, &need), Some((1, Reason::Urgency)));
        let busy = [row(0, 0, 0.1), row(1, 1, 0.9), row(2, 0, 0.5)];
        assert_eq!(index(&busy, &need), Some((2, Reason::Urgency)), "idle before urgent");
    }

    #[test]
    fn those_too_close_to_call_rotate() {
        let rows = [row(0, 0, 0.500), row(1, 0, 0.505), row(2, 0, 0.100)];
        let need = |last| Need { scarce: true, last: Some(last), ..Need::default() };
        assert_eq!(index(&rows, &need(0)), Some((1, Reason::Urgency)));
        assert_eq!(index(&rows, &need(1)), Some((0, Reason::Urgency)));
    }

    #[test]
    fn a_warm_session_stays_even_where_it_is_busy() {
        let rows = [row(0, 0, 0.1), row(1, 3, 0.1)];
        let need = Need { seat: Some(AccountId(1)), leaving: 0.1, ..Need::default() };
        assert_eq!(index(&rows, &need), Some((1, Reason::Warm)));
    }

    #[test]
    fn a_warm_session_leaves_when_that_gains_more_than_it_costs() {
        let rows = [row(0, 0, 0.9), row(1, 0, 0.1)];
        let need = |leaving| Need {
            scarce: true,
            seat: Some(AccountId(1)),
            leaving,
            cost: 0.02,
            ..Need::default()
        };
        assert_eq!(index(&rows, &need(0.10)), Some((1, Reason::Warm)));
        assert_eq!(index(&rows, &need(0.001)), Some((0, Reason::Urgency)));
    }

    #[test]
    fn a_seat_over_the_threshold_or_unusable_is_left() {
        let over = Quota { highest: Some(80.0), ..Quota::default() };
        let mut rows = [row(0, 0, 0.1), row(1, 0, 0.1)];
        rows[1].quota = over;
        let need = Need { seat: Some(AccountId(1)), leaving: 1.0, ..Need::default() };
        assert_eq!(index(&rows, &need), Some((1, Reason::Warm)));
        let strict = Need { threshold: Some(70.0), ..need };
        assert_eq!(index(&rows, &strict), Some((0, Reason::Turn)));
        let block = Block { guard: Guard::Quota, why: None, until: Millis(1) };
        rows[1].fit = Fit::Blocked(block);
        assert_eq!(index(&rows, &need), Some((0, Reason::Turn)));
    }

    #[test]
    fn the_last_resort_is_the_last() {
        let mut rows = [row(0, 0, 0.1), row(1, 1, 0.1)];
        rows[0].fit = Fit::LastResort;
        assert_eq!(index(&rows, &Need::default()), Some((1, Reason::Turn)));
        rows[1].fit = Fit::Unsure;
        assert_eq!(index(&rows, &Need::default()), Some((0, Reason::LastResort)));
        rows[0].fit = Fit::Full;
        assert_eq!(index(&rows, &Need::default()), None);
    }
}
