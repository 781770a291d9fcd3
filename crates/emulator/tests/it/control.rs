//! The control API, and the emulator as a process.

use http::Method;
use saros_emulator::{Account, Options, Pace, Ready};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::client::*;

async fn call(client: &mut Client, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let path = format!("/__emulator/{path}");
    let answer = read(client.send(method, &path, &[], &body.to_string()).await.unwrap()).await;
    (answer.status.as_u16(), answer.json())
}

#[tokio::test(start_paused = true)]
async fn accounts_and_quota() {
    let (emulator, _) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let new =
        json!([{"label": "plus", "plan": "go-plus", "percent": {"weekly": 50}}, {"label": "x"}]);
    let (status, added) = call(&mut client, Method::POST, "accounts", &new).await;
    assert_eq!(status, 200);
    assert_eq!(added["keys"][0]["label"], "plus");
    let secret = added["keys"][0]["secret"].as_str().unwrap();
    assert_eq!(secret.len(), 67);
    let (_, state) = call(&mut client, Method::GET, "state", &json!({})).await;
    let plus = &state["accounts"][1];
    assert_eq!(
        plus["usage"]["weekly"],
        json!({
            "used": 60.0, "limit": 120.0, "limited": false, "percent": 50, "resetsIn": 43_200
        })
    );
    let patch = json!({"blocked": true, "balance": 2.5, "percent": {"fiveHour": 100}});
    assert_eq!(call(&mut client, Method::PATCH, "accounts/plus", &patch).await.0, 200);
    let (blocked, balance, refused) = emulator
        .account("plus", |a| (a.blocked, a.balance.to_dollars(), a.quota.admit(NOON).is_err()))
        .unwrap();
    assert!(blocked && refused);
    assert!((balance - 2.5).abs() < 1e-9);
    assert_eq!(call(&mut client, Method::DELETE, "accounts/plus", &json!({})).await.0, 200);
    assert_eq!(call(&mut client, Method::DELETE, "accounts/plus", &json!({})).await.0, 404);
    assert_eq!(call(&mut client, Method::POST, "accounts", &json!({"plan": 7})).await.0, 400);
}

#[tokio::test(start_paused = true)]
async fn faults_models_settings_clock_scripts_log() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let fault =
        json!({"model": "glm-5.2", "times": 1, "action": {"type": "row", "row": "rateLimit"}});
    let (_, ids) = call(&mut client, Method::POST, "faults", &json!([fault, fault])).await;
    assert_eq!(ids["ids"].as_array().unwrap().len(), 2);
    let (_, list) = call(&mut client, Method::GET, "faults", &json!({})).await;
    assert_eq!(list[0]["action"], json!({"type": "row", "row": "rateLimit"}));
    let path = format!("faults/{}", ids["ids"][1]);
    assert_eq!(call(&mut client, Method::DELETE, &path, &json!({})).await.0, 200);
    assert_eq!(client.chat(&key, "glm-5.2").await.kind(), "RateLimitError");
    assert_eq!(client.chat(&key, "glm-5.2").await.status, 200);

    let style = json!({"style": {"separator": "crLf"}});
    assert_eq!(call(&mut client, Method::PATCH, "models/glm-5.2", &style).await.0, 200);
    assert!(client.chat(&key, "glm-5.2").await.text().ends_with("\r\n\r\n"));
    assert_eq!(call(&mut client, Method::PATCH, "models/none", &style).await.0, 404);
    let (status, _) =
        call(&mut client, Method::PUT, "models/mine", &json!({"goMonthly": 30})).await;
    assert_eq!(status, 200);
    assert_eq!(client.chat(&key, "mine").await.status, 200);

    let pace = json!({"pace": {"gapMs": 7}});
    assert_eq!(call(&mut client, Method::PATCH, "settings", &pace).await.0, 200);
    assert_eq!(emulator.settings(|s| s.pace), Pace { gap_ms: 7, ..Pace::default() });

    let (_, clock) =
        call(&mut client, Method::POST, "clock", &json!({"setMs": 5, "advanceMs": 10})).await;
    assert_eq!(clock["nowMs"], 15);

    let script = json!({"turns": [{"text": "Scripted."}]});
    assert_eq!(call(&mut client, Method::PUT, "scripts/*", &script).await.0, 200);
    let answer =
        client.post(CHAT, &headers(&key), r#"{"model":"glm-5.2","tools":[{"name":"x"}]}"#).await;
    assert!(answer.text().contains("Scripted."));
    assert_eq!(call(&mut client, Method::DELETE, "scripts/*", &json!({})).await.0, 200);

    let (_, log) = call(&mut client, Method::GET, "log?since=1", &json!({})).await;
    assert_eq!(log[0]["index"], 1);
    assert_eq!(log[0]["key"], "a");
    assert!(
        log.as_array().unwrap().iter().all(|e| !e["path"].as_str().unwrap().contains("__emulator"))
    );
    let (_, counters) = call(&mut client, Method::GET, "counters", &json!({})).await;
    assert_eq!(counters["keys"]["a"]["refused"], 1);
    assert_eq!(call(&mut client, Method::DELETE, "log", &json!({})).await.0, 200);
    assert!(emulator.log().is_empty());
    assert_eq!(call(&mut client, Method::GET, "nonsense", &json!({})).await.0, 404);
}

#[tokio::test]
async fn as_a_process_with_a_scenario() {
    let folder = std::env::temp_dir().join(format!("saros-emulator-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("scenario.json");
    let scenario = json!({
        "settings": {"country": "CH"},
        "accounts": [{"label": "one"}, {"label": "two", "subscribed": false}],
        "models": {"glm-5.2": {"saturated": true}, "fresh": {}},
        "faults": [{"key": "one", "model": "kimi-k3", "action": {"type": "html", "status": 522}}],
        "scripts": {"fresh": {"turns": [{"text": "Hello."}]}},
        "clock": {"startMs": NOON, "speed": 2.0},
    });
    std::fs::write(&file, scenario.to_string()).unwrap();
    let options = Options { scenario: Some(file.clone()), instant: true, ..Options::default() };
    let (ready, told) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(saros_emulator::run(
        options,
        move |info: &Ready| drop(ready.send(info.clone())),
        async move { drop(stopped.await) },
    ));
    let ready = told.await.unwrap();
    let addr = ready.base_url.strip_prefix("http://").unwrap().to_owned();
    assert_eq!(ready.control_url, format!("http://{addr}/__emulator"));
    let labels: Vec<&str> = ready.keys.iter().map(|key| key.label.as_str()).collect();
    assert_eq!(labels, ["one", "two"]);
    let mut client = Client::h1(tokio::net::TcpStream::connect(&addr).await.unwrap()).await;
    let one = &ready.keys[0];
    assert_eq!(client.chat(one, "glm-5.2").await.status, 429);
    assert_eq!(client.chat(one, "kimi-k3").await.status, 522);
    assert!(client.chat(one, "fresh").await.text().contains("Hell"));
    assert_eq!(client.chat(&ready.keys[1], "hy3").await.status, 401);
    let (_, state) = call(&mut client, Method::GET, "state", &json!({})).await;
    assert!(state["clock"]["nowMs"].as_i64().unwrap() >= NOON);
    assert_eq!(state["clock"]["speed"], 2.0);
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(&addr).await.is_err(), "the port is free again");

    std::fs::write(&file, r#"{"acounts":[]}"#).unwrap();
    let options = Options { scenario: Some(file), ..Options::default() };
    let error = saros_emulator::run(options, |_| {}, async {}).await.unwrap_err();
    assert!(error.to_string().contains("acounts"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
    drop(Account::new("unused"));
}
