//! The load generator: a light HTTP/1.1 client on one thread.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use memchr::memmem;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;

use crate::answers::{self, Case};
use crate::{Fallible, tls};

/// No single answer may take longer; it bounds every measurement.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whom to ask.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

impl Target {
    /// A proxy, in the clear.
    pub(crate) fn proxy(port: u16) -> Self {
        Self { address: (Ipv4Addr::LOCALHOST, port).into(), tls: None }
    }

    /// The stub itself, with TLS: what a client without any proxy would see.
    pub(crate) fn direct(port: u16, ca: &Path) -> Fallible<Self> {
        Ok(Self {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            tls: Some(tls::client(ca, b"http/1.1")?),
        })
    }

    async fn connect(&self) -> io::Result<Connection> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Duplex> = match &self.tls {
            None => Box::new(tcp),
            Some(config) => {
                let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
                Box::new(TlsConnector::from(Arc::clone(config)).connect(name, tcp).await?)
            }
        };
        Ok(Connection { stream, buffer: vec![0; 64 * 1024] })
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A request, rendered once, and what a whole answer to it must hold.
#[derive(Clone)]
pub(crate) struct Shot {
    bytes: Arc<[u8]>,
    expect: Expect,
}

#[derive(Clone, Copy)]
enum Expect {
    Length(usize),
    Events(u64),
}

impl Shot {
    /// Asks for `case` with a body of `size` bytes.
    pub(crate) fn new(case: Case, size: usize) -> Self {
        let streams = case != Case::Json;
        let body = answers::request_body(size, streams);
        let mut bytes = format!(
            "POST {}?{} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-client-client-client-1\r\n\
             user-agent: saros-bench/1\r\naccept: {}\r\naccept-encoding: gzip, br\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answers::PATH,
            case.query(),
            if streams { "text/event-stream" } else { "application/json" },
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(&body);
        let expect = match case {
            Case::Json => Expect::Length(answers::JSON.len()),
            // The last is `[DONE]`.
            Case::Burst | Case::Split => Expect::Events(answers::BURST_EVENTS as u64 + 1),
            Case::Paced | Case::Held => Expect::Events(u64::MAX),
        };
        Self { bytes: bytes.into(), expect }
    }
}

struct Connection {
    stream: Box<dyn Duplex>,
    buffer: Vec<u8>,
}

/// How a body ends.
enum Framing {
    Length(usize),
    Chunked,
}

impl Connection {
    /// Sends `shot` and reads the whole answer, which must be complete and right.
    async fn exchange(&mut self, shot: &Shot, mut event: impl FnMut(u64)) -> io::Result<()> {
        self.stream.write_all(&shot.bytes).await?;
        self.stream.flush().await?;
        let (framing, mut rest) = self.head().await?;
        let mut tally = Tally::default();
        loop {
            let fresh = tally.take(self.buffer.get(rest.clone()).unwrap_or_default());
            if fresh > 0 {
                event(fresh);
            }
            match framing {
                Framing::Length(length) if tally.bytes >= length => break,
                Framing::Chunked if tally.tail.ends_with(b"0\r\n\r\n") => break,
                _ => {}
            }
            let read = self.read().await?;
            rest = 0..read;
        }
        let right = match shot.expect {
            Expect::Length(length) => matches!(framing, Framing::Chunked) || tally.bytes == length,
            Expect::Events(events) => tally.events == events,
        };
        if right { Ok(()) } else { Err(io::Error::other(format!("a wrong answer: {tally:?}"))) }
    }

    async fn read(&mut self) -> io::Result<usize> {
        match tokio::time::timeout(PATIENCE, self.stream.read(&mut self.buffer)).await {
            Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => read,
            // Streams may rest, answers may not; either way a span ends by itself.
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Reads to the end of the head; the rest of what came lies in the returned range.
    async fn head(&mut self) -> io::Result<(Framing, std::ops::Range<usize>)> {
        let mut held = 0;
        loop {
            let room = self.buffer.get_mut(held..).unwrap_or_default();
            let read = match tokio::time::timeout(PATIENCE, self.stream.read(room)).await {
                Ok(read) => read?,
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            };
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            held += read;
            let seen = self.buffer.get(..held).unwrap_or_default();
            let Some(end) = memmem::find(seen, b"\r\n\r\n") else { continue };
            let head =
                String::from_utf8_lossy(seen.get(..end).unwrap_or_default()).to_ascii_lowercase();
            if !head.starts_with("http/1.1 200") {
                let body =
                    String::from_utf8_lossy(seen.get(end + 4..).unwrap_or_default()).into_owned();
                let status = head.lines().next().unwrap_or_default();
                return Err(io::Error::other(format!("answered {status}: {body}")));
            }
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let framing = match length.and_then(|value| value.trim().parse().ok()) {
                Some(length) => Framing::Length(length),
                None => Framing::Chunked,
            };
            return Ok((framing, end + 4..held));
        }
    }
}

/// What of a body has been seen.
#[derive(Debug, Default)]
struct Tally {
    bytes: usize,
    events: u64,
    tail: Vec<u8>,
}

impl Tally {
    /// Counts the blank lines that end events; chunk framing has none of its own.
    fn take(&mut self, data: &[u8]) -> u64 {
        let straddles = self.tail.last() == Some(&b'\n') && data.first() == Some(&b'\n');
        let fresh = memmem::find_iter(data, b"\n\n").count() as u64 + u64::from(straddles);
        self.events += fresh;
        self.bytes += data.len();
        let keep = data.get(data.len().saturating_sub(8)..).unwrap_or_default();
        self.tail.extend_from_slice(keep);
        let surplus = self.tail.len().saturating_sub(8);
        self.tail.drain(..surplus);
        fresh
    }
}

/// What happened within the measured span.
pub(crate) struct Span {
    /// Requests or events completed.
    pub(crate) count: u64,
    /// What `meter` counted meanwhile.
    pub(crate) metered: u64,
}

/// How a closed loop is driven.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loop {
    /// Each asks for one thing at a time.
    pub(crate) connections: u32,
    /// From one request of a connection to its next; `None`: at once after the answer.
    pub(crate) every: Option<Duration>,
    /// Before the measured span.
    pub(crate) warmup: Duration,
    /// The measured span.
    pub(crate) span: Duration,
}

/// Keeps connections asking, and reads `meter` (processor time, say) at both ends of the span.
pub(crate) async fn closed_loop(
    target: &Target,
    shot: &Shot,
    run: Loop,
    meter: impl Fn() -> Fallible<u64>,
) -> Fallible<Span> {
    let done = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for index in 0..run.connections {
        let (target, shot, done) = (target.clone(), shot.clone(), Arc::clone(&done));
        workers.spawn(async move {
            let mut connection = target.connect().await?;
            let mut beat = match run.every {
                None => None,
                Some(every) => {
                    // Connections take turns, so that requests come evenly.
                    sleep(every * index / run.connections).await;
                    Some(tokio::time::interval(every))
                }
            };
            loop {
                if let Some(beat) = &mut beat {
                    beat.tick().await;
                }
                connection.exchange(&shot, |_| ()).await?;
                add(&done, 1);
            }
        });
    }
    measured(&mut workers, &done, run.warmup, run.span, meter).await
}

/// Holds `streams` endless streams open, begun at different moments, and counts their events.
pub(crate) async fn open_streams(
    target: &Target,
    shot: &Shot,
    streams: u32,
    span: Duration,
    meter: impl Fn() -> Fallible<u64>,
) -> Fallible<Span> {
    let events = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    let spread = Duration::from_millis(500);
    for index in 0..streams {
        let (target, shot, events) = (target.clone(), shot.clone(), Arc::clone(&events));
        workers.spawn(async move {
            sleep(spread * index / streams).await;
            let mut connection = target.connect().await?;
            let counted = connection.exchange(&shot, |fresh| add(&events, fresh));
            counted.await
        });
    }
    measured(&mut workers, &events, spread + Duration::from_millis(500), span, meter).await
}

fn add(counter: &AtomicU64, fresh: u64) {
    counter.fetch_add(fresh, Ordering::Relaxed);
}

async fn measured(
    workers: &mut JoinSet<io::Result<()>>,
    count: &AtomicU64,
    warmup: Duration,
    span: Duration,
    meter: impl Fn() -> Fallible<u64>,
) -> Fallible<Span> {
    let failed = |ended: Option<Result<io::Result<()>, _>>| match ended {
        Some(Ok(Err(error))) => error,
        _ => io::Error::other("a worker ended early"),
    };
    tokio::select! {
        () = sleep(warmup) => {}
        ended = workers.join_next() => return Err(failed(ended).into()),
    }
    let (before, metered) = (count.load(Ordering::Relaxed), meter()?);
    tokio::select! {
        () = sleep(span) => {}
        ended = workers.join_next() => return Err(failed(ended).into()),
    }
    let metered = meter()?.saturating_sub(metered);
    let count = count.load(Ordering::Relaxed) - before;
    if count == 0 {
        return Err("nothing completed".into());
    }
    Ok(Span { count, metered })
}

/// Opens `streams` streams that hold still after their first event, and returns once each has it.
/// They close when the result is dropped.
pub(crate) async fn hold_streams(
    target: &Target,
    shot: &Shot,
    streams: usize,
) -> Fallible<JoinSet<io::Result<()>>> {
    let first = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..streams {
        let (target, shot, first) = (target.clone(), shot.clone(), Arc::clone(&first));
        workers.spawn(async move {
            let mut connection = target.connect().await?;
            connection.exchange(&shot, |fresh| add(&first, fresh)).await
        });
        // One by one: a burst of handshakes would measure the backlog instead.
        sleep(Duration::from_millis(2)).await;
    }
    let deadline = Instant::now() + PATIENCE;
    while first.load(Ordering::Relaxed) < streams as u64 {
        if let Some(Ok(Err(error))) = workers.try_join_next() {
            return Err(error.into());
        }
        if Instant::now() > deadline {
            return Err(format!(
                "only {} of {streams} streams began",
                first.load(Ordering::Relaxed)
            )
            .into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(workers)
}

/// Sends `rate` requests a second for `span`, whether or not answers come, and returns their
/// latencies in µs, sorted.
pub(crate) async fn open_loop(
    target: &Target,
    shot: &Shot,
    rate: u32,
    span: Duration,
) -> Fallible<Vec<f64>> {
    let idle: Arc<Mutex<Vec<Connection>>> = Arc::default();
    let mut requests = JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let warmup = rate as usize / 4;
    let total = warmup + usize::try_from(span.as_millis())? * rate as usize / 1000;
    for index in 0..total {
        ticks.tick().await;
        let (target, shot, idle) = (target.clone(), shot.clone(), Arc::clone(&idle));
        requests.spawn(async move {
            let pooled = idle.lock().await.pop();
            let mut connection = match pooled {
                Some(connection) => connection,
                None => target.connect().await?,
            };
            let begin = Instant::now();
            connection.exchange(&shot, |_| ()).await?;
            let took = begin.elapsed();
            idle.lock().await.push(connection);
            Ok::<_, io::Error>((index >= warmup).then_some(took.as_secs_f64() * 1e6))
        });
    }
    let mut latencies = Vec::with_capacity(total);
    while let Some(ended) = requests.join_next().await {
        latencies.extend(ended??);
    }
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}

/// Sends `count` requests, one after the other on one connection.
pub(crate) async fn send(target: &Target, shot: &Shot, count: usize) -> Fallible<()> {
    let mut connection = target.connect().await?;
    for _ in 0..count {
        connection.exchange(shot, |_| ()).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_across_reads() {
        let mut tally = Tally::default();
        for piece in ["data: a\n", "\ndata: b", "\n\n", "0\r\n", "\r\n"] {
            tally.take(piece.as_bytes());
        }
        assert_eq!(tally.events, 2);
        assert!(tally.tail.ends_with(b"0\r\n\r\n"));
    }
}
