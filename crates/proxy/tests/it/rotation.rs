//! Who serves: strict rotation over usable accounts, idle before busy.

use std::sync::Arc;
use std::time::Duration;

use saros_emulator::{Action, Fault, Row};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::stage::{Answer, Dialect, Stage, chat};

#[tokio::test(start_paused = true)]
async fn requests_rotate_in_order() {
    let stage = Stage::new(3);
    let mut served = String::new();
    for _ in 0..7 {
        let answer = stage.chat("glm-5.2").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        served.push_str(answer.label());
    }
    assert_eq!(served, "abcabca");
}

#[tokio::test(start_paused = true)]
async fn an_account_in_use_is_passed_over_while_an_idle_one_exists() {
    let stage = Stage::new(2);
    stage.emulator.fault(Fault::new(Action::Drip { bytes: 40, gap_ms: 60_000 }).times(1));
    let held = stage.send(chat("glm-5.2", "hello", true)).await;
    assert_eq!(held.headers()["x-proxy-key-label"], "a");
    for _ in 0..3 {
        assert_eq!(stage.chat("glm-5.2").await.label(), "b", "a's stream is still open");
    }
    let held = Answer::read(held).await;
    assert!(held.complete && held.text().contains("[DONE]"), "{}", held.text());
    assert_eq!(stage.chat("glm-5.2").await.label(), "a");
}

#[tokio::test(start_paused = true)]
async fn rotation_does_not_depend_on_format_model_or_client_protocol() {
    for h2 in [false, true] {
        let stage = Stage::with(3, h2, |_| {});
        let mut served = String::new();
        for turn in 0..9 {
            let dialect = Dialect::ALL[turn % 3];
            let request = dialect.request(turn % 2 == 0);
            let response =
                if turn % 4 < 2 { stage.send(request).await } else { stage.send_h2(request).await };
            served.push_str(Answer::read(response).await.label());
        }
        assert_eq!(served, "abcabcabc");
    }
}

/// A stream that is held open for a while.
async fn hold(stage: &Stage) -> http::Response<hyper::body::Incoming> {
    stage.send(chat("glm-5.2", "hello", true)).await
}

fn limited(config: &mut saros_proxy::config::Config) {
    config.max_concurrent_per_key = 1;
}

#[tokio::test(start_paused = true)]
async fn with_a_limit_requests_wait_their_turn_and_are_told_when_it_takes_too_long() {
    let stage = Stage::with(2, false, limited);
    stage.emulator.settings(|settings| settings.pace.gap_ms = 1_000_000);
    let (one, two) = (hold(&stage).await, hold(&stage).await);
    let before = tokio::time::Instant::now();
    for dialect in Dialect::ALL {
        let answer = stage.ask(dialect.request(true)).await;
        assert_eq!(answer.status, 503, "{dialect:?}");
        assert!(answer.retry_after().is_some_and(|seconds| seconds <= 5));
    }
    assert_eq!(before.elapsed().as_secs(), 90, "queueTimeoutMs each");
    assert_eq!(stage.emulator.counters().total.max_in_flight, 2);
    drop(one);
    stage.settle().await;
    assert_eq!(hold(&stage).await.headers()["x-proxy-key-label"], "a", "its slot is free again");
    drop(two);
    stage.assert_idle_soon().await;
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_first_come_first_served() {
    let stage = Arc::new(Stage::with(1, false, limited));
    stage.emulator.settings(|settings| settings.pace.headers_ms = 2_000);
    let mut running = JoinSet::new();
    for number in 0..8 {
        let stage = Arc::clone(&stage);
        let prompt = format!("number {number}");
        running.spawn(async move { stage.ask(chat("glm-5.2", &prompt, false)).await.status });
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let all = running.join_all().await;
    assert!(all.iter().all(|status| *status == 200), "{all:?}");
    let order: Vec<String> = stage
        .emulator
        .log()
        .iter()
        .map(|entry| {
            let body: Value = serde_json::from_slice(entry.body.as_ref().unwrap()).unwrap();
            body["messages"][0]["content"].as_str().unwrap().replace("number ", "")
        })
        .collect();
    assert_eq!(order.concat(), "01234567");
    assert_eq!(stage.emulator.counters().total.max_in_flight, 1);
    stage.assert_idle().await;
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_queue_holds_up_nobody() {
    let stage = Arc::new(Stage::with(1, false, limited));
    stage.emulator.settings(|settings| settings.pace.headers_ms = 5_000);
    let first = tokio::spawn({
        let stage = Arc::clone(&stage);
        async move { stage.chat("glm-5.2").await.status }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let stage = Arc::clone(&stage);
        waiting.push(tokio::spawn(async move { stage.chat("glm-5.2").await.status }));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    waiting[0].abort();
    waiting[1].abort();
    let last = waiting.pop().unwrap();
    assert_eq!((first.await.unwrap().as_u16(), last.await.unwrap().as_u16()), (200, 200));
    assert_eq!(stage.tried_since(0), "aa", "those who left never reached the service");
    stage.assert_idle().await;
}

#[tokio::test(start_paused = true)]
async fn the_queue_has_an_end() {
    let stage = Arc::new(Stage::with(1, false, limited));
    stage.emulator.settings(|settings| settings.pace.headers_ms = 1_000_000);
    let mut running = JoinSet::new();
    for _ in 0..1_030 {
        let stage = Arc::clone(&stage);
        running.spawn(async move { stage.chat("glm-5.2").await.status.as_u16() });
    }
    stage.seconds(1).await;
    let mut refused = 0;
    while let Some(Ok(status)) = running.try_join_next() {
        assert_eq!(status, 503);
        refused += 1;
    }
    assert_eq!(refused, 1_030 - 1 - 1_024);
    drop(running);
    stage.assert_idle_soon().await;
}

#[tokio::test(start_paused = true)]
async fn many_at_once_share_accounts_and_connections_evenly() {
    for h2 in [false, true] {
        let stage = Arc::new(Stage::with(3, h2, |_| {}));
        stage.emulator.settings(|settings| settings.pace.gap_ms = 100);
        let mut running = JoinSet::new();
        for number in 0..300_usize {
            let stage = Arc::clone(&stage);
            running.spawn(async move {
                let request = Dialect::ALL[number % 3].request(number % 5 > 0);
                let response = if number % 2 == 0 {
                    stage.send(request).await
                } else {
                    stage.send_h2(request).await
                };
                let answer = Answer::read(response).await;
                assert!(answer.status == 200 && answer.complete, "{}", answer.text());
            });
        }
        assert_eq!(running.join_all().await.len(), 300);
        for label in ["a", "b", "c"] {
            assert_eq!(stage.attempts(label), 100, "h2 {h2}");
        }
        // HTTP/2: a hundred streams a connection. HTTP/1.1: one request a connection.
        assert_eq!(stage.network.dialled(), if h2 { 3 } else { 300 });
        stage.assert_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_http2_connection_gets_another_beside_it_and_nothing_queues() {
    for limit in [100, 3] {
        let stage = Arc::new(Stage::with(1, true, |_| {}));
        stage.emulator.settings(|settings| settings.connection.max_streams = limit);
        assert_eq!(stage.ask(chat("glm-5.2", "hello", false)).await.status, 200);
        stage.emulator.settings(|settings| settings.pace.gap_ms = 60_000);
        let streams = usize::try_from(limit).unwrap() * 2 + 1;
        let mut held = Vec::new();
        for _ in 0..streams {
            let before = tokio::time::Instant::now();
            held.push(hold(&stage).await);
            assert!(before.elapsed() < Duration::from_secs(1), "limit {limit}");
        }
        assert_eq!(stage.emulator.in_flight(), streams as u64);
        assert_eq!(stage.network.dialled(), 3, "limit {limit}");
        drop(held);
        stage.assert_idle_soon().await;
    }
}

/// Three requests at once to a scope whose breaker is half-open: one is its trial, and the others
/// wait for what it teaches.
async fn check_trial(row: Row, seconds: u64, refused: u16) {
    let name = format!("{row:?}");
    for recovers in [true, false] {
        let stage = Arc::new(Stage::new(1));
        let fault = stage.fault(Fault::new(Action::Row(row.clone())).delay_ms(2_000));
        for _ in 0..3 {
            assert!(stage.chat("glm-5.2").await.status.as_u16() >= 400, "{name}");
        }
        if recovers {
            stage.emulator.clear_fault(fault);
            stage.emulator.settings(|settings| settings.pace.headers_ms = 2_000);
        }
        stage.seconds(seconds).await;
        let mark = stage.mark();
        let begin = stage.emulator.clock().now_ms();
        let mut running = JoinSet::new();
        for _ in 0..3 {
            let stage = Arc::clone(&stage);
            running.spawn(async move { stage.chat("glm-5.2").await.status.as_u16() });
        }
        let mut statuses = running.join_all().await;
        statuses.sort_unstable();
        let begun: Vec<i64> =
            stage.emulator.log_since(mark).iter().map(|entry| entry.at_ms - begin).collect();
        if recovers {
            assert_eq!(statuses, [200; 3], "{name}");
            assert!(
                begun[0] < 100 && begun[1..].iter().all(|at| *at >= 2_000),
                "{name}: {begun:?}"
            );
        } else {
            assert_eq!(begun.len(), 1, "{name}: one trial, in vain");
            let others = statuses.iter().filter(|status| **status == 503).count();
            assert!(statuses.contains(&refused) && others >= 2, "{name}: {statuses:?}");
        }
        stage.assert_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_trial_is_alone_and_the_others_wait_for_it() {
    check_trial(Row::Internal, 61, 502).await;
    check_trial(Row::ProviderSaturated, 11, 429).await;
    check_trial(Row::InferenceDown, 3, 503).await;
}
