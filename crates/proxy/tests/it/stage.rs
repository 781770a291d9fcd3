//! Proxy and emulator in one process, over pipes, on one paused clock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use saros_core::time::Millis;
use saros_emulator::{Account, Clock as VirtualClock, Emulator, Settings};
use saros_proxy::clock::Clock;
use saros_proxy::config::{BaseUrl, Config, KeyConfig, Origin};
use saros_proxy::runtime::Tasks;
use saros_proxy::secret::Secret;
use saros_proxy::server::app::App;
use saros_proxy::server::{keep_house, listen};
use saros_proxy::upstream::dial::{Dial, Dialled, Dialling};
use saros_proxy::upstream::io::Io;

/// Thursday 2026-11-19 12:00 UTC.
pub const START: i64 = 1_795_089_600_000;

/// See the module documentation.
pub struct Stage {
    pub emulator: Emulator,
    pub app: Arc<App>,
}

/// Pipes to the emulator instead of a network.
struct Pipes {
    emulator: Emulator,
    h2: bool,
}

impl Dial for Pipes {
    fn dial<'a>(&'a self, _origin: &'a Origin) -> Dialling<'a> {
        Box::pin(async {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            tokio::spawn(self.emulator.serve_io(theirs));
            Ok(Dialled { io: Io::Pipe(Box::new(ours)), h2: self.h2 })
        })
    }
}

impl Stage {
    /// Accounts `a`, `b`, `c`, … behind a proxy with the default configuration, over HTTP/1.1.
    pub fn new(accounts: usize) -> Self {
        Self::with(accounts, false, |_| {})
    }

    /// The same with a say in the configuration and in HTTP/2 upstream.
    pub fn with(accounts: usize, h2: bool, configure: impl FnOnce(&mut Config)) -> Self {
        let clock = VirtualClock::starting_at(START);
        let emulator = Emulator::new(Settings::default(), clock.clone());
        let mut config = Config::default();
        for label in ["a", "b", "c", "d", "e", "f"].iter().take(accounts) {
            let key = emulator.add_account(Account::new(*label));
            config.keys.push(KeyConfig {
                label: (*label).into(),
                secret: Secret::new(key.secret),
                base: BaseUrl::parse("http://127.0.0.1:1").unwrap(),
            });
        }
        configure(&mut config);
        let dial = Arc::new(Pipes { emulator: emulator.clone(), h2 });
        let wall = Clock::new(move || Millis(clock.now_ms()));
        let app = App::new(config, wall, dial, Tasks::default());
        let keeper = Arc::clone(&app);
        tokio::spawn(async move { keep_house(&keeper).await });
        Self { emulator, app }
    }

    /// Sends a request over a connection of its own; the body of the answer is still to come.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(listen::serve(&self.app, theirs, SocketAddr::from(([127, 0, 0, 1], 9))));
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(ours)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    }

    /// The same over HTTP/2 by prior knowledge.
    pub async fn send_h2(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(listen::serve(&self.app, theirs, SocketAddr::from(([127, 0, 0, 1], 9))));
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(ours))
                .await
                .unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    }

    /// A non-stream chat request; the whole answer.
    pub async fn chat(&self, model: &str) -> Answer {
        self.ask(chat(model, "hello", false)).await
    }

    /// Sends and reads to the end.
    pub async fn ask(&self, request: Request<Full<Bytes>>) -> Answer {
        Answer::read(self.send(request).await).await
    }

    /// How many attempts each account has seen.
    pub fn attempts(&self, label: &str) -> u64 {
        self.emulator.counters().keys.get(label).map_or(0, |count| count.attempts)
    }

    /// `state` of a key, as `/health` shows it.
    pub async fn state(&self, label: &str) -> String {
        let health = self.ask(get("/health")).await;
        let health: serde_json::Value = serde_json::from_slice(&health.body).unwrap();
        let keys = health["keys"].as_array().unwrap();
        let key = keys.iter().find(|key| key["label"] == label).unwrap();
        key["state"].as_str().unwrap().to_owned()
    }

    /// Lets the clock run.
    pub async fn wait(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The body ended as its framing says.
    pub complete: bool,
}

impl Answer {
    pub async fn read(response: Response<Incoming>) -> Self {
        let (parts, mut incoming) = response.into_parts();
        let mut body = Vec::new();
        let mut complete = true;
        while let Some(frame) = incoming.frame().await {
            match frame {
                Ok(frame) => body.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Err(_) => {
                    complete = false;
                    break;
                }
            }
        }
        Self { status: parts.status, headers: parts.headers, body: body.into(), complete }
    }

    pub fn label(&self) -> &str {
        self.header("x-proxy-key-label")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }
}

/// `GET`, as a program on this machine would.
pub fn get(path: &str) -> Request<Full<Bytes>> {
    request(Method::GET, path, "")
}

/// A chat request.
pub fn chat(model: &str, prompt: &str, stream: bool) -> Request<Full<Bytes>> {
    let body = serde_json::json!({
        "model": model, "stream": stream, "messages": [{ "role": "user", "content": prompt }]
    });
    request(Method::POST, "/v1/chat/completions", &body.to_string())
}

/// An Anthropic Messages request.
pub fn messages(model: &str, prompt: &str, stream: bool) -> Request<Full<Bytes>> {
    let body = serde_json::json!({
        "model": model, "stream": stream, "max_tokens": 100,
        "messages": [{ "role": "user", "content": prompt }]
    });
    request(Method::POST, "/v1/messages", &body.to_string())
}

/// An OpenAI Responses request.
pub fn responses(model: &str, prompt: &str, stream: bool) -> Request<Full<Bytes>> {
    let body = serde_json::json!({ "model": model, "stream": stream, "input": prompt });
    request(Method::POST, "/v1/responses", &body.to_string())
}

/// Any request.
pub fn request(method: Method, path: &str, body: &str) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:3000");
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()
}
