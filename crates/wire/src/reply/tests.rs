use super::*;
use crate::error;

const FORMATS: [Option<Format>; 4] =
    [None, Some(Format::Chat), Some(Format::Messages), Some(Format::Responses)];

fn kinds() -> Vec<Kind> {
    vec![
        Kind::AuthError,
        Kind::RateLimitError,
        Kind::GoUsageLimitError {
            workspace: Some("wrk_1".into()),
            limit_name: Some(Window::Weekly),
        },
        Kind::FreeUsageLimitError,
        Kind::QuotaExhausted,
        Kind::ModelError,
        Kind::InvalidRequest,
        Kind::Forbidden,
        Kind::NotFound,
        Kind::TooLarge,
        Kind::Unavailable,
        Kind::Overloaded,
        Kind::BadGateway,
        Kind::Timeout,
    ]
}

#[track_caller]
fn check(format: Option<Format>, kind: &Kind, expected: &str) {
    let found: Value = serde_json::from_slice(&body(format, kind, "m")).unwrap();
    let expected: Value = serde_json::from_str(expected).unwrap();
    assert_eq!(found, expected, "{format:?} {kind:?}");
}

#[test]
fn each_format_has_its_shape() {
    let chat =
        r#"{"error":{"message":"m","type":"AuthError","param":null,"code":"invalid_api_key"}}"#;
    check(None, &Kind::AuthError, chat);
    check(Some(Format::Chat), &Kind::AuthError, chat);
    check(
        Some(Format::Messages),
        &Kind::AuthError,
        r#"{"type":"error","error":{"type":"AuthError","message":"m"}}"#,
    );
    check(
        Some(Format::Responses),
        &Kind::AuthError,
        r#"{"type":"error","error":{"type":"AuthError","code":"invalid_api_key","message":"m","param":null}}"#,
    );
    check(
        Some(Format::Messages),
        &Kind::NotFound,
        r#"{"type":"error","error":{"type":"not_found_error","message":"m"}}"#,
    );
    check(
        Some(Format::Messages),
        &Kind::Unavailable,
        r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
    );
}

#[test]
fn limits_have_the_services_form_in_every_format() {
    for format in FORMATS {
        for (window, name) in
            [(Window::FiveHour, "5 hour"), (Window::Weekly, "weekly"), (Window::Monthly, "monthly")]
        {
            let kind = Kind::GoUsageLimitError {
                workspace: Some("wrk_1".into()),
                limit_name: Some(window),
            };
            check(
                format,
                &kind,
                &format!(
                    r#"{{"type":"error","error":{{"type":"GoUsageLimitError","message":"m"}},"metadata":{{"workspace":"wrk_1","limitName":"{name}"}}}}"#
                ),
            );
            // What we say is what we would understand.
            let read = error::answer(429, None, &body(format, &kind, "m"));
            assert_eq!(read.limit, Some(window));
        }
        let unknown = Kind::GoUsageLimitError { workspace: None, limit_name: None };
        for (kind, name) in [
            (unknown, "GoUsageLimitError"),
            (Kind::RateLimitError, "RateLimitError"),
            (Kind::FreeUsageLimitError, "FreeUsageLimitError"),
        ] {
            check(
                format,
                &kind,
                &format!(
                    r#"{{"type":"error","error":{{"type":"{name}","message":"m"}},"metadata":{{}}}}"#
                ),
            );
        }
    }
}

/// OpenCode repeats an answer whose body holds one of these, whatever its status.
#[test]
fn final_answers_do_not_look_retryable() {
    let retryable = [
        "rate limit",
        "rate_limit",
        "ratelimit",
        "too many",
        "overloaded",
        "unavailable",
        "server error",
        "server_error",
        "try again",
        "exhausted",
        "timeout",
        "network",
    ];
    for kind in kinds() {
        let last = matches!(
            kind,
            Kind::AuthError
                | Kind::QuotaExhausted
                | Kind::ModelError
                | Kind::InvalidRequest
                | Kind::Forbidden
                | Kind::NotFound
                | Kind::TooLarge
        );
        for format in FORMATS {
            let text = String::from_utf8(body(format, &kind, "m")).unwrap().to_lowercase();
            let found = retryable.iter().find(|word| text.contains(**word));
            let digits = text.contains(|c: char| c.is_ascii_digit());
            assert!(!last || (found.is_none() && !digits), "{text}: {found:?}");
        }
    }
}

#[test]
fn messages_are_escaped() {
    for format in FORMATS {
        for kind in kinds() {
            let body = body(format, &kind, "a \"quoted\"\nline");
            let value: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(value["error"]["message"], "a \"quoted\"\nline");
        }
    }
}

#[test]
fn a_broken_stream_ends_with_one_event_of_its_format() {
    let check = |format, expected: &str| {
        let event = String::from_utf8(stream_error(format, "a\nb")).unwrap();
        assert_eq!(event, expected, "{format:?}");
    };
    check(
        Format::Chat,
        "data: {\"error\":{\"message\":\"a\\nb\",\"type\":\"server_error\",\"code\":\"server_error\"}}\n\n",
    );
    check(
        Format::Messages,
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"a\\nb\"}}\n\n",
    );
    let responses = String::from_utf8(stream_error(Format::Responses, "a\nb")).unwrap();
    let data = responses
        .strip_prefix("event: response.failed\ndata: ")
        .and_then(|data| data.strip_suffix("\n\n"))
        .unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["type"], "response.failed");
    assert_eq!(data["response"]["status"], "failed");
    assert_eq!(
        data["response"]["error"],
        serde_json::json!({"code": "server_error", "message": "a\nb"})
    );
}
