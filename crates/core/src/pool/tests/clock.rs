//! Clocks that are set.

use super::*;
use crate::time::{HOUR, MINUTE, SECOND};

/// Every way to be kept out: the fault, how often it takes, and for how long.
fn spans() -> Vec<(Fault, usize, i64)> {
    vec![
        (quota(60, ""), 1, MINUTE),
        (after(429, "RateLimitError", 60), 1, MINUTE),
        (after(429, "FreeUsageLimitError", 60), 1, MINUTE),
        (error(401, "AuthError"), 1, 10 * MINUTE),
        (error(401, "CreditsError"), 1, 10 * MINUTE),
        (error(403, "never seen"), 1, MINUTE),
        (server_error(), 3, MINUTE),
        (error(429, "provider"), 3, 10 * SECOND),
        (of_trouble(Trouble::Connect), 3, 2 * SECOND),
    ]
}

fn kept_out(fault: &Fault, times: usize) -> Desk {
    let mut desk = Desk::new(keys(1));
    for _ in 0..times {
        let (tried, _) = desk.request(&ask("m"), &|_| Err(fault.clone()));
        assert_eq!(tried, [1]);
    }
    desk
}

#[test]
fn set_back_it_prolongs_and_shortens_nothing() {
    for (fault, times, span) in spans() {
        let mut desk = kept_out(&fault, times);
        desk.pass(SECOND);
        desk.refused("m");
        desk.pass(-5 * HOUR);
        desk.refused("m");
        desk.pass(span - SECOND - 1);
        desk.refused("m");
        desk.pass(1);
        assert_eq!(desk.served("m"), 1, "{fault:?}");
    }
}

#[test]
fn set_forward_everything_expires() {
    for (fault, times, span) in spans() {
        let mut desk = kept_out(&fault, times);
        desk.pass(span - 1);
        desk.refused("m");
        desk.pass(5 * HOUR);
        assert_eq!(desk.served("m"), 1, "{fault:?}");
    }
}

#[test]
fn a_row_of_errors_survives() {
    let mut desk = Desk::new(keys(1));
    for _ in 0..3 {
        desk.pass(-HOUR);
        let (tried, _) = desk.request(&ask("m"), &|_| Err(server_error()));
        assert_eq!(tried, [1]);
    }
    assert_eq!(desk.states(), [State::Cooling]);
}

#[test]
fn waiters_wait_as_long_as_they_would_have() {
    let rules = Rules { max_concurrent: 1, ..Rules::default() };
    let mut desk = Desk::with(keys(1), rules);
    desk.go("m");
    let trail = desk.enter();
    assert!(matches!(desk.admit(&ask("m"), &trail), Admission::Wait { .. }));
    desk.pass(-HOUR);
    assert!(desk.pool.tick(desk.now).wake.is_empty());
    desk.pass(30 * SECOND - 1);
    assert!(desk.pool.tick(desk.now).wake.is_empty());
    desk.pass(1);
    assert_eq!(desk.pool.tick(desk.now).wake.as_slice(), [trail.ticket]);
}

#[test]
fn a_suspended_machine_wakes_its_waiters() {
    let rules = Rules { max_concurrent: 1, ..Rules::default() };
    let mut desk = Desk::with(keys(1), rules);
    desk.go("m");
    let trail = desk.enter();
    assert!(matches!(desk.admit(&ask("m"), &trail), Admission::Wait { .. }));
    desk.pass(9 * HOUR);
    assert_eq!(desk.pool.tick(desk.now).wake.as_slice(), [trail.ticket]);
}

#[test]
fn old_faults_do_not_become_fresh_witnesses() {
    let mut desk = Desk::new(keys(2));
    let grants = [desk.go("m"), desk.go("m")];
    desk.settle(grants[0].lease, Outcome::Faulted(server_error()));
    desk.pass(-HOUR);
    let _ticked = desk.pool.tick(desk.now);
    desk.pass(11 * SECOND);
    desk.settle(grants[1].lease, Outcome::Faulted(server_error()));
    assert_eq!(desk.notices, []);
}
