//! The fault day: 24 hours of traffic against three accounts while everything that can go wrong
//! does. What some account could serve is served; nobody is out without a reason; nobody known to
//! refuse is asked; nothing is spent; nothing leaks.

mod ledger;
mod schedule;
mod traffic;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use saros_core::pool::State;
use saros_emulator::{Account, Emulator, Entry, Key};
use tokio::task::JoinSet;

use self::ledger::Ledger;
use self::schedule::Schedule;
use self::traffic::{Result, Rng, Wish};
use crate::stage::{START, Stage};

const DAY: u64 = 24 * 60;

/// How every key stood at one moment.
struct Sample {
    at: i64,
    disabled: Vec<(String, String)>,
}

/// What reached the service for clients: the proxy's own questions for usage are left out.
fn requests(emulator: &Emulator) -> Vec<Entry> {
    let mut log = emulator.log();
    log.retain(|entry| !entry.path.ends_with("/usage"));
    log
}

/// `informed`: the usage API is asked, and what it says of quotas counts.
async fn day(h2: bool, informed: bool) {
    let owner = Account::new("a").key(Key::new("a1")).key(Key::new("a2"));
    let stage = Stage::of(vec![owner, Account::new("b"), Account::new("c")], h2, |_| {});
    let stage = Arc::new(if informed { stage.informed() } else { stage });
    stage.emulator.settings(|settings| {
        settings.log.capacity = 100_000;
        settings.log.body_bytes = 4_096;
        settings.log.sha256 = false;
        settings.free_per_day = 100_000;
        settings.pace.headers_ms = 200;
        settings.pace.gap_ms = 50;
    });
    let mut schedule = Schedule::new();
    let mut rng = Rng::new(7);
    let mut running = JoinSet::new();
    let mut samples = Vec::new();
    loop {
        let minute = (stage.emulator.clock().now_ms() - START).unsigned_abs().div_ceil(60_000);
        if minute >= DAY {
            break;
        }
        schedule.go_on(minute, &stage);
        let begin = tokio::time::Instant::now();
        for second in rng.seconds() {
            tokio::time::sleep_until(begin + Duration::from_millis(second)).await;
            for _ in 0..rng.among(&[1, 1, 1, 2, 3]) {
                let wish = Wish::next(&mut rng);
                let servable = schedule.could_serve(&stage.emulator, &wish);
                let stage = Arc::clone(&stage);
                running.spawn(async move { wish.run(&stage, servable).await });
            }
        }
        tokio::time::sleep_until(begin + Duration::from_secs(55)).await;
        samples.push(sample(&stage));
        tokio::time::sleep_until(begin + Duration::from_secs(60)).await;
    }
    let mut results = running.join_all().await;
    results.sort_by_key(|result| result.at);
    stage.seconds(600).await;
    stage.assert_idle().await;
    let ledger = Ledger::read(&stage.emulator, &schedule, informed);
    judge_requests(&results, &schedule, &ledger, &stage.emulator);
    judge_standings(&samples, &schedule, &ledger);
    ledger.assert_nothing_wasted();
    judge_money(&stage.emulator);
    for key in ["a1", "a2", "b", "c"] {
        assert_eq!(stage.state(key).await, "ready", "{key} at the end of the day");
    }
}

fn sample(stage: &Stage) -> Sample {
    let standings = stage.app.pool().standings(stage.app.clock.now());
    let disabled = standings
        .iter()
        .filter(|standing| !matches!(standing.state, State::Ready | State::Trial))
        .map(|standing| (standing.label.to_string(), format!("{:?}", standing.state)))
        .collect();
    Sample { at: stage.emulator.clock().now_ms(), disabled }
}

/// Everything that some account could serve was served.
fn judge_requests(results: &[Result], schedule: &Schedule, ledger: &Ledger, emulator: &Emulator) {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut wrong = Vec::new();
    for result in results {
        let verdict = if result.is_served() {
            "served"
        } else if result.wish.leaves {
            "left by the client"
        } else if result.wish.refusal() == Some(result.status) {
            "refused as it must be"
        } else if result.is_cut() && schedule.cuts(result.at) {
            "cut, and said so"
        } else if result.status == 504 && schedule.hangs(result.at) {
            "headers hung"
        } else if !result.servable {
            if result.is_own_or_upstreams_error() { "nobody could serve" } else { "WRONG" }
        } else if matches!(result.status, 429 | 503)
            && ledger.everybody_rests(&result.wish, result.at)
        {
            "upstream had named a time"
        } else {
            "WRONG"
        };
        *counts.entry(verdict).or_default() += 1;
        if verdict == "WRONG" {
            wrong.push(result);
        }
    }
    let attempts = requests(emulator).len();
    println!("{} requests, {attempts} attempts: {counts:?}", results.len());
    for wrong in wrong.iter().take(20) {
        println!("{}", wrong.tell());
    }
    assert!(wrong.is_empty(), "{} requests went wrong", wrong.len());
    assert!(counts["served"] > 3_000, "the day was busy");
    let few = |verdict, most| {
        let count = counts.get(verdict).copied().unwrap_or(0);
        assert!(count <= most, "{verdict}: {count}");
    };
    few("cut, and said so", 12);
    few("headers hung", 3);
}

/// Nobody was out whom the ledger does not accuse.
fn judge_standings(samples: &[Sample], schedule: &Schedule, ledger: &Ledger) {
    let mut wrong = Vec::new();
    let mut disabled = 0;
    for sample in samples {
        for (label, state) in &sample.disabled {
            disabled += 1;
            let out = |at| schedule.is_exhausted(label, at);
            // A report is a minute old at most, and told in whole seconds.
            let out = out(sample.at) || out(sample.at - 61_000);
            if !out && !ledger.accuses(label, sample.at) && !schedule.may_rest(label, sample.at) {
                wrong.push(format!("{} {label} {state}", schedule::time(sample.at)));
            }
        }
    }
    println!("{} samples of 4 keys, {disabled} of them disabled, all rightly", samples.len());
    assert!(wrong.is_empty(), "wrongly disabled: {wrong:#?}");
    assert!(disabled > 100, "the day had its troubles");
}

/// No balance was spent.
fn judge_money(emulator: &Emulator) {
    for entry in requests(emulator) {
        assert!(entry.paid.to_dollars() == 0.0, "{entry:?}");
    }
    for account in emulator.accounts() {
        assert!(account.balance.to_dollars() == 0.0, "{}", account.label);
    }
}

#[tokio::test(start_paused = true)]
async fn over_http1() {
    day(false, false).await;
}

#[tokio::test(start_paused = true)]
async fn with_quotas_known() {
    day(false, true).await;
}

#[tokio::test(start_paused = true)]
async fn over_http2() {
    day(true, false).await;
}
