//! Passing an answer on: bytes untouched and unbuffered, usage read in passing.

use std::pin::{Pin, pin};
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

use crate::server::app::App;
use crate::server::batch::Batch;
use crate::server::journal::Journal;
use crate::server::lease::Lease;
use crate::server::reply::Broken;
use crate::upstream::exchange::Answer;

/// What a broken stream's error event says; the words are ones after which agents retry
/// (upstream.md §7.1).
const INTERRUPTED: &str = "Upstream stream interrupted: server error, please try again later";
const STOPPING: &str = "The proxy is shutting down: server error, please try again later";

/// After so many bytes without a wait it is somebody else's turn.
const TURN: usize = 1 << 20;

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
    /// Runs while we wait; most short answers never do.
    idle: Option<Pin<Box<Sleep>>>,
    /// Bytes passed on since the last wait.
    burst: usize,
    end: Option<End>,
}

/// How the answer ends, once it does.
enum End {
    Clean,
    Trailers(HeaderMap),
    Broken,
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
        now: Instant,
    ) -> Self {
        let patience = app.setup().config.stream_idle_timeout;
        Self {
            app: Arc::clone(app),
            // An event stream may get an event of ours at its end, whatever length it declared.
            remaining: answer.length().filter(|_| !matches!(meter, Meter::Stream(..))),
            answer,
            meter,
            lease,
            journal,
            first: None,
            last_byte: now,
            patience,
            idle: None,
            burst: 0,
            end: None,
        }
    }

    /// A piece that was read already and goes first.
    #[must_use]
    pub fn first(mut self, piece: Bytes) -> Self {
        self.first = Some(piece);
        self
    }

    /// The next piece for the client: everything that is there at this moment.
    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.burst > TURN {
            // An upstream faster than we are must not keep everybody else waiting. This wake comes
            // after the runtime has looked at its sockets; a plain one would come before, for 61
            // turns in a row.
            self.burst = 0;
            if pin!(tokio::task::yield_now()).poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        let polled = self.poll_pieces(cx);
        if self.end.is_none()
            && let Some(lease) = &mut self.lease
        {
            lease.tell();
        }
        polled
    }

    fn poll_pieces(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let mut batch = Batch::default();
        if let Some(first) = self.first.take() {
            batch.push(first);
        }
        if self.end.is_none() && self.burst > 0 && self.app.cutting.load(Ordering::Relaxed) {
            // It has had no reason to wait, and would not hear of the end otherwise.
            batch = self.give_up();
        }
        while self.end.is_none() && !batch.is_full() {
            match self.answer.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => self.pass(frame, &mut batch),
                Poll::Ready(Some(Err(_))) => self.cut(Trouble::CutReset, &mut batch),
                Poll::Ready(None) => match &self.meter {
                    Meter::Stream(watch, _) if !watch.terminal() && !watch.failed() => {
                        self.cut(Trouble::CutShort, &mut batch);
                    }
                    _ => self.served(Instant::now()),
                },
                Poll::Pending => match batch.take() {
                    Some(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                    None if self.must_wait(cx) => {
                        self.burst = 0;
                        return Poll::Pending;
                    }
                    None => batch = self.give_up(),
                },
            }
        }
        Poll::Ready(match (batch.take(), &mut self.end) {
            (Some(bytes), _) => Some(Ok(Frame::data(bytes))),
            (None, Some(End::Trailers(trailers))) => {
                let trailers = std::mem::take(trailers);
                self.end = Some(End::Clean);
                Some(Ok(Frame::trailers(trailers)))
            }
            (None, end @ Some(End::Broken)) => {
                *end = Some(End::Clean);
                Some(Err(Broken))
            }
            (None, Some(End::Clean) | None) => None,
        })
    }

    fn pass(&mut self, frame: Frame<Bytes>, batch: &mut Batch) {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    self.served(Instant::now());
                    self.end = Some(End::Trailers(trailers));
                }
                return;
            }
        };
        let length = data.len() as u64;
        self.last_byte = Instant::now();
        self.meter.feed(&data);
        self.journal.add().bytes_out += length;
        self.burst += data.len();
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(length);
            // hyper does not ask again once the declared length is written.
            if *remaining == 0 {
                self.served(self.last_byte);
            }
        }
        batch.push(data);
    }

    /// Nothing has come: may it still?
    fn must_wait(&mut self, cx: &mut Context<'_>) -> bool {
        if self.app.cutting.load(Ordering::Relaxed) {
            return false;
        }
        // The timer is set anew only when it has run out, so that most pieces cost it nothing.
        let deadline = self.last_byte + self.patience;
        let idle = self.idle.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        while idle.as_mut().poll(cx).is_ready() {
            if deadline <= Instant::now() {
                return false;
            }
            idle.as_mut().reset(deadline);
        }
        true
    }

    /// The wait is over: the proxy stops, or upstream went silent.
    fn give_up(&mut self) -> Batch {
        let mut batch = Batch::default();
        if self.app.cutting.load(Ordering::Relaxed) {
            self.app.was_cut.store(true, Ordering::Relaxed);
            self.stop(&mut batch);
        } else {
            self.cut(Trouble::CutIdle, &mut batch);
        }
        batch
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
    fn served(&mut self, moment: Instant) {
        self.end = Some(End::Clean);
        self.answer.finish();
        self.settle(moment, Outcome::Served);
    }

    /// Upstream broke off: the client hears of it in its own format, never as a clean end.
    fn cut(&mut self, trouble: Trouble, batch: &mut Batch) {
        if matches!(&self.meter, Meter::Stream(watch, _) if watch.terminal() || watch.failed()) {
            // Everything was said already: nothing is missing, and nobody is to blame.
            self.served(Instant::now());
            return;
        }
        let fault = of_trouble(trouble);
        self.journal.cut(fault.kind);
        self.settle(Instant::now(), |bill| Outcome::Cut(bill, fault));
        self.end_with(INTERRUPTED, batch);
    }

    /// We break off ourselves: nobody is to blame.
    fn stop(&mut self, batch: &mut Batch) {
        self.journal.stopped();
        self.settle(Instant::now(), Outcome::Abandoned);
        self.end_with(STOPPING, batch);
    }

    fn settle(&mut self, moment: Instant, outcome: impl FnOnce(Bill) -> Outcome) {
        let reading = self.meter.reading();
        self.journal.metered(&reading);
        if let Some(mut lease) = self.lease.take() {
            // Not when this is settled: a client that reads slowly lets the end come late.
            let ended = Some(self.app.clock.at(self.last_byte));
            let bill = Bill { ended, ..bill(&reading, lease.estimate()) };
            lease.settle(outcome(bill), moment);
        }
        self.journal.finish(moment);
    }

    fn end_with(&mut self, message: &str, batch: &mut Batch) {
        self.end = Some(match &self.meter {
            Meter::Stream(watch, _) if watch.terminal() || watch.failed() => End::Clean,
            Meter::Stream(watch, format) => {
                batch.push(Bytes::from_static(watch.cut_prefix()));
                batch.push(stream_error(*format, message).into());
                End::Clean
            }
            _ => End::Broken,
        });
    }

    /// Whether everything was passed on.
    pub fn is_end_stream(&self) -> bool {
        matches!(self.end, Some(End::Clean)) && self.first.is_none()
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
        if self.end.is_some() {
            return;
        }
        if self.remaining == Some(0) && self.first.is_none() {
            // An empty answer is never asked for its body.
            self.served(Instant::now());
            return;
        }
        if matches!(&self.meter, Meter::Stream(watch, _) if watch.terminal()) {
            // The client left after the last event, as many do: what follows is for us, if it is
            // there already.
            self.drain();
            self.served(Instant::now());
            return;
        }
        // The client went away: dropping the answer ends the request upstream.
        self.journal.left();
        self.settle(Instant::now(), Outcome::Abandoned);
    }
}

/// What an answer cost: what it said itself, else at most the estimate with what was seen of it.
fn bill(reading: &Reading, estimate: Tokens) -> Bill {
    if let Some(tokens) = reading.tokens {
        return Bill {
            list_cost: reading.list_cost,
            balance_cost: reading.balance_cost,
            ..Bill::exact(tokens)
        };
    }
    let seen = reading.output_bytes / BYTES_PER_TOKEN;
    Bill {
        balance_cost: reading.balance_cost,
        ..Bill::at_most(Tokens { output: estimate.output.max(seen), ..estimate })
    }
}

/// A cautious (low) figure for English and code; only for estimates.
pub const BYTES_PER_TOKEN: u64 = 3;
