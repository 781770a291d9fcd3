//! One configured key as the edge sees it: its credential ready to send, its paths, its connections.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use saros_core::format::Format;
use saros_core::id::{KeyId, UpstreamId};
use saros_core::pool::RosterKey;

use crate::config::{BaseUrl, KeyConfig, Layout};
use crate::upstream::connections::Connections;

/// See the module documentation.
#[derive(Debug)]
pub struct Key {
    /// Fingerprint of the secret.
    pub id: KeyId,
    /// The owner's name for it.
    pub label: Arc<str>,
    /// The name as a header can carry it.
    pub label_value: HeaderValue,
    /// Where it is used.
    pub base: BaseUrl,
    /// Its open connections.
    pub connections: Connections,
    /// The usage API was found in the layout that is not its own.
    pub usage_elsewhere: AtomicBool,
    pub(crate) bearer: HeaderValue,
    pub(crate) bare: HeaderValue,
    pub(crate) authority: HeaderValue,
    address: Address,
    targets: [Target; 3],
}

/// Both forms of one path.
#[derive(Debug, Clone)]
struct Target {
    path: Uri,
    whole: Uri,
}

/// Scheme and host, parsed once.
#[derive(Debug)]
struct Address {
    scheme: Scheme,
    authority: Authority,
}

impl Key {
    /// Prepares a key. `None` when its secret cannot stand in a header.
    pub fn new(config: &KeyConfig) -> Option<Self> {
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {}", config.secret.expose())).ok()?;
        bearer.set_sensitive(true);
        let mut bare = HeaderValue::from_str(config.secret.expose()).ok()?;
        bare.set_sensitive(true);
        let address = Address::of(&config.base)?;
        let target = |format: Format| {
            let path = config.base.path(format.endpoint());
            Some(Target {
                path: address.uri(path.clone(), false)?,
                whole: address.uri(path, true)?,
            })
        };
        Some(Self {
            id: config.secret.key_id(),
            label: config.label.clone(),
            label_value: label_value(&config.label),
            connections: Connections::default(),
            usage_elsewhere: AtomicBool::new(false),
            bearer,
            bare,
            authority: HeaderValue::from_str(&config.base.origin.authority()).ok()?,
            targets: [target(Format::Chat)?, target(Format::Messages)?, target(Format::Responses)?],
            address,
            base: config.base.clone(),
        })
    }

    /// Where a request goes: HTTP/1.1 sends the path alone, HTTP/2 the whole address. What every
    /// request needs is ready; a query is added to it, an unknown route is put together anew.
    /// `asked` is what the client asked for: often it is the same here.
    pub fn uri(
        &self,
        format: Option<Format>,
        below_v1: &str,
        asked: Option<&PathAndQuery>,
        whole: bool,
    ) -> Option<Uri> {
        let ready = format.and_then(|format| {
            Some((self.target(format), below_v1.strip_prefix(format.endpoint())?))
        });
        match ready {
            Some((target, "")) if whole => Some(target.whole.clone()),
            Some((target, "")) => Some(target.path.clone()),
            Some((target, query)) if query.starts_with('?') => {
                match asked.filter(|asked| asked.path() == target.path.path()) {
                    Some(asked) => self.address.with(asked.clone(), whole),
                    None => self.address.uri([target.path.path(), query].concat(), whole),
                }
            }
            _ => self.address.uri(self.base.path(below_v1), whole),
        }
    }

    fn target(&self, format: Format) -> &Target {
        let [chat, messages, responses] = &self.targets;
        match format {
            Format::Chat => chat,
            Format::Messages => messages,
            Format::Responses => responses,
        }
    }

    /// The credential, as `Authorization` takes it.
    pub fn bearer(&self) -> HeaderValue {
        self.bearer.clone()
    }

    /// Host and port, as `Host` takes them.
    pub fn host(&self) -> HeaderValue {
        self.authority.clone()
    }

    /// Where a request for any path of the same origin goes.
    pub fn uri_at(&self, path: String, whole: bool) -> Option<Uri> {
        self.address.uri(path, whole)
    }

    /// The credential's header: the legacy `/messages` reads only `x-api-key`, everything else
    /// reads the bearer token (upstream.md §1.1).
    pub fn credential(&self, below_v1: &str) -> (http::HeaderName, HeaderValue) {
        let after = below_v1.strip_prefix("messages");
        let messages = after.is_some_and(|after| after.is_empty() || after.starts_with(['?', '/']));
        if messages && matches!(self.base.layout, Layout::Legacy { .. }) {
            (http::HeaderName::from_static("x-api-key"), self.bare.clone())
        } else {
            (http::header::AUTHORIZATION, self.bearer.clone())
        }
    }

    /// The key as the pool knows it.
    pub fn roster_entry(&self, upstream: UpstreamId, config: &KeyConfig) -> RosterKey {
        RosterKey {
            id: self.id,
            label: self.label.clone(),
            upstream,
            plan: config.plan,
            allow_balance: config.allow_balance.into(),
        }
    }
}

impl Address {
    fn of(base: &BaseUrl) -> Option<Self> {
        Some(Self {
            scheme: base.origin.scheme.name().parse().ok()?,
            authority: base.origin.authority().parse().ok()?,
        })
    }

    fn uri(&self, path: String, whole: bool) -> Option<Uri> {
        self.with(PathAndQuery::from_maybe_shared(path).ok()?, whole)
    }

    fn with(&self, path: PathAndQuery, whole: bool) -> Option<Uri> {
        let mut parts = http::uri::Parts::default();
        if whole {
            parts.scheme = Some(self.scheme.clone());
            parts.authority = Some(self.authority.clone());
        }
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).ok()
    }
}

/// Labels may hold any character; a header holds visible ASCII. What does not fit is
/// percent-encoded.
fn label_value(label: &str) -> HeaderValue {
    let mut text = String::with_capacity(label.len());
    for byte in label.bytes() {
        if (byte.is_ascii_graphic() || byte == b' ') && byte != b'%' {
            text.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _written = write!(text, "%{byte:02X}");
        }
    }
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("unnamed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn key(base: &str) -> Key {
        let secret = Secret::new("sk-0123456789abcdefghij".to_owned());
        Key::new(&KeyConfig::new("büro 1", secret, BaseUrl::parse(base).unwrap())).unwrap()
    }

    #[test]
    fn only_the_legacy_messages_endpoint_gets_x_api_key() {
        let check = |base, below, name| {
            assert_eq!(key(base).credential(below).0.as_str(), name, "{base} {below}");
        };
        check("https://opencode.ai", "messages", "x-api-key");
        check("https://opencode.ai", "messages?beta=true", "x-api-key");
        check("https://opencode.ai", "messages/x", "x-api-key");
        check("https://opencode.ai", "messages2", "authorization");
        check("https://opencode.ai", "chat/completions", "authorization");
        check("https://opencode.ai/inference/go", "messages", "authorization");
    }

    #[test]
    fn targets_keep_the_query_and_know_both_layouts() {
        let check = |base, format, below, absolute: &str| {
            let key = key(base);
            for prefix in ["/v1/", "/zen/go/v1/"] {
                let asked = PathAndQuery::try_from([prefix, below].concat()).ok();
                let uri = |whole| key.uri(format, below, asked.as_ref(), whole).unwrap();
                assert_eq!(uri(true).to_string(), absolute);
                let path = uri(false).to_string();
                assert!(path.starts_with('/') && absolute.ends_with(&path), "{path}");
            }
        };
        let legacy = "https://opencode.ai";
        let chat = Some(Format::Chat);
        check(legacy, chat, "chat/completions", "https://opencode.ai/zen/go/v1/chat/completions");
        check(
            legacy,
            Some(Format::Messages),
            "messages?beta=true",
            "https://opencode.ai/zen/go/v1/messages?beta=true",
        );
        check(
            "http://127.0.0.1:9/inference/go",
            chat,
            "chat/completions",
            "http://127.0.0.1:9/inference/go/openai/v1/chat/completions",
        );
        check(legacy, None, "else/where?x=1", "https://opencode.ai/zen/go/v1/else/where?x=1");
    }

    #[test]
    fn a_label_fits_into_a_header_and_a_key_into_no_debug_output() {
        let key = key("https://opencode.ai");
        assert_eq!(key.label_value, "b%C3%BCro 1");
        assert!(!format!("{key:?}").contains("0123456789"));
    }
}
