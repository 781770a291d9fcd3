use proptest::prelude::*;

use super::*;
use crate::tests::document;

/// Body, kind, code and message.
type Shape = (Body, Option<&'static str>, Option<&'static str>, Option<&'static str>);

#[track_caller]
fn check(body: &str, (shape, kind, code, message): Shape) {
    let found = answer(400, None, body.as_bytes());
    let found =
        (found.body, found.kind.as_deref(), found.code.as_deref(), found.message.as_deref());
    assert_eq!(found, (shape, kind, code, message), "{body}");
}

#[test]
fn the_services_own_quota_answer() {
    let body = r#"{"type":"error","error":{"type":"GoUsageLimitError","message":"Weekly usage limit reached. Resets in 2 days."},
        "metadata":{"workspace":"wrk_01","limitName":"weekly"}}"#;
    assert_eq!(
        answer(429, Some(172_800), body.as_bytes()),
        Answer {
            status: 429,
            retry_after: Some(172_800),
            body: Body::Error,
            kind: Some("GoUsageLimitError".into()),
            code: None,
            message: Some("Weekly usage limit reached. Resets in 2 days.".into()),
            workspace: Some("wrk_01".into()),
            limit: Some(Window::Weekly),
            speaks_of_quota: true,
        }
    );
}

#[test]
fn windows_by_name() {
    let limit = |name: &str| {
        answer(
            429,
            None,
            format!(r#"{{"error":{{}},"metadata":{{"limitName":"{name}"}}}}"#).as_bytes(),
        )
        .limit
    };
    assert_eq!(limit("5 hour"), Some(Window::FiveHour));
    assert_eq!(limit("weekly"), Some(Window::Weekly));
    assert_eq!(limit("monthly"), Some(Window::Monthly));
    assert_eq!(limit("yearly"), None);
}

#[test]
fn shapes_of_errors() {
    check(
        r#"{"type":"error","error":{"type":"AuthError","message":"Invalid API key."}}"#,
        (Body::Error, Some("AuthError"), None, Some("Invalid API key.")),
    );
    check(
        r#"{"error":{"message":"Error from provider (Console Go): Provider rate limit exceeded","type":"rate_limit_error","param":null,"code":"provider_rate_limit_exceeded"}}"#,
        (
            Body::Error,
            Some("rate_limit_error"),
            Some("provider_rate_limit_exceeded"),
            Some("Error from provider (Console Go): Provider rate limit exceeded"),
        ),
    );
    check(r#"{"error":{"code":502,"message":"x"}}"#, (Body::Error, None, None, Some("x")));
    check(
        r#"[{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED"}}]"#,
        (Body::Error, None, Some("RESOURCE_EXHAUSTED"), Some("x")),
    );
    check(r#"{"error":"not found"}"#, (Body::Json, None, None, Some("not found")));
    check(
        r#"{"type":"X","code":"Account.Disabled","message":"m"}"#,
        (Body::Json, Some("X"), Some("Account.Disabled"), Some("m")),
    );
    check(r#"{"detail":"Not Found"}"#, (Body::Json, None, None, Some("Not Found")));
    check(r#"{"model":"glm-5.3"}"#, (Body::BareModel, None, None, None));
    check(r#"{"model":"glm-5.3","message":"m"}"#, (Body::Json, None, None, Some("m")));
    check(r#"{"model":7}"#, (Body::Json, None, None, None));
    check(r#"{"error":null}"#, (Body::Json, None, None, None));
    check(r#"{"error":[]}"#, (Body::Json, None, None, None));
    check("{}", (Body::Json, None, None, None));
    check("[]", (Body::Json, None, None, None));
    check("null", (Body::Json, None, None, None));
    check(r#""overloaded""#, (Body::Json, None, None, Some("overloaded")));
}

#[test]
fn bodies_that_are_not_json() {
    check("", (Body::Opaque, None, None, None));
    check(" \n", (Body::Opaque, None, None, None));
    check("Missing request body\n", (Body::Opaque, None, None, Some("Missing request body")));
    check(
        "<!DOCTYPE html>\n<html><head><TITLE>opencode.ai | 522: Connection timed out</title></head>",
        (Body::Opaque, None, None, Some("opencode.ai | 522: Connection timed out")),
    );
    check("<html>no title", (Body::Opaque, None, None, None));
    check(
        r#"{"error":{"message":"cut"#,
        (Body::Opaque, None, None, Some(r#"{"error":{"message":"cut"#)),
    );
}

#[test]
fn quota_is_heard_of_in_any_wording() {
    let speaks = |body: &str| answer(403, None, body.as_bytes()).speaks_of_quota;
    assert!(speaks(r#"{"error":{"code":"GoUsageLimit.Reached"}}"#));
    assert!(speaks(r#"{"message":"5-Hour Usage Limit reached"}"#));
    assert!(speaks(r#"{"data":{"limitName":"weekly"}}"#));
    assert!(!speaks(r#"{"error":{"type":"RateLimitError","message":"Rate limit exceeded."}}"#));
}

#[test]
fn invalid_utf_8_is_read_around() {
    let found = answer(500, None, b"{\"error\":{\"type\":\"X\",\"message\":\"a\xFFb\"}}");
    assert_eq!((found.kind.as_deref(), found.message.as_deref()), (Some("X"), Some("a\u{fffd}b")));
}

#[test]
fn text_is_scrubbed_shortened_and_on_one_line() {
    let key = "sk-abcdefghijklmnopqrstuvwxyz0123456789";
    let body =
        format!(r#"{{"error":{{"type":"{key}","code":"{key}","message":"bad key\n{key}"}}}}"#);
    let found = format!("{:?}", answer(401, None, body.as_bytes()));
    assert!(!found.contains(&key[..12]), "{found}");
    assert!(found.contains("bad key sk-a...6789"), "{found}");

    let long = format!(r#"{{"error":{{"message":"{}ü"}}}}"#, "ü".repeat(2000));
    let message = answer(500, None, long.as_bytes()).message.unwrap();
    assert_eq!(message.len(), MESSAGE_LIMIT);

    // A key that crosses the cut is masked before it is cut.
    let crossing = format!("{}{key}", "x ".repeat(MESSAGE_LIMIT / 2 - 5));
    let message = answer(500, None, crossing.as_bytes()).message.unwrap();
    assert!(!message.contains("sk-abc"), "{message}");
}

#[test]
fn a_huge_body_is_read_up_to_the_bound() {
    let huge = format!("start {}", "x".repeat(5_000_000));
    assert!(answer(502, None, huge.as_bytes()).message.unwrap().starts_with("start x"));
    let deep = "[".repeat(1_000_000);
    assert_eq!(answer(502, None, deep.as_bytes()).body, Body::Opaque);
}

proptest! {
    #[test]
    fn anything_may_come(bytes in prop::collection::vec(any::<u8>(), 0..300), status: u16) {
        prop_assert_eq!(answer(status, Some(1), &bytes).status, status);
    }

    #[test]
    fn any_json_may_come(value in document()) {
        let key = "sk-abcdefghijklmnopqrstuvwxyz";
        let body = serde_json::json!({"error": value, "message": key, "detail": key}).to_string();
        let found = format!("{:?}", answer(400, None, body.as_bytes()));
        prop_assert!(!found.contains(key));
    }
}
