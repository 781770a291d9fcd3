//! Bodies of every size and fate, and answers of every status.

use std::time::Duration;

use bytes::Bytes;
use saros_emulator::{Action, Fault};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stage::{Answer, Stage, chat, get};

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_while_the_body_is_sent_is_relayed() {
    for h2 in [false, true] {
        let stage = Stage::with(1, h2, |_| {});
        let answer = Action::Answer {
            status: 400,
            headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
            body: "too much".to_owned(),
        };
        stage.fault(Fault::new(answer).before_body().times(1));
        let long = "x".repeat(4 << 20);
        let answer = stage.ask(chat("glm-5.2", &long, true)).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (400, "too much"), "h2 {h2}");
        stage.assert_idle().await;
        assert_eq!(stage.chat("glm-5.2").await.status, 200, "h2 {h2}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_statuses_pass_as_they_are() {
    for h2 in [false, true] {
        for status in [201, 204, 206, 301, 302, 304, 307] {
            let stage = Stage::with(1, h2, |_| {});
            let headers = vec![("location".to_owned(), "https://elsewhere.example/".to_owned())];
            let body = if matches!(status, 204 | 304) { "" } else { "body" }.to_owned();
            stage
                .fault(Fault::new(Action::Answer { status, headers, body: body.clone() }).times(1));
            let answer = stage.chat("glm-5.2").await;
            assert_eq!((answer.status.as_u16(), answer.text()), (status, body.as_str()));
            assert_eq!(answer.header("location"), "https://elsewhere.example/");
            assert_eq!(stage.tried_since(0), "a", "redirects are not followed");
            assert!(answer.complete);
            stage.assert_idle().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_have_a_limit_however_they_come() {
    let stage = Stage::with(1, false, |config| config.max_body_bytes = 1_000);
    // Declared: refused before a byte of it is asked for.
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n";
    let answer = stage.raw(format!("{head}content-length: 1001\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("Request body too large"), "{answer}");
    let expecting = format!("{head}expect: 100-continue\r\ncontent-length: 1001\r\n\r\n");
    let answer = stage.raw(expecting.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Within the limit: the client is told to go on.
    let body = r#"{"model":"glm-5.2","messages":[{"role":"user","content":"hello"}]}"#;
    let length = body.len();
    let expecting = format!("{head}expect: 100-continue\r\ncontent-length: {length}\r\n\r\n");
    let mut stream = stage.connect();
    stream.write_all(expecting.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.unwrap();
    let answer = crate::stage::read_until_quiet(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(stage.emulator.log()[0].header("expect"), None, "not forwarded");
    // In chunks: as soon as it is too much.
    let mut chunked = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..3 {
        chunked.extend(format!("190\r\n{}\r\n", "x".repeat(400)).into_bytes());
    }
    let answer = stage.raw(&chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(stage.emulator.log().len(), 1);
    assert_eq!(stage.memory_held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_large_body_arrives_whole_and_is_not_held_once_an_answer_comes() {
    for h2 in [false, true] {
        let stage = Stage::with(2, h2, |_| {});
        stage.fault(Fault::new(Action::Html { status: 502 }).times(1));
        stage.emulator.settings(|settings| settings.pace.gap_ms = 1_000);
        let request = chat("glm-5.2", &"\u{e9}".repeat(4 << 20), true);
        let sent = {
            use http_body_util::BodyExt;
            request.body().clone().collect().await.unwrap().to_bytes()
        };
        let response = stage.send(request).await;
        assert_eq!(response.headers()["x-proxy-key-label"], "b");
        assert_eq!(stage.memory_held(), 0, "freed when a 2xx arrives");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &sent);
        let hex = |text: String, byte: &u8| text + &format!("{byte:02x}");
        let digest = digest.as_ref().iter().fold(String::new(), hex);
        for entry in stage.emulator.log() {
            assert_eq!(entry.body_len, sent.len() as u64, "h2 {h2}");
            assert_eq!(entry.body_sha256.as_deref(), Some(digest.as_str()), "h2 {h2}");
        }
        assert!(Answer::read(response).await.complete);
        stage.assert_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn held_bodies_have_a_budget_together() {
    let stage = Stage::with(1, false, |config| config.max_body_bytes = 100 << 20);
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n";
    let large = format!("{head}content-length: {}\r\n\r\n", 100 << 20);
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut stream = stage.connect();
        stream.write_all(large.as_bytes()).await.unwrap();
        waiting.push(stream);
    }
    stage.settle().await;
    assert_eq!(stage.memory_held(), 0, "what is only promised takes nothing from others");
    for stream in waiting.iter_mut().take(2) {
        stream.write_all(&vec![b' '; (100 << 20) - 1]).await.unwrap();
    }
    stage.settle().await;
    assert_eq!(stage.memory_held(), (200 << 20) - 2);
    let answer = stage.raw(large.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("retry-after: "), "{answer}");
    assert_eq!(stage.chat("glm-5.2").await.status, 200, "small ones go on");
    drop(waiting);
    stage.settle().await;
    assert_eq!(stage.memory_held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_given_up() {
    let stage = Stage::new(1);
    let mut stream = stage.connect();
    let head =
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    stage.seconds(299).await;
    assert_eq!(stage.health().await["activeRequests"], 1);
    stage.seconds(2).await;
    let answer = crate::stage::read_until_quiet(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    // Broken off by the client.
    let mut stream = stage.connect();
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(stream);
    stage.settle().await;
    assert_eq!(stage.health().await["activeRequests"], 0);
    assert_eq!(stage.tried_since(0), "");
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_not_understood_pass_and_are_not_metered() {
    let stage = Stage::new(1);
    for (name, value) in [("content-encoding", "gzip"), ("content-type", "text/plain")] {
        let headers = vec![(name.to_owned(), value.to_owned())];
        let body = "not what it says it is".to_owned();
        let action = Action::Answer { status: 200, headers, body: body.clone() };
        stage.fault(Fault::new(action).times(1));
        let answer = stage.ask(chat("glm-5.2", "hello", true)).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, body.as_str()));
        assert_eq!(answer.header(name), value);
    }
    assert_eq!(stage.health().await["disabledCount"], 0);
}

#[tokio::test(start_paused = true)]
async fn trailers_pass() {
    let stage = Stage::new(1);
    stage.network.answers_raw(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\
         trailer: x-sum\r\n\r\n2\r\n{}\r\n0\r\nx-sum: 7\r\n\r\n",
    );
    let answer = Answer::read(stage.send_h2(chat("glm-5.2", "hello", false)).await).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "{}"));
    assert_eq!(answer.trailers.unwrap()["x-sum"], "7");
    stage.settle().await;
    assert_eq!(stage.app.pool().in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn nonsense_from_upstream_is_a_502_and_never_a_hang() {
    for nonsense in [
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 7\r\n\r\nhello",
        "HTTP/1.1 99999 ?\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
    ] {
        let stage = Stage::new(2);
        stage.network.answers_raw(nonsense);
        let answer = stage.chat("glm-5.2").await;
        assert_eq!(answer.status, 502, "{nonsense}: {}", answer.text());
        assert_eq!(stage.app.pool().in_flight(), 0);
    }
    // Nobody asked for another protocol, so there is none to switch to.
    for request in [get("/v1/unknown"), crate::stage::chat("glm-5.2", "hello", false)] {
        let stage = Stage::new(1);
        stage.network.answers_raw("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\nbytes");
        let answer = stage.ask(request).await;
        assert_eq!(answer.status, 502, "{}", answer.text());
        stage.assert_idle().await;
    }
    // Interim answers come first; they are not the answer.
    let stage = Stage::new(1);
    stage.network.answers_raw(
        "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    );
    let answer = stage.chat("glm-5.2").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "{}"));
    stage.wait(Duration::from_secs(1)).await;
    let health = stage.ask(get("/health")).await;
    assert_eq!(health.body.first(), Bytes::from_static(b"{").first());
}
