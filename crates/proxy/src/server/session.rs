//! Which conversation a request belongs to.
//!
//! The service wants one stable id per conversation. Clients name theirs in different headers, some
//! in the body, some not at all; then the conversation is recognised by how it began.

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use saros_core::id::SessionKey;
use saros_wire::head::{Head, session_id};
use xxhash_rust::xxh3::xxh3_64;

use crate::upstream::headers::SESSION;

/// Headers that carry a client's own id, in the order in which they are believed
/// (upstream.md §5.2).
const HEADERS: [&str; 6] = [
    "x-opencode-session",
    "x-claude-code-session-id",
    "x-session-affinity",
    "x-session-id",
    "session-id",
    "session_id",
];

/// A request's conversation.
#[derive(Debug, Clone)]
pub struct Session {
    /// What goes upstream as `x-opencode-session`; `None`: the client's own header passes as it is.
    pub header: Option<HeaderValue>,
    /// Its digest, for the pool.
    pub key: SessionKey,
    /// The client named the conversation, or it has an answer in it already.
    pub warm: bool,
}

/// The id that a client put into a header.
pub fn in_headers(headers: &HeaderMap) -> Option<&HeaderValue> {
    let rank = |name: &str| HEADERS.iter().position(|header| *header == name);
    headers
        .iter()
        .filter(|(name, value)| {
            // Two first letters rule out nearly every other header.
            matches!(name.as_str().as_bytes().first(), Some(b'x' | b's')) && !value.is_empty()
        })
        .filter_map(|(name, value)| Some((rank(name.as_str())?, value)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, value)| value)
}

/// The conversation of a request: by header (`named`, see [`in_headers`]), by what the body names, by how it began, and for a
/// request without messages by itself (`request_id`). `known`: the client showed a client token.
pub fn of(
    named: Option<HeaderValue>,
    headers: &HeaderMap,
    known: bool,
    head: &Head,
    request_id: u128,
) -> Session {
    if let Some(value) = named {
        let own = headers.get(SESSION).is_some_and(|own| !own.is_empty());
        return Session {
            key: SessionKey(xxh3_64(value.as_bytes())),
            header: (!own).then_some(value),
            warm: true,
        };
    }
    let named = head.session.as_deref().and_then(|id| HeaderValue::from_str(id).ok());
    let (header, warm) = match (named, head.opening) {
        (Some(value), _) => (value, true),
        (None, Some(opening)) => (derived(headers, known, opening), head.has_assistant),
        (None, None) => (derived(headers, known, request_id), false),
    };
    let key = SessionKey(xxh3_64(header.as_bytes()));
    Session { header: Some(header), key, warm }
}

/// An id made from who asks and how the conversation began: the same over all its turns. Who asks
/// is the client token (its digest, not itself), else the product name; never an address or port,
/// which change.
fn derived(headers: &HeaderMap, known: bool, opening: u128) -> HeaderValue {
    let credential = || headers.get(AUTHORIZATION).or_else(|| headers.get("x-api-key"));
    let id = if let Some(value) = known.then(credential).flatten() {
        session_id(&format!("{:016x}", xxh3_64(value.as_bytes())), opening)
    } else {
        let product = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        session_id(product.unwrap_or_default(), opening)
    };
    HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("ses_00000000000000000000000000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (http::HeaderName::from_static(name), HeaderValue::from_static(value))
            })
            .collect()
    }

    fn of(headers: &HeaderMap, known: bool, head: &Head, request_id: u128) -> Session {
        super::of(in_headers(headers).cloned(), headers, known, head, request_id)
    }

    fn head(session: Option<&str>, opening: Option<u128>, has_assistant: bool) -> Head {
        Head { session: session.map(str::to_owned), opening, has_assistant, ..Head::default() }
    }

    #[test]
    fn headers_are_believed_in_order() {
        let all = headers(&[
            ("session_id", "6"),
            ("session-id", "5"),
            ("x-session-id", "4"),
            ("x-session-affinity", "3"),
            ("x-claude-code-session-id", "2"),
        ]);
        let session = of(&all, false, &head(Some("body"), Some(1), false), 9);
        assert_eq!(session.header.unwrap(), "2");
        assert!(session.warm);
        let own = headers(&[("x-opencode-session", "1"), ("x-claude-code-session-id", "2")]);
        assert!(of(&own, false, &Head::default(), 9).header.is_none(), "passes unchanged");
    }

    #[test]
    fn an_id_in_the_body_comes_before_the_opening() {
        let session = of(&HeaderMap::new(), false, &head(Some("cache-key"), Some(1), false), 9);
        assert_eq!(session.header.unwrap(), "cache-key");
        assert!(session.warm);
    }

    #[test]
    fn a_conversation_without_id_keeps_one_over_its_turns() {
        let client = headers(&[("user-agent", "pi/1")]);
        let first = of(&client, false, &head(None, Some(7), false), 1);
        let later = of(&client, false, &head(None, Some(7), true), 2);
        assert_eq!(first.header, later.header);
        assert!(!first.warm && later.warm);
        let other = of(&headers(&[("user-agent", "x/1")]), false, &head(None, Some(7), true), 3);
        assert_ne!(first.key, other.key);
        let none = of(&client, false, &head(None, None, false), 4);
        let again = of(&client, false, &head(None, None, false), 5);
        assert_ne!(none.key, again.key, "nothing to recognise them by");
    }
}
