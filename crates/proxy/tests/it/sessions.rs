//! Which conversation a request belongs to, as the service sees it.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::stage::{Dialect, Stage, request};

/// `x-opencode-session` as the service got it last.
fn session(stage: &Stage) -> String {
    let entry = stage.emulator.log().pop().unwrap();
    assert_eq!(entry.status, Some(200), "{entry:?}");
    entry.header("x-opencode-session").unwrap().to_owned()
}

fn with(
    mut request: Request<Full<Bytes>>,
    headers: &[(&'static str, &str)],
) -> Request<Full<Bytes>> {
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

async fn of(stage: &Stage, request: Request<Full<Bytes>>) -> String {
    assert_eq!(stage.ask(request).await.status, 200);
    session(stage)
}

#[tokio::test(start_paused = true)]
async fn a_clients_own_id_is_believed_in_order_and_stays_as_it_is() {
    let order = [
        "x-opencode-session",
        "x-claude-code-session-id",
        "x-session-affinity",
        "x-session-id",
        "session-id",
        "session_id",
    ];
    let stage = Stage::new(2);
    for dialect in Dialect::ALL {
        for first in 0..order.len() {
            let ids: Vec<String> = (0..order.len()).map(|n| format!("Own id/{n} ~!")).collect();
            let headers: Vec<(&'static str, &str)> =
                (first..order.len()).map(|n| (order[n], ids[n].as_str())).collect();
            let sent = of(&stage, with(dialect.request(true), &headers)).await;
            assert_eq!(sent, ids[first], "{dialect:?} {}", order[first]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_in_the_body_is_believed_next() {
    let stage = Stage::new(2);
    let post = |path, body: Value| request(Method::POST, path, &body.to_string());
    let chat = json!({
        "model": "glm-5.2", "prompt_cache_key": "cache-1",
        "messages": [{"role": "user", "content": "hello"}]
    });
    assert_eq!(of(&stage, post("/v1/chat/completions", chat.clone())).await, "cache-1");
    let responses = json!({"model": "gpt-6-luna", "input": "hello", "prompt_cache_key": "cache-2"});
    assert_eq!(of(&stage, post("/v1/responses", responses)).await, "cache-2");
    for user in [
        "user_0a1b_account_2c3d_session_5e6f-77",
        r#"{"device_id":"0a1b","account_uuid":"","session_id":"5e6f-77"}"#,
    ] {
        let messages = json!({
            "model": "minimax-m3", "max_tokens": 9, "metadata": {"user_id": user},
            "messages": [{"role": "user", "content": "hello"}]
        });
        assert_eq!(of(&stage, post("/v1/messages", messages)).await, "5e6f-77", "{user}");
    }
    let both = with(post("/v1/chat/completions", chat), &[("x-session-id", "header")]);
    assert_eq!(of(&stage, both).await, "header");
}

/// Three turns of one conversation as the dialect's clients send them.
fn turns(dialect: Dialect, opening: &str) -> Vec<Request<Full<Bytes>>> {
    let user = |text: &str| json!({"role": "user", "content": text});
    let assistant = |text: &str| json!({"role": "assistant", "content": text});
    let all = [user(opening), assistant("yes"), user("more"), assistant("well"), user("and?")];
    [1, 3, 5]
        .map(|count| {
            let said: Vec<Value> = all[..count].to_vec();
            match dialect {
                Dialect::Chat => {
                    let system = json!({"role": "system", "content": "be brief"});
                    let messages: Vec<Value> = std::iter::once(system).chain(said).collect();
                    let body = json!({"model": "glm-5.2", "messages": messages});
                    request(Method::POST, "/v1/chat/completions", &body.to_string())
                }
                Dialect::Messages => {
                    let body = json!({
                        "model": "minimax-m3", "max_tokens": 9, "system": "be brief",
                        "messages": said, "temperature": count
                    });
                    request(Method::POST, "/v1/messages", &body.to_string())
                }
                Dialect::Responses => {
                    let body =
                        json!({"model": "gpt-6-luna", "instructions": "be brief", "input": said});
                    request(Method::POST, "/v1/responses", &body.to_string())
                }
            }
        })
        .into()
}

#[tokio::test(start_paused = true)]
async fn a_conversation_without_id_keeps_one_over_its_turns() {
    for dialect in Dialect::ALL {
        let stage = Stage::new(3);
        let mut ids = BTreeSet::new();
        for turn in turns(dialect, "hello") {
            ids.insert(of(&stage, with(turn, &[("user-agent", "agent/1")])).await);
        }
        assert_eq!(ids.len(), 1, "{dialect:?}: {ids:?}");
        let id = ids.first().unwrap().clone();
        assert!(id.starts_with("ses_") && id.len() == 30, "in the form of OpenCode's own: {id}");
        // Another opening, another client.
        for turn in turns(dialect, "good morning") {
            ids.insert(of(&stage, with(turn, &[("user-agent", "agent/1")])).await);
        }
        assert_eq!(ids.len(), 2);
        for turn in turns(dialect, "hello") {
            ids.insert(of(&stage, with(turn, &[("user-agent", "other/2")])).await);
        }
        assert_eq!(ids.len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_or_port_is_no_identity_and_a_failover_keeps_the_id() {
    let stage = Stage::new(2);
    let mut ids = BTreeSet::new();
    let row = saros_emulator::Row::InvalidKey;
    stage.fault(saros_emulator::Fault::new(saros_emulator::Action::Row(row)).key("a"));
    for port in [1_000, 2_000] {
        let peer =
            std::net::SocketAddr::from(([10, 0, 0, u8::try_from(port / 1000).unwrap()], port));
        let stream = stage.connect_from(peer);
        let response = crate::stage::send_over(stream, Dialect::Chat.request(true)).await.unwrap();
        assert_eq!(response.status(), 200);
        for entry in stage.emulator.log() {
            ids.insert(entry.header("x-opencode-session").unwrap().to_owned());
        }
    }
    assert_eq!(stage.tried_since(0), "abb");
    assert_eq!(ids.len(), 1, "{ids:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_is_always_sent() {
    let stage = Stage::new(1);
    for (method, path, body) in [
        (Method::POST, "/v1/chat/completions", "{}"),
        (Method::POST, "/v1/chat/completions", "no json"),
        (Method::POST, "/v1/messages", r#"{"model":"minimax-m3"}"#),
        (Method::POST, "/v1/responses", ""),
        (Method::GET, "/v1/usage", ""),
        (Method::GET, "/v1/models", ""),
        (Method::POST, "/v1/embeddings", "{}"),
    ] {
        stage.ask(request(method, path, body)).await;
        let entry = stage.emulator.log().pop().unwrap();
        assert!(entry.header("x-opencode-session").is_some_and(|id| !id.is_empty()), "{path}");
    }
    let mut empty = Dialect::Chat.request(false);
    empty.headers_mut().insert("x-opencode-session", "".parse().unwrap());
    assert_ne!(of(&stage, empty).await, "", "an empty id is none");
}
