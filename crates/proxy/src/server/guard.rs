//! Who may use the proxy: checked before anything else.
//!
//! A page on the web can make the browser of this machine send requests here. It cannot forge the
//! `Host` (so a rebound name is told apart from an address) and not its `Origin`.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use http::{Method, StatusCode, Uri};

use crate::config::Config;
use crate::secret::Secret;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// No usable `Host`.
    NoHost,
    /// A name that is not ours: DNS rebinding.
    Host,
    /// A page that may not use us.
    Origin,
    /// A client token is needed.
    Token,
    /// The control token is needed, or a client token.
    Control,
    /// `WebSocket`s are not spoken here.
    WebSocket,
    /// The answer to a TRACE would show the account's key (RFC 9110 §9.3.8).
    Trace,
}

impl Denied {
    /// The status that the client gets.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NoHost => StatusCode::BAD_REQUEST,
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Origin => StatusCode::FORBIDDEN,
            Self::Token | Self::Control => StatusCode::UNAUTHORIZED,
            Self::WebSocket | Self::Trace => StatusCode::NOT_IMPLEMENTED,
        }
    }

    /// What the client is told.
    pub const fn message(self) -> &'static str {
        match self {
            Self::NoHost => "The request has no valid Host header.",
            Self::Host => {
                "This name does not belong to the proxy. Use an IP address or localhost, or add \
                 the name to allowedHosts in the configuration."
            }
            Self::Origin => {
                "Pages of this origin may not use the proxy. Add it to allowedOrigins in the \
                 configuration if they should."
            }
            Self::Token => {
                "A client token is required: send it as Authorization: Bearer <token> or as \
                 x-api-key."
            }
            Self::Control => {
                "This needs the control token, which is in control.token in the state folder, or a \
                 client token: send it as Authorization: Bearer <token> or as x-api-key."
            }
            Self::WebSocket => "WebSockets are not offered here: use plain HTTP.",
            Self::Trace => "TRACE is not offered here.",
        }
    }
}

/// The `Host` check: IP literals, `localhost`, the configured host and `allowedHosts` pass, at any
/// port; only names can be rebound.
pub fn host(config: &Config, uri: &Uri, headers: &HeaderMap) -> Result<(), Denied> {
    let mut named = headers.get_all(HOST).iter();
    let host = match (named.next(), named.next()) {
        (Some(_), Some(_)) => return Err(Denied::NoHost),
        (Some(value), None) => Some(value.to_str().map_err(|_| Denied::NoHost)?),
        (None, _) => None,
    };
    // A target that names a host goes before `Host` (RFC 9112 §3.2.2). Where both are there, both
    // must be ours.
    let target = uri.authority().map(http::uri::Authority::as_str);
    if host.is_none() && target.is_none() {
        return Err(Denied::NoHost);
    }
    host.into_iter().chain(target).try_for_each(|host| is_ours(config, host))
}

fn is_ours(config: &Config, host: &str) -> Result<(), Denied> {
    let name = without_port(host).ok_or(Denied::NoHost)?;
    let listed = |allowed: &str| allowed.eq_ignore_ascii_case(name);
    let passes = listed(&config.host)
        || listed("localhost")
        || name.parse::<IpAddr>().is_ok()
        || config.allowed_hosts.iter().any(|allowed| listed(allowed));
    if passes { Ok(()) } else { Err(Denied::Host) }
}

/// The host part of `host[:port]`, brackets removed.
fn without_port(host: &str) -> Option<&str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']')?;
            (name, port.strip_prefix(':').or_else(|| port.is_empty().then_some("0"))?)
        }
        None => match memchr::memrchr(b':', host.as_bytes()) {
            Some(colon) => (host.get(..colon)?, host.get(colon + 1..)?),
            None => (host, "0"),
        },
    };
    let valid = !name.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let name = if name.ends_with('.') { name.trim_end_matches('.') } else { name };
    valid.then_some(name)
}

/// The `Origin` check. Requests without one come from programs, not pages.
pub fn origin<'h>(
    config: &Config,
    headers: &'h HeaderMap,
) -> Result<Option<&'h HeaderValue>, Denied> {
    let mut named = headers.get_all(ORIGIN).iter();
    let first = named.next();
    let allowed = |origin: &HeaderValue| {
        origin.to_str().is_ok_and(|origin| config.allowed_origins.allows(origin))
    };
    if first.into_iter().chain(named).all(allowed) { Ok(first) } else { Err(Denied::Origin) }
}

/// For what reaches the service. Images, links and the like carry no `Origin`, so a foreign page
/// could send a GET with them; browsers say where such requests come from in `Sec-Fetch-Site`.
pub fn site(config: &Config, headers: &HeaderMap) -> Result<(), Denied> {
    let foreign = headers.get(FETCH_SITE).is_some_and(|site| site == "cross-site");
    let told = || headers.contains_key(ORIGIN) || config.allowed_origins.open();
    if foreign && !told() { Err(Denied::Origin) } else { Ok(()) }
}

/// The token check, where one is required.
pub fn token(required: bool, config: &Config, headers: &HeaderMap) -> Result<(), Denied> {
    if !required || has_token(config, headers) { Ok(()) } else { Err(Denied::Token) }
}

/// Whether the request shows one of the client tokens.
pub fn has_token(config: &Config, headers: &HeaderMap) -> bool {
    !config.client_tokens.is_empty() && shows(headers, &config.client_tokens)
}

/// The check for control requests: the control token or a client token, on this machine too. No
/// page changes anything here, whatever its origin.
pub fn control(
    config: &Config,
    control: Option<&Secret>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(), Denied> {
    if headers.contains_key(ORIGIN) && *method != Method::GET {
        return Err(Denied::Origin);
    }
    let known = has_token(config, headers) || has_control(control, headers);
    if known { Ok(()) } else { Err(Denied::Control) }
}

/// Whether the request shows the control token.
pub fn has_control(control: Option<&Secret>, headers: &HeaderMap) -> bool {
    control.is_some_and(|token| shows(headers, std::slice::from_ref(token)))
}

fn shows(headers: &HeaderMap, tokens: &[Secret]) -> bool {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
    });
    let bare = headers.get("x-api-key").map(HeaderValue::as_bytes);
    let shown = [bearer, bare];
    let mut shown = shown.iter().flatten();
    shown.any(|shown| tokens.iter().any(|token| token.matches(shown)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
            })
            .collect()
    }

    #[test]
    fn only_names_can_be_rebound() {
        let config = Config {
            host: "proxy.lan".to_owned(),
            allowed_hosts: vec!["Box.local".to_owned()],
            ..Config::default()
        };
        let uri = Uri::from_static("/health");
        let check = |value: &str| host(&config, &uri, &headers(&[("host", value)]));
        for good in [
            "127.0.0.1:3000",
            "127.0.0.1",
            "[::1]:3000",
            "[::1]",
            "192.168.1.4:1",
            "localhost",
            "LOCALHOST:99",
            "localhost.",
            "proxy.lan:3000",
            "box.local",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["evil.example", "evil.example:3000", "127.0.0.1.evil.example", "localhost.evil"]
        {
            assert_eq!(check(bad), Err(Denied::Host), "{bad}");
        }
        for broken in ["", "localhost:x", "[::1", "[::1]x", ":80"] {
            assert_eq!(check(broken), Err(Denied::NoHost), "{broken}");
        }
        assert_eq!(host(&config, &uri, &HeaderMap::new()), Err(Denied::NoHost));
        let absolute = Uri::from_static("http://evil.example/health");
        assert_eq!(host(&config, &absolute, &HeaderMap::new()), Err(Denied::Host));
        let mut twice = headers(&[("host", "localhost")]);
        twice.append(HOST, HeaderValue::from_static("evil.example"));
        assert_eq!(host(&config, &uri, &twice), Err(Denied::NoHost));
    }

    #[test]
    fn pages_need_an_allowed_origin() {
        let config = Config::default();
        let check = |value: &str| origin(&config, &headers(&[("origin", value)])).map(drop);
        assert_eq!(check("http://localhost:5173"), Ok(()));
        assert_eq!(check("https://evil.example"), Err(Denied::Origin));
        assert_eq!(check("null"), Err(Denied::Origin));
        assert_eq!(origin(&config, &HeaderMap::new()), Ok(None));
        let mut twice = headers(&[("origin", "http://localhost:5173")]);
        twice.append(ORIGIN, HeaderValue::from_static("https://evil.example"));
        assert_eq!(origin(&config, &twice), Err(Denied::Origin));
    }

    #[test]
    fn a_required_token_is_read_from_either_header() {
        let config = Config {
            client_tokens: vec![Secret::new("0123456789abcdef".to_owned())],
            ..Config::default()
        };
        let check = |pairs: &[(&'static str, &str)]| {
            token(config.token_required(), &config, &headers(pairs))
        };
        assert_eq!(check(&[("authorization", "Bearer 0123456789abcdef")]), Ok(()));
        assert_eq!(check(&[("authorization", "bearer  0123456789abcdef")]), Ok(()));
        assert_eq!(check(&[("x-api-key", "0123456789abcdef")]), Ok(()));
        assert_eq!(check(&[("x-api-key", "0123456789abcdeX")]), Err(Denied::Token));
        assert_eq!(check(&[("authorization", "Basic 0123456789abcdef")]), Err(Denied::Token));
        assert_eq!(check(&[]), Err(Denied::Token));
        let open = Config::default();
        assert_eq!(token(open.token_required(), &open, &HeaderMap::new()), Ok(()));
    }
}
