//! What the owner's own commands ask the running proxy: `/saros/v1/…`.
//!
//! Always behind a token, also on this machine: other users may share it. The commands find the
//! control token in the state folder, which only its owner can read.

mod decision;

use std::sync::Arc;

use http::{Method, Response, StatusCode};
use saros_core::fault::FaultKind;
use saros_core::format::Format;
use saros_wire::reply::Kind;
use saros_wire::scrub::scrub;
use serde::Serialize;
use uuid::Uuid;

use crate::observe::record::RequestRecord;
use crate::server::accounts;
use crate::server::app::App;
use crate::server::reply::{Out, Own, json};
use crate::server::time::iso;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// `GET accounts`.
    Accounts,
    /// `GET requests/<id>`.
    Request(Uuid),
    /// `GET requests/last`.
    LastRequest,
    /// `POST reload`.
    Reload,
    /// Nothing that there is.
    Nothing,
}

impl Asked {
    /// Reads what stands below `/saros/v1/`.
    pub fn of(method: &Method, below: &str) -> Self {
        let reading = *method == Method::GET || *method == Method::HEAD;
        match below {
            "accounts" if reading => Self::Accounts,
            "requests/last" if reading => Self::LastRequest,
            "reload" if *method == Method::POST => Self::Reload,
            _ => below
                .strip_prefix("requests/")
                .filter(|_| reading)
                .and_then(|id| id.parse().ok())
                .map_or(Self::Nothing, Self::Request),
        }
    }
}

/// Answers.
pub async fn answer(app: &Arc<App>, asked: &Asked) -> Response<Out> {
    match asked {
        Asked::Accounts => json_of(&accounts::accounts(app)),
        Asked::Request(id) => request(app, app.recent.find(*id)),
        Asked::LastRequest => request(app, app.recent.last()),
        Asked::Reload => reload(app).await,
        Asked::Nothing => not_found(
            "There is GET /saros/v1/accounts, GET /saros/v1/requests/<id> (or last) and POST \
             /saros/v1/reload. The service is reached below /zen/go/v1/ and /v1/.",
        ),
    }
}

fn json_of(value: &impl Serialize) -> Response<Out> {
    json(StatusCode::OK, serde_json::to_vec(value).unwrap_or_default())
}

fn not_found(message: &str) -> Response<Out> {
    Own::new(StatusCode::NOT_FOUND, Kind::NotFound, message).answer(None)
}

/// Also tells what is wrong with a configuration that is not taken over: problems hold no secrets.
async fn reload(app: &Arc<App>) -> Response<Out> {
    let report = match app.reloads.get() {
        Some(asker) => asker.ask().await,
        None => None,
    };
    let Some(report) = report else {
        let message = "This proxy cannot load a configuration anew: restart it.";
        return Own::new(StatusCode::NOT_IMPLEMENTED, Kind::InvalidRequest, message).answer(None);
    };
    let status = if report.applied { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    json(status, report.to_json().to_string().into_bytes())
}

/// A request as `explain` shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained<'a> {
    id: String,
    at: String,
    session: Option<String>,
    format: Option<&'static str>,
    model: Option<String>,
    /// What the client got; `null`: nothing.
    status: Option<u16>,
    end: &'static str,
    /// Who served it, or was tried last.
    label: Option<&'a str>,
    attempts: u32,
    /// The attempts that failed, in order.
    failed: Vec<FailedAttempt<'a>>,
    fault: Option<&'static str>,
    /// An attempt was repeated that may have been served: possibly paid twice.
    replayed: bool,
    ttfb_ms: Option<u64>,
    duration_ms: u64,
    bytes_in: u64,
    bytes_out: u64,
    tokens: Option<TokenFigures>,
    /// In dollars, where the answer named it.
    list_cost: Option<f64>,
    balance_cost: Option<f64>,
    /// How the account of each attempt was chosen.
    decisions: Vec<decision::Decided>,
}

#[derive(Serialize)]
struct FailedAttempt<'a> {
    label: &'a str,
    fault: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenFigures {
    /// The whole prompt.
    input: u64,
    cached: Option<u64>,
    cache_write: u64,
    output: u64,
    reasoning: u64,
}

fn request(app: &App, record: Option<Arc<RequestRecord>>) -> Response<Out> {
    let Some(record) = record else {
        return not_found(
            "No such request: the last few thousand that have ended since the proxy was started are \
             kept.",
        );
    };
    json_of(&explained(app, &record))
}

fn explained<'a>(app: &App, record: &'a RequestRecord) -> Explained<'a> {
    let millis = |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let failed =
        record.failed.iter().map(|(label, fault)| FailedAttempt { label, fault: fault.name() });
    Explained {
        id: record.id.to_string(),
        at: iso(record.began()),
        session: record.session.map(|session| format!("{:016x}", session.0)),
        format: record.format.map(Format::name),
        model: record.model.as_deref().map(|model| scrub(model).into_owned()),
        status: record.status,
        end: record.end.name(),
        label: record.label.as_deref(),
        attempts: record.attempts,
        failed: failed.collect(),
        fault: record.fault.map(FaultKind::name),
        replayed: record.replayed,
        ttfb_ms: record.ttfb.map(millis),
        duration_ms: millis(record.duration),
        bytes_in: record.bytes_in,
        bytes_out: record.bytes_out,
        tokens: record.tokens.map(|tokens| TokenFigures {
            input: tokens.input + tokens.cached.unwrap_or(0) + tokens.cache_write,
            cached: tokens.cached,
            cache_write: tokens.cache_write,
            output: tokens.output,
            reasoning: tokens.reasoning,
        }),
        list_cost: record.list_cost,
        balance_cost: record.balance_cost,
        decisions: decision::all(app, record),
    }
}
