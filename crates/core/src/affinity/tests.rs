use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::id::KeyId;
use crate::time::{HOUR, MINUTE};

const A: AccountId = AccountId(1);
const B: AccountId = AccountId(2);
const S: SessionKey = SessionKey(7);

fn model(name: &str) -> Arc<str> {
    name.into()
}

/// A turn of a conversation: answered and settled by `account`, four bytes a token.
fn turn(
    affinity: &mut Affinity,
    session: SessionKey,
    account: AccountId,
    name: &str,
    body_bytes: u64,
    minute: i64,
) -> Option<Turn> {
    let (model, at) = (model(name), Millis(minute * MINUTE));
    affinity.answered(session, account, Some(&model), body_bytes, at);
    let tokens = Tokens { input: body_bytes / 4, output: 100, ..Tokens::default() };
    affinity.settled(session, account, Some(&model), body_bytes, &tokens, at.plus(MINUTE / 2))
}

fn seat<'a>(affinity: &'a Affinity, name: &str, body_bytes: u64) -> Option<&'a Seat> {
    affinity.seat(S, Some(&model(name)), body_bytes)
}

fn account(affinity: &Affinity, name: &str, body_bytes: u64) -> Option<AccountId> {
    seat(affinity, name, body_bytes).map(|seat| seat.account)
}

#[test]
fn a_conversation_sits_where_it_was_answered_and_turns_say_what_was_known() {
    let mut affinity = Affinity::default();
    assert_eq!(account(&affinity, "glm", 40_000), None);
    assert_eq!(turn(&mut affinity, S, A, "glm", 40_000, 0), None, "nothing known before");
    let known = Known { prompt: 10_000, prefix: 10_100, body_bytes: 40_000 };
    let found = seat(&affinity, "glm", 44_000).unwrap();
    assert_eq!((found.account, found.known()), (A, known));
    assert_eq!(found.idle(Millis(HOUR)), HOUR - MINUTE / 2);
    assert_eq!(found.idle(Millis(0)), 0, "the clock was set back");
    let next = turn(&mut affinity, S, A, "glm", 44_000, 3);
    let rested = 2 * MINUTE + MINUTE / 2;
    assert_eq!(next, Some(Turn { prefix: 10_100, rested, moved_from: None }));
    assert_eq!(affinity.seat(SessionKey(8), Some(&model("glm")), 44_000), None);
    assert_eq!(affinity.seat(S, None, 44_000), None);
}

#[test]
fn after_a_move_it_stays_where_it_went() {
    let mut affinity = Affinity::default();
    turn(&mut affinity, S, A, "glm", 40_000, 0);
    affinity.answered(S, B, Some(&model("glm")), 41_000, Millis(10 * MINUTE));
    let found = seat(&affinity, "glm", 41_000).unwrap();
    assert_eq!((found.account, found.moved_from), (B, Some(A)));
    let tokens = Tokens { input: 300, cached: Some(9_900), output: 5, ..Tokens::default() };
    let at = Millis(11 * MINUTE);
    let moved = affinity.settled(S, B, Some(&model("glm")), 41_000, &tokens, at).unwrap();
    assert_eq!((moved.prefix, moved.moved_from), (10_100, Some(A)));
    let found = seat(&affinity, "glm", 42_000).unwrap();
    assert_eq!((found.account, found.moved_from, found.prefix), (B, None, 10_205));
    assert_eq!(turn(&mut affinity, S, B, "glm", 42_000, 12).unwrap().moved_from, None);
}

#[test]
fn titles_and_sub_agents_leave_the_conversation_where_it_is() {
    let mut affinity = Affinity::default();
    turn(&mut affinity, S, A, "glm", 300_000, 0);
    // Another model, whatever its size; the same model with a small body; turns of a sub-agent.
    turn(&mut affinity, S, B, "small", 300_000, 1);
    turn(&mut affinity, S, B, "glm", 3_000, 1);
    for (n, body) in [60_000, 70_000, 90_000].into_iter().enumerate() {
        let before = if n == 0 { None } else { Some(B) };
        assert_eq!(account(&affinity, "glm", body), before);
        turn(&mut affinity, S, B, "glm", body, 2);
    }
    let found = seat(&affinity, "glm", 310_000).unwrap();
    assert_eq!((found.account, found.body_bytes), (A, 300_000));
    assert_eq!(account(&affinity, "small", 300_000), Some(B));
    assert_eq!(affinity.len(), 4);
}

#[test]
fn a_compacted_conversation_is_free_and_sits_anew() {
    let mut affinity = Affinity::default();
    turn(&mut affinity, S, A, "glm", 600_000, 0);
    assert!(!affinity.shrank(S, Some(&model("glm")), 600_000));
    assert!(affinity.shrank(S, Some(&model("glm")), 60_000));
    assert!(!affinity.shrank(S, Some(&model("other")), 60_000), "it is new");
    assert_eq!(account(&affinity, "glm", 60_000), None);
    for body in [60_000, 120_000, 200_000, 300_000, 390_000, 450_000, 520_000, 580_000, 610_000] {
        turn(&mut affinity, S, B, "glm", body, 1);
        let found = seat(&affinity, "glm", body + 8_000).unwrap();
        assert_eq!((found.account, found.body_bytes), (B, body), "not the old one's seat");
    }
}

#[test]
fn the_strand_that_fits_best_is_continued() {
    let mut affinity = Affinity::default();
    turn(&mut affinity, S, AccountId(3), "glm", 260_000, 0);
    turn(&mut affinity, S, A, "glm", 100_000, 0);
    turn(&mut affinity, S, B, "glm", 40_000, 0);
    for (body, expected) in
        [(41_000, B), (80_000, A), (99_000, A), (180_000, A), (225_000, AccountId(3))]
    {
        assert_eq!(account(&affinity, "glm", body), Some(expected), "{body}");
    }
    // What was known of a turn is never more than its prompt.
    let tokens = Tokens { input: 9_000, ..Tokens::default() };
    affinity.answered(S, B, Some(&model("glm")), 38_000, Millis(HOUR));
    let turn = affinity.settled(S, B, Some(&model("glm")), 38_000, &tokens, Millis(HOUR));
    assert_eq!(turn.unwrap().prefix, 9_000);
}

#[test]
fn a_conversation_that_outgrows_its_former_self_stays_where_it_is_now() {
    let mut affinity = Affinity::default();
    turn(&mut affinity, S, A, "glm", 480_000, 0);
    let mut body = 80_000;
    for minute in (0..60).step_by(2) {
        turn(&mut affinity, S, B, "glm", body, minute);
        body = body * 108 / 100;
        assert_eq!(account(&affinity, "glm", body), Some(B), "{body} after {minute} minutes");
    }
    assert!(body > 480_000);
}

#[test]
fn leaving_out_an_old_tool_result_is_no_compaction() {
    let check = |body, next, compacted| {
        let mut affinity = Affinity::default();
        turn(&mut affinity, S, A, "glm", body, 0);
        let seat = seat(&affinity, "glm", body).unwrap();
        assert_eq!(Affinity::compacted(seat, next), compacted, "{body} to {next}");
    };
    check(300_000, 400_000, false);
    check(300_000, 300_000, false);
    check(300_000, 200_000, false);
    check(300_000, 199_999, true);
    check(300_000, 0, true);
    check(0, 0, false);
    check(u64::MAX, u64::MAX, false);
    check(u64::MAX, 1, true);
}

#[test]
fn an_ambiguous_failure_suspends_until_the_next_answer() {
    let mut affinity = Affinity::default();
    turn(&mut affinity, S, A, "glm", 40_000, 0);
    affinity.suspend(S, A, Some(&model("glm")), 41_000, Millis(MINUTE));
    assert_eq!(seat(&affinity, "glm", 41_000).unwrap().suspended, Some(A));
    // The retry failed at B too: now B is the one not to be asked again.
    affinity.suspend(S, B, Some(&model("glm")), 41_000, Millis(2 * MINUTE));
    let found = seat(&affinity, "glm", 41_000).unwrap();
    assert_eq!((found.account, found.suspended, found.prefix), (A, Some(B), 10_100));
    turn(&mut affinity, S, A, "glm", 41_000, 3);
    assert_eq!(seat(&affinity, "glm", 41_000).unwrap().suspended, None);
    // The very first request of a session.
    let (new, at) = (SessionKey(9), Millis(5));
    affinity.suspend(new, A, Some(&model("glm")), 500, at);
    let found = affinity.seat(new, Some(&model("glm")), 500).unwrap();
    assert_eq!((found.suspended, found.prefix), (Some(A), 0));
}

#[test]
fn unclear_answers_teach_nothing() {
    let mut affinity = Affinity::default();
    turn(&mut affinity, S, A, "glm", 40_000, 0);
    let glm = model("glm");
    let tokens = Tokens { input: 11_000, ..Tokens::default() };
    // Two at once.
    affinity.answered(S, A, Some(&glm), 44_000, Millis(30 * MINUTE));
    affinity.answered(S, A, Some(&glm), 44_000, Millis(30 * MINUTE + 5));
    let at = Millis(31 * MINUTE);
    assert_eq!(affinity.settled(S, A, Some(&glm), 44_000, &tokens, at), None);
    assert_eq!(affinity.settled(S, A, Some(&glm), 44_000, &tokens, at), None);
    // No figures: what was known stays.
    affinity.answered(S, A, Some(&glm), 44_000, Millis(32 * MINUTE));
    let nothing = Tokens::default();
    assert_eq!(affinity.settled(S, A, Some(&glm), 44_000, &nothing, Millis(33 * MINUTE)), None);
    assert_eq!(seat(&affinity, "glm", 44_000).unwrap().prefix, 11_000);
    // It moved on while the answer ran.
    affinity.answered(S, A, Some(&glm), 44_000, Millis(34 * MINUTE));
    affinity.answered(S, B, Some(&glm), 44_000, Millis(34 * MINUTE));
    assert_eq!(affinity.settled(S, A, Some(&glm), 44_000, &tokens, at), None);
    let found = seat(&affinity, "glm", 44_000).unwrap();
    assert_eq!((found.account, found.moved_from), (B, Some(A)));
}

#[test]
fn memory_is_bounded_and_the_longest_unused_goes_first() {
    let mut affinity = Affinity::default();
    turn(&mut affinity, S, A, "glm", 40_000, 0);
    for n in 0..20_000 {
        turn(&mut affinity, SessionKey(100 + n), B, "glm", 40_000, 1);
        if n % 1_000 == 0 {
            turn(&mut affinity, S, A, "glm", 40_000, 1);
        }
    }
    assert_eq!(affinity.len(), SEATS);
    assert_eq!(affinity.strands.len(), SEATS);
    assert_eq!(account(&affinity, "glm", 40_000), Some(A));
    assert!(affinity.seat(SessionKey(100), Some(&model("glm")), 40_000).is_none());
    assert!(affinity.seat(SessionKey(20_099), Some(&model("glm")), 40_000).is_some());
    // One session cannot drive the others out.
    for n in 0..20_000 {
        turn(&mut affinity, S, A, &format!("model-{n}"), 40_000, n);
    }
    assert!(affinity.seat(SessionKey(20_000), Some(&model("glm")), 40_000).is_some());
    assert_eq!(affinity.of(S).count(), STRANDS);
    assert_eq!(account(&affinity, "model-19992", 40_000), Some(A), "the last eight");
    let long = "m".repeat(257);
    turn(&mut affinity, SessionKey(1), A, &long, 1, 1);
    assert!(affinity.seat(SessionKey(1), Some(&model(&long)), 1).is_none());
}

#[test]
fn accounts_go_and_merge_and_the_clock_is_set() {
    let mut affinity = Affinity::default();
    turn(&mut affinity, S, A, "glm", 40_000, 0);
    turn(&mut affinity, S, B, "other", 40_000, 0);
    affinity.suspend(S, B, Some(&model("other")), 40_000, Millis(MINUTE));
    affinity.answered(S, B, Some(&model("glm")), 40_000, Millis(MINUTE));
    affinity.shift(-HOUR);
    assert_eq!(seat(&affinity, "glm", 40_000).unwrap().at, Millis(MINUTE - HOUR));
    let mut merged = affinity.clone();
    merged.relabel(B, A);
    let found = seat(&merged, "glm", 40_000).unwrap();
    assert_eq!((found.account, found.moved_from), (A, None), "that was no move");
    let found = seat(&merged, "other", 40_000).unwrap();
    assert_eq!((found.account, found.suspended), (A, Some(A)));
    affinity.forget_account(A);
    assert_eq!(seat(&affinity, "glm", 40_000).unwrap().moved_from, None);
    affinity.forget_account(B);
    assert!(affinity.is_empty());
    assert_eq!(affinity.len(), 0);
    assert_eq!(turn(&mut affinity, S, A, "glm", 40_000, 9), None, "and the places are used again");
    assert_eq!(affinity.strands.len(), 2);
}

#[test]
fn seats_survive_a_restart_by_key() {
    let mut affinity = Affinity::default();
    turn(&mut affinity, S, A, "glm", 40_000, 0);
    turn(&mut affinity, SessionKey(8), B, "glm", 40_000, 0);
    affinity.suspend(S, A, Some(&model("glm")), 40_000, Millis(MINUTE));
    let image = affinity.image(|account| Some(KeyId(u64::from(account.0) + 10)));
    assert_eq!(image.seats.iter().map(|seat| seat.session).collect::<Vec<_>>(), [8, 7]);
    let restored = Affinity::restore(image.clone(), |key| (key == KeyId(11)).then_some(B));
    assert_eq!(restored.len(), 1, "the other key is gone");
    let found = seat(&restored, "glm", 40_000).unwrap();
    assert_eq!((found.account, found.suspended, found.prefix), (B, Some(B), 10_100));
    let many = image.seats.iter().cycle().take(10_000).enumerate();
    let many = many.map(|(n, seat)| SeatImage { session: n as u64, ..seat.clone() });
    let many = AffinityImage { seats: many.collect() };
    assert_eq!(Affinity::restore(many, |_| Some(A)).len(), SEATS);
}

/// What must hold between the three structures.
fn consistent(affinity: &Affinity) {
    let mut reached = BTreeSet::new();
    for session in affinity.first.keys() {
        assert!(affinity.of(*session).count() <= STRANDS);
        for (place, _) in affinity.of(*session) {
            assert_eq!(affinity.strand(place).unwrap().session, *session);
            assert!(reached.insert(place), "{place} twice");
        }
    }
    assert_eq!(reached.len(), affinity.len());
    let mut next = affinity.recency.oldest();
    let mut listed = BTreeSet::new();
    while let Some(place) = next {
        assert!(listed.insert(place));
        next = affinity.recency.newer(place);
    }
    assert_eq!(listed, reached);
    let mut vacant = affinity.vacant;
    while let Some(place) = vacant {
        assert!(reached.insert(place), "{place} is not vacant");
        vacant = affinity.strand(place).unwrap().next;
    }
    assert_eq!(reached.len(), affinity.strands.len(), "none is lost");
}

proptest! {
    #[test]
    fn nothing_is_lost_or_twice(
        steps in prop::collection::vec(
            (0..8_u8, 0..4_u64, 1..4_u32, 0..3_u8, prop_oneof![0..200_000_u64, any::<u64>()],
                0..HOUR, any::<u64>()),
            0..120,
        ),
        mut now in (0..=i64::MAX - 120 * HOUR).prop_map(Millis),
    ) {
        let mut affinity = Affinity::default();
        for (what, session, account, name, body, span, count) in steps {
            // A clock that is set back takes all seats with it: time only goes on.
            now = now.plus(span);
            let (session, account, at) = (SessionKey(session), AccountId(account), now);
            let model = (name > 0).then(|| model(&name.to_string()));
            let model = model.as_ref();
            let tokens = Tokens { input: count, cached: Some(count), output: count, ..Tokens::default() };
            match what {
                0 | 1 => affinity.answered(session, account, model, body, at),
                2..=4 => {
                    let turn = affinity.settled(session, account, model, body, &tokens, at);
                    prop_assert!(turn.is_none_or(|turn| turn.prefix > 0 && turn.rested >= 0));
                }
                5 => affinity.suspend(session, account, model, body, at),
                6 => affinity.relabel(account, AccountId(1)),
                _ => affinity.forget_account(account),
            }
            if what <= 1 {
                let seat = affinity.seat(session, model, body).unwrap();
                prop_assert_eq!((seat.account, seat.suspended), (account, None));
            }
            consistent(&affinity);
        }
        let name = |account: AccountId| Some(KeyId(u64::from(account.0)));
        let back = |key: KeyId| u32::try_from(key.0).ok().map(AccountId);
        let image = affinity.image(name);
        let restored = Affinity::restore(image.clone(), back);
        consistent(&restored);
        prop_assert_eq!(restored.image(name), image);
    }
}
