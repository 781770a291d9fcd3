//! Each fault penalises exactly its scope, for exactly as long as it should.

use super::*;
use crate::time::{HOUR, MINUTE, SECOND};

const READY: State = State::Ready;

/// The first attempt, on key 1 of three, meets `fault`; the others serve.
fn check(fault: &Fault, tried: &[u64], end: &Result<(), Refusal>, then: State) {
    let mut desk = Desk::new(keys(3));
    let bad = fault.clone();
    let world = move |key: KeyId| if key == KeyId(1) { Err(bad.clone()) } else { Ok(()) };
    let got = desk.request(&ask("m"), &world);
    assert_eq!((got.0.as_slice(), &got.1), (tried, end), "{fault:?}");
    assert_eq!(desk.states(), [then, READY, READY], "{fault:?}");
}

#[test]
fn what_is_tried_next_and_how_the_account_stands() {
    let last = Err(Refusal::LastAttempt);
    let other = |status, kind: &str, then| check(&error(status, kind), &[1, 2], &Ok(()), then);
    other(401, "AuthError", State::Dead);
    other(401, "CreditsError", State::Dead);
    other(402, "", State::Dead);
    other(403, "EntitlementError", State::Dead);
    other(401, "MonthlyLimitError", State::Cooling);
    other(403, "RegionError", READY);
    other(401, "who knows", State::Cooling);
    other(500, "error", READY);
    other(521, "", READY);
    other(408, "", READY);
    check(&quota(60, ""), &[1, 2], &Ok(()), State::OutOfQuota);
    check(&after(429, "RateLimitError", 60), &[1, 2], &Ok(()), READY);
    for trouble in [Trouble::Connect, Trouble::Tls, Trouble::Unstarted, Trouble::Reset] {
        check(&of_trouble(trouble), &[1, 2], &Ok(()), READY);
    }
    let never = |fault: Fault| check(&fault, &[1], &last, READY);
    never(error(401, "ModelError"));
    never(error(400, "MissingSessionID"));
    never(error(413, ""));
    never(error(429, "rate_limit_error"));
    never(error(503, "api_error"));
    never(after(429, "FreeUsageLimitError", 9_000));
    for trouble in [Trouble::HeaderTimeout, Trouble::CutReset, Trouble::CutShort, Trouble::CutIdle]
    {
        never(of_trouble(trouble));
    }
}

#[test]
fn a_wrong_model_disables_nobody() {
    let mut desk = Desk::new(keys(3));
    for _ in 0..50 {
        let world = |_| Err(error(401, "ModelError"));
        let (tried, end) = desk.request(&ask("typo"), &world);
        assert_eq!((tried.len(), end), (1, Err(Refusal::LastAttempt)));
    }
    assert_eq!(desk.states(), [READY; 3]);
    assert!(desk.notices.is_empty(), "{:?}", desk.notices);
}

#[test]
fn a_quota_holds_exactly_until_its_retry_after() {
    let mut desk = Desk::new(keys(1));
    let grant = desk.go("m");
    let effects = desk.settle(grant.lease, Outcome::Faulted(quota(7_201, "")));
    assert_eq!(effects.poll.len(), 1, "its usage is asked for");
    let until = desk.now.plus(7_201 * SECOND);
    desk.pass(7_201 * SECOND - 1);
    assert_eq!(desk.refused("m"), Refusal::OutOfQuota { until, window: None, workspace: None });
    desk.pass(1);
    assert_eq!(desk.served("m"), 1);
}

#[test]
fn a_quota_without_retry_after_holds_ten_minutes() {
    let mut desk = Desk::new(keys(1));
    let grant = desk.go("m");
    desk.settle(grant.lease, Outcome::Faulted(error(429, "GoUsageLimitError")));
    desk.pass(10 * MINUTE - 1);
    assert!(matches!(desk.refused("m"), Refusal::OutOfQuota { .. }));
    desk.pass(1);
    assert_eq!(desk.served("m"), 1);
}

#[test]
fn a_late_answer_does_not_end_a_quota() {
    let mut desk = Desk::new(keys(1));
    let (early, other) = (desk.go("m"), desk.go("m"));
    desk.settle(other.lease, Outcome::Faulted(quota(60, "")));
    desk.answered(early.lease);
    desk.settle(early.lease, Outcome::Served(Bill::NOTHING));
    assert_eq!(desk.states(), [State::OutOfQuota]);
}

#[test]
fn a_rate_limit_holds_one_account_for_one_model() {
    let mut desk = Desk::new(keys(2));
    let grant = desk.go("m");
    desk.settle(grant.lease, Outcome::Faulted(after(429, "RateLimitError", 60)));
    assert_eq!([desk.served("m"), desk.served("m")], [2, 2]);
    assert_eq!(desk.served("n"), 1, "other models are not meant");
    desk.pass(60 * SECOND);
    assert_eq!([desk.served("m"), desk.served("m")], [2, 1]);
}

#[test]
fn a_free_limit_holds_the_model_for_everybody() {
    let mut desk = Desk::new(keys(3));
    let fault = after(429, "FreeUsageLimitError", 3_000);
    let until = desk.now.plus(3_000 * SECOND);
    let limited = |_| Err(fault.clone());
    assert_eq!(desk.request(&ask("free"), &limited), (vec![1], Err(Refusal::LastAttempt)));
    assert_eq!(desk.refused("free"), Refusal::FreeLimit { until });
    assert_eq!(desk.served("m"), 2);
    desk.pass(3_000 * SECOND);
    assert_eq!(desk.served("free"), 3);
}

#[test]
fn a_model_that_one_account_may_not_use_runs_on_another() {
    let mut desk = Desk::new(keys(2));
    let policy = |key| if key == KeyId(1) { Err(error(403, "DataPolicyError")) } else { Ok(()) };
    assert_eq!(desk.request(&ask("m"), &policy), (vec![1, 2], Ok(())));
    assert_eq!([desk.served("m"), desk.served("m")], [2, 2]);
    desk.pass(HOUR);
    // The hour doubles when it is refused again.
    assert_eq!(desk.request(&ask("m"), &policy), (vec![1, 2], Ok(())));
    desk.pass(2 * HOUR - 1);
    assert_eq!([desk.served("m"), desk.served("m")], [2, 2]);
    desk.pass(1);
    assert_eq!([desk.served("m"), desk.served("m")], [1, 2]);
    // It was served in between, so it begins anew.
    assert_eq!(desk.request(&ask("m"), &policy), (vec![1, 2], Ok(())));
    desk.pass(HOUR);
    assert_eq!(desk.served("m"), 1);
}

#[test]
fn an_answer_refutes_that_a_model_is_not_served() {
    let mut desk = Desk::new(keys(1));
    let (refused, other) = (desk.go("m"), desk.go("m"));
    desk.settle(refused.lease, Outcome::Faulted(error(403, "RegionError")));
    desk.answered(other.lease);
    let trail = desk.enter();
    let rows = desk.pool.candidates(&ask("m"), &trail);
    assert!(rows[0].fit.runs());
}

#[test]
fn a_model_that_no_account_may_use_is_answered_by_the_service() {
    let mut desk = Desk::new(keys(2));
    let policy = |_| Err(error(403, "RegionError"));
    assert_eq!(desk.request(&ask("m"), &policy), (vec![1, 2], Err(Refusal::LastAttempt)));
    // Known by now: a single attempt, so that the client reads why.
    assert_eq!(desk.request(&ask("m"), &policy), (vec![1], Err(Refusal::LastAttempt)));
    desk.pass(HOUR);
    assert_eq!(desk.request(&ask("m"), &policy).0.len(), 2, "asking once more did not prolong it");
}

#[test]
fn unknown_routes_get_one_attempt_and_blame_nobody() {
    let mut desk = Desk::new(keys(2));
    let route = Ask { model: None, format: None, ..ask("") };
    for fault in [error(401, "AuthError"), server_error(), quota(60, "w"), error(404, "")] {
        let (tried, end) = desk.request(&route, &|_| Err(fault.clone()));
        assert_eq!((tried.len(), end), (1, Err(Refusal::LastAttempt)));
    }
    assert_eq!(desk.states(), [READY; 2]);
}

#[test]
fn settling_twice_or_something_unknown_is_harmless() {
    let mut desk = Desk::new(keys(1));
    let grant = desk.go("m");
    desk.settle(grant.lease, Outcome::Served(Bill::NOTHING));
    desk.settle(grant.lease, Outcome::Faulted(error(401, "AuthError")));
    desk.settle(LeaseId(77), Outcome::Faulted(error(401, "AuthError")));
    desk.answered(grant.lease);
    assert_eq!((desk.states(), desk.pool.in_flight()), (vec![READY], 0));
}

#[test]
fn held_models_are_told_with_whom_and_until_when() {
    let mut desk = Desk::new(keys(2));
    let limited = |_| Err(Fault { retry_after: Some(MINUTE), ..error(429, "RateLimitError") });
    assert_eq!(desk.request(&ask("m"), &limited).0, [1, 2]);
    let saturated = |_| Err(error(429, "provider"));
    for _ in 0..3 {
        assert_eq!(desk.request(&ask("n"), &saturated).1, Err(Refusal::LastAttempt));
    }
    let held = desk.pool.held_models(desk.now);
    let told: Vec<_> = held
        .iter()
        .map(|held| (&*held.model, held.label.is_some(), held.why, held.until.since(desk.now)))
        .collect();
    assert_eq!(
        told,
        [
            ("n", false, Some(FaultKind::Saturated), 10 * SECOND),
            ("m", true, Some(FaultKind::RateLimit), MINUTE),
            ("m", true, Some(FaultKind::RateLimit), MINUTE),
        ]
    );
    desk.pass(MINUTE);
    assert_eq!(desk.pool.held_models(desk.now), []);
}
