//! What every account was known to refuse, and until when, by the rules of the design, read from
//! the service's own log: independent of what the proxy remembers.

use std::collections::BTreeMap;

use saros_emulator::{Emulator, Entry};
use serde_json::Value;

use super::schedule::{KEYS, Schedule, same_account, time};
use super::traffic::Wish;
use crate::stage::START;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A refusal that holds for a while.
#[derive(Debug)]
struct Known {
    key: String,
    /// Speaks of the account, whatever key asks.
    account: bool,
    model: Option<String>,
    from: i64,
    until: i64,
    why: String,
}

pub(crate) struct Ledger {
    known: Vec<Known>,
    attempts: Vec<(String, Entry)>,
    /// When both keys of one account had been told their workspace.
    merged: i64,
}

/// What the service said.
struct Said {
    status: u16,
    kind: String,
    code: String,
    bare: bool,
}

impl Said {
    fn of(entry: &Entry) -> Self {
        let body = entry.answer.as_deref().unwrap_or_default();
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let word = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
        Self {
            status: entry.status.unwrap_or_default(),
            kind: word("type"),
            code: word("code"),
            bare: body["model"].is_string() && body.get("error").is_none(),
        }
    }
}

impl Ledger {
    pub(crate) fn read(emulator: &Emulator, schedule: &Schedule, informed: bool) -> Self {
        let keys = emulator.keys();
        let attempts: Vec<(String, Entry)> = super::requests(emulator)
            .into_iter()
            .map(|entry| {
                let shown = entry.header("x-api-key").or_else(|| entry.header("authorization"));
                let shown = shown.unwrap().trim_start_matches("Bearer ");
                let key = keys.iter().find(|key| key.secret == shown).unwrap();
                (key.label.clone(), entry)
            })
            .collect();
        let mut ended: Vec<_> = attempts.iter().collect();
        ended.sort_by_key(|(_, entry)| entry.ended_ms);
        let mut known = Vec::new();
        // How often in a row, by what grows.
        let mut rows: BTreeMap<(String, Option<String>), (u32, i64)> = BTreeMap::new();
        let mut told: BTreeMap<String, i64> = BTreeMap::new();
        for (key, entry) in ended {
            let now = entry.ended_ms.unwrap();
            let model = entry.model.clone();
            let said = Said::of(entry);
            let mut grown = |model: Option<String>, first: i64| {
                let (row, last) = rows.entry((key.clone(), model)).or_default();
                // What was under way when the last refusal came is no new one.
                if entry.at_ms > *last {
                    (*row, *last) = (*row + 1, now);
                }
                (first << (*row - 1).min(10)).min(DAY)
            };
            let (account, model, span) = match (said.status, said.kind.as_str(), said.code.as_str())
            {
                (200, ..) => {
                    rows.remove(&(key.clone(), None));
                    rows.remove(&(key.clone(), model));
                    continue;
                }
                (429, "GoUsageLimitError" | "BlackUsageLimitError", _) => {
                    if said.kind == "GoUsageLimitError" {
                        told.entry(key.clone()).or_insert(now);
                    }
                    let ends = schedule.quota_ends(key, now);
                    let ends = ends.unwrap_or_else(|| panic!("{} {entry:?}", time(now)));
                    (true, None, ends - now)
                }
                (429, "RateLimitError", _) => (true, model, MINUTE),
                (429, "FreeUsageLimitError", _) => {
                    let midnight = START + 12 * HOUR;
                    for key in KEYS {
                        known.push(Known {
                            key: key.to_owned(),
                            account: false,
                            model: model.clone(),
                            from: now,
                            until: midnight,
                            why: said.kind.clone(),
                        });
                    }
                    continue;
                }
                (401, "AuthError", _) => (false, None, grown(None, 10 * MINUTE)),
                (401, "CreditsError" | "MonthlyLimitError" | "UserLimitError", _)
                | (_, _, "INFERENCE_ACCESS_BLOCKED" | "Account.Disabled") => {
                    (true, None, grown(None, 10 * MINUTE))
                }
                (403, "RegionError" | "DataPolicyError", _) => {
                    (true, model.clone(), grown(model, HOUR))
                }
                (403 | 400, ..) if said.bare => (true, model.clone(), grown(model, HOUR)),
                (403, ..) => (true, None, MINUTE),
                _ => continue,
            };
            let why = format!("{} {} {}", said.status, said.kind, said.code);
            let key = key.clone();
            known.push(Known { key, account, model, from: now, until: now + span, why });
        }
        let merged = told.get("a1").and_then(|one| Some(*one.max(told.get("a2")?)));
        // A report names workspace and user.
        let merged = if informed { Some(START) } else { merged };
        Self { known, attempts, merged: merged.expect("both keys of `a` named the workspace") }
    }

    fn refuses(&self, key: &str, model: Option<&str>, now: i64, slack: i64) -> Option<&Known> {
        self.known.iter().find(|known| {
            let whose = known.key == key
                || (known.account && now >= self.merged && same_account(&known.key, key));
            let what = known.model.is_none() || known.model.as_deref() == model;
            whose && what && known.from < now && now < known.until + slack
        })
    }

    /// Whether the key was rightly out as a whole. Times are told in whole seconds.
    pub(crate) fn accuses(&self, key: &str, now: i64) -> bool {
        self.refuses(key, None, now, SECOND).is_some()
    }

    /// Whether every account was known to refuse this request.
    pub(crate) fn everybody_rests(&self, wish: &Wish, now: i64) -> bool {
        KEYS.iter().all(|key| self.refuses(key, Some(wish.model), now, SECOND).is_some())
    }

    /// Nobody was asked who was known to refuse.
    pub(crate) fn assert_nothing_wasted(&self) {
        let mut wasted = Vec::new();
        for (key, entry) in &self.attempts {
            let now = entry.at_ms;
            if let Some(known) = self.refuses(key, entry.model.as_deref(), now, 0) {
                let (why, until) = (&known.why, time(known.until));
                wasted.push(format!("{} {key} {:?}: {why} until {until}", time(now), entry.model));
            }
        }
        println!("{} refusals that held for a while", self.known.len());
        assert!(wasted.is_empty(), "{} wasted attempts: {wasted:#?}", wasted.len());
        assert!(self.known.len() > 20, "the day had its refusals");
    }
}
