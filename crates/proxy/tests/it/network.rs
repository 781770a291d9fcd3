//! Pipes to the emulator instead of a network, with a network's ways to fail.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use saros_emulator::Emulator;
use saros_proxy::config::Origin;
use saros_proxy::upstream::dial::{Dial, DialError, Dialled, Dialling};
use saros_proxy::upstream::io::Io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

/// What happens to whoever opens a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Road {
    Open,
    /// Connection refused.
    Closed,
    /// No answer, ever.
    Silent,
    /// The TLS handshake fails.
    BadTls,
}

/// A handle on the network; clones are the same one.
#[derive(Clone)]
pub(crate) struct Network(Arc<Shared>);

struct Shared {
    emulator: Emulator,
    h2: bool,
    road: Mutex<Road>,
    cables: Mutex<Vec<Arc<Fate>>>,
    dialled: AtomicU64,
    raw: Mutex<Option<&'static str>>,
}

impl Network {
    pub(crate) fn new(emulator: &Emulator, h2: bool) -> Self {
        Self(Arc::new(Shared {
            emulator: emulator.clone(),
            h2,
            road: Mutex::new(Road::Open),
            cables: Mutex::default(),
            dialled: AtomicU64::new(0),
            raw: Mutex::default(),
        }))
    }

    pub(crate) fn dialler(&self) -> Arc<dyn Dial> {
        Arc::new(self.clone())
    }

    /// From now on for new connections.
    pub(crate) fn set(&self, road: Road) {
        *self.0.road.lock().unwrap() = road;
    }

    /// Instead of the emulator somebody answers who writes these bytes to every request, and closes.
    pub(crate) fn answers_raw(&self, bytes: &'static str) {
        *self.0.raw.lock().unwrap() = Some(bytes);
    }

    /// Connections that were tried to be opened so far.
    pub(crate) fn dialled(&self) -> u64 {
        self.0.dialled.load(Ordering::Relaxed)
    }

    /// Every open connection breaks, and both sides notice.
    pub(crate) fn sever(&self) {
        self.end_all(CUT);
    }

    /// Every open connection dies without a word: what is sent is lost, and nothing comes.
    pub(crate) fn freeze(&self) {
        self.end_all(FROZEN);
    }

    fn end_all(&self, how: u8) {
        for fate in self.0.cables.lock().unwrap().drain(..) {
            fate.state.store(how, Ordering::Relaxed);
            if let Some(waker) = fate.reader.lock().unwrap().take() {
                waker.wake();
            }
        }
    }
}

impl Dial for Network {
    fn dial<'a>(&'a self, _origin: &'a Origin) -> Dialling<'a> {
        Box::pin(async {
            self.0.dialled.fetch_add(1, Ordering::Relaxed);
            let host = "service".to_owned();
            let road = *self.0.road.lock().unwrap();
            match road {
                Road::Open => {}
                Road::Closed => {
                    let source = io::ErrorKind::ConnectionRefused.into();
                    return Err(DialError::Connect { host, source });
                }
                Road::BadTls => {
                    let source = io::Error::other("certificate expired");
                    return Err(DialError::Tls { host, source });
                }
                Road::Silent => std::future::pending().await,
            }
            let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
            if let Some(bytes) = *self.0.raw.lock().unwrap() {
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    if theirs.read(&mut request).await.is_ok_and(|n| n > 0) {
                        drop(theirs.write_all(bytes.as_bytes()).await);
                    }
                });
            } else {
                tokio::spawn(self.0.emulator.serve_io(theirs));
            }
            let fate = Arc::<Fate>::default();
            let mut cables = self.0.cables.lock().unwrap();
            cables.retain(|fate| Arc::strong_count(fate) > 1);
            cables.push(Arc::clone(&fate));
            Ok(Dialled { io: Io::Pipe(Box::new(Cable { pipe: ours, fate })), h2: self.0.h2 })
        })
    }
}

const FROZEN: u8 = 1;
const CUT: u8 = 2;

#[derive(Default)]
struct Fate {
    state: AtomicU8,
    reader: Mutex<Option<Waker>>,
}

/// A pipe that can die.
struct Cable {
    pipe: DuplexStream,
    fate: Arc<Fate>,
}

impl Cable {
    fn broken(&self) -> bool {
        self.fate.state.load(Ordering::Relaxed) == CUT
    }

    fn frozen(&self) -> bool {
        self.fate.state.load(Ordering::Relaxed) == FROZEN
    }
}

impl AsyncRead for Cable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        *self.fate.reader.lock().unwrap() = Some(cx.waker().clone());
        if self.broken() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if self.frozen() {
            return Poll::Pending;
        }
        Pin::new(&mut self.pipe).poll_read(cx, buf)
    }
}

impl AsyncWrite for Cable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.broken() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.frozen() {
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.pipe).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken() || self.frozen() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken() || self.frozen() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}
