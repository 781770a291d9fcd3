//! Failures in a row: whom they are counted on, the pardon, and the trial that ends them.

use super::*;
use crate::time::{DAY, MINUTE, SECOND};

const READY: State = State::Ready;

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
    assert_eq!(desk.pool.guards_due(), Some(desk.now.plus(SECOND)));
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
