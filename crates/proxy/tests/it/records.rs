//! One record per request, with what it cost as the answer itself said.

use http_body_util::BodyExt;
use saros_emulator::{Action, After, Fault, Row, Then};
use serde_json::{Value, json};

use crate::captured::Captured;
use crate::stage::{Answer, Dialect, Stage};

fn check(record: &Value, expected: &Value) {
    for (name, value) in expected.as_object().unwrap() {
        let given = record.get(name).unwrap_or(&Value::Null);
        assert_eq!(given, value, "{name} in {record}");
    }
}

fn id(answer: &Answer) -> &str {
    answer.header("x-proxy-request-id")
}

#[tokio::test(start_paused = true)]
async fn usage_is_read_in_passing_in_every_format() {
    let log = Captured::log();
    for dialect in Dialect::ALL {
        for stream in [false, true] {
            for base in ["http://127.0.0.1:1", "http://127.0.0.1:1/inference/go"] {
                let stage = Stage::with(1, stream, |config| {
                    config.keys[0].base = saros_proxy::config::BaseUrl::parse(base).unwrap();
                });
                stage.emulator.settings(|settings| settings.speech.reasoning_tokens = 7);
                // The second request of the conversation reads the first one's prefix from cache.
                for turn in 0..2 {
                    let mut request = dialect.request(stream);
                    request.headers_mut().insert("x-session-id", "s".parse().unwrap());
                    let answer = stage.ask(request).await;
                    let entry = stage.emulator.log().pop().unwrap();
                    let tokens = entry.tokens.unwrap();
                    assert_eq!(tokens.cached > 0, turn == 1);
                    let record = log.record(id(&answer));
                    let name = format!("{dialect:?} stream {stream} {base} turn {turn}");
                    assert_eq!(record["inputTokens"], tokens.input, "{name}: {record}");
                    assert_eq!(record["cachedTokens"], tokens.cached, "{name}: {record}");
                    assert_eq!(record["outputTokens"], tokens.output, "{name}: {record}");
                    let written = record.get("cacheWriteTokens").and_then(Value::as_u64);
                    assert_eq!(written.unwrap_or(0), tokens.cache_write, "{name}: {record}");
                    check(
                        &record,
                        &json!({
                            "status": 200, "label": "a", "attempts": 1, "end": "complete",
                            "model": dialect.model(), "bytesOut": answer.body.len(),
                            "bytesIn": entry.body_len,
                        }),
                    );
                    assert!(record.get("fault").is_none(), "{record}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_says_how_it_ended() {
    let log = Captured::log();
    let stage = Stage::new(3);
    stage.fault(Fault::new(Action::Html { status: 502 }).times(1));
    let answer = stage.ask(Dialect::Messages.request(true)).await;
    let expected = json!({
        "status": 200, "format": "messages", "label": "b", "attempts": 2, "fault": "gateway",
        "replayed": true, "end": "complete",
    });
    check(&log.record(id(&answer)), &expected);

    let cut = Action::Stream { after: After::Events(3), then: Then::Cut };
    stage.fault(Fault::new(cut).times(1));
    let answer = stage.ask(Dialect::Chat.request(true)).await;
    let expected = json!({ "status": 200, "attempts": 1, "fault": "cut", "end": "cut" });
    check(&log.record(id(&answer)), &expected);

    stage.emulator.settings(|settings| settings.pace.gap_ms = 60_000);
    let mut response = stage.send(Dialect::Responses.request(true)).await;
    let gone = response.headers()["x-proxy-request-id"].to_str().unwrap().to_owned();
    response.body_mut().frame().await;
    drop(response);
    stage.settle().await;
    let expected = json!({ "status": 200, "format": "responses", "end": "client-gone" });
    check(&log.record(&gone), &expected);
    stage.emulator.settings(|settings| settings.pace.gap_ms = 0);

    stage.fault(Fault::new(Action::Row(Row::InvalidKey)));
    let answer = stage.ask(Dialect::Chat.request(true)).await;
    let expected = json!({
        "status": 401, "attempts": 3, "fault": "key-refused", "end": "complete",
        "bytesOut": answer.body.len(),
    });
    check(&log.record(id(&answer)), &expected);
    let answer = stage.ask(Dialect::Chat.request(true)).await;
    check(&log.record(id(&answer)), &json!({ "status": 401, "attempts": 0, "end": "complete" }));
}
