//! Demand as the pool sees it.

use proptest::prelude::*;

use super::*;
use crate::time::DAY;

/// A Monday 00:00 UTC.
const MONDAY: Millis = Millis(1_795_996_800_000);

/// A demand that has seen `days` of work from 9 to 17 UTC, a dollar an hour in single requests.
fn worked(days: i64) -> Demand {
    let mut demand = Demand::new();
    for day in 0..days {
        for minute in 0..8 * 60 {
            demand.spend(MONDAY.plus(day * DAY + 9 * HOUR + minute * MINUTE), 1.0 / 60.0);
        }
    }
    demand
}

#[test]
fn nothing_known_foresees_nothing() {
    let demand = Demand::new();
    assert_eq!(demand.exhaustion(MONDAY, 1.0, MONDAY.plus(30 * DAY)), Foreseen::default());
    assert!(demand.expected(MONDAY, MONDAY.plus(DAY)).abs() < 1e-12);
    assert!(demand.quantile(MONDAY, MONDAY.plus(DAY), 0.9).abs() < 1e-9);
    assert!(!demand.trusted());
    let gone = Some(MONDAY);
    let all = Foreseen { p10: gone, p50: gone, p90: gone };
    assert_eq!(demand.exhaustion(MONDAY, 0.0, MONDAY.plus(1)), all, "nothing left is gone now");
}

#[test]
fn the_rate_is_that_of_twenty_minutes() {
    let demand = worked(1);
    let now = MONDAY.plus(17 * HOUR);
    assert!((demand.rate(now) - 1.0).abs() < 0.06, "{}", demand.rate(now));
    assert!((demand.rate(now.plus(10 * MINUTE)) - 0.5).abs() < 0.06);
    assert!(demand.rate(now.plus(21 * MINUTE)).abs() < 1e-12);
}

#[test]
fn weeks_teach_the_hours() {
    let demand = worked(5);
    let friday_noon = MONDAY.plus(4 * DAY + 12 * HOUR);
    let demand_at = |from: Millis, hours| demand.expected(from, from.plus(hours * HOUR));
    let night = demand_at(MONDAY.plus(8 * DAY + 22 * HOUR), 6);
    let day = demand_at(MONDAY.plus(8 * DAY + 10 * HOUR), 6);
    assert!(day > 2.0 && night < day / 10.0, "{day} by day, {night} by night");
    let week = demand_at(friday_noon, 7 * 24);
    assert!((38.0..60.0).contains(&week), "{week} a week: the weekend is not known yet");
}

#[test]
fn the_mean_is_carried_forward_after_a_day() {
    let mut demand = worked(1);
    let tuesday = MONDAY.plus(DAY + 9 * HOUR);
    demand.advance(tuesday);
    let month = demand.expected(tuesday, tuesday.plus(28 * DAY));
    assert!((150.0..260.0).contains(&month), "{month} for 28 days of 8 dollars");
}

#[test]
fn what_goes_on_counts_first() {
    let mut demand = worked(5);
    let evening = MONDAY.plus(4 * DAY + 21 * HOUR);
    let quiet = demand.exhaustion(evening, 1.0, evening.plus(5 * HOUR));
    for minute in 0..20 {
        demand.spend(evening.plus((minute - 20) * MINUTE), 0.1);
    }
    let busy = demand.exhaustion(evening, 1.0, evening.plus(5 * HOUR));
    assert_eq!(quiet.p50, None);
    let p50 = busy.p50.expect("6 dollars an hour").since(evening);
    assert!((5 * MINUTE..25 * MINUTE).contains(&p50), "{} min", p50 / MINUTE);
}

#[test]
fn an_image_is_the_whole_of_it() {
    let demand = worked(6);
    let now = MONDAY.plus(5 * DAY + 17 * HOUR);
    let again = Demand::restore(&demand.image());
    assert_eq!(again.image(), demand.image());
    let until = now.plus(3 * DAY);
    assert!((again.quantile(now, until, 0.7) - demand.quantile(now, until, 0.7)).abs() < 1e-9);
    let mut odd = demand.image();
    odd.recent = vec![f64::NAN; 99];
    odd.usual = vec![[f64::INFINITY, -3.0]; 999];
    odd.widths = [f64::NAN; 4];
    odd.costs = [f64::NAN, -1.0];
    let odd = Demand::restore(&odd);
    assert!(odd.quantile(now, until, 0.9).is_finite());
}

#[test]
fn a_clock_set_back_takes_the_present_along() {
    let mut demand = worked(1);
    let now = MONDAY.plus(17 * HOUR);
    let before = demand.rate(now);
    demand.shift(-3 * HOUR);
    assert!((demand.rate(now.plus(-3 * HOUR)) - before).abs() < 1e-9);
}

#[test]
fn two_that_are_one_add_up() {
    let (mut one, other) = (worked(5), worked(5));
    let now = MONDAY.plus(4 * DAY + 17 * HOUR);
    let (rate, day) = (one.rate(now), one.expected(now, now.plus(7 * DAY)));
    one.absorb(&other);
    assert!((one.rate(now) - 2.0 * rate).abs() < 1e-9);
    assert!((one.expected(now, now.plus(7 * DAY)) / day - 2.0).abs() < 0.05);
}

/// Demand that comes as the model believes: the intervals hold about four in five, and trust comes.
#[test]
fn intervals_cover_what_comes() {
    // A small generator of our own: the test must not depend on anybody's version of one.
    let mut state = 42_u64;
    let mut random = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(state >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    };
    let mut demand = Demand::new();
    let (mut busy, mut hits, mut asked) = (false, 0_u32, 0_u32);
    let mut open: Vec<(i64, f64, f64, f64)> = Vec::new();
    for minute in 0..28 * 24 * 60_i64 {
        let now = MONDAY.plus(minute * MINUTE);
        let at_work = (9..18).contains(&(minute / 60 % 24));
        busy = at_work && if random() < 0.02 { !busy } else { busy };
        if busy {
            let cost = 0.01 + 0.03 * random();
            demand.spend(now, cost);
            for promise in &mut open {
                promise.3 += cost;
            }
        }
        demand.advance(now);
        open.retain(|(due, low, high, spent)| {
            if *due > minute {
                return true;
            }
            asked += 1;
            hits += u32::from((*low..=*high).contains(spent));
            false
        });
        if busy && minute % 60 == 0 && minute > 7 * 24 * 60 {
            let until = now.plus(3 * HOUR);
            let (low, high) = (demand.quantile(now, until, 0.1), demand.quantile(now, until, 0.9));
            open.push((minute + 180, low, high, 0.0));
        }
    }
    let share = f64::from(hits) / f64::from(asked);
    assert!((0.70..0.97).contains(&share), "{hits} of {asked}");
}

proptest! {
    #[test]
    fn quantiles_rise_with_q_and_span(days in 0_i64..9, h in 1_i64..900, left in 0.001_f64..80.0) {
        let demand = worked(days);
        let now = MONDAY.plus(days * DAY + 8 * HOUR);
        let until = now.plus(h * HOUR);
        let at = |q, until| demand.quantile(now, until, q);
        prop_assert!(at(0.1, until) <= at(0.5, until) && at(0.5, until) <= at(0.9, until));
        let seen = demand.exhaustion(now, left, until);
        let late = |at: Option<Millis>| at.unwrap_or(Millis(i64::MAX));
        prop_assert!(late(seen.p10) <= late(seen.p50) && late(seen.p50) <= late(seen.p90));
        let more = demand.exhaustion(now, left * 1.5, until);
        prop_assert!(late(more.p10) >= late(seen.p10) && late(more.p90) >= late(seen.p90));
    }

    #[test]
    fn expectations_add_up(days in 0_i64..9, start in 0_i64..2000, a in 0_i64..6000, b in 0_i64..60000) {
        let demand = worked(days);
        let now = MONDAY.plus(days * DAY + start * MINUTE);
        let (middle, end) = (now.plus(a * MINUTE), now.plus((a + b) * MINUTE));
        let whole = demand.expected(now, end);
        let first = demand.expected(now, middle);
        prop_assert!(whole >= first - 1e-9 && first >= -1e-9);
        // Beyond the present, only the usual remains, and that adds up exactly.
        if a > 24 * 60 {
            let rest = demand.profile.between(middle, end);
            prop_assert!((whole - first - rest).abs() < 0.05, "{whole} {first} {rest}");
        }
    }
}
