//! One record per request.

use std::sync::Arc;
use std::time::Duration;

use saros_core::fault::FaultKind;
use saros_core::format::Format;
use saros_core::meter::Tokens;

/// What is known of a request when it has ended. No content, ever.
#[derive(Debug, Clone)]
pub struct RequestRecord {
    /// The request id that the client saw.
    pub id: Box<str>,
    /// The dialect.
    pub format: Option<Format>,
    /// The model.
    pub model: Option<Arc<str>>,
    /// The account that served, or was tried last.
    pub label: Option<Arc<str>>,
    /// Attempts made.
    pub attempts: u32,
    /// What the client got.
    pub status: Option<u16>,
    /// Until the head of the answer.
    pub ttfb: Option<Duration>,
    /// Until the end.
    pub duration: Duration,
    /// Request body.
    pub bytes_in: u64,
    /// Answer body.
    pub bytes_out: u64,
    /// What the answer said that it consumed.
    pub tokens: Option<Tokens>,
    /// An attempt was repeated that may have been served: possibly paid twice.
    pub replayed: bool,
    /// The last fault.
    pub fault: Option<FaultKind>,
    /// How it ended.
    pub end: End,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// To its last byte.
    Complete,
    /// Upstream broke off.
    Cut,
    /// The client left.
    ClientGone,
    /// The proxy was stopped.
    Stopped,
}

impl RequestRecord {
    /// A record that knows only its id.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            format: None,
            model: None,
            label: None,
            attempts: 0,
            status: None,
            ttfb: None,
            duration: Duration::ZERO,
            bytes_in: 0,
            bytes_out: 0,
            tokens: None,
            replayed: false,
            fault: None,
            end: End::Complete,
        }
    }

    /// Writes it to the log.
    pub fn log(&self) {
        tracing::info!(id = &*self.id, status = self.status, "Request");
    }
}
