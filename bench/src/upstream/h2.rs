//! The same answers over HTTP/2.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::BufWriter;
use tokio::net::TcpStream;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_rustls::server::TlsStream;

use crate::answers::{self, Case};

/// Streams per connection, as large services allow.
const MAX_STREAMS: u32 = 100;

/// Answers one connection's requests until it closes.
pub(super) async fn serve(stream: TlsStream<TcpStream>) {
    let served = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .max_pending_accept_reset_streams(10_000)
        // hyper writes each frame for itself; a service's TLS front gathers them into records.
        .serve_connection(
            TokioIo::new(BufWriter::with_capacity(32 * 1024, stream)),
            service_fn(answer),
        );
    drop(served.await);
}

async fn answer(request: Request<Incoming>) -> Result<Response<Reply>, Infallible> {
    let case = request.uri().path_and_query().and_then(|target| Case::of_target(target.as_str()));
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    let stream = http::HeaderValue::from_static("text/event-stream");
    let json = http::HeaderValue::from_static("application/json");
    let (content_type, reply) = match case {
        None => (json, Reply::Events(vec![Bytes::from_static(answers::NOT_FOUND.as_bytes())])),
        Some(Case::Json) => (json, Reply::Events(vec![answers::JSON.clone()])),
        Some(Case::Burst | Case::Split) => {
            let mut events = answers::burst();
            events.reverse();
            (stream, Reply::Events(events))
        }
        Some(Case::Held) => (stream, Reply::Held(Some(answers::EVENT.clone()))),
        Some(Case::Paced) => {
            let mut ticks = interval(Duration::from_millis(10));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            (stream, Reply::Paced(ticks))
        }
    };
    let mut response = Response::new(reply);
    if case.is_none() {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
    Ok(response)
}

enum Reply {
    /// Each a frame of its own, last one first.
    Events(Vec<Bytes>),
    Held(Option<Bytes>),
    Paced(Interval),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Events(events) => Poll::Ready(events.pop().map(|event| Ok(Frame::data(event)))),
            Self::Held(event) => match event.take() {
                Some(event) => Poll::Ready(Some(Ok(Frame::data(event)))),
                None => Poll::Pending,
            },
            Self::Paced(ticks) => {
                ticks.poll_tick(cx).map(|_| Some(Ok(Frame::data(answers::EVENT.clone()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Events(events) if events.is_empty())
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Self::Events(events) if events.len() == 1 => {
                http_body::SizeHint::with_exact(events.iter().map(|event| event.len() as u64).sum())
            }
            _ => http_body::SizeHint::default(),
        }
    }
}
