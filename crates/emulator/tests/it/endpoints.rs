//! Paths, credentials and the simple endpoints (upstream.md §1.1, §0.2, §3, §3.6).

use http::Method;
use saros_emulator::{Account, Key, Money, Window};
use serde_json::json;

use crate::client::*;

#[tokio::test(start_paused = true)]
async fn messages_reads_only_its_own_header() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let session = ("x-opencode-session", "s".to_owned());
    let bearer = ("authorization", format!("Bearer {}", key.secret));
    let api_key = ("x-api-key", key.secret.clone());
    let body = ask("minimax-m3");
    let answer = client.post(MESSAGES, &[session.clone(), bearer.clone()], &body).await;
    assert_eq!(answer.json()["error"]["message"], "Missing API key.");
    let answer = client.post(MESSAGES, &[session.clone(), api_key.clone()], &body).await;
    assert_eq!(answer.status, 200);
    let answer = client.post(CHAT, &[session.clone(), api_key.clone()], &ask("glm-5.2")).await;
    assert_eq!(answer.json()["error"]["message"], "Missing API key.");
    // The new layout: Bearer everywhere.
    let path = "/inference/go/anthropic/v1/messages";
    let answer = client.post(path, &[session.clone(), bearer], &body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(client.post(path, &[session.clone(), api_key], &body).await.status, 401);
    let public = ("authorization", "Bearer public".to_owned());
    let answer = client.post(CHAT, &[session, public], &ask("glm-5.2")).await;
    assert_eq!(answer.json()["error"]["message"], "Missing API key.");
}

#[tokio::test(start_paused = true)]
async fn migrated_workspaces_and_console_keys_are_forwarded() {
    let (emulator, key) = emulator();
    let console = emulator.add_account(Account::new("c").key(Key::console("c")));
    let mut client = Client::pipe(&emulator).await;
    let answer = client.chat(&key, "glm-5.2").await;
    assert!(answer.text().contains(r#"{"choices":[],"cost":"0"}"#));
    emulator.account("a", |a| a.migrated = true);
    for key in [&key, &console] {
        let answer = client.chat(key, "glm-5.2").await;
        assert!(answer.text().contains(r#""opencode":{"list_cost":0.000"#));
        assert!(answer.text().trim_end().ends_with("[DONE]"), "nothing trails");
        // Bearer on `/messages` works, and formats are translated.
        let bearer = [
            ("authorization", format!("Bearer {}", key.secret)),
            ("x-opencode-session", "s".to_owned()),
        ];
        let answer = client.post(MESSAGES, &bearer, &ask("glm-5.2")).await;
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("message_stop"));
    }
}

#[tokio::test(start_paused = true)]
async fn models_need_no_key() {
    let (emulator, key) = emulator();
    emulator.add_model(saros_emulator::Model {
        id: "alpha-x".to_owned(),
        ..saros_emulator::Model::default()
    });
    let mut client = Client::pipe(&emulator).await;
    let list = client.get("/zen/go/v1/models", &[]).await.json();
    assert_eq!(list["object"], "list");
    assert_eq!(
        list["data"][0],
        json!({"id": "glm-5.3-flash", "object": "model", "created": NOON / 1_000, "owned_by": "opencode"})
    );
    assert!(!list.to_string().contains("alpha-x"));
    assert!(!list.to_string().contains("gemini"));
    assert_eq!(client.get("/inference/go/v1/models", &[]).await.status, 401);
    let list = client.get("/inference/go/v1/models", &headers(&key)).await;
    assert!(list.text().contains("gemini-4-argon"));
}

#[tokio::test(start_paused = true)]
async fn other_paths_and_methods() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let answer = read(client.send(Method::OPTIONS, CHAT, &[], "").await.unwrap()).await;
    assert_eq!(answer.status, 200);
    let allowed = answer.header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("x-api-key") && !allowed.contains("x-opencode-session"));
    let count = "/zen/go/v1/messages/count_tokens";
    assert_eq!(client.post(count, &headers(&key), "{}").await.status, 404);
    assert_eq!(client.get(CHAT, &headers(&key)).await.status, 405);
    let google = "/inference/go/google/v1beta/models/gemini-4-argon:streamGenerateContent?alt=sse";
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}"#;
    let answer = client.post(google, &headers(&key), body).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains(r#""finishReason":"STOP""#));
    assert!(answer.text().contains(r#""list_cost""#));
}

#[tokio::test(start_paused = true)]
async fn usage_report() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    emulator.clock().set(NOON + 287);
    emulator.account("a", |a| {
        a.quota.created_ms = NOON - 86_400_000 + 61_000;
        a.quota.set_percent(Window::Weekly, 3.99, NOON);
        a.quota.set_percent(Window::Monthly, 100.0, NOON);
    });
    let bearer = [("authorization", format!("Bearer {}", key.secret))];
    let answer = client.get(USAGE, &bearer).await;
    assert_eq!(
        answer.text(),
        r#"{"usage":{"rolling":{"status":"ok","percent":0,"resetsAt":"2026-11-22T17:00:00.287Z"},"weekly":{"status":"ok","percent":3,"resetsAt":"2026-11-23T00:00:00.287Z"},"monthly":{"status":"rate-limited","percent":100,"resetsAt":"2026-12-21T12:01:01.287Z"}}}"#
    );
    assert_eq!(client.get("/inference/go/v1/usage", &bearer).await.text(), answer.text());
    emulator.settings(|s| s.usage_ids = true);
    let report = client.get(USAGE, &bearer).await.json();
    assert!(report["workspaceID"].as_str().unwrap().starts_with("wrk_"));
    assert!(report["userID"].as_str().unwrap().starts_with("usr_"));
    // No session header is needed, no rate limiter counts.
    let message = |answer: Answer| {
        (answer.status.as_u16(), answer.json()["error"]["message"].as_str().unwrap().to_owned())
    };
    let api_key = [("x-api-key", key.secret.clone())];
    let answer = client.get(USAGE, &api_key).await;
    assert_eq!(message(answer), (401, "Missing API key.".to_owned()));
    let twice = [("authorization", format!("Bearer  {}", key.secret))];
    let answer = client.get(USAGE, &twice).await;
    assert_eq!(message(answer), (401, "Missing API key.".to_owned()));
    let unknown = [("authorization", "Bearer sk-unknown".to_owned())];
    let answer = client.get(USAGE, &unknown).await;
    assert_eq!(message(answer), (401, "Unauthorized".to_owned()));
    emulator.account("a", |a| a.subscribed = false);
    let answer = client.get(USAGE, &bearer).await;
    assert_eq!(message(answer), (403, "OpenCode Go subscription required.".to_owned()));
    emulator.settings(|s| s.usage_api = false);
    assert_eq!(client.get(USAGE, &bearer).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn dashboard() {
    let (emulator, _) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let (workspace, cookie) =
        emulator.account("a", |a| (a.workspace.clone(), a.cookie.clone())).unwrap();
    assert!(cookie.starts_with("Fe26.2**"));
    emulator.account("a", |a| {
        a.use_balance = true;
        a.balance = Money::dollars(1.0);
        a.quota.set_percent(Window::FiveHour, 12.0, NOON);
    });
    let path = format!("/workspace/{workspace}/go");
    let auth = [("cookie", format!("x=1; auth={cookie}"))];
    let page = client.get(&path, &auth).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains(
        r#"rollingUsage:$R[4]={status:"ok",resetInSec:18000,usagePercent:12},weeklyUsage:$R[5]={"#
    ));
    assert!(page.text().contains("useBalance:!0"));
    assert_eq!(page.text().matches("data-slot=\"usage-item\"").count(), 3);
    assert_eq!(client.get(&path, &[]).await.status, 302);
    assert_eq!(client.get("/workspace/wrk_other/go", &auth).await.status, 404);
}
