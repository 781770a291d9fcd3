//! HTTP/2: limits and faults of its own.

use http::Method;
use saros_emulator::{Action, After, Fault, Pace, Then};

use crate::client::*;

fn reason(error: &hyper::Error) -> Option<h2::Reason> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.reason();
        }
        cause = error.source();
    }
    None
}

#[tokio::test(start_paused = true)]
async fn a_refused_stream_leaves_the_connection_alive() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe_h2(&emulator).await;
    emulator.fault(Fault::new(Action::RefuseStream).times(1));
    let error = client.send(Method::POST, CHAT, &headers(&key), &ask("glm-5.2")).await.unwrap_err();
    assert_eq!(reason(&error), Some(h2::Reason::REFUSED_STREAM));
    let answer = client.chat(&key, "glm-5.2").await;
    assert_eq!(answer.status, 200);
    assert_eq!(emulator.log().last().unwrap().version, "HTTP/2.0");
    assert_eq!(emulator.counters().connections, 1);
}

#[tokio::test(start_paused = true)]
async fn a_cut_stream_leaves_the_connection_alive_and_a_reset_does_not() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe_h2(&emulator).await;
    let fault = |then| Fault::new(Action::Stream { after: After::Events(2), then }).times(1);
    emulator.fault(fault(Then::Cut));
    let answer = client.chat(&key, "glm-5.2").await;
    assert_eq!(events(answer.text()).len(), 2);
    assert_eq!(reason(&answer.broken.unwrap()), Some(h2::Reason::INTERNAL_ERROR));
    emulator.fault(fault(Then::Reset));
    let answer = client.chat(&key, "glm-5.2").await;
    assert_eq!(events(answer.text()).len(), 2);
    assert!(answer.broken.is_some());
    assert!(client.send(Method::POST, CHAT, &headers(&key), "{}").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn goaway_serves_what_runs() {
    let (emulator, key) = emulator();
    emulator.settings(|s| s.pace = Pace { gap_ms: 100, ..Pace::default() });
    let mut client = Client::pipe_h2(&emulator).await;
    emulator.fault(Fault::new(Action::GoAway { refuse: false }).times(1));
    let answer = client.chat(&key, "glm-5.2").await;
    assert!(answer.broken.is_none());
    assert!(answer.text().contains("[DONE]"));
    assert!(client.send(Method::POST, CHAT, &headers(&key), "{}").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn goaway_below_the_request_gives_it_back() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe_h2(&emulator).await;
    assert_eq!(client.chat(&key, "glm-5.2").await.status, 200);
    emulator.fault(Fault::new(Action::GoAway { refuse: true }).times(1));
    let error = client.send(Method::POST, CHAT, &headers(&key), &ask("glm-5.2")).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().downcast_ref::<h2::Error>().unwrap();
    assert!(cause.is_go_away() && cause.is_remote(), "{error:?}");
    assert_eq!(cause.reason(), Some(h2::Reason::NO_ERROR));
    emulator.until(|e| e.in_flight() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn streams_are_limited() {
    let (emulator, key) = emulator();
    emulator.settings(|s| {
        s.connection.max_streams = 3;
        s.pace = Pace { headers_ms: 1_000, ..Pace::default() };
    });
    let mut first = Client::pipe_h2(&emulator).await;
    first.chat(&key, "glm-5.2").await; // the client now knows the limit
    let mut tasks = Vec::new();
    for _ in 0..7 {
        let (mut client, key) = (first.share(), key.clone());
        tasks.push(tokio::spawn(async move { client.chat(&key, "glm-5.2").await.status }));
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), 200);
    }
    assert_eq!(emulator.counters().total.max_in_flight, 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_noticed() {
    let (emulator, key) = emulator();
    emulator.settings(|s| s.pace = Pace { gap_ms: 1_000, ..Pace::default() });
    let mut client = Client::pipe_h2(&emulator).await;
    let response = client.send(Method::POST, CHAT, &headers(&key), &ask("glm-5.2")).await.unwrap();
    let mut body = response.into_body();
    next(&mut body).await.unwrap().unwrap();
    drop(body);
    let entry = emulator.logged(|e| e.aborted).await;
    assert_eq!(entry.status, Some(499));
    let answer = client.chat(&key, "glm-5.2").await;
    assert!(answer.broken.is_none(), "the connection lives");
}
