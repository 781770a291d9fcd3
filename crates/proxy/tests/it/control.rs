//! `/saros/v1/…`: what the owner's commands ask, and who else may.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use saros_emulator::{Action, Fault, Row};
use saros_proxy::config::problem::{Problem, Severity};
use saros_proxy::config::watch::Watch;
use saros_proxy::config::{BaseUrl, Loaded, RequireClientToken};
use saros_proxy::secret::Secret;
use saros_proxy::server::reload::follow;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stage::{Answer, Stage, chat, get, request};

const CLIENT: &str = "client-token-0123456789";

fn stage(folder: &Path) -> Stage {
    Stage::with(2, false, |config| config.state_dir = folder.join("saros"))
}

fn control_token(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("saros/control.token")).unwrap();
    text.trim().to_owned()
}

fn with(mut request: Request<Full<Bytes>>, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

async fn asked(stage: &Stage, folder: &Path, method: Method, path: &str) -> Answer {
    let token = control_token(folder);
    stage.ask(with(request(method, path, ""), &[("x-api-key", &token)])).await
}

const PATHS: [(Method, &str, u16); 5] = [
    (Method::GET, "/saros/v1/accounts", 200),
    (Method::GET, "/saros/v1/requests/last", 404),
    (Method::GET, "/saros/v1/requests/019a9d2e-5c00-7000-8000-000000000001", 404),
    (Method::POST, "/saros/v1/reload", 501),
    (Method::GET, "/saros/v1/nothing", 404),
];

#[tokio::test(start_paused = true)]
async fn only_with_a_token() {
    let folder = TempDir::new().unwrap();
    let stage = Stage::with(2, false, |config| {
        config.state_dir = folder.path().join("saros");
        config.client_tokens = vec![Secret::new(CLIENT.to_owned())];
        // Waived for the service, never for these.
        config.require_client_token = RequireClientToken::Never;
    });
    let control = control_token(folder.path());
    let bearer = format!("Bearer {control}");
    for (method, path, found) in PATHS {
        for (headers, status) in [
            (vec![], 401),
            (vec![("x-api-key", "wrong-token-0123456789")], 401),
            (vec![("authorization", control.as_str())], 401),
            (vec![("authorization", bearer.as_str())], found),
            (vec![("x-api-key", control.as_str())], found),
            (vec![("x-api-key", CLIENT)], found),
            (vec![("host", "evil.example"), ("x-api-key", CLIENT)], 421),
            (vec![("origin", "https://evil.example"), ("x-api-key", CLIENT)], 403),
        ] {
            let answer = stage.ask(with(request(method.clone(), path, ""), &headers)).await;
            assert_eq!(answer.status, status, "{method} {path} {headers:?}");
            assert!(!answer.text().contains(&control) && !answer.text().contains(CLIENT));
        }
    }
    assert_eq!(stage.chat("glm-5.2").await.status, 200);
    // The control token is for this alone.
    let stage = Stage::with(2, false, |config| {
        config.state_dir = folder.path().join("saros");
        config.client_tokens = vec![Secret::new(CLIENT.to_owned())];
    });
    let chat = with(chat("glm-5.2", "x", false), &[("x-api-key", &control)]);
    assert_eq!(stage.ask(chat).await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn a_page_may_read_at_most() {
    let folder = TempDir::new().unwrap();
    let stage = stage(folder.path());
    let control = control_token(folder.path());
    let from = |origin| [("origin", origin), ("x-api-key", control.as_str())];
    let local = "http://localhost:5173";
    for (method, path, origin, status) in [
        (Method::GET, "/saros/v1/accounts", local, 200),
        (Method::GET, "/saros/v1/accounts", "https://evil.example", 403),
        (Method::GET, "/saros/v1/accounts", "null", 403),
        (Method::HEAD, "/saros/v1/accounts", local, 403),
        (Method::OPTIONS, "/saros/v1/accounts", local, 403),
        (Method::POST, "/saros/v1/reload", local, 403),
        (Method::POST, "/saros/v1/reload", "http://127.0.0.1:3000", 403),
        (Method::DELETE, "/saros/v1/accounts", local, 403),
    ] {
        let answer = stage.ask(with(request(method.clone(), path, ""), &from(origin))).await;
        assert_eq!(answer.status, status, "{method} {path} {origin}");
    }
    let get = asked(&stage, folder.path(), Method::GET, "/saros/v1/reload").await;
    assert_eq!(get.status, 404, "a link reloads nothing");
}

#[tokio::test(start_paused = true)]
async fn without_a_state_folder_a_client_token_is_needed() {
    let stage = Stage::with(1, false, |config| {
        config.client_tokens = vec![Secret::new(CLIENT.to_owned())];
    });
    for (token, status) in [("", 401), (CLIENT, 200)] {
        let answer = stage.ask(with(get("/saros/v1/accounts"), &[("x-api-key", token)])).await;
        assert_eq!(answer.status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn accounts_as_they_stand() {
    let folder = TempDir::new().unwrap();
    let stage = stage(folder.path());
    stage.fault(Fault::new(Action::Row(Row::InvalidKey)).key("a"));
    assert_eq!(stage.chat("glm-5.2").await.label(), "b");
    let answer = asked(&stage, folder.path(), Method::GET, "/saros/v1/accounts").await;
    let figures = answer.json();
    assert!(figures["at"].as_str().unwrap().starts_with("2026-11-19T12:00:"), "{figures}");
    let accounts = figures["accounts"].as_array().unwrap();
    assert_eq!(accounts.len(), 2);
    let a = &accounts[0];
    assert_eq!(a["label"], "a");
    assert_eq!(a["labels"], json!(["a"]));
    assert_eq!((&a["state"], &a["why"]), (&json!("dead"), &json!("key-refused")));
    assert!(a["until"].as_str().unwrap().ends_with('Z'), "{a}");
    assert_eq!((&accounts[1]["state"], &accounts[1]["inFlight"]), (&json!("ready"), &json!(0)));
    for window in ["fiveHour", "weekly", "monthly"] {
        let window = a["windows"][window].as_object().unwrap();
        let names: Vec<&str> = window.keys().map(String::as_str).collect();
        let expected = ["burnPerHour", "forecast", "forfeits", "limited", "percent", "resetsAt"];
        assert_eq!(names, expected);
    }
    for name in ["rotationTax", "switches", "forfeited", "balanceSpent", "since"] {
        assert!(!figures["totals"][name].is_null(), "{name}: {figures}");
    }
    for name in ["dry", "returns", "scarce"] {
        assert!(figures["pool"].get(name).is_some(), "{name}: {figures}");
    }
    assert!(figures["models"].is_array() && figures["caches"].is_array());
    let text = answer.text();
    assert!(stage.emulator.keys().iter().all(|key| !text.contains(&key.secret)));
}

#[tokio::test(start_paused = true)]
async fn requests_that_have_ended() {
    let folder = TempDir::new().unwrap();
    let stage = Stage::with(2, false, |config| {
        config.state_dir = folder.path().join("saros");
        for key in &mut config.keys {
            // This one names the list price.
            key.base = BaseUrl::parse("http://127.0.0.1:1/inference/go").unwrap();
        }
    });
    stage.fault(Fault::new(Action::Html { status: 502 }).key("a").times(1));
    let first = stage.chat("glm-5.2").await;
    let id = first.header("x-proxy-request-id").to_owned();
    let path = format!("/saros/v1/requests/{id}");
    let told = asked(&stage, folder.path(), Method::GET, &path).await.json();
    let entry = stage.emulator.log().pop().unwrap();
    let tokens = entry.tokens.unwrap();
    for (name, value) in [
        ("id", json!(id)),
        ("at", json!("2026-11-19T12:00:00.000Z")),
        ("format", json!("chat")),
        ("model", json!("glm-5.2")),
        ("status", json!(200)),
        ("end", json!("complete")),
        ("label", json!("b")),
        ("attempts", json!(2)),
        ("failed", json!([{ "label": "a", "fault": "gateway" }])),
        ("replayed", json!(true)),
        ("bytesOut", json!(first.body.len())),
    ] {
        assert_eq!(told[name], value, "{name} in {told}");
    }
    assert_eq!(told["tokens"]["input"], tokens.input + tokens.cached + tokens.cache_write);
    assert_eq!(told["tokens"]["output"], tokens.output);
    assert_eq!(told["session"].as_str().unwrap().len(), 16);
    let cost = told["listCost"].as_f64();
    assert!(cost.is_some_and(|cost| cost > 0.0), "{told}");
    // The proxy's own pages are no requests, and not the last one.
    for path in ["/health", "/", "/nothing", "/v1/models", "/saros/v1/accounts"] {
        stage.ask(get(path)).await;
    }
    let last = async |stage: &Stage| -> Value {
        asked(stage, folder.path(), Method::GET, "/saros/v1/requests/last").await.json()
    };
    assert_eq!(last(&stage).await["id"], id);
    stage.fault(Fault::new(Action::Row(Row::InvalidKey)));
    let refused = stage.chat("glm-5.2").await;
    let told = last(&stage).await;
    assert_eq!(told["id"], refused.header("x-proxy-request-id"));
    assert_eq!((&told["status"], &told["tokens"]), (&json!(401), &Value::Null));
    assert_eq!(told["failed"].as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn reload_tells_what_came_of_it() {
    let folder = TempDir::new().unwrap();
    for wrong in [false, true] {
        let stage = stage(folder.path());
        let mut config = stage.app.setup().config.clone();
        config.keys.pop();
        let problem = Problem::new(Severity::Error, "`port` cannot be `0`");
        let watch = Watch::start(Vec::new(), move || {
            if wrong {
                return Err(vec![problem.clone()]);
            }
            Ok(Loaded {
                config: config.clone(),
                warnings: Vec::new(),
                source: None,
                places: Vec::new(),
            })
        });
        let app = Arc::clone(&stage.app);
        let following = tokio::spawn(async move { follow(&app, watch.unwrap()).await });
        stage.settle().await;
        let answer = asked(&stage, folder.path(), Method::POST, "/saros/v1/reload").await;
        let told = answer.json();
        if wrong {
            assert_eq!((answer.status.as_u16(), &told["applied"]), (422, &json!(false)));
            assert_eq!(told["problems"][0]["what"], "`port` cannot be `0`");
            assert_eq!(stage.app.keys().len(), 2);
        } else {
            assert_eq!((answer.status.as_u16(), &told["applied"]), (200, &json!(true)));
            assert_eq!(told["removed"], json!(["b"]));
            assert_eq!(stage.app.keys().len(), 1);
        }
        following.abort();
    }
}
