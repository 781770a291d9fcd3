//! Prompt caches per session (upstream.md §5.3, §6.2).

use std::time::Duration;

use saros_emulator::{Account, Key};
use serde_json::Value;

use crate::client::*;

fn turns(model: &str, count: usize) -> String {
    let long = "words ".repeat(100);
    let mut messages = vec![format!(r#"{{"role":"system","content":"{long}"}}"#)];
    for turn in 0..count {
        messages.push(format!(r#"{{"role":"user","content":"{long} {turn}"}}"#));
        messages.push(format!(r#"{{"role":"assistant","content":"said {turn}"}}"#));
    }
    messages.pop();
    format!(r#"{{"model":"{model}","messages":[{}]}}"#, messages.join(","))
}

async fn usage(client: &mut Client, key: &Key, path: &str, body: &str, session: &str) -> Value {
    let headers = [
        ("authorization", format!("Bearer {}", key.secret)),
        ("x-api-key", key.secret.clone()),
        ("x-opencode-session", session.to_owned()),
    ];
    client.post(path, &headers, body).await.json()["usage"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_prefix_is_cached_within_its_session_and_lifetime() {
    let (emulator, a) = emulator();
    let b = emulator.add_account(Account::new("b"));
    let mut client = Client::pipe(&emulator).await;
    let cached = |usage: &Value| usage["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap();
    let first = usage(&mut client, &a, CHAT, &turns("glm-5.2", 1), "s").await;
    assert_eq!(cached(&first), 0);
    let second = usage(&mut client, &a, CHAT, &turns("glm-5.2", 2), "s").await;
    assert_eq!(cached(&second), first["prompt_tokens"].as_u64().unwrap());
    let other = usage(&mut client, &a, CHAT, &turns("glm-5.2", 2), "other").await;
    assert_eq!(cached(&other), 0);
    // It survives a switch of account, unless told otherwise.
    let third = usage(&mut client, &b, CHAT, &turns("glm-5.2", 3), "s").await;
    assert_eq!(cached(&third), second["prompt_tokens"].as_u64().unwrap());
    emulator.clock().advance(Duration::from_secs(601));
    let late = usage(&mut client, &b, CHAT, &turns("glm-5.2", 3), "s").await;
    assert_eq!(cached(&late), 0);
    emulator.settings(|s| s.cache.lost_on_switch = true);
    usage(&mut client, &a, CHAT, &turns("glm-5.2", 3), "s").await;
    let moved = usage(&mut client, &b, CHAT, &turns("glm-5.2", 4), "s").await;
    assert_eq!(cached(&moved), 0);
}

#[tokio::test(start_paused = true)]
async fn writing_to_the_cache_has_its_own_price() {
    let (emulator, a) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let first = usage(&mut client, &a, MESSAGES, &turns("qwen3.8-max", 2), "s").await;
    let of = |usage: &Value, name: &str| usage[name].as_u64().unwrap();
    assert!(of(&first, "cache_creation_input_tokens") > of(&first, "input_tokens"));
    let written = first["cache_creation"]["ephemeral_5m_input_tokens"].as_u64().unwrap();
    assert_eq!(written, of(&first, "cache_creation_input_tokens"));
    let second = usage(&mut client, &a, MESSAGES, &turns("qwen3.8-max", 3), "s").await;
    assert_eq!(
        of(&second, "cache_read_input_tokens"),
        of(&first, "input_tokens") + of(&first, "cache_creation_input_tokens")
    );
}
