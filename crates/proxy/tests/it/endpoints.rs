//! The proxy's own endpoints.

use http::Method;
use saros_emulator::{Action, Fault, Row, Window};
use serde_json::{Value, json};

use crate::network::Road;
use crate::stage::{Answer, Stage, chat, get, request};

#[tokio::test(start_paused = true)]
async fn health_has_the_fields_that_scripts_read() {
    let stage = Stage::new(3);
    stage.seconds(90).await;
    stage.fault(Fault::new(Action::Row(Row::InvalidKey)).key("a"));
    let quota = Row::GoUsage { window: Window::Weekly, retry_after: 500 };
    stage.fault(Fault::new(Action::Row(quota)).key("b"));
    stage.emulator.settings(|settings| settings.pace.gap_ms = 60_000);
    let held = stage.send(chat("glm-5.2", "hello", true)).await;
    let health = stage.health().await;
    let uptime = health["uptime"].as_f64().unwrap();
    assert!((90.0..91.0).contains(&uptime), "{uptime}");
    let window = |percent: Value, limited: bool, resets_at: Value| {
        json!({ "percent": percent, "limited": limited, "resetsAt": resets_at,
                "burnPerHour": 0.0, "forecast": null, "forfeits": null })
    };
    let unknown = window(Value::Null, false, Value::Null);
    let full = window(json!([100.0, 100.0]), true, json!("2026-11-19T12:09:50.000Z"));
    let expected = json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "strategy": "predictive",
        "uptime": uptime,
        "keyCount": 3,
        "enabledCount": 1,
        "disabledCount": 2,
        "activeRequests": 1,
        "circuitBreakerThreshold": 3,
        "circuitBreakerCooldownMs": 60_000,
        "scraping": { "enabled": false },
        "pid": std::process::id(),
        "keys": [
            { "label": "a", "state": "dead", "why": "key-refused", "inFlight": 0,
              "cooldownSeconds": 600, "lastFault": "key-refused", "usage": null },
            { "label": "b", "state": "outOfQuota", "why": "quota", "inFlight": 0,
              "cooldownSeconds": 500, "lastFault": "quota",
              "usage": { "fiveHour": unknown, "weekly": full, "monthly": unknown } },
            { "label": "c", "state": "ready", "why": null, "inFlight": 1,
              "cooldownSeconds": 0, "lastFault": null, "usage": null },
        ],
        "heldModels": [],
    });
    assert_eq!(health, expected);
    drop(held);
    stage.settle().await;
    assert_eq!(stage.health().await["activeRequests"], 0, "it does not count itself");
}

#[tokio::test(start_paused = true)]
async fn ready_never_asks_upstream() {
    let ready = async |stage: &Stage| stage.ask(get("/ready")).await.status.as_u16();
    let stage = Stage::new(0);
    assert_eq!(ready(&stage).await, 503, "no key");
    let stage = Stage::new(2);
    stage.network.set(Road::Silent);
    assert_eq!((ready(&stage).await, stage.network.dialled()), (200, 0));
    stage.network.set(Road::Open);
    let quota = Row::GoUsage { window: Window::Monthly, retry_after: 900_000 };
    stage.fault(Fault::new(Action::Row(Row::InvalidKey)).key("a"));
    let b = stage.fault(Fault::new(Action::Row(quota)).key("b"));
    stage.chat("glm-5.2").await;
    assert_eq!(ready(&stage).await, 200, "out of quota is not dead");
    stage.emulator.clear_fault(b);
    stage.fault(Fault::new(Action::Row(Row::InvalidKey)).key("b"));
    stage.sleep(900_000).await;
    stage.chat("glm-5.2").await;
    let mark = stage.mark();
    assert_eq!((ready(&stage).await, stage.tried_since(mark).as_str()), (503, ""));
    let head = stage.ask(request(Method::HEAD, "/ready", "")).await;
    assert_eq!((head.status.as_u16(), head.text()), (503, ""));
}

#[tokio::test(start_paused = true)]
async fn the_root_says_what_this_is() {
    let stage = Stage::with(1, false, |config| config.port = 4711);
    let root = stage.ask(get("/")).await;
    assert_eq!(root.status, 200);
    let json = root.json();
    assert_eq!(json["name"], "saros-proxy");
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    assert!(root.text().contains("http://127.0.0.1:4711/v1"), "{json}");
    assert!(root.text().contains("http://127.0.0.1:4711/zen/go/v1"), "{json}");
    let head = stage.ask(request(Method::HEAD, "/", "")).await;
    assert_eq!((head.status.as_u16(), head.text()), (200, ""));
}

fn fetches(stage: &Stage) -> usize {
    stage.emulator.log().iter().filter(|entry| entry.path.ends_with("/models")).count()
}

#[tokio::test(start_paused = true)]
async fn the_model_list_is_upstreams_own_and_stays_warm_for_a_minute() {
    let stage = Stage::new(2);
    for path in ["/v1/models", "/zen/go/v1/models"] {
        let answer = stage.ask(get(path)).await;
        assert_eq!((answer.status.as_u16(), answer.label()), (200, "a"));
        let sent = stage.emulator.log()[0].answer.clone().unwrap();
        assert_eq!(answer.body, sent, "untouched");
        assert_eq!(answer.header("content-type"), "application/json");
    }
    stage.seconds(58).await;
    let head = stage.ask(request(Method::HEAD, "/v1/models", "")).await;
    assert_eq!((head.status.as_u16(), head.text(), fetches(&stage)), (200, "", 1));
    stage.seconds(3).await;
    let (one, two) = tokio::join!(stage.ask(get("/v1/models")), stage.ask(get("/v1/models")));
    assert_eq!((one.label(), two.label()), ("a", "a"));
    assert_eq!(fetches(&stage), 2, "one fetch in flight");
    assert_ne!(one.body, stage.emulator.log()[0].answer.clone().unwrap(), "fetched anew");
    // The last good list, with its account, while the service is silent or ill.
    for action in [Action::Html { status: 502 }, Action::Hang, Action::Close] {
        stage.seconds(61).await;
        let fault = stage.fault(Fault::new(action.clone()).path("/models"));
        let before = tokio::time::Instant::now();
        let answer = stage.ask(get("/v1/models")).await;
        let waited = before.elapsed().as_secs();
        assert!(waited <= 5, "{action:?}: {waited} s");
        assert_eq!((answer.status.as_u16(), answer.label()), (200, "a"), "{action:?}");
        assert_eq!(answer.body, one.body, "{action:?}");
        stage.emulator.clear_fault(fault);
    }
    let health = stage.health().await;
    assert_eq!(health["disabledCount"], 0, "nobody is blamed: {health}");
    assert_eq!(stage.chat("glm-5.2").await.label(), "a", "a list is nobody's turn");
    stage.assert_idle().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_good_list_there_is_a_bundled_one() {
    let stage = Stage::new(1);
    let fault = stage.fault(Fault::new(Action::Html { status: 503 }).path("/models"));
    for _ in 0..3 {
        let answer = stage.ask(get("/v1/models")).await;
        assert_eq!((answer.status.as_u16(), answer.label()), (200, "none"));
        let list = answer.json();
        assert_eq!(list["object"], "list");
        let models = list["data"].as_array().unwrap();
        assert!(models.len() > 20 && models.iter().all(|model| model["owned_by"] == "saros"));
        stage.seconds(15).await;
    }
    assert_eq!(fetches(&stage), 1, "asked at most once a minute");
    stage.emulator.clear_fault(fault);
    stage.seconds(30).await;
    assert_eq!(stage.ask(get("/v1/models")).await.label(), "a");
    assert_eq!(Stage::new(0).ask(get("/v1/models")).await.label(), "none", "no key at all");
}

#[tokio::test(start_paused = true)]
async fn a_list_can_be_had_while_every_account_is_out_of_quota_or_busy() {
    let stage = Stage::with(2, false, |config| config.max_concurrent_per_key = 1);
    stage.emulator.settings(|settings| settings.pace.gap_ms = 600_000);
    let held = [
        stage.send(chat("glm-5.2", "x", true)).await,
        stage.send(chat("glm-5.2", "x", true)).await,
    ];
    let before = tokio::time::Instant::now();
    let answer = stage.ask(get("/v1/models")).await;
    assert_eq!((answer.status.as_u16(), before.elapsed().as_secs()), (200, 0));
    assert_ne!(answer.label(), "none", "upstream's own while it answers");
    drop(held);
    let stage = Stage::new(1);
    let quota = Row::GoUsage { window: Window::Weekly, retry_after: 500 };
    stage.fault(Fault::new(Action::Row(quota)));
    assert_eq!(stage.chat("glm-5.2").await.status, 429);
    assert_eq!(stage.ask(get("/v1/models")).await.label(), "a");
}

#[tokio::test(start_paused = true)]
async fn unknown_routes_get_one_attempt_and_blame_nobody() {
    let stage = Stage::new(2);
    let answer = stage.ask(request(Method::POST, "/v1/embeddings?a=b&c=%20d", "{}")).await;
    assert_eq!((answer.status.as_u16(), answer.label()), (404, "a"), "as the service says");
    let entry = stage.emulator.log().pop().unwrap();
    assert_eq!(entry.path, "/zen/go/v1/embeddings?a=b&c=%20d");
    assert!(entry.header("authorization").is_some());
    let usage = stage.ask(get("/v1/usage")).await;
    assert_eq!(usage.status, 200);
    assert!(usage.json()["usage"]["weekly"].is_object());
    for method in [Method::PUT, Method::PATCH, Method::DELETE, Method::GET] {
        let answer = stage.ask(request(method.clone(), "/v1/chat/completions", "")).await;
        assert_eq!(answer.status, 405, "{method}: upstream's own answer");
    }
    for action in [
        Action::Html { status: 502 },
        Action::Row(Row::InvalidKey),
        Action::Row(Row::GoUsage { window: Window::Weekly, retry_after: 99 }),
        Action::Close,
    ] {
        let mark = stage.mark();
        let fault = stage.fault(Fault::new(action.clone()).path("/embeddings"));
        for _ in 0..4 {
            let answer: Answer = stage.ask(request(Method::POST, "/v1/embeddings", "{}")).await;
            assert!(answer.status.as_u16() >= 400, "{action:?}");
        }
        stage.emulator.clear_fault(fault);
        assert_eq!(stage.tried_since(mark).len(), 4, "{action:?}: one attempt each");
        let health = stage.health().await;
        let ready = |key: &Value| key["state"] == "ready";
        assert!(health["keys"].as_array().unwrap().iter().all(ready), "{action:?}: {health}");
    }
    let query = stage.ask(request(Method::POST, "/v1/messages?beta=true", "{\"model\":\"minimax-m3\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}")).await;
    assert_eq!(query.status, 200, "{}", query.text());
    assert_eq!(stage.emulator.log().pop().unwrap().path, "/zen/go/v1/messages?beta=true");
}
