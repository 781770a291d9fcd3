//! What the proxy answers by itself.

use saros_e2e::emulator::Emulator;
use saros_e2e::failure::{Outcome, ensure, ensure_eq};
use saros_e2e::stage::play;
use serde_json::{Value, json};

use crate::requests::{CHAT, FORMATS, MESSAGES};

/// Deletes the keys of all accounts.
fn delete_all_keys(emulator: &Emulator) -> Outcome {
    for key in emulator.keys() {
        let deleted = json!({"label": key.label, "secret": key.secret, "deleted": true});
        let path = format!("accounts/{}", key.label);
        emulator.control("PATCH", &path, Some(&json!({"keys": [deleted]})))?;
    }
    Ok(())
}

/// Uses up the five-hour windows of all accounts.
fn exhaust_all(emulator: &Emulator) -> Outcome {
    for key in emulator.keys() {
        let path = format!("accounts/{}", key.label);
        emulator.control("PATCH", &path, Some(&json!({"percent": {"fiveHour": 100}})))?;
    }
    Ok(())
}

/// The type of an error, wherever the format has it.
fn error_type(answer: &Value) -> &str {
    answer.pointer("/error/type").and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn the_root_names_the_base_urls() -> Outcome {
    play("", |stage| {
        let answer = stage.proxy.curl(&[], "/")?;
        answer.expect_status(200)?;
        for part in ["/v1", "/zen/go/v1"] {
            ensure(answer.body.contains(part), || format!("{part} is not in {answer:#?}"))?;
        }
        stage.proxy.curl(&["--head"], "/")?.expect_status(200)
    })
}

#[test]
fn unknown_paths_are_told_the_prefixes() -> Outcome {
    play("", |stage| {
        let answer = stage.proxy.curl(&[], "/chat/completions")?;
        answer.expect_status(404)?;
        let text = answer.json()?.to_string();
        ensure(text.contains("/v1") && text.contains("/zen/go/v1"), || format!("{answer:#?}"))
    })
}

#[test]
fn health_and_readiness() -> Outcome {
    play("", |stage| {
        stage.proxy.curl(&[], "/ready")?.expect_status(200)?;
        let health = stage.proxy.health()?;
        ensure_eq("status", &health["status"], &json!("ok"))?;
        ensure_eq("keys", &health["keyCount"], &json!(3))?;
        ensure_eq("enabled", &health["enabledCount"], &json!(3))?;
        ensure_eq("scraping", &health["scraping"]["enabled"], &json!(false))?;
        let labels: Vec<_> = health["keys"]
            .as_array()
            .map(|keys| keys.iter().map(|key| key["label"].clone()).collect())
            .unwrap_or_default();
        ensure_eq("labels", &labels, &vec![json!("a"), json!("b"), json!("c")])
    })
}

#[test]
fn the_list_of_models_is_upstreams() -> Outcome {
    play("", |stage| {
        let through = stage.proxy.curl(&[], "/v1/models")?;
        through.expect_status(200)?;
        let direct = format!("{}/zen/go/v1/models", stage.emulator.base_url());
        let direct = saros_e2e::curl::curl(&[&direct])?.json()?;
        let ids = |list: &Value| -> Vec<Value> {
            list["data"].as_array().into_iter().flatten().map(|model| model["id"].clone()).collect()
        };
        ensure(!ids(&direct).is_empty(), || "the emulator has no models".to_owned())?;
        ensure_eq("models", &ids(&through.json()?), &ids(&direct))
    })
}

#[test]
fn when_all_keys_are_dead_it_says_so() -> Outcome {
    play("", |stage| {
        delete_all_keys(&stage.emulator)?;
        for format in FORMATS {
            let answer = format.ask(stage)?;
            answer.expect_status(401)?;
            ensure(answer.json()?["error"].is_object(), || format!("{answer:#?}"))?;
        }
        // Three keys, each asked once: the dead are not asked again.
        ensure_eq("requests upstream", &stage.emulator.log()?.len(), &3)?;
        stage.proxy.curl(&[], "/ready")?.expect_status(503)
    })
}

#[test]
fn when_all_quota_is_used_up_it_says_until_when() -> Outcome {
    play("", |stage| {
        exhaust_all(&stage.emulator)?;
        let first = CHAT.ask(stage)?;
        let again = CHAT.ask(stage)?;
        for answer in [&first, &again] {
            // A window of five hours: within the limit for a 429, which tells clients to wait.
            answer.expect_status(429)?;
            let seconds = answer.header("retry-after").and_then(|text| text.parse::<u64>().ok());
            ensure(seconds.is_some_and(|seconds| seconds > 0), || format!("{answer:#?}"))?;
            ensure_eq("type", &error_type(&answer.json()?), &"GoUsageLimitError")?;
        }
        // Each account was asked once at most: a usage report may have been quicker.
        let asked = stage.emulator.log()?.len();
        ensure(asked <= 3, || format!("{asked} requests upstream"))?;
        ensure_eq("disabled", &stage.proxy.health()?["disabledCount"], &json!(3))
    })
}

#[test]
fn an_unknown_model_disables_nobody() -> Outcome {
    play("", |stage| {
        let answer = CHAT.send(stage, &CHAT.body_for("no-such-model", false), &[])?;
        answer.expect_status(401)?;
        ensure_eq("type", &error_type(&answer.json()?), &"ModelError")?;
        ensure_eq("requests upstream", &stage.emulator.log()?.len(), &1)?;
        ensure_eq("disabled", &stage.proxy.health()?["disabledCount"], &json!(0))?;
        CHAT.ask(stage)?.expect_status(200)
    })
}

#[test]
fn a_wrong_format_is_named() -> Outcome {
    play("", |stage| {
        let answer = MESSAGES.send(stage, &MESSAGES.body_for(CHAT.model, false), &[])?;
        answer.expect_status(400)?;
        ensure(answer.body.contains("/chat/completions"), || format!("{answer:#?}"))?;
        ensure_eq("disabled", &stage.proxy.health()?["disabledCount"], &json!(0))
    })
}
