//! Faults on HTTP/1.1, as a client feels them.

use http::Method;
use saros_emulator::{Action, After, Fault, Stage, Then};
use tokio::time::Instant;

use crate::client::*;

#[tokio::test(start_paused = true)]
async fn delay_hang_and_close() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    emulator.fault(Fault::new(Action::Pass).delay_ms(5_000).times(1));
    let begun = Instant::now();
    assert_eq!(client.chat(&key, "glm-5.2").await.status, 200);
    assert_eq!(begun.elapsed().as_secs(), 5);

    emulator.fault(Fault::new(Action::Hang).times(1));
    let headers = headers(&key);
    let body = ask("glm-5.2");
    let hanging = client.send(Method::POST, CHAT, &headers, &body);
    let day = std::time::Duration::from_hours(24);
    assert!(tokio::time::timeout(day, hanging).await.is_err());
    drop(client);
    let left = emulator.logged(|e| e.status == Some(499)).await;
    assert!(left.aborted, "the client's leaving is noticed");

    for action in [Action::Close, Action::Reset, Action::RefuseStream] {
        let mut client = Client::pipe(&emulator).await;
        emulator.fault(Fault::new(action).times(1));
        let error = client.send(Method::POST, CHAT, &headers, &body).await.unwrap_err();
        assert!(error.is_incomplete_message() || error.is_closed(), "{error:?}");
    }
    assert_eq!(emulator.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn streams_break_where_told() {
    let (emulator, key) = emulator();
    let whole = Client::pipe(&emulator).await.chat(&key, "glm-5.2").await;
    let complete = events(whole.text()).len();
    let broken = async |after, then| {
        emulator.fault(Fault::new(Action::Stream { after, then }).times(1));
        Client::pipe(&emulator).await.chat(&key, "glm-5.2").await
    };
    let answer = broken(After::Events(3), Then::Cut).await;
    assert_eq!((answer.status.as_u16(), events(answer.text()).len()), (200, 3));
    assert!(answer.broken.is_some());
    let answer = broken(After::Bytes(500), Then::Reset).await;
    assert_eq!(answer.body.len(), 500);
    assert!(answer.broken.is_some());
    let answer = broken(After::Terminal, Then::End).await;
    assert!(answer.broken.is_none(), "a clean end");
    assert!(!answer.text().contains("[DONE]") && !answer.text().contains(r#""stop""#));
    assert_eq!(
        events(answer.text()).len(),
        complete - 4,
        "finish, usage, [DONE] and cost are gone"
    );
    let answer = broken(After::Events(2), Then::Error).await;
    assert!(answer.broken.is_none());
    let last = events(answer.text()).pop().unwrap();
    assert!(last.starts_with(r#"{"error":{"message":"#), "{last}");
    assert_eq!(emulator.counters().total.aborted, 2);
    let used = emulator.log().iter().filter(|e| e.tokens.is_some()).count();
    assert_eq!(used, 1, "only the first was charged");
}

#[tokio::test(start_paused = true)]
async fn the_error_event_is_the_formats_own() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let action = Action::Stream { after: After::Events(2), then: Then::Error };
    emulator.fault(Fault::new(action).stage(Stage::Provider));
    let answer = client.post(MESSAGES, &headers(&key), &ask("minimax-m3")).await;
    assert!(answer.text().contains("event: error\ndata: {\"type\":\"error\",\"error\":{"));
    let answer = client.post(RESPONSES, &headers(&key), &ask("gpt-6-luna")).await;
    assert!(answer.text().contains("event: response.failed\n"));
}

#[tokio::test(start_paused = true)]
async fn a_stall_lasts_until_the_client_leaves() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let action = Action::Stream { after: After::Events(1), then: Then::Stall };
    emulator.fault(Fault::new(action).times(1));
    let response = client.send(Method::POST, CHAT, &headers(&key), &ask("glm-5.2")).await.unwrap();
    let mut body = response.into_body();
    next(&mut body).await.unwrap().unwrap();
    let day = std::time::Duration::from_hours(24);
    assert!(tokio::time::timeout(day, next(&mut body)).await.is_err());
    drop((body, client));
    emulator.until(|e| e.in_flight() == 0).await;
    assert_eq!(emulator.counters().total.aborted, 1);
}

#[tokio::test(start_paused = true)]
async fn a_drip_changes_no_byte() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let whole = client.post(CHAT, &headers(&key), r#"{"model":"glm-5.2"}"#).await;
    emulator.fault(Fault::new(Action::Drip { bytes: 10, gap_ms: 1_000 }).times(1));
    let begun = Instant::now();
    let drip = client.post(CHAT, &headers(&key), r#"{"model":"glm-5.2"}"#).await;
    assert_eq!(drip.body.len(), whole.body.len());
    assert_eq!(begun.elapsed().as_secs(), whole.body.len().div_ceil(10) as u64);
    assert_eq!(drip.header("content-length"), Some(whole.body.len().to_string().as_str()));
}

#[tokio::test(start_paused = true)]
async fn whom_a_fault_strikes() {
    let (emulator, a) = emulator();
    let b = emulator.add_account(saros_emulator::Account::new("b"));
    let mut client = Client::pipe(&emulator).await;
    let html = || Fault::new(Action::Html { status: 502 });
    emulator.fault(html().account("a").model("glm-5.2").times(1));
    assert_eq!(client.chat(&a, "kimi-k3").await.status, 200);
    assert_eq!(client.chat(&b, "glm-5.2").await.status, 200);
    assert_eq!(client.get(USAGE, &headers(&a)).await.status, 200, "not inference");
    assert_eq!(client.chat(&a, "glm-5.2").await.status, 502);
    assert_eq!(client.chat(&a, "glm-5.2").await.status, 200);
    emulator.fault(html().path("/usage").key("b"));
    assert_eq!(client.get(USAGE, &headers(&b)).await.status, 502);
    assert_eq!(client.get(USAGE, &headers(&a)).await.status, 200);
    emulator.clear_faults();
    let id = emulator.fault(html().session("ses_1").skip(1));
    assert_eq!(client.chat(&a, "glm-5.2").await.status, 200);
    assert_eq!(client.chat(&a, "glm-5.2").await.status, 502);
    assert!(emulator.clear_fault(id));
    assert!(!emulator.clear_fault(id));
    assert_eq!(client.chat(&a, "glm-5.2").await.status, 200);
}

/// A provider's fault waits behind the account's own errors; an edge's does not.
#[tokio::test(start_paused = true)]
async fn stages() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    emulator.account("a", |a| a.blocked = true);
    let html = || Fault::new(Action::Html { status: 502 });
    emulator.fault(html().stage(Stage::Provider));
    assert_eq!(client.chat(&key, "glm-5.2").await.status, 401);
    emulator.fault(html());
    assert_eq!(client.chat(&key, "glm-5.2").await.status, 502);
}

#[tokio::test(start_paused = true)]
async fn an_answer_before_the_body_was_read() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (emulator, _) = emulator();
    emulator.fault(Fault::new(Action::Html { status: 503 }).before_body());
    let (mut ours, theirs) = tokio::io::duplex(1024);
    tokio::spawn(emulator.serve_io(theirs));
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n");
    ours.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    let hour = std::time::Duration::from_hours(1);
    let read = tokio::time::timeout(hour, ours.read_exact(&mut answer)).await;
    read.expect("an answer").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 503");
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed() {
    let (emulator, key) = emulator();
    emulator.settings(|s| s.connection.idle_close_ms = Some(30_000));
    let mut client = Client::pipe(&emulator).await;
    assert_eq!(client.chat(&key, "glm-5.2").await.status, 200);
    tokio::time::sleep(std::time::Duration::from_secs(29)).await;
    assert_eq!(client.chat(&key, "glm-5.2").await.status, 200, "the pause began anew");
    tokio::time::sleep(std::time::Duration::from_secs(31)).await;
    assert!(client.send(Method::POST, CHAT, &headers(&key), "{}").await.is_err());

    emulator.settings(|s| {
        s.connection.idle_close_ms = None;
        s.connection.max_requests = Some(2);
    });
    let mut client = Client::pipe(&emulator).await;
    for _ in 0..2 {
        let answer = client.chat(&key, "glm-5.2").await;
        assert_eq!(answer.header("connection"), None, "nothing announces the end");
    }
    assert!(client.send(Method::POST, CHAT, &headers(&key), "{}").await.is_err());
}

/// On HTTP/1.1 a goodbye is announced, and the answer is whole.
#[tokio::test(start_paused = true)]
async fn goodbye_on_http1() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    emulator.fault(Fault::new(Action::GoAway { refuse: false }).times(1));
    let answer = client.chat(&key, "glm-5.2").await;
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(answer.text().contains("[DONE]"));
    assert!(client.send(Method::POST, CHAT, &headers(&key), "{}").await.is_err());
}
