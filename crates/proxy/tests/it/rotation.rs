//! Who serves: strict rotation over usable accounts, idle before busy.

use saros_emulator::{Action, Fault};

use crate::stage::{Stage, chat};

#[tokio::test(start_paused = true)]
async fn requests_rotate_in_order() {
    let stage = Stage::new(3);
    let mut served = String::new();
    for _ in 0..7 {
        let answer = stage.chat("glm-5.2").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        served.push_str(answer.label());
    }
    assert_eq!(served, "abcabca");
}

#[tokio::test(start_paused = true)]
async fn an_account_in_use_is_passed_over_while_an_idle_one_exists() {
    let stage = Stage::new(2);
    stage.emulator.fault(Fault::new(Action::Drip { bytes: 40, gap_ms: 60_000 }).times(1));
    let held = stage.send(chat("glm-5.2", "hello", true)).await;
    assert_eq!(held.headers()["x-proxy-key-label"], "a");
    for _ in 0..3 {
        assert_eq!(stage.chat("glm-5.2").await.label(), "b", "a's stream is still open");
    }
    let held = crate::stage::Answer::read(held).await;
    assert!(held.complete && held.text().contains("[DONE]"), "{}", held.text());
    assert_eq!(stage.chat("glm-5.2").await.label(), "a");
}
