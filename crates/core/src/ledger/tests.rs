use super::*;
use crate::report::Reading;
use crate::time::{DAY, HOUR, MINUTE};
use crate::window::FIVE_HOURS;

/// A Monday, 00:00 UTC.
const MONDAY: Millis = Millis(1_795_392_000_000);
const NOW: Millis = Millis(MONDAY.0 + 30 * HOUR);
const FIVE: Window = Window::FiveHour;

/// Quota-dollars of a model with a multiplier of one.
fn charge(low: f64, high: f64) -> Charge {
    Charge { low, high, model: Some("m".into()), multipliers: [Some(1.0); 2] }
}

fn report(sent: Millis, percent: PerWindow<u8>) -> Report {
    let ends = [NOW.plus(4 * HOUR), MONDAY.plus(7 * DAY), MONDAY.plus(20 * DAY)];
    let reading = |index: usize| {
        let (percent, end) = (percent[index], ends[index].plus(sent.0 % 1_000 - 500));
        Some(Reading { percent, limited: percent == 100, resets_at: Some(end) })
    };
    Report {
        source: Source::Api,
        sent,
        received: sent.plus(SECOND),
        windows: [reading(0), reading(1), reading(2)],
        workspace: None,
        user: None,
        use_balance: None,
    }
}

/// A ledger that was told its plan and has learned the published scale to two percent.
fn ledger(percent: PerWindow<u8>) -> Ledger {
    let mut ledger = Ledger::new();
    ledger.scale.relearn([(1.0, 1.0); 3]);
    ledger.advance(NOW);
    assert!(ledger.report(&report(NOW, percent)).fresh);
    ledger
}

fn check(ledger: &Ledger, window: Window, low: f64, high: f64) {
    let belief = ledger.belief(window);
    let near = |a: f64, b: f64| (a - b).abs() < 0.11;
    assert!(near(belief.low, low) && near(belief.high, high), "{low}..{high}: {belief:?}");
}

#[test]
fn nothing_binds_before_it_was_reported() {
    let mut ledger = Ledger::new();
    ledger.advance(NOW);
    ledger.settle(&charge(1.2, 1.2), NOW);
    assert!(!ledger.known() && !ledger.belief(FIVE).reported);
    assert_eq!(ledger.dollars_left(FIVE), None);
    assert!(ledger.belief(FIVE).high > 0.0);
}

#[test]
fn reports_are_floored_and_later_use_is_added() {
    let mut ledger = ledger([10, 10, 10]);
    check(&ledger, FIVE, 10.0, 11.0);
    ledger.settle(&charge(1.2, 1.2), NOW.plus(10 * SECOND));
    check(&ledger, FIVE, 19.8, 21.3);
    check(&ledger, Window::Weekly, 13.9, 15.1);
    check(&ledger, Window::Monthly, 12.0, 13.1);
    // An abort may have been charged or not.
    ledger.settle(&charge(0.0, 0.12), NOW.plus(10 * SECOND));
    check(&ledger, FIVE, 19.8, 22.3);
}

#[test]
fn what_ended_around_a_report_counts_at_most_once_and_at_least_where_it_must() {
    let after = |ended: i64| {
        let mut ledger = ledger([10, 10, 10]);
        ledger.settle(&charge(0.12, 0.12), NOW.plus(ended));
        let belief = ledger.belief(FIVE);
        (belief.low > 10.5, belief.high > 11.5)
    };
    assert_eq!(after(-10 * SECOND), (false, false), "in the report for certain");
    assert_eq!(after(-SECOND), (false, true), "the counter may have moved later");
    assert_eq!(after(500), (false, true), "under way");
    assert_eq!(after(1_001), (true, true), "after it");
}

#[test]
fn a_late_settle_is_no_contradiction_and_no_stranger() {
    let mut ledger = ledger([10, 10, 10]);
    ledger.settle(&charge(0.12, 0.12), NOW.plus(20 * SECOND));
    // Upstream has charged a dollar more, whose client is still reading.
    ledger.report(&report(NOW.plus(MINUTE), [20, 14, 12]));
    ledger.settle(&charge(1.0, 1.0), NOW.plus(50 * SECOND));
    check(&ledger, FIVE, 20.0, 20.7);
    let learned = ledger.report(&report(NOW.plus(2 * MINUTE), [20, 14, 12]));
    assert!(learned.foreign <= 0.0);
}

#[test]
fn strangers_are_told_of_and_believed() {
    let mut ledger = ledger([10, 10, 10]);
    ledger.report(&report(NOW.plus(MINUTE), [20, 14, 12]));
    check(&ledger, FIVE, 20.0, 21.1);
    let learned = ledger.report(&report(NOW.plus(2 * MINUTE), [20, 14, 12]));
    assert!((0.9..1.2).contains(&learned.foreign), "{learned:?}");
    // A deficit is believed too.
    ledger.report(&report(NOW.plus(3 * MINUTE), [15, 14, 12]));
    check(&ledger, FIVE, 15.0, 16.1);
}

#[test]
fn strangers_are_expected_to_go_on_for_a_while_but_not_through_a_long_sleep() {
    let mut ledger = ledger([10, 10, 10]);
    ledger.report(&report(NOW.plus(MINUTE), [20, 14, 12]));
    ledger.advance(NOW.plus(MINUTE));
    ledger.advance(NOW.plus(2 * MINUTE));
    assert!(ledger.belief(Window::Weekly).high > 15.2);
    ledger.advance(NOW.plus(3 * HOUR));
    assert!(ledger.belief(Window::Weekly).high < 25.0);
}

#[test]
fn late_repeated_and_worse_reports_change_nothing() {
    let mut ledger = ledger([10, 10, 10]);
    assert!(!ledger.report(&report(NOW, [20, 20, 20])).fresh, "repeated");
    assert!(!ledger.report(&report(NOW.plus(-MINUTE), [20, 20, 20])).fresh, "older");
    let page = |after| Report { source: Source::Page, ..report(NOW.plus(after), [20, 20, 20]) };
    assert!(!ledger.report(&page(30 * SECOND)).fresh, "as fresh, but a page");
    check(&ledger, FIVE, 10.0, 11.0);
    assert!(ledger.report(&page(2 * MINUTE)).fresh, "fresher");
    assert!(ledger.report(&report(NOW.plus(2 * MINUTE), [12, 20, 20])).fresh, "the API wins");
    check(&ledger, FIVE, 12.0, 13.1);
}

#[test]
fn windows_end_and_their_old_reports_with_them() {
    let mut ledger = ledger([60, 30, 15]);
    let end = NOW.plus(4 * HOUR);
    assert_eq!(ledger.advance(end.plus(-1)), [None; 3]);
    let left = ledger.advance(end);
    assert!(left[0].is_some_and(|left| (38.0..=39.2).contains(&left)), "{left:?}");
    assert_eq!((left[1], left[2]), (None, None));
    check(&ledger, FIVE, 0.0, 0.0);
    assert_eq!(ledger.belief(FIVE).resets, None, "not open");
    // Asked before, answered after.
    ledger.report(&report(end.plus(-SECOND), [60, 30, 15]));
    check(&ledger, FIVE, 0.0, 0.1);
    // The first request opens the next one.
    ledger.settle(&charge(0.12, 0.12), end.plus(HOUR));
    assert_eq!(ledger.belief(FIVE).resets, Some(end.plus(HOUR + FIVE_HOURS)));
    check(&ledger, FIVE, 1.0, 1.1);
    assert_eq!(ledger.advance(MONDAY.plus(7 * DAY))[1].map(f64::round), Some(69.0));
    assert_eq!(ledger.belief(Window::Weekly).resets, Some(MONDAY.plus(14 * DAY)));
}

#[test]
fn a_reset_that_moved_on_means_that_upstream_began_anew() {
    let mut ledger = ledger([60, 30, 15]);
    let mut later = report(NOW.plus(MINUTE), [5, 30, 15]);
    later.windows[0].as_mut().unwrap().resets_at = Some(NOW.plus(FIVE_HOURS));
    assert_eq!(ledger.report(&later), Learned { fresh: true, ..Learned::default() });
    check(&ledger, FIVE, 5.0, 6.0);
}

#[test]
fn the_end_of_an_idle_window_is_no_end() {
    let mut ledger = Ledger::new();
    ledger.advance(NOW);
    let mut idle = report(NOW, [0, 3, 1]);
    idle.windows[0].as_mut().unwrap().resets_at = Some(NOW.plus(FIVE_HOURS));
    ledger.report(&idle);
    assert_eq!(ledger.belief(FIVE).resets, None);
    assert_eq!(ledger.advance(NOW.plus(FIVE_HOURS))[0], None);
}

#[test]
fn exhausted_until_a_newer_report_says_otherwise() {
    let mut ledger = ledger([99, 50, 25]);
    ledger.exhausted(Some(FIVE), NOW.plus(4 * HOUR), NOW.plus(MINUTE));
    assert!(ledger.belief(FIVE).limited && ledger.belief(FIVE).low >= 100.0);
    ledger.report(&report(NOW.plus(30 * SECOND), [99, 50, 25]));
    assert!(ledger.belief(FIVE).limited, "asked before the refusal");
    ledger.report(&report(NOW.plus(2 * MINUTE), [99, 50, 25]));
    assert!(!ledger.belief(FIVE).limited);
    check(&ledger, FIVE, 99.0, 100.0);
    ledger.report(&report(NOW.plus(3 * MINUTE), [100, 50, 25]));
    assert!(ledger.belief(FIVE).limited && ledger.belief(FIVE).low >= 100.0);
}

#[test]
fn the_next_step_is_foreseen() {
    let ledger = ledger([10, 10, 10]);
    // Half a percent of $12 at a dollar an hour: 3.6 minutes.
    let due = ledger.step_due(1.0, NOW).unwrap();
    assert!((3 * MINUTE..4 * MINUTE).contains(&due.since(NOW)), "{due:?}");
    assert_eq!(ledger.step_due(0.0, NOW), None);
}

#[test]
fn an_image_brings_it_back_and_nonsense_does_not() {
    let mut ledger = ledger([10, 20, 30]);
    ledger.settle(&charge(0.12, 0.24), NOW.plus(10 * SECOND));
    let restored = Ledger::restore(ledger.image());
    for window in Window::ALL {
        assert_eq!(restored.belief(window), ledger.belief(window));
        assert_eq!(restored.per_dollar(window), ledger.per_dollar(window));
    }
    assert_eq!(restored.image(), ledger.image());
    let mut image = ledger.image();
    image.windows[0].low = f64::NAN;
    image.ratios[1] = (-1.0, f64::INFINITY);
    let restored = Ledger::restore(image);
    assert!(!restored.belief(FIVE).reported);
    assert!(restored.per_dollar(Window::Weekly).1.is_finite());
}

#[test]
fn halves_of_an_account_become_one() {
    let (mut one, mut other) = (ledger([10, 10, 10]), ledger([10, 10, 10]));
    other.settle(&charge(0.12, 0.12), NOW.plus(10 * SECOND));
    one.report(&report(NOW.plus(5 * SECOND), [10, 10, 10]));
    one.absorb(other);
    let belief = one.belief(FIVE);
    assert!(belief.high >= 11.9, "{belief:?}");
}

#[test]
fn a_moved_clock_moves_our_own_times_only() {
    let mut ledger = ledger([10, 10, 10]);
    let end = ledger.belief(FIVE).resets;
    ledger.shift(-HOUR);
    assert_eq!(ledger.belief(FIVE).resets, end, "upstream's word");
    assert!(ledger.report(&report(NOW.plus(MINUTE - HOUR), [11, 10, 10])).fresh);
}
