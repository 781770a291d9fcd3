//! Conversations and their accounts.

use super::*;
use crate::id::SessionKey;
use crate::meter::Tokens;
use crate::price::{Price, Prices, Rate};
use crate::select::Reason;
use crate::time::{HOUR, MINUTE, SECOND};

fn rules() -> Rules {
    let rate = Rate { input: 1.0, output: 4.0, cache_read: 0.1, cache_write: 1.0 };
    let mut prices = Prices::default();
    let price =
        Price { rate: Some(rate), long: None, peak: false, monthly: [Some(60.0), Some(60.0)] };
    prices.insert("m", price);
    Rules { prices: Arc::new(prices), ..Rules::default() }
}

fn turn(session: u64, bytes: u64) -> Ask {
    Ask { session: Some(SessionKey(session)), warm: true, body_bytes: bytes, ..ask("m") }
}

fn told(prompt: u64, cached: u64) -> Bill {
    let tokens =
        Tokens { input: prompt - cached, cached: Some(cached), output: 200, ..Tokens::default() };
    Bill::exact(tokens)
}

/// One turn of a conversation, answered from the cache as far as it was known.
fn play(desk: &mut Desk, ask: &Ask, cached: u64) -> (u64, Reason) {
    let trail = desk.enter();
    let Admission::Go(grant) = desk.admit(ask, &trail) else { panic!("not admitted") };
    desk.answered(grant.lease);
    desk.settle(grant.lease, Outcome::Served(told(ask.body_bytes / 4, cached)));
    (grant.key.0, grant.decision.reason)
}

#[test]
fn a_conversation_stays_and_others_rotate_around_it() {
    let mut desk = Desk::with(keys(3), rules());
    assert_eq!(play(&mut desk, &turn(1, 40_000), 0), (1, Reason::Turn));
    desk.pass(20 * SECOND);
    assert_eq!(play(&mut desk, &turn(2, 40_000), 0), (2, Reason::Turn));
    for round in 1..5 {
        desk.pass(20 * SECOND);
        let bytes = 40_000 + round * 8_000;
        assert_eq!(play(&mut desk, &turn(1, bytes), bytes / 4 - 2_000), (1, Reason::Warm));
        assert_eq!(play(&mut desk, &turn(2, bytes), bytes / 4 - 2_000), (2, Reason::Warm));
    }
}

#[test]
fn a_warm_account_is_shared_even_when_it_is_busy() {
    let mut desk = Desk::with(keys(2), rules());
    assert_eq!(play(&mut desk, &turn(1, 40_000), 0).0, 1);
    let parallel = [desk.enter(), desk.enter()];
    for trail in &parallel {
        let Admission::Go(grant) = desk.admit(&turn(1, 44_000), trail) else { panic!() };
        assert_eq!((grant.key, grant.decision.reason), (KeyId(1), Reason::Warm));
    }
}

#[test]
fn a_first_turn_rotates_and_is_remembered() {
    let mut desk = Desk::with(keys(3), rules());
    let single = |session| Ask { warm: false, ..turn(session, 4_000) };
    let order: Vec<_> = (0..6).map(|n| play(&mut desk, &single(n % 2), 0).0).collect();
    assert_eq!(order, [1, 2, 3, 1, 2, 3], "single shots rotate, whatever their id");
    assert_eq!(play(&mut desk, &turn(1, 5_000), 1_000), (3, Reason::Warm));
}

#[test]
fn a_cold_or_compacted_conversation_is_free() {
    let mut desk = Desk::with(keys(2), rules());
    assert_eq!(play(&mut desk, &turn(1, 400_000), 0).0, 1);
    desk.pass(20 * SECOND);
    assert_eq!(play(&mut desk, &turn(1, 60_000), 0), (2, Reason::Turn), "compacted");
    desk.pass(5 * HOUR);
    assert_eq!(play(&mut desk, &turn(1, 420_000), 0).1, Reason::Turn, "cold");
}

#[test]
fn after_a_forced_move_it_stays_where_it_went() {
    let mut desk = Desk::with(keys(2), rules());
    assert_eq!(play(&mut desk, &turn(1, 40_000), 0).0, 1);
    let world = |key| if key == KeyId(1) { Err(quota(3_600, "")) } else { Ok(()) };
    assert_eq!(desk.request(&turn(1, 44_000), &world).0, [1, 2]);
    desk.pass(MINUTE);
    assert_eq!(play(&mut desk, &turn(1, 48_000), 10_000), (2, Reason::Warm));
    desk.pass(HOUR);
    assert_eq!(desk.state(1), State::Ready);
    assert_eq!(play(&mut desk, &turn(1, 49_000), 0).1, Reason::Turn, "cold by now");
}

#[test]
fn an_ambiguous_failure_sends_the_clients_own_retry_elsewhere() {
    let mut desk = Desk::with(keys(2), rules());
    assert_eq!(play(&mut desk, &turn(1, 40_000), 0).0, 1);
    let trail = desk.enter();
    let Admission::Go(grant) = desk.admit(&turn(1, 44_000), &trail) else { panic!() };
    assert_eq!(grant.key, KeyId(1));
    desk.settle(grant.lease, Outcome::Faulted(of_trouble(Trouble::HeaderTimeout)));
    assert_eq!(play(&mut desk, &turn(1, 44_000), 0), (2, Reason::Turn));
    assert_eq!(play(&mut desk, &turn(1, 48_000), 11_000), (2, Reason::Warm));
}

#[test]
fn moves_are_counted_and_their_price_is_known() {
    let mut desk = Desk::with(keys(2), rules());
    play(&mut desk, &turn(1, 400_000), 0);
    let world = |key| if key == KeyId(1) { Err(quota(3_600, "")) } else { Ok(()) };
    let mut trail = desk.enter();
    let Admission::Go(first) = desk.admit(&turn(1, 440_000), &trail) else { panic!() };
    let fault = world(first.key).expect_err("the first account is out of quota");
    desk.settle(first.lease, Outcome::Faulted(fault.clone()));
    trail.record(first.key, fault);
    let Admission::Go(second) = desk.admit(&turn(1, 440_000), &trail) else { panic!() };
    desk.answered(second.lease);
    desk.settle(second.lease, Outcome::Served(told(110_000, 0)));
    let view = desk.pool.view(desk.now);
    assert_eq!(view.switches, 1);
    // 100,200 tokens were known, each paid at 1.0 instead of 0.1 dollars a million.
    assert!((view.rotation_tax - 100_200.0 * 0.9e-6).abs() < 1e-6, "{}", view.rotation_tax);
    let caches = view.caches;
    assert_eq!(caches.first().map(|cache| cache.seen), Some((0, 1)), "a move teaches");
    assert!(caches[0].survives < 0.5);
}

#[test]
fn restart_keeps_sessions_cooldowns_and_sums() {
    let mut desk = Desk::with(keys(3), rules());
    play(&mut desk, &turn(1, 40_000), 0);
    play(&mut desk, &turn(2, 40_000), 0);
    let dead = desk.go("m");
    assert_eq!(dead.key, KeyId(3));
    desk.settle(dead.lease, Outcome::Faulted(error(401, "AuthError")));
    let out = desk.go("m");
    desk.settle(out.lease, Outcome::Faulted(quota(7_200, "wrk")));
    let (image, before) = (desk.pool.image(), desk.states());
    let mut again = Desk { now: desk.now.plus(MINUTE), ..Desk::with(keys(3), rules()) };
    let effects = again.pool.restore(image.clone(), again.now);
    again.note(effects);
    assert_eq!(again.states(), before);
    assert_eq!(play(&mut again, &turn(2, 44_000), 10_000), (2, Reason::Warm));
    assert_eq!(again.pool.view(again.now).models[0].requests, 3);
    let mut fewer = Desk { now: desk.now, ..Desk::with(vec![key(2, 0)], rules()) };
    let effects = fewer.pool.restore(image, fewer.now);
    fewer.note(effects);
    assert_eq!(play(&mut fewer, &turn(2, 44_000), 10_000), (2, Reason::Warm), "what is left");
}
