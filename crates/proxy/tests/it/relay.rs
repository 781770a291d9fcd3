//! What passes through: bytes, headers, breaks.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use proptest::prelude::*;
use saros_emulator::{Action, After, Chunk, Fault, Separator, Then};
use serde_json::json;

use crate::sse::{self, Event};
use crate::stage::{Answer, Dialect, Stage, request};

/// The bytes of the last answer as the service wrote them.
fn written(stage: &Stage) -> Bytes {
    stage.emulator.log().last().unwrap().answer.clone().unwrap()
}

/// The bytes of the last request as the service read them.
fn read(stage: &Stage) -> Bytes {
    stage.emulator.log().last().unwrap().body.clone().unwrap()
}

#[derive(Debug, Clone)]
struct Shape {
    dialect: Dialect,
    stream: bool,
    h2: [bool; 2],
    prompt: String,
    separator: Separator,
    space: bool,
    pings: usize,
    chunk: Chunk,
    gap_ms: u64,
    pieces: Vec<usize>,
}

fn shape() -> impl Strategy<Value = Shape> {
    let separators = prop_oneof![Just(Separator::Lf), Just(Separator::CrLf), Just(Separator::Cr)];
    let chunks = prop_oneof![
        Just(Chunk::Event),
        (1usize..5).prop_map(Chunk::Events),
        (1usize..200).prop_map(Chunk::Bytes)
    ];
    (
        prop_oneof![Just(Dialect::Chat), Just(Dialect::Messages), Just(Dialect::Responses)],
        any::<(bool, [bool; 2], bool)>(),
        ".{1,200}",
        separators,
        chunks,
        (0usize..4, 0u64..3),
        proptest::collection::vec(1usize..100, 1..8),
    )
        .prop_map(
            |(dialect, (stream, h2, space), prompt, separator, chunk, (pings, gap_ms), pieces)| {
                Shape {
                    dialect,
                    stream,
                    h2,
                    prompt,
                    separator,
                    space,
                    pings,
                    chunk,
                    gap_ms,
                    pieces,
                }
            },
        )
}

async fn check_untouched(shape: Shape) {
    let stage = Stage::with(1, shape.h2[0], |_| {});
    stage.emulator.settings(|settings| {
        settings.pace.chunk = shape.chunk;
        settings.pace.gap_ms = shape.gap_ms;
    });
    let restyle = |model: &mut saros_emulator::Model| {
        model.style.separator = shape.separator;
        model.style.space = shape.space;
        model.style.ping_every = shape.pings;
    };
    stage.emulator.model(shape.dialect.model(), restyle).unwrap();
    let (parts, body) =
        shape.dialect.of(shape.dialect.model(), &shape.prompt, shape.stream).into_parts();
    let sent = body.collect().await.unwrap().to_bytes();
    // The same body in pieces, without a declared length.
    let body = Pieces { rest: sent.clone(), lengths: shape.pieces.clone() };
    let request = http::Request::from_parts(parts, body);
    let response =
        if shape.h2[1] { stage.send_h2(request).await } else { stage.send(request).await };
    let answer = Answer::read(response).await;
    assert_eq!(answer.status, 200, "{shape:?}: {}", answer.text());
    assert!(answer.complete, "{shape:?}");
    assert_eq!(read(&stage), sent, "{shape:?}");
    assert_eq!(answer.body, written(&stage), "{shape:?}");
    stage.assert_idle().await;
}

/// A body that comes in pieces of these lengths.
struct Pieces {
    rest: Bytes,
    lengths: Vec<usize>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        self.lengths.rotate_left(1);
        let length = self.lengths[0].min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn bytes_pass_untouched_both_ways(shape in shape()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(check_untouched(shape));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_json_and_no_text_passes_too() {
    let stage = Stage::new(1);
    for body in [&b"\xff\xfe\x00 not json"[..], b"{\"model\":\"glm-5.2\",", b"[]", b"\r\n\r\n"] {
        let mut request = request(Method::POST, "/v1/chat/completions", "x");
        *request.body_mut() = Bytes::copy_from_slice(body).into();
        let answer = stage.ask(request).await;
        assert!(answer.status.is_client_error() || answer.status == 502, "{}", answer.status);
        assert_eq!(read(&stage), body);
    }
    assert_eq!(stage.health().await["disabledCount"], 0);
}

#[tokio::test(start_paused = true)]
async fn what_follows_done_is_relayed() {
    for dialect in Dialect::ALL {
        let stage = Stage::new(1);
        stage.emulator.settings(|settings| settings.pace.gap_ms = 10_000);
        let answer = stage.ask(dialect.request(true)).await;
        let events = sse::parse(&answer.body);
        let last = events.last().unwrap();
        assert_eq!(last.json()["cost"], "0", "{dialect:?}: {last:?}");
        assert!(sse::ended(dialect, &events[..events.len() - 1]));
        assert_eq!(answer.body, written(&stage));
    }
}

/// The client got what was sent before the break, and then one error event in its dialect.
fn assert_error_event(dialect: Dialect, answer: &Answer, sent: &[u8], name: &str) {
    assert!(answer.complete, "{name}: the answer itself ends as it should");
    assert!(answer.body.starts_with(sent), "{name}: {}", answer.text());
    let events = sse::parse(&answer.body);
    let errors: Vec<&Event> = events.iter().filter(|event| event.is_error()).collect();
    assert_eq!(errors.len(), 1, "{name}: {}", answer.text());
    assert_eq!(errors[0], events.last().unwrap(), "{name}: at the end");
    assert!(!answer.text().contains("[DONE]"), "{name}: {}", answer.text());
    let before = &events[..events.len() - 1];
    assert_eq!(
        before,
        sse::parse(&[sent, b"\n\n"].concat()),
        "{name}: the events before it are what they were"
    );
    let json = errors[0].json();
    let message = match dialect {
        Dialect::Chat => {
            assert_eq!(json["error"]["code"], "server_error", "{name}");
            &json["error"]["message"]
        }
        Dialect::Messages => {
            assert_eq!((errors[0].name.as_str(), &json["type"]), ("error", &json!("error")));
            &json["error"]["message"]
        }
        Dialect::Responses => {
            assert_eq!(errors[0].name, "response.failed");
            assert_eq!(json["type"], "response.failed");
            assert_eq!(json["response"]["error"]["code"], "server_error", "{name}");
            &json["response"]["error"]["message"]
        }
    };
    assert!(message.as_str().unwrap().contains("server error"), "{name}: {message}");
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_ends_with_an_error_event_of_its_dialect() {
    let places = [
        After::Events(0),
        After::Events(1),
        After::Events(3),
        After::Bytes(1),
        After::Bytes(137),
        After::Bytes(300),
        After::Terminal,
    ];
    for dialect in Dialect::ALL {
        for after in places {
            for then in [Then::Cut, Then::Reset, Then::End, Then::Stall] {
                for (h2, separator) in
                    [(false, Separator::Lf), (true, Separator::CrLf), (false, Separator::Cr)]
                {
                    let name = format!("{dialect:?} {after:?} {then:?} h2 {h2} {separator:?}");
                    let stage = Stage::with(2, h2, |_| {});
                    let restyle = |m: &mut saros_emulator::Model| m.style.separator = separator;
                    stage.emulator.model(dialect.model(), restyle).unwrap();
                    stage.fault(Fault::new(Action::Stream { after, then }).times(1));
                    let before = tokio::time::Instant::now();
                    let answer = stage.ask(dialect.request(true)).await;
                    let waited = before.elapsed().as_secs();
                    assert_eq!(waited, if then == Then::Stall { 300 } else { 0 }, "{name}");
                    stage.settle().await;
                    assert_error_event(dialect, &answer, &written(&stage), &name);
                    assert_eq!(stage.tried_since(0), "a", "{name}: never repeated");
                    assert_eq!(stage.health().await["disabledCount"], 0, "{name}");
                    stage.assert_idle().await;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_break_after_the_terminal_event_is_an_end() {
    for dialect in Dialect::ALL {
        for then in [Then::Cut, Then::Reset, Then::Stall] {
            let stage = Stage::new(1);
            stage.fault(Fault::new(Action::Stream { after: After::Events(1_000), then }));
            for _ in 0..4 {
                let answer = stage.ask(dialect.request(true)).await;
                assert!(answer.complete, "{dialect:?} {then:?}");
                let events = sse::parse(&answer.body);
                assert!(sse::ended(dialect, &events), "{dialect:?} {then:?}");
                assert!(!events.iter().any(Event::is_error), "{dialect:?} {then:?}");
            }
            let key = stage.key("a").await;
            assert_eq!(
                key["state"], "ready",
                "{dialect:?} {then:?}: the answers were whole: {key}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_services_own_error_events_pass_and_nothing_is_added() {
    for dialect in Dialect::ALL {
        let stage = Stage::new(1);
        let then = Then::Error;
        stage.fault(Fault::new(Action::Stream { after: After::Events(2), then }));
        let answer = stage.ask(dialect.request(true)).await;
        assert!(answer.complete);
        assert_eq!(answer.body, written(&stage), "{dialect:?}");
        assert_eq!(sse::parse(&answer.body).iter().filter(|e| e.is_error()).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_answer_without_stream_breaks_the_clients_connection() {
    for dialect in Dialect::ALL {
        for then in [Then::Cut, Then::Reset, Then::Stall] {
            for h2 in [false, true] {
                let stage = Stage::with(2, h2, |_| {});
                let after = After::Bytes(40);
                stage.fault(Fault::new(Action::Stream { after, then }).times(1));
                let answer = stage.ask(dialect.request(false)).await;
                assert_eq!(answer.status, 200);
                assert!(!answer.complete, "{dialect:?} {then:?}: not to be taken for the whole");
                assert_eq!(answer.body.len(), 40);
                assert_eq!(stage.tried_since(0), "a");
                stage.assert_idle().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_ends_the_request_upstream_at_once() {
    for h2 in [false, true] {
        for client_h2 in [false, true] {
            for dialect in Dialect::ALL {
                // While the answer streams, while it has not begun, while a retry runs.
                for wait in [None, Some(Action::Hang), Some(Action::Pass)] {
                    let stage = Stage::with(2, h2, |_| {});
                    stage.emulator.settings(|settings| settings.pace.gap_ms = 60_000);
                    if let Some(action) = wait.clone() {
                        stage.fault(Fault::new(action).delay_ms(60_000));
                    }
                    let sending = async {
                        let request = dialect.request(true);
                        let response = if client_h2 {
                            stage.send_h2(request).await
                        } else {
                            stage.send(request).await
                        };
                        let mut body = response.into_body();
                        while body.frame().await.is_some() {}
                    };
                    tokio::select! {
                        () = sending => panic!("it cannot have ended"),
                        () = tokio::time::sleep(Duration::from_secs(30)) => {}
                    }
                    let left = tokio::time::Instant::now();
                    stage.emulator.logged(|entry| entry.status == Some(499)).await;
                    assert!(left.elapsed() < Duration::from_millis(10), "{:?}", left.elapsed());
                    assert_eq!(stage.app.pool().in_flight(), 0, "{wait:?} {h2} {client_h2}");
                    assert_eq!(stage.emulator.counters().keys["a"].aborted, 1);
                    assert_eq!(stage.attempts("b"), 0, "not tried elsewhere");
                    assert_eq!(stage.health().await["disabledCount"], 0);
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_a_declared_length_that_lacks_its_end_is_reported_too() {
    let stage = Stage::new(1);
    stage.network.answers_raw(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 15\r\n\r\n\
         data: {\"a\":1}\n\n",
    );
    let answer = stage.ask(crate::stage::chat("glm-5.2", "hello", true)).await;
    assert!(answer.complete && answer.headers.get("content-length").is_none());
    assert!(answer.text().starts_with("data: {\"a\":1}\n\ndata: {\"error\":"), "{}", answer.text());
}
