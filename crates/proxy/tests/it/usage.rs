//! Asking the usage API: what is sent, what is understood, and that orders are carried out.

use std::sync::Arc;

use saros_core::pool::{Effects, NoUsage};
use saros_core::report::{Report, Source};
use saros_core::time::{DAY, HOUR};
use saros_core::window::Window;
use saros_emulator::{Action, Entry, Fault, Row};
use saros_proxy::config::{BaseUrl, Config, RequireClientToken, Scraping, ScrapingAccount};
use saros_proxy::secret::Secret;
use saros_proxy::upstream::key::Key;
use saros_proxy::upstream::usage;
use serde_json::Value;
use tempfile::TempDir;

use crate::captured::Captured;
use crate::network::Road;
use crate::stage::{START, Stage, get};

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

fn percent(figures: &Value, account: usize, window: &str) -> Value {
    figures["accounts"][account]["windows"][window]["percent"].clone()
}

async fn accounts(stage: &Stage) -> Value {
    let mut request = get("/saros/v1/accounts");
    request.headers_mut().insert("x-api-key", TOKEN.parse().unwrap());
    stage.ask(request).await.json()
}

const TOKEN: &str = "client-token-0123456789";

/// The two accounts are 41 and 0 percent into their week.
fn town(configure: impl FnOnce(&mut Config)) -> Stage {
    let stage = Stage::with(2, false, |config| {
        config.client_tokens = vec![Secret::new(TOKEN.to_owned())];
        config.require_client_token = RequireClientToken::Never;
        configure(config);
    });
    stage.emulator.account("a", |account| {
        account.quota.set_percent(saros_emulator::Window::Weekly, 41.7, START);
    });
    stage
}

#[tokio::test(start_paused = true)]
async fn two_seconds_after_the_start_every_account_is_known() {
    let stage = town(|_| {}).informed();
    assert_eq!(percent(&accounts(&stage).await, 0, "weekly"), Value::Null);
    stage.seconds(2).await;
    let figures = accounts(&stage).await;
    let shown = percent(&figures, 0, "weekly");
    let (low, high) = (shown[0].as_f64().unwrap(), shown[1].as_f64().unwrap());
    // Floored by the service: the truth lies within the next percent.
    assert!((41.0..=41.7).contains(&low) && (41.7..=42.0).contains(&high), "{figures}");
    assert_eq!(figures["accounts"][0]["source"], "api");
    assert!(percent(&figures, 1, "weekly")[0].as_f64().is_some_and(|low| low < 0.5), "{figures}");
    let health = stage.key("a").await;
    assert_eq!(health["usage"]["weekly"]["percent"], shown);
    assert_eq!(asked(&stage).len(), 2, "one question for each account");
}

#[tokio::test(start_paused = true)]
async fn what_is_known_survives_a_restart() {
    let folder = TempDir::new().unwrap();
    let here = |config: &mut Config| config.state_dir = folder.path().join("saros");
    let stage = town(here).informed();
    stage.seconds(2).await;
    assert_eq!(stage.chat("glm-5.2").await.status, 200);
    let before = accounts(&stage).await;
    // Killed two seconds later: nothing is said to it before.
    stage.seconds(2).await;
    stage.app.state.flush();
    // A process that is gone holds no lock.
    stage.app.state.yield_place();
    let again = town(here);
    let after = accounts(&again).await;
    for account in 0..2 {
        for window in ["fiveHour", "weekly", "monthly"] {
            let was = percent(&before, account, window);
            let is = percent(&after, account, window);
            assert!(!was.is_null() && !is.is_null(), "{before}\n{after}");
            for end in 0..2 {
                let moved = (was[end].as_f64().unwrap() - is[end].as_f64().unwrap()).abs();
                assert!(moved < 0.5, "{account} {window}: {was} {is}");
            }
        }
    }
    assert_eq!(after["models"], before["models"]);
    assert!(before["models"][0]["requests"].as_u64() == Some(1), "{before}");
}

#[tokio::test(start_paused = true)]
async fn the_page_tells_where_the_api_is_silent_and_else_not() {
    for silent in [true, false] {
        let stage = town(|config| {
            let account = saros_emulator::Account::new("a");
            let clock = saros_emulator::Clock::starting_at(START);
            let twin = saros_emulator::Emulator::new(saros_emulator::Settings::default(), clock);
            twin.add_account(account);
            let account = twin.account("a", |account| account.clone()).unwrap();
            config.scraping = Some(Scraping {
                interval: std::time::Duration::from_secs(3_000),
                usage_threshold: 70,
                accounts: vec![ScrapingAccount {
                    workspace: account.workspace,
                    cookie: Secret::new(account.cookie),
                    key: config.keys[0].secret.key_id(),
                }],
            });
        });
        stage.emulator.settings(|settings| settings.usage_api = !silent);
        let stage = stage.informed();
        stage.seconds(5).await;
        let figures = accounts(&stage).await;
        let source = if silent { "page" } else { "api" };
        assert_eq!(figures["accounts"][0]["source"], source, "{figures}");
        assert!(percent(&figures, 0, "weekly")[0].as_f64().unwrap() >= 41.0, "{figures}");
        assert_eq!(percent(&figures, 1, "weekly").is_null(), silent, "it has no page");
    }
}

#[tokio::test(start_paused = true)]
async fn two_keys_of_one_account_are_shown_as_one() {
    let (a, b) = (saros_emulator::Key::new("a1"), saros_emulator::Key::new("a2"));
    let account = saros_emulator::Account::new("a").key(a).key(b);
    let stage = Stage::of(vec![account], false, |config| {
        config.client_tokens = vec![Secret::new(TOKEN.to_owned())];
    });
    stage.emulator.settings(|settings| settings.usage_ids = true);
    let stage = stage.informed();
    assert_eq!(accounts(&stage).await["accounts"].as_array().unwrap().len(), 2);
    stage.seconds(5).await;
    let figures = accounts(&stage).await;
    assert_eq!(figures["accounts"].as_array().unwrap().len(), 1, "{figures}");
    assert_eq!(figures["accounts"][0]["labels"], serde_json::json!(["a1", "a2"]));
}
