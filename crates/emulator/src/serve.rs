//! Connections: in-memory pipes, plain sockets, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::line::{Line, Wire};
use crate::service;
use crate::settings::Accept;
use crate::world::Shared;

/// Plain HTTP or TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// HTTP/1.1, and h2 by prior knowledge.
    #[default]
    Plain,
    /// h2 and HTTP/1.1 by ALPN.
    Tls,
}

/// A listening emulator. Dropped, it stops at once.
#[derive(Debug)]
pub struct Listening {
    addr: SocketAddr,
    transport: Transport,
    stop: CancellationToken,
    connections: Arc<std::sync::Mutex<CancellationToken>>,
    tasks: TaskTracker,
}

impl Listening {
    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:PORT` or `https://…`.
    pub fn base_url(&self) -> String {
        let scheme = match self.transport {
            Transport::Plain => "http",
            Transport::Tls => "https",
        };
        format!("{scheme}://{}", self.addr)
    }

    /// Every present connection ends at once; new ones are accepted.
    pub fn close_connections(&self) {
        let mut connections =
            self.connections.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let old = std::mem::replace(&mut *connections, self.stop.child_token());
        old.cancel();
    }

    /// Stops accepting, ends every connection, waits until all are gone.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Listens on `addr`.
pub(crate) async fn listen(
    shared: Arc<Shared>,
    addr: SocketAddr,
    transport: Transport,
) -> io::Result<Listening> {
    let acceptor = match transport {
        Transport::Plain => None,
        Transport::Tls => {
            let alpn = shared.world().settings.connection.alpn;
            Some(TlsAcceptor::from(certificate(&shared)?.server(alpn)?))
        }
    };
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    let stop = CancellationToken::new();
    let connections = Arc::new(std::sync::Mutex::new(stop.child_token()));
    let tasks = TaskTracker::new();
    let listening = Listening {
        addr,
        transport,
        stop: stop.clone(),
        connections: Arc::clone(&connections),
        tasks: tasks.clone(),
    };
    let tracker = tasks.clone();
    tasks.spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            let Ok((stream, peer)) = accepted else { continue };
            drop(stream.set_nodelay(true));
            let stop =
                connections.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
            let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
            tracker.spawn(async move {
                tokio::select! {
                    () = accept(shared, stream, peer.ip(), acceptor) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
    });
    Ok(listening)
}

async fn accept(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: IpAddr,
    acceptor: Option<TlsAcceptor>,
) {
    if !greet(&shared).await {
        return;
    }
    match acceptor {
        None => drive(shared, stream, Some(peer), |io| drop(io.set_zero_linger())).await,
        Some(acceptor) => {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let reset = |io: &TlsStream<TcpStream>| drop(io.get_ref().0.set_zero_linger());
            drive(shared, stream, Some(peer), reset).await;
        }
    }
}

/// Serves one pipe.
pub(crate) async fn pipe<T>(shared: Arc<Shared>, io: T)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    if greet(&shared).await {
        drive(shared, io, None, |_| {}).await;
    }
}

/// Counts a new connection; whether it is served. One that is left hanging never comes back from
/// here.
async fn greet(shared: &Shared) -> bool {
    let accept = {
        let mut world = shared.world();
        world.counters.connections += 1;
        world.settings.connection.accept
    };
    shared.changed();
    match accept {
        Accept::Serve => true,
        Accept::Close => false,
        Accept::Hang => std::future::pending().await,
    }
}

/// The certificate of this emulator, made on first use.
pub(crate) fn certificate(shared: &Shared) -> io::Result<&crate::tls::Certificate> {
    if shared.certificate.get().is_none() {
        // Two racing callers make two; the first stored is everyone's.
        drop(shared.certificate.set(crate::tls::Certificate::generate()?));
    }
    shared.certificate.get().ok_or_else(|| io::Error::other("no certificate"))
}

/// Serves one connection until either side ends it.
async fn drive<T>(shared: Arc<Shared>, io: T, peer: Option<IpAddr>, arm_reset: fn(&T))
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let id = shared.connections.fetch_add(1, Ordering::Relaxed);
    let line = Arc::new(Line::new(id));
    let settings = shared.world().settings.connection.clone();
    let wire = Wire::new(io, Arc::clone(&line), arm_reset);
    let clock = shared.clock.clone();
    let answer = {
        let line = Arc::clone(&line);
        service_fn(move |request| {
            service::answer(Arc::clone(&shared), Arc::clone(&line), peer, request)
        })
    };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(settings.max_streams);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(wire), answer));
    loop {
        let idle = async {
            match settings.idle_close_ms.filter(|_| line.is_idle()) {
                Some(ms) => clock.sleep(ms.max(1)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = line.poke.notified() => {}
            _ = connection.as_mut() => return,
            () = idle => return,
        }
        if line.is_dead() {
            return;
        }
        let spent = settings.max_requests.is_some_and(|most| line.answered() >= most);
        if line.take_goodbye() || (spent && line.is_idle()) {
            connection.as_mut().graceful_shutdown();
        }
    }
}
