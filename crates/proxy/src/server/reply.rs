//! Bodies and answers of our own.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use saros_core::format::Format;
use saros_wire::reply::{Kind, body};

use crate::server::relay::Relay;

/// OpenCode v2 and others take this as an order (upstream.md §7.2).
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The body of an answer to a client.
pub enum Out {
    /// Held whole.
    Full(Bytes),
    /// On its way from upstream.
    Relay(Box<Relay>),
}

impl Body for Out {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Relay(relay) => relay.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_empty(),
            Self::Relay(relay) => relay.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Relay(relay) => relay.size_hint(),
        }
    }
}

/// The answer broke off and its format has no way to say so: the client's connection is ended, so
/// that it cannot take the part for the whole.
#[derive(Debug, thiserror::Error)]
#[error("the upstream answer broke off")]
pub struct Broken;

/// An answer of our own, in the making.
pub struct Own {
    status: StatusCode,
    kind: Kind,
    message: String,
    retry_after: Option<u64>,
    last_word: bool,
}

impl Own {
    /// An answer that says `message`.
    pub fn new(status: StatusCode, kind: Kind, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), retry_after: None, last_word: false }
    }

    /// When to come back, in whole seconds; at least one.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    /// Asks clients not to repeat the request.
    #[must_use]
    pub fn last_word(mut self) -> Self {
        self.last_word = true;
        self
    }

    /// The answer, in the client's format.
    pub fn answer(self, format: Option<Format>) -> Response<Out> {
        let mut response = json(self.status, body(format, &self.kind, &self.message));
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.last_word {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        response
    }
}

/// A JSON answer.
pub fn json(status: StatusCode, body: Vec<u8>) -> Response<Out> {
    let mut response = Response::new(Out::Full(body.into()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Response<Out> {
    let mut response = Response::new(Out::Full(Bytes::new()));
    *response.status_mut() = status;
    response
}
