//! The open connections of one key.
//!
//! Connections are kept per key, so that what one account's connection does (a GOAWAY, a full
//! window) never touches another's requests.
//!
//! * HTTP/1.1: a stack of idle connections. Whoever takes one drives it (see `exchange`); nothing
//!   runs while it is idle, so it is looked at once more before it is used.
//! * HTTP/2: each connection is driven by a task of its own. A stream is opened only where the
//!   server's limit leaves room; else another connection is opened, so nothing queues.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use crate::upstream::body::OutBody;
use crate::upstream::gate::Gate;
use crate::upstream::io::Io;

/// Idle HTTP/1.1 connections are dropped after this many rounds of [`Connections::sweep`] (40 s),
/// well before the service's edge closes them (seen: 60 s and more), so that a request rarely meets
/// a dying one. Rounds, so that taking one costs no look at a clock.
const H1_IDLE: u32 = 8;
/// How often [`Connections::sweep`] is to be called.
pub const ROUND: Duration = Duration::from_secs(5);
/// Idle HTTP/2 connections may live longer: the server announces their end (GOAWAY).
const H2_IDLE: Duration = Duration::from_secs(300);
/// More idle HTTP/1.1 connections than this are not worth their memory.
const H1_KEPT: usize = 64;

/// The connections of one key.
#[derive(Default)]
pub struct Connections {
    shelf: Mutex<Shelf>,
    /// Held while a connection is being opened that others may be able to share.
    pub(crate) gate: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Shelf {
    /// Boxed: they move between shelf and request.
    #[expect(clippy::vec_box, reason = "a connection is large and moves with each request")]
    idle: Vec<Box<H1>>,
    shared: Vec<H2>,
    protocol: Option<Protocol>,
    /// Sweeps so far.
    round: u32,
    /// Raised by [`Connections::drop_all`]; a connection of an older generation is not kept.
    generation: u64,
}

/// What the upstream spoke when it was last dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// One request at a time.
    Http1,
    /// Many streams.
    Http2,
}

/// An HTTP/1.1 connection and the future that drives it.
pub struct H1 {
    pub(crate) sender: http1::SendRequest<OutBody>,
    driver: http1::Connection<TokioIo<Io>, OutBody>,
    gate: Gate,
    ended: bool,
    idle_since: u32,
    generation: u64,
}

/// A shared HTTP/2 connection.
struct H2 {
    sender: http2::SendRequest<OutBody>,
    /// The server's limit on streams, kept up to date by the connection's task.
    limit: Arc<AtomicUsize>,
    streams: Arc<AtomicUsize>,
    idle_since: Instant,
    generation: u64,
}

/// One stream of a shared connection; dropping it makes room for another.
pub struct Stream {
    pub(crate) sender: http2::SendRequest<OutBody>,
    streams: Arc<AtomicUsize>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that can take a request now.
pub enum Ready {
    /// For this request alone.
    Http1(Box<H1>),
    /// Beside others.
    Http2(Stream),
}

impl Connections {
    /// A connection that is open and has room, if there is one.
    pub fn ready(&self) -> Option<Ready> {
        let mut shelf = self.shelf();
        if let Some(stream) = shelf.stream() {
            return Some(Ready::Http2(stream));
        }
        while let Some(mut connection) = shelf.idle.pop() {
            if connection.is_usable() {
                return Some(Ready::Http1(connection));
            }
        }
        None
    }

    /// What the upstream spoke when it was last dialled.
    pub fn protocol(&self) -> Option<Protocol> {
        self.shelf().protocol
    }

    /// Takes a new HTTP/1.1 connection into the books.
    pub(crate) fn opened_h1(
        &self,
        sender: http1::SendRequest<OutBody>,
        driver: http1::Connection<TokioIo<Io>, OutBody>,
    ) -> Box<H1> {
        let mut shelf = self.shelf();
        shelf.protocol = Some(Protocol::Http1);
        let (gate, generation) = (Gate::default(), shelf.generation);
        let idle_since = shelf.round;
        Box::new(H1 { sender, driver, gate, ended: false, idle_since, generation })
    }

    /// Shares a new HTTP/2 connection, and opens its first stream.
    pub(crate) fn opened_h2(
        &self,
        sender: http2::SendRequest<OutBody>,
        limit: Arc<AtomicUsize>,
    ) -> Stream {
        let mut shelf = self.shelf();
        shelf.protocol = Some(Protocol::Http2);
        let streams = Arc::new(AtomicUsize::new(1));
        let stream = Stream { sender: sender.clone(), streams: streams.clone() };
        let generation = shelf.generation;
        shelf.shared.push(H2 { sender, limit, streams, idle_since: Instant::now(), generation });
        stream
    }

    /// Puts an HTTP/1.1 connection back whose answer was read to its end. Whether it is still open
    /// shows when it is taken.
    pub(crate) fn keep(&self, mut connection: Box<H1>) {
        if connection.ended {
            return;
        }
        connection.gate.rest();
        let mut shelf = self.shelf();
        if connection.generation == shelf.generation && shelf.idle.len() < H1_KEPT {
            connection.idle_since = shelf.round;
            shelf.idle.push(connection);
        }
    }

    /// Closes what has been idle for too long.
    pub fn sweep(&self) {
        let now = Instant::now();
        let mut shelf = self.shelf();
        shelf.round = shelf.round.wrapping_add(1);
        let round = shelf.round;
        shelf.idle.retain(|connection| round.wrapping_sub(connection.idle_since) <= H1_IDLE);
        shelf.shared.retain_mut(|connection| {
            if connection.streams.load(Ordering::Relaxed) > 0 {
                connection.idle_since = now;
            }
            !connection.sender.is_closed()
                && now.saturating_duration_since(connection.idle_since) < H2_IDLE
        });
    }

    /// Forgets every connection: after the machine slept they are dead, whatever they look like.
    /// Requests under way keep theirs.
    pub fn drop_all(&self) {
        let mut shelf = self.shelf();
        shelf.generation += 1;
        shelf.idle.clear();
        shelf.shared.clear();
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn stream(&mut self) -> Option<Stream> {
        if self.shared.is_empty() {
            return None;
        }
        let generation = self.generation;
        self.shared.retain(|connection| {
            !connection.sender.is_closed() && connection.generation == generation
        });
        self.shared.iter_mut().find_map(|connection| {
            let open = connection.streams.load(Ordering::Relaxed);
            if open >= connection.limit.load(Ordering::Relaxed) {
                return None;
            }
            connection.streams.fetch_add(1, Ordering::Relaxed);
            let (sender, streams) = (connection.sender.clone(), connection.streams.clone());
            Some(Stream { sender, streams })
        })
    }
}

impl H1 {
    /// Moves the connection on as far as it goes, then looks whether that made `look` ready: only
    /// the connection can, so `look` needs no waker of its own.
    pub(crate) fn drive<T>(
        &mut self,
        waker: &Waker,
        mut look: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let Self { driver, gate, ended, .. } = self;
        let mut seen = Poll::Pending;
        gate.poll(waker, |cx| {
            // Its end shows in what it feeds: an error, or the end of the body.
            if !*ended {
                *ended = Pin::new(&mut *driver).poll(cx).is_ready();
            }
            seen = look(&mut Context::from_waker(Waker::noop()));
            seen.is_ready()
        });
        seen
    }

    /// Looks without moving the connection on, for what came with the last move.
    pub(crate) fn take<T>(&mut self, look: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        self.gate.take(look)
    }

    /// The connection has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Lets the connection notice what happened while nobody drove it, if anything did: it was
    /// driven until it waited for its socket, so whatever comes there wakes it.
    fn is_usable(&mut self) -> bool {
        let Self { driver, gate, ended, sender, .. } = self;
        if *ended {
            return false;
        }
        if gate.has_woken() || !sender.is_ready() {
            *ended = gate.poll(Waker::noop(), |cx| Pin::new(&mut *driver).poll(cx).is_ready());
        }
        !*ended && sender.is_ready()
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shelf = self.shelf();
        f.debug_struct("Connections")
            .field("idle", &shelf.idle.len())
            .field("shared", &shelf.shared.len())
            .finish_non_exhaustive()
    }
}
