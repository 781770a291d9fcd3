//! Over real sockets and a real clock: TLS, and clients that do not play by the rules.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use saros_emulator::{Account, Alpn, Clock as VirtualClock, Emulator, Settings, Transport};
use saros_proxy::config::watch::Watch;
use saros_proxy::config::{BaseUrl, Config, KeyConfig, Origin, Scheme};
use saros_proxy::secret::Secret;
use saros_proxy::server::run;
use saros_proxy::server::shutdown::Ended;
use saros_proxy::upstream::dial::{Dial, DialError, Dialled, Dialling, Network};
use saros_proxy::upstream::io::Io;
use saros_proxy::upstream::tls::Tls;
use saros_proxy::upstream::tunnel::Tunnels;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const BODY: &str = r#"{"model":"glm-5.2","messages":[{"role":"user","content":"hello"}]}"#;

/// The network, with the emulator's authority as the only root: what `SSL_CERT_FILE` does for the
/// process is process-global, so the whole program is tested with it elsewhere.
struct OwnRoots(tokio_rustls::TlsConnector);

impl OwnRoots {
    fn new(pem: &str) -> Arc<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(Self(tokio_rustls::TlsConnector::from(Arc::new(config))))
    }
}

impl Dial for OwnRoots {
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialling<'a> {
        Box::pin(async move {
            let host = origin.authority();
            let connected = TcpStream::connect((origin.host.as_str(), origin.port)).await;
            let stream =
                connected.map_err(|source| DialError::Connect { host: host.clone(), source })?;
            assert_eq!(origin.scheme, Scheme::Https);
            let name = ServerName::try_from(origin.host.clone()).unwrap();
            let stream = self.0.connect(name, saros_proxy::socket::Socket(stream)).await;
            let stream = stream.map_err(|source| DialError::Tls { host, source })?;
            let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            Ok(Dialled { io: Io::Tls(Box::new(stream)), h2 })
        })
    }
}

/// A served proxy in front of a listening emulator.
struct Town {
    emulator: Emulator,
    upstream: saros_emulator::Listening,
    proxy: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Ended>,
}

impl Town {
    async fn new(transport: Transport, alpn: Alpn, configure: impl FnOnce(&mut Config)) -> Self {
        let emulator = Emulator::new(Settings::default(), VirtualClock::system());
        emulator.settings(|settings| settings.connection.alpn = alpn);
        let here: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let upstream = emulator.listen(here, transport).await.unwrap();
        let mut config = Config::default();
        for label in ["a", "b"] {
            let secret = Secret::new(emulator.add_account(Account::new(label)).secret);
            let base = BaseUrl::parse(&upstream.base_url()).unwrap();
            config.keys.push(KeyConfig::new(label, secret, base));
        }
        configure(&mut config);
        let listener = TcpListener::bind(here).await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let dial: Arc<dyn Dial> = match transport {
            Transport::Plain => {
                Network::new(Tls::default(), Tunnels::from_environment(|_| None).unwrap())
            }
            Transport::Tls => OwnRoots::new(&emulator.certificate_pem().unwrap()),
        };
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            run(config, listener, dial, Watch::nothing(), stopped, std::future::pending()).await
        });
        Self { emulator, upstream, proxy, stop: Some(stop), serving }
    }

    async fn plain() -> Self {
        Self::new(Transport::Plain, Alpn::Both, |_| {}).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.proxy).await.unwrap()
    }

    /// Writes bytes and reads until the proxy closes the connection.
    async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        read_to_end(&mut stream).await
    }

    /// The same, but says that nothing more will come.
    async fn half_closed(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        read_to_end(&mut stream).await
    }

    /// What reached the service, the proxy's own questions for usage left out.
    fn log(&self) -> Vec<saros_emulator::Entry> {
        let mut log = self.emulator.log();
        log.retain(|entry| !entry.path.ends_with("/usage"));
        log
    }

    /// Ends it, and says how that went.
    async fn stop(mut self) -> Ended {
        self.stop.take();
        self.serving.await.unwrap()
    }
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    // A reset after the answer is as good as an end.
    let _unused: io::Result<usize> = stream.read_to_end(&mut all).await;
    String::from_utf8(all).unwrap()
}

fn post(headers: &str, body: &str) -> String {
    format!("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n{body}")
}

/// The same, as the last one on its connection.
fn last(headers: &str, body: &str) -> String {
    post(&format!("connection: close\r\n{headers}"), body)
}

fn statuses(answer: &str) -> Vec<u16> {
    answer
        .match_indices("HTTP/1.1 ")
        .filter_map(|(at, _)| answer.get(at + 9..at + 12)?.parse().ok())
        .collect()
}

#[tokio::test]
async fn tls_with_both_http_versions() {
    for (alpn, version) in
        [(Alpn::Both, "HTTP/2.0"), (Alpn::H1, "HTTP/1.1"), (Alpn::H2, "HTTP/2.0")]
    {
        let town = Town::new(Transport::Tls, alpn, |_| {}).await;
        let length = BODY.len();
        for _ in 0..4 {
            let request = last(&format!("content-length: {length}\r\n"), BODY);
            let answer = town.raw(request.as_bytes()).await;
            assert_eq!(statuses(&answer), [200], "{answer}");
        }
        for entry in town.log() {
            assert_eq!(entry.version, version);
        }
        // One for each account, and perhaps another that asks for its usage at the same time.
        assert!((2..=4).contains(&town.emulator.counters().connections));
        assert_eq!(town.stop().await, Ended::Drained);
    }
}

#[tokio::test]
async fn an_unknown_authority_is_refused_before_a_key_is_sent() {
    let town = Town::new(Transport::Tls, Alpn::Both, |_| {}).await;
    let other = Emulator::new(Settings::default(), VirtualClock::system());
    let dial = OwnRoots::new(&other.certificate_pem().unwrap());
    let origin = BaseUrl::parse(&town.upstream.base_url()).unwrap().origin;
    assert!(matches!(dial.dial(&origin).await, Err(DialError::Tls { .. })));
    let dial = Network::new(Tls::default(), Tunnels::from_environment(|_| None).unwrap());
    assert!(matches!(dial.dial(&origin).await, Err(DialError::Tls { .. })), "the platform's roots");
    assert_eq!(town.log().len(), 0);
}

#[tokio::test]
async fn smuggled_requests_never_reach_the_service() {
    let town = Town::plain().await;
    let length = BODY.len();
    let chunked = format!("{length:x}\r\n{BODY}\r\n0\r\n\r\n");
    let hidden = "GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let te = "transfer-encoding: chunked\r\n";
    for (name, request) in [
        ("two lengths", post(&format!("content-length: {length}\r\ncontent-length: 4\r\n"), BODY)),
        ("length list", post(&format!("content-length: {length}, 4\r\n"), BODY)),
        ("signed length", post(&format!("content-length: +{length}\r\n"), BODY)),
        ("hex length", post("content-length: 0x10\r\n", BODY)),
        ("length with junk", post("content-length: 10 \u{b}\r\n", BODY)),
        ("obs-fold", post(&format!("x-a: b\r\n c\r\ncontent-length: {length}\r\n"), BODY)),
        ("space before colon", post(&format!("content-length : {length}\r\n"), BODY)),
        ("nul in a value", post(&format!("x-a: b\0c\r\ncontent-length: {length}\r\n"), BODY)),
        ("TE of another kind", post("transfer-encoding: chunked, identity\r\n", &chunked)),
        ("TE disguised", post("transfer-encoding: xchunked\r\n", &chunked)),
        ("two TEs", post(&format!("{te}transfer-encoding: identity\r\n"), &chunked)),
        ("bad chunk size", post(te, &format!("{length:x}z\r\n{BODY}\r\n0\r\n\r\n"))),
        ("huge chunk size", post(te, &format!("ffffffffffffffffff\r\n{BODY}\r\n0\r\n\r\n"))),
        ("negative chunk size", post(te, &format!("-1\r\n{BODY}\r\n0\r\n\r\n"))),
        ("chunk without end", post(te, &format!("4\r\n{BODY}\r\n0\r\n\r\n"))),
        ("body too short", post(&format!("content-length: {}\r\n", length + 9), BODY)),
    ] {
        let answer = town.half_closed(request.as_bytes()).await;
        let got = statuses(&answer);
        assert!(got.len() <= 1 && got.iter().all(|s| *s >= 400), "{name}: {answer}");
        assert_eq!(town.log().len(), 0, "{name} reached the service");
    }
    // Where both are given the chunks count (RFC 9112 §6.3), and the connection ends there.
    for (name, request) in [
        ("CL and TE", post(&format!("content-length: 4\r\n{te}"), &format!("{chunked}{hidden}"))),
        ("TE and CL", post(&format!("{te}content-length: 4\r\n"), &format!("{chunked}{hidden}"))),
    ] {
        let before = town.log().len();
        let answer = town.raw(request.as_bytes()).await;
        assert_eq!(statuses(&answer).len(), 1, "{name}: {answer}");
        let log = town.log();
        assert!(log.len() <= before + 1, "{name}");
        for entry in log {
            assert_eq!(entry.method, "POST", "{name}: the hidden one came through");
            assert_eq!(entry.body.unwrap(), BODY, "{name}");
            assert!(entry.headers.iter().all(|(header, _)| header != "transfer-encoding"));
        }
    }
}

#[tokio::test]
async fn odd_but_valid_requests_are_read_as_one() {
    let town = Town::plain().await;
    let length = BODY.len();
    let hidden = "GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for (name, request, answers) in [
        // Extensions and trailers belong to this hop.
        (
            "chunk extensions",
            last(
                "transfer-encoding: chunked\r\n",
                &format!("{length:X};a=b;c=\"d\"\r\n{BODY}\r\n0;x\r\nx-t: 1\r\n\r\n"),
            ),
            1,
        ),
        (
            "the same length twice",
            last(&format!("content-length: {length}\r\ncontent-length: {length}\r\n"), BODY),
            1,
        ),
        // The body holds what looks like a request.
        (
            "a request as text",
            last(
                &format!("content-length: {}\r\n", length + hidden.len()),
                &format!("{BODY}{hidden}"),
            ),
            1,
        ),
        // Three requests in one packet, each answered, in order.
        (
            "pipelining",
            [
                post(&format!("content-length: {length}\r\n"), BODY).repeat(2),
                last(&format!("content-length: {length}\r\n"), BODY),
            ]
            .concat(),
            3,
        ),
    ] {
        let before = town.log().len();
        let answer = town.raw(request.as_bytes()).await;
        let got = statuses(&answer);
        let reached = town.log().len() - before;
        // Either refused, or read exactly as meant.
        let refused = got == [400] && reached == 0;
        assert!(refused || (got.len() == answers && reached == answers), "{name}: {answer}");
        let posts = town.log().iter().filter(|entry| entry.method != "POST").count();
        assert_eq!(posts, 0, "{name}: something else was smuggled through");
    }
    // Bare line feeds: hyper reads them as line ends (RFC 9112 §2.2 allows it), as one request.
    let bare = last(&format!("content-length: {length}\r\n"), BODY).replace("\r\n", "\n");
    let before = town.log().len();
    let answer = town.raw(bare.as_bytes()).await;
    assert!(statuses(&answer).len() <= 1, "{answer}");
    assert!(town.log().len() <= before + 1);
}

#[tokio::test]
async fn an_oversized_upload_hears_the_413() {
    let town = Town::new(Transport::Plain, Alpn::Both, |c| c.max_body_bytes = 1_000_000).await;
    let mut stream = town.connect().await;
    let head = post("transfer-encoding: chunked\r\n", "");
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    // A client that goes on writing while it is told to stop.
    let (mut reader, mut writer) = stream.into_split();
    let writing = tokio::spawn(async move {
        for _ in 0..400 {
            if writer.write_all(chunk.as_bytes()).await.is_err() {
                break;
            }
        }
    });
    let mut answer = Vec::new();
    let _unused: io::Result<usize> = reader.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert_eq!(statuses(&answer), [413], "{answer}");
    writing.await.unwrap();
    assert_eq!(town.log().len(), 0);
}

#[tokio::test]
async fn a_thousand_connections_wait_without_holding_up_anybody() {
    let town = Town::plain().await;
    // Half of them have begun a head and do not end it.
    let mut idle = Vec::new();
    for number in 0..1_100 {
        let mut stream = town.connect().await;
        if number % 2 == 0 {
            stream.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: loc").await.unwrap();
        }
        idle.push(stream);
    }
    let length = BODY.len();
    let request = last(&format!("content-length: {length}\r\n"), BODY);
    for _ in 0..3 {
        assert_eq!(statuses(&town.raw(request.as_bytes()).await), [200]);
    }
    drop(idle);
    assert_eq!(town.stop().await, Ended::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_ends_is_given_up() {
    // On a paused clock, over a pipe: ninety seconds for a head, however many bytes come.
    let stage = crate::stage::Stage::new(1);
    let mut stream = stage.connect();
    let before = tokio::time::Instant::now();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n").await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let dripping = tokio::spawn(async move {
        while writer.write_all(b"x-a: b\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    });
    let mut rest = Vec::new();
    let _unused: io::Result<usize> = reader.read_to_end(&mut rest).await;
    let waited = before.elapsed().as_secs();
    assert!((60..=120).contains(&waited), "{waited} s: {}", String::from_utf8_lossy(&rest));
    dripping.abort();
    // Heads of unreasonable size.
    let long =
        format!("GET /health HTTP/1.1\r\nhost: localhost\r\nx-a: {}\r\n\r\n", "y".repeat(1 << 20));
    let mut stream = stage.connect();
    let _unused: io::Result<()> = stream.write_all(long.as_bytes()).await;
    let answer = crate::stage::read_until_quiet(&mut stream).await;
    assert!(answer.is_empty() || statuses(&answer)[0] >= 400, "{answer}");
    let many = "x-a: b\r\n".repeat(1_000);
    let many = format!("GET /health HTTP/1.1\r\nhost: localhost\r\n{many}\r\n");
    let answer = stage.raw(many.as_bytes()).await;
    assert!(statuses(&answer).iter().all(|status| *status >= 400), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_says_what_it_speaks_is_given_up() {
    let stage = crate::stage::Stage::new(1);
    for opening in ["", "P", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = stage.connect();
        stream.write_all(opening.as_bytes()).await.unwrap();
        let limit = Duration::from_secs(200);
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(limit, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{opening:?} is still waited for");
    }
    // Whoever has asked something may take its time between two requests, and over an answer.
    let mut stream = stage.connect();
    for pause in [89, 89, 0] {
        stream.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let answer = crate::stage::read_until_quiet(&mut stream).await;
        assert_eq!(statuses(&answer), [200]);
        tokio::time::sleep(Duration::from_secs(pause)).await;
    }
}
