//! The control API, `/__emulator/…` on the same listener, for loopback peers (API.md).

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::account::Account;
use crate::emulator::Emulator;
use crate::fault::Fault;
use crate::log::Entry;
use crate::model::Model;
use crate::quota::{Quota, Window};
use crate::refusal::Reply;
use crate::script::Script;
use crate::world::Shared;

/// A refused control request.
#[derive(Debug)]
pub(crate) struct Refusal(StatusCode, String);

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Self(StatusCode::BAD_REQUEST, error.to_string())
    }
}

fn missing(what: &str) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, format!("no such {what}"))
}

/// Answers a control request.
pub(crate) async fn handle(
    shared: &Arc<Shared>,
    head: &Parts,
    path: &str,
    body: Incoming,
) -> Reply {
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let emulator = Emulator { shared: Arc::clone(shared) };
    let result = if path == "certificate" {
        let pem = emulator.certificate_pem();
        return match pem {
            Ok(pem) => Reply::text(StatusCode::OK, "application/x-pem-file", pem),
            Err(error) => {
                Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string())
            }
        };
    } else {
        dispatch(&emulator, &head.method, path, head.uri.query().unwrap_or_default(), &body)
    };
    match result {
        Ok(value) => Reply::json(StatusCode::OK, value.to_string()),
        Err(Refusal(status, message)) => Reply::json(status, json!({"error": message}).to_string()),
    }
}

fn dispatch(
    emulator: &Emulator,
    method: &Method,
    path: &str,
    query: &str,
    body: &[u8],
) -> Result<Value, Refusal> {
    let (what, name) = path.split_once('/').unwrap_or((path, ""));
    let verb = method.as_str();
    match (verb, what, name) {
        ("GET", "state", "") => state(emulator),
        ("GET", "log", "") => {
            let since = query.strip_prefix("since=").and_then(|n| n.parse().ok()).unwrap_or(0);
            Ok(serde_json::to_value::<Vec<Entry>>(emulator.log_since(since))?)
        }
        ("DELETE", "log", "") => {
            emulator.clear_log();
            Ok(empty())
        }
        ("GET", "counters", "") => Ok(serde_json::to_value(emulator.counters())?),
        ("DELETE", "counters", "") => {
            emulator.clear_counters();
            Ok(empty())
        }
        ("GET", "faults", "") => faults(emulator),
        ("POST", "faults", "") => add_faults(emulator, body),
        ("DELETE", "faults", "") => {
            emulator.clear_faults();
            Ok(empty())
        }
        ("DELETE", "faults", id) => {
            let id = id.parse().map_err(|_| missing("fault"))?;
            found(emulator.clear_fault(id), "fault")
        }
        ("POST", "accounts", "") => add_accounts(emulator, serde_json::from_slice(body)?),
        ("PATCH", "accounts", label) => {
            patch_account(emulator, label, serde_json::from_slice(body)?)
        }
        ("DELETE", "accounts", label) => found(emulator.remove_account(label), "account"),
        ("PATCH", "models", id) => {
            let patch = serde_json::from_slice(body)?;
            let result = emulator.model(id, |model| merged(model, patch));
            result.ok_or_else(|| missing("model"))?
        }
        ("PUT", "models", id) => {
            let model: Model = serde_json::from_slice(body)?;
            emulator.add_model(Model { id: id.to_owned(), ..model });
            Ok(empty())
        }
        ("DELETE", "models", id) => found(emulator.remove_model(id), "model"),
        ("PATCH", "settings", "") => {
            let patch = serde_json::from_slice(body)?;
            emulator.settings(|settings| merged(settings, patch))
        }
        ("POST", "clock", "") => Ok(set_clock(emulator, &serde_json::from_slice(body)?)),
        ("PUT", "scripts", model) => {
            let script: Script = serde_json::from_slice(body)?;
            emulator.script(model, script);
            Ok(empty())
        }
        ("DELETE", "scripts", model) => found(emulator.clear_script(model), "script"),
        _ => Err(missing("control path or method")),
    }
}

fn empty() -> Value {
    json!({})
}

fn found(was_there: bool, what: &str) -> Result<Value, Refusal> {
    if was_there { Ok(json!({})) } else { Err(missing(what)) }
}

fn state(emulator: &Emulator) -> Result<Value, Refusal> {
    let now = emulator.clock().now_ms();
    let mut accounts = Vec::new();
    for account in emulator.accounts() {
        let usage = account.quota.usage(now);
        let window = |window: Window, reported: crate::quota::Reported| {
            json!({
                "used": account.quota.used(window, now),
                "limit": account.quota.limit(window),
                "limited": reported.limited,
                "percent": reported.percent,
                "resetsIn": reported.resets_in,
            })
        };
        let usage = json!({
            "fiveHour": window(Window::FiveHour, usage.rolling),
            "weekly": window(Window::Weekly, usage.weekly),
            "monthly": window(Window::Monthly, usage.monthly),
        });
        let mut value = serde_json::to_value(&account)?;
        if let Some(fields) = value.as_object_mut() {
            fields.insert("usage".to_owned(), usage);
        }
        accounts.push(value);
    }
    Ok(json!({
        "clock": {"nowMs": now, "speed": emulator.clock().speed()},
        "accounts": accounts,
        "faults": faults(emulator)?,
        "settings": emulator.settings(|settings| serde_json::to_value(&*settings))?,
        "scripts": emulator.shared.world().scripts.keys().collect::<Vec<_>>(),
        "inFlight": emulator.in_flight(),
    }))
}

fn faults(emulator: &Emulator) -> Result<Value, Refusal> {
    let world = emulator.shared.world();
    let list = world.faults.list().iter().map(|(id, fault)| {
        let mut value = serde_json::to_value(fault)?;
        if let Some(fields) = value.as_object_mut() {
            fields.insert("id".to_owned(), json!(id));
        }
        Ok(value)
    });
    list.collect::<Result<Vec<_>, Refusal>>().map(Value::from)
}

fn add_faults(emulator: &Emulator, body: &[u8]) -> Result<Value, Refusal> {
    let faults: Vec<Fault> = one_or_many(serde_json::from_slice(body)?)?;
    let ids: Vec<u64> = faults.into_iter().map(|fault| emulator.fault(fault)).collect();
    Ok(json!({"ids": ids}))
}

/// Adds one account or several, from the JSON of the control API or a scenario file.
pub(crate) fn add_accounts(emulator: &Emulator, value: Value) -> Result<Value, Refusal> {
    let values: Vec<Value> = one_or_many(value)?;
    let mut labels = Vec::new();
    for mut value in values {
        let percent = value.as_object_mut().and_then(|fields| fields.remove("percent"));
        let own_quota = value.get("quota").is_some();
        let mut account: Account = serde_json::from_value(value)?;
        if account.label.is_empty() {
            return Err(Refusal(StatusCode::BAD_REQUEST, "an account needs a label".to_owned()));
        }
        if !own_quota {
            account.quota = Quota::new(account.plan, 0);
        }
        let label = account.label.clone();
        emulator.add_account(account);
        set_percent(emulator, &label, percent.as_ref());
        labels.push(label);
    }
    let accounts = emulator.accounts();
    let added = accounts.iter().filter(|account| labels.contains(&account.label));
    let keys: Vec<_> = added.flat_map(|account| account.keys.clone()).collect();
    Ok(json!({"keys": keys}))
}

fn patch_account(emulator: &Emulator, label: &str, mut patch: Value) -> Result<Value, Refusal> {
    let percent = patch.as_object_mut().and_then(|fields| fields.remove("percent"));
    let plan_only = patch.get("plan").is_some() && patch.get("quota").is_none();
    let patched = emulator.account(label, |account| {
        merged(account, patch)?;
        if plan_only {
            account.quota.limits = account.plan.limits();
        }
        Ok(json!({}))
    });
    let result = patched.ok_or_else(|| missing("account"))?;
    set_percent(emulator, label, percent.as_ref());
    result
}

fn set_percent(emulator: &Emulator, label: &str, percent: Option<&Value>) {
    let Some(percent) = percent else { return };
    let now = emulator.clock().now_ms();
    emulator.account(label, |account| {
        let windows = [
            (Window::FiveHour, "fiveHour"),
            (Window::Weekly, "weekly"),
            (Window::Monthly, "monthly"),
        ];
        for (window, name) in windows {
            if let Some(percent) = percent.get(name).and_then(Value::as_f64) {
                account.quota.set_percent(window, percent, now);
            }
        }
    });
}

fn set_clock(emulator: &Emulator, change: &Value) -> Value {
    let clock = emulator.clock();
    if let Some(speed) = change.get("speed").and_then(Value::as_f64) {
        clock.set_speed(speed);
    }
    if let Some(epoch_ms) = change.get("setMs").and_then(Value::as_i64) {
        clock.set(epoch_ms);
    }
    if let Some(ms) = change.get("advanceMs").and_then(Value::as_u64) {
        clock.advance(Duration::from_millis(ms));
    }
    emulator.shared.changed();
    json!({"nowMs": clock.now_ms(), "speed": clock.speed()})
}

/// A value, or a list of them.
pub(crate) fn one_or_many<T: DeserializeOwned>(value: Value) -> Result<Vec<T>, Refusal> {
    match value {
        Value::Array(values) => {
            values.into_iter().map(|value| Ok(serde_json::from_value(value)?)).collect()
        }
        value => Ok(vec![serde_json::from_value(value)?]),
    }
}

/// Applies a JSON merge patch (RFC 7396) to a value.
pub(crate) fn merged<T>(target: &mut T, patch: Value) -> Result<Value, Refusal>
where
    T: Serialize + DeserializeOwned,
{
    let mut value = serde_json::to_value(&*target)?;
    merge(&mut value, patch);
    *target = serde_json::from_value(value)?;
    Ok(json!({}))
}

fn merge(target: &mut Value, patch: Value) {
    match (target, patch) {
        (Value::Object(fields), Value::Object(changes)) => {
            for (name, change) in changes {
                if change.is_null() {
                    fields.remove(&name);
                } else {
                    merge(fields.entry(name).or_insert(Value::Null), change);
                }
            }
        }
        (target, patch) => *target = patch,
    }
}

impl Refusal {
    /// What is wrong.
    pub(crate) fn message(self) -> String {
        self.1
    }
}
