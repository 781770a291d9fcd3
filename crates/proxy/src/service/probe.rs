//! Asking a proxy on this machine how it is.
//!
//! With the standard library's sockets: the commands that ask end at once, so they need no runtime.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde::Deserialize;

use crate::secret::Secret;

/// How long the proxy may take for each step. It answers within a millisecond; a machine that is
/// swapping takes longer.
const PATIENCE: Duration = Duration::from_secs(3);
/// An answer longer than this, in bytes, is not one of ours.
const LONGEST: u64 = 4 << 20;

/// Where a proxy listens, as seen from this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    token: Option<Secret>,
}

/// Who answers at an address.
#[derive(Debug)]
pub enum Who {
    /// Nobody listens.
    Nobody,
    /// A proxy.
    Saros(Box<Health>),
    /// Something else, or nothing that answers in time.
    Stranger,
}

/// `/health`, as far as it is shown. What the tool that this one replaces did not say is optional.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// The proxy's process; only told to this machine.
    pub pid: Option<u32>,
    /// Its version.
    pub version: Option<String>,
    /// How accounts are chosen.
    pub strategy: Option<String>,
    /// In seconds.
    pub uptime: f64,
    /// Keys in all.
    pub key_count: usize,
    /// Keys that can be used now.
    pub enabled_count: usize,
    /// Keys that cannot.
    pub disabled_count: usize,
    /// Requests between their first byte and their last.
    pub active_requests: usize,
    /// Every proxy says it, and nothing else does: this tells them apart.
    circuit_breaker_threshold: u32,
    /// Each key; only told to this machine.
    #[serde(default)]
    pub keys: Vec<KeyHealth>,
}

/// How a key is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyHealth {
    /// The owner's name for it.
    pub label: String,
    /// `ready`, `trial`, `cooling`, `outOfQuota` or `dead`.
    pub state: String,
    /// Why it is not ready.
    pub why: Option<String>,
    /// Requests that it carries.
    #[serde(default)]
    pub in_flight: u32,
    /// Until it is tried again.
    #[serde(default)]
    pub cooldown_seconds: i64,
}

impl Address {
    /// Where to ask a proxy that listens on `host`: one that listens everywhere answers on loopback.
    pub fn new(host: &str, port: u16) -> Self {
        let host = match host.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) if address.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
            Ok(IpAddr::V6(address)) if address.is_unspecified() => Ipv6Addr::LOCALHOST.to_string(),
            _ => host.to_owned(),
        };
        Self { host, port, token: None }
    }

    /// Shows a token, for what is not told to everybody.
    #[must_use]
    pub fn with_token(self, token: Option<Secret>) -> Self {
        Self { token, ..self }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sends a GET; the status and the body of the answer.
    pub fn get(&self, path: &str) -> io::Result<(u16, Vec<u8>)> {
        self.send("GET", path, PATIENCE)
    }

    /// Sends a POST without a body. What it asks for may take a while.
    pub fn post(&self, path: &str) -> io::Result<(u16, Vec<u8>)> {
        self.send("POST", path, Duration::from_secs(60))
    }

    fn send(&self, method: &str, path: &str, patience: Duration) -> io::Result<(u16, Vec<u8>)> {
        let mut stream = self.connect()?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        // HTTP/1.0: the answer comes in one piece and ends with the connection.
        let mut request = format!("{method} {path} HTTP/1.0\r\nhost: {}\r\n", self.authority());
        if method == "POST" {
            request.push_str("content-length: 0\r\n");
        }
        if let Some(token) = &self.token {
            request.push_str("authorization: Bearer ");
            request.push_str(token.expose());
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        let sent = stream.write_all(request.as_bytes());
        zeroize::Zeroize::zeroize(&mut request);
        sent?;
        let mut answer = Vec::new();
        stream.take(LONGEST).read_to_end(&mut answer)?;
        read(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer"))
    }

    /// Who answers here.
    pub fn who(&self) -> Who {
        match self.get("/health") {
            Ok((200, body)) => serde_json::from_slice(&body)
                .map_or(Who::Stranger, |health| Who::Saros(Box::new(health))),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Who::Nobody,
            Ok(_) | Err(_) => Who::Stranger,
        }
    }

    /// Whether a proxy here can serve, by `/ready`.
    pub fn is_ready(&self) -> bool {
        self.get("/ready").is_ok_and(|(status, _)| status == 200)
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// As a URL.
impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}

/// Status and body of an answer.
fn read(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = memchr::memmem::find(answer, b"\r\n\r\n")?;
    let (head, body) = answer.split_at_checked(end + 4)?;
    let line = std::str::from_utf8(head).ok()?.lines().next()?;
    let mut words = line.split(' ');
    words.next()?.strip_prefix("HTTP/1.")?;
    Some((words.next()?.parse().ok()?, body.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Answers once; returns what it was asked.
    fn answering(answer: &'static str) -> (Address, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::new("0.0.0.0", listener.local_addr().unwrap().port());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                asked.extend(byte);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(asked).unwrap()
        });
        (address, server)
    }

    #[test]
    fn tells_proxies_from_strangers() {
        // What the tool that this one replaces says.
        let (address, server) = answering(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"status\":\"ok\",\"uptime\":1.5,\
             \"keyCount\":2,\"enabledCount\":1,\"disabledCount\":1,\"activeRequests\":0,\
             \"circuitBreakerThreshold\":3,\"circuitBreakerCooldownMs\":60000,\"scraping\":{\"enabled\":false}}",
        );
        let Who::Saros(health) = address.who() else { panic!() };
        assert_eq!((health.key_count, health.pid, health.keys.len()), (2, None, 0));
        let asked = server.join().unwrap();
        assert!(asked.starts_with("GET /health HTTP/1.0\r\nhost: 127.0.0.1:"), "{asked}");

        for answer in [
            "HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\"}",
            "HTTP/1.1 404 Not Found\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
            "",
        ] {
            let (address, server) = answering(answer);
            assert!(matches!(address.who(), Who::Stranger), "{answer}");
            server.join().unwrap();
        }
    }

    #[test]
    fn where_nobody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert!(matches!(Address::new("127.0.0.1", port).who(), Who::Nobody));
        assert!(!Address::new("127.0.0.1", port).is_ready());
    }

    #[test]
    fn shows_its_token_and_prints_none() {
        let (address, server) = answering("HTTP/1.1 503 Service Unavailable\r\n\r\n{}");
        let address = address.with_token(Some(Secret::new("0123456789abcdef".to_owned())));
        assert!(!address.is_ready());
        assert!(server.join().unwrap().contains("authorization: Bearer 0123456789abcdef\r\n"));
        assert!(!format!("{address} {address:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn addresses() {
        for (host, url) in [
            ("127.0.0.1", "http://127.0.0.1:3000"),
            ("0.0.0.0", "http://127.0.0.1:3000"),
            ("::", "http://[::1]:3000"),
            ("localhost", "http://localhost:3000"),
            ("192.168.1.5", "http://192.168.1.5:3000"),
        ] {
            assert_eq!(Address::new(host, 3000).to_string(), url);
        }
    }
}
