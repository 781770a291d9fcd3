//! The log and the counters.

use saros_emulator::Account;

use crate::client::*;

#[tokio::test(start_paused = true)]
async fn the_log_tells_everything() {
    let (emulator, key) = emulator();
    emulator.settings(|s| s.log.answers = true);
    let mut client = Client::pipe(&emulator).await;
    let body = ask("glm-5.2");
    let answer = client.post(&format!("{CHAT}?beta=true"), &headers(&key), &body).await;
    let entry = emulator.logged(|e| e.ended_ms.is_some()).await;
    assert_eq!(
        (entry.method.as_str(), entry.path.as_str()),
        ("POST", format!("{CHAT}?beta=true").as_str())
    );
    assert_eq!((entry.key.as_deref(), entry.account.as_deref()), (Some("a"), Some("a")));
    assert_eq!(entry.model.as_deref(), Some("glm-5.2"));
    assert_eq!(entry.session.as_deref(), Some("ses_1"));
    assert_eq!(entry.header("x-api-key"), Some(key.secret.as_str()));
    assert_eq!(entry.body.as_deref(), Some(body.as_bytes()));
    assert_eq!(entry.body_len, body.len() as u64);
    assert_eq!(entry.body_sha256.unwrap().len(), 64);
    assert_eq!(entry.status, Some(200));
    assert!(entry.stream && !entry.aborted);
    assert_eq!(entry.bytes_out, answer.body.len() as u64);
    assert_eq!(entry.answer.as_deref(), Some(&answer.body[..]));
    assert_eq!(entry.tokens.unwrap().output, 24);
}

#[tokio::test(start_paused = true)]
async fn counters_per_key() {
    let (emulator, a) = emulator();
    let b = emulator.add_account(Account { blocked: true, ..Account::new("b") });
    let mut client = Client::pipe(&emulator).await;
    client.chat(&a, "glm-5.2").await;
    client.get(USAGE, &headers(&a)).await;
    client.chat(&b, "glm-5.2").await;
    client.get("/zen/go/v1/models", &[]).await;
    let counters = emulator.counters();
    let of = |key: &str| counters.keys[key].clone();
    assert_eq!((of("a").attempts, of("a").inference, of("a").served), (2, 1, 2));
    assert_eq!((of("b").attempts, of("b").refused), (1, 1));
    assert_eq!(of("none").attempts, 1);
    assert_eq!(counters.total.attempts, 4);
    emulator.clear_counters();
    assert_eq!(emulator.counters().total.attempts, 0);
}

#[tokio::test(start_paused = true)]
async fn accounts_come_and_go() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    assert_eq!(client.chat(&key, "glm-5.2").await.status, 200);
    assert!(emulator.remove_account("a"));
    assert_eq!(client.chat(&key, "glm-5.2").await.status, 401);
    assert_eq!(emulator.add_account(Account::new("a")), key, "the same label, the same key");
    assert_eq!(client.chat(&key, "glm-5.2").await.status, 200);
}
