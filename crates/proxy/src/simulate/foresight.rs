//! How often forecasts are right: a trace is replayed with the choice of accounts frozen (in
//! turn), and every ten minutes of use each account says when it
//! will be out. Later it turns out.
//!
//! An account is out when the first of its windows is, if that comes before that window's reset;
//! "not before the reset" counts as never. Forecasts whose truth lies behind the end of the trace
//! are left out.

use std::collections::VecDeque;
use std::fmt::Write;

use saros_core::forecast::Demand;
use saros_core::time::Millis;
use saros_emulator::{Quota, Window};

use super::bound::reset;
use super::trace::{Request, Trace};
use super::{LOADS, Load, Settings};

/// Every ten minutes of use.
const EVERY: i64 = 600_000;
const HOUR: i64 = 3_600_000;
const WINDOWS: [Window; 3] = [Window::FiveHour, Window::Weekly, Window::Monthly];
/// Never.
const NEVER: i64 = i64::MAX;

/// How the choice of accounts is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// One request after the other, in turn.
    Rotation,
    /// One session after the other, in turn.
    Sessions,
}

/// A statement about when something is out, and what came. Times in milliseconds from the
/// statement; `NEVER` for not before the reset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// p10, p50, p90.
    pub quantiles: [i64; 3],
    /// At the rate of the last twenty minutes, and of the last hour.
    pub constant: [i64; 2],
    /// What came.
    pub truth: i64,
    /// The model's intervals had been right often enough to be shown.
    pub trusted: bool,
}

/// How right forecasts were.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Score {
    /// How many there were.
    pub forecasts: usize,
    /// The share of truths before p10.
    pub below: f64,
    /// The share of truths after p90.
    pub above: f64,
    /// How many truths lay 50 to 70 minutes ahead.
    pub hour_ahead: usize,
    /// Of those, the median of |p50 − truth| ÷ truth.
    pub error: f64,
    /// The same for constant rates: of the last twenty minutes, of the last hour.
    pub constant_error: [f64; 2],
    /// The share of forecasts that would have been shown.
    pub shown: f64,
}

/// Sixty days of the load with this seed: every forecast of every account.
pub fn replay(settings: &Settings, load: &Load, choice: Choice, seed: u64) -> Vec<Judged> {
    let trace = settings.generate(load, 60, seed);
    let accounts = settings.accounts();
    let count = accounts.len().max(1);
    let mut judged = Vec::new();
    for (index, quota) in accounts.into_iter().enumerate() {
        let mut watch = Watch::new(quota);
        for (nth, request) in trace.requests.iter().enumerate() {
            let turn = match choice {
                Choice::Rotation => nth,
                Choice::Sessions => request.session as usize,
            };
            if turn % count == index {
                watch.take(&trace, settings, request);
            }
        }
        judged.append(&mut watch.finish(trace.end()));
    }
    judged
}

/// A statement whose truth is not known yet.
struct Open {
    at: i64,
    judged: Judged,
    resets: [i64; 3],
}

/// One account.
struct Watch {
    quota: Quota,
    demand: Demand,
    last: i64,
    /// What was spent in the last hour.
    hour: VecDeque<(i64, f64)>,
    closed: bool,
    open: Vec<Open>,
    judged: Vec<Judged>,
}

impl Watch {
    fn new(quota: Quota) -> Self {
        Self {
            quota,
            demand: Demand::new(),
            last: i64::MIN,
            hour: VecDeque::new(),
            closed: false,
            open: Vec::new(),
            judged: Vec::new(),
        }
    }

    fn take(&mut self, trace: &Trace, settings: &Settings, request: &Request) {
        let now = request.at;
        self.expire(now);
        if self.quota.admit(now).is_err() {
            return;
        }
        if std::mem::take(&mut self.closed) {
            // What was not served was not seen.
            self.demand.skip(Millis(now));
        }
        let (_, cost) = trace.cost(request, request.prefix, settings.plan);
        self.quota.charge(now, cost);
        self.demand.spend(Millis(now), cost.to_dollars());
        self.hour.push_back((now, cost.to_dollars()));
        while self.hour.pop_front_if(|(at, _)| *at <= now - HOUR).is_some() {}
        if self.quota.admit(now).is_err() {
            self.closed = true;
            self.out(now);
        } else if now.saturating_sub(self.last) >= EVERY {
            self.last = now;
            self.foresee(now);
        }
    }

    fn foresee(&mut self, now: i64) {
        let mut quantiles = [NEVER; 3];
        let mut constant = [NEVER; 2];
        let hour: f64 = self.hour.iter().map(|(_, dollars)| dollars).sum();
        let resets = WINDOWS.map(|window| reset(&self.quota, window, now));
        for (window, reset) in WINDOWS.into_iter().zip(resets) {
            let left = (self.quota.limit(window) - self.quota.used(window, now)).to_dollars();
            let seen = self.demand.exhaustion(Millis(now), left, Millis(reset));
            for (mine, seen) in quantiles.iter_mut().zip([seen.p10, seen.p50, seen.p90]) {
                *mine = seen.map_or(*mine, |seen| (*mine).min(seen.0 - now));
            }
            for (mine, rate) in constant.iter_mut().zip([self.demand.rate(Millis(now)), hour]) {
                let span = steady(left, rate);
                if span < reset - now {
                    *mine = (*mine).min(span);
                }
            }
        }
        let trusted = self.demand.trusted();
        let judged = Judged { quantiles, constant, truth: NEVER, trusted };
        self.open.push(Open { at: now, judged, resets });
    }

    /// A window is exhausted: that is the truth for all who spoke of this very window.
    fn out(&mut self, now: i64) {
        let quota = &self.quota;
        let exhausted = WINDOWS.map(|window| {
            (quota.used(window, now) >= quota.limit(window)).then(|| reset(quota, window, now))
        });
        let judged = &mut self.judged;
        self.open.retain(|open| {
            // The same window ends at the same moment, but for rounding to seconds.
            let spoke = exhausted
                .iter()
                .zip(open.resets)
                .any(|(reset, spoken)| reset.is_some_and(|reset| (reset - spoken).abs() <= 2_000));
            if spoke {
                judged.push(Judged { truth: now - open.at, ..open.judged });
            }
            !spoke
        });
    }

    /// Statements of whose windows none is left.
    fn expire(&mut self, now: i64) {
        let judged = &mut self.judged;
        self.open.retain(|open| {
            let over = open.resets.iter().all(|reset| *reset <= now);
            if over {
                judged.push(open.judged);
            }
            !over
        });
    }

    fn finish(mut self, end: i64) -> Vec<Judged> {
        self.expire(end);
        self.judged
    }
}

/// Milliseconds until `left` is gone at so much an hour.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "`as` saturates, which is what is wanted"
)]
fn steady(left: f64, rate: f64) -> i64 {
    if rate > 0.0 { (left / rate * HOUR as f64) as i64 } else { NEVER }
}

#[expect(clippy::cast_precision_loss, reason = "counts and spans far below 2^52")]
impl Score {
    /// Of these forecasts.
    pub fn of(judged: &[Judged]) -> Self {
        let share = |count: usize| count as f64 / judged.len().max(1) as f64;
        let count = |test: &dyn Fn(&Judged) -> bool| judged.iter().filter(|it| test(it)).count();
        let ahead = |it: &&Judged| (50 * 60_000..=70 * 60_000).contains(&it.truth);
        let hour: Vec<&Judged> = judged.iter().filter(ahead).collect();
        let error = |of: &dyn Fn(&Judged) -> i64| {
            median(hour.iter().map(|it| {
                let said = of(it);
                let off = (said as f64 - it.truth as f64).abs() / it.truth as f64;
                if said == NEVER { f64::INFINITY } else { off }
            }))
        };
        Self {
            forecasts: judged.len(),
            below: share(count(&|it| it.truth < it.quantiles[0])),
            above: share(count(&|it| it.truth > it.quantiles[2])),
            hour_ahead: hour.len(),
            error: error(&|it| it.quantiles[1]),
            constant_error: [error(&|it| it.constant[0]), error(&|it| it.constant[1])],
            shown: share(count(&|it| it.trusted)),
        }
    }
}

/// Every load, seeds 1 to 5, both ways to freeze the choice: coverage and error beside constant
/// rates. `saros-proxy simulate --generate --forecast` prints it.
pub fn report(settings: &Settings) -> String {
    let mut text = format!(
        "{:<18}{:>10}{:>8}{:>8}{:>12}{:>8}{:>10}{:>10}{:>8}\n",
        "choice, load",
        "forecasts",
        "< p10",
        "> p90",
        "hour ahead",
        "error",
        "20 min",
        "60 min",
        "shown"
    );
    for (choice, name) in [(Choice::Rotation, "requests"), (Choice::Sessions, "sessions")] {
        let mut all = Vec::new();
        for load in &LOADS {
            let judged: Vec<Judged> =
                (1..=5).flat_map(|seed| replay(settings, load, choice, seed)).collect();
            row(&mut text, &format!("{name}, {}", load.name), &Score::of(&judged));
            all.extend(judged);
        }
        row(&mut text, &format!("{name}, all"), &Score::of(&all));
    }
    text
}

fn row(text: &mut String, name: &str, score: &Score) {
    let [twenty, sixty] = score.constant_error;
    // Writing to a string cannot fail.
    let _written = writeln!(
        text,
        "{name:<18}{:>10}{:>7.1}%{:>7.1}%{:>12}{:>8.3}{:>10.3}{:>10.3}{:>7.0}%",
        score.forecasts,
        100.0 * score.below,
        100.0 * score.above,
        score.hour_ahead,
        score.error,
        twenty,
        sixty,
        100.0 * score.shown,
    );
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
