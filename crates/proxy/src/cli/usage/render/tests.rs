use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::cli::screen::moment::Moment;
use crate::cli::screen::snapshot;

/// A Tuesday.
const NOW: &str = "2026-11-24T14:20:00.000Z";

fn check(name: &str, document: &Value) {
    let document = Document::deserialize(document).unwrap();
    let times = Times::new(document.at, TimeZone::UTC);
    snapshot::check(&format!("usage/render/snapshots/{name}.txt"), |look| {
        page(&document, "Proxy at http://127.0.0.1:3000", &times, look)
    });
}

fn shown(document: &Value) -> String {
    let document = Document::deserialize(document).unwrap();
    let times = Times::new(document.at, TimeZone::UTC);
    page(&document, "Proxy", &times, Look::PLAIN)
}

fn window(percent: &Value, resets_at: &Value, forecast: &Value) -> Value {
    json!({ "percent": percent, "limited": false, "resetsAt": resets_at, "burnPerHour": 0.0,
            "forecast": forecast, "forfeits": null })
}

fn lasting() -> Value {
    json!({ "p10": null, "p50": null, "p90": null })
}

fn account(label: &str) -> Value {
    let standing = json!({ "label": label, "state": "ready", "why": null, "until": null,
                           "lastFault": null, "inFlight": 0 });
    let mut account = standing.clone();
    account["labels"] = json!([label]);
    account["keys"] = json!([standing]);
    account["windows"] = json!({
        "fiveHour": window(&json!([12.0, 13.0]), &json!("2026-11-24T16:34:00.000Z"), &lasting()),
        "weekly": window(&json!([41.2, 41.9]), &json!("2026-11-30T00:00:00.000Z"), &lasting()),
        "monthly": window(&json!([63.0, 63.5]), &json!("2026-12-20T09:12:00.000Z"), &lasting()),
    });
    account["binds"] = Value::Null;
    account["reportedAt"] = json!("2026-11-24T14:19:20.000Z");
    account["source"] = json!("api");
    account["balanceSpent"] = json!(0.0);
    account["parkedUntil"] = Value::Null;
    account
}

fn whole(accounts: &[Value]) -> Value {
    json!({
        "version": "1.0.0", "at": NOW, "accounts": accounts,
        "pool": { "dry": lasting(), "returns": null, "scarce": false },
        "models": [], "caches": [],
        "totals": { "since": "2026-11-23T09:12:00.000Z", "rotationTax": 0.0, "switches": 0,
                    "forfeited": 0.0, "balanceSpent": 0.0 },
    })
}

#[test]
fn nothing_is_known_yet() {
    let unknown = || window(&Value::Null, &Value::Null, &Value::Null);
    let mut home = account("home");
    home["windows"] = json!({ "fiveHour": unknown(), "weekly": unknown(), "monthly": unknown() });
    home["reportedAt"] = Value::Null;
    home["source"] = Value::Null;
    let mut document = whole(&[home]);
    document["pool"]["dry"] = Value::Null;
    check("no-data", &document);
}

#[test]
fn forecasts() {
    let mut home = account("home");
    home["inFlight"] = json!(2);
    home["binds"] = json!("weekly");
    home["windows"]["fiveHour"] = window(
        &json!([55.1, 61.4]),
        &json!("2026-11-24T18:54:00.000Z"),
        &json!({
            "p10": "2026-11-24T17:30:00.000Z", "p50": null, "p90": null }),
    );
    home["windows"]["weekly"] = window(
        &json!([88.0, 88.9]),
        &json!("2026-11-30T00:00:00.000Z"),
        &json!({ "p10": "2026-11-24T19:40:00.000Z", "p50": "2026-11-24T20:05:00.000Z",
                "p90": "2026-11-24T20:20:00.000Z" }),
    );
    home["windows"]["weekly"]["burnPerHour"] = json!(1.234);
    home["windows"]["monthly"] = window(
        &json!([63.0, 63.5]),
        &json!("2026-12-20T09:12:00.000Z"),
        &json!({ "p10": "2026-12-06T00:00:00.000Z", "p50": "2026-12-09T00:00:00.000Z",
                "p90": "2026-12-14T00:00:00.000Z" }),
    );
    let mut work = account("work");
    work["source"] = json!("page");
    work["windows"]["fiveHour"] = window(&json!([0.0, 0.9]), &Value::Null, &lasting());
    work["windows"]["monthly"] = window(
        &json!([70.0, 99.0]),
        &json!("2026-12-24T10:00:00.000Z"),
        &json!({ "p10": "2026-12-02T00:00:00.000Z", "p50": "2026-12-03T10:00:00.000Z",
                "p90": "2026-12-04T22:00:00.000Z" }),
    );
    work["windows"]["weekly"]["forfeits"] = json!(1.204);
    work["windows"]["monthly"]["forfeits"] = json!(3.1);
    let mut document = whole(&[home, work]);
    document["pool"] = json!({
        "dry": { "p10": "2026-11-24T18:00:00.000Z", "p50": "2026-11-24T20:00:00.000Z",
                 "p90": "2026-11-24T21:00:00.000Z" },
        "returns": "2026-11-24T18:54:00.000Z", "scarce": true });
    let model = |name: &str, requests: u64| {
        json!({ "model": name, "requests": requests, "inputTokens": requests * 41_000,
                "cachedTokens": requests * 25_000, "outputTokens": requests * 900,
                "listCost": 12.3 / 1_204.0 * 1.0 * f64::from(u32::try_from(requests).unwrap()) })
    };
    let mut models: Vec<Value> = (0..9).map(|n| model(&format!("model-{n}"), 9 - n)).collect();
    models.insert(0, model("glm-5.2", 1_204));
    models.insert(1, model("a-model-whose-name-is-longer-than-any-table-can-show", 87));
    document["models"] = json!(models);
    document["caches"] = json!([
        { "model": "glm-5.2", "warmForMs": 720_000, "survives": 0.85, "answers": 1_180, "moves": 14 },
        { "model": "model-0", "warmForMs": 300_000, "survives": 0.5, "answers": 9, "moves": 0 },
        { "model": "model-1", "warmForMs": 300_000, "survives": 0.5, "answers": 0, "moves": 0 },
    ]);
    document["totals"] = json!({ "since": "2026-11-23T09:12:00.000Z", "rotationTax": 0.1234,
                                 "switches": 14, "forfeited": 4.2, "balanceSpent": 0.0 });
    check("forecasts", &document);
}

#[test]
fn every_account_is_out() {
    let out = |label: &str, window: &str, until: &str| {
        let mut account = account(label);
        account["state"] = json!("outOfQuota");
        account["why"] = json!("quota");
        account["until"] = json!(until);
        account["windows"][window] = json!({ "percent": [100.0, 100.0], "limited": true,
            "resetsAt": until, "burnPerHour": 0.0, "forecast": null, "forfeits": null });
        account
    };
    let mut document = whole(&[
        out("home", "fiveHour", "2026-11-24T16:34:00.000Z"),
        out("work", "monthly", "2026-12-20T09:12:00.000Z"),
    ]);
    document["pool"] = json!({
        "dry": { "p10": NOW, "p50": NOW, "p90": NOW },
        "returns": "2026-11-24T16:34:00.000Z", "scarce": true });
    check("limited", &document);
}

#[test]
fn keys_in_trouble() {
    let mut dead = account("home");
    dead["state"] = json!("dead");
    dead["why"] = json!("key-refused");
    dead["lastFault"] = json!("key-refused");
    let mut expired = account("a label that is longer than a table has room for");
    expired["state"] = json!("dead");
    expired["why"] = json!("entitlement");
    let mut cooling = account("work");
    cooling["state"] = json!("cooling");
    cooling["why"] = json!("rate-limit");
    cooling["until"] = json!("2026-11-24T14:21:30.000Z");
    cooling["inFlight"] = json!(1);
    check("dead-key", &whole(&[dead, expired, cooling]));
}

#[test]
fn an_account_that_is_parked() {
    let mut home = account("home");
    home["state"] = json!("outOfQuota");
    home["why"] = json!("quota");
    home["until"] = json!("2026-11-30T00:00:00.000Z");
    home["windows"]["weekly"]["limited"] = json!(true);
    home["windows"]["weekly"]["percent"] = json!([100.0, 100.0]);
    home["balanceSpent"] = json!(0.25);
    home["parkedUntil"] = json!("2026-11-30T00:00:00.000Z");
    let mut document = whole(&[home, account("work")]);
    document["totals"]["balanceSpent"] = json!(0.25);
    check("parked", &document);
}

#[test]
fn two_keys_of_one_account() {
    let mut home = account("home");
    home["labels"] = json!(["home", "laptop"]);
    home["keys"] = json!([
        { "label": "home", "state": "ready", "why": null, "until": null, "inFlight": 1 },
        { "label": "laptop", "state": "dead", "why": "key-refused", "until": null, "inFlight": 0 },
    ]);
    check("shared-account", &whole(&[home, account("work")]));
}

#[test]
fn as_the_service_said() {
    let mut home = account("home");
    for window in ["fiveHour", "weekly", "monthly"] {
        home["windows"][window]["forecast"] = Value::Null;
    }
    let mut silent = account("work");
    silent["state"] = json!("unknown");
    silent["why"] = json!("trouble");
    silent["windows"] = json!({});
    silent["reportedAt"] = Value::Null;
    let mut document = whole(&[home, silent]);
    document["totals"] = Value::Null;
    check("service", &document);
}

#[test]
fn what_others_wrote_moves_nothing() {
    let mut home = account("ho\u{1b}[2Jme\n\u{202e}");
    home["state"] = json!("ne\u{7}w");
    home["why"] = json!("re\u{1b}ason");
    let mut document = whole(&[home]);
    document["models"] = json!([{ "model": "evil\u{1b}]0;title\u{7}", "requests": u64::MAX,
        "inputTokens": u64::MAX, "cachedTokens": 1, "outputTokens": u64::MAX, "listCost": 1e12 }]);
    let text = shown(&document);
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    assert!(text.contains("ho?[2Jme??"), "{text}");
}

#[test]
fn documents_of_other_versions() {
    assert!(
        shown(&json!({ "version": "2", "at": NOW, "accounts": [{ "label": "home" }] }))
            .contains("home")
    );
    assert!(shown(&whole(&[])).contains("no accounts are configured"));
    assert!(Document::deserialize(json!({ "error": {} })).is_err());
    let moment: Moment = serde_json::from_value(json!(NOW)).unwrap();
    assert_eq!(moment, Document::deserialize(whole(&[])).unwrap().at);
}

#[test]
fn pools() {
    let at = |time: &str| json!(format!("2026-11-24T{time}:00Z"));
    for (p10, p50, p90, says) in [
        (at("18:00"), at("19:00"), at("21:00"), "runs dry Tue 18:00-21:00"),
        (at("18:00"), at("19:00"), Value::Null, "runs dry Tue 18:00 or later, or lasts"),
        (at("18:00"), Value::Null, Value::Null, "probably lasts; dry Tue 18:00 at worst"),
        (Value::Null, Value::Null, Value::Null, "lasts: resets"),
        (at("14:00"), at("14:20"), at("15:00"), "is dry now"),
    ] {
        let mut document = whole(&[account("home")]);
        document["pool"]["dry"] = json!({ "p10": p10, "p50": p50, "p90": p90 });
        let text = shown(&document);
        assert!(text.contains(&format!("Pool    {says}")), "{says}: {text}");
    }
}
