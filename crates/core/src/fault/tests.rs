//! The table, row by row.

use proptest::prelude::*;

use super::table::{ROWS, row_of};
use super::*;
use crate::fault::FaultKind as K;
use crate::fault::Rotation::{Freely, Never, Tries};
use crate::fault::Scope as S;
use crate::fault::Verdict::{Maybe, No, Yes};

fn answer(status: u16, kind: &str, body: Body) -> Answer {
    Answer { status, body, kind: (!kind.is_empty()).then(|| kind.into()), ..Answer::default() }
}

fn error(status: u16, kind: &str) -> Answer {
    answer(status, kind, Body::Error)
}

fn code(status: u16, code: &str) -> Answer {
    Answer { code: Some(code.into()), ..error(status, "error") }
}

fn retry(answer: Answer, seconds: u64) -> Answer {
    Answer { retry_after: Some(seconds), ..answer }
}

fn quota(answer: Answer) -> Answer {
    Answer { speaks_of_quota: true, ..answer }
}

type Want = (K, S, Verdict, Rotation, bool);

const QUOTA: Want = (K::Quota, S::Account, No, Freely, true);
const REQUEST: Want = (K::Request, S::Request, No, Never, false);
const SERVER: Want = (K::ServerError, S::Account, No, Tries(2), false);
const GATEWAY: Want = (K::Gateway, S::Account, Maybe, Tries(2), false);
const SATURATED: Want = (K::Saturated, S::Model, No, Never, false);
const MINUTE_LIMIT: Want = (K::RateLimit, S::AccountModel, No, Freely, true);
const UNTYPED_LIMIT: Want = (K::RateLimit, S::AccountModel, No, Freely, false);
const NOT_HERE: Want = (K::NotForAccount, S::AccountModel, No, Freely, true);
const DOWN: Want = (K::OriginDown, S::Upstream, No, Tries(2), false);
const AWAY: Want = (K::Unavailable, S::Upstream, No, Never, false);
const REFUSED: Want = (K::Refused, S::Account, No, Freely, false);

fn account(kind: K) -> Want {
    (kind, S::Account, No, Freely, true)
}

/// The row, an answer, and what it teaches.
fn cases() -> Vec<(&'static str, Answer, Want)> {
    vec![
        ("key refused", error(401, "AuthError"), account(K::KeyRefused)),
        ("blocked", code(401, "INFERENCE_ACCESS_BLOCKED"), account(K::Blocked)),
        ("credits", error(401, "CreditsError"), account(K::Credits)),
        ("402", error(402, ""), account(K::Credits)),
        ("402", answer(402, "", Body::Opaque), account(K::Credits)),
        ("spending limit", error(401, "MonthlyLimitError"), account(K::SpendingLimit)),
        ("spending limit", error(401, "UserLimitError"), account(K::SpendingLimit)),
        ("entitlement", error(403, "EntitlementError"), account(K::Entitlement)),
        ("entitlement", code(403, "Account.Disabled"), account(K::Entitlement)),
        ("model refused", error(401, "ModelError"), (K::Model, S::Model, No, Never, true)),
        ("region or data policy", error(403, "RegionError"), NOT_HERE),
        ("region or data policy", error(403, "DataPolicyError"), NOT_HERE),
        ("bare model", answer(400, "", Body::BareModel), NOT_HERE),
        ("bare model", answer(403, "", Body::BareModel), NOT_HERE),
        ("quota", retry(quota(error(429, "GoUsageLimitError")), 7_200), QUOTA),
        ("quota", error(429, "BlackUsageLimitError"), QUOTA),
        ("speaks of quota", quota(error(429, "insufficient_quota")), QUOTA),
        ("speaks of quota", quota(answer(403, "", Body::Json)), QUOTA),
        ("speaks of quota", quota(error(402, "")), QUOTA),
        ("speaks of quota, with retry-after", retry(quota(error(400, "x")), 60), QUOTA),
        ("long retry-after", retry(error(429, "rate_limit_error"), 121), QUOTA),
        ("long retry-after", retry(answer(403, "", Body::Opaque), 9_000), QUOTA),
        ("rate limit", retry(error(429, "RateLimitError"), 60), MINUTE_LIMIT),
        ("rate limit", error(429, "RateLimitError"), MINUTE_LIMIT),
        ("429 with retry-after", retry(error(429, "x"), 120), UNTYPED_LIMIT),
        (
            "free limit",
            retry(error(429, "FreeUsageLimitError"), 40_000),
            (K::FreeLimit, S::Model, No, Never, true),
        ),
        ("provider's 429", code(429, "provider_rate_limit_exceeded"), SATURATED),
        ("provider's 529", error(529, "overloaded_error"), SATURATED),
        ("session id missing", error(400, "MissingSessionID"), REQUEST),
        ("client error", error(400, "invalid_request_error"), REQUEST),
        // The provider quotes a prompt that speaks of usage limits: nobody is out of quota.
        ("client error", quota(error(400, "invalid_request_error")), REQUEST),
        ("client error", quota(error(413, "")), REQUEST),
        ("client error", answer(404, "", Body::Opaque), REQUEST),
        ("client error", answer(405, "", Body::Opaque), REQUEST),
        ("client error", error(415, ""), REQUEST),
        ("client error", error(422, ""), REQUEST),
        ("client error", answer(499, "", Body::Opaque), REQUEST),
        ("401 or 403 of no known kind", error(401, "authentication_error"), REFUSED),
        ("401 or 403 of no known kind", answer(403, "", Body::Opaque), REFUSED),
        ("408", error(408, ""), (K::Timeout, S::Account, Maybe, Tries(2), false)),
        ("the service's own server error", error(500, "error"), SERVER),
        ("the service's own server error", error(502, "upstream_error"), SERVER),
        ("the service's own server error", error(504, "api_error"), SERVER),
        ("service unavailable", error(503, "api_error"), AWAY),
        ("service unavailable", answer(503, "", Body::Json), AWAY),
        ("origin down", answer(521, "", Body::Opaque), DOWN),
        ("origin down", answer(522, "", Body::Opaque), DOWN),
        ("origin down", answer(523, "", Body::Error), DOWN),
        ("origin down", answer(525, "", Body::Opaque), DOWN),
        ("origin down", answer(526, "", Body::Opaque), DOWN),
        ("gateway", answer(500, "", Body::Opaque), GATEWAY),
        ("gateway", answer(502, "", Body::Json), GATEWAY),
        ("gateway", answer(503, "", Body::Opaque), GATEWAY),
        ("gateway", answer(520, "", Body::Opaque), GATEWAY),
        ("gateway", answer(524, "", Body::Opaque), GATEWAY),
        ("gateway", answer(529, "", Body::Opaque), GATEWAY),
        ("anything else", answer(302, "", Body::Opaque), REQUEST),
        ("anything else", answer(999, "", Body::Opaque), REQUEST),
    ]
}

#[test]
fn every_answer_finds_its_row() {
    for (name, answer, (kind, scope, verdict, rotation, certain)) in cases() {
        let fault = of_answer(&answer);
        assert_eq!(row_of(&answer).name, name, "{answer:?}");
        let got = (fault.kind, fault.scope, fault.verdict, fault.rotation, fault.certain);
        assert_eq!(got, (kind, scope, verdict, rotation, certain), "{answer:?}");
        assert_eq!(fault.status, Some(answer.status));
    }
}

#[test]
fn every_row_has_a_case() {
    for row in ROWS {
        assert!(cases().iter().any(|(name, ..)| *name == row.name), "no case for {}", row.name);
    }
}

#[test]
fn troubles() {
    for (trouble, kind, scope, verdict, rotation) in [
        (Trouble::Connect, K::Connect, S::Network, No, Tries(2)),
        (Trouble::Tls, K::Connect, S::Network, No, Tries(2)),
        (Trouble::Unstarted, K::Unstarted, S::Network, No, Tries(2)),
        (Trouble::Reset, K::Reset, S::Account, Maybe, Tries(2)),
        (Trouble::HeaderTimeout, K::Timeout, S::Account, Maybe, Never),
        (Trouble::CutReset, K::Cut, S::Account, Yes, Never),
        (Trouble::CutShort, K::Cut, S::Account, Yes, Never),
        (Trouble::CutIdle, K::Cut, S::Account, Yes, Never),
    ] {
        let fault = of_trouble(trouble);
        assert_eq!((fault.kind, fault.scope, fault.verdict), (kind, scope, verdict), "{trouble:?}");
        assert_eq!((fault.rotation, fault.certain), (rotation, false), "{trouble:?}");
    }
}

#[test]
fn the_kinds_that_may_have_been_served_are_those_with_that_verdict() {
    let rows = ROWS.iter().map(|row| (row.lesson.kind, row.lesson.verdict));
    let troubles = [Trouble::Connect, Trouble::Reset, Trouble::HeaderTimeout, Trouble::CutIdle]
        .map(|trouble| (of_trouble(trouble).kind, of_trouble(trouble).verdict));
    for (kind, verdict) in rows.chain(troubles) {
        assert_eq!(kind.ambiguous(), verdict == Maybe, "{kind:?}");
    }
}

#[test]
fn a_wrong_format_blames_nobody() {
    let fault = wrong_format(&error(401, "ModelError"));
    assert_eq!((fault.kind, fault.scope, fault.rotation), (K::WrongFormat, S::Request, Never));
    assert_eq!(fault.kind.penalty(), Penalty::Nothing);
}

#[test]
fn retry_after_is_exact_but_never_absurd() {
    let of = |seconds| of_answer(&retry(error(429, "GoUsageLimitError"), seconds)).retry_after;
    assert_eq!(of(3_601), Some(3_601_000));
    assert_eq!(of(u64::MAX), Some(LONGEST));
}

#[test]
fn midnight_is_the_next_one() {
    assert_eq!(Unsaid::Midnight.ends(Millis(DAY * 3 + 1)), Millis(DAY * 4));
    assert_eq!(Unsaid::Midnight.ends(Millis(DAY * 3)), Millis(DAY * 4));
    assert_eq!(Unsaid::Midnight.ends(Millis(-1)), Millis(0));
}

fn any_answer() -> impl Strategy<Value = Answer> {
    let word = prop_oneof![
        Just(None),
        "[A-Za-z_.]{0,12}".prop_map(Some),
        proptest::sample::select(vec![
            "AuthError",
            "ModelError",
            "GoUsageLimitError",
            "RateLimitError",
            "RegionError",
            "FreeUsageLimitError",
            "CreditsError",
            "Account.Disabled",
            "INFERENCE_ACCESS_BLOCKED",
        ])
        .prop_map(|word| Some(word.to_owned())),
    ];
    let body =
        proptest::sample::select(vec![Body::Error, Body::BareModel, Body::Json, Body::Opaque]);
    let status = prop_oneof![any::<u16>(), 400_u16..600];
    (status, any::<Option<u64>>(), body, word.clone(), word, any::<bool>()).prop_map(
        |(status, retry_after, body, kind, code, speaks_of_quota)| Answer {
            status,
            retry_after,
            body,
            kind,
            code,
            speaks_of_quota,
            ..Answer::default()
        },
    )
}

proptest! {
    #[test]
    fn classification_is_total(answer in any_answer()) {
        let fault = of_answer(&answer);
        prop_assert!(fault.retry_after.is_none_or(|span| (0..=LONGEST).contains(&span)));
        // An answer was read, so nothing here can be about a connection, nor certainly served.
        prop_assert!(fault.verdict != Yes && fault.scope != S::Network);
        // What may have been served is never repeated freely.
        prop_assert!(fault.verdict == No || fault.rotation != Freely);
    }

    /// The text of a message never decides.
    #[test]
    fn messages_do_not_matter(answer in any_answer(), text in ".*") {
        let told = Answer { message: Some(text), ..answer.clone() };
        prop_assert_eq!(of_answer(&answer), of_answer(&told));
    }
}
