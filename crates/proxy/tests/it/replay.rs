//! Failures of the way to the service: what is repeated, where, and how often.

use std::time::Duration;

use saros_emulator::{Account, Action, After, Fault, Key, Row, Then, Window};
use saros_proxy::config::HeaderTimeout;

use crate::network::Road;
use crate::stage::{Dialect, Stage, chat};

const MODEL: &str = "glm-5.2";

/// Strikes `a` once: the request is served by `b` unnoticed.
async fn check_replayed(action: Action, h2: bool) {
    let name = format!("{action:?} h2: {h2}");
    let stage = Stage::with(3, h2, |_| {});
    stage.fault(Fault::new(action).times(1));
    let answer = stage.chat(MODEL).await;
    assert_eq!((answer.status.as_u16(), answer.label()), (200, "b"), "{name}");
    assert_eq!(stage.tried_since(0), "ab", "{name}");
    assert_eq!(stage.health().await["disabledCount"], 0, "{name}: once is not enough");
    stage.assert_idle().await;
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_served_is_repeated_once_elsewhere() {
    for action in [
        Action::Html { status: 500 },
        Action::Html { status: 502 },
        Action::Html { status: 503 },
        Action::Html { status: 504 },
        Action::Html { status: 520 },
        Action::Html { status: 524 },
        Action::Answer { status: 408, headers: vec![], body: String::new() },
        Action::Close,
        Action::Reset,
    ] {
        for h2 in [false, true] {
            check_replayed(action.clone(), h2).await;
        }
    }
}

/// Strikes everybody: two attempts, then this status.
async fn check_gives_up(action: Action, status: u16, replay: bool, tried: &str) {
    let name = format!("{action:?} replay: {replay}");
    let stage = Stage::with(3, false, |config| config.replay_ambiguous = replay);
    stage.fault(Fault::new(action));
    let answer = stage.chat(MODEL).await;
    assert_eq!(answer.status.as_u16(), status, "{name}");
    assert_eq!(stage.tried_since(0), tried, "{name}");
    stage.assert_idle().await;
}

#[tokio::test(start_paused = true)]
async fn only_once_and_not_at_all_where_the_owner_forbids_it() {
    for action in [Action::Html { status: 502 }, Action::Close, Action::Reset] {
        check_gives_up(action.clone(), 502, true, "ab").await;
        check_gives_up(action, 502, false, "a").await;
    }
    // Certainly not served: the switch does not matter.
    for status in [521, 522, 523, 525, 526] {
        check_gives_up(Action::Html { status }, 502, true, "ab").await;
        check_gives_up(Action::Html { status }, 502, false, "ab").await;
    }
    check_gives_up(Action::Row(Row::Internal), 502, false, "ab").await;
}

#[tokio::test(start_paused = true)]
async fn repeats_have_a_budget() {
    let stage = Stage::new(5);
    stage.fault(Fault::new(Action::Close));
    // Several models, and slowly: else their breakers would speak first.
    for (model, tries) in [
        ("glm-5.2", 2),
        ("kimi-k3", 2),
        ("hy3", 2),
        ("mimo-v2.5", 1),
        ("longcat-2.0", 1),
        ("glm-5.3", 2),
    ] {
        let mark = stage.mark();
        assert_eq!(stage.chat(model).await.status, 502);
        assert_eq!(stage.tried_since(mark).len(), tries, "{model}: three a minute");
        stage.seconds(12).await;
    }
}

#[tokio::test(start_paused = true)]
async fn headers_that_do_not_come_are_a_504_after_the_time_of_the_option() {
    for (timeout, stream, seconds) in [
        (HeaderTimeout::Auto, true, 120),
        (HeaderTimeout::Auto, false, 300),
        (HeaderTimeout::Exact(Duration::from_secs(7)), true, 7),
        (HeaderTimeout::Exact(Duration::from_secs(7)), false, 7),
    ] {
        for dialect in Dialect::ALL {
            for h2 in [false, true] {
                let stage = Stage::with(2, h2, |config| config.header_timeout = timeout);
                stage.fault(Fault::new(Action::Hang));
                let before = tokio::time::Instant::now();
                let answer = stage.ask(dialect.request(stream)).await;
                assert_eq!(answer.status, 504, "{timeout:?}");
                assert_eq!(before.elapsed().as_secs(), seconds, "{timeout:?} {stream}");
                assert!(answer.message().starts_with("Gateway Timeout"), "{}", answer.text());
                assert_eq!(answer.label(), "a");
                assert_eq!(stage.tried_since(0), "a", "never repeated");
                stage.settle().await;
                assert!(stage.emulator.log()[0].aborted, "given up upstream too");
                assert_eq!(stage.health().await["disabledCount"], 0);
                stage.assert_idle().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_tries_two_accounts_and_blames_none() {
    for road in [Road::Closed, Road::BadTls] {
        let stage = Stage::new(3);
        stage.network.set(road);
        let answer = stage.chat(MODEL).await;
        assert_eq!(answer.status, 502, "{road:?}");
        assert!(answer.message().starts_with("Bad Gateway: "), "{}", answer.text());
        assert_eq!(stage.network.dialled(), 2, "{road:?}");
        for _ in 0..20 {
            let answer = stage.chat(MODEL).await;
            assert!([502, 503].contains(&answer.status.as_u16()));
            stage.seconds(1).await;
        }
        stage.network.set(Road::Open);
        stage.seconds(31).await;
        for label in ["a", "b", "c"] {
            let key = stage.key(label).await;
            assert_ne!(key["state"], "cooling", "{road:?}: {key}");
        }
        for _ in 0..3 {
            assert_eq!(stage.chat(MODEL).await.status, 200);
        }
        assert_eq!(stage.health().await["disabledCount"], 0);
        stage.assert_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_open_is_given_up_after_connect_timeout() {
    let stage = Stage::new(2);
    stage.network.set(Road::Silent);
    let before = tokio::time::Instant::now();
    let answer = stage.chat(MODEL).await;
    assert_eq!(answer.status, 502);
    assert_eq!(before.elapsed().as_secs(), 20, "ten seconds each on two accounts");
}

#[tokio::test(start_paused = true)]
async fn a_request_given_back_goes_out_again_within_the_same_attempt() {
    for action in [Action::RefuseStream, Action::GoAway { refuse: true }] {
        let stage = Stage::with(3, true, |_| {});
        assert_eq!(stage.chat(MODEL).await.label(), "a");
        assert_eq!(stage.chat(MODEL).await.label(), "b");
        assert_eq!(stage.chat(MODEL).await.label(), "c");
        stage.fault(Fault::new(action.clone()).times(1));
        let mark = stage.mark();
        let dialled = stage.network.dialled();
        let answer = stage.chat(MODEL).await;
        assert_eq!((answer.status.as_u16(), answer.label()), (200, "a"), "{action:?}");
        assert_eq!(stage.tried_since(mark), "aa", "{action:?}: the same account");
        assert_eq!(stage.network.dialled(), dialled + 1, "{action:?}: a fresh connection");
        let key = stage.key("a").await;
        assert_eq!((&key["state"], &key["lastFault"]), (&"ready".into(), &().into()), "{key}");
        stage.assert_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn given_back_twice_it_goes_on_to_the_next_account() {
    let stage = Stage::with(3, true, |_| {});
    stage.fault(Fault::new(Action::RefuseStream).key("a"));
    let answer = stage.chat(MODEL).await;
    assert_eq!((answer.status.as_u16(), answer.label()), (200, "b"));
    assert_eq!(stage.tried_since(0), "aab");
    assert_eq!(stage.health().await["disabledCount"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_polite_goaway_lets_streams_end_and_new_requests_take_a_new_connection() {
    let stage = Stage::with(1, true, |_| {});
    stage.emulator.settings(|settings| settings.pace.gap_ms = 1_000);
    let held = stage.send(chat(MODEL, "hello", true)).await;
    stage.fault(Fault::new(Action::GoAway { refuse: false }).times(1));
    let second = stage.send(chat(MODEL, "hello", true)).await;
    stage.seconds(1).await;
    let third = stage.send(chat(MODEL, "hello", true)).await;
    for response in [held, second, third] {
        let answer = crate::stage::Answer::read(response).await;
        assert!(answer.complete && answer.text().contains("[DONE]"), "{}", answer.text());
    }
    assert_eq!(stage.network.dialled(), 2);
    assert_eq!(stage.health().await["disabledCount"], 0);
    stage.assert_idle().await;
}

#[tokio::test(start_paused = true)]
async fn connections_that_upstream_closed_while_idle_go_unnoticed() {
    for h2 in [false, true] {
        let stage = Stage::with(1, h2, |_| {});
        stage.emulator.settings(|settings| settings.connection.idle_close_ms = Some(10_000));
        for _ in 0..5 {
            let answer = stage.chat(MODEL).await;
            assert_eq!(answer.status, 200);
            stage.seconds(15).await;
        }
        assert_eq!(stage.network.dialled(), 5);
        assert_eq!(stage.tried_since(0), "aaaaa");
        // Closed after each answer without saying so.
        stage.emulator.settings(|settings| {
            settings.connection.idle_close_ms = None;
            settings.connection.max_requests = Some(1);
        });
        for _ in 0..5 {
            assert_eq!(stage.chat(MODEL).await.status, 200);
        }
        assert_eq!(stage.tried_since(0), "aaaaaaaaaa");
        assert_eq!(stage.key("a").await["lastFault"], serde_json::Value::Null);
        stage.assert_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn connections_are_used_again() {
    for h2 in [false, true] {
        let stage = Stage::with(1, h2, |_| {});
        for stream in [true, false, true, false] {
            for dialect in Dialect::ALL {
                let answer = stage.ask(dialect.request(stream)).await;
                assert!(answer.status == 200 && answer.complete);
            }
        }
        assert_eq!(stage.network.dialled(), 1, "h2: {h2}");
    }
}

#[tokio::test(start_paused = true)]
async fn cuts_and_time_outs_of_one_account_open_its_breaker() {
    let cut = Action::Stream { after: After::Events(2), then: Then::Cut };
    for action in [cut, Action::Hang] {
        let stage = Stage::new(2);
        stage.fault(Fault::new(action.clone()).key("a"));
        for _ in 0..6 {
            stage.ask(chat(MODEL, "hello", true)).await;
        }
        let key = stage.key("a").await;
        assert_eq!(key["state"], "cooling", "{action:?}: {key}");
        assert_eq!(stage.state("b").await, "ready");
        assert_eq!(stage.attempts("a"), 3, "{action:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_keys_of_one_workspace_are_one_account_once_an_answer_says_so() {
    let twin = Account::new("a").key(Key::new("a1")).key(Key::new("a2"));
    let stage = Stage::of(vec![twin, Account::new("b")], false, |_| {});
    let exhaust = |percent| {
        let now = stage.emulator.clock().now_ms();
        let change = |a: &mut Account| a.quota.set_percent(Window::FiveHour, percent, now);
        stage.emulator.account("a", change).unwrap();
    };
    exhaust(100.0);
    let answer = stage.chat(MODEL).await;
    assert_eq!((answer.status.as_u16(), answer.label()), (200, "b"));
    assert_eq!(stage.tried_since(0), "a1a2b", "not known yet that they are one");
    for label in ["a1", "a2"] {
        assert_eq!(stage.state(label).await, "outOfQuota");
    }
    for _ in 0..3 {
        assert_eq!(stage.chat(MODEL).await.label(), "b");
    }
    stage.seconds(5 * 3600).await;
    let mut served = Vec::new();
    for _ in 0..4 {
        served.push(stage.chat(MODEL).await.label().to_owned());
    }
    assert_eq!(served, ["a1", "b", "a1", "b"], "one of the two speaks for both");
    exhaust(100.0);
    let mark = stage.mark();
    assert_eq!(stage.chat(MODEL).await.label(), "b");
    assert_eq!(stage.tried_since(mark), "a1b", "the other is not tried for it");
    // A deleted key is not the account: the other one takes over.
    exhaust(0.0);
    stage.seconds(5 * 3600).await;
    stage.emulator.account("a", |a| a.keys[0].deleted = true).unwrap();
    let mark = stage.mark();
    let labels: Vec<_> = [stage.chat(MODEL).await, stage.chat(MODEL).await]
        .iter()
        .map(|answer| answer.label().to_owned())
        .collect();
    assert!(labels.contains(&"a2".to_owned()), "{labels:?} {}", stage.tried_since(mark));
    assert_eq!((stage.state("a1").await, stage.state("a2").await), ("dead".into(), "ready".into()));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_serves_its_first_request_at_once() {
    for h2 in [false, true] {
        let stage = Stage::with(2, h2, |_| {});
        let quota = Row::GoUsage { window: Window::FiveHour, retry_after: 3_600 };
        let fault = stage.fault(Fault::new(Action::Row(quota)).key("a"));
        for _ in 0..3 {
            assert_eq!(stage.chat(MODEL).await.label(), "b");
        }
        stage.emulator.clear_fault(fault);
        // Two hours later the connections are dead without a word, and the cooldown is stale.
        stage.seconds(1).await;
        stage.network.freeze();
        stage.emulator.clock().advance(Duration::from_secs(7_200));
        let woken = tokio::time::Instant::now();
        let answers = [stage.chat(MODEL).await, stage.chat(MODEL).await, stage.chat(MODEL).await];
        let labels = answers.map(|answer| {
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.label().to_owned()
        });
        assert!(labels.contains(&"a".to_owned()), "h2 {h2}: {labels:?}");
        assert!(woken.elapsed() < Duration::from_secs(1), "h2 {h2}: {:?}", woken.elapsed());
        stage.assert_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_prolongs_no_cooldown() {
    let stage = Stage::new(2);
    let quota = Row::GoUsage { window: Window::FiveHour, retry_after: 600 };
    let fault = stage.fault(Fault::new(Action::Row(quota)).key("a"));
    assert_eq!(stage.chat(MODEL).await.label(), "b");
    stage.emulator.clear_fault(fault);
    stage.ahead.store(-3_600_000, std::sync::atomic::Ordering::Relaxed);
    stage.seconds(590).await;
    assert_eq!(stage.chat(MODEL).await.label(), "b");
    stage.seconds(11).await;
    assert_eq!(stage.chat(MODEL).await.label(), "a");
}
