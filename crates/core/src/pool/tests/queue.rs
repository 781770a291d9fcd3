//! Waiting for a slot.

use super::*;
use crate::id::TicketId;
use crate::time::SECOND;

fn desk(keys_: u64, limit: u32) -> Desk {
    Desk::with(keys(keys_), Rules { max_concurrent: limit, ..Rules::default() })
}

/// A request that must wait.
fn wait(desk: &mut Desk) -> Trail {
    let trail = desk.enter();
    let until = desk.now.plus(30 * SECOND);
    assert_eq!(desk.admit(&ask("m"), &trail), Admission::Wait { until });
    trail
}

fn woken(effects: &Effects) -> Vec<TicketId> {
    effects.wake.to_vec()
}

fn serve(desk: &mut Desk, lease: LeaseId) -> Vec<TicketId> {
    woken(&desk.settle(lease, Outcome::Served(Bill::NOTHING)))
}

fn goes(desk: &mut Desk, trail: &Trail) -> Grant {
    match desk.admit(&ask("m"), trail) {
        Admission::Go(grant) => grant,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_limit_holds_and_the_first_comer_is_woken() {
    let mut desk = desk(2, 1);
    let (a, b) = (desk.go("m"), desk.go("m"));
    let (first, second) = (wait(&mut desk), wait(&mut desk));
    assert_eq!(serve(&mut desk, a.lease), [first.ticket]);
    // The slot is promised: a newcomer waits behind both.
    let newcomer = wait(&mut desk);
    assert_eq!(goes(&mut desk, &first).key, a.key);
    assert_eq!(serve(&mut desk, b.lease), [second.ticket]);
    let grant = goes(&mut desk, &second);
    assert_eq!(serve(&mut desk, grant.lease), [newcomer.ticket]);
}

#[test]
fn a_waiter_that_leaves_passes_its_slot_on() {
    let mut desk = desk(1, 1);
    let a = desk.go("m");
    let (first, second) = (wait(&mut desk), wait(&mut desk));
    assert_eq!(serve(&mut desk, a.lease), [first.ticket]);
    assert_eq!(woken(&desk.pool.leave(first.ticket, desk.now)), [second.ticket]);
    assert!(woken(&desk.pool.leave(first.ticket, desk.now)).is_empty());
    goes(&mut desk, &second);
}

#[test]
fn time_runs_out() {
    let mut desk = desk(1, 1);
    let a = desk.go("m");
    let trail = wait(&mut desk);
    assert_eq!(desk.pool.guards_due(), Some(desk.now.plus(30 * SECOND)));
    desk.pass(30 * SECOND);
    assert_eq!(woken(&desk.pool.tick(desk.now)), [trail.ticket]);
    assert!(woken(&desk.pool.tick(desk.now)).is_empty(), "told once");
    assert_eq!(desk.pool.guards_due(), None, "nothing left to do");
    let refused = Admission::Refuse(Refusal::QueueTimeout);
    assert_eq!(desk.admit(&ask("m"), &trail), refused);
    serve(&mut desk, a.lease);
    desk.go("m");
}

#[test]
fn a_waiter_that_never_comes_back_loses_its_slot() {
    let mut desk = desk(1, 1);
    let a = desk.go("m");
    let lost = wait(&mut desk);
    desk.pass(20 * SECOND);
    let patient = wait(&mut desk);
    assert_eq!(serve(&mut desk, a.lease), [lost.ticket]);
    desk.pass(10 * SECOND);
    assert_eq!(woken(&desk.pool.tick(desk.now)), [patient.ticket]);
    goes(&mut desk, &patient);
}

#[test]
fn the_queue_is_bounded() {
    let mut desk = desk(1, 1);
    desk.go("m");
    for _ in 0..1_024 {
        wait(&mut desk);
    }
    assert_eq!(desk.refused("m"), Refusal::QueueFull);
}

#[test]
fn waiters_are_told_when_there_is_nothing_left_to_wait_for() {
    let mut desk = desk(1, 1);
    let a = desk.go("m");
    let trail = wait(&mut desk);
    let effects = desk.settle(a.lease, Outcome::Faulted(quota(600, "")));
    assert_eq!(woken(&effects), [trail.ticket]);
    let admission = desk.admit(&ask("m"), &trail);
    assert!(matches!(admission, Admission::Refuse(Refusal::OutOfQuota { .. })));
}

#[test]
fn a_cooldown_that_ends_wakes_whom_it_concerns() {
    let mut desk = desk(2, 1);
    let (a, _b) = (desk.go("m"), desk.go("m"));
    desk.settle(a.lease, Outcome::Faulted(quota(5, "")));
    let trail = wait(&mut desk);
    assert_eq!(desk.pool.guards_due(), Some(desk.now.plus(5 * SECOND)));
    desk.pass(5 * SECOND);
    assert_eq!(woken(&desk.pool.tick(desk.now)), [trail.ticket]);
    assert_eq!(goes(&mut desk, &trail).key, a.key);
}

#[test]
fn lifting_the_limit_wakes_everybody() {
    let mut desk = desk(1, 1);
    desk.go("m");
    let waiting = [wait(&mut desk), wait(&mut desk)].map(|trail| trail.ticket);
    let roster = Roster { keys: keys(1), rules: Rules::default() };
    assert_eq!(woken(&desk.pool.apply(roster, false, desk.now)), waiting);
}

#[test]
fn a_request_that_has_tried_an_account_does_not_wait_for_it() {
    let mut desk = desk(2, 1);
    let (a, b) = (desk.go("m"), desk.go("m"));
    let mut trail = desk.enter();
    trail.record(a.key, server_error());
    assert!(matches!(desk.admit(&ask("m"), &trail), Admission::Wait { .. }));
    assert!(serve(&mut desk, a.lease).is_empty());
    assert_eq!(serve(&mut desk, b.lease), [trail.ticket]);
    assert_eq!(goes(&mut desk, &trail).key, b.key);
}

#[test]
fn a_waiter_that_asks_by_itself_is_not_woken_as_well() {
    let mut desk = desk(1, 1);
    let a = desk.go("m");
    let roster = Roster { keys: keys(2), rules: Rules { max_concurrent: 1, ..Rules::default() } };
    let _applied = desk.pool.apply(roster, false, desk.now);
    let b = desk.go("m");
    desk.settle(b.lease, Outcome::Faulted(quota(5, "")));
    let trail = wait(&mut desk);
    desk.pass(5 * SECOND);
    let (admission, effects) = desk.pool.admit(&ask("m"), &trail, desk.now);
    assert!(matches!(admission, Admission::Go(grant) if grant.key != a.key));
    assert!(effects.wake.is_empty());
}

#[test]
fn a_promise_survives_a_merge() {
    let mut desk = desk(2, 2);
    let grants: Vec<_> = (0..4).map(|_| desk.go("m")).collect();
    let waiter = wait(&mut desk);
    // Key 1 has a free slot, promised to the waiter, when it turns out to share key 2's account.
    assert_eq!(serve(&mut desk, grants[0].lease), [waiter.ticket]);
    let named = || Outcome::Faulted(Fault { workspace: Some("w".into()), ..error(400, "x") });
    desk.settle(grants[1].lease, named());
    desk.settle(grants[2].lease, named());
    assert!(desk.notices.iter().any(|notice| matches!(notice, Notice::Merged { .. })));
    wait(&mut desk);
    goes(&mut desk, &waiter);
}
