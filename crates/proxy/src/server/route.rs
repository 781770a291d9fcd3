//! What a path means.

use std::borrow::Cow;

use http::{Method, Uri};
use saros_core::format::Format;

use crate::server::control::Asked;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To the service, with what stands below `/v1/`, query included. `format: None`: a route that
    /// we know nothing of; it gets one attempt and blames nobody.
    Proxied {
        /// The dialect.
        format: Option<Format>,
        /// `chat/completions`, `messages?beta=true`, …
        below_v1: Cow<'static, str>,
    },
    /// `GET …/models`.
    Models,
    /// `POST …/messages/count_tokens`: the service has none.
    CountTokens,
    /// `GET /`.
    Root,
    /// `GET /health`.
    Health,
    /// `GET /ready`.
    Ready,
    /// `/saros/v1/…`.
    Control(Asked),
    /// Nothing of ours.
    NotFound,
    /// A path that means different things to different readers.
    Odd,
}

/// Reads the path. Both prefixes lead to the service: `/zen/go/v1/…` and `/v1/…`.
pub fn route(method: &Method, uri: &Uri) -> Route {
    let path = uri.path();
    let below = path.strip_prefix("/zen/go/v1/").or_else(|| path.strip_prefix("/v1/"));
    // What nearly every request asks for needs no closer look.
    if let Some(format) = below.and_then(format).filter(|_| *method == Method::POST) {
        let below_v1 = match uri.query() {
            None => Cow::Borrowed(format.endpoint()),
            Some(query) => Cow::Owned([format.endpoint(), "?", query].concat()),
        };
        return Route::Proxied { format: Some(format), below_v1 };
    }
    if is_odd(path) {
        return Route::Odd;
    }
    let reading = *method == Method::GET || *method == Method::HEAD;
    match path {
        "/" if reading => return Route::Root,
        "/health" if reading => return Route::Health,
        "/ready" if reading => return Route::Ready,
        _ => {}
    }
    if let Some(below) = path.strip_prefix("/saros/v1/") {
        return Route::Control(Asked::of(method, below));
    }
    let Some(below) = below.filter(|below| !below.is_empty()) else { return Route::NotFound };
    match below {
        "models" if reading => return Route::Models,
        "messages/count_tokens" if *method == Method::POST => return Route::CountTokens,
        _ => {}
    }
    let below_v1 = Cow::Owned(match uri.query() {
        None => below.to_owned(),
        Some(query) => [below, "?", query].concat(),
    });
    Route::Proxied { format: None, below_v1 }
}

/// The dialect of an endpoint, when posted to.
fn format(below_v1: &str) -> Option<Format> {
    let formats = [Format::Chat, Format::Messages, Format::Responses];
    formats.into_iter().find(|format| format.endpoint() == below_v1)
}

/// Dot segments, doubled or encoded separators, encoded dots, control characters and broken
/// escapes: what one reader resolves and another does not (RFC 3986 §6.2.2).
fn is_odd(path: &str) -> bool {
    // Nearly every path has nothing that needs a closer look.
    let mut before = 0;
    let needs_a_look = |byte| {
        let pair = (before, byte);
        before = byte;
        matches!(pair, (_, b'%' | b'\\') | (b'/', b'/' | b'.'))
    };
    if path.starts_with('/') && !path.bytes().any(needs_a_look) {
        return false;
    }
    if path == "*" || !path.starts_with('/') || path.contains("//") || path.contains('\\') {
        return true;
    }
    if path.split('/').any(|segment| segment == "." || segment == "..") {
        return true;
    }
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        rest = rest.get(at + 1..).unwrap_or_default();
        let code = rest.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        match code {
            Some(b'.' | b'/' | b'\\' | b'%' | 0x7f | 0..=0x1f) | None => return true,
            Some(_) => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &Method, uri: &str) -> Route {
        route(method, &uri.parse().unwrap())
    }

    fn proxied(format: Option<Format>, below: &str) -> Route {
        Route::Proxied { format, below_v1: Cow::Owned(below.to_owned()) }
    }

    #[test]
    fn both_prefixes_lead_to_the_service() {
        for prefix in ["/v1", "/zen/go/v1"] {
            let post = |below: &str| of(&Method::POST, &format!("{prefix}/{below}"));
            assert_eq!(post("chat/completions"), proxied(Some(Format::Chat), "chat/completions"));
            assert_eq!(
                post("messages?beta=true"),
                proxied(Some(Format::Messages), "messages?beta=true")
            );
            assert_eq!(post("responses"), proxied(Some(Format::Responses), "responses"));
            assert_eq!(post("messages/count_tokens"), Route::CountTokens);
            assert_eq!(post("embeddings"), proxied(None, "embeddings"));
            assert_eq!(of(&Method::GET, &format!("{prefix}/models")), Route::Models);
            assert_eq!(of(&Method::GET, &format!("{prefix}/usage?x")), proxied(None, "usage?x"));
            assert_eq!(
                of(&Method::GET, &format!("{prefix}/chat/completions")),
                proxied(None, "chat/completions")
            );
            assert_eq!(of(&Method::GET, &format!("{prefix}/")), Route::NotFound);
        }
        assert_eq!(of(&Method::GET, "/"), Route::Root);
        assert_eq!(of(&Method::HEAD, "/health"), Route::Health);
        assert_eq!(of(&Method::GET, "/ready"), Route::Ready);
        assert_eq!(of(&Method::POST, "/ready"), Route::NotFound);
        assert_eq!(of(&Method::GET, "/v2/models"), Route::NotFound);
    }

    #[test]
    fn a_path_with_two_meanings_is_refused() {
        for path in [
            "/v1/../health",
            "/v1/./models",
            "/v1//models",
            "/v1/%2e%2e/health",
            "/v1/a%2Fb",
            "/v1/a%5cb",
            "/v1/a%00",
            "/v1/a%zz",
            "/v1/a%2",
            "/v1/a%252e",
        ] {
            assert_eq!(of(&Method::GET, path), Route::Odd, "{path}");
        }
        assert_eq!(of(&Method::GET, "/v1/a%20b"), proxied(None, "a%20b"));
    }
}
