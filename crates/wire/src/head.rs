//! The head of a request body: what routing and session identity need, read in one pass.

use saros_core::format::Format;

/// What a request body says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// The model that upstream will read; `None` if there is none, or it is over 256 bytes.
    pub model: Option<String>,
    /// A stream is asked for.
    pub stream: bool,
    /// The session id that the body carries; printable ASCII, at most 256 bytes.
    pub session: Option<String>,
    /// Digest of system prompt and first user message; `None` without messages.
    pub opening: Option<u128>,
    /// The body holds a turn of the assistant: the conversation has begun before.
    pub has_assistant: bool,
    /// The scan reached a proper end, or needed not to.
    pub well_formed: bool,
}

/// How much of the head is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Model and stream only: the session id came in a header.
    Routing,
    /// Everything.
    Conversation,
}

/// Reads the head of `body`.
pub fn read(_body: &[u8], _format: Format, _depth: Depth) -> Head {
    Head::default()
}

/// A stable session id for a conversation that has none: `ses_` and 26 letters or digits, the form
/// of OpenCode's own ids.
pub fn session_id(_client: &str, _opening: u128) -> String {
    String::new()
}
