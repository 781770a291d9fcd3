//! Watching a stream of server-sent events that is passed through untouched.

use saros_core::format::Format;

use crate::usage::Reading;

/// The watcher of one stream.
#[derive(Debug)]
pub struct Watch {
    _format: Format,
}

impl Watch {
    /// A watcher for a stream in `format`.
    pub fn new(format: Format) -> Self {
        Self { _format: format }
    }

    /// Looks at the next bytes, in any chunking.
    pub fn feed(&mut self, _chunk: &[u8]) {}

    /// The format's terminal event has passed.
    pub fn terminal(&self) -> bool {
        false
    }

    /// An error event has passed.
    pub fn failed(&self) -> bool {
        false
    }

    /// What must be sent before an event of our own so that clients parse it alone.
    pub fn cut_prefix(&self) -> &'static [u8] {
        b""
    }

    /// What the stream has consumed so far.
    pub fn reading(&self) -> Reading {
        Reading::default()
    }
}
