//! A new configuration while requests are under way.

use std::sync::Arc;
use std::time::Duration;

use saros_core::pool::State;
use saros_emulator::{Account, Action, Fault};
use saros_proxy::config::watch::{Changes, Report};
use saros_proxy::config::{
    BaseUrl, Config, HeaderTimeout, KeyConfig, OnExhausted, Origins, RequireClientToken,
};
use saros_proxy::secret::Secret;

use crate::sse;
use crate::stage::{Answer, Dialect, Stage, chat, get};

/// The keys with these labels, as they were or, after an `=`, under another label.
fn keys(before: &Config, labels: &str) -> Vec<KeyConfig> {
    let find = |word: &str| {
        let (label, new) = word.split_once('=').unwrap_or((word, word));
        let mut key = before.keys.iter().find(|key| &*key.label == label).unwrap().clone();
        key.label = new.into();
        key
    };
    labels.split_whitespace().map(find).collect()
}

fn config(stage: &Stage) -> Config {
    stage.app.setup().config.clone()
}

#[tokio::test(start_paused = true)]
async fn streams_go_on_while_every_key_is_replaced() {
    for upstream_h2 in [false, true] {
        for client_h2 in [false, true] {
            let stage = Stage::with(6, upstream_h2, |_| {});
            let all = config(&stage);
            stage.app.reload(Config { keys: keys(&all, "a b c"), ..all.clone() });
            stage.emulator.settings(|settings| settings.pace.gap_ms = 5_000);
            let mut held = Vec::new();
            for dialect in Dialect::ALL {
                let request = dialect.request(true);
                let response = if client_h2 {
                    stage.send_h2(request).await
                } else {
                    stage.send(request).await
                };
                held.push((dialect, response));
            }
            // One has not even been answered yet.
            stage.fault(Fault::new(Action::Hang).times(1));
            let late = stage.connect();
            let late = tokio::spawn(crate::stage::send_over(late, chat("glm-5.2", "x", true)));
            stage.seconds(2).await;

            let changes = stage.app.reload(Config { keys: keys(&all, "d e"), ..all.clone() });
            assert_eq!(changes.added.join(""), "de");
            assert_eq!(changes.removed.join(""), "abc");
            assert_eq!(stage.chat("glm-5.2").await.label(), "d");
            assert_eq!(stage.chat("glm-5.2").await.label(), "e");
            assert_eq!(stage.chat("glm-5.2").await.label(), "d");
            for (label, (dialect, response)) in ["a", "b", "c"].into_iter().zip(held) {
                let answer = Answer::read(response).await;
                assert!(answer.complete && answer.label() == label, "{}", answer.text());
                assert!(sse::ended(dialect, &sse::parse(&answer.body)), "{}", answer.text());
            }
            // It is not lost: its own key says nothing in time, another of the new ones serves it.
            let late = Answer::read(late.await.unwrap().unwrap()).await;
            assert_eq!(late.status, 504, "a timeout is no reason to repeat: {}", late.text());
            stage.assert_idle_soon().await;
            assert_eq!(stage.app.pool().standings(stage.app.clock.now()).len(), 2, "retired");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_the_same_keeps_its_connections_and_its_standing() {
    let stage = Stage::new(3);
    for _ in 0..3 {
        stage.chat("glm-5.2").await;
    }
    let before = stage.app.keys();
    let all = config(&stage);
    let changes = stage.app.reload(all.clone());
    assert_eq!(changes, Changes::default());
    assert!(before.iter().zip(stage.app.keys()).all(|(old, new)| Arc::ptr_eq(old, &new)));

    stage.app.reload(Config { keys: keys(&all, "c a=alpha"), ..all.clone() });
    let after = stage.app.keys();
    assert!(Arc::ptr_eq(&after[0], &before[2]) && !Arc::ptr_eq(&after[1], &before[0]));
    let labels: Vec<String> = [stage.chat("glm-5.2").await, stage.chat("glm-5.2").await]
        .iter()
        .map(|answer| answer.label().to_owned())
        .collect();
    assert!(labels.contains(&"c".to_owned()) && labels.contains(&"alpha".to_owned()), "{labels:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reload_gives_dead_keys_another_chance() {
    let stage = Stage::new(1);
    stage.fault(Fault::new(Action::Row(saros_emulator::Row::InvalidKey)).times(1));
    assert_eq!(stage.chat("glm-5.2").await.status, 401);
    assert_eq!(stage.state("a").await, "dead");
    stage.app.reload(config(&stage));
    assert_eq!(stage.app.pool().standings(stage.app.clock.now())[0].state, State::Ready);
    assert_eq!(stage.chat("glm-5.2").await.status, 200);
}

async fn from_origin(stage: &Stage, origin: &str) -> u16 {
    let mut request = get("/");
    request.headers_mut().insert("origin", origin.parse().unwrap());
    stage.ask(request).await.status.as_u16()
}

#[tokio::test(start_paused = true)]
async fn every_limit_applies_at_once() {
    let stage = Stage::new(1);
    assert_eq!(from_origin(&stage, "https://a.b").await, 403);
    let mut new = config(&stage);
    new.allowed_origins = Origins::new(vec!["https://a.b".to_owned()]);
    new.allowed_hosts = vec!["saros.lan".to_owned()];
    new.max_body_bytes = 100;
    new.max_concurrent_per_key = 1;
    new.queue_timeout = Duration::from_secs(3);
    new.breaker_threshold = 1;
    new.header_timeout = HeaderTimeout::Exact(Duration::from_secs(7));
    new.on_exhausted = OnExhausted::Wait;
    let mut changes = stage.app.reload(new.clone()).options;
    changes.sort_unstable();
    assert_eq!(
        changes,
        [
            "allowedHosts",
            "allowedOrigins",
            "circuitBreakerThreshold",
            "maxBodyBytes",
            "maxConcurrentPerKey",
            "onExhausted",
            "queueTimeoutMs",
            "requestTimeoutMs",
        ]
    );
    assert_eq!(from_origin(&stage, "https://a.b").await, 200);
    let mut request = get("/");
    request.headers_mut().insert("host", "saros.lan".parse().unwrap());
    assert_eq!(stage.ask(request).await.status, 200);
    let long = stage.ask(chat("glm-5.2", &"x".repeat(100), false)).await;
    assert_eq!(long.status, 413);

    new.max_body_bytes = 1 << 20;
    stage.app.reload(new.clone());
    stage.emulator.settings(|settings| settings.pace.gap_ms = 60_000);
    let held = stage.send(chat("glm-5.2", "x", true)).await;
    let before = tokio::time::Instant::now();
    assert_eq!(stage.chat("glm-5.2").await.status, 503, "one at a time");
    assert_eq!(before.elapsed().as_secs(), 3);
    drop(held);
    stage.assert_idle_soon().await;

    stage.emulator.settings(|settings| settings.pace.gap_ms = 0);
    stage.fault(Fault::new(Action::Hang).times(1));
    let before = tokio::time::Instant::now();
    assert_eq!(stage.chat("glm-5.2").await.status, 504);
    assert_eq!(before.elapsed().as_secs(), 7);
    assert_eq!(stage.state("a").await, "cooling", "one fault opens the breaker now");
}

#[tokio::test(start_paused = true)]
async fn client_tokens_apply_at_once() {
    let stage = Stage::new(1);
    assert_eq!(stage.chat("glm-5.2").await.status, 200);
    let mut new = config(&stage);
    new.client_tokens = vec![Secret::new("0123456789abcdef".to_owned())];
    assert_eq!(stage.app.reload(new.clone()).options, ["clientTokens"]);
    assert_eq!(stage.chat("glm-5.2").await.status, 401);
    // They look alike when masked, and are different all the same.
    new.client_tokens = vec![Secret::new("0123456789Xbcdef".to_owned())];
    assert_eq!(stage.app.reload(new.clone()).options, ["clientTokens"]);
    new.require_client_token = RequireClientToken::Never;
    stage.app.reload(new);
    assert_eq!(stage.chat("glm-5.2").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn what_needs_a_restart_is_named_and_left_as_it_was() {
    let stage = Stage::new(1);
    let mut new = config(&stage);
    let port = new.port;
    new.port = 4711;
    new.host = "0.0.0.0".to_owned();
    new.request_log = true;
    let changes = stage.app.reload(new);
    assert_eq!(changes.at_restart, ["port", "host", "requestLog"]);
    assert_eq!(changes.options, [""; 0]);
    assert_eq!((config(&stage).port, config(&stage).host), (port, "127.0.0.1".to_owned()));
    assert_eq!(stage.chat("glm-5.2").await.status, 200, "no token is asked for");
}

#[tokio::test(start_paused = true)]
async fn an_upstream_keeps_its_standing_whatever_comes_before_it() {
    let stage = Stage::of(vec![Account::new("a")], false, |config| config.breaker_threshold = 1);
    let all = config(&stage);
    let mut elsewhere = all.keys[0].clone();
    elsewhere.label = "x".into();
    elsewhere.secret = Secret::new("sk-xxxxxxxxxxxxxxxxxxxxxxxx".to_owned());
    elsewhere.base = BaseUrl::parse("http://127.0.0.2:1").unwrap();
    let upstreams = || -> Vec<_> {
        let roster = stage.app.setup().roster();
        roster.keys.iter().map(|key| (key.label.to_string(), key.upstream.0)).collect()
    };
    let is = |label: &str, upstream| (label.to_owned(), upstream);
    assert_eq!(upstreams(), [is("a", 0)]);
    let own = all.keys[0].clone();
    stage.app.reload(Config { keys: vec![elsewhere.clone(), own], ..all.clone() });
    assert_eq!(upstreams(), [is("x", 1), is("a", 0)]);
    stage.app.reload(Config { keys: vec![elsewhere], ..all });
    assert_eq!(upstreams(), [is("x", 1)]);
}

/// Whoever asks for a reload learns what came of it.
#[tokio::test]
async fn a_broken_configuration_changes_nothing_and_says_so() {
    use saros_proxy::config::Problem;
    use saros_proxy::config::problem::Severity;
    use saros_proxy::config::watch::Watch;
    use saros_proxy::server::reload;

    let stage = Stage::new(1);
    let load = || Err(vec![Problem::new(Severity::Error, "`port` cannot be `x`")]);
    let watch = Watch::start(Vec::new(), load).unwrap();
    let asker = watch.asker();
    let before = config(&stage);
    let report = tokio::select! {
        report = asker.ask() => report.unwrap(),
        () = reload::follow(&stage.app, watch) => unreachable!(),
    };
    let Report { applied, problems, .. } = report;
    assert!(!applied && problems[0].what == "`port` cannot be `x`", "{problems:?}");
    assert_eq!(config(&stage), before);
    assert!(stage.app.reloads.get().is_some(), "the endpoint finds it");
}
