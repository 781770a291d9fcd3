//! What a request is told when nobody can serve it, and ambiguous repeats.

use super::*;
use crate::time::{MINUTE, SECOND};
use crate::window::Window;

/// Key `n` meets the n-th fault; `None` serves.
fn world(faults: &[Option<Fault>]) -> impl Fn(KeyId) -> Result<(), Fault> {
    move |key| {
        let index = usize::try_from(key.0).expect("small") - 1;
        faults[index].clone().map_or(Ok(()), Err)
    }
}

#[test]
fn no_keys() {
    assert_eq!(Desk::new(Vec::new()).refused("m"), Refusal::NoKeys);
}

#[test]
fn the_account_that_returns_first_decides() {
    let mut desk = Desk::new(keys(3));
    let faults = [Some(quota(7_200, "w1")), Some(error(401, "AuthError")), Some(quota(60, "w3"))];
    let until = desk.now.plus(60 * SECOND);
    let out = Refusal::OutOfQuota { until, window: None, workspace: Some("w3".into()) };
    assert_eq!(desk.request(&ask("m"), &world(&faults)), (vec![1, 2, 3], Err(out.clone())));
    assert_eq!(desk.refused("m"), out, "without an attempt");
}

#[test]
fn the_window_that_binds_is_named() {
    let mut desk = Desk::new(keys(1));
    let weekly = Fault { window: Some(Window::Weekly), ..quota(60, "") };
    let (_, end) = desk.request(&ask("m"), &|_| Err(weekly.clone()));
    assert!(matches!(end, Err(Refusal::OutOfQuota { window: Some(Window::Weekly), .. })));
}

#[test]
fn cooling_before_quota_if_it_ends_first() {
    let mut desk = Desk::new(keys(2));
    let grants = [desk.go("m"), desk.go("m")];
    desk.settle(grants[0].lease, Outcome::Faulted(quota(7_200, "")));
    desk.settle(grants[1].lease, Outcome::Faulted(error(403, "never seen")));
    let until = desk.now.plus(MINUTE);
    assert_eq!(desk.refused("m"), Refusal::Cooling { until });
}

#[test]
fn a_server_error_after_all_others_is_passed_on() {
    let mut desk = Desk::new(keys(2));
    let faults = [Some(quota(60, "")), Some(server_error())];
    let (tried, end) = desk.request(&ask("m"), &world(&faults));
    assert_eq!((tried, end), (vec![1, 2], Err(Refusal::LastAttempt)));
}

#[test]
fn a_rate_limit_with_nobody_else_is_passed_on() {
    let mut desk = Desk::new(keys(1));
    let (_, end) = desk.request(&ask("m"), &|_| Err(after(429, "RateLimitError", 60)));
    assert_eq!(end, Err(Refusal::LastAttempt));
    let until = desk.now.plus(MINUTE);
    assert_eq!(desk.refused("m"), Refusal::Cooling { until });
}

#[test]
fn server_errors_get_two_tries() {
    let mut desk = Desk::new(keys(5));
    let (tried, end) = desk.request(&ask("m"), &|_| Err(server_error()));
    assert_eq!((tried, end), (vec![1, 2], Err(Refusal::LastAttempt)));
    // Each kind has its own count.
    let faults = [None, None, Some(server_error()), Some(of_trouble(Trouble::Connect)), None];
    assert_eq!(desk.request(&ask("n"), &world(&faults)), (vec![3, 4, 5], Ok(())));
}

#[test]
fn an_ambiguous_failure_is_repeated_once_elsewhere() {
    let mut desk = Desk::new(keys(4));
    let reset = || Some(of_trouble(Trouble::Reset));
    let (tried, end) = desk.request(&ask("m"), &world(&[reset(), reset(), None, None]));
    assert_eq!((tried, end), (vec![1, 2], Err(Refusal::LastAttempt)));
    desk.pass(MINUTE);
    // In whatever way it fails ambiguously the second time.
    let gateway = of_answer(&Answer { status: 524, ..Answer::default() });
    let faults = [None, None, reset(), Some(gateway)];
    let (tried, end) = desk.request(&ask("m"), &world(&faults));
    assert_eq!((tried, end), (vec![3, 4], Err(Refusal::LastAttempt)));
    // A repeat that was certainly not served goes on.
    desk.pass(MINUTE);
    let faults = [reset(), Some(error(401, "AuthError")), None, None];
    let (tried, end) = desk.request(&ask("m"), &world(&faults));
    assert_eq!((tried, end), (vec![1, 2, 3], Ok(())));
}

#[test]
fn a_repeat_is_marked() {
    let mut desk = Desk::new(keys(2));
    let mut trail = desk.enter();
    let Admission::Go(first) = desk.admit(&ask("m"), &trail) else { panic!("refused") };
    assert!(!first.replay);
    let fault = of_trouble(Trouble::Reset);
    desk.settle(first.lease, Outcome::Faulted(fault.clone()));
    trail.record(first.key, fault);
    let Admission::Go(second) = desk.admit(&ask("m"), &trail) else { panic!("refused") };
    assert!(second.replay);
}

#[test]
fn repeats_are_budgeted() {
    let mut desk = Desk::new(keys(20));
    let mut repeats = 0;
    for turn in 0..10 {
        // Different models and answers in between, so that no breaker interferes.
        let bad = desk.pool.last.map_or(1, |key| key.0 % 20 + 1);
        let world = |key| if key == KeyId(bad) { Err(of_trouble(Trouble::Reset)) } else { Ok(()) };
        let (tried, _) = desk.request(&ask(&format!("m{turn}")), &world);
        repeats += tried.len() - 1;
        desk.served("other");
    }
    assert_eq!(repeats, 3, "three a minute, with few requests");
    desk.pass(MINUTE);
    let bad = desk.pool.last.map_or(1, |key| key.0 % 20 + 1);
    let world = |key| if key == KeyId(bad) { Err(of_trouble(Trouble::Reset)) } else { Ok(()) };
    assert_eq!(desk.request(&ask("m"), &world).0.len(), 2);
}

#[test]
fn repeats_can_be_switched_off() {
    let rules = Rules { replay_ambiguous: false, ..Rules::default() };
    let mut desk = Desk::with(keys(2), rules);
    let (tried, end) = desk.request(&ask("m"), &|_| Err(of_trouble(Trouble::Reset)));
    assert_eq!((tried, end), (vec![1], Err(Refusal::LastAttempt)));
}

#[test]
fn names_too_long_to_remember_are_still_served() {
    let mut desk = Desk::new(keys(2));
    let long = "m".repeat(100_000);
    for fault in [server_error(), error(403, "RegionError"), error(429, "x")] {
        let _ended = desk.request(&ask(&long), &|_| Err(fault.clone()));
    }
    desk.served(&long);
}
