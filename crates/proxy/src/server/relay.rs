//! Passing an answer on: bytes untouched and unbuffered, usage read in passing.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use http_body::{Frame, SizeHint};
use saros_core::fault::{Trouble, of_trouble};
use saros_core::format::Format;
use saros_core::meter::{Bill, Tokens};
use saros_core::pool::Outcome;
use saros_wire::reply::stream_error;
use saros_wire::sse::Watch;
use saros_wire::tap::Tap;
use saros_wire::usage::Reading;
use tokio::time::{Instant, Sleep};

use crate::server::app::{App, Lease};
use crate::server::journal::Journal;
use crate::server::reply::Broken;
use crate::upstream::exchange::Answer;

/// What a broken stream's error event says; the words are ones after which agents retry
/// (upstream.md §7.1).
const INTERRUPTED: &str = "Upstream stream interrupted: server error, please try again later";
const STOPPING: &str = "The proxy is shutting down: server error, please try again later";

/// An answer on its way to the client.
pub struct Relay {
    app: Arc<App>,
    answer: Answer,
    meter: Meter,
    lease: Option<Lease>,
    journal: Journal,
    /// A piece that was read already, to go first.
    first: Option<Bytes>,
    /// Bytes still to come, where the answer said so.
    remaining: Option<u64>,
    last_byte: Instant,
    patience: Duration,
    idle: Pin<Box<Sleep>>,
    ended: bool,
}

/// Reads usage in passing.
pub enum Meter {
    /// An event stream.
    Stream(Watch, Format),
    /// A JSON document.
    Json(Tap),
    /// Nothing that we can read: compressed, or an unknown route.
    Off,
}

impl Meter {
    /// The meter for an answer with these headers.
    pub fn of(format: Option<Format>, headers: &HeaderMap) -> Self {
        let Some(format) = format else { return Self::Off };
        let encoded = headers
            .get(CONTENT_ENCODING)
            .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
        let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
        let is = |kind: &[u8]| {
            content_type
                .split_at_checked(kind.len())
                .is_some_and(|(start, _)| start.eq_ignore_ascii_case(kind))
        };
        if encoded {
            Self::Off
        } else if is(b"text/event-stream") {
            Self::Stream(Watch::new(format), format)
        } else if is(b"application/json") {
            Self::Json(Tap::new(format))
        } else {
            Self::Off
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        match self {
            Self::Stream(watch, _) => watch.feed(bytes),
            Self::Json(tap) => tap.feed(bytes),
            Self::Off => {}
        }
    }

    fn reading(&self) -> Reading {
        match self {
            Self::Stream(watch, _) => watch.reading(),
            Self::Json(tap) => tap.reading(),
            Self::Off => Reading::default(),
        }
    }
}

impl Relay {
    /// Begins to pass on what `answer` brings.
    pub fn new(
        app: &Arc<App>,
        answer: Answer,
        meter: Meter,
        lease: Option<Lease>,
        journal: Journal,
    ) -> Self {
        let patience = app.config.stream_idle_timeout;
        let now = Instant::now();
        Self {
            app: Arc::clone(app),
            remaining: answer.length(),
            answer,
            meter,
            lease,
            journal,
            first: None,
            last_byte: now,
            patience,
            idle: Box::pin(tokio::time::sleep_until(now + patience)),
            ended: false,
        }
    }

    /// A piece that was read already and goes first.
    pub fn first(mut self, piece: Bytes) -> Self {
        self.first = Some(piece);
        self
    }

    /// The next piece for the client.
    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        match self.answer.poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.last_byte = Instant::now();
                if let Some(data) = frame.data_ref() {
                    let length = data.len() as u64;
                    self.meter.feed(data);
                    self.journal.record.bytes_out += length;
                    if let Some(remaining) = &mut self.remaining {
                        *remaining = remaining.saturating_sub(length);
                        // hyper does not ask again once the declared length is written.
                        if *remaining == 0 {
                            self.served();
                        }
                    }
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => self.cut(Trouble::CutReset, INTERRUPTED),
            Poll::Ready(None) => match &self.meter {
                Meter::Stream(watch, _) if !watch.terminal() && !watch.failed() => {
                    self.cut(Trouble::CutShort, INTERRUPTED)
                }
                _ => {
                    self.served();
                    Poll::Ready(None)
                }
            },
            Poll::Pending => self.waiting(cx),
        }
    }

    /// Nothing has come: is it time to give up?
    fn waiting(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.app.cutting.load(Ordering::Relaxed) {
            self.app.was_cut.store(true, Ordering::Relaxed);
            return self.stop();
        }
        // The timer is set anew only when it has run out: most pieces cost it nothing.
        while self.idle.as_mut().poll(cx).is_ready() {
            let deadline = self.last_byte + self.patience;
            if deadline <= Instant::now() {
                return self.cut(Trouble::CutIdle, INTERRUPTED);
            }
            self.idle.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    /// Reads what has arrived, without waiting.
    fn drain(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(Ok(frame))) = self.answer.poll_frame(&mut cx) {
            if let Some(data) = frame.data_ref() {
                self.meter.feed(data);
            }
        }
    }

    /// The last byte is on its way to the client.
    fn served(&mut self) {
        self.ended = true;
        self.answer.finish();
        let reading = self.meter.reading();
        self.journal.metered(&reading);
        if let Some(mut lease) = self.lease.take() {
            let bill = bill(&reading, lease.estimate());
            lease.settle(Outcome::Served(bill));
        }
        self.journal.finish();
    }

    /// Upstream broke off: the client hears of it in its own format, never as a clean end.
    fn cut(
        &mut self,
        trouble: Trouble,
        message: &str,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let fault = of_trouble(trouble);
        self.journal.cut(fault.kind);
        let reading = self.meter.reading();
        self.journal.metered(&reading);
        if let Some(mut lease) = self.lease.take() {
            let bill = bill(&reading, lease.estimate());
            lease.settle(Outcome::Cut(bill, fault));
        }
        self.end_with(message)
    }

    /// We break off ourselves: nobody is to blame.
    fn stop(&mut self) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.journal.stopped();
        let reading = self.meter.reading();
        self.journal.metered(&reading);
        if let Some(mut lease) = self.lease.take() {
            let bill = bill(&reading, lease.estimate());
            lease.settle(Outcome::Abandoned(bill));
        }
        self.end_with(STOPPING)
    }

    fn end_with(&mut self, message: &str) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.ended = true;
        self.journal.finish();
        match &self.meter {
            // A declared length leaves no room for an event of ours.
            Meter::Stream(watch, format) if self.remaining.is_none() => {
                if watch.terminal() {
                    return Poll::Ready(None);
                }
                let mut event = watch.cut_prefix().to_vec();
                event.extend_from_slice(&stream_error(*format, message));
                Poll::Ready(Some(Ok(Frame::data(event.into()))))
            }
            _ => Poll::Ready(Some(Err(Broken))),
        }
    }

    /// Whether everything was passed on.
    pub fn is_end_stream(&self) -> bool {
        self.ended || (self.first.is_none() && self.remaining == Some(0))
    }

    /// What is still to come, where upstream said so.
    pub fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().map_or(0, |piece| piece.len() as u64);
        match self.remaining {
            Some(remaining) => SizeHint::with_exact(remaining + first),
            None => SizeHint::default(),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if self.remaining == Some(0) && self.first.is_none() {
            // An empty answer is never asked for its body.
            self.served();
            return;
        }
        if matches!(&self.meter, Meter::Stream(watch, _) if watch.terminal()) {
            // The client left after the last event, as many do: what follows is for us, if it is
            // there already.
            self.drain();
            self.served();
            return;
        }
        // The client went away: dropping the answer ends the request upstream.
        let reading = self.meter.reading();
        self.journal.metered(&reading);
        if let Some(mut lease) = self.lease.take() {
            let bill = bill(&reading, lease.estimate());
            lease.settle(Outcome::Abandoned(bill));
        }
        self.journal.client_gone();
    }
}

/// What an answer cost: what it said itself, else at most the estimate with what was seen of it.
fn bill(reading: &Reading, estimate: Tokens) -> Bill {
    match reading.tokens {
        Some(tokens) => Bill {
            list_cost: reading.list_cost,
            balance_cost: reading.balance_cost,
            ..Bill::exact(tokens)
        },
        None => {
            let seen = reading.output_bytes / BYTES_PER_TOKEN;
            Bill {
                balance_cost: reading.balance_cost,
                ..Bill::at_most(Tokens { output: estimate.output.max(seen), ..estimate })
            }
        }
    }
}

/// A cautious (low) figure for English and code; only for estimates.
pub const BYTES_PER_TOKEN: u64 = 3;
