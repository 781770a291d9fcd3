//! The scripted model, turn by turn, as an agent meets it.

use saros_emulator::Script;
use serde_json::{Value, json};

use crate::client::*;

#[tokio::test(start_paused = true)]
async fn an_agent_runs_the_script_to_its_end() {
    let (emulator, key) = emulator();
    emulator.script("*", Script::shell(&["echo one", "echo two"], "All done."));
    let mut client = Client::pipe(&emulator).await;
    let mut messages = vec![json!({"role": "user", "content": "go"})];
    let mut commands = Vec::new();
    let said = loop {
        let body = json!({
            "model": "glm-5.2",
            "tools": [{"type": "function", "function": {"name": "bash"}}],
            "messages": messages,
        });
        let answer = client.post(CHAT, &headers(&key), &body.to_string()).await.json();
        let message = answer["choices"][0]["message"].clone();
        messages.push(message.clone());
        let Some(calls) = message["tool_calls"].as_array() else {
            break message["content"].as_str().unwrap().to_owned();
        };
        let arguments = calls[0]["function"]["arguments"].as_str().unwrap();
        let arguments: Value = serde_json::from_str(arguments).unwrap();
        commands.push(arguments["command"].as_str().unwrap().to_owned());
        messages.push(json!({"role": "tool", "tool_call_id": calls[0]["id"], "content": "ok"}));
    };
    assert_eq!(commands, ["echo one", "echo two"]);
    assert_eq!(said, "All done.");
    // A title, without tools.
    let title = json!({"model": "glm-5.2", "messages": [{"role": "user", "content": "title"}]});
    let answer = client.post(CHAT, &headers(&key), &title.to_string()).await.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "All done.");
}

#[tokio::test(start_paused = true)]
async fn codex_gets_a_custom_call() {
    let (emulator, key) = emulator();
    emulator.script("gpt-6-luna", Script::shell(&["ls"], "Done."));
    let mut client = Client::pipe(&emulator).await;
    let mut input = vec![
        json!({"type": "additional_tools", "tools": [{"type": "namespace", "name": "functions",
            "tools": [{"type": "custom", "name": "exec"}]}]}),
        json!({"type": "message", "role": "user", "content": "go"}),
    ];
    let body = |input: &Vec<Value>| {
        json!({"model": "gpt-6-luna", "stream": true, "input": input}).to_string()
    };
    let answer = client.post(RESPONSES, &headers(&key), &body(&input)).await;
    let done: Vec<Value> = events(answer.text())
        .iter()
        .map(|data| serde_json::from_str::<Value>(data).unwrap())
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| event["item"].clone())
        .collect();
    assert_eq!(done.len(), 1);
    assert_eq!(done[0]["type"], "custom_tool_call");
    assert_eq!((&done[0]["name"], &done[0]["namespace"]), (&json!("exec"), &json!("functions")));
    assert!(done[0]["input"].as_str().unwrap().contains(r#"exec_command({cmd: "ls"})"#));
    input.push(done[0].clone());
    input.push(json!({"type": "custom_tool_call_output", "output": "ok"}));
    let answer = client.post(RESPONSES, &headers(&key), &body(&input)).await;
    assert!(answer.text().contains(r#""text":"Done.""#));
}
