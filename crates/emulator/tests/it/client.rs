//! A client for tests: one connection, every detail of the answer.

use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use saros_emulator::{Account, Clock, Emulator, Key, Settings};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

/// Sunday 2026-11-22 12:00:00 UTC.
pub(crate) const NOON: i64 = 1_795_348_800_000;
pub(crate) const CHAT: &str = "/zen/go/v1/chat/completions";
pub(crate) const MESSAGES: &str = "/zen/go/v1/messages";
pub(crate) const RESPONSES: &str = "/zen/go/v1/responses";
pub(crate) const USAGE: &str = "/zen/go/v1/usage";

/// An emulator with account `a` in good standing.
pub(crate) fn emulator() -> (Emulator, Key) {
    let emulator = Emulator::new(Settings::default(), Clock::starting_at(NOON));
    let key = emulator.add_account(Account::new("a"));
    (emulator, key)
}

/// A chat request that streams.
pub(crate) fn ask(model: &str) -> String {
    format!(r#"{{"model":"{model}","stream":true,"messages":[{{"role":"user","content":"Hi."}}]}}"#)
}

/// The headers of an ordinary request to any legacy endpoint.
pub(crate) fn headers(key: &Key) -> Vec<(&'static str, String)> {
    vec![
        ("authorization", format!("Bearer {}", key.secret)),
        ("x-api-key", key.secret.clone()),
        ("x-opencode-session", "ses_1".to_owned()),
    ]
}

/// One connection.
pub(crate) enum Client {
    H1(http1::SendRequest<Full<Bytes>>),
    H2(http2::SendRequest<Full<Bytes>>),
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// How the body failed, if it did.
    pub(crate) broken: Option<hyper::Error>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn kind(&self) -> String {
        self.json()["error"]["type"].as_str().unwrap_or_default().to_owned()
    }
}

impl Client {
    /// HTTP/1.1 over an in-memory pipe.
    pub(crate) async fn pipe(emulator: &Emulator) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(emulator.serve_io(theirs));
        Self::h1(ours).await
    }

    /// h2 by prior knowledge over an in-memory pipe.
    pub(crate) async fn pipe_h2(emulator: &Emulator) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(emulator.serve_io(theirs));
        Self::h2(ours).await
    }

    pub(crate) async fn h1(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (sender, connection) = http1::handshake(TokioIo::new(io)).await.unwrap();
        tokio::spawn(connection);
        Self::H1(sender)
    }

    pub(crate) async fn h2(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
        tokio::spawn(connection);
        Self::H2(sender)
    }

    /// The same h2 connection once more.
    pub(crate) fn share(&self) -> Self {
        match self {
            Self::H1(_) => panic!("an HTTP/1.1 connection has one user"),
            Self::H2(sender) => Self::H2(sender.clone()),
        }
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: &str,
    ) -> Result<hyper::Response<Incoming>, hyper::Error> {
        let uri = match self {
            Self::H1(_) => path.to_owned(),
            Self::H2(_) => format!("http://localhost{path}"),
        };
        let mut request = Request::builder().method(method).uri(uri).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        match self {
            Self::H1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::H2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    pub(crate) async fn post(
        &mut self,
        path: &str,
        headers: &[(&str, String)],
        body: &str,
    ) -> Answer {
        read(self.send(Method::POST, path, headers, body).await.unwrap()).await
    }

    pub(crate) async fn get(&mut self, path: &str, headers: &[(&str, String)]) -> Answer {
        read(self.send(Method::GET, path, headers, "").await.unwrap()).await
    }

    /// A chat request with the key.
    pub(crate) async fn chat(&mut self, key: &Key, model: &str) -> Answer {
        self.post(CHAT, &headers(key), &ask(model)).await
    }
}

/// Reads an answer to its end, or to where it breaks.
pub(crate) async fn read(response: hyper::Response<Incoming>) -> Answer {
    let (head, mut body) = response.into_parts();
    let mut bytes = BytesMut::new();
    let mut broken = None;
    while let Some(frame) = next(&mut body).await {
        match frame {
            Ok(data) => bytes.extend_from_slice(&data),
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
    }
    Answer { status: head.status, headers: head.headers, body: bytes.freeze(), broken }
}

/// The next data of a body.
pub(crate) async fn next(body: &mut Incoming) -> Option<Result<Bytes, hyper::Error>> {
    let frame = poll_fn(|cx| std::pin::Pin::new(&mut *body).poll_frame(cx)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}

/// The `data` of every event of a stream.
pub(crate) fn events(text: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.split("\n\n")
        .flat_map(|event| event.lines().filter_map(|line| line.strip_prefix("data:")))
        .map(|data| data.strip_prefix(' ').unwrap_or(data).to_owned())
        .collect()
}
