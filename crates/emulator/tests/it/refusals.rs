//! Every row of upstream.md §2.2: status, body and headers, reached by the state of the account
//! where that is possible.

use http::header::{CACHE_CONTROL, RETRY_AFTER};
use saros_emulator::{Account, Action, Fault, Key, Money, Row, Window};
use serde_json::json;

use crate::client::*;

/// An error of the service's own: exact but for the text.
fn own(answer: &Answer, status: u16, kind: &str, text: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(
        answer.text(),
        format!(r#"{{"type":"error","error":{{"type":"{kind}","message":{}}}}}"#, json!(text))
    );
    assert_eq!(answer.headers.get(RETRY_AFTER), None);
}

#[tokio::test(start_paused = true)]
async fn keys() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let session = vec![("x-opencode-session", "s".to_owned())];
    let answer = client.post(CHAT, &session, &ask("glm-5.2")).await;
    own(&answer, 401, "AuthError", "Missing API key.");
    let answer = client.chat(&Key::new("stranger"), "glm-5.2").await;
    own(&answer, 401, "AuthError", "Invalid API key.");
    emulator.account("a", |a| a.keys[0].deleted = true);
    own(&client.chat(&key, "glm-5.2").await, 401, "AuthError", "Invalid API key.");
}

#[tokio::test(start_paused = true)]
async fn blocked_and_flagged() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    emulator.account("a", |a| a.flagged = true);
    assert_eq!(client.chat(&key, "glm-5.2").await.status, 200);
    let body = ask("claude-haiku-5-5");
    let answer = client.post(MESSAGES, &headers(&key), &body).await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (401, "AuthError"));
    emulator.account("a", |a| a.blocked = true);
    let answer = client.chat(&key, "glm-5.2").await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (401, "AuthError"));
    assert!(answer.text().contains("This account has found to be committing fraud"));
    assert!(answer.text().contains("help@anoma.ly"));
}

#[tokio::test(start_paused = true)]
async fn billing() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let workspace = emulator.account("a", |a| a.workspace.clone()).unwrap();
    let page = |what: &str| format!("https://opencode.ai/workspace/{workspace}/{what}");
    emulator.account("a", |a| a.subscribed = false);
    let text = "An active OpenCode Go subscription is required. Manage it here:";
    own(
        &client.chat(&key, "glm-5.2").await,
        401,
        "CreditsError",
        &format!("{text} {}", page("go")),
    );
    emulator.account("a", |a| {
        a.subscribed = true;
        a.use_balance = true;
        a.quota.set_percent(Window::Monthly, 100.0, NOON);
    });
    let text = format!("Insufficient balance. Manage your billing here: {}", page("billing"));
    own(&client.chat(&key, "glm-5.2").await, 401, "CreditsError", &text);
    emulator.account("a", |a| a.payment_method = false);
    let text = format!("No payment method. Add a payment method here: {}", page("billing"));
    own(&client.chat(&key, "glm-5.2").await, 401, "CreditsError", &text);
    emulator.account("a", |a| {
        a.payment_method = true;
        a.balance = Money::dollars(10.0);
        a.workspace_limit = Some(Money::ZERO);
    });
    let answer = client.chat(&key, "glm-5.2").await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (401, "MonthlyLimitError"));
    assert!(answer.text().contains("Your workspace has reached its monthly spending limit of $0"));
    emulator.account("a", |a| {
        a.workspace_limit = None;
        a.user_limit = Some(Money::ZERO);
    });
    let answer = client.chat(&key, "glm-5.2").await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (401, "UserLimitError"));
    assert!(answer.text().contains("You have reached your monthly spending limit of $0"));
    emulator.account("a", |a| {
        a.user_limit = None;
        a.disabled_models = vec!["glm-5.2".to_owned()];
    });
    own(&client.chat(&key, "glm-5.2").await, 401, "ModelError", "Model is disabled");
}

#[tokio::test(start_paused = true)]
async fn models() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    own(&client.chat(&key, "no-such").await, 401, "ModelError", "Model no-such is not supported");
    let answer = client.post(CHAT, &headers(&key), "{}").await;
    own(&answer, 401, "ModelError", "Model  is not supported");
    // glm-5.3 has entries per format; minimax-m3 has not.
    let answer = client.post(MESSAGES, &headers(&key), &ask("glm-5.3")).await;
    let text = "Model glm-5.3 is not supported for format anthropic";
    own(&answer, 401, "ModelError", text);
    own(&client.chat(&key, "minimax-m3").await, 500, "error", "Internal server error");
    emulator.model("glm-5.2", |m| m.no_provider = true);
    own(&client.chat(&key, "glm-5.2").await, 401, "ModelError", "No provider available");
    emulator.model("glm-5.2", |m| m.promotion_ended = true);
    let answer = client.chat(&key, "glm-5.2").await;
    assert_eq!(answer.kind(), "ModelError");
    assert!(answer.text().contains("Free promotion has ended for glm-5.2"));
}

#[tokio::test(start_paused = true)]
async fn consent_region_country() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let answer = client.chat(&key, "deepseek-flash").await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (403, "RegionError"));
    assert!(answer.text().contains("only available hosted in China and requires explicit opt in:"));
    emulator.account("a", |a| a.region_cn = true);
    assert_eq!(client.chat(&key, "deepseek-flash").await.status, 200);

    let muse = ask("muse-spark-1.3-contributor");
    let answer = client.post(RESPONSES, &headers(&key), &muse).await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (403, "DataPolicyError"));
    emulator.account("a", |a| a.training = true);
    assert_eq!(client.post(RESPONSES, &headers(&key), &muse).await.status, 200);
    let mut from_italy = headers(&key);
    from_italy.push(("cf-ipcountry", "IT".to_owned()));
    let answer = client.post(RESPONSES, &from_italy, &muse).await;
    own(&answer, 403, "RegionError", "This model is not available in your country.");
}

#[tokio::test(start_paused = true)]
async fn quota() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let workspace = emulator.account("a", |a| a.workspace.clone()).unwrap();
    emulator.account("a", |a| a.quota.set_percent(Window::Weekly, 100.0, NOON));
    let answer = client.chat(&key, "glm-5.2").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), Some("43200"), "Monday 00:00 is 12 h away");
    assert_eq!(
        answer.text(),
        format!(
            r#"{{"type":"error","error":{{"type":"GoUsageLimitError","message":"Weekly usage limit reached. Resets in 12hr 0min. To continue using this model now, enable usage from your available balance: https://opencode.ai/workspace/{workspace}/go"}},"metadata":{{"workspace":"{workspace}","limitName":"weekly"}}}}"#
        )
    );
    emulator.account("a", |a| {
        a.quota.set_percent(Window::Weekly, 0.0, NOON);
        a.quota.set_percent(Window::FiveHour, 100.0, NOON);
    });
    let answer = client.chat(&key, "glm-5.2").await;
    assert_eq!(answer.header("retry-after"), Some("18000"));
    assert_eq!(answer.json()["metadata"]["limitName"], "5 hour");
    assert!(answer.text().contains("5-hour usage limit reached."));
}

#[tokio::test(start_paused = true)]
async fn limiters() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    emulator.settings(|s| s.per_minute = 2);
    for _ in 0..2 {
        assert_eq!(client.chat(&key, "glm-5.2").await.status, 200);
    }
    let answer = client.chat(&key, "glm-5.2").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), Some("60"));
    assert_eq!(
        answer.text(),
        r#"{"type":"error","error":{"type":"RateLimitError","message":"Rate limit exceeded. Please try again later."},"metadata":{}}"#
    );
    assert_eq!(client.chat(&key, "kimi-k3").await.status, 200, "per model");
    emulator.clock().advance(std::time::Duration::from_mins(1));
    assert_eq!(client.chat(&key, "glm-5.2").await.status, 200, "per clock minute");

    emulator.settings(|s| s.free_per_day = 1);
    emulator.clock().set(NOON);
    let anonymous = vec![("x-opencode-session", "s".to_owned())];
    assert_eq!(client.post(CHAT, &anonymous, &ask("beam-free")).await.status, 200);
    // Another key does not help: the IP counts.
    let answer = client.chat(&key, "beam-free").await;
    assert_eq!(answer.kind(), "FreeUsageLimitError");
    assert_eq!(answer.header("retry-after"), Some("43200"));
    assert_eq!(answer.json()["metadata"], json!({}));
    let mut elsewhere = anonymous.clone();
    elsewhere.push(("x-real-ip", "203.0.113.9".to_owned()));
    assert_eq!(client.post(CHAT, &elsewhere, &ask("beam-free")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn session_and_body() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let no_session = vec![("authorization", format!("Bearer {}", key.secret))];
    let answer = client.post(CHAT, &no_session, &ask("glm-5.2")).await;
    let text = "Error from provider (Console Go): Request is missing x-opencode-session and cannot \
                be routed efficiently. Please see https://opencode.ai/docs/go/#where-can-i-use-it";
    own(&answer, 400, "MissingSessionID", text);
    let answer = client.post(RESPONSES, &headers(&key), "").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (400, "Missing request body"));
    let answer = client.post(CHAT, &headers(&key), "").await;
    own(&answer, 500, "error", "Internal server error");
    let answer = client.post(CHAT, &headers(&key), r#"{"model":"glm-5.2", broken"#).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("Error from provider (Console Go): "));
}

#[tokio::test(start_paused = true)]
async fn providers() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    emulator.model("glm-5.2", |m| m.saturated = true);
    let answer = client.chat(&key, "glm-5.2").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.headers.get(RETRY_AFTER), None, "only the quota's 429 has one");
    assert_eq!(
        answer.text(),
        r#"{"error":{"message":"Error from provider (Console Go): Provider rate limit exceeded","type":"rate_limit_error","param":null,"code":"provider_rate_limit_exceeded"}}"#
    );
    assert_eq!(client.chat(&key, "kimi-k3").await.status, 200);

    emulator.model("kimi-k3", |m| m.context = 3);
    let answer = client.chat(&key, "kimi-k3").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["code"], "context_length_exceeded");

    emulator.model("qwen3.8-max", |m| m.max_body = Some(10));
    let answer = client.post(MESSAGES, &headers(&key), &ask("qwen3.8-max")).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.text(),
        r#"{"error":{"message":"Error from provider (Alibaba): Exceeded limit on max bytes to request body : 10","type":"BadRequest.TooLarge","param":null,"code":null}}"#
    );

    emulator.account("a", |a| a.unserved = vec!["hy3".to_owned()]);
    let answer = client.chat(&key, "hy3").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (403, r#"{"model":"hy3"}"#));

    emulator.settings(|s| s.inference_down = true);
    let answer = client.chat(&key, "glm-5.3").await;
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("Inference is temporarily unavailable"));
    emulator.settings(|s| s.routing_down = true);
    let answer = client.chat(&key, "glm-5.3").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.headers.get(CACHE_CONTROL).unwrap(), "no-store");
    assert_eq!(
        answer.text(),
        r#"{"error":{"type":"api_error","message":"Inference routing is unavailable. Please retry later."}}"#
    );
}

#[tokio::test(start_paused = true)]
async fn the_new_service() {
    let (emulator, _) = emulator();
    let key = emulator.add_account(Account::new("new").key(Key::console("new")));
    let mut client = Client::pipe(&emulator).await;
    emulator.account("new", |a| a.subscribed = false);
    let answer = client.chat(&key, "glm-5.2").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["error"]["code"]),
        (403, &json!("Account.Disabled"))
    );
    assert_eq!(
        answer.json()["error"]["message"],
        "An active OpenCode Go subscription is required to use Go models."
    );
    emulator.account("new", |a| a.blocked = true);
    let answer = client.chat(&key, "glm-5.2").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["error"]["code"], "INFERENCE_ACCESS_BLOCKED");
    emulator.account("new", |a| (a.subscribed, a.blocked) = (true, false));
    assert_eq!(client.chat(&key, "no-such").await.status, 400, "404 becomes 400");
    let path = "/inference/go/openai/v1/chat/completions";
    assert_eq!(client.post(path, &headers(&key), &ask("no-such")).await.status, 404);
}

/// What no state reaches, a fault does; and every row can be forced.
#[tokio::test(start_paused = true)]
async fn by_injection() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let rows = [
        (Row::BlockedByProvider, 401, "AuthError"),
        (Row::ProviderUnsupported, 401, "ModelError"),
        (Row::BlackUsage { retry_after: 90 }, 429, "BlackUsageLimitError"),
        (Row::ProviderRateLimited, 429, "rate_limit_error"),
        (Row::Overloaded, 529, "overloaded_error"),
        (Row::NoAssistantMessage, 502, "upstream_error"),
        (Row::NotInRegion, 403, "permission_error"),
        (Row::Entitlement, 403, "EntitlementError"),
        (Row::BadRequest { message: "bad".to_owned() }, 400, "invalid_request_error"),
    ];
    for (row, status, kind) in rows {
        emulator.fault(Fault::new(Action::Row(row.clone())).times(1));
        let answer = client.chat(&key, "glm-5.2").await;
        assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (status, kind), "{row:?}");
    }
    emulator.fault(Fault::new(Action::Html { status: 502 }).times(1));
    let answer = client.chat(&key, "glm-5.2").await;
    assert_eq!(answer.status, 502);
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
    assert!(answer.text().starts_with("<!DOCTYPE html>"));
    emulator.fault(
        Fault::new(Action::Answer {
            status: 418,
            headers: vec![("x-any".to_owned(), "1".to_owned())],
            body: "any".to_owned(),
        })
        .times(1),
    );
    let answer = client.chat(&key, "glm-5.2").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (418, "any"));
    assert_eq!(answer.header("x-any"), Some("1"));
    assert_eq!(client.chat(&key, "glm-5.2").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn texts_follow_the_language() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let mut german = headers(&key);
    german.push(("accept-language", "de-DE,de;q=0.9".to_owned()));
    let answer = client.post(CHAT, &german, &ask("no-such")).await;
    own(&answer, 401, "ModelError", "Modell no-such wird nicht unterstützt");
}
