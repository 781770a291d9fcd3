//! Answers that Saros gives itself, in the client's format.

use saros_core::fault::Window;
use saros_core::format::Format;

/// What an own answer says. The status goes with the case, not with the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// 401: no usable key, or a missing or wrong client token.
    AuthError,
    /// 429: come back soon.
    RateLimitError,
    /// 429: a quota window is exhausted; OpenCode shows its own dialog for it.
    GoUsageLimitError {
        /// The workspace of the account that returns first, where known.
        workspace: Option<String>,
        /// The window that binds it, where known.
        limit_name: Option<Window>,
    },
    /// 429: a free model's limit per IP.
    FreeUsageLimitError,
    /// 403: out of quota for longer than a session should sleep; final.
    QuotaExhausted,
    /// 400, 404: the model is unknown, or speaks another format.
    ModelError,
    /// 400, 415, 421, 501: the request is not one that can be served.
    InvalidRequest,
    /// 403: refused by the guard.
    Forbidden,
    /// 404.
    NotFound,
    /// 413.
    TooLarge,
    /// 503: nothing can serve now (cooldowns, breakers).
    Unavailable,
    /// 503: the proxy itself is full (queue, memory).
    Overloaded,
    /// 502.
    BadGateway,
    /// 504.
    Timeout,
}

/// The body of an own answer, JSON. `None`: the format is unknown (an own endpoint, an unknown
/// route), which gets the shape of chat.
pub fn body(_format: Option<Format>, _kind: &Kind, _message: &str) -> Vec<u8> {
    Vec::new()
}

/// One complete event that ends a broken stream, in the form after which clients retry. Send
/// [`crate::sse::Watch::cut_prefix`] first.
pub fn stream_error(_format: Format, _message: &str) -> Vec<u8> {
    Vec::new()
}
