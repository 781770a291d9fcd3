//! Base URLs: where an upstream is, and which of its two layouts is spoken there.
//!
//! The service answers at two places with different paths: the older `/zen/go/v1/…`, and the newer
//! `/inference/go/…`, which has a branch for each format. Which one a key uses is a property of
//! its base URL, so nothing else needs to know that there are two.

use std::fmt;

use http::Uri;

use crate::config::is_loopback;

/// An upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BaseUrl {
    /// Whom to connect to.
    pub origin: Origin,
    /// Which paths are used there.
    pub layout: Layout,
}

/// Whom to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// With TLS or without.
    pub scheme: Scheme,
    /// A name in lower case, or an address (IPv6 without brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// With TLS or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// TLS.
    Https,
    /// Clear text; only to loopback.
    Http,
}

/// Which paths are used. A prefix is empty or begins with `/` and does not end with one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layout {
    /// `<prefix>/zen/go/v1/…`.
    Legacy {
        /// What stands before `/zen/go/v1`.
        prefix: String,
    },
    /// `<prefix>/inference/go/…`.
    Inference {
        /// What stands before `/inference/go`.
        prefix: String,
    },
}

/// Why a text is not a base URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// Not `scheme://host…`.
    #[error("not a URL")]
    Syntax,
    /// Neither https nor http to loopback: keys would travel in clear text.
    #[error("neither https nor http to loopback")]
    Insecure,
    /// `user:password@` in it.
    #[error("holds a user name or password")]
    UserInfo,
    /// `?…` or `#…` in it.
    #[error("holds a query or fragment")]
    Query,
}

const LEGACY: &str = "/zen/go";
const INFERENCE: &str = "/inference/go";

impl BaseUrl {
    /// Reads a base URL. No path, or one ending in `/zen/go` or `/zen/go/v1`, is the legacy layout
    /// (never doubled); one ending in `/inference/go` is the new one; below any other path the
    /// legacy layout is expected.
    pub fn parse(text: &str) -> Result<Self, BaseUrlError> {
        let text = text.trim();
        if text.contains(['?', '#']) {
            return Err(BaseUrlError::Query);
        }
        let uri: Uri = text.parse().map_err(|_| BaseUrlError::Syntax)?;
        let authority = uri.authority().ok_or(BaseUrlError::Syntax)?;
        if authority.as_str().contains('@') {
            return Err(BaseUrlError::UserInfo);
        }
        let origin = origin(&uri, authority)?;
        let path = uri.path().trim_end_matches('/');
        let path = path.strip_suffix("/v1").filter(|rest| rest.ends_with(LEGACY)).unwrap_or(path);
        let layout = if let Some(prefix) = path.strip_suffix(LEGACY) {
            Layout::Legacy { prefix: prefix.to_owned() }
        } else if let Some(prefix) = path.strip_suffix(INFERENCE) {
            Layout::Inference { prefix: prefix.to_owned() }
        } else {
            Layout::Legacy { prefix: path.to_owned() }
        };
        Ok(Self { origin, layout })
    }

    /// The path upstream of what a client asks for below `/v1/`; a query passes through.
    ///
    /// In the new layout each format has a branch of its own; models, usage and whatever else lie
    /// directly below `/inference/go/v1`.
    pub fn path(&self, below_v1: &str) -> String {
        match &self.layout {
            Layout::Legacy { prefix } => format!("{prefix}{LEGACY}/v1/{below_v1}"),
            Layout::Inference { prefix } => {
                let end = below_v1.find(['/', '?']).unwrap_or(below_v1.len());
                let branch = match below_v1.split_at(end).0 {
                    "chat" | "responses" => "/openai",
                    "messages" => "/anthropic",
                    "systemone" => "/systemone",
                    _ => "",
                };
                format!("{prefix}{INFERENCE}{branch}/v1/{below_v1}")
            }
        }
    }

    /// The same place in the other layout.
    #[must_use]
    pub fn other_layout(&self) -> Self {
        let layout = match &self.layout {
            Layout::Legacy { prefix } => Layout::Inference { prefix: prefix.clone() },
            Layout::Inference { prefix } => Layout::Legacy { prefix: prefix.clone() },
        };
        Self { origin: self.origin.clone(), layout }
    }
}

impl Default for BaseUrl {
    fn default() -> Self {
        Self {
            origin: Origin {
                scheme: Scheme::Https,
                host: "opencode.ai".to_owned(),
                port: Scheme::Https.default_port(),
            },
            layout: Layout::Legacy { prefix: String::new() },
        }
    }
}

impl Scheme {
    /// The port where a URL names none.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }

    /// As it stands in a URL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

impl Origin {
    /// As a `Host` header has it: brackets around IPv6, the port only where it is not the scheme's
    /// own.
    pub fn authority(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == self.scheme.default_port() { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.authority())
    }
}

/// The form a user would write: without `/zen/go/v1`, with `/inference/go`.
impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.layout {
            Layout::Legacy { prefix } => write!(f, "{}{prefix}", self.origin),
            Layout::Inference { prefix } => write!(f, "{}{prefix}{INFERENCE}", self.origin),
        }
    }
}

fn origin(uri: &Uri, authority: &http::uri::Authority) -> Result<Origin, BaseUrlError> {
    let host = authority.host();
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let host = host.to_ascii_lowercase();
    if host.is_empty() {
        return Err(BaseUrlError::Syntax);
    }
    let scheme = match uri.scheme_str() {
        Some("https") => Scheme::Https,
        Some("http") if is_loopback(&host) => Scheme::Http,
        _ => return Err(BaseUrlError::Insecure),
    };
    // `Authority::port_u16` is `None` for `host:` and `host:99999` alike.
    let port = match authority.port() {
        Some(port) => port.as_u16(),
        None if authority.as_str().trim_end_matches(']').ends_with(&host) => scheme.default_port(),
        None => return Err(BaseUrlError::Syntax),
    };
    if port == 0 { Err(BaseUrlError::Syntax) } else { Ok(Origin { scheme, host, port }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, shown: &str, chat: &str) {
        let base = BaseUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(base.to_string(), shown, "{text}");
        let url = format!("{}{}", base.origin, base.path("chat/completions"));
        assert_eq!(url, chat, "{text}");
        assert_eq!(BaseUrl::parse(shown).as_ref(), Ok(&base), "the shown form means the same");
    }

    #[test]
    fn every_legacy_form_is_never_doubled() {
        let host = "https://opencode.ai";
        let chat = "https://opencode.ai/zen/go/v1/chat/completions";
        for path in ["", "/", "/zen/go", "/zen/go/", "/zen/go/v1", "/zen/go/v1/", "/zen/go/v1//"] {
            check(&format!("{host}{path}"), host, chat);
        }
        check(" HTTPS://OpenCode.AI:443/zen/go ", host, chat);
        assert_eq!(BaseUrl::parse(host), Ok(BaseUrl::default()));
    }

    #[test]
    fn below_any_other_path_the_legacy_layout_is_expected() {
        check("https://a.b/x", "https://a.b/x", "https://a.b/x/zen/go/v1/chat/completions");
        check("https://a.b/x/y/", "https://a.b/x/y", "https://a.b/x/y/zen/go/v1/chat/completions");
        check(
            "https://a.b/x/zen/go/v1",
            "https://a.b/x",
            "https://a.b/x/zen/go/v1/chat/completions",
        );
        check("https://a.b/v1", "https://a.b/v1", "https://a.b/v1/zen/go/v1/chat/completions");
        check("https://a.b/go", "https://a.b/go", "https://a.b/go/zen/go/v1/chat/completions");
    }

    #[test]
    fn the_new_layout_has_a_branch_for_each_format() {
        let shown = "https://opencode.ai/inference/go";
        check(shown, shown, "https://opencode.ai/inference/go/openai/v1/chat/completions");
        check(
            "https://a.b:8443/x/inference/go/",
            "https://a.b:8443/x/inference/go",
            "https://a.b:8443/x/inference/go/openai/v1/chat/completions",
        );
        let base = BaseUrl::parse(shown).unwrap();
        for (asked, path) in [
            ("messages", "/inference/go/anthropic/v1/messages"),
            ("messages?beta=true", "/inference/go/anthropic/v1/messages?beta=true"),
            ("responses", "/inference/go/openai/v1/responses"),
            ("responses/r1", "/inference/go/openai/v1/responses/r1"),
            ("systemone", "/inference/go/systemone/v1/systemone"),
            ("models", "/inference/go/v1/models"),
            ("usage", "/inference/go/v1/usage"),
            ("messagesx", "/inference/go/v1/messagesx"),
            ("", "/inference/go/v1/"),
        ] {
            assert_eq!(base.path(asked), path);
        }
    }

    #[test]
    fn clear_text_goes_to_loopback_only() {
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1:4000", "127.9.9.9", "[::1]:4000"] {
            assert!(BaseUrl::parse(&format!("http://{host}")).is_ok(), "{host}");
        }
        for host in ["opencode.ai", "192.168.0.1", "0.0.0.0", "[::]", "localhost.evil.example"] {
            let parsed = BaseUrl::parse(&format!("http://{host}"));
            assert_eq!(parsed, Err(BaseUrlError::Insecure), "{host}");
        }
        let v6 = BaseUrl::parse("http://[::1]:4000").unwrap();
        assert_eq!((v6.origin.host.as_str(), v6.origin.port), ("::1", 4000));
        assert_eq!(v6.to_string(), "http://[::1]:4000");
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for (text, error) in [
            ("", BaseUrlError::Syntax),
            ("opencode.ai", BaseUrlError::Insecure),
            ("/zen/go", BaseUrlError::Syntax),
            ("https://", BaseUrlError::Syntax),
            ("https://a b", BaseUrlError::Syntax),
            ("https://a.b:0", BaseUrlError::Syntax),
            ("https://a.b:99999", BaseUrlError::Syntax),
            ("https://a.b:", BaseUrlError::Syntax),
            ("ftp://a.b", BaseUrlError::Insecure),
            ("https://user:pass@a.b", BaseUrlError::UserInfo),
            ("https://a.b?x=1", BaseUrlError::Query),
            ("https://a.b/#x", BaseUrlError::Query),
        ] {
            assert_eq!(BaseUrl::parse(text), Err(error), "{text:?}");
        }
    }
}
