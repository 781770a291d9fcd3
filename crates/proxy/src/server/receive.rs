//! Taking a request body in: once, bounded, and counted.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;

use crate::server::ear::Arriving;

/// What all held request bodies may take together (ARCHITECTURE.md, "Bodies").
pub const HELD_AT_MOST: usize = 256 << 20;

/// The memory that held request bodies take.
#[derive(Debug, Default)]
pub struct Memory(AtomicUsize);

/// A share of [`Memory`], given back when dropped.
#[derive(Debug)]
pub struct Hold {
    memory: Arc<Memory>,
    bytes: usize,
}

/// Why a body was not taken in.
#[derive(Debug)]
pub enum Refused {
    /// Over `maxBodyBytes`.
    TooLarge,
    /// Over [`HELD_AT_MOST`] with what is already held.
    NoMemory,
    /// No byte for too long.
    TooSlow,
    /// The client broke off, or its framing is wrong.
    Broken,
}

/// Reads the whole body. The declared length is checked before the first byte is asked for, so a
/// client that waits for `100 Continue` is refused without sending anything.
pub async fn receive(
    mut body: Arriving,
    limit: u64,
    idle: Duration,
    memory: &Arc<Memory>,
) -> Result<(Bytes, Hold), Refused> {
    let declared = body.size_hint();
    if declared.lower() > limit {
        return Err(Refused::TooLarge);
    }
    let exact = declared.exact().and_then(|length| usize::try_from(length).ok());
    let mut hold = Hold { memory: Arc::clone(memory), bytes: 0 };
    hold.fits(exact.unwrap_or(0))?;
    let mut first: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    let mut length = 0usize;
    while !body.is_end_stream() {
        // Most bodies are there with their head, and need no timer.
        let frame = match poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx))).await {
            Poll::Ready(frame) => frame,
            Poll::Pending => Box::pin(tokio::time::timeout(idle, body.frame()))
                .await
                .map_err(|_| Refused::TooSlow)?,
        };
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| Refused::Broken)?.into_data() else { continue };
        length = length.saturating_add(data.len());
        if length as u64 > limit {
            return Err(Refused::TooLarge);
        }
        hold.grow(length.saturating_sub(hold.bytes))?;
        match first.take() {
            // One piece is the usual case and needs no copy.
            None if joined.is_empty() => first = Some(data),
            Some(before) => {
                joined.reserve(exact.unwrap_or(0).max(length));
                joined.extend_from_slice(&before);
                joined.extend_from_slice(&data);
            }
            None => joined.extend_from_slice(&data),
        }
    }
    Ok((first.unwrap_or_else(|| joined.freeze()), hold))
}

impl Hold {
    /// Is there room for so much? Only what has arrived is counted, so that a promise that is not
    /// kept takes nothing from others.
    fn fits(&self, more: usize) -> Result<(), Refused> {
        let held = self.memory.0.load(Ordering::Relaxed);
        if held.saturating_add(more) > HELD_AT_MOST { Err(Refused::NoMemory) } else { Ok(()) }
    }

    fn grow(&mut self, more: usize) -> Result<(), Refused> {
        let before = self.memory.0.fetch_add(more, Ordering::Relaxed);
        self.bytes += more;
        if before.saturating_add(more) > HELD_AT_MOST { Err(Refused::NoMemory) } else { Ok(()) }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.memory.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_and_bounded() {
        let memory = Arc::new(Memory::default());
        let mut hold = Hold { memory: Arc::clone(&memory), bytes: 0 };
        assert!(hold.grow(HELD_AT_MOST).is_ok());
        let mut second = Hold { memory: Arc::clone(&memory), bytes: 0 };
        assert!(matches!(second.grow(1), Err(Refused::NoMemory)));
        drop(second);
        drop(hold);
        assert_eq!(memory.0.load(Ordering::Relaxed), 0);
    }
}
