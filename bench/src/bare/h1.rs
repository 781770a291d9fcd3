//! HTTP/1.1 upstream: connections without a task.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::gate::Gate;
use super::relay::{Answer, Relay};
use super::{Dial, Wire};
use crate::Fallible;

/// One connection and its sender, always together: whoever holds it polls it.
pub(super) struct Link {
    sender: http1::SendRequest<Full<Bytes>>,
    connection: http1::Connection<TokioIo<Wire>, Full<Bytes>>,
    gate: Gate,
}

impl Link {
    async fn open(dial: &Dial) -> Fallible<Box<Self>> {
        let (sender, connection) =
            http1::Builder::new().handshake(TokioIo::new(dial.open().await?)).await?;
        Ok(Box::new(Self { sender, connection, gate: Gate::default() }))
    }

    /// Moves the connection on as far as it goes, then looks whether that made `look` ready.
    /// `look` gets a waker that does nothing: only the connection can make it ready.
    pub(super) fn drive<T>(
        &mut self,
        cx: &Context<'_>,
        mut look: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let Self { connection, gate, .. } = self;
        let found = gate.poll(cx, |cx| {
            // Its end shows in what it feeds: an error or the end of the body.
            let _ended = Pin::new(&mut *connection).poll(cx);
            match look(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(value) => Some(value),
                Poll::Pending => None,
            }
        });
        found.map_or(Poll::Pending, Poll::Ready)
    }

    /// Lets the connection take note of what lies on its socket: the end of an answer, or, after
    /// a rest, that upstream has closed it. True if another request can go out.
    pub(super) fn settle(&mut self, cx: &Context<'_>) -> bool {
        let Self { connection, gate, sender } = self;
        let ended =
            gate.poll(cx, |cx| Pin::new(&mut *connection).poll(cx).is_ready().then_some(()));
        ended.is_none() && sender.is_ready()
    }
}

/// Connections between two requests. Nobody polls them; the one taken is polled once, which
/// notices if upstream closed it meanwhile.
#[derive(Default, Clone)]
#[expect(
    clippy::vec_box,
    reason = "a link moves between owners at every request, and is over 1 kB"
)]
pub(super) struct Idle(Arc<Mutex<Vec<Box<Link>>>>);

impl Idle {
    /// The most recently used: its buffers are warm, and the others can grow old.
    fn take(&self) -> Option<Box<Link>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub(super) fn put(&self, link: Box<Link>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(link);
    }
}

/// Sends the request and waits for the head of the answer; the body drives the rest.
pub(super) async fn exchange(
    idle: &Idle,
    dial: &Dial,
    mut request: Request<Full<Bytes>>,
) -> Fallible<Response<Answer>> {
    loop {
        let (mut link, fresh) = match idle.take() {
            Some(link) => (link, false),
            None => (Link::open(dial).await?, true),
        };
        if !fresh && !poll_fn(|cx| Poll::Ready(link.settle(cx))).await {
            continue;
        }
        let answered = {
            let mut head = pin!(link.sender.try_send_request(request));
            poll_fn(|cx| link.drive(cx, |cx| head.as_mut().poll(cx))).await
        };
        match answered {
            Ok(response) => {
                let length = response.headers().get(http::header::CONTENT_LENGTH);
                let length = length.and_then(|v| v.to_str().ok()?.parse().ok());
                return Ok(response
                    .map(|body| Answer::Http1(Relay::new(body, length, link, idle.clone()))));
            }
            Err(mut error) => match error.take_message() {
                Some(unsent) if !fresh => request = unsent,
                _ => return Err(error.into_error().into()),
            },
        }
    }
}
