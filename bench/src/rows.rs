//! The rows of the table, and how each is measured.

use std::time::Duration;

use crate::answers::Case;
use crate::contenders::Running;
use crate::load::{self, Shot, Target};
use crate::{Fallible, measure};

/// One way of measuring; it yields one figure or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    /// Resident memory of a proxy that has answered a few requests, MB.
    Idle,
    /// Memory per held stream, kB.
    Held,
    /// Processor time per request, µs.
    Request,
    /// The same at a fixed rate, far from saturation.
    Steady,
    /// Processor time per event of a paced stream, µs.
    Paced,
    /// Processor time per stream of 50 events in one packet, µs.
    Burst,
    /// The same with a packet for each event.
    Split,
    /// Processor time per request with 1 MB of body, µs.
    Body,
    /// Latency at 200 requests a second, µs.
    Latency,
    /// Calls that write, per burst stream.
    Writes,
}

impl Row {
    /// In the order of measuring: memory first, while the process is fresh.
    pub(crate) const ALL: [Self; 10] = [
        Self::Idle,
        Self::Held,
        Self::Request,
        Self::Steady,
        Self::Paced,
        Self::Burst,
        Self::Split,
        Self::Body,
        Self::Latency,
        Self::Writes,
    ];

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Held => "held",
            Self::Request => "request",
            Self::Steady => "steady",
            Self::Paced => "paced",
            Self::Burst => "burst",
            Self::Split => "split",
            Self::Body => "body",
            Self::Latency => "latency",
            Self::Writes => "writes",
        }
    }

    /// Whether it is also measured over HTTP/2 upstream.
    pub(crate) fn has_h2(self) -> bool {
        matches!(
            self,
            Self::Held | Self::Request | Self::Steady | Self::Paced | Self::Burst | Self::Writes
        )
    }

    /// What it yields: metric names (over HTTP/2 with `-h2` behind) in the order of the figures.
    pub(crate) fn metrics(self) -> &'static [&'static str] {
        match self {
            Self::Latency => &["latency-p50", "latency-p99"],
            Self::Idle => &["idle"],
            Self::Held => &["held"],
            Self::Request => &["request"],
            Self::Steady => &["steady"],
            Self::Paced => &["paced"],
            Self::Burst => &["burst"],
            Self::Split => &["split"],
            Self::Body => &["body"],
            Self::Writes => &["writes"],
        }
    }
}

/// Requests a second of [`Row::Steady`].
const STEADY_RATE: u32 = 4000;

/// How long and how much.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Effort {
    /// Rounds, each with every contender once.
    pub(crate) rounds: usize,
    /// Measured span of a processor-time row, seconds.
    pub(crate) span: u64,
    /// Passes of the latency row per round: it drifts with the machine, so they are short and many.
    pub(crate) latency_slices: usize,
    /// Measured span of one of them, ms.
    pub(crate) latency_span: u64,
    /// Streams held for the memory row.
    pub(crate) held: usize,
    /// Streams of the paced row.
    pub(crate) paced: u32,
    /// Connections of the closed loops.
    pub(crate) connections: u32,
    /// Starts timed per round.
    pub(crate) starts: usize,
}

impl Effort {
    /// For a result that is kept.
    pub(crate) const FULL: Self = Self {
        rounds: 3,
        span: 4,
        latency_slices: 4,
        latency_span: 2000,
        held: 500,
        paced: 100,
        connections: 32,
        starts: 5,
    };
    /// For the development loop.
    pub(crate) const QUICK: Self = Self {
        rounds: 1,
        span: 2,
        latency_slices: 2,
        latency_span: 1500,
        held: 300,
        paced: 100,
        connections: 32,
        starts: 3,
    };
}

/// Measures `row` on a running contender.
pub(crate) async fn measure(row: Row, running: &Running, effort: &Effort) -> Fallible<Vec<f64>> {
    let target = Target::proxy(running.port);
    let cpu = || measure::cpu_ns(running.pid());
    let streaming = |case| Shot::new(case, 2048);
    let json = || Shot::new(Case::Json, 2048);
    let full = load::Loop {
        connections: effort.connections,
        every: None,
        warmup: Duration::from_millis(700),
        span: Duration::from_secs(effort.span),
    };
    let busy = async |shot: Shot, run: load::Loop| -> Fallible<f64> {
        Ok(per_piece(&load::closed_loop(&target, &shot, run, cpu).await?))
    };
    let figure = match row {
        Row::Idle => idle(&target, running).await?,
        Row::Held => held(&target, running, effort.held).await?,
        Row::Request => busy(json(), full).await?,
        Row::Steady => {
            let every = Some(Duration::from_secs(1) * full.connections / STEADY_RATE);
            busy(json(), load::Loop { every, ..full }).await?
        }
        Row::Burst => busy(streaming(Case::Burst), full).await?,
        Row::Split => busy(streaming(Case::Split), full).await?,
        Row::Body => {
            busy(Shot::new(Case::Json, 1 << 20), load::Loop { connections: 4, ..full }).await?
        }
        Row::Paced => {
            let shot = streaming(Case::Paced);
            per_piece(&load::open_streams(&target, &shot, effort.paced, full.span, cpu).await?)
        }
        Row::Latency => return latency(&target, effort).await,
        Row::Writes => writes(&target, running).await?,
    };
    Ok(vec![figure])
}

/// Latency towards any target, the stub itself included: p50 and p99 in µs.
pub(crate) async fn latency(target: &Target, effort: &Effort) -> Fallible<Vec<f64>> {
    let shot = Shot::new(Case::Json, 2048);
    let sorted =
        load::open_loop(target, &shot, 200, Duration::from_millis(effort.latency_span)).await?;
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index below the length"
        )]
        #[expect(clippy::cast_precision_loss, reason = "a few thousand values")]
        let index = ((sorted.len() as f64 - 1.0) * share).round() as usize;
        sorted.get(index).copied().ok_or("no latencies")
    };
    Ok(vec![at(0.5)?, at(0.99)?])
}

/// µs of processor time per request or event.
#[expect(clippy::cast_precision_loss, reason = "well below 2^52")]
fn per_piece(span: &load::Span) -> f64 {
    span.metered as f64 / 1000.0 / span.count as f64
}

#[expect(clippy::cast_precision_loss, reason = "well below 2^52")]
async fn idle(target: &Target, running: &Running) -> Fallible<f64> {
    load::send(target, &Shot::new(Case::Json, 2048), 20).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(measure::resident_kb(running.pid())? as f64 / 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "well below 2^52")]
async fn held(target: &Target, running: &Running, streams: usize) -> Fallible<f64> {
    load::send(target, &Shot::new(Case::Json, 2048), 20).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = measure::resident_kb(running.pid())?;
    let open = load::hold_streams(target, &Shot::new(Case::Held, 2048), streams).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let after = measure::resident_kb(running.pid())?;
    drop(open);
    // Their ends shall not be part of the next row.
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok((after as f64 - before as f64) / streams as f64)
}

#[expect(clippy::cast_precision_loss, reason = "well below 2^52")]
async fn writes(target: &Target, running: &Running) -> Fallible<f64> {
    const STREAMS: usize = 200;
    let shot = Shot::new(Case::Burst, 2048);
    // Connections are open before the count begins.
    load::send(target, &shot, 5).await?;
    let strace = measure::Strace::attach(running.pid(), running.folder()).await?;
    load::send(target, &shot, STREAMS).await?;
    Ok(strace.detach()? as f64 / STREAMS as f64)
}
