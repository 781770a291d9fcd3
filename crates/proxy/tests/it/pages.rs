//! The dashboard page as a source of usage.

use std::time::Duration;

use saros_core::id::KeyId;
use saros_emulator::{Action, Entry, Fault, FaultId, Window};
use saros_proxy::config::{Scraping, ScrapingAccount};
use saros_proxy::secret::Secret;
use serde_json::{Value, json};

use crate::captured::Captured;
use crate::stage::{Answer, START, Stage, get, send_over};

/// The page of each of two accounts, read every twenty seconds.
fn stage(cookies: [&str; 2]) -> Stage {
    let accounts = ["a", "b"].map(saros_emulator::Account::new);
    Stage::of(accounts.to_vec(), false, |config| {
        let of = |place: usize| ScrapingAccount {
            workspace: workspace(place),
            cookie: Secret::new(cookies[place].to_owned()),
            key: KeyId(config.keys[place].secret.fingerprint()),
        };
        config.scraping = Some(Scraping {
            interval: Duration::from_secs(20),
            usage_threshold: 65,
            accounts: vec![of(0), of(1)],
        });
    })
}

/// Ids and cookies of the emulator's accounts follow from their labels.
fn emulated(label: &str) -> saros_emulator::Account {
    let clock = saros_emulator::Clock::starting_at(START);
    let emulator = saros_emulator::Emulator::new(saros_emulator::Settings::default(), clock);
    emulator.add_account(saros_emulator::Account::new(label));
    emulator.account(label, |account| account.clone()).unwrap()
}

fn workspace(place: usize) -> String {
    emulated(["a", "b"][place]).workspace
}

fn good() -> Stage {
    let [a, b] = ["a", "b"].map(|label| emulated(label).cookie);
    stage([&a, &b])
}

fn pages(stage: &Stage) -> Vec<Entry> {
    let mut log = stage.emulator.log();
    log.retain(|entry| entry.path.starts_with("/workspace/"));
    log
}

fn page(stage: &Stage, status: u16, headers: &[(&str, &str)], body: &str) -> FaultId {
    let headers =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let answer = Action::Answer { status, headers, body: body.to_owned() };
    stage.fault(Fault::new(answer).path(&format!("{}/go", workspace(0))))
}

async fn scraping(stage: &Stage) -> Value {
    stage.health().await["scraping"].clone()
}

#[tokio::test(start_paused = true)]
async fn read_at_the_start_and_then_at_every_interval() {
    let stage = good();
    stage.emulator.account("a", |account| {
        account.quota.set_percent(Window::FiveHour, 12.9, START);
        account.quota.set_percent(Window::Weekly, 40.0, START);
        account.quota.set_percent(Window::Monthly, 100.0, START);
    });
    stage.seconds(1).await;
    let first = pages(&stage);
    let paths: Vec<&str> = first.iter().map(|entry| entry.path.as_str()).collect();
    let (a, b) = (workspace(0), workspace(1));
    assert_eq!(paths, [format!("/workspace/{a}/go"), format!("/workspace/{b}/go")]);
    let cookie = format!("auth={}", emulated("a").cookie);
    assert_eq!(first[0].header("cookie"), Some(cookie.as_str()));
    assert_eq!(first[0].header("authorization"), None, "the key is not for this page");
    let product = concat!("saros-proxy/", env!("CARGO_PKG_VERSION"));
    assert_eq!(first[0].header("user-agent"), Some(product));
    assert_eq!(
        scraping(&stage).await,
        json!({
            "enabled": true, "running": true, "intervalMs": 20_000, "usageThreshold": 65,
            "accounts": [
                { "workspaceId": a, "usage": { "rolling": 12, "weekly": 40, "monthly": 100 },
                  "lastScrapedAt": "2026-11-19T12:00:00.000Z", "lastError": null },
                { "workspaceId": b, "usage": { "rolling": 0, "weekly": 0, "monthly": 0 },
                  "lastScrapedAt": "2026-11-19T12:00:00.000Z", "lastError": null },
            ],
        })
    );
    stage.seconds(18).await;
    assert_eq!(pages(&stage).len(), 2);
    stage.seconds(2).await;
    assert_eq!(pages(&stage).len(), 4);
    let off = Stage::new(1);
    off.seconds(3_600).await;
    assert_eq!((pages(&off).len(), scraping(&off).await), (0, json!({ "enabled": false })));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_cannot_be_read_gives_no_number_and_one_warning() {
    let log = Captured::log();
    for (status, headers, body, error) in [
        (302, vec![("location", "/auth/authorize")], "", "the cookie has expired"),
        (302, vec![("location", "https://auth.opencode.ai/x")], "", "the cookie has expired"),
        (302, vec![("location", "/elsewhere")], "", "status 302"),
        (401, vec![], "", "the cookie has expired"),
        (200, vec![], "<form>Sign in to continue</form>", "the cookie has expired"),
        (200, vec![], "<html>a new dashboard, 99%</html>", "the page has changed"),
        (200, vec![], "mine:!1,rollingUsage:{usagePercent:99}", "belongs to another member"),
        (404, vec![], "", "no such page"),
        (503, vec![], "rollingUsage:{usagePercent:99}", "status 503"),
    ] {
        let stage = good();
        stage.emulator.account("a", |account| {
            account.quota.set_percent(Window::Weekly, 40.0, START);
        });
        stage.seconds(1).await;
        let fault = page(&stage, status, &headers, body);
        let count = |text: &str| {
            let ours = |line: &&str| line.contains("cannot be read") && line.contains(error);
            text.lines().filter(ours).count()
        };
        let before = count(&log.until(|_| true));
        stage.seconds(60).await;
        let seen = scraping(&stage).await["accounts"][0].clone();
        let shown = seen["lastError"].as_str().unwrap_or_default().to_owned();
        assert!(shown.contains(error), "{status} {body}: {seen}");
        assert_eq!(seen["usage"]["weekly"], 40, "what was read before stays: {seen}");
        assert_eq!(seen["lastScrapedAt"], "2026-11-19T12:01:00.000Z");
        assert_eq!(scraping(&stage).await["accounts"][1]["lastError"], Value::Null);
        let text = log.until(|text| count(text) > before);
        assert_eq!(count(&text), before + 1, "{error}: once, not with every round");
        assert!(!text.contains("Fe26"), "no cookie in the log");
        stage.emulator.clear_fault(fault);
        stage.seconds(20).await;
        assert_eq!(scraping(&stage).await["accounts"][0]["lastError"], Value::Null);
        assert_eq!(stage.health().await["disabledCount"], 0, "nobody is blamed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_cookie_and_the_markup() {
    let stage = stage(["Fe26.2**wrong", "Fe26.2**wrong"]);
    stage.seconds(1).await;
    let seen = scraping(&stage).await["accounts"][0].clone();
    assert_eq!(seen["usage"], json!({ "rolling": null, "weekly": null, "monthly": null }));
    assert_eq!(seen["lastError"], "the cookie has expired or is not valid");
    let stage = good();
    let markup = |name, percent| {
        format!("<div data-slot=\"usage-item\"><b>{name} Usage</b><i>{percent}%</i></div>")
    };
    page(&stage, 200, &[], &(markup("Weekly", 7) + &markup("Monthly", 8)));
    stage.seconds(1).await;
    let seen = scraping(&stage).await["accounts"][0].clone();
    assert_eq!(seen["usage"], json!({ "rolling": null, "weekly": 7, "monthly": 8 }));
}

#[tokio::test(start_paused = true)]
async fn the_owner_is_told_at_the_start_that_there_is_a_better_way() {
    let log = Captured::log();
    let stage = good();
    stage.seconds(1).await;
    let text = log.until(|text| text.contains("scraping is on"));
    assert!(text.contains("deprecated") && text.contains("usage API"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn others_learn_no_workspace() {
    let stage = good();
    stage.seconds(1).await;
    let far = "10.1.2.3:9".parse().unwrap();
    let answer = send_over(stage.connect_from(far), get("/health")).await.unwrap();
    let scraping = Answer::read(answer).await.json()["scraping"].clone();
    assert_eq!(
        scraping,
        json!({ "enabled": true, "running": true, "intervalMs": 20_000, "usageThreshold": 65 })
    );
}
