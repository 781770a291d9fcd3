//! Stopping: what runs is finished, what takes too long is told so, and nothing new begins.

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use saros_emulator::{Action, Fault, Script};
use saros_proxy::server::shutdown::{Ended, shutdown};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

use crate::sse::{self, Event};
use crate::stage::{Answer, Dialect, Stage, read_until_quiet};

const CLIENTS: [bool; 2] = [false, true];

async fn send(stage: &Stage, h2: bool, dialect: Dialect, stream: bool) -> Response<Incoming> {
    let request = dialect.request(stream);
    if h2 { stage.send_h2(request).await } else { stage.send(request).await }
}

/// Asks the proxy to stop; a second signal comes after `hurry`.
fn stop(stage: &Stage, hurry: Option<Duration>) -> JoinHandle<Ended> {
    let app = Arc::clone(&stage.app);
    tokio::spawn(async move {
        let second = async {
            match hurry {
                Some(span) => tokio::time::sleep(span).await,
                None => std::future::pending().await,
            }
        };
        shutdown(&app, second).await
    })
}

fn slow(stage: &Stage, gap_ms: u64) {
    stage.emulator.settings(|settings| settings.pace.gap_ms = gap_ms);
}

#[tokio::test(start_paused = true)]
async fn running_requests_are_finished() {
    for h2 in CLIENTS {
        for upstream_h2 in CLIENTS {
            let stage = Arc::new(Stage::with(2, upstream_h2, |_| {}));
            slow(&stage, 2_000);
            let mut held = Vec::new();
            for dialect in Dialect::ALL {
                held.push((dialect, send(&stage, h2, dialect, true).await));
            }
            let waiting = tokio::spawn({
                let stage = Arc::clone(&stage);
                async move { Answer::read(send(&stage, h2, Dialect::Chat, false).await).await }
            });
            let idle = stage.connect();
            stage.seconds(1).await;
            let stopping = stop(&stage, None);
            for (dialect, response) in held {
                let answer = Answer::read(response).await;
                assert!(answer.complete, "{dialect:?} h2 {h2}");
                assert!(sse::ended(dialect, &sse::parse(&answer.body)), "{}", answer.text());
            }
            assert_eq!(waiting.await.unwrap().status, 200);
            let before = tokio::time::Instant::now();
            assert_eq!(stopping.await.unwrap(), Ended::Drained, "h2 {h2} {upstream_h2}");
            assert!(before.elapsed() < Duration::from_secs(1), "and then it is over");
            drop(idle);
            stage.assert_idle().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_runs_so_it_ends_at_once() {
    let stage = Stage::new(1);
    // An idle connection of a client, kept open after an answer.
    let mut idle = stage.connect();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert!(read_until_quiet(&mut idle).await.starts_with("HTTP/1.1 200"));
    stage.chat("glm-5.2").await;
    let before = tokio::time::Instant::now();
    assert_eq!(stop(&stage, None).await.unwrap(), Ended::Drained);
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_ends_with_an_error_event() {
    for h2 in CLIENTS {
        let timeout = Duration::from_secs(20);
        let stage = Stage::with(2, false, |config| config.shutdown_timeout = timeout);
        slow(&stage, 7_000);
        let mut held = Vec::new();
        for dialect in Dialect::ALL {
            held.push((dialect, send(&stage, h2, dialect, true).await));
        }
        let before = tokio::time::Instant::now();
        let stopping = stop(&stage, None);
        for (dialect, response) in held {
            let answer = Answer::read(response).await;
            assert!(answer.complete, "{dialect:?} h2 {h2}: {}", answer.text());
            let events = sse::parse(&answer.body);
            assert_eq!(events.iter().filter(|event| event.is_error()).count(), 1, "{dialect:?}");
            assert!(events.last().is_some_and(Event::is_error), "{}", answer.text());
            assert!(answer.text().contains("shutting down"), "{}", answer.text());
            assert!(!answer.text().contains("[DONE]"));
        }
        assert_eq!(before.elapsed(), timeout, "h2 {h2}");
        assert_eq!(stopping.await.unwrap(), Ended::Cut);
        stage.settle().await;
        assert!(stage.emulator.log().iter().all(|entry| entry.aborted), "given up upstream too");
        assert_eq!(stage.app.pool().in_flight(), 0);
        let standings = stage.app.pool().standings(stage.app.clock.now());
        assert!(standings.iter().all(|s| s.last_fault.is_none()), "nobody is to blame");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_without_an_answer_yet_are_told_in_their_own_format() {
    for h2 in CLIENTS {
        for dialect in Dialect::ALL {
            let short = Duration::from_secs(5);
            let stage = Arc::new(Stage::with(1, false, |config| config.shutdown_timeout = short));
            stage.fault(Fault::new(Action::Hang));
            let waiting = tokio::spawn({
                let stage = Arc::clone(&stage);
                async move { Answer::read(send(&stage, h2, dialect, true).await).await }
            });
            stage.seconds(1).await;
            let stopping = stop(&stage, None);
            let answer = waiting.await.unwrap();
            assert_eq!(answer.status, 503, "{dialect:?} h2 {h2}");
            assert!(answer.retry_after().is_some());
            assert_eq!(answer.header("x-proxy-request-id").len(), 36);
            assert_eq!(answer.json()["type"] == "error", dialect != Dialect::Chat, "its shape");
            assert_eq!(stopping.await.unwrap(), Ended::Cut);
            stage.assert_idle().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_ends_at_once_and_says_so() {
    for h2 in CLIENTS {
        let stage = Arc::new(Stage::new(2));
        slow(&stage, 60_000);
        let mut held = Vec::new();
        for dialect in Dialect::ALL {
            held.push((dialect, send(&stage, h2, dialect, true).await));
        }
        let waiting = tokio::spawn({
            let stage = Arc::clone(&stage);
            async move { Answer::read(send(&stage, h2, Dialect::Chat, false).await).await }
        });
        stage.settle().await;
        let before = tokio::time::Instant::now();
        let wait = Duration::from_secs(3);
        let stopping = stop(&stage, Some(wait));
        for (dialect, response) in held {
            let answer = Answer::read(response).await;
            assert!(answer.complete, "{dialect:?} h2 {h2}: {}", answer.text());
            let events = sse::parse(&answer.body);
            assert_eq!(events.iter().filter(|event| event.is_error()).count(), 1, "{dialect:?}");
            assert!(events.last().is_some_and(Event::is_error), "{}", answer.text());
            assert!(answer.text().contains("shutting down"), "{}", answer.text());
        }
        assert_eq!(waiting.await.unwrap().status, 503);
        assert_eq!(stopping.await.unwrap(), Ended::Cut, "h2 {h2}");
        assert_eq!(before.elapsed(), wait, "h2 {h2}: nothing was waited for");
        assert_eq!(stage.app.pool().in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_does_not_wait_for_who_does_not_listen() {
    for timeout in [Duration::from_secs(60), Duration::ZERO] {
        let stage = Stage::with(1, false, |config| config.shutdown_timeout = timeout);
        // More than a pipe takes, to a client that reads nothing.
        let script = Script::shell(&[], &"word ".repeat(100_000));
        stage.emulator.script("glm-5.2", script);
        let held = send(&stage, false, Dialect::Chat, true).await;
        stage.settle().await;
        let before = tokio::time::Instant::now();
        // The second signal comes while it drains, or while last words are said.
        let ended = stop(&stage, Some(Duration::from_secs(1))).await.unwrap();
        assert_eq!((ended, before.elapsed().as_millis()), (Ended::Cut, 1_200), "{timeout:?}");
        drop(held);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_new_begins_while_draining() {
    for h2 in CLIENTS {
        let stage = Stage::new(1);
        slow(&stage, 2_000);
        let held = send(&stage, h2, Dialect::Chat, true).await;
        // A connection that is in the middle of a request when draining begins.
        let mut busy = stage.connect();
        busy.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n").await.unwrap();
        stage.settle().await;
        let stopping = stop(&stage, None);
        stage.settle().await;
        for dialect in Dialect::ALL {
            // Nobody listens any more; a connection that slipped in is closed unanswered.
            if let Ok(response) = stage.try_send(dialect.request(true)).await {
                assert_eq!(response.status(), 503, "{dialect:?}");
            }
        }
        busy.write_all(b"content-length: 2\r\n\r\n{}").await.unwrap();
        let answer = read_until_quiet(&mut busy).await;
        assert!(answer.starts_with("HTTP/1.1 503"), "it had begun before: {answer}");
        assert!(answer.contains("retry-after") && answer.contains("connection: close"), "{answer}");
        assert!(Answer::read(held).await.complete);
        assert_eq!(stopping.await.unwrap(), Ended::Drained);
        assert_eq!(stage.tried_since(0), "a", "only the one from before");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_slot_is_served_while_draining() {
    let stage = Arc::new(Stage::with(1, false, |config| config.max_concurrent_per_key = 1));
    slow(&stage, 1_000);
    let held = send(&stage, false, Dialect::Chat, true).await;
    let waiting = tokio::spawn({
        let stage = Arc::clone(&stage);
        async move { stage.chat("glm-5.2").await.status.as_u16() }
    });
    stage.settle().await;
    let stopping = stop(&stage, None);
    assert!(Answer::read(held).await.complete);
    assert_eq!(waiting.await.unwrap(), 200);
    assert_eq!(stopping.await.unwrap(), Ended::Drained);
}
