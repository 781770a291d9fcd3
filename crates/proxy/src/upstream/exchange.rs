//! One request over one connection: sending it and getting the head of the answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use hyper::client::conn::{self, http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::BufWriter;

use crate::runtime::{Executor, Tasks};
use crate::upstream::body::OutBody;
use crate::upstream::connections::{Connections, H1, Protocol, Ready, Stream};
use crate::upstream::dial::{Dial, DialError, Dialled};
use crate::upstream::key::Key;

/// Frames of HTTP/2 are gathered up to this size before they are written.
const WRITES: usize = 8 * 1024;

/// An answer whose body is still on its way, with the connection that brings it.
pub struct Answer {
    incoming: Incoming,
    link: Link,
}

/// What keeps the answer coming.
enum Link {
    /// The connection is ours and driven by reading the answer; it goes back to its shelf.
    /// A short body is there together with its head: it is looked for before anything is driven.
    Http1 { connection: Box<H1>, home: Arc<Key>, spoilt: bool, looked: bool },
    /// Driven by its own task; holding the stream keeps it counted.
    Http2 { _stream: Stream },
    /// Nothing more will come.
    Done,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum SendError {
    /// The connection could not be opened: not served.
    Dial(DialError),
    /// No connection within `connectTimeoutMs`: not served.
    DialTimeout,
    /// The request came back unstarted: not served, may go out again.
    Unstarted(hyper::Error),
    /// Sent, then the connection broke before any byte of the answer: perhaps served.
    Reset(hyper::Error),
    /// The same, noticed by the connection ending without a word.
    Ended,
    /// The connection's own opening words failed: nothing was sent.
    Handshake(hyper::Error),
}

/// How connections are opened.
pub struct Opener {
    /// The network, or pipes in tests.
    pub dial: Arc<dyn Dial>,
    /// Where connection tasks run.
    pub tasks: Tasks,
    /// Name, TCP and TLS together may take this long, in milliseconds.
    patience: AtomicU64,
}

impl Opener {
    /// Name, TCP and TLS together may take `connect_timeout`.
    pub fn new(dial: Arc<dyn Dial>, tasks: Tasks, connect_timeout: Duration) -> Self {
        let opener = Self { dial, tasks, patience: AtomicU64::new(0) };
        opener.allow(connect_timeout);
        opener
    }

    /// From now on name, TCP and TLS together may take this long.
    pub fn allow(&self, connect_timeout: Duration) {
        let millis = u64::try_from(connect_timeout.as_millis()).unwrap_or(u64::MAX);
        self.patience.store(millis, Ordering::Relaxed);
    }

    /// A connection for one request: an open one with room unless `fresh`, else a new one.
    pub async fn connection(&self, key: &Key, fresh: bool) -> Result<Ready, SendError> {
        let connections = &key.connections;
        if !fresh && let Some(ready) = connections.ready() {
            return Ok(ready);
        }
        let patience = Duration::from_millis(self.patience.load(Ordering::Relaxed));
        // Unless the upstream is known to speak HTTP/1.1, the connection being opened by another
        // request may turn out to have room for this one too.
        let _gate = if connections.protocol() == Some(Protocol::Http1) {
            None
        } else {
            let gate = tokio::time::timeout(patience, connections.gate.lock());
            Some(gate.await.map_err(|_| SendError::DialTimeout)?)
        };
        if !fresh && let Some(ready) = connections.ready() {
            return Ok(ready);
        }
        let dialled = tokio::time::timeout(patience, self.dial.dial(&key.base.origin))
            .await
            .map_err(|_| SendError::DialTimeout)?
            .map_err(SendError::Dial)?;
        self.handshake(connections, dialled).await.map_err(SendError::Handshake)
    }

    async fn handshake(&self, home: &Connections, dialled: Dialled) -> hyper::Result<Ready> {
        if !dialled.h2 {
            let io = TokioIo::new(dialled.io);
            let (sender, driver) = http1::Builder::new().handshake(io).await?;
            return Ok(Ready::Http1(home.opened_h1(sender, driver)));
        }
        // hyper writes each frame for itself; gathered, a request is one TLS record.
        let io = TokioIo::new(BufWriter::with_capacity(WRITES, dialled.io));
        let (sender, mut driver) = http2::Builder::new(Executor(self.tasks.clone()))
            .timer(TokioTimer::new())
            // A dead path is noticed while streams wait on it, also where no data flows.
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20))
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .handshake(io)
            .await?;
        let limit = Arc::new(AtomicUsize::new(driver.current_max_send_streams()));
        let current = Arc::clone(&limit);
        self.tasks.spawn(async move {
            // How a connection ends is seen by the streams on it.
            drop(
                std::future::poll_fn(|cx| {
                    let polled = Pin::new(&mut driver).poll(cx);
                    current.store(driver.current_max_send_streams(), Ordering::Relaxed);
                    polled
                })
                .await,
            );
        });
        Ok(Ready::Http2(home.opened_h2(sender, limit)))
    }
}

/// Sends a request and waits for the head of its answer. The request is handed over at once, so that
/// what waits is small.
pub fn send(ready: Ready, home: &Arc<Key>, request: Request<OutBody>) -> Sending {
    match ready {
        Ready::Http1(mut connection) => {
            let answering = Box::pin(connection.sender.try_send_request(request));
            let home = Arc::clone(home);
            Sending::Http1 { connection: Some(connection), home, answering }
        }
        Ready::Http2(mut stream) => {
            let answering = Box::pin(stream.sender.try_send_request(request));
            Sending::Http2 { stream: Some(stream), answering }
        }
    }
}

/// A request whose answer has not begun; see [`send`].
pub enum Sending {
    /// Drives the connection while it waits.
    Http1 {
        /// Gone once the answer has begun.
        connection: Option<Box<H1>>,
        /// Where the connection goes back to.
        home: Arc<Key>,
        /// What hyper answers.
        answering: Answering,
    },
    /// The connection's task drives it.
    Http2 {
        /// Gone once the answer has begun.
        stream: Option<Stream>,
        /// What hyper answers.
        answering: Answering,
    },
}

type Answering = Pin<Box<dyn Future<Output = Sent> + Send>>;
type Sent = Result<Response<Incoming>, conn::TrySendError<Request<OutBody>>>;

impl Future for Sending {
    type Output = Result<(http::response::Parts, Answer), SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (sent, link) = match self.get_mut() {
            Self::Http1 { connection, home, answering } => {
                let Some(driven) = connection else { return Poll::Ready(Err(SendError::Ended)) };
                match driven.drive(cx.waker(), |cx| answering.as_mut().poll(cx).map(heard)) {
                    Poll::Pending if driven.has_ended() => {
                        return Poll::Ready(Err(SendError::Ended));
                    }
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(sent) => {
                        let home = Arc::clone(home);
                        let spoilt = sent.as_ref().is_ok_and(ends_connection);
                        let link = connection.take().map_or(Link::Done, |connection| Link::Http1 {
                            connection,
                            home,
                            spoilt,
                            looked: false,
                        });
                        (sent, link)
                    }
                }
            }
            Self::Http2 { stream, answering } => {
                let sent = std::task::ready!(answering.as_mut().poll(cx).map(heard));
                let link =
                    stream.take().map_or(Link::Done, |stream| Link::Http2 { _stream: stream });
                (sent, link)
            }
        };
        Poll::Ready(sent.map(|response| {
            let (parts, incoming) = response.into_parts();
            (parts, Answer { incoming, link })
        }))
    }
}

/// What hyper's answer means. Early, because an error carries the whole request.
fn heard(sent: Sent) -> Result<Response<Incoming>, SendError> {
    sent.map_err(|mut error| {
        let unsent = error.take_message().is_some();
        let error = error.into_error();
        if unsent || given_back(&error) {
            SendError::Unstarted(error)
        } else {
            SendError::Reset(error)
        }
    })
}

/// The server will close the connection behind this answer (RFC 9112 §9.3).
fn ends_connection(answer: &Response<Incoming>) -> bool {
    answer.headers().get(CONNECTION).is_some_and(|value| {
        value.as_bytes().windows(5).any(|word| word.eq_ignore_ascii_case(b"close"))
    })
}

/// `REFUSED_STREAM`, or above a GOAWAY's last stream: the server says that it did nothing
/// (RFC 9113 §8.7).
fn given_back(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<h2::Error>() {
            return error.reason() == Some(h2::Reason::REFUSED_STREAM)
                || (error.is_go_away() && error.is_remote());
        }
        source = inner.source();
    }
    false
}

impl Answer {
    /// The next piece of the answer. For HTTP/1.1 this also drives the connection.
    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Self { incoming, link } = self;
        match link {
            Link::Http1 { connection, looked, .. } => {
                let mut look = |cx: &mut Context<'_>| Pin::new(&mut *incoming).poll_frame(cx);
                if !std::mem::replace(looked, true)
                    && let Poll::Ready(taken) = connection.take(&mut look)
                {
                    return Poll::Ready(taken);
                }
                connection.drive(cx.waker(), look)
            }
            Link::Http2 { .. } | Link::Done => Pin::new(incoming).poll_frame(cx),
        }
    }

    /// Bytes still to come, where the answer said so.
    pub fn length(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    /// Nothing more is sent on this connection, so it cannot be used again.
    pub fn spoil(&mut self) {
        if let Link::Http1 { spoilt, .. } = &mut self.link {
            *spoilt = true;
        }
    }

    /// The answer was read to its end: the connection may serve another request.
    pub fn finish(&mut self) {
        if let Link::Http1 { connection, home, spoilt: false, .. } =
            std::mem::replace(&mut self.link, Link::Done)
        {
            home.connections.keep(connection);
        }
    }
}
