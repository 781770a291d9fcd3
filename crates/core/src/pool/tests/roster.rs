//! Rotation, reload, retirement and merging.

use super::*;
use crate::time::MINUTE;

fn apply(desk: &mut Desk, keys: Vec<RosterKey>, fresh: bool) {
    let effects = desk.pool.apply(Roster { keys, rules: Rules::default() }, fresh, desk.now);
    desk.note(effects);
}

#[test]
fn strict_rotation() {
    let mut desk = Desk::new(keys(3));
    let order: Vec<_> = (0..7).map(|_| desk.served("m")).collect();
    assert_eq!(order, [1, 2, 3, 1, 2, 3, 1]);
}

#[test]
fn idle_before_busy_then_the_least_loaded() {
    let mut desk = Desk::new(keys(3));
    let first = desk.go("m");
    assert_eq!([desk.served("m"), desk.served("m"), desk.served("m")], [2, 3, 2]);
    let order: Vec<_> = (0..3).map(|_| desk.go("m").key.0).collect();
    assert_eq!(order, [3, 2, 3]);
    desk.answered(first.lease);
    assert_eq!(desk.go("m").key.0, 1, "a stream in flight is busy, but the least loaded");
}

#[test]
fn a_removed_key_retires_with_its_last_lease() {
    let mut desk = Desk::new(keys(2));
    let grant = desk.go("m");
    apply(&mut desk, vec![key(2, 0)], false);
    assert_eq!([desk.served("m"), desk.served("m")], [2, 2]);
    assert_eq!(desk.pool.in_flight(), 1);
    desk.settle(grant.lease, Outcome::Faulted(error(401, "AuthError")));
    assert_eq!((desk.pool.keys.len(), desk.pool.accounts.len()), (1, 1));
    apply(&mut desk, keys(2), false);
    assert_eq!(desk.states(), [State::Ready; 2], "what comes back is new");
}

#[test]
fn the_turn_passes_on_when_a_key_is_removed() {
    let mut desk = Desk::new(keys(4));
    assert_eq!([desk.served("m"), desk.served("m")], [1, 2]);
    apply(&mut desk, vec![key(1, 0), key(3, 0), key(4, 0)], false);
    assert_eq!([desk.served("m"), desk.served("m")], [3, 4]);
}

#[test]
fn a_reload_revives_the_dead_and_nothing_else() {
    let mut desk = Desk::new(keys(2));
    let grants = [desk.go("m"), desk.go("m")];
    desk.settle(grants[0].lease, Outcome::Faulted(error(401, "AuthError")));
    desk.settle(grants[1].lease, Outcome::Faulted(quota(600, "")));
    apply(&mut desk, keys(2), false);
    assert_eq!(desk.states(), [State::Dead, State::OutOfQuota]);
    apply(&mut desk, keys(2), true);
    assert_eq!(desk.states(), [State::Ready, State::OutOfQuota]);
}

#[test]
fn a_new_secret_or_base_url_starts_fresh() {
    let mut desk = Desk::new(keys(1));
    let _ended = desk.request(&ask("m"), &|_| Err(error(401, "AuthError")));
    apply(&mut desk, vec![key(9, 0)], false);
    assert_eq!(desk.states(), [State::Ready]);
    let _ended = desk.request(&ask("m"), &|_| Err(error(401, "CreditsError")));
    apply(&mut desk, vec![key(9, 1)], false);
    assert_eq!(desk.states(), [State::Ready]);
}

#[test]
fn rename_and_reorder_keep_what_is_known() {
    let mut desk = Desk::new(keys(2));
    let _ended =
        desk.request(&ask("m"), &|key| if key.0 == 1 { Err(quota(600, "")) } else { Ok(()) });
    let renamed = RosterKey { label: "new".into(), ..key(1, 0) };
    apply(&mut desk, vec![key(2, 0), renamed], false);
    assert_eq!(desk.states(), [State::Ready, State::OutOfQuota]);
    assert_eq!(desk.pool.standings(desk.now)[1].label, Arc::from("new"));
}

#[test]
fn the_same_key_twice_is_one() {
    let desk = Desk::new(vec![key(1, 0), key(1, 0)]);
    assert_eq!(desk.states().len(), 1);
}

/// Keys 1 and 3 are of one workspace, key 2 of another.
fn shared() -> Desk {
    let mut desk = Desk::new(keys(3));
    let workspaces = |key: KeyId| Err(quota(60, if key.0 == 2 { "w2" } else { "w1" }));
    let (tried, _) = desk.request(&ask("m"), &workspaces);
    assert_eq!(tried, [1, 2, 3]);
    let merged = Notice::Merged { keeps: KeyId(1), joins: KeyId(3) };
    let merges = desk.notices.iter().filter(|n| matches!(n, Notice::Merged { .. }));
    assert_eq!(merges.collect::<Vec<_>>(), [&merged], "told once, and only what is true");
    desk.pass(60_000);
    desk
}

#[test]
fn keys_of_one_workspace_are_one_account() {
    let mut desk = shared();
    let standings = desk.pool.standings(desk.now);
    assert_eq!(standings[0].account, standings[2].account);
    assert_ne!(standings[0].account, standings[1].account);
    let order: Vec<_> = (0..4).map(|_| desk.served("m")).collect();
    assert!(!order.contains(&3) && order.contains(&1), "{order:?}: one of the two stands for both");
    // Never tried for each other.
    let (tried, _) = desk.request(&ask("m"), &|_| Err(quota(600, "")));
    assert_eq!(tried.len(), 2);
    assert_eq!(desk.states(), [State::OutOfQuota; 3]);
}

#[test]
fn the_other_key_of_an_account_stands_in_for_a_dead_one() {
    let mut desk = shared();
    while desk
        .request(&ask("m"), &|key| if key.0 == 1 { Err(error(401, "AuthError")) } else { Ok(()) })
        .0[0]
        != 1
    {}
    assert_eq!(desk.states(), [State::Dead, State::Ready, State::Ready]);
    let order = [desk.served("m"), desk.served("m")];
    assert!(order.contains(&2) && order.contains(&3), "{order:?}");
}

#[test]
fn while_a_dead_key_is_tried_again_the_accounts_other_key_serves_those_who_wait() {
    let mut desk = shared();
    let rules = Rules { max_concurrent: 2, ..Rules::default() };
    let _applied = desk.pool.apply(Roster { keys: keys(3), rules }, false, desk.now);
    let mut waiter = desk.enter();
    let grant = desk.go("m");
    assert_eq!(grant.key, KeyId(1));
    desk.settle(grant.lease, Outcome::Faulted(error(401, "AuthError")));
    waiter.record(grant.key, error(401, "AuthError"));
    let busy = [desk.go("m"), desk.go("m"), desk.go("m")];
    assert_eq!(busy.each_ref().map(|grant| grant.key.0), [2, 3, 2]);
    desk.settle(busy[1].lease, Outcome::Served(Bill::NOTHING));
    desk.pass(10 * MINUTE);
    // Key 1 speaks for its account again, but not to whom it has refused; key 2 is busy.
    assert!(matches!(desk.admit(&ask("m"), &waiter), Admission::Wait { .. }));
    let newcomer = desk.enter();
    let (admission, effects) = desk.pool.admit(&ask("m"), &newcomer, desk.now);
    assert!(matches!(admission, Admission::Go(grant) if grant.key == KeyId(1) && grant.trial));
    assert_eq!(effects.wake.as_slice(), [waiter.ticket], "nothing else would ever wake it");
    let admission = desk.admit(&ask("m"), &waiter);
    assert!(
        matches!(admission, Admission::Go(ref grant) if grant.key == KeyId(3)),
        "{admission:?}"
    );
}

#[test]
fn a_pool_with_a_key_left_is_not_dead() {
    let mut desk = shared();
    apply(&mut desk, vec![key(1, 0), key(3, 0)], false);
    let refused = |key: KeyId| if key.0 == 1 { Err(error(401, "AuthError")) } else { Ok(()) };
    // The refused key never reached the account that both share: its other key may.
    assert_eq!(desk.request(&ask("m"), &refused), (vec![1, 3], Ok(())));
    assert_eq!(desk.request(&ask("m"), &refused), (vec![3], Ok(())));
}

#[test]
fn merged_accounts_share_their_load_and_survive_reloads() {
    let mut desk = shared();
    apply(&mut desk, vec![key(3, 0), key(2, 0), key(1, 0)], true);
    let standings = desk.pool.standings(desk.now);
    assert_eq!(standings[0].account, standings[2].account);
    let mut used: Vec<_> = (0..2).map(|_| desk.go("m").key.0).collect();
    used.sort_unstable();
    assert_eq!(used, [2, 3]);
    apply(&mut desk, vec![key(1, 0), key(2, 0)], false);
    // Key 3 is gone but its stream still runs on the account: both are equally busy.
    let rows = desk.pool.candidates(&ask("m"), &trail());
    assert_eq!(rows.iter().map(|row| row.in_flight).collect::<Vec<_>>(), [1, 1]);
}

fn trail() -> Trail {
    Pool::new().enter(START)
}

#[test]
fn merging_moves_what_is_known() {
    let mut desk = Desk::new(keys(2));
    let (a, b) = (desk.go("m"), desk.go("m"));
    desk.settle(a.lease, Outcome::Faulted(quota(60, "w")));
    desk.settle(b.lease, Outcome::Faulted(quota(600, "w")));
    let standings = desk.pool.standings(desk.now);
    assert_eq!(standings[0].until, standings[1].until);
    desk.pass(10 * MINUTE - 1);
    assert_eq!(desk.states(), [State::OutOfQuota; 2]);
    assert_eq!(desk.pool.accounts.len(), 1);
}

/// `fault`, naming the workspace.
fn named(mut fault: Fault) -> Outcome {
    fault.workspace = Some("w".into());
    Outcome::Faulted(fault)
}

#[test]
fn what_keeps_one_half_out_keeps_out_the_whole() {
    let mut desk = Desk::new(keys(2));
    let grants: Vec<_> = (0..4).map(|_| desk.go("m")).collect();
    // Key 2 has no subscription; then both name the same workspace.
    desk.settle(grants[1].lease, Outcome::Faulted(error(401, "CreditsError")));
    desk.settle(grants[0].lease, named(error(400, "x")));
    assert_eq!(desk.states(), [State::Ready, State::Dead]);
    desk.settle(grants[3].lease, named(error(400, "x")));
    assert_eq!(desk.states(), [State::Dead; 2]);
}

#[test]
fn merged_accounts_count_their_errors_together_and_witness_not_for_each_other() {
    let mut desk = Desk::new(keys(2));
    let grants: Vec<_> = (0..4).map(|_| desk.go("m")).collect();
    desk.settle(grants[1].lease, Outcome::Faulted(server_error()));
    desk.pass(20_000);
    desk.settle(grants[0].lease, named(server_error()));
    desk.settle(grants[3].lease, named(server_error()));
    assert_eq!(desk.states(), [State::Cooling; 2]);
}

#[test]
fn a_key_sent_elsewhere_while_it_tries_its_upstream_ends_that_trial() {
    let mut desk = Desk::new(keys(2));
    let down = |_| Err(of_trouble(Trouble::Connect));
    while desk.request(&ask("m"), &down).1 == Err(Refusal::LastAttempt) {}
    desk.pass(MINUTE);
    let trial = desk.go("m");
    let (tries, stays) = (trial.key.0, 3 - trial.key.0);
    apply(&mut desk, vec![key(tries, 1), key(stays, 0)], false);
    desk.settle(trial.lease, Outcome::Faulted(error(401, "AuthError")));
    assert_eq!(desk.states(), [State::Ready; 2], "what its old place says of it counts no more");
    assert_eq!([desk.served("m"), desk.served("m")], [stays, tries], "and the trial is over");
}
