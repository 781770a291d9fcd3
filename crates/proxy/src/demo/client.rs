//! A client of the proxy, as an agent would be one.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// Nothing in the demo takes this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module documentation.
pub(crate) struct Client {
    address: SocketAddr,
}

/// What the client saw of an answer.
#[derive(Default)]
pub(crate) struct Seen {
    /// HTTP status; 0 when there was no answer at all.
    pub(crate) status: u16,
    /// `x-proxy-key-label`.
    pub(crate) label: String,
    /// The text that the model said, or the error's message.
    pub(crate) text: String,
    /// Events of a stream.
    pub(crate) events: usize,
    /// The stream ended with `[DONE]`.
    pub(crate) done: bool,
    /// From the first byte out to the last byte in.
    pub(crate) took: Duration,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// A chat request; `word` is called with each piece of a stream's text as it comes.
    pub(crate) async fn chat(&self, model: &str, stream: bool, word: impl FnMut(&str)) -> Seen {
        let body = serde_json::json!({
            "model": model,
            "stream": stream,
            "messages": [{ "role": "user", "content": "What is a saros?" }],
        });
        let started = Instant::now();
        let asked = timeout(PATIENCE, self.ask(&body.to_string(), word)).await;
        let mut seen = asked.ok().and_then(Result::ok).unwrap_or_default();
        seen.took = Instant::now().saturating_duration_since(started);
        seen
    }

    async fn ask(&self, body: &str, mut word: impl FnMut(&str)) -> Result<Seen, BoxError> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driving = async {
            // What goes wrong on the connection shows in the answer.
            drop(connection.await);
            std::future::pending::<()>().await;
        };
        let request = Request::builder()
            .method(Method::POST)
            .uri("/v1/chat/completions")
            .header("host", self.address.to_string())
            .header("content-type", "application/json")
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?;
        let asking = async {
            let response = sender.send_request(request).await?;
            let (parts, mut incoming) = response.into_parts();
            let label = parts.headers.get("x-proxy-key-label");
            let label = label.and_then(|label| label.to_str().ok()).unwrap_or("none").to_owned();
            let mut seen = Seen { status: parts.status.as_u16(), label, ..Seen::default() };
            let mut body = Vec::new();
            while let Some(frame) = incoming.frame().await {
                let Ok(data) = frame?.into_data() else { continue };
                body.extend_from_slice(&data);
                while let Some(end) = memchr::memmem::find(&body, b"\n\n") {
                    let event: Vec<u8> = body.drain(..end + 2).collect();
                    seen.event(&event, &mut word);
                }
            }
            if seen.events == 0 {
                seen.whole(&body);
            }
            Ok(seen)
        };
        tokio::select! {
            seen = asking => seen,
            () = driving => Err("the connection ended".into()),
        }
    }
}

impl Seen {
    fn event(&mut self, event: &[u8], word: &mut impl FnMut(&str)) {
        let Some(data) = event.strip_prefix(b"data:") else { return };
        self.events += 1;
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return;
        }
        let chunk: serde_json::Value = serde_json::from_slice(data).unwrap_or_default();
        let text = chunk.pointer("/choices/0/delta/content").and_then(|text| text.as_str());
        if let Some(text) = text {
            word(text);
            self.text.push_str(text);
        }
    }

    fn whole(&mut self, body: &[u8]) {
        let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let text = answer
            .pointer("/choices/0/message/content")
            .or_else(|| answer.pointer("/error/message"))
            .and_then(|text| text.as_str());
        text.unwrap_or_default().clone_into(&mut self.text);
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;
