//! How an account was chosen, as a document.

use saros_core::fault::FaultKind;
use saros_core::id::{AccountId, KeyId};
use saros_core::pool::Decision;
use saros_core::select::{Block, Candidate, Fit, Guard, Reason};
use serde::Serialize;

use crate::observe::record::RequestRecord;
use crate::server::app::App;
use crate::server::time::iso;

/// One attempt's choice.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Decided {
    /// Everybody who could have been, in rotation order.
    candidates: Vec<Row>,
    /// The account that was.
    chosen: Option<String>,
    /// Why it.
    reason: &'static str,
    /// Quota-dollars: probably, and what is held for it.
    cost: Span,
    /// Where the session was before.
    seat: Option<Seat>,
    /// Was quota treated as scarce?
    scarce: bool,
}

#[derive(Serialize)]
struct Span {
    likely: f64,
    most: f64,
}

#[derive(Serialize)]
struct Seat {
    label: String,
    /// The chance that its prompt cache was still warm.
    warm: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    label: String,
    in_flight: u32,
    fit: &'static str,
    /// What kept it out.
    guard: Option<&'static str>,
    why: Option<&'static str>,
    until: Option<String>,
    /// The highest percentage used of its windows.
    highest: Option<f32>,
    /// Quota-dollars per hour until the month's reset.
    urgency: f32,
}

/// The choices of all attempts.
pub(super) fn all(app: &App, record: &RequestRecord) -> Vec<Decided> {
    let setup = app.setup();
    let label = |id: KeyId| setup.key(id).map_or("(removed)", |key| &*key.label).to_owned();
    record.decisions.iter().map(|decision| decided(decision, &label)).collect()
}

fn decided(decision: &Decision, label: &impl Fn(KeyId) -> String) -> Decided {
    let of_account = |account: AccountId| {
        let row = decision.rows.iter().find(|row| row.account == account);
        row.map_or_else(|| "(removed)".to_owned(), |row| label(row.key))
    };
    let (likely, most) = decision.cost;
    Decided {
        candidates: decision.rows.iter().map(|row| self::row(row, label)).collect(),
        chosen: decision.rows.get(decision.chosen).map(|row| label(row.key)),
        reason: reason(decision.reason),
        cost: Span { likely, most },
        seat: decision.seat.map(|(account, warm)| Seat { label: of_account(account), warm }),
        scarce: decision.scarce,
    }
}

fn row(row: &Candidate, label: &impl Fn(KeyId) -> String) -> Row {
    let block: Option<Block> = match row.fit {
        Fit::Blocked(block) | Fit::Awaited(block) => Some(block),
        _ => None,
    };
    Row {
        label: label(row.key),
        in_flight: row.in_flight,
        fit: fit(row.fit),
        guard: block.map(|block| guard(block.guard)),
        why: block.and_then(|block| block.why).map(FaultKind::name),
        until: block.map(|block| iso(block.until)),
        highest: row.quota.highest,
        urgency: row.quota.urgency,
    }
}

const fn fit(fit: Fit) -> &'static str {
    match fit {
        Fit::Usable => "usable",
        Fit::Trial => "trial",
        Fit::LastResort => "last-resort",
        Fit::Full => "full",
        Fit::Unsure => "unsure",
        Fit::Awaited(_) => "awaited",
        Fit::Tried => "tried",
        Fit::SharesAccount => "shares-account",
        Fit::Blocked(_) => "blocked",
    }
}

const fn guard(guard: Guard) -> &'static str {
    match guard {
        Guard::Dead => "dead",
        Guard::Quota => "quota",
        Guard::Balance => "balance",
        Guard::Cooling => "cooling",
        Guard::Model => "model",
        Guard::NotServed => "not-served",
        Guard::Upstream => "upstream",
    }
}

const fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Turn => "turn",
        Reason::Warm => "warm",
        Reason::Urgency => "urgency",
        Reason::LeastUsed => "least-used",
        Reason::LastResort => "last-resort",
        Reason::NothingToLose => "nothing-to-lose",
    }
}
