//! Answers that Saros gives itself, in the client's format.
//!
//! What clients do next depends on these bodies: OpenCode repeats an answer whose text holds words
//! like "rate limit" or digits like 503, shows its own dialog for `GoUsageLimitError`, compacts on
//! 413. So each kind has one fixed type and code, and those of final answers hold neither such
//! words nor digits.

use saros_core::format::Format;
use saros_core::window::Window;
use serde_json::Value;

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

impl Kind {
    /// `error.type` in the service's and OpenAI's answers, and `error.code`.
    const fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::AuthError => ("AuthError", "invalid_api_key"),
            Self::RateLimitError => ("RateLimitError", "rate_limit_exceeded"),
            Self::GoUsageLimitError { .. } => ("GoUsageLimitError", "usage_limit_reached"),
            Self::FreeUsageLimitError => ("FreeUsageLimitError", "usage_limit_reached"),
            Self::QuotaExhausted => ("insufficient_quota", "insufficient_quota"),
            Self::ModelError => ("ModelError", "model_not_found"),
            Self::InvalidRequest => ("invalid_request_error", "invalid_request"),
            Self::Forbidden => ("permission_error", "forbidden"),
            Self::NotFound => ("not_found_error", "not_found"),
            Self::TooLarge => ("request_too_large", "request_too_large"),
            Self::Unavailable => ("service_unavailable", "service_unavailable"),
            Self::Overloaded => ("server_error", "server_is_overloaded"),
            Self::BadGateway => ("server_error", "bad_gateway"),
            Self::Timeout => ("server_error", "timeout"),
        }
    }

    /// `error.type` where Anthropic's own words are understood.
    const fn anthropic(&self) -> &'static str {
        match self {
            Self::QuotaExhausted => "billing_error",
            Self::Unavailable | Self::Overloaded => "overloaded_error",
            Self::BadGateway | Self::Timeout => "api_error",
            _ => self.names().0,
        }
    }
}

/// The body of an own answer, JSON. `None`: the format is unknown (an own endpoint, an unknown
/// route), which gets the shape of chat.
///
/// The three limits that the service itself answers with 429 have its own form in every format,
/// because that is what clients look for.
pub fn body(format: Option<Format>, kind: &Kind, message: &str) -> Vec<u8> {
    let (name, code) = kind.names();
    let message = quoted(message);
    let body = match (kind, format) {
        (Kind::GoUsageLimitError { workspace, limit_name }, _) => {
            let workspace =
                workspace.as_deref().map(|name| format!(r#""workspace":{}"#, quoted(name)));
            let limit = limit_name.map(|window| format!(r#""limitName":"{}""#, limit(window)));
            let metadata: Vec<String> = workspace.into_iter().chain(limit).collect();
            service_limit(name, &message, &metadata.join(","))
        }
        (Kind::RateLimitError | Kind::FreeUsageLimitError, _) => service_limit(name, &message, ""),
        (_, Some(Format::Messages)) => {
            let name = kind.anthropic();
            format!(r#"{{"type":"error","error":{{"type":"{name}","message":{message}}}}}"#)
        }
        (_, Some(Format::Responses)) => format!(
            r#"{{"type":"error","error":{{"type":"{name}","code":"{code}","message":{message},"param":null}}}}"#
        ),
        (_, Some(Format::Chat) | None) => format!(
            r#"{{"error":{{"message":{message},"type":"{name}","param":null,"code":"{code}"}}}}"#
        ),
    };
    body.into_bytes()
}

/// One complete event that ends a broken stream, in the form after which clients retry. Send
/// [`crate::sse::Watch::cut_prefix`] first.
///
/// OpenCode retries by the message's words, so that should hold "server error" or "try again
/// later". There is no `[DONE]` behind it: the answer is not whole.
pub fn stream_error(format: Format, message: &str) -> Vec<u8> {
    let message = quoted(message);
    let event = match format {
        Format::Chat => format!(
            r#"data: {{"error":{{"message":{message},"type":"server_error","code":"server_error"}}}}"#
        ),
        Format::Messages => format!(
            "event: error\n\
             data: {{\"type\":\"error\",\"error\":{{\"type\":\"overloaded_error\",\"message\":{message}}}}}"
        ),
        Format::Responses => format!(
            "event: response.failed\n\
             data: {{\"type\":\"response.failed\",\"sequence_number\":0,\"response\":{{\"id\":\"\",\
             \"object\":\"response\",\"created_at\":0,\"status\":\"failed\",\
             \"error\":{{\"code\":\"server_error\",\"message\":{message}}},\
             \"incomplete_details\":null,\"model\":\"\",\"output\":[],\"usage\":null}}}}"
        ),
    };
    format!("{event}\n\n").into_bytes()
}

/// The form of the service's own 429.
fn service_limit(name: &str, message: &str, metadata: &str) -> String {
    format!(
        r#"{{"type":"error","error":{{"type":"{name}","message":{message}}},"metadata":{{{metadata}}}}}"#
    )
}

/// `text` as a JSON string.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The service's word for a window.
const fn limit(window: Window) -> &'static str {
    match window {
        Window::FiveHour => "5 hour",
        Window::Weekly => "weekly",
        Window::Monthly => "monthly",
    }
}

#[cfg(test)]
mod tests;
