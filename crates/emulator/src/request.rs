//! What the service reads of a request: credential, session, model, caller (upstream.md §1, §5.1).

use std::net::IpAddr;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::locale::Locale;
use crate::model::Format;
use crate::route::Layout;

/// The first `"model"\s*:\s*"…"` in the raw text (upstream.md §1.2). Escaped occurrences inside
/// strings do not match: their quotes carry a backslash.
pub(crate) fn scan_model(body: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"\"model\"";
    let mut from = 0;
    while let Some(rest) = body.get(from..) {
        let at = rest.windows(NAME.len()).position(|window| window == NAME)?;
        let rest = rest.get(at + NAME.len()..)?;
        from += at + NAME.len();
        let rest = rest.trim_ascii_start();
        let Some(rest) = rest.strip_prefix(b":") else { continue };
        let Some(rest) = rest.trim_ascii_start().strip_prefix(b"\"") else { continue };
        let Some(end) = rest.iter().position(|byte| *byte == b'"') else { continue };
        let name = rest.get(..end)?;
        return Some(String::from_utf8_lossy(name).into_owned());
    }
    None
}

/// The session id, from the header or one of the aliases that were seen to work (upstream.md
/// §5.1): the others of that measurement count as missing.
pub(crate) fn session(headers: &HeaderMap) -> Option<String> {
    const NAMES: [&str; 5] = [
        "x-opencode-session",
        "x-claude-code-session-id",
        "x-session-id",
        "session-id",
        "session_id",
    ];
    NAMES.iter().find_map(|name| {
        let value = headers.get(*name)?.to_str().ok()?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    })
}

/// The credential as this endpoint reads it (upstream.md §1.1). `public` is no key.
pub(crate) fn credential(layout: Layout, format: Format, headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = text(AUTHORIZATION.as_str());
    let key = match (layout, format) {
        (Layout::Legacy, Format::Messages) => text("x-api-key"),
        // `split(" ")[1]`: whatever the first word is.
        (Layout::Legacy, _) => authorization.and_then(|value| value.split(' ').nth(1)),
        (Layout::New, _) => authorization.and_then(bearer),
    }?;
    (!key.is_empty() && key != "public").then(|| key.to_owned())
}

/// The credential as the router in front of the legacy handler sees it, in whatever header it came
/// (upstream.md §0.1).
pub(crate) fn any_credential(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let key = text(AUTHORIZATION.as_str())
        .and_then(|value| value.split(' ').nth(1))
        .or_else(|| text("x-api-key"))
        .or_else(|| text("x-goog-api-key"))?;
    (!key.is_empty() && key != "public").then(|| key.to_owned())
}

/// `^Bearer (\S+)$`, exactly (upstream.md §1.1, `/usage`).
pub(crate) fn bearer(value: &str) -> Option<&str> {
    let key = value.strip_prefix("Bearer ")?;
    (!key.is_empty() && !key.contains(char::is_whitespace)).then_some(key)
}

/// Who is calling, beside the key.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) locale: Locale,
    pub(crate) ip: String,
    pub(crate) country: Option<String>,
}

impl Caller {
    /// From the edge's headers, else from the connection.
    pub(crate) fn of(headers: &HeaderMap, peer: Option<IpAddr>) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let ip = text("x-real-ip")
            .or_else(|| text("cf-connecting-ip"))
            .and_then(|value| value.trim().parse::<IpAddr>().ok())
            .or(peer);
        Self {
            locale: Locale::of(headers),
            ip: ip.map_or_else(|| "unknown".to_owned(), network),
            country: text("cf-ipcountry").map(str::to_owned),
        }
    }
}

/// An IPv4 address, or the /64 of an IPv6 one (upstream.md §2.2, `FreeUsageLimitError`).
fn network(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_model_in_the_text_wins() {
        let scan = |text: &str| scan_model(text.as_bytes());
        assert_eq!(scan(r#"{"model":"a"}"#).as_deref(), Some("a"));
        assert_eq!(scan("{\"model\" \n : \t\"a\"}").as_deref(), Some("a"));
        assert_eq!(
            scan(r#"{"metadata":{"model":"hijacked"},"model":"a"}"#).as_deref(),
            Some("hijacked")
        );
        assert_eq!(
            scan(r#"{"messages":[{"content":"say \"model\": \"x\""}],"model":"a"}"#).as_deref(),
            Some("a"),
            "escaped text does not match"
        );
        assert_eq!(scan(r#"{"model":7,"x":{"model":"b"}}"#).as_deref(), Some("b"));
        assert_eq!(scan(r#"{"model":"unfinished"#), None);
        assert_eq!(scan("{}"), None);
    }

    #[test]
    fn credentials_by_endpoint() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, "Bearer one".parse().unwrap());
        headers.insert("x-api-key", "two".parse().unwrap());
        let read = |layout, format, headers: &HeaderMap| credential(layout, format, headers);
        assert_eq!(read(Layout::Legacy, Format::Messages, &headers).as_deref(), Some("two"));
        assert_eq!(read(Layout::Legacy, Format::Chat, &headers).as_deref(), Some("one"));
        assert_eq!(read(Layout::New, Format::Messages, &headers).as_deref(), Some("one"));
        headers.remove("x-api-key");
        assert_eq!(read(Layout::Legacy, Format::Messages, &headers), None);
        headers.insert(AUTHORIZATION, "Bearer public".parse().unwrap());
        assert_eq!(read(Layout::Legacy, Format::Chat, &headers), None);
        assert_eq!(bearer("Bearer a b"), None);
        assert_eq!(bearer("bearer a"), None);
    }

    #[test]
    fn session_aliases() {
        let mut headers = HeaderMap::new();
        for name in ["conversation_id", "x-codex-session-id", "thread-id", "x-client-request-id"] {
            headers.insert(name, "x".parse().unwrap());
        }
        assert_eq!(session(&headers), None);
        headers.insert("session-id", "s".parse().unwrap());
        assert_eq!(session(&headers).as_deref(), Some("s"));
        headers.insert("x-opencode-session", "own".parse().unwrap());
        assert_eq!(session(&headers).as_deref(), Some("own"));
    }

    #[test]
    fn ipv6_counts_by_its_64() {
        let ip = |text: &str| network(text.parse().unwrap());
        assert_eq!(ip("2001:db8:1:2:3::4"), ip("2001:db8:1:2::9"));
        assert_ne!(ip("2001:db8:1:3::4"), ip("2001:db8:1:2::9"));
    }
}
