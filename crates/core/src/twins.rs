//! Two keys that share an account, found out by what upstream reports.
//!
//! Where reports name the workspace and the user, those decide. Elsewhere two keys are taken for
//! one when their months reset at the same second and their percents agree, and are not nothing,
//! in every window, several times in a row and well apart.

use std::collections::BTreeMap;

use crate::id::AccountId;
use crate::report::Report;
use crate::time::{MINUTE, Millis, SECOND};
use crate::window::{PerWindow, Window};

/// Agreements needed, and how far apart.
const TIMES: u32 = 3;
const APART: i64 = 10 * MINUTE;

/// Percents that were asked for within this span cannot differ for long in one account. Equal ones
/// count whenever they were.
const TOGETHER: i64 = 30 * SECOND;

/// How two accounts compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likeness {
    /// They are one.
    Same,
    /// They are two: other names, or other months.
    Different,
    /// They agree in everything that was reported.
    Alike,
    /// Their percents disagree.
    Unlike,
    /// Nothing to conclude: an idle account, an unknown reset.
    Silent,
}

/// What an account was last reported to be.
#[derive(Debug, Clone, PartialEq)]
struct Portrait {
    sent: Millis,
    /// Seconds.
    month: Option<i64>,
    percent: PerWindow<Option<u8>>,
    workspace: Option<String>,
    user: Option<String>,
}

/// Which accounts may be one.
#[derive(Debug, Default)]
pub struct Twins {
    portraits: BTreeMap<AccountId, Portrait>,
    /// How often two of them agreed, and when last.
    alike: BTreeMap<(AccountId, AccountId), (u32, Millis)>,
}

impl Portrait {
    fn of(report: &Report) -> Self {
        let monthly = report.windows.get(Window::Monthly.index()).copied().flatten();
        let second = |at: Millis| at.0.saturating_add(SECOND / 2).div_euclid(SECOND);
        Self {
            sent: report.sent,
            month: monthly.and_then(|monthly| monthly.resets_at).map(second),
            percent: report.windows.map(|window| window.map(|window| window.percent)),
            workspace: report.workspace.clone(),
            user: report.user.clone(),
        }
    }

    fn compare(&self, other: &Self) -> Likeness {
        let differ = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
        if differ(&self.workspace, &other.workspace) || differ(&self.user, &other.user) {
            return Likeness::Different;
        }
        let equal = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
        if equal(&self.workspace, &other.workspace) && equal(&self.user, &other.user) {
            return Likeness::Same;
        }
        let (Some(month), Some(others)) = (self.month, other.month) else {
            return Likeness::Silent;
        };
        if month != others {
            return Likeness::Different;
        }
        let mut idle = false;
        for pair in self.percent.iter().zip(&other.percent) {
            let (Some(own), Some(other)) = pair else { return Likeness::Silent };
            if own != other {
                return Likeness::Unlike;
            }
            idle |= *own == 0;
        }
        if idle { Likeness::Silent } else { Likeness::Alike }
    }
}

impl Twins {
    /// Compares a report of one account with what the others were last reported to be. Returns an
    /// account that is the same one, if there is any; call it again after merging.
    pub fn observe(&mut self, account: AccountId, report: &Report) -> Option<AccountId> {
        let portrait = Portrait::of(report);
        let mut same = None;
        for (other, theirs) in &self.portraits {
            if *other == account {
                continue;
            }
            let pair = (account.min(*other), account.max(*other));
            match portrait.compare(theirs) {
                Likeness::Same => same = same.or(Some(*other)),
                Likeness::Different => {
                    self.alike.remove(&pair);
                }
                Likeness::Unlike if portrait.sent.since(theirs.sent).abs() <= TOGETHER => {
                    self.alike.remove(&pair);
                }
                Likeness::Unlike | Likeness::Silent => {}
                Likeness::Alike => {
                    let (times, last) = self.alike.entry(pair).or_insert((0, Millis(i64::MIN)));
                    if *times == 0 || portrait.sent.since(*last) >= APART {
                        (*times, *last) = (*times + 1, portrait.sent);
                    }
                    if *times >= TIMES {
                        same = same.or(Some(*other));
                    }
                }
            }
        }
        let newer = self.portraits.get(&account).is_none_or(|old| old.sent <= portrait.sent);
        if newer {
            self.portraits.insert(account, portrait);
        }
        same
    }

    /// The account is no more, or has become part of another.
    pub fn forget(&mut self, account: AccountId) {
        self.portraits.remove(&account);
        self.alike.retain(|(one, other), _| *one != account && *other != account);
    }

    /// The clock was moved by so many milliseconds.
    pub fn shift(&mut self, span: i64) {
        for portrait in self.portraits.values_mut() {
            portrait.sent = portrait.sent.plus(span);
        }
        for (times, last) in self.alike.values_mut() {
            if *times > 0 {
                *last = last.plus(span);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Reading, Source};

    const A: AccountId = AccountId(1);
    const B: AccountId = AccountId(2);

    fn report(sent: i64, percent: PerWindow<u8>, month: i64) -> Report {
        let reading = |percent| {
            Some(Reading { percent, limited: false, resets_at: Some(Millis(month + sent % 300)) })
        };
        Report {
            source: Source::Api,
            sent: Millis(sent),
            received: Millis(sent + 100),
            windows: percent.map(reading),
            workspace: None,
            user: None,
            use_balance: None,
        }
    }

    fn named(mut report: Report, workspace: &str, user: &str) -> Report {
        report.workspace = Some(workspace.to_owned());
        report.user = Some(user.to_owned());
        report
    }

    /// Both accounts report at each of these minutes; at which are they found to be one?
    fn check(
        reports: &[(i64, PerWindow<u8>, PerWindow<u8>)],
        months: (i64, i64),
        expected: Option<i64>,
    ) {
        let mut twins = Twins::default();
        let mut found = None;
        for (minute, a, b) in reports {
            let at = minute * MINUTE;
            assert_eq!(twins.observe(A, &report(at, *a, months.0)), None);
            if twins.observe(B, &report(at + 2_000, *b, months.1)).is_some() && found.is_none() {
                found = Some(*minute);
                break;
            }
        }
        assert_eq!(found, expected, "{reports:?}");
    }

    #[test]
    fn names_decide_at_once_and_for_good() {
        let mut twins = Twins::default();
        let usage = |at| report(at, [5, 5, 5], 0);
        assert_eq!(twins.observe(A, &named(usage(0), "w", "u")), None);
        assert_eq!(twins.observe(B, &named(usage(1), "w", "u")), Some(A));
        for n in 1..10 {
            assert_eq!(twins.observe(B, &named(usage(n * APART), "w", "v")), None, "another user");
            assert_eq!(twins.observe(A, &named(usage(n * APART), "w", "u")), None);
        }
    }

    #[test]
    fn agreement_must_last_and_mean_something() {
        let (some, more, zero) = ([5, 3, 2], [6, 3, 2], [0, 3, 2]);
        let month = (1_000_000_000, 1_000_000_000);
        check(&[(0, some, some), (10, some, some), (20, more, more)], month, Some(20));
        check(&[(0, some, some), (5, some, some), (9, some, some)], month, None);
        check(
            &[(0, some, some), (5, some, some), (10, some, some), (20, some, some)],
            month,
            Some(20),
        );
        check(&[(0, some, some), (10, some, more), (20, some, some)], month, None);
        check(&[(0, zero, zero), (10, zero, zero), (20, zero, zero)], month, None);
        check(&[(0, some, some), (10, some, some), (20, some, some)], (0, 1_000), None);
        check(
            &[(0, some, some), (10, zero, zero), (20, some, some), (30, more, more)],
            month,
            Some(30),
        );
    }

    #[test]
    fn a_difference_counts_only_at_the_same_moment() {
        let observe = |apart: i64| {
            let mut twins = Twins::default();
            let mut found = None;
            for n in 0..8 {
                let at = n * 2 * APART;
                let _ = twins.observe(A, &report(at, [5, 5, 5], 0));
                let percent = if n % 2 == 0 { 5 } else { 6 };
                found = found.or(twins.observe(B, &report(at + apart, [5, 5, percent], 0)));
            }
            found
        };
        assert_eq!(observe(TOGETHER), None);
        assert_eq!(observe(TOGETHER + 1), Some(A));
    }
}
