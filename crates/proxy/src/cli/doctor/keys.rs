//! Every key: whether the service accepts it, how its windows stand, whose account it is.

use std::sync::Arc;

use saros_core::pool::NoUsage;
use saros_core::report::{Reading, Report as Usage};
use saros_core::time::Millis;
use saros_core::window::Window;

use crate::cli::doctor::Report;
use crate::cli::doctor::finding::{Finding, check};
use crate::cli::say;
use crate::clock::Clock;
use crate::config::{Balance, Config, KeyConfig};
use crate::upstream::exchange::Opener;
use crate::upstream::key::Key;
use crate::upstream::usage;

/// Asks for every key's windows; the keys that may be used now.
pub async fn look(
    keys: &[Arc<Key>],
    config: &Config,
    opener: &Opener,
    clock: &Clock,
    report: &mut Report,
) -> Vec<Arc<Key>> {
    let mut open = Vec::new();
    let mut known: Vec<(Arc<Key>, Usage)> = Vec::new();
    for key in keys {
        let configured = config.keys.iter().find(|configured| configured.label == key.label);
        match usage::ask(opener, key, clock).await {
            Ok(usage) => {
                report.add(standing(&key.label, &usage, configured, clock.now()));
                if let Some((other, _)) =
                    known.iter().find(|(_, other)| same_account(other, &usage))
                {
                    report.add(shared(&key.label, &other.label));
                }
                if !usage.windows.iter().flatten().any(|reading| reading.limited) {
                    open.push(Arc::clone(key));
                }
                known.push((Arc::clone(key), usage));
            }
            Err(none) => {
                report.add(refused(&key.label, none));
                if matches!(none, NoUsage::Absent | NoUsage::Trouble { .. }) {
                    open.push(Arc::clone(key));
                }
            }
        }
    }
    open
}

fn standing(label: &str, usage: &Usage, configured: Option<&KeyConfig>, now: Millis) -> Finding {
    let mut parts = Vec::new();
    let mut limited = None;
    for window in Window::ALL {
        let Some(reading) = usage.windows.get(window.index()).copied().flatten() else { continue };
        parts.push(format!("{} {} %", name(window), reading.percent));
        if reading.limited {
            limited = limited.max(Some(returns(reading, now)));
        }
    }
    let plan = configured.and_then(|key| key.plan).map(|plan| format!(", plan {}", plan.name()));
    let balance = match usage.use_balance {
        Some(true) => ", balance is used beyond them",
        Some(false) => ", balance is not used",
        None => "",
    };
    let what = format!("{label}: {}{}{balance}", parts.join(", "), plan.unwrap_or_default());
    match limited {
        None => Finding::ok(check::KEY, what),
        Some(seconds) => {
            let what = format!("{what}; out of quota, back in {}", say::time(seconds));
            let pays = configured.is_some_and(|key| key.allow_balance != Balance::Never);
            let fix = if pays {
                "requests on it are paid from the balance, as allowBalance says"
            } else {
                "nothing to do: the other keys are used meanwhile"
            };
            Finding::warning(check::KEY, what).fix(fix)
        }
    }
}

const fn name(window: Window) -> &'static str {
    match window {
        Window::FiveHour => "5 hours",
        Window::Weekly => "week",
        Window::Monthly => "month",
    }
}

fn returns(reading: Reading, now: Millis) -> u64 {
    let milliseconds = reading.resets_at.map_or(0, |at| at.since(now));
    u64::try_from(milliseconds / 1000).unwrap_or(0)
}

/// Quota belongs to an account, not to a key: two keys whose month ends in the same second and
/// whose windows are equally full are almost surely of one account, where the service does not say.
fn same_account(one: &Usage, other: &Usage) -> bool {
    if let (Some(one_user), Some(other_user)) = (&one.user, &other.user) {
        return (one_user, &one.workspace) == (other_user, &other.workspace);
    }
    let end = |usage: &Usage| {
        let month = usage.windows.get(Window::Monthly.index()).copied().flatten()?;
        // The milliseconds differ from answer to answer.
        Some((month.resets_at?.0 + 500) / 1000)
    };
    let percents =
        |usage: &Usage| usage.windows.map(|reading| reading.map(|reading| reading.percent));
    let close = |one: i64, other: i64| (one - other).abs() <= 1;
    end(one).zip(end(other)).is_some_and(|(one, other)| close(one, other))
        && percents(one) == percents(other)
}

fn shared(label: &str, other: &str) -> Finding {
    Finding::warning(check::KEY, format!("{label} and {other} seem to be keys of the same account"))
        .fix("two keys of one account share its windows: remove one, or make the other in another account")
}

fn refused(label: &str, none: NoUsage) -> Finding {
    match none {
        NoUsage::Refused => {
            Finding::broken(check::KEY, format!("{label}: the service does not know this key"))
                .fix("make a new one at https://opencode.ai and put it in its place")
        }
        NoUsage::NotSubscribed => {
            Finding::broken(check::KEY, format!("{label}: no OpenCode Go subscription"))
                .fix("subscribe with the user who made the key, or remove it")
        }
        NoUsage::Absent => {
            Finding::note(check::KEY, format!("{label}: the service does not tell its usage here"))
        }
        NoUsage::Trouble { retry_after } => {
            let wait = retry_after.map(|seconds| format!(", try again in {}", say::time(seconds)));
            let what =
                format!("{label}: its usage could not be asked for{}", wait.unwrap_or_default());
            Finding::warning(check::KEY, what).fix("the service may have trouble; try again later")
        }
    }
}

#[cfg(test)]
mod tests {
    use saros_core::report::Source;

    use super::*;
    use crate::cli::doctor::finding::Level;

    fn usage(percent: u8, month_ends: i64) -> Usage {
        let reading = |percent, at| {
            Some(Reading { percent, limited: percent == 100, resets_at: Some(Millis(at)) })
        };
        Usage {
            source: Source::Api,
            sent: Millis(0),
            received: Millis(0),
            windows: [
                reading(4, 18_000_000),
                reading(3, 100_000_000),
                reading(percent, month_ends),
            ],
            workspace: None,
            user: None,
            use_balance: None,
        }
    }

    #[test]
    fn one_account_is_recognised() {
        let a = usage(7, 1_000_000_287);
        assert!(same_account(&a, &usage(7, 1_000_000_901)));
        assert!(!same_account(&a, &usage(8, 1_000_000_287)));
        assert!(!same_account(&a, &usage(7, 1_000_003_000)));
        let named = |user: &str| Usage { user: Some(user.to_owned()), ..a.clone() };
        assert!(same_account(&named("u"), &named("u")));
        assert!(!same_account(&named("u"), &named("v")));
        let silent = Usage { windows: [None; 3], ..a.clone() };
        assert!(!same_account(&silent, &silent));
    }

    #[test]
    fn windows_are_told() {
        let finding = standing("home", &usage(99, 1_000), None, Millis(0));
        assert_eq!(finding, Finding::ok(check::KEY, "home: 5 hours 4 %, week 3 %, month 99 %"));
        let finding = standing("home", &usage(100, 90_000_000), None, Millis(0));
        assert_eq!(finding.level, Level::Warning);
        assert!(
            finding.what.ends_with("month 100 %; out of quota, back in 1 d 1 h"),
            "{}",
            finding.what
        );
    }
}
