//! Opening connections: name, TCP, tunnel, TLS.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::config::{Origin, Scheme};
use crate::socket::Socket;
use crate::upstream::io::Io;
use crate::upstream::tls::Tls;
use crate::upstream::tunnel::Tunnels;

/// When the first address has not answered after this long, the next is tried beside it
/// (RFC 8305 §5 recommends 250 ms).
const STAGGER: Duration = Duration::from_millis(250);

/// A fresh connection.
pub struct Dialled {
    /// The stream.
    pub io: Io,
    /// ALPN chose HTTP/2.
    pub h2: bool,
}

/// Where opening failed; both mean that no request was sent.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Name resolution, TCP, or the tunnel.
    #[error("cannot connect to {host}: {source}")]
    Connect {
        /// Host and port.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// The TLS handshake.
    #[error("TLS handshake with {host} failed: {source}")]
    Tls {
        /// Host and port.
        host: String,
        /// Why.
        source: io::Error,
    },
}

/// The pending connection.
pub type Dialling<'a> = Pin<Box<dyn Future<Output = Result<Dialled, DialError>> + Send + 'a>>;

/// Opens connections to an upstream: the network in production, in-memory pipes in tests.
pub trait Dial: Send + Sync {
    /// Opens one connection. The caller bounds the time.
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialling<'a>;
}

/// The network.
pub struct Network {
    tls: Tls,
    tunnels: Tunnels,
}

impl Network {
    /// With the platform's roots and the environment's `HTTPS_PROXY`/`NO_PROXY`.
    pub fn new(tls: Tls, tunnels: Tunnels) -> Arc<Self> {
        Arc::new(Self { tls, tunnels })
    }

    async fn open(&self, origin: &Origin) -> Result<Dialled, DialError> {
        let host = format!("{}:{}", origin.host, origin.port);
        let mut host = host;
        let stream = match self.tunnels.via(origin) {
            Some(tunnel) => {
                host = format!("{host} through the HTTPS_PROXY {tunnel}");
                tunnel.connect(&origin.host, origin.port).await
            }
            None => connect(&origin.host, origin.port).await,
        };
        let stream = stream.map_err(|source| DialError::Connect { host: host.clone(), source })?;
        let stream = Socket(stream);
        if origin.scheme == Scheme::Http {
            return Ok(Dialled { io: Io::Plain(stream), h2: false });
        }
        let tls_error = |source| DialError::Tls { host: host.clone(), source };
        let name = ServerName::try_from(origin.host.clone())
            .map_err(|error| tls_error(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let config = self.tls.config().await.map_err(tls_error)?;
        let stream = TlsConnector::from(config).connect(name, stream).await.map_err(tls_error)?;
        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Dialled { io: Io::Tls(Box::new(stream)), h2 })
    }
}

impl Dial for Network {
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialling<'a> {
        Box::pin(self.open(origin))
    }
}

/// TCP to the first of the host's addresses that answers, each started [`STAGGER`] after the one
/// before it or as soon as that one failed.
pub(crate) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut addresses = interleave(tokio::net::lookup_host((host, port)).await?).into_iter();
    let mut racing = JoinSet::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(address) = addresses.next() {
            racing.spawn(TcpStream::connect(address));
        } else if racing.is_empty() {
            return Err(last);
        }
        let more = addresses.len() > 0;
        let joined = if more {
            match tokio::time::timeout(STAGGER, racing.join_next()).await {
                Ok(joined) => joined,
                Err(_) => continue,
            }
        } else {
            racing.join_next().await
        };
        match joined {
            Some(Ok(Ok(stream))) => {
                // Without it every small HTTP/2 request waits 20–40 ms for an acknowledgement.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Some(Ok(Err(error))) => last = error,
            Some(Err(error)) => last = io::Error::other(error),
            None => {}
        }
    }
}

/// IPv6 and IPv4 in turn, beginning with the resolver's first choice (RFC 8305 §4).
fn interleave(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let all: Vec<_> = addresses.collect();
    let Some(first) = all.first().copied() else { return all };
    let (mut same, mut other): (VecDeque<SocketAddr>, VecDeque<SocketAddr>) =
        all.into_iter().partition(|address| address.is_ipv6() == first.is_ipv6());
    let mut order = Vec::with_capacity(same.len() + other.len());
    while !(same.is_empty() && other.is_empty()) {
        order.extend(same.pop_front());
        order.extend(other.pop_front());
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let of = |text: &str| text.parse::<SocketAddr>().unwrap();
        let order =
            interleave([of("[::1]:1"), of("[::2]:1"), of("1.1.1.1:1"), of("[::3]:1")].into_iter());
        assert_eq!(order, [of("[::1]:1"), of("1.1.1.1:1"), of("[::2]:1"), of("[::3]:1")]);
    }

    #[tokio::test]
    async fn a_refused_address_is_an_error_and_not_a_hang() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = connect("127.0.0.1", port).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
