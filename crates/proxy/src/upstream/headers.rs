//! What passes in each direction (contract of the headers: README, "Headers").

use http::header::{
    self, ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, USER_AGENT,
};
use saros_core::time::Millis;

/// The header that tells the service which conversation a request belongs to; mandatory since
/// September 2026 (upstream.md §5.1).
pub const SESSION: HeaderName = HeaderName::from_static("x-opencode-session");

/// Our own name; the service asks clients to identify themselves honestly (upstream.md §5.2).
const PRODUCT: &str = concat!("saros-proxy/", env!("CARGO_PKG_VERSION"));

/// Families of headers that belong to the conversation between client and service.
const PREFIXES: [&str; 6] =
    ["anthropic-", "openai-", "x-opencode-", "x-claude-code-", "x-codex-", "x-session-"];
/// Single headers that do. `content-length` is set anew from the body, which is the same.
const NAMES: [&str; 8] = [
    "accept",
    "content-type",
    "x-parent-session-id",
    "session-id",
    "session_id",
    "thread-id",
    "x-client-request-id",
    "idempotency-key",
];

/// What nearly every client sends and never passes.
const NEVER: [HeaderName; 4] =
    [header::HOST, header::AUTHORIZATION, header::CONTENT_LENGTH, header::USER_AGENT];

/// Headers that speak of one connection only (RFC 9110 §7.6.1), and cookies, which are the
/// service's with us, not with the client.
const DROPPED_FROM_ANSWERS: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::SET_COOKIE,
    HeaderName::from_static("proxy-connection"),
];

/// What of a client's headers every attempt sends.
pub struct Passing {
    named: Vec<(HeaderName, HeaderValue)>,
    /// The client's map, emptied: the first attempt fills it anew, which saves making one.
    room: Option<HeaderMap>,
}

impl Passing {
    /// Keeps what may pass. `session` is `None` when the client's own `x-opencode-session` passes
    /// unchanged.
    pub fn of(mut from_client: HeaderMap, session: Option<HeaderValue>) -> Self {
        let of_this_hop: Vec<HeaderName> = if from_client.contains_key(header::CONNECTION) {
            named_by_connection(&from_client).collect()
        } else {
            Vec::new()
        };
        let mut named = Vec::with_capacity(8);
        let mut passing = None;
        // A name comes with its first value only.
        for (name, value) in from_client.drain() {
            if let Some(name) = name {
                let own = name == SESSION;
                let kept = if own { session.is_none() } else { !of_this_hop.contains(&name) };
                passing = (kept && passes(&name)).then_some(name);
            }
            named.extend(passing.clone().map(|name| (name, value)));
        }
        named.extend(session.map(|session| (SESSION, session)));
        Self { named, room: Some(from_client) }
    }

    /// The headers of one attempt, the credential and host excepted.
    pub fn outgoing(&mut self) -> HeaderMap {
        let mut headers = self.room.take().unwrap_or_default();
        headers.reserve(self.named.len() + 6);
        for (name, value) in &self.named {
            headers.append(name.clone(), value.clone());
        }
        headers.append(USER_AGENT, HeaderValue::from_static(PRODUCT));
        // Error texts come in the language asked for; ours are read by people and tests in English.
        headers.append(ACCEPT_LANGUAGE, HeaderValue::from_static("en"));
        headers.append(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers
    }
}

/// The headers of a request of our own, the credential and host excepted.
pub fn outgoing(from_client: &HeaderMap, session: Option<&HeaderValue>) -> HeaderMap {
    Passing::of(from_client.clone(), session.cloned()).outgoing()
}

/// Edits an answer's headers in place.
pub fn incoming(headers: &mut HeaderMap) {
    // Looking through the few names there are is cheaper than nine look-ups.
    while let Some(name) = headers.keys().find(|name| DROPPED_FROM_ANSWERS.contains(name)).cloned()
    {
        if name == header::CONNECTION {
            let named: Vec<HeaderName> = named_by_connection(headers).collect();
            for name in named {
                headers.remove(name);
            }
        }
        headers.remove(name);
    }
}

/// `retry-after` in whole seconds: a number, or a date (RFC 9110 §10.2.3).
pub fn retry_after(headers: &HeaderMap, now: Millis) -> Option<u64> {
    const IN_MILLIS: HeaderName = HeaderName::from_static("retry-after-ms");
    let text = |name: &HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(millis) = text(&IN_MILLIS).and_then(|text| text.parse::<u64>().ok()) {
        return Some(millis.div_ceil(1000));
    }
    let value = text(&header::RETRY_AFTER)?;
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(seconds);
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    let millis = i64::try_from(since.as_millis()).ok()?.saturating_sub(now.0);
    Some(millis.max(0).unsigned_abs().div_ceil(1000))
}

fn passes(name: &HeaderName) -> bool {
    if *name == ACCEPT || *name == CONTENT_TYPE {
        return true;
    }
    if NEVER.contains(name) {
        return false;
    }
    let name = name.as_str();
    // Cheap first letters keep the common client headers out of the list search.
    match name.as_bytes().first() {
        Some(b'a' | b'c' | b'i' | b'o' | b's' | b't' | b'x') => {
            NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        }
        _ => false,
    }
}

/// Headers that the sender declared to be for this connection only.
fn named_by_connection(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> + '_ {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_the_conversation_goes_upstream() {
        let sent = outgoing(
            &map(&[
                ("accept", "text/event-stream"),
                ("content-type", "application/json"),
                ("content-length", "12"),
                ("anthropic-version", "2023-06-01"),
                ("anthropic-beta", "a,b"),
                ("x-claude-code-session-id", "c"),
                ("x-session-affinity", "ses_1"),
                ("session_id", "s"),
                ("idempotency-key", "i"),
                ("authorization", "Bearer local"),
                ("x-api-key", "local"),
                ("x-goog-api-key", "local"),
                ("cookie", "auth=1"),
                ("origin", "http://localhost:1"),
                ("referer", "http://localhost:1"),
                ("forwarded", "for=1"),
                ("x-forwarded-for", "10.0.0.1"),
                ("user-agent", "opencode/1.18.33"),
                ("accept-encoding", "gzip, br"),
                ("accept-language", "de"),
                ("connection", "keep-alive, x-codex-turn"),
                ("x-codex-turn", "secret of this hop"),
                ("x-stainless-os", "Linux"),
                ("host", "127.0.0.1:3000"),
                ("te", "trailers"),
            ]),
            Some(&HeaderValue::from_static("ses_1")),
        );
        let mut names: Vec<_> =
            sent.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                ("accept", "text/event-stream"),
                ("accept-encoding", "identity"),
                ("accept-language", "en"),
                ("anthropic-beta", "a,b"),
                ("anthropic-version", "2023-06-01"),
                ("content-type", "application/json"),
                ("idempotency-key", "i"),
                ("session_id", "s"),
                ("user-agent", PRODUCT),
                ("x-claude-code-session-id", "c"),
                ("x-opencode-session", "ses_1"),
                ("x-session-affinity", "ses_1"),
            ]
        );
    }

    #[test]
    fn an_own_session_header_passes_unchanged() {
        let sent = outgoing(&map(&[("x-opencode-session", "mine")]), None);
        assert_eq!(sent.get(SESSION).unwrap(), "mine");
        let hop = [("x-opencode-session", "mine"), ("connection", "x-opencode-session")];
        assert_eq!(outgoing(&map(&hop), None).get(SESSION).unwrap(), "mine", "whatever is said");
        let empty = map(&[("x-opencode-session", "")]);
        let sent = outgoing(&empty, Some(&HeaderValue::from_static("ours")));
        assert_eq!(sent.get_all(SESSION).iter().collect::<Vec<_>>(), ["ours"]);
    }

    #[test]
    fn every_attempt_sends_the_same() {
        let mut twice = map(&[("anthropic-beta", "a"), ("accept", "*/*"), ("cookie", "a=b")]);
        twice.append("anthropic-beta", HeaderValue::from_static("b"));
        twice.append("cookie", HeaderValue::from_static("c=d"));
        let mut passing = Passing::of(twice, Some(HeaderValue::from_static("ses_1")));
        let first = passing.outgoing();
        assert_eq!(first.get_all("anthropic-beta").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(!first.contains_key("cookie"));
        assert_eq!(passing.outgoing(), first);
    }

    #[test]
    fn answers_lose_what_belongs_to_the_connection() {
        let mut headers = map(&[
            ("content-type", "text/event-stream"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("set-cookie", "a=b"),
            ("transfer-encoding", "chunked"),
            ("retry-after", "7"),
            ("cf-ray", "x"),
        ]);
        incoming(&mut headers);
        let names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["content-type", "retry-after", "cf-ray"]);
    }
    #[test]
    fn retry_after_is_read_in_every_form() {
        let check = |name: &'static str, value: &'static str, expected| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            assert_eq!(retry_after(&headers, Millis(784_111_777_000)), expected, "{name}: {value}");
        };
        check("retry-after", "120", Some(120));
        check("retry-after", "Sun, 06 Nov 1994 08:49:38 GMT", Some(1));
        check("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT", Some(0));
        check("retry-after", "soon", None);
        check("retry-after-ms", "1500", Some(2));
        check("x-other", "1", None);
    }
}
