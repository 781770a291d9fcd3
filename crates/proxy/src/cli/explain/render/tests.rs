use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::cli::screen::snapshot;

fn check(name: &str, document: &Value) {
    let document = Document::deserialize(document).unwrap();
    let times = Times::new(document.at, TimeZone::UTC);
    snapshot::check(&format!("explain/render/snapshots/{name}.txt"), |look| {
        page(&document, &times, look)
    });
}

fn request() -> Value {
    json!({
        "id": "019ab2f4-0c51-7d3e-9a44-5b1f6e0c7a21", "at": "2026-11-24T14:20:12.345Z",
        "session": "9f3c5a6b7c8d9e0f", "format": "messages", "model": "glm-5.2",
        "status": 200, "end": "complete", "label": "home", "attempts": 1, "failed": [],
        "fault": null, "replayed": false, "ttfbMs": 412, "durationMs": 12_345,
        "bytesIn": 123_456, "bytesOut": 4_321,
        "tokens": { "input": 41_234, "cached": 38_000, "cacheWrite": 1_200, "output": 812,
                    "reasoning": 300 },
        "listCost": 0.0123, "balanceCost": null,
    })
}

fn candidate(label: &str, fit: &str) -> Value {
    json!({ "label": label, "inFlight": 0, "fit": fit, "guard": null, "why": null, "until": null,
            "highest": 41.4, "urgency": 0.1234 })
}

fn blocked(label: &str, guard: &str, why: &str, until: &str) -> Value {
    let mut row = candidate(label, "blocked");
    row["guard"] = json!(guard);
    row["why"] = json!(why);
    row["until"] = json!(until);
    row
}

fn decision(candidates: &[Value], chosen: &str, reason: &str) -> Value {
    json!({ "candidates": candidates, "chosen": chosen, "reason": reason,
            "cost": { "likely": 0.0098, "most": 0.0312 }, "seat": null, "scarce": false })
}

#[test]
fn a_warm_session_under_scarcity() {
    let mut document = request();
    let mut second = candidate("work", "usable");
    second["highest"] = Value::Null;
    second["urgency"] = json!(0.0);
    second["inFlight"] = json!(12);
    let mut one = decision(&[candidate("home", "usable"), second], "home", "warm");
    one["seat"] = json!({ "label": "home", "warm": 0.874 });
    one["scarce"] = json!(true);
    document["decisions"] = json!([one]);
    check("warm", &document);
}

#[test]
fn a_request_that_went_from_one_to_the_other() {
    let mut document = request();
    document["attempts"] = json!(3);
    document["failed"] = json!([{ "label": "home", "fault": "rate-limit" },
                                { "label": "work", "fault": "reset" }]);
    document["replayed"] = json!(true);
    document["fault"] = json!("reset");
    document["label"] = json!("spare");
    document["listCost"] = Value::Null;
    document["balanceCost"] = json!(0.25);
    let out = || blocked("old", "quota", "quota", "2026-11-30T00:00:00.000Z");
    let dead = || blocked("gone", "dead", "key-refused", "2026-11-24T15:20:00.000Z");
    document["decisions"] = json!([
        decision(
            &[
                candidate("home", "usable"),
                candidate("work", "usable"),
                out(),
                dead(),
                candidate("spare", "trial")
            ],
            "home",
            "turn"
        ),
        decision(
            &[
                candidate("home", "tried"),
                candidate("work", "usable"),
                out(),
                dead(),
                candidate("spare", "trial")
            ],
            "work",
            "urgency"
        ),
        decision(
            &[
                candidate("home", "tried"),
                candidate("work", "tried"),
                out(),
                dead(),
                candidate("spare", "trial")
            ],
            "spare",
            "least-used"
        ),
    ]);
    check("rotated", &document);
}

#[test]
fn every_way_to_be_passed_over() {
    let mut document = request();
    document["status"] = json!(429);
    document["fault"] = json!("quota");
    document["failed"] = json!([{ "label": "last-resort", "fault": "quota" }]);
    document["tokens"] = Value::Null;
    document["listCost"] = Value::Null;
    let until = "2026-11-24T15:20:00.000Z";
    let mut rows: Vec<Value> =
        ["usable", "trial", "last-resort", "full", "unsure", "tried", "shares-account", "new"]
            .map(|fit| candidate(fit, fit))
            .to_vec();
    for guard in ["dead", "quota", "balance", "cooling", "model", "not-served", "upstream", "new"] {
        rows.push(blocked(guard, guard, "server-error", until));
    }
    let mut awaited = blocked("awaited", "cooling", "timeout", until);
    awaited["fit"] = json!("awaited");
    rows.push(awaited);
    rows.push(candidate("a label that is longer than a table has room for", "usable"));
    document["decisions"] = json!([decision(&rows, "last-resort", "last-resort")]);
    check("passed-over", &document);
}

#[test]
fn what_came_of_the_last_attempt() {
    for (end, fault, says) in [
        ("complete", Value::Null, "It served the request."),
        ("complete", json!("quota"), "It served the request."),
        ("cut", json!("cut"), "It began to answer, then: the answer broke off."),
        ("client-gone", Value::Null, "The client left while it ran."),
        ("stopped", Value::Null, "The proxy was stopped while it ran."),
    ] {
        let mut document = request();
        document["end"] = json!(end);
        document["fault"] = fault;
        document["decisions"] = json!([decision(&[candidate("home", "usable")], "home", "turn")]);
        let document = Document::deserialize(&document).unwrap();
        let times = Times::new(document.at, TimeZone::UTC);
        let text = page(&document, &times, Look::PLAIN);
        assert!(text.ends_with(&format!("  {says}\n")), "{says}: {text}");
    }
}

#[test]
fn nothing_was_kept_of_the_choice() {
    let mut document = request();
    document["attempts"] = json!(2);
    document["failed"] = json!([{ "label": "home", "fault": "quota" }]);
    check("undecided", &document);
}

#[test]
fn nobody_was_tried() {
    let mut document = request();
    for field in ["label", "session", "model", "tokens", "listCost", "ttfbMs"] {
        document[field] = Value::Null;
    }
    document["attempts"] = json!(0);
    document["status"] = json!(503);
    check("refused", &document);
    document["status"] = Value::Null;
    document["end"] = json!("client-gone");
    check("gone", &document);
}

#[test]
fn what_others_wrote_moves_nothing() {
    let evil = "x\u{1b}[2J\n\u{202e}y";
    let mut document = request();
    for field in ["id", "session", "format", "model", "end", "label", "fault"] {
        document[field] = json!(evil);
    }
    document["failed"] = json!([{ "label": evil, "fault": evil }]);
    let mut one = decision(
        &[candidate(evil, evil), blocked("a", evil, evil, "2026-11-24T15:20:00.000Z")],
        evil,
        evil,
    );
    one["seat"] = json!({ "label": evil, "warm": 7.0 });
    document["decisions"] = json!([one.clone(), one]);
    let with = Document::deserialize(&document).unwrap();
    document["decisions"] = json!([]);
    let without = Document::deserialize(&document).unwrap();
    for document in [with, without] {
        let times = Times::new(document.at, TimeZone::UTC);
        let text = page(&document, &times, Look::PLAIN);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        assert!(!text.contains('\u{202e}') && text.contains("x?[2J??y"), "{text}");
    }
}

#[test]
fn documents_of_other_versions() {
    let document = json!({ "id": "x", "at": "2026-11-24T14:20:12Z", "decisions": [{}] });
    let document = Document::deserialize(document).unwrap();
    let times = Times::new(document.at, TimeZone::UTC);
    assert!(page(&document, &times, Look::PLAIN).contains("Attempt 1"));
}
