//! Reaching the service through a corporate proxy: `HTTPS_PROXY` and `NO_PROXY`.

use std::io;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::config::{Origin, Scheme, is_loopback};
use crate::upstream::dial::connect;

/// A CONNECT answer longer than this is not one.
const MAX_ANSWER: usize = 16 * 1024;

/// Which hosts are reached through which proxy.
#[derive(Debug, Default)]
pub struct Tunnels {
    https: Option<Tunnel>,
    direct: Vec<String>,
}

/// One forward proxy.
#[derive(Debug)]
pub struct Tunnel {
    host: String,
    port: u16,
    authorization: Option<crate::secret::Secret>,
}

impl Tunnels {
    /// Reads `HTTPS_PROXY` (or `https_proxy`, `ALL_PROXY`, `all_proxy`) and `NO_PROXY`
    /// (or `no_proxy`). A value that is no `http://` URL is reported by name, never by content.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let first = |names: &[&str]| {
            names.iter().find_map(|name| variable(name).filter(|value| !value.is_empty()))
        };
        let https = first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
            .map(|value| {
                Tunnel::parse(&value).ok_or_else(|| {
                    "HTTPS_PROXY is not of the form http://[user:password@]host:port; only plain \
                     HTTP proxies are supported"
                        .to_owned()
                })
            })
            .transpose()?;
        let direct = first(&["NO_PROXY", "no_proxy"]).unwrap_or_default();
        let direct = direct
            .split(',')
            .map(|host| host.trim().trim_start_matches('.').to_ascii_lowercase())
            .filter(|host| !host.is_empty())
            .collect();
        Ok(Self { https, direct })
    }

    /// The proxy that the environment names, whoever is reached through it.
    pub fn named(&self) -> Option<&Tunnel> {
        self.https.as_ref()
    }

    /// The proxy for this upstream; loopback is always reached directly.
    pub fn via(&self, origin: &Origin) -> Option<&Tunnel> {
        let host = &origin.host;
        let skipped = self.direct.iter().any(|suffix| {
            suffix == "*"
                || host == suffix
                || host.strip_suffix(suffix.as_str()).is_some_and(|rest| rest.ends_with('.'))
        });
        let tunnel = self.https.as_ref().filter(|_| origin.scheme == Scheme::Https);
        tunnel.filter(|_| !skipped && !is_loopback(host))
    }
}

/// Host and port; never the credentials.
impl std::fmt::Display for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Tunnel {
    fn parse(value: &str) -> Option<Self> {
        let rest = match value.split_once("://") {
            Some(("http", rest)) => rest,
            Some(_) => return None,
            None => value,
        };
        let rest = rest.split('/').next()?;
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() => (host, port.parse().ok()?),
            _ => (place, 80),
        };
        if host.is_empty() {
            return None;
        }
        let authorization = user.map(|user| {
            crate::secret::Secret::new(format!(
                "Basic {}",
                BASE64_STANDARD.encode(percent_decoded(user))
            ))
        });
        Some(Self { host: host.to_owned(), port, authorization })
    }

    /// A TCP stream that the proxy has connected to `host:port` (RFC 9110 §9.3.6).
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let mut stream = connect(&self.host, self.port).await?;
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if let Some(authorization) = &self.authorization {
            request.push_str("Proxy-Authorization: ");
            request.push_str(authorization.expose());
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        let sent = stream.write_all(request.as_bytes()).await;
        zeroize::Zeroize::zeroize(&mut request);
        sent?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            // One byte at a time: what follows the head already belongs to TLS.
            answer.push(stream.read_u8().await?);
            if answer.len() > MAX_ANSWER {
                return Err(io::Error::other("the HTTPS proxy's answer is too long"));
            }
        }
        let status = answer.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        if status.first() != Some(&b'2') {
            let status = String::from_utf8_lossy(status.get(..3).unwrap_or(status)).into_owned();
            return Err(io::Error::other(format!("the HTTPS proxy answered {status} to CONNECT")));
        }
        Ok(stream)
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let pair = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let code = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        if let Some(code) = code.filter(|_| byte == b'%') {
            bytes.push(code);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnels(https: &'static str, no: &'static str) -> Result<Tunnels, String> {
        Tunnels::from_environment(move |name| match name {
            "HTTPS_PROXY" => Some(https.to_owned()),
            "NO_PROXY" => Some(no.to_owned()),
            _ => None,
        })
    }

    fn base(url: &str) -> Origin {
        crate::config::BaseUrl::parse(url).unwrap().origin
    }

    #[test]
    fn loopback_and_listed_hosts_are_reached_directly() {
        let tunnels =
            tunnels("http://me:p%40ss@proxy.corp:8080", ".example.org, opencode.test").unwrap();
        assert!(tunnels.via(&base("https://opencode.ai")).is_some());
        assert!(tunnels.via(&base("https://api.example.org")).is_none());
        assert!(tunnels.via(&base("https://notexample.org")).is_some());
        assert!(tunnels.via(&base("https://opencode.test")).is_none());
        assert!(tunnels.via(&base("https://localhost:8443")).is_none());
        let tunnel = tunnels.https.unwrap();
        assert_eq!((tunnel.host.as_str(), tunnel.port), ("proxy.corp", 8080));
        assert_eq!(tunnel.authorization.unwrap().expose(), "Basic bWU6cEBzcw==");
    }

    #[test]
    fn another_scheme_is_refused_by_name() {
        assert!(tunnels("socks5://proxy:1080", "").unwrap_err().contains("HTTPS_PROXY"));
    }

    #[tokio::test]
    async fn connect_passes_the_tunnel_and_reports_a_refusal() {
        for (status, works) in [("200 OK", true), ("407 Proxy Authentication Required", false)] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                let answer = format!("HTTP/1.1 {status}\r\nServer: x\r\n\r\nTLS");
                stream.write_all(answer.as_bytes()).await.unwrap();
                String::from_utf8(request).unwrap()
            });
            let tunnel = Tunnel::parse(&format!("http://127.0.0.1:{port}")).unwrap();
            let result = tunnel.connect("opencode.ai", 443).await;
            let request = server.await.unwrap();
            assert!(request.starts_with("CONNECT opencode.ai:443 HTTP/1.1\r\n"), "{request}");
            match result {
                Ok(mut stream) => {
                    let mut rest = String::new();
                    stream.read_to_string(&mut rest).await.unwrap();
                    assert!(works && rest == "TLS");
                }
                Err(error) => assert!(!works && error.to_string().contains("407"), "{error}"),
            }
        }
    }
}
