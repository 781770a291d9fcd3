//! Traces of a developer who works with coding agents, made up from a seed.
//!
//! What is modelled:
//! - **Days.** Monday to Friday about nine to six (UTC) with a lunch break, now and then an evening;
//!   some days off; every fourth weekend day or so a few hours; and crunch days, on which more is
//!   asked for and longer.
//! - **Lanes.** Agents work side by side. In each lane one session follows the other.
//! - **Sessions.** A few turns, the developer thinking between them (a minute as a rule, sometimes
//!   so long that the prompt cache goes cold). A turn is a chain of requests a few seconds apart:
//!   the agent calls tools and reads what they say.
//! - **Tokens.** A session begins with 14,000 tokens of system prompt and tools and grows by each
//!   step's new prompt tokens and answer, whose lengths are drawn from a real service's
//!   (`data/azure_code_2023.txt`). Near 120,000 it is compacted to 20,000.
//! - **Load.** How many lanes there are follows from the load: a share of the most that the accounts
//!   could pay for in the span ([`crate::simulate::bound`]).
//!
//! The same seed and options give the same trace.

use self::lengths::Lengths;
use self::random::Random;
use super::Settings;
use super::bound::Bound;
use super::trace::{Collector, Request, Trace};

mod lengths;
mod random;

/// How much is asked for, and how unevenly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// For the command line.
    pub name: &'static str,
    /// Quota-dollars at warm price, as a share of the most that the accounts could pay for.
    pub share: f64,
    /// How many days in a hundred are crunch days.
    pub crunch: f64,
    /// How much more is asked for on them.
    pub factor: f64,
}

/// The load levels, from little to much; the last asks for so much within a few days that
/// five-hour windows bind.
pub const LOADS: [Load; 4] = [
    Load { name: "light", share: 0.5, crunch: 0.10, factor: 2.0 },
    Load { name: "full", share: 0.95, crunch: 0.10, factor: 2.0 },
    Load { name: "over", share: 1.6, crunch: 0.10, factor: 2.0 },
    Load { name: "crunch", share: 0.8, crunch: 0.12, factor: 9.0 },
];

/// Models and how many sessions in a hundred use them.
const MODELS: [(&str, f64); 6] = [
    ("glm-5.2", 0.15),
    ("kimi-k2.7-code", 0.10),
    ("minimax-m3", 0.25),
    ("qwen3.7-plus", 0.15),
    ("mimo-v2.6-pro", 0.15),
    ("deepseek-v4.1-flash", 0.20),
];

const SECOND: f64 = 1_000.0;
const MINUTE: f64 = 60.0 * SECOND;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;

/// Tokens of system prompt and tools.
const FIRST_PROMPT: u64 = 14_000;
/// A session is compacted above this.
const FULL: u64 = 120_000;
/// What is left of it then.
const COMPACTED: u64 = 20_000;

/// What to make up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recipe {
    /// The seed.
    pub seed: u64,
    /// Epoch milliseconds of day 0.
    pub start: i64,
    /// How many days.
    pub days: u32,
    /// How many agents work side by side, on average.
    pub lanes: f64,
    /// Crunch days in a hundred.
    pub crunch: f64,
    /// Their factor.
    pub factor: f64,
    /// For how long a cache holds, in milliseconds.
    pub ttl: i64,
}

/// A trace that asks for the load's share of what the accounts could pay for at most.
pub(super) fn at_load(settings: &Settings, load: &Load, days: u32, seed: u64) -> Trace {
    let end = settings.start.saturating_add(i64::from(days) * 86_400_000 - 1);
    let target = load.share * Bound::new(&settings.accounts(), settings.start, end).capacity();
    let mut recipe = Recipe {
        seed,
        start: settings.start,
        days,
        lanes: 1.0,
        crunch: load.crunch,
        factor: load.factor,
        ttl: settings.cache_ttl,
    };
    // What one lane asks for differs from seed to seed; a second look makes up for the lanes that
    // are there for a part of the day.
    for _ in 0..2 {
        let trace = generate(&recipe);
        let cost =
            |request: &Request| trace.cost(request, request.prefix, settings.plan).1.to_dollars();
        let asked: f64 = trace.requests.iter().map(cost).sum();
        if asked > 0.0 {
            recipe.lanes *= target / asked;
        }
    }
    generate(&recipe)
}

/// Makes a trace.
pub fn generate(recipe: &Recipe) -> Trace {
    let mut maker =
        Maker { lengths: Lengths::shipped(), collector: Collector::default(), sessions: 0 };
    let mut days = Random::new(recipe.seed, 1);
    for day in 0..recipe.days {
        let (spans, factor) = working_hours(day, recipe, &mut days);
        let lanes = recipe.lanes * factor;
        for lane in 0..500_u32 {
            if f64::from(lane) >= lanes {
                break;
            }
            let share = (lanes - f64::from(lane)).min(1.0);
            let mut random = Random::new(recipe.seed, 2 + u64::from(day) * 1_000 + u64::from(lane));
            for (from, until) in &spans {
                // The last lane is there for a part of the time.
                let begin = until - (until - from) * share;
                let place = (f64::from(day) * DAY + begin, f64::from(day) * DAY + until);
                maker.lane(recipe.start, place, &mut random);
            }
        }
    }
    maker.collector.finish(recipe.ttl)
}

/// The spans of a day in which there is work, in milliseconds from midnight, and how much.
fn working_hours(day: u32, recipe: &Recipe, random: &mut Random) -> (Vec<(f64, f64)>, f64) {
    let weekend = weekday(recipe.start, day) >= 5;
    let crunch = random.chance(recipe.crunch);
    let mood = random.around(0.95, 0.30);
    let begin = 9.0 * HOUR + random.normal() * 25.0 * MINUTE;
    let end = 18.0 * HOUR + random.normal() * 35.0 * MINUTE;
    let lunch = 12.5 * HOUR + random.normal() * 20.0 * MINUTE;
    let evening = random.chance(if crunch { 0.9 } else { 0.2 });
    let works = random.unit();
    let late = (20.0 * HOUR, 22.0 * HOUR + random.unit() * HOUR);
    let mut spans = Vec::new();
    if weekend && !crunch {
        if works < 0.25 {
            spans.push((14.0 * HOUR, 16.0 * HOUR + works * 8.0 * HOUR));
        }
    } else if works < 0.95 || crunch {
        spans.push((begin, lunch));
        spans.push((lunch + 45.0 * MINUTE, end));
        if evening {
            spans.push(late);
        }
    }
    (spans, if crunch { mood * recipe.factor } else { mood })
}

/// 0 is Monday.
fn weekday(start: i64, day: u32) -> i64 {
    let since_thursday = start.div_euclid(86_400_000).saturating_add(i64::from(day));
    (since_thursday + 3).rem_euclid(7)
}

struct Maker {
    lengths: Lengths,
    collector: Collector,
    sessions: u64,
}

impl Maker {
    /// One session after the other until the span ends.
    fn lane(&mut self, start: i64, (from, until): (f64, f64), random: &mut Random) {
        let mut at = from + random.exponential(10.0 * MINUTE);
        while at < until {
            at = self.session(start, at, until, random);
            at += random.around(5.0 * MINUTE, 1.0);
        }
    }

    /// Returns when it ended.
    fn session(&mut self, start: i64, begin: f64, until: f64, random: &mut Random) -> f64 {
        self.sessions += 1;
        let name = format!("session-{}", self.sessions);
        let model = pick(random.unit());
        let turns = 1.0 + random.exponential(7.0).floor();
        let (mut at, mut prompt) = (begin, FIRST_PROMPT);
        let mut turn = 0.0;
        while turn < turns && at < until {
            turn += 1.0;
            let steps = random.around(8.0, 0.8).clamp(1.0, 60.0).round();
            let mut step = 0.0;
            while step < steps {
                step += 1.0;
                prompt += self.lengths.prompt(random);
                if prompt > FULL {
                    prompt = COMPACTED;
                }
                let answer = self.lengths.answer(random).max(1);
                let moment = start.saturating_add(whole(at));
                self.collector.add(moment, Some(name.clone()), model, (prompt, answer));
                prompt += answer;
                // The answer at about 60 tokens a second, then the tool.
                at += float(answer) / 60.0 * SECOND + random.around(7.0 * SECOND, 0.8);
            }
            at += random.around(1.0 * MINUTE, 1.1);
        }
        at
    }
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is what is wanted")]
fn whole(milliseconds: f64) -> i64 {
    milliseconds.round() as i64
}

#[expect(clippy::cast_precision_loss, reason = "lengths far below 2^52 tokens")]
fn float(tokens: u64) -> f64 {
    tokens as f64
}

fn pick(unit: f64) -> &'static str {
    let mut sum = 0.0;
    for (model, share) in MODELS {
        sum += share;
        if unit < sum {
            return model;
        }
    }
    MODELS[0].0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(seed: u64, lanes: f64) -> Recipe {
        Recipe { seed, start: 0, days: 14, lanes, crunch: 0.1, factor: 2.0, ttl: 600_000 }
    }

    #[test]
    fn a_seed_is_a_trace() {
        let (one, same) = (generate(&recipe(1, 1.5)), generate(&recipe(1, 1.5)));
        assert_eq!(one.requests, same.requests);
        assert_ne!(one.requests, generate(&recipe(2, 1.5)).requests);
        assert!(one.requests.is_sorted_by_key(|request| request.at));
    }

    #[test]
    fn sessions_grow_are_compacted_and_mostly_warm() {
        let trace = generate(&recipe(3, 2.0));
        let warm = trace.requests.iter().filter(|request| request.prefix > 0).count();
        let all = trace.requests.len();
        assert!(warm * 100 > all * 85 && warm * 100 < all * 99, "{warm} of {all}");
        assert!(trace.requests.iter().all(|request| request.input <= FULL));
        let long = trace.requests.iter().filter(|request| request.input > 80_000).count();
        assert!(long * 20 > trace.requests.len(), "{long}");
    }

    #[test]
    fn nights_are_quiet_and_lanes_multiply() {
        let trace = generate(&recipe(4, 1.0));
        let hour = |request: &super::super::trace::Request| request.at / 3_600_000 % 24;
        assert!(trace.requests.iter().all(|request| (7..24).contains(&hour(request))));
        let (one, three) = (trace.requests.len(), generate(&recipe(4, 3.0)).requests.len());
        assert!(three > 2 * one && 2 * three < 9 * one, "{one} and {three}");
    }
}
