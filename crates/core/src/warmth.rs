//! Is a session's prompt still in the provider's cache?
//!
//! Two things are learned per model from the cached-token counts of answers: how long a prompt
//! stays cached while its session rests, and whether it is found again after the session moved to
//! another account. Both begin with a guess and follow what is seen; an answer without a count of
//! cached tokens teaches nothing.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::by_model::ByModel;
use crate::time::{DAY, HOUR, MINUTE, SECOND};

/// Where the steps of idle time end, in milliseconds. The last one has no end, and
/// [`Warmth::warm_for`] calls it a day.
const ENDS: [i64; STEPS] = [
    MINUTE,
    3 * MINUTE,
    5 * MINUTE,
    7 * MINUTE,
    PRIOR_WARM,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    4 * HOUR,
    DAY,
];
const STEPS: usize = 10;
/// Until something is known, a prompt counts as cached for so long.
const PRIOR_WARM: i64 = 600 * SECOND;
/// How sure that guess is, in answers, and what it says before and after [`PRIOR_WARM`].
const PRIOR_WEIGHT: f64 = 3.0;
const PRIOR: (f64, f64) = (0.9, 0.1);
/// Weight of what was seen in one step, in answers: beyond it the old fades, so that a provider's
/// change of mind is noticed.
const MEMORY: f64 = 40.0;
/// Providers do not cache shorter prompts than about this (in tokens), so their absence says
/// nothing.
const LEAST_PREFIX: u64 = 1_024;

/// What is known of every model's prompt cache.
#[derive(Debug, Clone, Default)]
pub struct Warmth {
    models: ByModel<Cache>,
}

/// One model's.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cache {
    /// Answers that found the prompt cached and not, per step of idle time; the guess not counted.
    found: [Found; STEPS],
    /// The chance per step, never rising with idle time: fitted when something is learned.
    warm: [f64; STEPS],
    /// Moves after which the prompt was found cached, and those that lost it.
    moves: Found,
    stays_seen: u64,
    moves_seen: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Found {
    yes: f64,
    no: f64,
}

impl Found {
    fn add(&mut self, yes: f64, no: f64) {
        self.yes += yes;
        self.no += no;
        let excess = (self.yes + self.no) / MEMORY;
        if excess > 1.0 {
            self.yes /= excess;
            self.no /= excess;
        }
    }
}

impl Default for Cache {
    fn default() -> Self {
        let mut cache = Self {
            found: [Found::default(); STEPS],
            warm: [0.0; STEPS],
            moves: Found::default(),
            stays_seen: 0,
            moves_seen: 0,
        };
        cache.fit();
        cache
    }
}

/// What the guess says of a step.
fn prior(end: i64) -> f64 {
    if end <= PRIOR_WARM { PRIOR.0 } else { PRIOR.1 }
}

/// The step that an idle time falls into.
fn step(idle_ms: i64) -> usize {
    ENDS.iter().position(|end| idle_ms < *end).unwrap_or(STEPS - 1)
}

/// Was the prompt in the cache? `None`: this answer does not say.
fn was_cached(prefix: u64, cached: Option<u64>) -> Option<bool> {
    let cached = cached?;
    // Half: providers cache in blocks, often without the last answer, and a system prompt that all
    // sessions share may be found although the session's own part is gone.
    (prefix >= LEAST_PREFIX).then_some(cached >= prefix / 2)
}

impl Cache {
    /// Fits the chances: each step's own mean, pooled with its neighbours where a longer rest
    /// would seem warmer than a shorter one (pool adjacent violators).
    fn fit(&mut self) {
        // Blocks of (sum of warm answers, weight, steps), their means falling.
        let mut blocks = [(0.0_f64, 0.0_f64, 0_usize); STEPS];
        let mut count = 0;
        for (found, end) in self.found.iter().zip(ENDS) {
            let mut block =
                (found.yes + prior(end) * PRIOR_WEIGHT, found.yes + found.no + PRIOR_WEIGHT, 1);
            while let Some(before) = blocks.get(..count).and_then(<[_]>::last) {
                if before.0 * block.1 >= block.0 * before.1 {
                    break;
                }
                block = (before.0 + block.0, before.1 + block.1, before.2 + block.2);
                count -= 1;
            }
            if let Some(place) = blocks.get_mut(count) {
                *place = block;
                count += 1;
            }
        }
        let fitted = blocks.iter().take(count).flat_map(|&(sum, weight, steps)| {
            std::iter::repeat_n((sum / weight).clamp(0.0, 1.0), steps)
        });
        for (warm, fitted) in self.warm.iter_mut().zip(fitted) {
            *warm = fitted;
        }
    }

    fn warm(&self, idle_ms: i64) -> f64 {
        self.warm.get(step(idle_ms)).copied().unwrap_or(PRIOR.1)
    }

    /// Mean of Beta(1, 1) and what was seen.
    fn survives(&self) -> f64 {
        (1.0 + self.moves.yes) / (2.0 + self.moves.yes + self.moves.no)
    }
}

impl Warmth {
    /// The chance that a session's prompt is still cached after it rested for `idle_ms` on its
    /// account.
    pub fn warm(&self, model: Option<&Arc<str>>, idle_ms: i64) -> f64 {
        match self.models.get(model) {
            Some(cache) => cache.warm(idle_ms),
            None if idle_ms < PRIOR_WARM => PRIOR.0,
            None => PRIOR.1,
        }
    }

    /// The chance that a warm cache is found again after a change of account.
    pub fn survives(&self, model: Option<&Arc<str>>) -> f64 {
        self.models.get(model).map_or(0.5, Cache::survives)
    }

    /// Learns from an answer to a session that stayed on its account: `prefix` tokens of its
    /// prompt were known from before, `cached` of it were read from the cache.
    pub fn learn_stay(
        &mut self,
        model: Option<&Arc<str>>,
        idle_ms: i64,
        prefix: u64,
        cached: Option<u64>,
    ) {
        let Some(hit) = was_cached(prefix, cached) else { return };
        let Some(cache) = model.and_then(|model| self.models.learn(model)) else { return };
        let Some(found) = cache.found.get_mut(step(idle_ms)) else { return };
        found.add(f64::from(u8::from(hit)), f64::from(u8::from(!hit)));
        cache.stays_seen = cache.stays_seen.saturating_add(1);
        cache.fit();
    }

    /// Learns from the first answer after a change of account.
    pub fn learn_move(
        &mut self,
        model: Option<&Arc<str>>,
        idle_ms: i64,
        prefix: u64,
        cached: Option<u64>,
    ) {
        let Some(hit) = was_cached(prefix, cached) else { return };
        let Some(cache) = model.and_then(|model| self.models.learn(model)) else { return };
        if hit {
            cache.moves.add(1.0, 0.0);
        } else {
            // The prompt may have gone cold before the move: blame the move by the chance that it
            // was the move.
            let (warm, survives) = (cache.warm(idle_ms), cache.survives());
            let lost = warm * (1.0 - survives);
            cache.moves.add(0.0, lost / (1.0 - warm + lost).max(f64::EPSILON));
        }
        cache.moves_seen = cache.moves_seen.saturating_add(1);
    }

    /// For how long a resting session is warm more often than not, in milliseconds.
    pub fn warm_for(&self, model: Option<&Arc<str>>) -> i64 {
        let Some(cache) = self.models.get(model) else { return PRIOR_WARM };
        let warm = cache.warm.iter().zip(ENDS).take_while(|(warm, _)| **warm >= 0.5);
        warm.last().map_or(0, |(_, end)| end)
    }

    /// From how many answers of resting sessions, and from how many moves, this was learned.
    pub fn seen(&self, model: Option<&Arc<str>>) -> (u64, u64) {
        self.models.get(model).map_or((0, 0), |cache| (cache.stays_seen, cache.moves_seen))
    }

    /// The models of which something is known, the one that learned last at the end.
    pub fn models(&self) -> impl Iterator<Item = &Arc<str>> {
        self.models.in_order().into_iter().map(|(name, _)| name)
    }

    /// What should survive a restart.
    pub fn image(&self) -> WarmthImage {
        let one = |(name, cache): (&Arc<str>, &Cache)| CacheImage {
            model: name.to_string(),
            found: cache.found.iter().map(|found| (found.yes, found.no)).collect(),
            moves: (cache.moves.yes, cache.moves.no),
            stays_seen: cache.stays_seen,
            moves_seen: cache.moves_seen,
        };
        WarmthImage { models: self.models.in_order().into_iter().map(one).collect() }
    }

    /// Takes over what survived. Impossible figures count as nothing seen; so do idle-time steps
    /// of a file with another number of them.
    pub fn restore(image: WarmthImage) -> Self {
        let mut warmth = Self::default();
        for one in image.models {
            let Some(cache) = warmth.models.learn(&one.model.into()) else { continue };
            if one.found.len() == STEPS {
                for (place, seen) in cache.found.iter_mut().zip(one.found) {
                    *place = sane(seen);
                }
            }
            cache.moves = sane(one.moves);
            (cache.stays_seen, cache.moves_seen) = (one.stays_seen, one.moves_seen);
            cache.fit();
        }
        warmth
    }
}

/// Weights from a file; sums can lie above [`MEMORY`] by rounding only.
fn sane((yes, no): (f64, f64)) -> Found {
    let possible = yes >= 0.0 && no >= 0.0 && yes + no <= MEMORY + 1e-6;
    if possible { Found { yes, no } } else { Found::default() }
}

/// What leaving a session's account probably costs, in the unit of the rates' dollars: input that
/// was cached there has to be paid in full elsewhere. The rates are dollars per million tokens.
pub fn leaving_cost(
    rate_input: f64,
    rate_cached: f64,
    prefix: u64,
    p_warm: f64,
    p_survives: f64,
) -> f64 {
    let lost = (1.0 - chance(p_survives)) * chance(p_warm);
    lost * dearer(rate_input, rate_cached, prefix)
}

/// What a move did cost, known after the first answer on the new account, in the unit of the
/// rates' dollars: the part of the prefix that was not read from the cache and would have been,
/// had the session stayed. Nothing for a session that had probably gone cold. Without a count of
/// cached tokens it is estimated by the chance that the cache survives.
pub fn tax(
    rate_input: f64,
    rate_cached: f64,
    prefix: u64,
    cached: Option<u64>,
    p_warm: f64,
    p_survives: f64,
) -> f64 {
    if chance(p_warm) < 0.5 {
        return 0.0;
    }
    match cached {
        Some(cached) => dearer(rate_input, rate_cached, prefix.saturating_sub(cached)),
        None => (1.0 - chance(p_survives)) * dearer(rate_input, rate_cached, prefix),
    }
}

fn chance(p: f64) -> f64 {
    if p.is_finite() { p.clamp(0.0, 1.0) } else { 0.0 }
}

/// How much more `tokens` cost as input than as cached input.
#[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^53")]
fn dearer(rate_input: f64, rate_cached: f64, tokens: u64) -> f64 {
    let more = rate_input - rate_cached;
    if more.is_finite() { more.max(0.0) * tokens as f64 / 1e6 } else { 0.0 }
}

/// What survives a restart of [`Warmth`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WarmthImage {
    /// One for each model, the one that learned last at the end.
    pub models: Vec<CacheImage>,
}

/// One model's prompt cache.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CacheImage {
    /// Which model.
    pub model: String,
    /// Per step of idle time: weight of answers that found the prompt cached, and that did not.
    pub found: Vec<(f64, f64)>,
    /// Weight of moves that kept the cache, and that lost it.
    pub moves: (f64, f64),
    /// Answers of resting sessions seen.
    pub stays_seen: u64,
    /// Moves seen.
    pub moves_seen: u64,
}

#[cfg(test)]
mod tests;
