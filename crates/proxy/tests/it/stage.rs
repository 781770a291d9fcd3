//! Proxy and emulator in one process, over pipes, on one paused clock.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use saros_core::time::Millis;
use saros_emulator::{Account, Clock as VirtualClock, Emulator, Fault, FaultId, Settings};
use saros_proxy::clock::Clock;
use saros_proxy::config::{BaseUrl, Config, KeyConfig};
use saros_proxy::runtime::Tasks;
use saros_proxy::secret::Secret;
use saros_proxy::server::app::App;
use saros_proxy::server::{self, listen, pages, poll};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::network::Network;

/// Thursday 2026-11-19 12:00 UTC.
pub(crate) const START: i64 = 1_795_089_600_000;

/// The base URL of every key, unless a test says otherwise. Nothing listens there.
pub(crate) const BASE: &str = "http://127.0.0.1:1";

/// See the module documentation.
pub(crate) struct Stage {
    pub(crate) emulator: Emulator,
    pub(crate) app: Arc<App>,
    pub(crate) network: Network,
    /// By how many milliseconds the machine's wall clock is ahead of the service's.
    pub(crate) ahead: Arc<AtomicI64>,
}

impl Stage {
    /// Accounts `a`, `b`, `c`, … behind a proxy with the default configuration, over HTTP/1.1.
    pub(crate) fn new(accounts: usize) -> Self {
        Self::with(accounts, false, |_| {})
    }

    /// The same with a say in the configuration and in HTTP/2 upstream.
    pub(crate) fn with(accounts: usize, h2: bool, configure: impl FnOnce(&mut Config)) -> Self {
        let labels = ["a", "b", "c", "d", "e", "f"].into_iter().take(accounts);
        Self::of(labels.map(Account::new).collect(), h2, configure)
    }

    /// With these accounts; every key of each is configured, in order, under its own label.
    pub(crate) fn of(
        accounts: Vec<Account>,
        h2: bool,
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        let clock = VirtualClock::starting_at(START);
        let emulator = Emulator::new(Settings::default(), clock.clone());
        emulator.settings(|settings| settings.log.answers = true);
        for account in accounts {
            emulator.add_account(account);
        }
        let mut config = Config::default();
        for key in emulator.keys() {
            let (secret, base) = (Secret::new(key.secret), BaseUrl::parse(BASE).unwrap());
            config.keys.push(KeyConfig::new(key.label, secret, base));
        }
        configure(&mut config);
        let network = Network::new(&emulator, h2);
        let ahead = Arc::<AtomicI64>::default();
        let offset = Arc::clone(&ahead);
        let wall = Clock::new(move || Millis(clock.now_ms() + offset.load(Ordering::Relaxed)));
        let app = App::new(config, wall, network.dialler(), Tasks::default());
        let keeper = Arc::clone(&app);
        tokio::spawn(async move {
            tokio::join!(server::tick(&keeper), pages::read(&keeper), server::save(&keeper));
        });
        Self { emulator, app, network, ahead }
    }

    /// From now on the pool's questions to the usage API are asked. Without this none is answered,
    /// so nothing is known of quota, and connections and logs hold nothing but the test's own
    /// requests.
    pub(crate) fn informed(self) -> Self {
        let asker = Arc::clone(&self.app);
        tokio::spawn(async move { poll::obey(&asker).await });
        self
    }

    /// The proxy's end of a new connection is served; the client's end is returned.
    pub(crate) fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let peer = SocketAddr::from(([127, 0, 0, 1], 9));
        self.app.tasks.spawn(listen::serve(&self.app, theirs, peer, ()));
        ours
    }

    /// The same for a client elsewhere.
    pub(crate) fn connect_from(&self, peer: SocketAddr) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        self.app.tasks.spawn(listen::serve(&self.app, theirs, peer, ()));
        ours
    }

    /// Sends a request over a connection of its own; the body of the answer is still to come.
    pub(crate) async fn send<B>(&self, request: Request<B>) -> Response<Incoming>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        self.try_send(request).await.unwrap()
    }

    /// The same, if there is an answer at all.
    pub(crate) async fn try_send<B>(&self, request: Request<B>) -> hyper::Result<Response<Incoming>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        send_over(self.connect(), request).await
    }

    /// The same over HTTP/2 by prior knowledge.
    pub(crate) async fn send_h2<B>(&self, request: Request<B>) -> Response<Incoming>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let io = TokioIo::new(self.connect());
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    }

    /// Writes bytes as they are, and reads until the proxy closes or has nothing more to say.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).await.unwrap();
        read_until_quiet(&mut stream).await
    }

    /// A non-stream chat request; the whole answer.
    pub(crate) async fn chat(&self, model: &str) -> Answer {
        self.ask(chat(model, "hello", false)).await
    }

    /// Sends and reads to the end.
    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>) -> Answer {
        Answer::read(self.send(request).await).await
    }

    /// How many attempts each account has seen.
    pub(crate) fn attempts(&self, label: &str) -> u64 {
        self.emulator.counters().keys.get(label).map_or(0, |count| count.attempts)
    }

    /// The keys of all requests that reached the service since `index`, in order.
    pub(crate) fn tried_since(&self, index: u64) -> String {
        let log = self.emulator.log_since(index);
        log.iter().map(|entry| entry.key.as_deref().unwrap_or("?")).collect()
    }

    /// The index that the next request at the service will have.
    pub(crate) fn mark(&self) -> u64 {
        self.emulator.log().last().map_or(0, |entry| entry.index + 1)
    }

    /// Injects a fault.
    pub(crate) fn fault(&self, fault: Fault) -> FaultId {
        self.emulator.fault(fault)
    }

    /// `/health` as a program on this machine sees it.
    pub(crate) async fn health(&self) -> Value {
        self.ask(get("/health")).await.json()
    }

    /// What `/health` says of a key.
    pub(crate) async fn key(&self, label: &str) -> Value {
        let health = self.health().await;
        let keys = health["keys"].as_array().unwrap();
        keys.iter().find(|key| key["label"] == label).unwrap().clone()
    }

    /// `state` of a key, as `/health` shows it.
    pub(crate) async fn state(&self, label: &str) -> String {
        self.key(label).await["state"].as_str().unwrap().to_owned()
    }

    /// Bytes of request bodies that the proxy holds.
    pub(crate) fn memory_held(&self) -> usize {
        let shown = format!("{:?}", self.app.memory);
        shown.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
    }

    /// Lets the clock run.
    pub(crate) async fn wait(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    /// Lets the clock run for so many seconds.
    pub(crate) async fn seconds(&self, seconds: u64) {
        self.wait(Duration::from_secs(seconds)).await;
    }

    /// The machine sleeps for so many seconds, and wakes.
    pub(crate) async fn sleep(&self, seconds: u64) {
        self.emulator.clock().advance(Duration::from_secs(seconds));
        self.seconds(6).await;
    }

    /// Lets everything that can happen at this moment happen.
    pub(crate) async fn settle(&self) {
        self.wait(Duration::from_millis(1)).await;
    }

    /// The same, once what was dropped has been noticed.
    pub(crate) async fn assert_idle_soon(&self) {
        self.seconds(1).await;
        self.assert_idle().await;
    }

    /// Nothing runs any more, at either side.
    pub(crate) async fn assert_idle(&self) {
        self.settle().await;
        assert_eq!(self.app.pool().in_flight(), 0, "leases leaked");
        assert_eq!(self.emulator.in_flight(), 0, "requests still run at the service");
    }
}

/// Sends a request over a fresh connection.
pub(crate) async fn send_over<B>(
    stream: DuplexStream,
    request: Request<B>,
) -> hyper::Result<Response<Incoming>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    sender.send_request(request).await
}

/// Reads until the other side closes or has nothing more to say.
pub(crate) async fn read_until_quiet(stream: &mut DuplexStream) -> String {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    // The clock is paused: time passes only when nobody has anything left to do.
    while let Ok(Ok(n)) =
        tokio::time::timeout(Duration::from_millis(100), stream.read(&mut buffer)).await
    {
        if n == 0 {
            break;
        }
        all.extend_from_slice(&buffer[..n]);
    }
    String::from_utf8(all).unwrap()
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
    /// The body ended as its framing says.
    pub(crate) complete: bool,
}

impl Answer {
    pub(crate) fn nothing() -> Self {
        let (status, body) = (StatusCode::OK, Bytes::new());
        Self { status, headers: HeaderMap::new(), body, trailers: None, complete: false }
    }

    pub(crate) async fn read(response: Response<Incoming>) -> Self {
        let (parts, mut incoming) = response.into_parts();
        let mut body = Vec::new();
        let mut trailers = None;
        let mut complete = true;
        while let Some(frame) = incoming.frame().await {
            match frame.map(http_body::Frame::into_data) {
                Ok(Ok(data)) => body.extend_from_slice(&data),
                Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
                Err(_) => {
                    complete = false;
                    break;
                }
            }
        }
        Self { status: parts.status, headers: parts.headers, body: body.into(), trailers, complete }
    }

    pub(crate) fn label(&self) -> &str {
        self.header("x-proxy-key-label")
    }

    /// Empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// `error.type`.
    pub(crate) fn kind(&self) -> String {
        self.json()["error"]["type"].as_str().unwrap_or_default().to_owned()
    }

    /// `error.message`.
    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }

    /// `retry-after` in seconds.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.headers.get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap())
    }
}

/// A dialect with a model that speaks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Chat,
    Messages,
    Responses,
}

impl Dialect {
    pub(crate) const ALL: [Self; 3] = [Self::Chat, Self::Messages, Self::Responses];

    pub(crate) const fn model(self) -> &'static str {
        match self {
            Self::Chat => "glm-5.2",
            Self::Messages => "minimax-m3",
            Self::Responses => "gpt-6-luna",
        }
    }

    pub(crate) fn request(self, stream: bool) -> Request<Full<Bytes>> {
        self.of(self.model(), "hello", stream)
    }

    pub(crate) fn of(self, model: &str, prompt: &str, stream: bool) -> Request<Full<Bytes>> {
        match self {
            Self::Chat => chat(model, prompt, stream),
            Self::Messages => messages(model, prompt, stream),
            Self::Responses => responses(model, prompt, stream),
        }
    }
}

/// `GET`, as a program on this machine would.
pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    request(Method::GET, path, "")
}

/// A chat request.
pub(crate) fn chat(model: &str, prompt: &str, stream: bool) -> Request<Full<Bytes>> {
    let body = serde_json::json!({
        "model": model, "stream": stream, "messages": [{ "role": "user", "content": prompt }]
    });
    request(Method::POST, "/v1/chat/completions", &body.to_string())
}

/// An Anthropic Messages request.
pub(crate) fn messages(model: &str, prompt: &str, stream: bool) -> Request<Full<Bytes>> {
    let body = serde_json::json!({
        "model": model, "stream": stream, "max_tokens": 100,
        "messages": [{ "role": "user", "content": prompt }]
    });
    request(Method::POST, "/v1/messages", &body.to_string())
}

/// An OpenAI Responses request.
pub(crate) fn responses(model: &str, prompt: &str, stream: bool) -> Request<Full<Bytes>> {
    let body = serde_json::json!({ "model": model, "stream": stream, "input": prompt });
    request(Method::POST, "/v1/responses", &body.to_string())
}

/// Any request.
pub(crate) fn request(method: Method, path: &str, body: &str) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:3000");
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()
}
