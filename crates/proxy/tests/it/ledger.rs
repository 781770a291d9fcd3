//! What the ledger believes of an account, against the emulator's quota as the truth: without HTTP,
//! in virtual time, with everything in between that makes a figure late or wrong.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of a simulation, all of them small"
)]

mod run;

use run::{Figures, Others, Run, Setting, Twist};

fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (q * (values.len().max(1) - 1) as f64).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}

#[derive(Debug)]
#[expect(dead_code, reason = "shown where a figure is missed")]
struct Summary {
    /// Share of steps at which every window's truth was within its belief.
    held: f64,
    held_of: [f64; 3],
    worst: f64,
    /// Median width in percent.
    widths: [f64; 3],
    wide: [f64; 3],
    /// The error of the scale after ten points in the ninth of ten runs, and at the end.
    early: f64,
    late: f64,
    measured: usize,
}

fn many(runs: u64, setting: Setting) -> Summary {
    let all: Vec<Figures> =
        (0..runs).map(|seed| Run::new(seed * 7_919 + 13, setting).run()).collect();
    let steps: f64 = all.iter().map(|run| f64::from(run.steps)).sum();
    let held: f64 = all.iter().map(|run| f64::from(run.held)).sum();
    let held_of = [0, 1, 2]
        .map(|index| all.iter().map(|run| f64::from(run.held_of[index])).sum::<f64>() / steps);
    let worst =
        all.iter().map(|run| f64::from(run.held) / f64::from(run.steps)).fold(1.0, f64::min);
    let mut widths = [0, 1, 2]
        .map(|index| all.iter().flat_map(|run| run.widths[index].clone()).collect::<Vec<_>>());
    let mut early: Vec<f64> = all.iter().filter_map(|run| run.early).collect();
    let mut late: Vec<f64> = all.iter().map(|run| run.late).collect();
    Summary {
        held: held / steps,
        held_of,
        worst,
        widths: [0, 1, 2].map(|index| quantile(&mut widths[index], 0.5)),
        wide: [0, 1, 2].map(|index| quantile(&mut widths[index], 0.9)),
        early: quantile(&mut early, 0.9),
        late: quantile(&mut late, 0.9),
        measured: early.len(),
    }
}

/// Runs a setting and holds it to shares of steps, a median width and an error of the scale.
fn check(twist: Twist, others: Others, models: usize, held: f64, early: f64) {
    let seen = many(20, Setting { twist, others, models, every: 5, requests: 1_500 });
    println!("{twist:?} {others:?} {models} models: {seen:.3?}");
    assert!(seen.held >= held, "the truth left the belief: {twist:?} {others:?} {seen:?}");
    assert!(seen.widths.iter().all(|width| *width <= 1.05), "useless: {seen:?}");
    if others == Others::Nobody {
        assert!(seen.widths.iter().all(|width| *width <= 0.75), "too wide: {seen:?}");
        assert!(seen.late < 0.06, "the scale was not found: {seen:?}");
    }
    assert!(seen.measured >= 15 && seen.early < early, "the scale came too late: {seen:?}");
}

#[test]
fn the_belief_holds_the_truth_and_the_scale_is_found_within_ten_points() {
    for models in [1, 4, 14] {
        check(Twist::None, Others::Nobody, models, 0.99, 0.06);
        check(Twist::GoPlus, Others::Nobody, models, 0.98, 0.06);
    }
}

#[test]
fn wrong_prices_and_unknown_models_correct_themselves() {
    for models in [1, 4] {
        check(Twist::Prices(0.5), Others::Nobody, models, 0.98, 0.12);
        check(Twist::Prices(2.0), Others::Nobody, models, 0.98, 0.12);
        check(Twist::Unknown, Others::Nobody, models, 0.97, 0.15);
    }
}

#[test]
fn a_changed_multiplier_corrects_itself() {
    check(Twist::Halved, Others::Nobody, 1, 0.95, 1.0);
    check(Twist::Halved, Others::Nobody, 4, 0.9, 1.0);
}

#[test]
fn use_by_others_is_noticed_and_does_not_corrupt_the_scale() {
    for models in [1, 4] {
        check(Twist::None, Others::Sometimes, models, 0.95, 0.06);
        check(Twist::GoPlus, Others::Sometimes, models, 0.95, 0.06);
        // Somebody as busy as we are: between two reports half of the use cannot be known.
        check(Twist::None, Others::Sessions, models, 0.89, 0.1);
    }
}
