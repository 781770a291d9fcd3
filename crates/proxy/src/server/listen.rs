//! Accepting connections, and ending them.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use http::{Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::sync::futures::OwnedNotified;

use crate::runtime::Tasks;
use crate::server::answer::answer;
use crate::server::app::App;
use crate::server::ear::{Arriving, Ear};
use crate::server::timers::ForHeads;
use crate::socket::Socket;

/// Connections at once; more wait in the kernel's queue.
pub const CONNECTIONS: usize = 4_096;
/// How long a client may take to send the head of a request, and to stay idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);

/// Accepts connections until draining begins.
pub async fn accept(app: Arc<App>, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let bell = app.bell.clone().notified_owned();
        if app.draining.load(Ordering::Relaxed) {
            return;
        }
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = bell => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Without it small answers wait for the client's acknowledgement.
                drop(stream.set_nodelay(true));
                app.tasks.spawn(serve(&app, Socket(stream), peer, place));
            }
            Err(error) => {
                // Out of file descriptors, or the client was gone already: others may go on.
                tracing::warn!(%error, "Cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Serves one connection to its end: HTTP/1.1, or HTTP/2 by prior knowledge. `place` is what it
/// takes from others, given back at the end.
pub fn serve<S, P>(
    app: &Arc<App>,
    stream: S,
    peer: SocketAddr,
    place: P,
) -> impl Future<Output = ()> + use<S, P>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(Ringing { tasks: app.tasks.clone(), app: app.clone() });
    // hyper's own limit on headers, 100, is the one that it parses without allocating.
    builder.http1().timer(ForHeads(Arc::clone(&app.timers))).header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(256)
        .max_header_list_size(64 * 1024)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(30));
    let app = Arc::clone(app);
    let peer: IpAddr = peer.ip();
    async move {
        let asked = AtomicBool::new(false);
        let ear = Arc::new(Ear::default());
        let waker = Waker::from(Arc::clone(&ear));
        let service = service_fn(|request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            let alone = request.version() < Version::HTTP_2;
            let ear = alone.then(|| Arc::clone(&ear));
            let request = request.map(|body| Arriving { body, ear });
            // Boxed, so that an idle or streaming connection does not hold a request's whole state.
            Box::pin(answer(Arc::clone(&app), peer, request))
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let mut bell = Bell::new(&app);
        let mut draining = false;
        // hyper counts the time once it knows which version is spoken, and a client may keep that
        // to itself.
        let mut opening = Some(Box::pin(tokio::time::sleep(HEAD_TIMEOUT)));
        // How a connection ends is the client's business; its requests are in the log.
        drop(
            std::future::poll_fn(|cx| {
                bell.poll(cx);
                if !draining && app.draining.load(Ordering::Relaxed) {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
                if let Some(timer) = &mut opening {
                    if asked.load(Ordering::Relaxed) {
                        opening = None;
                    } else if timer.as_mut().poll(cx).is_ready() {
                        opening = None;
                        connection.as_mut().graceful_shutdown();
                    }
                }
                ear.serves(cx.waker());
                connection.as_mut().poll(&mut Context::from_waker(&waker))
            })
            .await,
        );
        drop(place);
    }
}

/// Wakes its task whenever the application's bell is rung; listening costs nothing in between.
struct Bell {
    app: Arc<App>,
    ring: Pin<Box<OwnedNotified>>,
    heard: Option<u8>,
}

impl Bell {
    fn new(app: &Arc<App>) -> Self {
        let ring = Box::pin(Arc::clone(&app.bell).notified_owned());
        Self { app: Arc::clone(app), ring, heard: None }
    }

    /// Listens for the next ring. A task's waker stays the same, so once per stage is enough.
    fn poll(&mut self, cx: &mut Context<'_>) {
        let stage = self.app.stage();
        if self.heard == Some(stage) {
            return;
        }
        self.heard = Some(stage);
        while self.ring.as_mut().poll(cx).is_ready() {
            self.ring.set(Arc::clone(&self.app.bell).notified_owned());
        }
    }
}

/// hyper's executor for the streams of HTTP/2 connections: each hears the bell itself, because the
/// connection's own task does not poll it.
#[derive(Clone)]
struct Ringing {
    tasks: Tasks,
    app: Arc<App>,
}

impl<F> hyper::rt::Executor<F> for Ringing
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        let mut bell = Bell::new(&self.app);
        self.tasks.spawn(async move {
            let mut future = std::pin::pin!(future);
            std::future::poll_fn(|cx| {
                bell.poll(cx);
                future.as_mut().poll(cx).map(drop)
            })
            .await;
        });
    }
}
