//! What goes wrong on the fault day, when, and what follows for whom.

use std::sync::atomic::Ordering;
use std::time::Duration;

use saros_emulator::{
    Account, Action, After, Emulator, Fault, FaultId, Quota, Row, Settings, Then, Window,
};

use super::traffic::Wish;
use crate::network::Road;
use crate::stage::{START, Stage};

pub(crate) const KEYS: [&str; 4] = ["a1", "a2", "b", "c"];
const MINUTE: i64 = 60_000;

/// What is wrong.
pub(crate) enum Trouble {
    /// The service answers these keys so, for one model or for all.
    Says(&'static [&'static str], Option<&'static str>, Row),
    /// Strikes some requests of one key; every other can serve them.
    Strikes(&'static str, u64, Action),
    /// The account's own state.
    State(&'static str, fn(&mut Account, i64), fn(&mut Account)),
    /// A window of these accounts is used up until the end of the episode.
    Exhausted(&'static [&'static str]),
    /// The service as a whole.
    Service(fn(&mut Settings, bool)),
    /// The way there.
    Way(Road),
    /// Something that happens and is over.
    Once(fn(&Stage)),
}

/// One trouble, from minute to minute.
pub(crate) struct Episode {
    begin: u64,
    end: u64,
    trouble: Trouble,
    faults: Vec<FaultId>,
}

pub(crate) struct Schedule {
    episodes: Vec<Episode>,
    now: u64,
    started: bool,
}

/// Minutes of the day.
const fn at(hour: u64, minute: u64) -> u64 {
    hour * 60 + minute
}

impl Schedule {
    pub(crate) fn new() -> Self {
        let mut episodes = plan();
        episodes.sort_by_key(|episode| episode.begin);
        Self { episodes, now: 0, started: false }
    }

    /// Ends what ends, and begins what begins, up to this minute.
    pub(crate) fn go_on(&mut self, minute: u64, stage: &Stage) {
        let before = self.now;
        self.now = minute;
        for episode in &mut self.episodes {
            if (before + 1..=minute).contains(&episode.end) {
                episode.finish(stage);
            }
        }
        let first = !std::mem::replace(&mut self.started, true);
        for episode in &mut self.episodes {
            let due = (before + 1..=minute).contains(&episode.begin);
            if due || (first && episode.begin == 0) {
                episode.start(stage);
            }
        }
    }

    /// Whether some account could serve this request now.
    pub(crate) fn could_serve(&self, emulator: &Emulator, wish: &Wish) -> bool {
        let now = emulator.clock().now_ms();
        let active = || self.episodes.iter().filter(|episode| episode.active(now));
        if active().any(|e| matches!(e.trouble, Trouble::Service(_) | Trouble::Way(_))) {
            return false;
        }
        let accounts = emulator.accounts();
        KEYS.iter().any(|key| {
            let account = accounts
                .iter()
                .find(|account| account.keys.iter().any(|own| own.label == *key && !own.deleted));
            let refused = active().any(|episode| match &episode.trouble {
                Trouble::Says(keys, model, _) => {
                    keys.contains(key) && model.is_none_or(|model| model == wish.model)
                }
                _ => false,
            });
            account.is_some_and(|account| {
                !refused
                    && !account.blocked
                    && account.quota.admit(now).is_ok()
                    && !account.unserved.iter().any(|model| model == wish.model)
            })
        })
    }

    fn any(&self, now: i64, slack: i64, wanted: impl Fn(&Trouble) -> bool) -> bool {
        self.episodes
            .iter()
            .any(|e| wanted(&e.trouble) && ms(e.begin) - MINUTE <= now && now < ms(e.end) + slack)
    }

    /// Streams were being cut at this time.
    pub(crate) fn cuts(&self, now: i64) -> bool {
        self.any(now, MINUTE, |trouble| {
            matches!(
                trouble,
                Trouble::Strikes(_, _, Action::Stream { .. }) | Trouble::Way(_) | Trouble::Once(_)
            )
        })
    }

    /// Headers did not come at this time.
    pub(crate) fn hangs(&self, now: i64) -> bool {
        self.any(now, 0, |trouble| matches!(trouble, Trouble::Strikes(_, _, Action::Hang)))
    }

    /// The key failed often enough on its own that its breaker may be open.
    pub(crate) fn may_rest(&self, key: &str, now: i64) -> bool {
        self.episodes.iter().any(|episode| {
            let Trouble::Strikes(struck, ..) = &episode.trouble else { return false };
            let long = ms(episode.end) - ms(episode.begin);
            let rest = ms(episode.begin)..ms(episode.end) + (2 * long).max(2 * MINUTE);
            same_account(key, struck) && rest.contains(&now)
        })
    }

    /// Its account had used up a window at this time.
    pub(crate) fn is_exhausted(&self, key: &str, now: i64) -> bool {
        let active = self.episodes.iter().filter(|episode| episode.active(now));
        let mut exhausted = active.filter_map(|episode| match &episode.trouble {
            Trouble::Exhausted(accounts) => Some(accounts.contains(&account_of(key))),
            _ => None,
        });
        exhausted.any(|is| is)
    }

    /// Until when a quota refusal at this time holds for the key.
    pub(crate) fn quota_ends(&self, key: &str, now: i64) -> Option<i64> {
        let active = self.episodes.iter().filter(|episode| episode.active(now));
        active
            .filter_map(|episode| match &episode.trouble {
                Trouble::Exhausted(accounts) if accounts.contains(&account_of(key)) => {
                    Some(ms(episode.end))
                }
                Trouble::Says(
                    keys,
                    _,
                    Row::GoUsage { retry_after, .. } | Row::BlackUsage { retry_after },
                ) if keys.contains(&key) => Some(now + retry_after * 1000),
                _ => None,
            })
            .max()
    }
}

impl Episode {
    fn active(&self, now: i64) -> bool {
        (ms(self.begin)..ms(self.end)).contains(&now)
    }

    fn start(&mut self, stage: &Stage) {
        let now = stage.emulator.clock().now_ms();
        match &self.trouble {
            Trouble::Says(keys, model, row) => {
                for key in *keys {
                    let fault = Fault::new(Action::Row(row.clone())).key(key);
                    let fault = match model {
                        Some(model) => fault.model(model),
                        None => fault,
                    };
                    self.faults.push(stage.fault(fault));
                }
            }
            Trouble::Strikes(key, times, action) => {
                let fault = Fault::new(action.clone()).key(key).times(*times);
                self.faults.push(stage.fault(fault));
            }
            Trouble::State(label, change, _) => {
                stage.emulator.account(label, |account| change(account, now)).unwrap();
            }
            Trouble::Exhausted(labels) => {
                let opened = ms(self.end) - 5 * 60 * MINUTE;
                for label in *labels {
                    let exhaust = |account: &mut Account| {
                        account.quota = Quota::new(account.plan, account.quota.created_ms);
                        account.quota.set_percent(Window::FiveHour, 100.0, opened);
                    };
                    stage.emulator.account(label, exhaust).unwrap();
                }
            }
            Trouble::Service(change) => stage.emulator.settings(|settings| change(settings, true)),
            Trouble::Way(road) => {
                stage.network.set(*road);
                stage.network.sever();
            }
            Trouble::Once(happens) => happens(stage),
        }
    }

    fn finish(&mut self, stage: &Stage) {
        for fault in self.faults.drain(..) {
            stage.emulator.clear_fault(fault);
        }
        match &self.trouble {
            Trouble::State(label, _, undo) => stage.emulator.account(label, undo).unwrap(),
            Trouble::Service(change) => stage.emulator.settings(|settings| change(settings, false)),
            Trouble::Way(_) => stage.network.set(Road::Open),
            Trouble::Says(..) | Trouble::Strikes(..) | Trouble::Exhausted(_) | Trouble::Once(_) => {
            }
        }
    }
}

pub(crate) fn account_of(key: &str) -> &str {
    if key.starts_with('a') { "a" } else { key }
}

pub(crate) fn same_account(key: &str, other: &str) -> bool {
    account_of(key) == account_of(other)
}

fn ms(minute: u64) -> i64 {
    START + i64::try_from(minute).unwrap() * MINUTE
}

/// A moment as hours and minutes of the day.
pub(crate) fn time(now: i64) -> String {
    let seconds = (now - START) / 1000;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn plan() -> Vec<Episode> {
    use Trouble::{Exhausted, Once, Says, Service, State, Strikes, Way};
    const ALL: &[&str] = &KEYS;
    const GLM: Option<&str> = Some("glm-5.2");
    const M3: Option<&str> = Some("minimax-m3");
    let stream = |after, then| Action::Stream { after, then };
    let html = |status| Action::Html { status };
    let unserve: fn(&mut Account, i64) = |account, _| account.unserved = vec!["minimax-m3".into()];
    let mut plan = vec![
        (at(0, 5), at(0, 10), Says(&["b"], GLM, Row::RateLimit)),
        // Both keys of `a` hear of it, and so turn out to be one account.
        (at(0, 20), at(1, 20), Exhausted(&["a"])),
        (at(0, 30), at(0, 40), Says(ALL, GLM, Row::ProviderSaturated)),
        (at(0, 50), at(1, 0), Way(Road::Closed)),
        (at(1, 30), at(1, 35), Way(Road::Silent)),
        (at(1, 45), at(1, 46), Once(|stage| stage.network.sever())),
        (at(2, 0), at(2, 7), Way(Road::BadTls)),
        (
            at(2, 15),
            at(2, 55),
            State("c", |c, _| c.keys[0].deleted = true, |c| c.keys[0].deleted = false),
        ),
        (at(4, 0), at(4, 5), Strikes("b", 100, html(502))),
        (at(4, 30), at(4, 35), Strikes("c", 3, Action::Hang)),
        (at(5, 0), at(5, 4), Says(ALL, GLM, Row::Internal)),
        (at(5, 20), at(5, 25), Service(|settings, on| settings.inference_down = on)),
        (at(5, 40), at(5, 45), Service(|settings, on| settings.routing_down = on)),
        (at(6, 0), at(6, 30), State("b", |b, _| b.blocked = true, |b| b.blocked = false)),
        (at(7, 30), at(9, 0), State("c", unserve, |c| c.unserved.clear())),
        (at(7, 40), at(8, 0), Says(&["a1", "a2"], Some("gpt-6-luna"), Row::Training)),
        (at(9, 10), at(9, 20), Exhausted(&["a"])),
        (at(9, 10), at(9, 25), Exhausted(&["b"])),
        (at(9, 10), at(9, 30), Exhausted(&["c"])),
        (at(9, 40), at(10, 0), Says(&["b"], None, Row::InsufficientBalance)),
        (at(10, 30), at(10, 33), Says(&["c"], None, Row::NotInRegion)),
        (at(10, 40), at(11, 0), Says(&["a1", "a2"], None, Row::AccountDisabled)),
        (at(11, 20), at(12, 0), Says(ALL, Some("beam-free"), Row::FreeUsage)),
        (at(11, 30), at(11, 33), Says(ALL, M3, Row::RateLimit)),
        (at(11, 40), at(11, 43), Strikes("b", 100, html(521))),
        (at(12, 10), at(12, 12), Strikes("c", 100, Action::Close)),
        (at(12, 30), at(12, 32), Strikes("a1", 100, Action::Reset)),
        (at(12, 50), at(13, 20), Says(&["b"], None, Row::MonthlyLimit { dollars: 5 })),
        // The laptop is closed for three hours while `b` is out and connections are open.
        (at(13, 55), at(16, 30), Exhausted(&["b"])),
        (at(14, 0), at(17, 0), Once(sleep)),
        // The wall clock is set back ten minutes while `c` is out.
        (at(17, 30), at(18, 30), Exhausted(&["c"])),
        (
            at(17, 40),
            at(17, 41),
            Once(|stage| {
                stage.ahead.store(-600_000, Ordering::Relaxed);
            }),
        ),
        (at(19, 0), at(19, 3), Strikes("b", 3, Action::RefuseStream)),
        (at(19, 10), at(19, 13), Strikes("c", 3, Action::GoAway { refuse: true })),
        (at(19, 20), at(19, 23), Strikes("a1", 3, Action::GoAway { refuse: false })),
        (at(19, 40), at(19, 50), Says(&["b"], None, Row::BlackUsage { retry_after: 900 })),
        (at(20, 10), at(20, 20), Says(&["c"], None, Row::AccessBlocked)),
        (at(21, 0), at(21, 10), Says(&["b", "c"], None, Row::UserLimit { dollars: 9 })),
        (
            at(21, 2),
            at(21, 6),
            State("a", |a, _| a.keys[0].deleted = true, |a| a.keys[0].deleted = false),
        ),
        (at(22, 0), at(22, 5), Strikes("c", 100, Action::Drip { bytes: 17, gap_ms: 30 })),
        (at(22, 10), at(22, 15), Way(Road::Closed)),
        (at(22, 30), at(22, 35), Says(ALL, None, Row::Internal)),
    ];
    // Each way in which a stream can break, on one account and then the next.
    let ways = [Then::Cut, Then::Reset, Then::End, Then::Error, Then::Stall];
    for (index, (then, key)) in (0..).zip(ways.into_iter().zip(["a1", "b", "c", "b", "c"])) {
        let begin = at(3, 0) + 8 * index;
        let after = [After::Events(2), After::Bytes(333), After::Terminal]
            [usize::try_from(index % 3).unwrap()];
        plan.push((begin, begin + 4, Strikes(key, 2, stream(after, then))));
    }
    plan.into_iter()
        .map(|(begin, end, trouble)| Episode { begin, end, trouble, faults: Vec::new() })
        .collect()
}

fn sleep(stage: &Stage) {
    stage.network.freeze();
    stage.emulator.clock().advance(Duration::from_secs(3 * 3600));
}
