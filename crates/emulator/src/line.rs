//! One connection: what a fault can do to it, and the bytes beneath it.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

const ALIVE: u8 = 0;
const CLOSE: u8 = 1;
const RESET: u8 = 2;

/// A handle on a connection, shared by its requests and the task that drives it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) id: u64,
    /// Wakes the driving task after any change below.
    pub(crate) poke: Notify,
    fate: AtomicU8,
    graceful: AtomicBool,
    in_flight: AtomicU64,
    answered: AtomicU64,
    requests: AtomicU32,
    last_words: Mutex<Option<Vec<u8>>>,
    speaking_last: AtomicBool,
}

impl Line {
    pub(crate) fn new(id: u64) -> Self {
        Self {
            id,
            poke: Notify::new(),
            fate: AtomicU8::new(ALIVE),
            graceful: AtomicBool::new(false),
            in_flight: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            last_words: Mutex::new(None),
            speaking_last: AtomicBool::new(false),
        }
    }

    /// A request begins; its ordinal on this connection, from 1.
    pub(crate) fn began(&self) -> u32 {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.poke.notify_one();
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A request has ended.
    pub(crate) fn ended(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.poke.notify_one();
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Closes the connection at once.
    pub(crate) fn close(&self) {
        self.fate.fetch_max(CLOSE, Ordering::Relaxed);
        self.poke.notify_one();
    }

    /// Resets the connection at once.
    pub(crate) fn reset(&self) {
        self.fate.fetch_max(RESET, Ordering::Relaxed);
        self.poke.notify_one();
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.fate.load(Ordering::Relaxed) != ALIVE
    }

    /// h2: GOAWAY; HTTP/1.1: `connection: close`. What runs is served.
    pub(crate) fn say_goodbye(&self) {
        self.graceful.store(true, Ordering::Relaxed);
        self.poke.notify_one();
    }

    /// Whether a goodbye is due; asked once.
    pub(crate) fn take_goodbye(&self) -> bool {
        self.graceful.swap(false, Ordering::Relaxed)
    }

    /// h2: GOAWAY whose last id is below the request with this ordinal; nothing is written after
    /// it.
    pub(crate) fn go_away_below(&self, ordinal: u32) {
        let last = ordinal.saturating_mul(2).saturating_sub(3);
        let last = if ordinal <= 1 { 0 } else { last };
        let mut frame = vec![0, 0, 8, 0x7, 0, 0, 0, 0, 0];
        frame.extend(last.to_be_bytes());
        frame.extend(0u32.to_be_bytes()); // NO_ERROR
        *self.last_words.lock().unwrap_or_else(PoisonError::into_inner) = Some(frame);
        self.speaking_last.store(true, Ordering::Relaxed);
        self.say_goodbye();
    }

    fn last_words(&self) -> Option<Vec<u8>> {
        self.last_words.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The bytes of a connection, watched so that a fault can have the last word on an h2 frame
/// boundary.
#[derive(Debug)]
pub(crate) struct Wire<T> {
    io: T,
    line: std::sync::Arc<Line>,
    /// Arms a TCP reset.
    arm_reset: fn(&T),
    frames: Frames,
    pending: Vec<u8>,
}

impl<T> Wire<T> {
    pub(crate) fn new(io: T, line: std::sync::Arc<Line>, arm_reset: fn(&T)) -> Self {
        Self { io, line, arm_reset, frames: Frames::default(), pending: Vec::new() }
    }
}

impl<T> Drop for Wire<T> {
    fn drop(&mut self) {
        if self.line.fate.load(Ordering::Relaxed) == RESET {
            (self.arm_reset)(&self.io);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Wire<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> Wire<T> {
    /// Writes the last words if it is time; `true` once nothing else may be written.
    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if !self.line.speaking_last.load(Ordering::Relaxed) || !self.frames.at_boundary() {
            return Poll::Ready(Ok(false));
        }
        if let Some(words) = self.line.last_words() {
            self.pending = words;
        }
        while !self.pending.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.pending))?;
            self.pending.drain(..written.min(self.pending.len()));
        }
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.line.close();
        Poll::Ready(Ok(true))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Wire<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if ready!(this.poll_last_words(cx))? {
            return Poll::Ready(Ok(buf.len()));
        }
        // While last words wait, no further frame is begun.
        let waiting = this.line.speaking_last.load(Ordering::Relaxed);
        let part = if waiting { this.frames.rest_of_frame(buf) } else { buf };
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, part))?;
        this.frames.wrote(part.get(..written).unwrap_or_default());
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Follows outgoing h2 frames. On HTTP/1.1 nobody asks.
#[derive(Debug, Default)]
struct Frames {
    head: Vec<u8>,
    left: usize,
}

impl Frames {
    const HEAD: usize = 9;

    fn at_boundary(&self) -> bool {
        self.head.is_empty() && self.left == 0
    }

    fn wrote(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let skip = self.left.min(bytes.len());
                self.left -= skip;
                bytes = bytes.get(skip..).unwrap_or_default();
                continue;
            }
            let take = (Self::HEAD - self.head.len()).min(bytes.len());
            let (head, rest) = bytes.split_at_checked(take).unwrap_or((bytes, &[]));
            self.head.extend_from_slice(head);
            bytes = rest;
            if self.head.len() == Self::HEAD {
                self.left = match self.head.as_slice() {
                    [a, b, c, ..] => usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c),
                    _ => 0,
                };
                self.head.clear();
            }
        }
    }

    /// The part of `bytes` that completes the frame begun; never empty unless `bytes` is.
    fn rest_of_frame<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let rest = if self.left > 0 { self.left } else { Self::HEAD - self.head.len() };
        bytes.get(..rest).unwrap_or(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_boundaries() {
        let mut frames = Frames::default();
        let frame = [0, 0, 2, 0, 0, 0, 0, 0, 1, 7, 7];
        for at in 0..frame.len() {
            assert_eq!(frames.at_boundary(), at == 0);
            frames.wrote(&frame[at..=at]);
        }
        assert!(frames.at_boundary());
        frames.wrote(&frame[..4]);
        assert_eq!(frames.rest_of_frame(&[0; 20]).len(), 5);
        frames.wrote(&frame[4..]);
        frames.wrote(&[0; 9]);
        assert!(frames.at_boundary(), "an empty frame is all head");
    }
}
