//! The body of an answer, played by its schedule.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;

use crate::clock::Clock;
use crate::exchange::Exchange;
use crate::schedule::{Ending, Schedule};

/// Before a fault cuts an answer, what was written gets this long (tokio's time) to leave.
const FLUSH: Duration = Duration::from_millis(5);

/// A body that waits, ends, breaks or stalls as its schedule says.
pub(crate) struct Body {
    schedule: Schedule,
    /// Bytes still to come of a body with a length.
    left: Option<u64>,
    timer: Option<Pin<Box<Sleep>>>,
    waited: bool,
    clock: Clock,
    exchange: Option<Exchange>,
    over: bool,
}

impl Body {
    pub(crate) fn new(schedule: Schedule, clock: Clock, exchange: Option<Exchange>) -> Self {
        let left = schedule.length;
        Self { schedule, left, timer: None, waited: false, clock, exchange, over: false }
    }

    /// Waits once before the front beat, and before an ending that cuts.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.waited {
            let until = match self.schedule.beats.front() {
                Some(beat) if beat.wait_ms > 0 => Some(self.clock.after(beat.wait_ms)),
                None if matches!(self.schedule.ending, Ending::Cut | Ending::Reset) => {
                    Some(tokio::time::Instant::now() + FLUSH)
                }
                _ => None,
            };
            self.timer = until.map(|until| Box::pin(tokio::time::sleep_until(until)));
            self.waited = true;
        }
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
        }
        Poll::Ready(())
    }

    fn end(&mut self) {
        if let Some(exchange) = &mut self.exchange {
            match self.schedule.ending {
                Ending::Clean => exchange.finish(),
                Ending::Early => exchange.cut(false),
                Ending::Cut | Ending::Reset => exchange.cut(true),
                Ending::Stall => {}
            }
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        ready!(this.poll_wait(cx));
        if let Some(beat) = this.schedule.beats.pop_front() {
            this.waited = false;
            if let Some(exchange) = &mut this.exchange {
                exchange.sends(&beat.bytes);
            }
            if let Some(left) = &mut this.left {
                *left = left.saturating_sub(beat.bytes.len() as u64);
            }
            let last = this.schedule.beats.is_empty();
            // hyper does not poll a body with a length beyond its last byte.
            if last && matches!(this.schedule.ending, Ending::Clean | Ending::Early) {
                this.end();
            }
            return Poll::Ready(Some(Ok(Frame::data(beat.bytes))));
        }
        match this.schedule.ending {
            Ending::Clean | Ending::Early => {
                this.over = true;
                this.end();
                Poll::Ready(None)
            }
            Ending::Cut => {
                this.over = true;
                this.end();
                Poll::Ready(Some(Err(Broken(None))))
            }
            Ending::Reset => {
                this.end();
                if let Some(exchange) = &this.exchange {
                    exchange.line().reset();
                }
                Poll::Pending
            }
            Ending::Stall => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// An answer or a stream broken on purpose; carries the h2 reason, if one was chosen.
#[derive(Debug)]
pub(crate) struct Broken(Option<h2::Error>);

impl Broken {
    /// `RST_STREAM(REFUSED_STREAM)` on h2.
    pub(crate) fn refused() -> Self {
        Self(Some(h2::Error::from(h2::Reason::REFUSED_STREAM)))
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("broken off by a fault")
    }
}

impl Error for Broken {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_ref().map(|error| error as _)
    }
}

impl From<Infallible> for Broken {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
