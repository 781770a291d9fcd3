//! Quota over HTTP and virtual time (upstream.md §3.5, §4, §6.3).

use std::time::Duration;

use saros_emulator::{Account, Key, Money, Pace, Price, Rate, Window};

use crate::client::*;

/// One dollar per output token, nothing else: easy to count.
fn dear(emulator: &saros_emulator::Emulator, id: &str) {
    emulator.model(id, |m| m.price = Price::flat(Rate::new(0.0, 41_666.666_667, 0.0)));
}

async fn percent(client: &mut Client, key: &Key, window: &str) -> i64 {
    let usage = client.get(USAGE, &headers(key)).await.json();
    usage["usage"][window]["percent"].as_i64().unwrap()
}

#[tokio::test(start_paused = true)]
async fn counted_when_the_stream_ends() {
    let (emulator, key) = emulator();
    dear(&emulator, "glm-5.2"); // 24 tokens: 1 dollar
    emulator.settings(|s| s.pace = Pace { gap_ms: 1_000, ..Pace::default() });
    let mut client = Client::pipe(&emulator).await;
    let mut other = Client::pipe(&emulator).await;
    let response =
        client.send(http::Method::POST, CHAT, &headers(&key), &ask("glm-5.2")).await.unwrap();
    let mut body = response.into_body();
    next(&mut body).await.unwrap().unwrap();
    assert_eq!(percent(&mut other, &key, "rolling").await, 0, "it still runs");
    while next(&mut body).await.is_some() {}
    assert_eq!(percent(&mut other, &key, "rolling").await, 8, "1 of 12 dollars");
    assert_eq!(percent(&mut other, &key, "weekly").await, 3);
    assert_eq!(percent(&mut other, &key, "monthly").await, 1);
    // The window opened when the request was tracked, ten events after it began.
    let opened = emulator.account("a", |a| a.quota.opened(NOON + 10_000)).unwrap();
    assert_eq!(opened, Some(NOON + 10_000));
}

#[tokio::test(start_paused = true)]
async fn an_abort_is_not_counted() {
    let (emulator, key) = emulator();
    dear(&emulator, "glm-5.2");
    emulator.settings(|s| s.pace = Pace { gap_ms: 1_000, ..Pace::default() });
    for _ in 0..2 {
        let mut client = Client::pipe(&emulator).await;
        let response =
            client.send(http::Method::POST, CHAT, &headers(&key), &ask("glm-5.2")).await.unwrap();
        let mut body = response.into_body();
        next(&mut body).await.unwrap().unwrap();
        drop((body, client));
        let charged = emulator.settings(|s| s.charge_aborted);
        let entry = emulator.logged(|e| e.status == Some(499)).await;
        assert!(entry.aborted);
        let cents = emulator.account("a", |a| a.quota.used(Window::Monthly, NOON + 60_000));
        assert_eq!(cents.unwrap() > Money::ZERO, charged);
        emulator.clear_log();
        emulator.settings(|s| s.charge_aborted = true);
    }
    assert_eq!(emulator.counters().total.aborted, 2);
}

/// 99 % admits any number of requests: parallel ones overshoot.
#[tokio::test(start_paused = true)]
async fn parallel_requests_overshoot() {
    let (emulator, key) = emulator();
    dear(&emulator, "glm-5.2");
    emulator.account("a", |a| a.quota.set_percent(Window::FiveHour, 99.0, NOON));
    emulator.settings(|s| s.pace = Pace { first_ms: 1_000, ..Pace::default() });
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let (emulator, key) = (emulator.clone(), key.clone());
        tasks.push(tokio::spawn(async move {
            Client::pipe(&emulator).await.chat(&key, "glm-5.2").await.status
        }));
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), 200);
    }
    let used = emulator.account("a", |a| a.quota.used(Window::FiveHour, NOON + 1_000)).unwrap();
    assert!((used.to_dollars() - 19.88).abs() < 0.001, "11.88 before, 8 dollars since: {used:?}");
    let mut client = Client::pipe(&emulator).await;
    assert_eq!(client.chat(&key, "glm-5.2").await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn two_keys_of_one_account_share_its_quota() {
    let (emulator, _) = emulator();
    let (one, two) = (Key::new("one"), Key::new("two"));
    emulator.add_account(Account::new("pair").key(one.clone()).key(two.clone()));
    dear(&emulator, "glm-5.2");
    let mut client = Client::pipe(&emulator).await;
    client.chat(&one, "glm-5.2").await;
    assert_eq!(percent(&mut client, &two, "rolling").await, 8);
    assert_eq!(emulator.counters().keys["one"].inference, 1);
    assert_eq!(emulator.counters().keys["two"].inference, 0);
}

#[tokio::test(start_paused = true)]
async fn the_multiplier_is_the_models() {
    let (emulator, key) = emulator();
    dear(&emulator, "kimi-k3"); // allowance 15 of 60: fourfold
    let mut client = Client::pipe(&emulator).await;
    client.chat(&key, "kimi-k3").await;
    assert_eq!(percent(&mut client, &key, "rolling").await, 33);
    let entry = emulator.logged(|e| e.model.as_deref() == Some("kimi-k3")).await;
    assert_eq!(entry.quota_cost.0, entry.list_cost.0 * 4);
    // Free models bypass the quota.
    emulator.account("a", |a| a.quota.set_percent(Window::Weekly, 100.0, NOON));
    assert_eq!(client.chat(&key, "kimi-k3").await.status, 429);
    assert_eq!(client.chat(&key, "beam-free").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_balance_pays_silently_and_the_wire_says_so() {
    let (emulator, key) = emulator();
    dear(&emulator, "glm-5.2");
    emulator.account("a", |a| {
        a.use_balance = true;
        a.balance = Money::dollars(1.5);
        a.quota.set_percent(Window::Weekly, 100.0, NOON);
    });
    let mut client = Client::pipe(&emulator).await;
    let answer = client.chat(&key, "glm-5.2").await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains(r#"{"choices":[],"cost":"1.00000000"}"#), "{}", answer.text());
    let usage = client.get(USAGE, &headers(&key)).await.json();
    assert_eq!(usage["usage"]["weekly"]["status"], "rate-limited", "and yet it was served");
    let left = emulator.account("a", |a| a.balance).unwrap();
    assert_eq!(left, Money::dollars(0.5));
    let path = "/inference/go/openai/v1/chat/completions";
    let answer = client.post(path, &headers(&key), &ask("glm-5.2")).await;
    assert!(answer.text().contains(r#""opencode":{"list_cost":1},"cost":1}"#), "{}", answer.text());
    assert_eq!(client.chat(&key, "glm-5.2").await.kind(), "CreditsError", "now it is empty");
}

#[tokio::test(start_paused = true)]
async fn a_week_in_ten_seconds() {
    let (emulator, key) = emulator();
    emulator.clock().set_speed(60_480.0);
    emulator.account("a", |a| a.quota.set_percent(Window::Weekly, 100.0, NOON));
    let mut client = Client::pipe(&emulator).await;
    assert_eq!(client.chat(&key, "glm-5.2").await.status, 429);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(emulator.clock().now_ms() >= NOON + 7 * 86_400_000);
    assert_eq!(client.chat(&key, "glm-5.2").await.status, 200);
}
