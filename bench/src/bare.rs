//! A scratch pass-through proxy: what hyper and rustls allow on one thread, without any decision.
//!
//! Its trick is in `relay.rs`: an HTTP/1.1 upstream connection has no task of its own; it is
//! polled by whoever reads the answer. So a stream costs one task wake per packet, and all
//! frames of a packet leave in one write.

mod gate;
mod h1;
mod h2;
mod meter;
mod relay;
mod socket;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode, Uri};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{Fallible, tls};
use relay::Answer;
use socket::Socket;

/// An upstream connection, below HTTP.
type Wire = TlsStream<Socket>;

/// How to run it.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// The stub's port on localhost.
    #[arg(long)]
    upstream_port: u16,
    /// The certificate authority to trust, PEM.
    #[arg(long)]
    ca: PathBuf,
    /// Speak HTTP/2 upstream.
    #[arg(long)]
    h2: bool,
}

/// What every request shares.
struct Proxy {
    dial: Dial,
    pool: Pool,
    host: HeaderValue,
    credential: HeaderValue,
    agent: HeaderValue,
    identity: HeaderValue,
}

enum Pool {
    Http1(h1::Idle),
    Http2(h2::Shared),
}

/// How an upstream connection is opened.
struct Dial {
    tls: TlsConnector,
    name: ServerName<'static>,
    port: u16,
}

impl Dial {
    async fn open(&self) -> Fallible<Wire> {
        let tcp = TcpStream::connect(("127.0.0.1", self.port)).await?;
        // Without it every small h2 request waits for the peer's delayed ACK, 20 to 40 ms.
        tcp.set_nodelay(true)?;
        Ok(self.tls.connect(self.name.clone(), Socket(tcp)).await?)
    }
}

/// Serves until killed.
pub(crate) async fn run(options: Options) -> Fallible<()> {
    let alpn: &[u8] = if options.h2 { b"h2" } else { b"http/1.1" };
    let tls = tls::client(&options.ca, alpn)?;
    let mut credential = HeaderValue::from_static("Bearer sk-bench-bench-bench-bench-0001");
    credential.set_sensitive(true);
    let proxy = Arc::new(Proxy {
        dial: Dial {
            tls: TlsConnector::from(tls),
            name: ServerName::try_from("localhost")?,
            port: options.upstream_port,
        },
        pool: if options.h2 {
            Pool::Http2(h2::Shared::default())
        } else {
            Pool::Http1(h1::Idle::default())
        },
        host: HeaderValue::try_from(format!("localhost:{}", options.upstream_port))?,
        credential,
        agent: HeaderValue::from_static("bare/0"),
        identity: HeaderValue::from_static("identity"),
    });
    let listener = TcpListener::bind(options.listen).await?;
    loop {
        let Ok((tcp, _)) = listener.accept().await else { continue };
        if tcp.set_nodelay(true).is_err() {
            continue;
        }
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let proxy = Arc::clone(&proxy);
                // In a box of its own, which is freed when the head of the answer is there. Else hyper
                // keeps room for it (8.5 kB here, TLS handshake included) as long as the
                // connection lives, streams included.
                Box::pin(async move { Ok::<_, Infallible>(proxy.answer(request).await) })
            });
            // A client that leaves is no event here.
            drop(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(Socket(tcp)), service)
                    .await,
            );
        });
    }
}

impl Proxy {
    async fn answer(&self, request: Request<Incoming>) -> Response<Answer> {
        self.forward(request).await.unwrap_or_else(|_| {
            let mut response = Response::new(Answer::Empty);
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        })
    }

    async fn forward(&self, request: Request<Incoming>) -> Fallible<Response<Answer>> {
        let (mut parts, body) = request.into_parts();
        let body = collect(body).await?;
        self.edit(&mut parts.headers);
        let request = Request::from_parts(parts, Full::new(body));
        match &self.pool {
            Pool::Http1(idle) => h1::exchange(idle, &self.dial, request).await,
            Pool::Http2(shared) => {
                let (mut parts, body) = request.into_parts();
                parts.headers.remove(header::HOST);
                let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
                parts.uri = Uri::builder()
                    .scheme("https")
                    .authority(self.host.as_bytes())
                    .path_and_query(path)
                    .build()?;
                parts.version = http::Version::HTTP_2;
                h2::exchange(shared, &self.dial, Request::from_parts(parts, body)).await
            }
        }
    }

    /// In place: no second map, no new values.
    fn edit(&self, headers: &mut HeaderMap) {
        for name in REMOVED {
            headers.remove(name);
        }
        headers.insert(header::HOST, self.host.clone());
        headers.insert(header::AUTHORIZATION, self.credential.clone());
        headers.insert(header::USER_AGENT, self.agent.clone());
        headers.insert(header::ACCEPT_ENCODING, self.identity.clone());
    }
}

const REMOVED: [HeaderName; 6] = [
    header::CONNECTION,
    header::COOKIE,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::FORWARDED,
];

/// The whole request body in one piece. One frame (every small request) is not copied.
async fn collect(mut body: Incoming) -> Fallible<Bytes> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(0).min(32 << 20);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if first.is_empty() && rest.is_empty() {
            if data.len() == expected {
                return Ok(data);
            }
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.reserve(expected.max(first.len() + data.len()));
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}
