//! Asking the usage API: what is sent, what is understood, and that orders are carried out.

use std::sync::Arc;

use saros_core::pool::{Effects, NoUsage};
use saros_core::report::{Report, Source};
use saros_core::time::{DAY, HOUR};
use saros_core::window::Window;
use saros_emulator::{Action, Entry, Fault, Row};
use saros_proxy::config::BaseUrl;
use saros_proxy::upstream::key::Key;
use saros_proxy::upstream::usage;

use crate::captured::Captured;
use crate::network::Road;
use crate::stage::{START, Stage};

const LEGACY: &str = "http://127.0.0.1:1";
const INFERENCE: &str = "http://127.0.0.1:1/inference/go";

fn stage(base: &str, h2: bool) -> Stage {
    Stage::with(2, h2, |config| {
        for key in &mut config.keys {
            key.base = BaseUrl::parse(base).unwrap();
        }
    })
}

fn key(stage: &Stage) -> Arc<Key> {
    Arc::clone(&stage.app.keys()[0])
}

async fn ask(stage: &Stage) -> Result<Report, NoUsage> {
    usage::ask(&stage.app.opener, &key(stage), &stage.app.clock).await
}

fn asked(stage: &Stage) -> Vec<Entry> {
    let mut log = stage.emulator.log();
    log.retain(|entry| entry.path.ends_with("/usage"));
    log
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    let headers =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Fault::new(Action::Answer { status, headers, body: body.to_owned() }).path("/usage")
}

#[tokio::test(start_paused = true)]
async fn asked_as_the_service_wants_it() {
    for (base, path, h2) in [
        (LEGACY, "/zen/go/v1/usage", false),
        (INFERENCE, "/inference/go/v1/usage", false),
        (LEGACY, "/zen/go/v1/usage", true),
        ("http://127.0.0.1:1/below/inference/go", "/below/inference/go/v1/usage", true),
    ] {
        let stage = stage(base, h2);
        drop((ask(&stage).await, ask(&stage).await));
        assert_eq!(stage.network.dialled(), 1, "the key's own connection, kept open");
        let log = stage.emulator.log();
        let [one, two, ..] = log.as_slice() else { panic!("{log:?}") };
        assert_eq!(one.path, path);
        let bearer = format!("Bearer {}", stage.emulator.keys()[0].secret);
        assert_eq!(one.header("authorization"), Some(bearer.as_str()));
        assert_eq!(one.header("x-api-key"), None);
        let product = concat!("saros-proxy/", env!("CARGO_PKG_VERSION"));
        assert_eq!(one.header("user-agent"), Some(product));
        let session = one.header("x-opencode-session").unwrap();
        assert!(session.starts_with("ses_") && session.len() > 20, "{session}");
        assert_eq!(two.header("x-opencode-session"), Some(session), "stable");
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_of_each_window() {
    for base in [LEGACY, INFERENCE] {
        let stage = stage(base, false);
        stage.emulator.settings(|settings| settings.usage_ids = true);
        stage.emulator.account("a", |account| {
            account.quota.set_percent(saros_emulator::Window::Weekly, 41.7, START);
            account.quota.set_percent(saros_emulator::Window::Monthly, 100.0, START);
        });
        let report = ask(&stage).await.unwrap();
        assert_eq!(report.source, Source::Api);
        let [rolling, weekly, monthly] = report.windows.map(Option::unwrap);
        assert_eq!((rolling.percent, rolling.limited), (0, false));
        assert_eq!((weekly.percent, weekly.limited), (41, false));
        assert_eq!((monthly.percent, monthly.limited), (100, true));
        // 2026-11-23 00:00 UTC was the Monday after; an idle five-hour window slides along.
        assert_eq!(weekly.resets_at.unwrap().0, START + 3 * DAY + 12 * HOUR);
        assert_eq!(rolling.resets_at.unwrap().since(report.received), 5 * HOUR);
        let (workspace, user) =
            stage.emulator.account("a", |a| (a.workspace.clone(), a.user.clone())).unwrap();
        assert_eq!((report.workspace, report.user), (Some(workspace), Some(user)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_hours_shape_over_the_wire() {
    let stage = stage(LEGACY, false);
    stage.fault(answer(
        200,
        &[],
        r#"{"useBalance":true,"rollingUsage":{"status":"ok","resetInSec":60,"usagePercent":3}}"#,
    ));
    let report = ask(&stage).await.unwrap();
    let rolling = report.windows[Window::FiveHour.index()].unwrap();
    assert_eq!((rolling.percent, report.use_balance), (3, Some(true)));
    assert_eq!(rolling.resets_at.unwrap().since(report.received), 60_000);
}

#[tokio::test(start_paused = true)]
async fn where_one_layout_has_none_the_other_is_asked_and_remembered() {
    for (base, own, other) in [
        (LEGACY, "/zen/go/v1/usage", "/inference/go/v1/usage"),
        (INFERENCE, "/inference/go/v1/usage", "/zen/go/v1/usage"),
    ] {
        for status in [404, 405] {
            let stage = stage(base, false);
            let missing = stage.fault(answer(status, &[], "").path(own));
            let paths = |stage: &Stage| -> Vec<String> {
                asked(stage).into_iter().map(|entry| entry.path).collect()
            };
            assert!(ask(&stage).await.is_ok(), "{own} {status}");
            assert_eq!(paths(&stage), [own, other]);
            assert!(ask(&stage).await.is_ok());
            assert_eq!(paths(&stage), [own, other, other], "remembered");
            let gone = stage.fault(answer(404, &[], "").path(other));
            assert_eq!(ask(&stage).await, Err(NoUsage::Absent));
            stage.emulator.clear_fault(missing);
            assert!(ask(&stage).await.is_ok(), "whichever has it");
            stage.emulator.clear_fault(gone);
        }
    }
    // Of a key that has moved, the older service says 400 where the newer says 404.
    let stage = stage(LEGACY, false);
    stage.fault(answer(400, &[], "{}").path("/zen/go/v1/usage"));
    assert!(ask(&stage).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_is_no_report_says_why() {
    let trouble = |retry_after| Err(NoUsage::Trouble { retry_after });
    let long = "x".repeat(70_000);
    for (fault, expected) in [
        (Fault::new(Action::Row(Row::Unauthorized)).path("/usage"), Err(NoUsage::Refused)),
        (Fault::new(Action::Row(Row::Entitlement)).path("/usage"), Err(NoUsage::NotSubscribed)),
        (Fault::new(Action::Html { status: 403 }).path("/usage"), trouble(None)),
        (Fault::new(Action::Html { status: 502 }).path("/usage"), trouble(None)),
        (Fault::new(Action::Html { status: 404 }).path("/usage"), Err(NoUsage::Absent)),
        (answer(503, &[("retry-after", "17")], "{}"), trouble(Some(17))),
        (answer(429, &[("retry-after-ms", "1500")], "{}"), trouble(Some(2))),
        (answer(200, &[], "<html>"), trouble(None)),
        (answer(200, &[], "{\"usage\":{}}"), trouble(None)),
        (answer(200, &[], &long), trouble(None)),
        (answer(302, &[("location", "http://evil.example/")], ""), trouble(None)),
        (Fault::new(Action::Close).path("/usage"), trouble(None)),
        (Fault::new(Action::Reset).path("/usage"), trouble(None)),
    ] {
        let stage = stage(LEGACY, false);
        let shown = format!("{fault:?}");
        stage.fault(fault);
        assert_eq!(ask(&stage).await, expected, "{shown}");
        stage.assert_idle().await;
    }
    let stage = stage(LEGACY, false);
    stage.emulator.account("a", |account| account.subscribed = false);
    assert_eq!(ask(&stage).await, Err(NoUsage::NotSubscribed));
    stage.network.set(Road::Closed);
    key(&stage).connections.drop_all();
    assert_eq!(ask(&stage).await, trouble(None));
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_waited_for_longer_than_ten_seconds() {
    for hang in [Action::Hang, Action::Drip { bytes: 1, gap_ms: 1_000 }] {
        let stage = stage(LEGACY, false);
        stage.fault(Fault::new(hang).path("/usage"));
        let before = tokio::time::Instant::now();
        assert_eq!(ask(&stage).await, Err(NoUsage::Trouble { retry_after: None }));
        assert_eq!(before.elapsed().as_secs(), 10);
        stage.assert_idle_soon().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_connection_that_has_ended_costs_nothing() {
    let stage = stage(LEGACY, false);
    assert!(ask(&stage).await.is_ok());
    stage.network.sever();
    assert!(ask(&stage).await.is_ok());
    stage.network.freeze();
    assert_eq!(ask(&stage).await, Err(NoUsage::Trouble { retry_after: None }));
    assert!(ask(&stage).await.is_ok(), "the dead connection is not taken again");
}

/// What the pool orders is done at once, beside the traffic, and never twice at a time for one key.
#[tokio::test(start_paused = true)]
async fn orders_are_carried_out() {
    let stage = stage(LEGACY, false).informed();
    stage.seconds(30).await;
    let mark = asked(&stage).len();
    let of = |stage: &Stage| -> String {
        let entries = asked(stage).into_iter().skip(mark);
        entries.map(|entry| entry.key.unwrap()).collect()
    };
    let (a, b) = (stage.app.keys()[0].id, stage.app.keys()[1].id);
    let hang = stage.fault(Fault::new(Action::Hang).path("/usage").key("a"));
    let removed = saros_core::id::KeyId(1);
    let orders = Effects { poll: [a, b, a, removed].into_iter().collect(), ..Effects::default() };
    stage.app.carry_out(&orders);
    stage.seconds(1).await;
    assert_eq!(of(&stage), "ab", "the second one for a waits, the removed key is not asked");
    assert!(!stage.app.orders_idle());
    stage.emulator.clear_fault(hang);
    stage.seconds(12).await;
    assert_eq!(of(&stage), "aba");
    assert!(stage.app.orders_idle(), "every order was answered");
    // While the proxy drains nobody is asked any more.
    stage.app.draining.store(true, std::sync::atomic::Ordering::Relaxed);
    stage.app.carry_out(&orders);
    stage.seconds(20).await;
    assert_eq!(of(&stage), "aba");
}

#[tokio::test(start_paused = true)]
async fn keys_do_not_get_into_the_log() {
    let log = Captured::log();
    let stage = stage(LEGACY, false);
    let secret = stage.emulator.keys()[0].secret.clone();
    stage.fault(answer(500, &[], &format!("{{\"error\":{{\"message\":\"{secret}\"}}}}")));
    assert!(ask(&stage).await.is_err());
    let text = log.until(|text| text.contains("No usage report"));
    assert!(!text.contains(&secret));
}
