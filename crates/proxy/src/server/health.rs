//! `/`, `/health` and `/ready`: what others can see of the proxy.

use std::sync::atomic::Ordering;

use http::{Response, StatusCode};
use saros_core::pool::{Standing, State};
use saros_core::time::Millis;
use serde::Serialize;
use tokio::time::Instant;

use crate::server::accounts::{self, Windows};
use crate::server::app::App;
use crate::server::pages;
use crate::server::reply::{Out, json};

/// `/health`; the field names are the original's, where it had them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Health<'a> {
    status: &'static str,
    version: &'static str,
    strategy: &'static str,
    uptime: f64,
    key_count: usize,
    enabled_count: usize,
    disabled_count: usize,
    active_requests: usize,
    circuit_breaker_threshold: u32,
    circuit_breaker_cooldown_ms: u64,
    scraping: pages::Health,
    /// By which the commands of this machine know whom they talk to; not in the original.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Vec<KeyHealth<'a>>>,
    /// Models that are not asked for at the moment; not in the original.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_models: Option<Vec<HeldModel<'a>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HeldModel<'a> {
    model: &'a str,
    /// The key at which; absent: at every one.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    why: Option<&'static str>,
    cooldown_seconds: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyHealth<'a> {
    label: &'a str,
    state: &'static str,
    why: Option<&'static str>,
    in_flight: u32,
    cooldown_seconds: i64,
    last_fault: Option<&'static str>,
    usage: Option<Windows>,
}

/// 200 while serving. `trusted`: may see each key's standing, not only counts.
pub fn health(app: &App, trusted: bool) -> Response<Out> {
    let now = app.clock.now();
    let setup = app.setup();
    let (standings, view) = {
        let pool = app.pool();
        (pool.standings(now), trusted.then(|| pool.view(now)))
    };
    let disabled = standings.iter().filter(|standing| is_disabled(standing.state)).count();
    let keys = standings.iter().map(|standing| KeyHealth {
        label: &standing.label,
        state: name(standing.state),
        why: standing.why.map(saros_core::fault::FaultKind::name),
        in_flight: standing.in_flight,
        cooldown_seconds: standing.until.map_or(0, |until| seconds(until, now)),
        last_fault: standing.last_fault.map(|(kind, _)| kind.name()),
        usage: view.as_ref().and_then(|view| accounts::usage_of(standing.key, view)),
    });
    let held = app.pool().held_models(now);
    let held_models = held.iter().map(|held| HeldModel {
        model: &held.model,
        label: held.label.as_deref(),
        why: held.why.map(saros_core::fault::FaultKind::name),
        cooldown_seconds: seconds(held.until, now),
    });
    let health = Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        strategy: setup.config.strategy.name(),
        uptime: Instant::now().saturating_duration_since(app.started).as_secs_f64(),
        key_count: standings.len(),
        enabled_count: standings.len() - disabled,
        disabled_count: disabled,
        active_requests: app.active.load(Ordering::Relaxed),
        circuit_breaker_threshold: setup.config.breaker_threshold,
        circuit_breaker_cooldown_ms: u64::try_from(setup.config.breaker_cooldown.as_millis())
            .unwrap_or(u64::MAX),
        scraping: pages::health(app, trusted),
        pid: trusted.then(std::process::id),
        keys: trusted.then(|| keys.collect()),
        held_models: trusted.then(|| held_models.collect()),
    };
    json(StatusCode::OK, serde_json::to_vec(&health).unwrap_or_default())
}

fn seconds(until: Millis, now: Millis) -> i64 {
    (until.since(now).max(0) + 999) / 1000
}

/// Of several keys the one with the lowest number speaks for their account.
pub(super) const fn severity(state: State) -> u8 {
    match state {
        State::Ready => 0,
        State::Trial => 1,
        State::Cooling => 2,
        State::OutOfQuota => 3,
        State::Dead => 4,
    }
}

/// The word for a state.
pub(super) const fn name(state: State) -> &'static str {
    match state {
        State::Ready => "ready",
        State::Trial => "trial",
        State::Cooling => "cooling",
        State::OutOfQuota => "outOfQuota",
        State::Dead => "dead",
    }
}

fn is_disabled(state: State) -> bool {
    match state {
        State::Ready | State::Trial => false,
        State::Cooling | State::OutOfQuota | State::Dead => true,
    }
}

/// 200 once there is a key that is not dead, 503 while draining or without one. Never asks
/// upstream.
pub fn ready(app: &App) -> Response<Out> {
    let alive = |standing: &Standing| standing.state != State::Dead;
    let (status, text) = if app.draining.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else if app.pool().standings(app.clock.now()).iter().any(alive) {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no usable key")
    };
    json(status, serde_json::json!({ "status": text }).to_string().into_bytes())
}

/// What this is, and where to point a client.
pub fn root(app: &App) -> Response<Out> {
    let setup = app.setup();
    let host = &setup.config.host;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let base = format!("http://{host}:{}", setup.config.port);
    let body = serde_json::json!({
        "name": "saros-proxy",
        "version": env!("CARGO_PKG_VERSION"),
        "baseUrls": [format!("{base}/zen/go/v1"), format!("{base}/v1")],
    });
    json(StatusCode::OK, body.to_string().into_bytes())
}
