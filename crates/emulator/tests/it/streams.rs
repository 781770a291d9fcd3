//! Streams and documents in the three formats (upstream.md §6).

use saros_emulator::{Chunk, Model, Pace, Script, Separator, Speech, Style, Turn};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::client::*;

fn parsed(text: &str) -> Vec<Value> {
    events(text)
        .iter()
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap_or_else(|e| panic!("{e}: {data}")))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn chat_ends_with_usage_done_and_cost() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let answer = client.chat(&key, "glm-5.2").await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let data = events(answer.text());
    let [.., finish, usage, done, cost] = data.as_slice() else { panic!("{data:?}") };
    let finish: Value = serde_json::from_str(finish).unwrap();
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    let usage: Value = serde_json::from_str(usage).unwrap();
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["completion_tokens"], 24);
    assert_eq!(usage["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
    assert_eq!(done, "[DONE]");
    assert_eq!(cost, r#"{"choices":[],"cost":"0"}"#);
    let said: String = parsed(answer.text())
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(said.len(), 24 * 4);
}

#[tokio::test(start_paused = true)]
async fn messages_and_responses_end_with_a_ping() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let answer = client.post(MESSAGES, &headers(&key), &ask("minimax-m3")).await;
    let kinds: Vec<String> = parsed(answer.text())
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect();
    let delta = "content_block_delta".to_owned();
    assert_eq!(kinds[..3], ["message_start", "ping", "content_block_start"]);
    assert_eq!(kinds[3..9], vec![delta; 6][..], "24 tokens, 4 a delta");
    assert_eq!(kinds[9..], ["content_block_stop", "message_delta", "message_stop", "ping"]);
    assert!(answer.text().ends_with("event: ping\ndata: {\"type\":\"ping\",\"cost\":\"0\"}\n\n"));

    let body = r#"{"model":"gpt-6-luna","stream":true,"input":"Hi"}"#;
    let answer = client.post(RESPONSES, &headers(&key), body).await;
    let all = parsed(answer.text());
    let completed = &all[all.len() - 2];
    assert_eq!(completed["type"], "response.completed");
    assert_eq!(completed["response"]["usage"]["output_tokens"], 24);
    assert_eq!(completed["response"]["output"][0]["content"][0]["type"], "output_text");
    assert_eq!(all[all.len() - 1], json!({"type": "ping", "cost": "0"}));
    for (number, event) in all[..all.len() - 1].iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
}

#[tokio::test(start_paused = true)]
async fn every_separator_parses_in_every_format() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    emulator.settings(|s| s.speech = Speech { reasoning_tokens: 9, ..Speech::default() });
    for (path, model) in [(CHAT, "glm-5.2"), (MESSAGES, "minimax-m3"), (RESPONSES, "gpt-6-luna")] {
        let mut seen: Option<Vec<Value>> = None;
        for separator in [Separator::Lf, Separator::CrLf, Separator::Cr] {
            for space in [true, false] {
                emulator.model(model, |m| {
                    m.style = Style { separator, space, ping_every: 5, ..m.style };
                });
                let mut headers = headers(&key);
                // Each time another session: the prompt cache must not tell them apart.
                let session = format!("{separator:?}{space}");
                headers.retain(|(name, _)| *name != "x-opencode-session");
                headers.push(("x-opencode-session", session));
                let answer = client.post(path, &headers, &ask(model)).await;
                let end = separator.line();
                assert!(answer.text().ends_with(&format!("}}{end}{end}")), "{}", answer.text());
                assert!(answer.text().contains(": ping - 2026-11-22 12:00:00.000000+00:00"));
                assert_eq!(answer.text().contains("data: {"), space);
                let id = answer.text().split("emu").nth(1).unwrap()[..12].to_owned();
                let text = answer.text().replace(&format!("emu{id}"), "emu");
                let events = parsed(&text);
                assert_eq!(seen.get_or_insert_with(|| events.clone()), &events);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn reasoning_and_tools_in_every_format() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let turn = Turn {
        text: "Let me see.".to_owned(),
        ..Turn::call("look", json!({"at": "the sea, \"calm\""}))
    };
    emulator.script("*", Script { turns: vec![turn.reasoning("Hm. A look will help.")] });
    let ask = |model: &str, stream: bool| {
        format!(
            r#"{{"model":"{model}","stream":{stream},"tools":[{{"type":"function","name":"look","function":{{"name":"look"}}}}],"messages":[{{"role":"user","content":"x"}}],"input":"x"}}"#
        )
    };

    let answer = client.post(CHAT, &headers(&key), &ask("glm-5.2", true)).await;
    let chunks = parsed(answer.text());
    let join = |pointer: &str| -> String {
        chunks.iter().filter_map(|chunk| chunk.pointer(pointer)?.as_str()).collect()
    };
    assert_eq!(join("/choices/0/delta/reasoning_content"), "Hm. A look will help.");
    assert_eq!(join("/choices/0/delta/content"), "Let me see.");
    let arguments = join("/choices/0/delta/tool_calls/0/function/arguments");
    assert_eq!(arguments, r#"{"at":"the sea, \"calm\""}"#);
    assert_eq!(join("/choices/0/finish_reason"), "tool_calls");
    let whole = client.post(CHAT, &headers(&key), &ask("glm-5.2", false)).await.json();
    let message = &whole["choices"][0]["message"];
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], arguments);
    assert_eq!(message["reasoning_content"], "Hm. A look will help.");

    let answer = client.post(MESSAGES, &headers(&key), &ask("minimax-m3", true)).await;
    let all = parsed(answer.text());
    let join = |pointer: &str| -> String {
        all.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect()
    };
    assert_eq!(join("/delta/thinking"), "Hm. A look will help.");
    assert_eq!(join("/delta/partial_json"), arguments);
    assert_eq!(join("/delta/stop_reason"), "tool_use");
    let whole = client.post(MESSAGES, &headers(&key), &ask("minimax-m3", false)).await.json();
    assert_eq!(whole["content"][2]["input"], json!({"at": "the sea, \"calm\""}));
    assert_eq!(whole["cost"], "0");

    let answer = client.post(RESPONSES, &headers(&key), &ask("gpt-6-luna", true)).await;
    let all = parsed(answer.text());
    let of = |kind: &str| -> String {
        let these = all.iter().filter(|event| event["type"] == kind);
        these.filter_map(|event| event["delta"].as_str()).collect()
    };
    assert_eq!(of("response.reasoning_summary_text.delta"), "Hm. A look will help.");
    assert_eq!(of("response.function_call_arguments.delta"), arguments);
    let whole = client.post(RESPONSES, &headers(&key), &ask("gpt-6-luna", false)).await.json();
    assert_eq!(whole["output"][2]["name"], "look");
    assert_eq!(whole["status"], "completed");
}

#[tokio::test(start_paused = true)]
async fn the_rhythm_is_virtual_time() {
    let (emulator, key) = emulator();
    emulator.settings(|s| {
        s.pace = Pace { headers_ms: 600, first_ms: 300, gap_ms: 100, chunk: Chunk::Event };
    });
    let mut client = Client::pipe(&emulator).await;
    let begun = Instant::now();
    let response =
        client.send(http::Method::POST, CHAT, &headers(&key), &ask("glm-5.2")).await.unwrap();
    assert_eq!(begun.elapsed().as_millis(), 600);
    let mut body = response.into_body();
    next(&mut body).await.unwrap().unwrap();
    assert_eq!(begun.elapsed().as_millis(), 900);
    next(&mut body).await.unwrap().unwrap();
    assert_eq!(begun.elapsed().as_millis(), 1_000);
    while next(&mut body).await.is_some() {}
    // 11 events: role, 6 deltas, finish, usage, [DONE], cost.
    assert_eq!(begun.elapsed().as_millis(), 900 + 10 * 100);
    emulator.clock().set_speed(10.0);
    let begun = Instant::now();
    client.chat(&key, "glm-5.2").await;
    assert_eq!(begun.elapsed().as_millis(), 190);
}

#[tokio::test(start_paused = true)]
async fn a_limit_in_the_request_cuts_the_answer() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let body = |model: &str| {
        format!(r#"{{"model":"{model}","max_tokens":5,"max_output_tokens":5,"messages":[]}}"#)
    };
    let chat = client.post(CHAT, &headers(&key), &body("glm-5.2")).await.json();
    assert_eq!(chat["choices"][0]["finish_reason"], "length");
    assert_eq!(chat["usage"]["completion_tokens"], 5);
    let messages = client.post(MESSAGES, &headers(&key), &body("minimax-m3")).await.json();
    assert_eq!(messages["stop_reason"], "max_tokens");
    let responses = client.post(RESPONSES, &headers(&key), &body("gpt-6-luna")).await.json();
    assert_eq!(responses["status"], "incomplete");
}

#[tokio::test(start_paused = true)]
async fn styles_of_providers() {
    let (emulator, key) = emulator();
    emulator.account("a", |a| a.region_cn = true);
    let mut client = Client::pipe(&emulator).await;
    let kimi = client.chat(&key, "kimi-k3").await;
    assert!(kimi.text().contains(r#""cached_tokens":0,"completion"#), "Moonshot's place");
    assert!(!kimi.text().contains("prompt_tokens_details"));
    let deepseek = client.chat(&key, "deepseek-v4-pro").await;
    assert!(deepseek.text().contains(r#""usage":null"#));
    let qwen = client.post(MESSAGES, &headers(&key), &ask("qwen3.8-max")).await;
    assert!(qwen.text().contains("data:{"), "Alibaba writes no space");
    assert_eq!(Model::find("qwen3.8-max").unwrap().max_body, Some(6_291_456));
}
