//! Asking the service itself, where no proxy runs: with each key once, all at the same time.

use std::sync::Arc;

use saros_core::pool::NoUsage;
use saros_core::report::{Reading, Report};
use saros_core::window::Window as Name;
use tokio::task::JoinSet;

use crate::cli::screen::moment::Moment;
use crate::cli::usage::document::{Account, Document, Key, Pool, Standing, Window, Windows};
use crate::clock::Clock;
use crate::config::Config;
use crate::runtime::Tasks;
use crate::upstream::dial::Network;
use crate::upstream::exchange::Opener;
use crate::upstream::key::Key as Asking;
use crate::upstream::usage;

type Told = Result<Report, NoUsage>;

/// Asks with every key of the configuration.
pub async fn ask(config: &Config, network: Arc<Network>) -> Document {
    let opener = Arc::new(Opener::new(network, Tasks::default(), config.connect_timeout));
    let clock = Arc::new(Clock::system());
    let mut asking = JoinSet::new();
    for (place, key) in config.keys.iter().filter_map(Asking::new).map(Arc::new).enumerate() {
        let (opener, clock) = (Arc::clone(&opener), Arc::clone(&clock));
        asking.spawn(async move {
            let told = usage::ask(&opener, &key, &clock).await;
            (place, key.label.to_string(), told)
        });
    }
    let mut told = asking.join_all().await;
    told.sort_by_key(|(place, ..)| *place);
    let told: Vec<(String, Told)> =
        told.into_iter().map(|(_, label, told)| (label, told)).collect();
    document(&told, Moment::from_millis(clock.now().0))
}

/// Whether the service told anything.
pub fn told_anything(document: &Document) -> bool {
    document.accounts.iter().any(|account| account.reported_at.is_some())
}

fn document(told: &[(String, Told)], at: Moment) -> Document {
    let mut accounts: Vec<(Option<&Report>, Account)> = Vec::new();
    for (label, told) in told {
        let report = told.as_ref().ok();
        let shared = report.and_then(|report| {
            accounts.iter_mut().find(|(other, _)| other.is_some_and(|other| same(other, report)))
        });
        match shared {
            Some((_, account)) => add(account, label),
            None => accounts.push((report, account(label, told.as_ref()))),
        }
    }
    let accounts: Vec<Account> = accounts.into_iter().map(|(_, account)| account).collect();
    let out = accounts.iter().all(|account| account.standing.state == "outOfQuota");
    let returns = accounts.iter().filter_map(|account| account.standing.until).min();
    Document {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at,
        accounts,
        pool: Pool { returns: returns.filter(|_| out), ..Pool::default() },
        ..Document::default()
    }
}

/// Only what the service itself says tells that two keys are of one account: equal figures do not.
fn same(one: &Report, other: &Report) -> bool {
    let who = |report: &Report| report.user.clone().zip(report.workspace.clone());
    who(one).is_some() && who(one) == who(other)
}

fn account(label: &str, told: Result<&Report, &NoUsage>) -> Account {
    let standing = match told {
        Ok(report) => standing(report),
        Err(none) => refused(*none),
    };
    let mut account = Account { label: label.to_owned(), standing, ..Account::default() };
    add(&mut account, label);
    if let Ok(report) = told {
        let window = |name: Name| report.windows.get(name.index()).copied().flatten().map(window);
        account.windows = Windows {
            // One that nothing was taken from has not begun: its end moves along with the clock.
            five_hour: window(Name::FiveHour).map_or_else(Window::default, |window| Window {
                resets_at: window.resets_at.filter(|_| window.percent != Some((0.0, 1.0))),
                ..window
            }),
            weekly: window(Name::Weekly).unwrap_or_default(),
            monthly: window(Name::Monthly).unwrap_or_default(),
        };
        account.reported_at = Some(Moment::from_millis(report.received.0));
        account.source = Some("api".to_owned());
    }
    account
}

fn add(account: &mut Account, label: &str) {
    account.labels.push(label.to_owned());
    let standing = account.standing.clone();
    account.keys.push(Key { label: label.to_owned(), standing, in_flight: 0 });
}

fn standing(report: &Report) -> Standing {
    let limited = report.windows.iter().flatten().filter(|reading| reading.limited);
    let mut returns = limited.map(|reading| reading.resets_at).peekable();
    if returns.peek().is_none() {
        return Standing { state: "ready".to_owned(), ..Standing::default() };
    }
    let until = returns.flatten().max().map(|at| Moment::from_millis(at.0));
    let why = Some("quota".to_owned());
    Standing { state: "outOfQuota".to_owned(), why, until, last_fault: None }
}

fn refused(none: NoUsage) -> Standing {
    let (state, why) = match none {
        NoUsage::Refused => ("dead", "key-refused"),
        NoUsage::NotSubscribed => ("dead", "entitlement"),
        NoUsage::Absent => ("unknown", "untold"),
        NoUsage::Trouble { .. } => ("unknown", "trouble"),
    };
    Standing { state: state.to_owned(), why: Some(why.to_owned()), ..Standing::default() }
}

fn window(reading: Reading) -> Window {
    // The service floors.
    let percent = f64::from(reading.percent);
    Window {
        percent: Some((percent, (percent + 1.0).min(100.0))),
        limited: reading.limited,
        resets_at: reading.resets_at.map(|at| Moment::from_millis(at.0)),
        ..Window::default()
    }
}

#[cfg(test)]
mod tests {
    use saros_core::report::Source;
    use saros_core::time::Millis;

    use super::*;

    fn report(user: Option<&str>, week: Reading) -> Report {
        let idle = Reading { percent: 0, limited: false, resets_at: Some(Millis(18_000_000)) };
        Report {
            source: Source::Api,
            sent: Millis(0),
            received: Millis(1_000),
            windows: [Some(idle), Some(week), None],
            workspace: Some("wrk_x".to_owned()),
            user: user.map(str::to_owned),
            use_balance: None,
        }
    }

    #[test]
    fn keys_are_merged_only_where_the_service_says_whose_they_are() {
        let week = Reading { percent: 100, limited: true, resets_at: Some(Millis(60_000)) };
        let told = [
            ("a".to_owned(), Ok(report(Some("u"), week))),
            ("b".to_owned(), Err(NoUsage::Refused)),
            ("a2".to_owned(), Ok(report(Some("u"), week))),
            ("c".to_owned(), Ok(report(None, week))),
            ("d".to_owned(), Ok(report(None, week))),
        ];
        let document = document(&told, Moment::from_millis(0));
        let labels: Vec<_> = document.accounts.iter().map(|one| one.labels.join("+")).collect();
        assert_eq!(labels, ["a+a2", "b", "c", "d"]);
        let states: Vec<_> = document.accounts.iter().map(|one| &*one.standing.state).collect();
        assert_eq!(states, ["outOfQuota", "dead", "outOfQuota", "outOfQuota"]);
        let a = &document.accounts[0];
        assert_eq!(a.standing.until, Some(Moment::from_millis(60_000)));
        assert_eq!(
            (a.windows.five_hour.resets_at, a.windows.five_hour.percent),
            (None, Some((0.0, 1.0)))
        );
        assert_eq!(a.windows.weekly.percent, Some((100.0, 100.0)));
        assert_eq!(a.windows.monthly.percent, None);
        assert_eq!(document.pool.returns, None, "b may return before");
        assert!(told_anything(&document));
    }

    #[test]
    fn what_is_not_told() {
        let told = [
            ("a".to_owned(), Err(NoUsage::Absent)),
            ("b".to_owned(), Err(NoUsage::Trouble { retry_after: None })),
            ("c".to_owned(), Err(NoUsage::NotSubscribed)),
        ];
        let document = document(&told, Moment::from_millis(0));
        let whys: Vec<_> =
            document.accounts.iter().map(|one| one.standing.why.clone().unwrap()).collect();
        assert_eq!(whys, ["untold", "trouble", "entitlement"]);
        assert!(!told_anything(&document));
    }
}
