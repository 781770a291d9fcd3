//! The answer on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::h1::{Idle, Link};
use super::h2::Stream;
use super::meter::Meter;

/// The body of every answer.
pub(super) enum Answer {
    Empty,
    Http1(Relay),
    Http2(Stream),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Http1(relay) => relay.poll_frame(cx),
            Self::Http2(stream) => stream.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Http1(relay) => relay.link.is_none() && relay.trailers.is_none(),
            Self::Http2(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Http1(relay) => relay.body.size_hint(),
            Self::Http2(stream) => stream.size_hint(),
        }
    }
}

/// Frames that are ready now, as one. A single frame is not copied.
#[derive(Default)]
pub(super) struct Batch {
    first: Bytes,
    more: BytesMut,
}

impl Batch {
    /// More than this is not gathered; it bounds the memory of a fast upstream.
    const LIMIT: usize = 64 * 1024;

    pub(super) fn push(&mut self, data: Bytes) {
        if self.first.is_empty() {
            self.first = data;
            return;
        }
        if self.more.is_empty() {
            self.more.reserve((self.first.len() + data.len()).next_power_of_two().max(4096));
            self.more.extend_from_slice(&self.first);
        }
        self.more.extend_from_slice(&data);
    }

    pub(super) fn is_full(&self) -> bool {
        self.more.len() >= Self::LIMIT || self.first.len() >= Self::LIMIT
    }

    pub(super) fn take(&mut self) -> Option<Bytes> {
        let first = std::mem::take(&mut self.first);
        if self.more.is_empty() {
            (!first.is_empty()).then_some(first)
        } else {
            Some(self.more.split().freeze())
        }
    }
}

/// An answer over HTTP/1.1, which drives the connection it comes from.
pub(super) struct Relay {
    body: Incoming,
    /// What is still to come, where the head told. hyper's server stops polling a body of known
    /// length at its last byte, so the end must be noticed then, not at the `None` after it.
    left: Option<u64>,
    /// Taken back to the idle ones at the end. Dropped before it, the connection closes, which is
    /// how upstream learns that the client left.
    link: Option<Box<Link>>,
    idle: Idle,
    meter: Meter,
    trailers: Option<HeaderMap>,
}

impl Relay {
    pub(super) fn new(body: Incoming, left: Option<u64>, link: Box<Link>, idle: Idle) -> Self {
        Self { body, left, link: Some(link), idle, meter: Meter::default(), trailers: None }
    }

    fn poll_frame(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(link) = &mut self.link else {
            return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
        };
        let mut batch = Batch::default();
        while !batch.is_full() && self.left != Some(0) {
            match link.drive(cx, |cx| Pin::new(&mut self.body).poll_frame(cx)) {
                Poll::Pending => {
                    return match batch.take() {
                        Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
                        None => Poll::Pending,
                    };
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        self.meter.read(&data);
                        self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                        batch.push(data);
                    }
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
                Poll::Ready(Some(Err(error))) => {
                    self.link = None;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None) => self.left = Some(0),
            }
        }
        if self.left == Some(0)
            && let Some(mut link) = self.link.take()
            && link.settle(cx)
        {
            self.idle.put(link);
        }
        match batch.take() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None => Poll::Ready(
                ready!(Poll::Ready(self.trailers.take())).map(|t| Ok(Frame::trailers(t))),
            ),
        }
    }
}
