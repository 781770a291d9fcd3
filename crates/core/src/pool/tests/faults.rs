//! Each fault penalises exactly its scope, for exactly as long as it should.

use super::*;
use crate::time::{DAY, HOUR, MINUTE, SECOND};

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
fn one_bad_account_opens_only_itself() {
    let mut desk = Desk::new(keys(3));
    let bad = |key| if key == KeyId(1) { Err(server_error()) } else { Ok(()) };
    for turn in 1..=3 {
        assert_eq!(desk.state(1), READY, "turn {turn}");
        while desk.request(&ask("m"), &bad).0 != [1, 2] {}
    }
    assert_eq!(desk.states(), [State::Cooling, READY, READY]);
    for _ in 0..10 {
        assert_eq!(desk.request(&ask("m"), &bad).0.len(), 1);
    }
    desk.pass(MINUTE);
    assert_eq!(desk.state(1), State::Trial);
    // The trial fails: twice as long.
    while desk.request(&ask("m"), &bad).0 != [1, 2] {}
    desk.pass(2 * MINUTE - 1);
    assert_eq!(desk.state(1), State::Cooling);
    desk.pass(1);
    while desk.served("m") != 1 {}
    assert_eq!(desk.states(), [READY; 3]);
    assert_eq!(desk.notices.last(), Some(&Notice::Back { key: KeyId(1) }));
}

#[test]
fn a_success_ends_the_row() {
    let mut desk = Desk::new(keys(1));
    for _ in 0..5 {
        for _ in 0..2 {
            let world = |_| Err(server_error());
            assert_eq!(desk.request(&ask("m"), &world).0, [1]);
        }
        assert_eq!(desk.served("m"), 1);
    }
    assert_eq!(desk.states(), [READY]);
}

#[test]
fn headers_end_a_row_of_errors_and_a_whole_answer_a_row_of_cuts() {
    let mut desk = Desk::new(keys(1));
    let fail = |desk: &mut Desk, fault: Fault| {
        let _ended = desk.request(&ask("m"), &|_| Err(fault.clone()));
    };
    fail(&mut desk, server_error());
    fail(&mut desk, server_error());
    let stream = desk.go("m");
    desk.answered(stream.lease);
    fail(&mut desk, server_error());
    assert_eq!(desk.states(), [READY]);
    desk.settle(stream.lease, Outcome::Served(Bill::NOTHING));
    for _ in 0..3 {
        fail(&mut desk, of_trouble(Trouble::CutShort));
        desk.pass(1);
        fail(&mut desk, of_trouble(Trouble::CutShort));
        desk.served("m");
    }
    assert_eq!(desk.states(), [READY]);
}

#[test]
fn cut_streams_count_although_their_headers_came() {
    let mut desk = Desk::new(keys(1));
    for _ in 0..3 {
        assert_eq!(desk.states(), [READY]);
        let _ended = desk.request(&ask("m"), &|_| Err(of_trouble(Trouble::CutShort)));
        desk.pass(1);
    }
    assert_eq!(desk.states(), [State::Cooling]);
}

#[test]
fn streams_that_break_together_are_one_failure() {
    let mut desk = Desk::new(keys(1));
    let grants: Vec<_> = (0..10).map(|_| desk.go("m")).collect();
    desk.pass(SECOND);
    for grant in grants {
        desk.answered(grant.lease);
        let cut = Outcome::Cut(Bill::NOTHING, of_trouble(Trouble::CutReset));
        desk.settle(grant.lease, cut);
    }
    assert_eq!(desk.states(), [READY]);
}

#[test]
fn a_storm_on_all_accounts_pardons_them_and_opens_the_model() {
    let mut desk = Desk::new(keys(3));
    let storm = |_| Err(server_error());
    assert_eq!(desk.request(&ask("m"), &storm), (vec![1, 2], Err(Refusal::LastAttempt)));
    assert_eq!(desk.request(&ask("m"), &storm), (vec![3], Err(Refusal::LastAttempt)));
    let until = desk.now.plus(10 * SECOND);
    assert_eq!(desk.refused("m"), Refusal::ModelOpen { until });
    assert_eq!(desk.states(), [READY; 3], "no account is to blame");
    assert_eq!(desk.served("other"), 1);
    assert!(desk.notices.iter().any(|n| matches!(n, Notice::Pardoned { .. })));
    assert!(desk.notices.iter().any(|n| matches!(n, Notice::ModelOpen { .. })));
    desk.pass(10 * SECOND);
    // One trial; while it runs the others wait for its outcome, after it failed they are refused.
    let trial = desk.go("m");
    assert!(trial.trial);
    let waiter = desk.waits("m");
    let effects = desk.settle(trial.lease, Outcome::Faulted(error(429, "provider")));
    assert_eq!(effects.wake.as_slice(), [waiter.ticket]);
    let asked = desk.admit(&ask("m"), &waiter);
    assert!(matches!(asked, Admission::Refuse(Refusal::ModelOpen { .. })), "{asked:?}");
    desk.pass(20 * SECOND - 1);
    assert!(matches!(desk.refused("m"), Refusal::ModelOpen { .. }));
    desk.pass(1);
    desk.served("m");
    desk.go("m");
    desk.go("m");
}

#[test]
fn a_pardon_takes_back_a_breaker_that_had_opened() {
    let mut desk = Desk::new(keys(2));
    let held = desk.go("m");
    assert_eq!(held.key, KeyId(1));
    // Two is idle, so three requests fail there, one after the other.
    for _ in 0..3 {
        let grant = desk.go("m");
        assert_eq!(grant.key, KeyId(2));
        desk.settle(grant.lease, Outcome::Faulted(server_error()));
    }
    assert_eq!(desk.states(), [READY, State::Cooling]);
    desk.pass(SECOND);
    desk.settle(held.lease, Outcome::Faulted(server_error()));
    assert_eq!(desk.states(), [READY, READY]);
    assert!(matches!(desk.refused("m"), Refusal::ModelOpen { .. }));
}

#[test]
fn a_pardon_takes_back_a_breaker_that_too_few_are_left_for() {
    let mut desk = Desk::new(keys(2));
    let held = desk.go("m");
    for fault in [server_error(), server_error(), of_trouble(Trouble::HeaderTimeout)] {
        let grant = desk.go("m");
        desk.settle(grant.lease, Outcome::Faulted(fault));
    }
    assert_eq!(desk.states(), [READY, State::Cooling]);
    // Two of the three were the model's fault; the one that opened the breaker was not.
    desk.settle(held.lease, Outcome::Faulted(server_error()));
    assert_eq!(desk.states(), [READY, READY]);
}

#[test]
fn errors_on_several_models_blame_the_upstream() {
    let mut desk = Desk::new(keys(3));
    for model in ["a", "b", "c"] {
        let grant = desk.go(model);
        desk.settle(grant.lease, Outcome::Faulted(server_error()));
    }
    let until = desk.now.plus(2 * SECOND);
    assert_eq!(desk.refused("d"), Refusal::Cooling { until });
    desk.pass(2 * SECOND);
    desk.served("d");
    assert_eq!(desk.states(), [READY; 3]);
}

#[test]
fn two_strange_refusals_are_the_models_fault() {
    let mut desk = Desk::new(keys(2));
    let world = |_| Err(error(403, "never seen"));
    assert_eq!(desk.request(&ask("m"), &world), (vec![1, 2], Err(Refusal::LastAttempt)));
    assert_eq!(desk.states(), [READY, READY]);
}

#[test]
fn certain_faults_are_never_pardoned() {
    let mut desk = Desk::new(keys(2));
    let (tried, end) = desk.request(&ask("m"), &|_| Err(error(401, "AuthError")));
    assert_eq!((tried, end), (vec![1, 2], Err(Refusal::AllDead)));
    assert_eq!(desk.states(), [State::Dead; 2]);
}

#[test]
fn a_network_outage_disables_nobody() {
    let mut desk = Desk::new(keys(3));
    let down = |_| Err(of_trouble(Trouble::Connect));
    assert_eq!(desk.request(&ask("m"), &down).0, [1, 2]);
    assert_eq!(desk.request(&ask("m"), &down).0, [3]);
    let until = desk.now.plus(2 * SECOND);
    assert_eq!(desk.refused("m"), Refusal::Cooling { until });
    let mut span = 2 * SECOND;
    for longer in [4, 8, 16, 30, 30] {
        desk.pass(span);
        assert_eq!(desk.request(&ask("m"), &down).0.len(), 1, "one trial");
        span = longer * SECOND;
    }
    desk.pass(span);
    desk.served("m");
    assert_eq!(desk.states(), [READY; 3]);
}

#[test]
fn any_answer_shows_that_the_service_is_there() {
    let mut desk = Desk::new(keys(1));
    for _ in 0..5 {
        for fault in [of_trouble(Trouble::Connect), of_trouble(Trouble::Tls), error(400, "x")] {
            let (tried, _) = desk.request(&ask("m"), &|_| Err(fault.clone()));
            assert_eq!(tried, [1]);
        }
    }
}

#[test]
fn one_upstream_down_leaves_the_others_usable() {
    let mut desk = Desk::new(vec![key(1, 0), key(2, 1)]);
    let down = |key| if key == KeyId(1) { Err(of_trouble(Trouble::Connect)) } else { Ok(()) };
    for _ in 0..20 {
        assert_eq!(desk.request(&ask("m"), &down).1, Ok(()));
    }
    assert_eq!(desk.states(), [READY; 2], "the way to the service says nothing of the key");
}

#[test]
fn those_who_wait_for_a_trial_run_when_it_succeeds() {
    let mut desk = Desk::new(keys(1));
    let down = |_| Err(of_trouble(Trouble::Connect));
    for _ in 0..3 {
        assert_eq!(desk.request(&ask("m"), &down).1, Err(Refusal::LastAttempt));
    }
    assert!(matches!(desk.refused("m"), Refusal::Cooling { .. }));
    desk.pass(2 * SECOND);
    let trial = desk.go("m");
    let waiters = [desk.waits("m"), desk.waits("other")];
    let effects = desk.answered(trial.lease);
    assert_eq!(effects.wake.as_slice(), waiters.each_ref().map(|waiter| waiter.ticket));
    for waiter in &waiters {
        assert!(matches!(desk.admit(&ask("m"), waiter), Admission::Go(_)));
    }
}

#[test]
fn a_trial_that_takes_too_long_is_waited_for_no_longer() {
    let mut desk = Desk::new(keys(1));
    for _ in 0..3 {
        assert_eq!(desk.request(&ask("m"), &|_| Err(server_error())).1, Err(Refusal::LastAttempt));
    }
    desk.pass(MINUTE);
    let _trial = desk.go("m");
    desk.pass(20 * SECOND);
    let waiter = desk.waits("m");
    desk.pass(9 * SECOND);
    assert_eq!(desk.pool.due(), Some(desk.now.plus(SECOND)));
    desk.pass(SECOND);
    assert!(matches!(desk.admit(&ask("m"), &waiter), Admission::Go(_)));
}

#[test]
fn a_dead_key_is_tried_again_ever_more_slowly() {
    let mut desk = Desk::new(keys(1));
    let dead = |_| Err(error(401, "AuthError"));
    assert_eq!(desk.request(&ask("m"), &dead), (vec![1], Err(Refusal::AllDead)));
    let mut span = 10 * MINUTE;
    for _ in 0..12 {
        desk.pass(span - 1);
        assert_eq!(desk.refused("m"), Refusal::AllDead);
        desk.pass(1);
        assert_eq!(desk.request(&ask("m"), &dead), (vec![1], Err(Refusal::AllDead)));
        span = (span * 2).min(DAY);
    }
    desk.pass(span);
    assert_eq!(desk.served("m"), 1);
    assert_eq!(desk.states(), [READY]);
}

#[test]
fn an_answer_to_something_older_does_not_revive_the_dead() {
    let mut desk = Desk::new(keys(1));
    let (old, older, other) = (desk.go("m"), desk.go("m"), desk.go("m"));
    desk.settle(other.lease, Outcome::Faulted(error(401, "AuthError")));
    desk.answered(older.lease);
    assert_eq!(desk.states(), [State::Dead]);
    desk.pass(10 * MINUTE);
    desk.answered(old.lease);
    assert_eq!(desk.states(), [State::Trial]);
}

#[test]
fn a_dead_key_refused_in_other_words_stays_dead() {
    let mut desk = Desk::new(keys(1));
    let _ended = desk.request(&ask("m"), &|_| Err(error(401, "AuthError")));
    desk.pass(10 * MINUTE);
    let _ended = desk.request(&ask("m"), &|_| Err(error(403, "never seen")));
    desk.pass(20 * MINUTE - 1);
    assert_eq!(desk.states(), [State::Dead]);
}

#[test]
fn an_abandoned_trial_judges_nobody() {
    let mut desk = Desk::new(keys(1));
    let _ended = desk.request(&ask("m"), &|_| Err(error(401, "AuthError")));
    desk.pass(10 * MINUTE);
    let trial = desk.go("m");
    assert!(trial.trial);
    assert_eq!(desk.refused("m"), Refusal::AllDead, "one trial at a time");
    desk.settle(trial.lease, Outcome::Abandoned(Bill::NOTHING));
    assert!(desk.go("m").trial);
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
