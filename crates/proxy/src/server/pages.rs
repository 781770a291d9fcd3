//! Reads the dashboard pages of `scraping`: first at the start or when it is switched on, then every
//! `intervalMs`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use saros_core::pool::Observation;
use saros_core::report::Report;
use saros_core::time::Millis;
use saros_core::window::{PerWindow, Window};
use serde::Serialize;
use tokio::time::Instant;

use crate::config::{Scraping, ScrapingAccount};
use crate::server::app::App;
use crate::server::time::iso;
use crate::upstream::page;

/// What came of each workspace's page last.
#[derive(Debug, Default)]
pub struct Pages(Mutex<BTreeMap<String, Seen>>);

#[derive(Debug, Clone, Default)]
struct Seen {
    percent: PerWindow<Option<u8>>,
    at: Millis,
    error: Option<String>,
}

impl Pages {
    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads pages, as the configuration in use says. Never ends.
pub async fn read(app: &Arc<App>) {
    let mut introduced = false;
    loop {
        let setup = Arc::clone(&app.setup());
        // While the proxy drains nobody needs to know any more.
        let Some(scraping) = setup.config.scraping.as_ref().filter(|_| app.stage() == 0) else {
            introduced = false;
            app.pages.seen().clear();
            app.reloaded.notified().await;
            continue;
        };
        if !std::mem::replace(&mut introduced, true) {
            introduce(scraping);
        }
        let begun = Instant::now();
        for account in &scraping.accounts {
            look(app, account).await;
        }
        tokio::select! {
            () = tokio::time::sleep_until(begun + scraping.interval) => {}
            () = app.reloaded.notified() => {}
        }
    }
}

fn introduce(scraping: &Scraping) {
    tracing::warn!(
        pages = scraping.accounts.len(),
        "scraping is on: a dashboard page is read with your browser's cookie. The service has \
         deprecated that page and its terms forbid to scrape it. The usage API tells the same with \
         your key alone, is always on, and counts first where it answers: set scraping.enabled to \
         false"
    );
}

async fn look(app: &Arc<App>, account: &ScrapingAccount) {
    let Some(key) = app.key(account.key) else { return };
    let read = page::read(&app.opener, &key, account, &app.clock).await;
    let error = read.as_ref().err().map(ToString::to_string);
    let before = note(app, account, read.as_ref().ok(), error.clone());
    match (read, error) {
        (Ok(report), _) => {
            if before.is_some() {
                tracing::info!(key = &*key.label, "The dashboard page can be read again");
            }
            app.observe(key.id, Observation::Page(report));
        }
        // Once, not with every round.
        (Err(_), Some(error)) if before.as_ref() != Some(&error) => tracing::warn!(
            key = &*key.label,
            workspace = account.workspace,
            error,
            "The dashboard page of an account cannot be read: its figures are not used"
        ),
        (Err(_), _) => {}
    }
}

/// Writes down what came; returns the error of the time before.
fn note(
    app: &App,
    account: &ScrapingAccount,
    report: Option<&Report>,
    error: Option<String>,
) -> Option<String> {
    let mut all = app.pages.seen();
    let seen = all.entry(account.workspace.clone()).or_default();
    seen.at = app.clock.now();
    if let Some(report) = report {
        seen.percent = report.windows.map(|window| window.map(|window| window.percent));
    }
    std::mem::replace(&mut seen.error, error)
}

/// `scraping` in `/health`; the names are the original's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    enabled: bool,
    #[serde(flatten)]
    details: Option<Details>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    running: bool,
    interval_ms: u64,
    usage_threshold: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<Vec<Account>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    workspace_id: String,
    usage: Percent,
    last_scraped_at: String,
    last_error: Option<String>,
}

#[derive(Serialize)]
struct Percent {
    rolling: Option<u8>,
    weekly: Option<u8>,
    monthly: Option<u8>,
}

/// What `/health` says. `trusted`: the pages that were read, not only that some are.
pub fn health(app: &App, trusted: bool) -> Health {
    let setup = app.setup();
    let details = setup.config.scraping.as_ref().map(|scraping| Details {
        running: app.stage() == 0,
        interval_ms: u64::try_from(scraping.interval.as_millis()).unwrap_or(u64::MAX),
        usage_threshold: scraping.usage_threshold,
        accounts: trusted.then(|| accounts(app, scraping)),
    });
    Health { enabled: details.is_some(), details }
}

fn accounts(app: &App, scraping: &Scraping) -> Vec<Account> {
    let seen = app.pages.seen();
    let read = scraping.accounts.iter().filter_map(|account| {
        let Seen { percent, at, error } = seen.get(&account.workspace)?;
        let of = |window: Window| percent.get(window.index()).copied().flatten();
        Some(Account {
            workspace_id: account.workspace.clone(),
            usage: Percent {
                rolling: of(Window::FiveHour),
                weekly: of(Window::Weekly),
                monthly: of(Window::Monthly),
            },
            last_scraped_at: iso(*at),
            last_error: error.clone(),
        })
    });
    read.collect()
}
