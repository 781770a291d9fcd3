//! What the client gets when the proxy answers itself, in each of the three formats.

use http::Method;
use saros_emulator::{Action, Fault, Row, Window};
use saros_proxy::config::OnExhausted;
use serde_json::Value;

use crate::stage::{Answer, Dialect, Stage, request};

/// Digits and words after which agents repeat a request (upstream.md §7.1).
const RETRYABLE: [&str; 17] = [
    "429",
    "500",
    "502",
    "503",
    "504",
    "524",
    "rate limit",
    "too many requests",
    "overloaded",
    "service unavailable",
    "server error",
    "try again later",
    "resource exhausted",
    "timeout",
    "timed out",
    "network",
    "connection",
];

/// The error has the shape that clients of the dialect read; returns it.
fn error(dialect: Dialect, answer: &Answer) -> Value {
    let body = answer.json();
    let name = format!("{dialect:?}: {body}");
    assert_eq!(answer.header("content-type"), "application/json", "{name}");
    assert_eq!(answer.header("x-proxy-request-id").len(), 36, "{name}");
    let error = &body["error"];
    assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
    assert!(error["type"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
    if dialect == Dialect::Messages {
        assert_eq!(body["type"], "error", "{name}");
    }
    body
}

fn is_final(answer: &Answer) {
    let text = answer.text().to_ascii_lowercase();
    for word in RETRYABLE {
        assert!(!text.contains(word), "{word} in {text}");
    }
    assert!(!text.contains(answer.header("x-proxy-request-id")), "the id is in the header only");
    assert_eq!(answer.retry_after(), None, "{text}");
}

fn go(stage: &Stage, key: &str, window: Window, retry_after: i64) {
    let row = Row::GoUsage { window, retry_after };
    stage.fault(Fault::new(Action::Row(row)).key(key));
}

#[tokio::test(start_paused = true)]
async fn all_keys_dead() {
    for dialect in Dialect::ALL {
        let stage = Stage::new(2);
        stage.fault(Fault::new(Action::Row(Row::InvalidKey)).key("a"));
        stage.fault(Fault::new(Action::Row(Row::AccessBlocked)).key("b"));
        for (tried, label) in [("ab", "b"), ("", "")] {
            let mark = stage.mark();
            let answer = stage.ask(dialect.request(true)).await;
            assert_eq!(answer.status, 401, "{dialect:?}");
            let body = error(dialect, &answer);
            assert_eq!(body["error"]["type"], "AuthError", "{body}");
            assert_eq!(answer.header("x-should-retry"), "false");
            is_final(&answer);
            assert_eq!(stage.tried_since(mark), tried);
            assert_eq!(answer.label(), label, "the last attempt's account, if there was one");
        }
        let ready = stage.ask(crate::stage::get("/ready")).await;
        assert_eq!(ready.status, 503);
        assert_eq!(stage.ask(crate::stage::get("/health")).await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn out_of_quota_for_a_while_is_a_429_to_the_second() {
    for dialect in Dialect::ALL {
        let stage = Stage::new(2);
        go(&stage, "a", Window::FiveHour, 18_000);
        go(&stage, "b", Window::Weekly, 400_000);
        let answer = stage.ask(dialect.request(true)).await;
        assert_eq!((answer.status.as_u16(), answer.retry_after()), (429, Some(18_000)));
        let body = error(dialect, &answer);
        assert_eq!(body["type"], "error", "the service's own form in every format: {body}");
        assert_eq!(body["error"]["type"], "GoUsageLimitError");
        assert_eq!(body["metadata"]["limitName"], "5 hour", "of the account that returns first");
        let workspace = stage.emulator.account("a", |a| a.workspace.clone()).unwrap();
        assert_eq!(body["metadata"]["workspace"], workspace.as_str());
        assert_eq!(answer.header("x-should-retry"), "");

        stage.emulator.clear_faults();
        stage.seconds(17_000).await;
        let mark = stage.mark();
        let answer = stage.ask(dialect.request(true)).await;
        assert_eq!((answer.status.as_u16(), answer.retry_after()), (429, Some(1_000)));
        assert_eq!(stage.tried_since(mark), "");
        stage.seconds(1_000).await;
        let answer = stage.ask(dialect.request(true)).await;
        assert_eq!((answer.status.as_u16(), answer.label()), (200, "a"), "exactly then");
    }
}

#[tokio::test(start_paused = true)]
async fn out_of_quota_for_long_is_final() {
    for dialect in Dialect::ALL {
        let stage = Stage::new(2);
        go(&stage, "a", Window::Weekly, 18_001);
        go(&stage, "b", Window::Monthly, 2_000_000);
        for _ in 0..2 {
            let answer = stage.ask(dialect.request(false)).await;
            assert_eq!(answer.status, 403);
            let body = error(dialect, &answer);
            assert_eq!(answer.header("x-should-retry"), "false");
            is_final(&answer);
            let message = body["error"]["message"].as_str().unwrap();
            assert!(message.contains("Thursday 19 November, 17:00 UTC"), "until when: {message}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_owner_may_choose_between_waiting_and_failing() {
    for (rule, retry_after, status) in [
        (OnExhausted::Auto, 18_000, 429),
        (OnExhausted::Auto, 18_001, 403),
        (OnExhausted::Wait, 18_000, 429),
        (OnExhausted::Wait, 2_000_000, 429),
        (OnExhausted::Fail, 10, 403),
        (OnExhausted::Fail, 2_000_000, 403),
    ] {
        let stage = Stage::with(1, false, |config| config.on_exhausted = rule);
        go(&stage, "a", Window::Monthly, retry_after);
        for _ in 0..2 {
            let answer = stage.chat("glm-5.2").await;
            assert_eq!(answer.status.as_u16(), status, "{rule:?} {retry_after}");
            let given = (status == 429).then(|| retry_after.unsigned_abs());
            assert_eq!(answer.retry_after(), given, "{rule:?} {retry_after}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_several_troubles_the_account_that_returns_first_speaks() {
    // a dead, b out of quota for 100 s, c cooling (unclassified 403) for 60 s.
    let stage = Stage::new(3);
    stage.fault(Fault::new(Action::Row(Row::InvalidKey)).key("a"));
    go(&stage, "b", Window::FiveHour, 100);
    stage.fault(Fault::new(Action::Row(Row::NotInRegion)).key("c"));
    let first = stage.chat("glm-5.2").await;
    assert_eq!((first.status.as_u16(), first.label()), (403, "c"), "upstream's 4xx as it came");
    for dialect in Dialect::ALL {
        let answer = stage.ask(dialect.request(false)).await;
        assert_eq!((answer.status.as_u16(), answer.retry_after()), (503, Some(60)));
        let body = error(dialect, &answer);
        assert_eq!(body["error"]["message"], "All API keys are temporarily unavailable");
        assert_eq!(answer.label(), "");
    }
    // Once the cooling one is refused again, the quota returns first.
    stage.seconds(61).await;
    assert_eq!(stage.chat("glm-5.2").await.status, 403);
    let answer = stage.chat("glm-5.2").await;
    assert_eq!((answer.status.as_u16(), answer.retry_after()), (429, Some(39)));
    assert_eq!(stage.key("b").await["cooldownSeconds"], 39);
}

#[tokio::test(start_paused = true)]
async fn no_key_is_configured() {
    let stage = Stage::new(0);
    for dialect in Dialect::ALL {
        let answer = stage.ask(dialect.request(false)).await;
        assert_eq!(answer.status, 401);
        error(dialect, &answer);
        is_final(&answer);
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_in_trouble_names_itself_in_every_format() {
    for dialect in Dialect::ALL {
        let stage = Stage::new(3);
        stage.emulator.model(dialect.model(), |model| model.saturated = true).unwrap();
        for _ in 0..3 {
            assert_eq!(stage.ask(dialect.request(true)).await.status, 429);
        }
        let answer = stage.ask(dialect.request(true)).await;
        assert_eq!(answer.status, 503);
        assert!((10..=30).contains(&answer.retry_after().unwrap()));
        error(dialect, &answer);
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_server_error_becomes_a_502_with_upstreams_words() {
    for dialect in Dialect::ALL {
        for (action, words) in [
            (Action::Row(Row::Internal), "Bad Gateway: Internal server error"),
            (Action::Html { status: 502 }, "Bad Gateway: opencode.ai | 502"),
            (Action::Html { status: 521 }, "Bad Gateway: opencode.ai | 521"),
        ] {
            let stage = Stage::new(3);
            stage.fault(Fault::new(action));
            let answer = stage.ask(dialect.request(true)).await;
            assert_eq!((answer.status.as_u16(), answer.label()), (502, "b"));
            let body = error(dialect, &answer);
            assert_eq!(body["error"]["message"], words);
            assert_eq!(stage.tried_since(0), "ab", "{words}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn too_large_too_slow_and_broken_bodies() {
    for dialect in Dialect::ALL {
        let stage = Stage::with(1, false, |config| config.max_body_bytes = 1_000);
        let long = "x".repeat(1_000);
        let answer = stage.ask(dialect.of(dialect.model(), &long, false)).await;
        assert_eq!(answer.status, 413);
        assert_eq!(error(dialect, &answer)["error"]["message"], "Request body too large");
        is_final(&answer);
        let mut compressed = dialect.request(false);
        compressed.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        let answer = stage.ask(compressed).await;
        assert_eq!(answer.status, 415);
        error(dialect, &answer);
        is_final(&answer);
        assert_eq!(stage.tried_since(0), "", "nothing reached the service");
    }
}

#[tokio::test(start_paused = true)]
async fn own_answers_for_unknown_places() {
    let stage = Stage::new(1);
    for (method, path, status) in [
        (Method::GET, "/nothing", 404),
        (Method::POST, "/chat/completions", 404),
        (Method::POST, "/v1/messages/count_tokens", 404),
        (Method::POST, "/zen/go/v1/messages/count_tokens", 404),
        (Method::GET, "/v1/", 404),
        (Method::GET, "/v1/../health", 400),
        (Method::GET, "/v1/%2e%2e/health", 400),
    ] {
        let answer = stage.ask(request(method.clone(), path, "")).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
        is_final(&answer);
    }
    let answer = stage.ask(request(Method::POST, "/v1/messages/count_tokens", "{}")).await;
    assert_eq!(error(Dialect::Messages, &answer)["error"]["type"], "not_found_error");
    let answer = stage.ask(crate::stage::get("/elsewhere")).await;
    assert!(answer.message().contains("/v1/") && answer.message().contains("/zen/go/v1/"));
    assert_eq!(stage.tried_since(0), "");
}
