//! Every kind of answer that the service is known to give (upstream.md §2.2): what the client sees,
//! who is tried, who is out for how long, and when it returns.

use std::time::Duration;

use saros_emulator::{Action, Fault, Row, Window};

use crate::stage::{Answer, Dialect, Stage};

const HOUR: u64 = 3600;
const RECHECK: u64 = 600;
const MODEL: &str = "glm-5.2";
const OTHER: &str = "kimi-k2.7-code";

async fn at(stage: &Stage, model: &str) -> Answer {
    stage.chat(model).await
}

/// What the service really sent last.
fn sent(stage: &Stage) -> (u16, String) {
    let log = stage.emulator.log();
    let last = log.last().unwrap();
    let body = String::from_utf8(last.answer.clone().unwrap().to_vec()).unwrap();
    (last.status.unwrap(), body)
}

/// The account is out as a whole: nobody notices, it gets no attempt until exactly `seconds` later,
/// and then the very next request.
async fn check_account_out(row: Row, state: &str, why: &str, seconds: u64) {
    let name = format!("{row:?}");
    let stage = Stage::new(2);
    let fault = stage.fault(Fault::new(Action::Row(row)).key("a"));
    let answer = at(&stage, MODEL).await;
    assert_eq!((answer.status.as_u16(), answer.label()), (200, "b"), "{name}");
    assert_eq!(stage.tried_since(0), "ab", "{name}");

    let key = stage.key("a").await;
    assert_eq!((&key["state"], &key["why"]), (&state.into(), &why.into()), "{name}: {key}");
    assert_eq!(key["lastFault"], why, "{name}: {key}");
    let left = key["cooldownSeconds"].as_u64().unwrap();
    assert!(left == seconds || left + 1 == seconds, "{name}: {key}");
    let health = stage.health().await;
    assert_eq!((&health["enabledCount"], &health["disabledCount"]), (&1.into(), &1.into()));
    let ready = stage.ask(crate::stage::get("/ready")).await;
    assert_eq!(ready.status, 200, "{name}: b is not dead");

    stage.emulator.clear_fault(fault);
    // Of a long time most is slept through: it counts the same.
    let slept = if seconds > 2_000 { seconds - 1_000 } else { 0 };
    if slept > 0 {
        stage.sleep(slept - 6).await;
    }
    stage.wait(Duration::from_millis((seconds - slept) * 1000 - 500)).await;
    for model in [MODEL, OTHER, MODEL] {
        assert_eq!(at(&stage, model).await.label(), "b", "{name}: too early");
    }
    stage.wait(Duration::from_millis(600)).await;
    assert_eq!(at(&stage, MODEL).await.label(), "a", "{name}: it should be back");
    assert_eq!(stage.state("a").await, "ready", "{name}");
    assert_eq!(at(&stage, MODEL).await.label(), "b", "{name}: and the rotation goes on");
    stage.assert_idle().await;
}

#[tokio::test(start_paused = true)]
async fn answers_about_an_account_disable_it_alone_and_unnoticed() {
    let go = |window, retry_after| Row::GoUsage { window, retry_after };
    for (row, state, why, seconds) in [
        (Row::InvalidKey, "dead", "key-refused", RECHECK),
        (Row::Blocked, "dead", "key-refused", RECHECK),
        (Row::BlockedByProvider, "dead", "key-refused", RECHECK),
        (Row::AccessBlocked, "dead", "blocked", RECHECK),
        (Row::SubscriptionRequired, "dead", "credits", RECHECK),
        (Row::InsufficientBalance, "dead", "credits", RECHECK),
        (Row::NoPaymentMethod, "dead", "credits", RECHECK),
        (Row::Entitlement, "dead", "entitlement", RECHECK),
        (Row::AccountDisabled, "dead", "entitlement", RECHECK),
        (Row::MonthlyLimit { dollars: 5 }, "cooling", "spending-limit", RECHECK),
        (Row::UserLimit { dollars: 5 }, "cooling", "spending-limit", RECHECK),
        (go(Window::FiveHour, 1_234), "outOfQuota", "quota", 1_234),
        (go(Window::Weekly, 90_001), "outOfQuota", "quota", 90_001),
        (go(Window::Monthly, 1_000_000), "outOfQuota", "quota", 1_000_000),
        (Row::BlackUsage { retry_after: 300 }, "outOfQuota", "quota", 300),
        // Matches no row: fails over and cools for circuitBreakerCooldownMs.
        (Row::NotInRegion, "cooling", "refused", 60),
    ] {
        check_account_out(row, state, why, seconds).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_key_is_looked_at_again_ever_more_rarely_by_one_request_at_a_time() {
    let stage = Stage::new(2);
    let fault = stage.fault(Fault::new(Action::Row(Row::InvalidKey)).key("a"));
    assert_eq!(at(&stage, MODEL).await.label(), "b");
    for minutes in [10, 20, 40, 80] {
        let before = stage.attempts("a");
        stage.seconds(minutes * 60 - 1).await;
        assert_eq!(at(&stage, MODEL).await.label(), "b");
        assert_eq!(stage.attempts("a"), before, "{minutes} minutes");
        stage.seconds(2).await;
        for _ in 0..4 {
            assert_eq!(at(&stage, MODEL).await.label(), "b");
        }
        assert_eq!(stage.attempts("a"), before + 1, "{minutes} minutes");
        assert_eq!(stage.state("a").await, "dead");
    }
    stage.emulator.clear_fault(fault);
    stage.seconds(160 * 60 + 1).await;
    assert_eq!(at(&stage, MODEL).await.label(), "a");
}

/// The account is out for one model only.
async fn check_model_held(row: Row, why: &str, seconds: u64) {
    let name = format!("{row:?}");
    let stage = Stage::new(2);
    let fault = stage.fault(Fault::new(Action::Row(row)).key("a").model(MODEL));
    let answer = at(&stage, MODEL).await;
    assert_eq!((answer.status.as_u16(), answer.label()), (200, "b"), "{name}");
    let key = stage.key("a").await;
    assert_eq!((&key["state"], &key["lastFault"]), (&"ready".into(), &why.into()), "{name}: {key}");
    assert_eq!(stage.health().await["disabledCount"], 0, "{name}");
    assert_eq!(at(&stage, OTHER).await.label(), "a", "{name}: other models go on");
    assert_eq!(at(&stage, MODEL).await.label(), "b", "{name}");
    assert_eq!(at(&stage, MODEL).await.label(), "b", "{name}");
    stage.emulator.clear_fault(fault);
    stage.wait(Duration::from_millis(seconds * 1000 - 500)).await;
    assert_eq!(at(&stage, MODEL).await.label(), "b", "{name}: too early");
    stage.wait(Duration::from_millis(600)).await;
    assert_eq!(at(&stage, MODEL).await.label(), "a", "{name}: it should be back");
    stage.assert_idle().await;
}

#[tokio::test(start_paused = true)]
async fn answers_about_an_account_and_a_model_hold_only_the_two() {
    for (row, why, seconds) in [
        (Row::RateLimit, "rate-limit", 60),
        (Row::RegionOptIn, "not-for-account", HOUR),
        (Row::Country, "not-for-account", HOUR),
        (Row::Training, "not-for-account", HOUR),
        (Row::NotServed { status: 403 }, "not-for-account", HOUR),
        (Row::NotServed { status: 400 }, "not-for-account", HOUR),
    ] {
        check_model_held(row, why, seconds).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_no_account_may_use_shows_the_services_own_words() {
    let stage = Stage::new(3);
    stage.fault(Fault::new(Action::Row(Row::Training)).model(MODEL));
    for tried in ["abc", "a", "a"] {
        let mark = stage.mark();
        let answer = at(&stage, MODEL).await;
        assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (403, "DataPolicyError"));
        assert_eq!((403, answer.text()), (sent(&stage).0, sent(&stage).1.as_str()));
        assert_eq!(stage.tried_since(mark), tried, "one is asked for the words");
    }
    assert_eq!(stage.health().await["disabledCount"], 0);
    assert_eq!(at(&stage, OTHER).await.status, 200);
}

/// The client gets the answer as it is; nobody else is tried and nobody is out.
async fn check_passes(row: Row, status: u16) {
    let name = format!("{row:?}");
    let stage = Stage::new(3);
    stage.fault(Fault::new(Action::Row(row)));
    for tried in ["a", "b", "c", "a", "b"] {
        let mark = stage.mark();
        let answer = at(&stage, MODEL).await;
        let (was, body) = sent(&stage);
        assert_eq!((answer.status.as_u16(), was), (status, status), "{name}");
        assert_eq!(answer.text(), body, "{name}");
        assert_eq!(answer.label(), tried, "{name}");
        assert_eq!(stage.tried_since(mark), tried, "{name}");
    }
    let health = stage.health().await;
    assert_eq!(health["disabledCount"], 0, "{name}: {health}");
    for key in health["keys"].as_array().unwrap() {
        assert_eq!(key["state"], "ready", "{name}");
    }
    stage.emulator.clear_faults();
    assert_eq!(at(&stage, MODEL).await.status, 200, "{name}");
    stage.assert_idle().await;
}

#[tokio::test(start_paused = true)]
async fn answers_about_the_request_or_a_wrong_model_pass_and_blame_nobody() {
    for (row, status) in [
        (Row::ModelUnsupported, 401),
        (Row::NoProvider, 401),
        (Row::ProviderUnsupported, 401),
        (Row::ModelDisabled, 401),
        (Row::PromotionEnded, 401),
        (Row::MissingSession, 400),
        (Row::ContextOverflow { limit: 10, tokens: 20 }, 400),
        (Row::BodyTooLarge { limit: 6_291_456 }, 400),
        (Row::BadRequest { message: "usage limit of 500 words in your prompt".to_owned() }, 400),
        (Row::MissingBody, 400),
    ] {
        check_passes(row, status).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_model_name_disables_nobody() {
    let stage = Stage::new(3);
    for dialect in Dialect::ALL {
        for _ in 0..6 {
            let answer = stage.ask(dialect.of("no-such-model", "hello", false)).await;
            assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (401, "ModelError"));
            assert_eq!(answer.text(), sent(&stage).1);
        }
    }
    let health = stage.health().await;
    assert_eq!((&health["enabledCount"], &health["disabledCount"]), (&3.into(), &0.into()));
    assert_eq!(stage.emulator.log().len(), 18, "one attempt each");
    assert_eq!(at(&stage, MODEL).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_format_is_named_with_the_right_endpoint_and_blames_nobody() {
    let stage = Stage::new(3);
    for (dialect, model, endpoint) in [
        (Dialect::Chat, "minimax-m3", "/v1/messages"),
        (Dialect::Chat, "gpt-6-luna", "/v1/responses"),
        (Dialect::Messages, "glm-5.2", "/v1/chat/completions"),
        (Dialect::Responses, "glm-5.2", "/v1/chat/completions"),
        (Dialect::Messages, "gpt-6-luna", "/v1/responses"),
    ] {
        for entries in [false, true] {
            stage.emulator.model(model, |model| model.format_entries = entries).unwrap();
            let mark = stage.mark();
            let answer = stage.ask(dialect.of(model, "hello", false)).await;
            let name = format!("{dialect:?} {model} {entries}: {}", answer.text());
            assert_eq!(answer.status, 400, "{name}");
            assert!(answer.message().contains(endpoint), "{name}");
            assert_eq!(stage.tried_since(mark).len(), 1, "{name}");
            assert_eq!(answer.header("x-should-retry"), "false", "{name}");
            for digits in ["429", "500", "502", "503", "504", "524"] {
                assert!(!answer.text().contains(digits), "{name}");
            }
        }
    }
    let health = stage.health().await;
    assert_eq!(health["disabledCount"], 0, "{health}");
    assert_eq!(at(&stage, MODEL).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_saturated_model_is_not_rotated_and_pauses_alone() {
    for (row, status) in
        [(Row::ProviderSaturated, 429), (Row::ProviderRateLimited, 429), (Row::Overloaded, 529)]
    {
        let stage = Stage::new(3);
        let fault = stage.fault(Fault::new(Action::Row(row.clone())).model(MODEL));
        for tried in ["a", "b", "c"] {
            let mark = stage.mark();
            let answer = at(&stage, MODEL).await;
            assert_eq!(answer.status.as_u16(), status, "{row:?}");
            assert_eq!(answer.text(), sent(&stage).1, "{row:?}");
            assert_eq!(answer.retry_after(), None, "{row:?}");
            assert_eq!(stage.tried_since(mark), tried, "{row:?}");
        }
        let mark = stage.mark();
        for _ in 0..4 {
            let answer = at(&stage, MODEL).await;
            assert_eq!(answer.status, 503, "{row:?}");
            assert!((10..=30).contains(&answer.retry_after().unwrap()), "{row:?}");
        }
        assert_eq!(stage.tried_since(mark), "", "{row:?}: nobody is asked");
        assert_eq!(stage.health().await["disabledCount"], 0, "{row:?}");
        assert_eq!(at(&stage, OTHER).await.status, 200, "{row:?}: other models go on");

        let mark = stage.mark();
        stage.seconds(11).await;
        assert_eq!(at(&stage, MODEL).await.status.as_u16(), status, "{row:?}: the trial");
        assert_eq!(at(&stage, MODEL).await.status, 503, "{row:?}: in vain");
        assert_eq!(stage.tried_since(mark).len(), 1, "{row:?}");
        stage.emulator.clear_fault(fault);
        stage.seconds(11).await;
        assert_eq!(at(&stage, MODEL).await.status, 503, "{row:?}: paused for longer");
        stage.seconds(10).await;
        assert_eq!(at(&stage, MODEL).await.status, 200, "{row:?}");
        assert_eq!(at(&stage, MODEL).await.status, 200, "{row:?}");
        stage.assert_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_free_models_limit_holds_until_midnight_and_other_keys_do_not_help() {
    let stage = Stage::new(3);
    let fault = stage.fault(Fault::new(Action::Row(Row::FreeUsage)).model("beam-free"));
    let answer = at(&stage, "beam-free").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (429, sent(&stage).1.as_str()));
    assert_eq!(answer.retry_after(), Some(12 * HOUR), "passed on");
    let mark = stage.mark();
    for dialect in Dialect::ALL {
        let answer = stage.ask(dialect.of("beam-free", "hello", true)).await;
        assert_eq!(answer.status, 429);
        assert_eq!(answer.kind(), "FreeUsageLimitError");
        assert_eq!(answer.retry_after(), Some(12 * HOUR));
    }
    assert_eq!(stage.tried_since(mark), "");
    assert_eq!(stage.health().await["disabledCount"], 0);
    assert_eq!(at(&stage, MODEL).await.status, 200);
    stage.emulator.clear_fault(fault);
    stage.seconds(12 * HOUR + 1).await;
    assert_eq!(at(&stage, "beam-free").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_service_being_down_is_passed_on_and_rotates_nobody() {
    for row in [Row::RoutingDown, Row::InferenceDown] {
        let stage = Stage::new(3);
        stage.fault(Fault::new(Action::Row(row.clone())));
        for tried in ["a", "b", "c"] {
            let mark = stage.mark();
            let answer = at(&stage, MODEL).await;
            assert_eq!((answer.status.as_u16(), answer.text()), (503, sent(&stage).1.as_str()));
            assert_eq!(stage.tried_since(mark), tried, "{row:?}");
        }
        let mark = stage.mark();
        let answer = at(&stage, OTHER).await;
        assert_eq!(answer.status, 503, "{row:?}");
        assert_eq!(answer.message(), "All API keys are temporarily unavailable");
        assert_eq!(answer.retry_after(), Some(2), "{row:?}");
        assert_eq!(stage.tried_since(mark), "", "{row:?}");
        stage.emulator.clear_faults();
        stage.seconds(3).await;
        for label in ["a", "b", "c"] {
            let answer = at(&stage, MODEL).await;
            assert_eq!((answer.status.as_u16(), answer.label()), (200, label), "{row:?}");
        }
        stage.assert_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn server_errors_take_two_tries_and_open_the_breaker_of_one_account_alone() {
    for row in [Row::Internal, Row::NoAssistantMessage] {
        let stage = Stage::new(2);
        let fault = stage.fault(Fault::new(Action::Row(row.clone())).key("a"));
        for (tried, state) in [("ab", "ready"), ("ab", "ready"), ("ab", "cooling")] {
            let mark = stage.mark();
            let answer = at(&stage, MODEL).await;
            assert_eq!((answer.status.as_u16(), answer.label()), (200, "b"), "{row:?}");
            assert_eq!(stage.tried_since(mark), tried, "{row:?}");
            assert_eq!(stage.state("a").await, state, "{row:?}");
        }
        assert_eq!(stage.key("a").await["why"], "server-error");
        // Half-open after the cooldown, with a single trial; each failure doubles the time.
        for seconds in [60, 120, 240] {
            let mark = stage.mark();
            stage.seconds(seconds - 2).await;
            assert_eq!(at(&stage, MODEL).await.label(), "b");
            assert_eq!(stage.tried_since(mark), "b", "{row:?} {seconds}");
            stage.seconds(3).await;
            assert_eq!(stage.state("a").await, "trial");
            let mark = stage.mark();
            assert_eq!(at(&stage, MODEL).await.label(), "b");
            assert_eq!(at(&stage, MODEL).await.label(), "b");
            assert_eq!(stage.tried_since(mark), "abb", "{row:?} {seconds}");
        }
        stage.emulator.clear_fault(fault);
        stage.seconds(481).await;
        assert_eq!(at(&stage, MODEL).await.label(), "a", "{row:?}");
        assert_eq!(stage.state("a").await, "ready");
        stage.assert_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_server_error_everywhere_is_the_models_fault_and_pardons_the_accounts() {
    let stage = Stage::new(3);
    stage.fault(Fault::new(Action::Row(Row::Internal)).model(MODEL));
    for tried in ["ab", "c"] {
        let mark = stage.mark();
        let answer = at(&stage, MODEL).await;
        assert_eq!(answer.status, 502);
        assert_eq!(answer.message(), "Bad Gateway: Internal server error");
        assert_eq!(
            stage.tried_since(mark),
            tried,
            "two tries, and no more once the model is blamed"
        );
    }
    let answer = at(&stage, MODEL).await;
    assert_eq!(answer.status, 503, "the model's breaker is open");
    assert!((10..=30).contains(&answer.retry_after().unwrap()));
    let health = stage.health().await;
    assert_eq!(health["disabledCount"], 0, "{health}");
    assert_eq!(at(&stage, OTHER).await.status, 200);
}
