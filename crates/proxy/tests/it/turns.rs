//! All traffic shares one thread, so a stream that is always ready must let the others run.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use saros_core::time::Millis;
use saros_proxy::clock::Clock;
use saros_proxy::config::{BaseUrl, Config, KeyConfig, Origin};
use saros_proxy::runtime::Tasks;
use saros_proxy::secret::Secret;
use saros_proxy::server::app::App;
use saros_proxy::server::listen;
use saros_proxy::upstream::dial::{Dial, Dialled, Dialling};
use saros_proxy::upstream::io::Io;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::stage::{Answer, BASE, START, get, send_over};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
const EVENT: &[u8] =
    b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"on and on\"}}]}\n\n";
const END: &[u8] = b"data: [DONE]\n\n";

/// So much of its answer the client remembers.
const KEPT: usize = 500;

/// A stream that was not told to stop by then had the thread for itself.
const DRY: usize = 128 << 20;

/// An answer that has its next bytes at any moment, and how much of it was read.
#[derive(Default)]
struct Flow {
    read: AtomicUsize,
    stop: AtomicBool,
}

impl Flow {
    fn read(&self) -> usize {
        self.read.load(Ordering::Relaxed)
    }

    fn over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.read() >= DRY
    }
}

struct Source(Arc<Flow>);

impl Dial for Source {
    fn dial<'a>(&'a self, _: &'a Origin) -> Dialling<'a> {
        let flow = Arc::clone(&self.0);
        let service = Service { flow, asked: false, waiting: None, step: Step::Head };
        Box::pin(async { Ok(Dialled { io: Io::Pipe(Box::new(service)), h2: false }) })
    }
}

#[derive(Clone, Copy)]
enum Step {
    Head,
    /// So many bytes of an event were read.
    Event(usize),
    Ended,
}

/// The service's end of a connection: takes any request, and answers without a pause.
struct Service {
    flow: Arc<Flow>,
    asked: bool,
    waiting: Option<Waker>,
    step: Step,
}

impl AsyncRead for Service {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.step {
            Step::Head if !self.asked => {
                self.waiting = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Step::Head => {
                buf.put_slice(HEAD);
                self.step = Step::Event(0);
            }
            Step::Event(0) if self.flow.over() => {
                buf.put_slice(END);
                self.step = Step::Ended;
            }
            Step::Event(from) => {
                let rest = &EVENT[from..];
                let piece = &rest[..rest.len().min(buf.remaining())];
                buf.put_slice(piece);
                self.flow.read.fetch_add(piece.len(), Ordering::Relaxed);
                self.step = Step::Event((from + piece.len()) % EVENT.len());
            }
            Step::Ended => {}
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Service {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.asked = true;
        self.waiting.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The end of a client that takes its answer as fast as it comes, and keeps only its last bytes.
struct Client {
    request: Bytes,
    last: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.request.is_empty() {
            return Poll::Pending;
        }
        let length = self.request.len().min(buf.remaining());
        buf.put_slice(&self.request.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut last = self.last.lock().unwrap();
        last.extend_from_slice(&bytes[bytes.len().saturating_sub(KEPT)..]);
        let surplus = last.len().saturating_sub(KEPT);
        last.drain(..surplus);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// An endless stream on its way to a client.
struct Endless {
    app: Arc<App>,
    flow: Arc<Flow>,
    /// What the client read last.
    last: Arc<Mutex<Vec<u8>>>,
    peer: SocketAddr,
}

async fn endless() -> Endless {
    let flow = Arc::<Flow>::default();
    let mut config = Config::default();
    let secret = Secret::new("sk-aaaaaaaaaaaaaaaaaaaaaaaaaaaaAAAA".to_owned());
    config.keys.push(KeyConfig::new("a", secret, BaseUrl::parse(BASE).unwrap()));
    let source = Arc::new(Source(Arc::clone(&flow)));
    let app = App::new(config, Clock::new(|| Millis(START)), source, Tasks::default());
    let peer = SocketAddr::from(([127, 0, 0, 1], 9));

    let body = r#"{"model":"glm-5.2","stream":true,"messages":[]}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let last = Arc::<Mutex<Vec<u8>>>::default();
    let client = Client { request: request.into(), last: Arc::clone(&last) };
    app.tasks.spawn(listen::serve(&app, client, peer, ()));
    until(|| flow.read() > 0).await;
    Endless { app, flow, last, peer }
}

#[tokio::test(start_paused = true)]
async fn when_time_is_up_an_endless_stream_hears_of_it_too() {
    let Endless { app, last, .. } = endless().await;
    app.cutting.store(true, Ordering::Relaxed);
    let told = |last: &[u8]| {
        last.ends_with(b"\r\n0\r\n\r\n") && last.windows(8).any(|bytes| bytes == b"\"error\":")
    };
    until(|| told(&last.lock().unwrap())).await;
    assert_eq!(app.pool().in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_endless_stream_starves_nobody() {
    let Endless { app, flow, last, peer } = endless().await;

    // Others are served, although the stream never pauses.
    for _ in 0..3 {
        let (ours, theirs) = tokio::io::duplex(1024);
        app.tasks.spawn(listen::serve(&app, theirs, peer, ()));
        let answer = Answer::read(send_over(ours, get("/health")).await.unwrap()).await;
        assert!(flow.read() < DRY, "the stream went first");
        assert_eq!(answer.json()["activeRequests"], 1);
    }
    // And soon. The runtime looks at its sockets when it comes back to this task, so what passes
    // in between is what a client with something to say has to wait for: a turn of a megabyte or
    // two, and what lies in buffers.
    for _ in 0..8 {
        let before = flow.read();
        tokio::task::yield_now().await;
        let turn = flow.read() - before;
        assert!((1..=4 << 20).contains(&turn), "{turn} bytes without a pause");
    }

    // The stream itself has lost nothing by it.
    flow.stop.store(true, Ordering::Relaxed);
    until(|| last.lock().unwrap().ends_with(b"data: [DONE]\n\n\r\n0\r\n\r\n")).await;
    assert_eq!(app.pool().in_flight(), 0);
}

/// Lets everybody else run until it is so.
async fn until(holds: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came");
}
