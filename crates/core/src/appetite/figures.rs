//! One model's figures: how they are learned, and what they say of a request.

use std::sync::Arc;

use super::{Known, ModelAppetite, prompt_of};
use crate::meter::Tokens;

/// No model takes a longer prompt (tokens); keeps absurd sizes from becoming absurd costs.
pub(super) const PROMPT_MOST: f64 = 4e6;
/// No answer is longer (tokens); the largest published limit is 512,000.
const OUTPUT_MOST: f64 = 1e6;
/// JSON of prose and code has about four bytes per token.
const BYTES_PER_TOKEN: f64 = 4.0;
/// What can be: less when the service adds to the prompt, more when the body holds pictures.
const RATIOS: (f64, f64) = (0.5, 400.0);
/// Fewer bytes say nothing of the ratio: what surrounds a message weighs as much as the message.
const LESSON: f64 = 400.0;
/// By how much a body may deviate until that is known: a quarter.
const SPREAD: f64 = 0.25;
/// Answers before anything is known: nine of ten stay below 4,000 tokens, half below an eighth.
const NINE_OF_TEN: f64 = 4_000.0;
const HALF: f64 = 500.0;
/// The most by which a lesson moves an average, once enough is known.
const GAIN: f64 = 0.05;
/// The same for a quantile, as a factor; from 0.7 at first.
const STEP: f64 = 0.08;
/// From mean deviation to what nine of ten stay within, about (of a normal distribution 1.6).
const NINE_OF_TEN_WITHIN: f64 = 1.6;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figures {
    ratio: f64,
    spread: f64,
    written: f64,
    half: f64,
    nine_of_ten: f64,
    seen: u64,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            ratio: BYTES_PER_TOKEN,
            spread: SPREAD,
            written: 0.0,
            half: HALF,
            nine_of_ten: NINE_OF_TEN,
            seen: 0,
        }
    }
}

impl Figures {
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    pub(super) fn half(&self) -> f64 {
        self.half
    }

    pub(super) fn nine_of_ten(&self) -> f64 {
        self.nine_of_ten.max(self.half)
    }

    pub(super) fn learn(&mut self, body_bytes: u64, known: Known, tokens: &Tokens) {
        self.seen = self.seen.saturating_add(1);
        let (prompt, output) = (float(prompt_of(tokens)), float(tokens.output));
        let gain = (1.0 / (float(self.seen) + 1.0)).max(GAIN);
        // Of a conversation that goes on, what was added: a picture in its first turn is in every
        // later body too, and would teach the same again and again.
        let added = known.prompt > 0;
        let bytes = float(body_bytes) - if added { float(known.body_bytes) } else { 0.0 };
        let of_tokens = prompt - if added { float(known.prompt) } else { 0.0 };
        if bytes >= LESSON && of_tokens > 0.0 {
            let ratio = (bytes / of_tokens).clamp(RATIOS.0, RATIOS.1);
            // Doubling and halving are the longest steps, and equally long.
            let off = (ratio / self.ratio - 1.0).clamp(-0.5, 1.0);
            self.ratio = (self.ratio * (1.0 + gain * off)).clamp(RATIOS.0, RATIOS.1);
            self.spread += gain * (off.abs() - self.spread);
        }
        let fresh = float(tokens.input.saturating_add(tokens.cache_write));
        if fresh > 0.0 {
            self.written += gain * (float(tokens.cache_write) / fresh - self.written);
        }
        let step = (8.0 / (float(self.seen) + 10.0)).max(STEP);
        self.half = follow(self.half, output, 0.5, step);
        self.nine_of_ten = follow(self.nine_of_ten, output, 0.9, step);
    }

    /// Tokens of the prompt: probably, and what nine of ten stay below.
    pub(super) fn prompt(&self, body_bytes: u64, known: Known) -> (f64, f64) {
        let (bytes, before) = (float(body_bytes), float(known.body_bytes));
        // Of a conversation that goes on, only what was added is uncertain.
        let (certain, added) = if known.prompt == 0 || known.body_bytes == 0 {
            (0.0, bytes)
        } else if bytes >= before {
            (float(known.prompt), bytes - before)
        } else {
            (float(known.prompt) * (bytes / before), 0.0)
        };
        let added = added / self.ratio;
        let margin = 1.0 + NINE_OF_TEN_WITHIN * self.spread;
        ((certain + added).min(PROMPT_MOST), (certain + added * margin).min(PROMPT_MOST))
    }

    /// Which tokens are paid at which price.
    pub(super) fn split(&self, prompt: f64, prefix: u64, p_cached: f64, output: f64) -> Tokens {
        let cached = p_cached * float(prefix).min(prompt);
        let fresh = (prompt - cached).max(0.0);
        let write = self.written * fresh;
        Tokens {
            input: whole(fresh - write),
            cached: Some(whole(cached)),
            cache_write: whole(write),
            output: whole(output),
            reasoning: 0,
        }
    }

    pub(super) fn image(&self, name: &Arc<str>) -> ModelAppetite {
        ModelAppetite {
            model: name.to_string(),
            bytes_per_token: self.ratio,
            spread: self.spread,
            written: self.written,
            half: self.half,
            nine_of_ten: self.nine_of_ten,
            seen: self.seen,
        }
    }

    pub(super) fn restore(image: &ModelAppetite) -> Self {
        let start = Self::default();
        let sane = |value: f64, least: f64, most: f64, otherwise: f64| {
            if (least..=most).contains(&value) { value } else { otherwise }
        };
        Self {
            ratio: sane(image.bytes_per_token, RATIOS.0, RATIOS.1, start.ratio),
            spread: sane(image.spread, 0.0, 1.0, start.spread),
            written: sane(image.written, 0.0, 1.0, start.written),
            half: sane(image.half, 1.0, OUTPUT_MOST, start.half),
            nine_of_ten: sane(image.nine_of_ten, 1.0, OUTPUT_MOST, start.nine_of_ten),
            seen: image.seen,
        }
    }
}

/// Moves a quantile towards what was seen: up by `step` times its rank where it was exceeded, down
/// by the rest where not. The two balance where it is exceeded as often as it should be.
fn follow(quantile: f64, seen: f64, rank: f64, step: f64) -> f64 {
    let factor = if seen > quantile { 1.0 + step * rank } else { 1.0 - step * (1.0 - rank) };
    (quantile * factor).clamp(1.0, OUTPUT_MOST)
}

#[expect(clippy::cast_precision_loss, reason = "sizes that matter are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tokens: never negative, bounded by PROMPT_MOST and OUTPUT_MOST"
)]
fn whole(tokens: f64) -> u64 {
    tokens.round() as u64
}
