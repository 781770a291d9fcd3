//! The request body on its way out: held once, never rewritten, shared by all attempts.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Bodies are handed to hyper in slices of this size, so that "the last byte was sent" is known to
/// within a slice, and sending can stop when the answer comes early.
const SLICE: usize = 64 * 1024;

/// A request body of one attempt. Cloning the bytes costs a reference count.
#[derive(Debug)]
pub struct OutBody {
    rest: Bytes,
    upload: Option<Arc<Upload>>,
}

/// How far a large body has got; shared with the attempt that waits for the answer.
#[derive(Debug, Default)]
pub struct Upload {
    taken: AtomicUsize,
    complete: AtomicBool,
    stopped: AtomicBool,
}

impl Upload {
    /// The last slice has been handed over.
    pub fn is_taken(&self) -> bool {
        self.complete.load(Ordering::Relaxed)
    }

    /// Bytes handed over so far.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// The answer came first: nothing more is sent.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

impl OutBody {
    /// The body, and a handle on its progress where it is too large to go out in one piece.
    pub fn new(bytes: Bytes) -> (Self, Option<Arc<Upload>>) {
        let upload = (bytes.len() > SLICE).then(Arc::<Upload>::default);
        (Self { rest: bytes, upload: upload.clone() }, upload)
    }
}

impl Body for OutBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if self.upload.as_ref().is_some_and(|upload| upload.stopped.load(Ordering::Relaxed)) {
            // The answer is being relayed; the connection is closed after it, which ends the body.
            return Poll::Pending;
        }
        let length = self.rest.len().min(SLICE);
        let slice = self.rest.split_to(length);
        if let Some(upload) = &self.upload {
            upload.taken.fetch_add(length, Ordering::Relaxed);
            upload.complete.store(self.rest.is_empty(), Ordering::Relaxed);
        }
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
