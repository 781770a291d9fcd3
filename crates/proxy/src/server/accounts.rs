//! What is known of every account, as programs read it: `GET /saros/v1/accounts`, and the `usage`
//! of each key in `/health`.
//!
//! Moments are ISO 8601 in UTC. Percentages are pairs, at least and at most; both are `null`
//! together while nothing was ever reported. `null` as a forecast or a forfeit means: not enough
//! data to say. `null` as a quantile of a forecast means: not before the reset.

use saros_core::fault::FaultKind;
use saros_core::id::{AccountId, KeyId};
use saros_core::pool::Standing;
use saros_core::report::Source;
use saros_core::time::Millis;
use saros_core::view::{AccountView, CacheView, Foreseen, ModelUse, PoolView, View, WindowView};
use saros_core::window::{PerWindow, Window};
use saros_wire::scrub::scrub;
use serde::Serialize;

use crate::server::app::App;
use crate::server::health::{name, severity};
use crate::server::time::iso;

/// Everything.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    version: &'static str,
    at: String,
    accounts: Vec<AccountFigures>,
    pool: PoolFigures,
    models: Vec<ModelFigures>,
    caches: Vec<CacheFigures>,
    totals: Totals,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountFigures {
    /// The label of its first key.
    label: String,
    /// Those of all its keys.
    labels: Vec<String>,
    /// How its best key stands.
    #[serde(flatten)]
    standing: KeyStanding,
    in_flight: u32,
    /// Each key, in rotation order.
    keys: Vec<KeyFigures>,
    windows: Windows,
    /// The window that will end its service first, if any does before its reset.
    binds: Option<&'static str>,
    reported_at: Option<String>,
    source: Option<&'static str>,
    /// In dollars.
    balance_spent: f64,
    /// Requests went on its prepaid balance, so it is not used until then.
    parked_until: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyFigures {
    label: String,
    #[serde(flatten)]
    standing: KeyStanding,
    in_flight: u32,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyStanding {
    state: &'static str,
    why: Option<&'static str>,
    until: Option<String>,
    last_fault: Option<&'static str>,
}

/// The windows of one account.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Windows {
    five_hour: WindowFigures,
    weekly: WindowFigures,
    monthly: WindowFigures,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WindowFigures {
    percent: Option<(f64, f64)>,
    limited: bool,
    resets_at: Option<String>,
    /// In quota-dollars.
    burn_per_hour: f64,
    forecast: Option<Forecast>,
    /// In quota-dollars.
    forfeits: Option<f64>,
}

#[derive(Serialize)]
struct Forecast {
    p10: Option<String>,
    p50: Option<String>,
    p90: Option<String>,
}

#[derive(Serialize)]
struct PoolFigures {
    /// When no account can serve any more.
    dry: Option<Forecast>,
    /// When the next capacity returns.
    returns: Option<String>,
    scarce: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelFigures {
    model: String,
    requests: u64,
    input_tokens: u64,
    cached_tokens: u64,
    output_tokens: u64,
    /// In dollars.
    list_cost: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CacheFigures {
    model: String,
    /// A session that rests longer is more often cold than warm.
    warm_for_ms: i64,
    /// The chance that the cache survives a change of account.
    survives: f64,
    /// From so many answers and moves this was learned.
    answers: u64,
    moves: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    since: String,
    /// In list dollars.
    rotation_tax: f64,
    switches: u64,
    /// In quota-dollars.
    forfeited: f64,
    /// In dollars.
    balance_spent: f64,
}

/// The figures of this moment.
pub fn accounts(app: &App) -> Figures {
    let now = app.clock.now();
    let (view, standings) = {
        let pool = app.pool();
        (pool.view(now), pool.standings(now))
    };
    Figures {
        version: env!("CARGO_PKG_VERSION"),
        at: iso(view.at),
        accounts: in_order(&standings).map(|id| account(id, &standings, &view)).collect(),
        pool: pool(&view.pool),
        models: view.models.iter().map(model).collect(),
        caches: view.caches.iter().map(cache).collect(),
        totals: Totals {
            since: iso(view.since),
            rotation_tax: dollars(view.rotation_tax),
            switches: view.switches,
            forfeited: dollars(view.forfeited),
            balance_spent: dollars(view.balance_spent),
        },
    }
}

/// The windows of the account that a key belongs to; `None` while nothing is known of them.
pub fn usage_of(key: KeyId, view: &View) -> Option<Windows> {
    let account = view.accounts.iter().find(|account| has(account, key))?;
    let told = |window: &WindowView| window.percent.is_some() || window.limited;
    account.windows.iter().any(told).then(|| windows(&account.windows))
}

fn has(account: &AccountView, key: KeyId) -> bool {
    account.keys.iter().any(|(id, _)| *id == key)
}

/// The accounts, each once, in the rotation order of their first keys.
fn in_order(standings: &[Standing]) -> impl Iterator<Item = AccountId> + '_ {
    let first = |(place, standing): &(usize, &Standing)| {
        standings.iter().take(*place).all(|other| other.account != standing.account)
    };
    standings.iter().enumerate().filter(first).map(|(_, standing)| standing.account)
}

fn account(id: AccountId, standings: &[Standing], view: &View) -> AccountFigures {
    let of_it = || standings.iter().filter(|standing| standing.account == id);
    let known = view.accounts.iter().find(|account| account.account == id);
    let best = of_it().min_by_key(|standing| severity(standing.state));
    let labels: Vec<String> = of_it().map(|standing| standing.label.to_string()).collect();
    AccountFigures {
        label: labels.first().cloned().unwrap_or_default(),
        labels,
        standing: best.map_or_else(KeyStanding::unknown, KeyStanding::of),
        in_flight: of_it().map(|standing| standing.in_flight).sum(),
        keys: of_it()
            .map(|standing| KeyFigures {
                label: standing.label.to_string(),
                standing: KeyStanding::of(standing),
                in_flight: standing.in_flight,
            })
            .collect(),
        windows: windows(&known.map(|known| known.windows).unwrap_or_default()),
        binds: known.and_then(|known| Some(Window::ALL.get(known.binds?)?.name())),
        reported_at: known.and_then(|known| Some(iso(known.reported?.0))),
        source: known.and_then(|known| Some(source(known.reported?.1))),
        balance_spent: dollars(known.map_or(0.0, |known| known.balance_spent)),
        parked_until: known.and_then(|known| known.parked).map(iso),
    }
}

impl KeyStanding {
    fn of(standing: &Standing) -> Self {
        Self {
            state: name(standing.state),
            why: standing.why.map(FaultKind::name),
            until: standing.until.map(iso),
            last_fault: standing.last_fault.map(|(kind, _)| kind.name()),
        }
    }

    /// Of an account without keys, which is none.
    const fn unknown() -> Self {
        Self { state: "dead", why: None, until: None, last_fault: None }
    }
}

const fn source(source: Source) -> &'static str {
    match source {
        Source::Api => "api",
        Source::Page => "page",
    }
}

fn windows(windows: &PerWindow<WindowView>) -> Windows {
    let [five_hour, weekly, monthly] = windows.each_ref().map(window);
    Windows { five_hour, weekly, monthly }
}

fn window(view: &WindowView) -> WindowFigures {
    WindowFigures {
        percent: view.percent.map(|(low, high)| (hundredths(low), hundredths(high))),
        limited: view.limited,
        resets_at: view.resets_at.map(iso),
        burn_per_hour: dollars(view.burn),
        forecast: view.forecast.as_ref().map(forecast),
        forfeits: view.forfeits.map(dollars),
    }
}

fn forecast(foreseen: &Foreseen) -> Forecast {
    let shown = |at: Option<Millis>| at.map(iso);
    Forecast { p10: shown(foreseen.p10), p50: shown(foreseen.p50), p90: shown(foreseen.p90) }
}

fn pool(view: &PoolView) -> PoolFigures {
    PoolFigures {
        dry: view.dry.as_ref().map(forecast),
        returns: view.returns.map(iso),
        scarce: view.scarce,
    }
}

fn model(used: &ModelUse) -> ModelFigures {
    ModelFigures {
        model: scrub(&used.model).into_owned(),
        requests: used.requests,
        input_tokens: used.input,
        cached_tokens: used.cached,
        output_tokens: used.output,
        list_cost: dollars(used.list_cost),
    }
}

fn cache(known: &CacheView) -> CacheFigures {
    CacheFigures {
        model: scrub(&known.model).into_owned(),
        warm_for_ms: known.warm_for,
        survives: hundredths(known.survives),
        answers: known.seen.0,
        moves: known.seen.1,
    }
}

fn hundredths(value: f64) -> f64 {
    rounded(value, 100.0)
}

/// To millionths: a small request costs some.
fn dollars(value: f64) -> f64 {
    rounded(value, 1_000_000.0)
}

/// What is no number is shown as nothing, not as `null` where a number belongs.
fn rounded(value: f64, parts: f64) -> f64 {
    if value.is_finite() { (value * parts).round() / parts } else { 0.0 }
}

#[cfg(test)]
mod tests;
