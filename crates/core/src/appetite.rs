//! What a request will cost, guessed from its size before it is sent.
//!
//! Learned per model: bytes of body per prompt token, how much answers write (half of them, and
//! nine of ten), and which share of what is not read from the cache is written to it. Every lesson
//! moves a figure by a bounded step, so that no single answer spoils it, whatever it says.

mod figures;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::by_model::ByModel;
use crate::meter::Tokens;
use figures::Figures;

/// At this chance of a warm cache the dear end of a guess counts on it: nine requests of ten shall
/// stay below that end, and the rest must also cover answers that are longer than expected.
const CERTAIN: f64 = 0.95;

/// What every model's requests consume.
#[derive(Debug, Clone, Default)]
pub struct Appetite {
    models: ByModel<Figures>,
}

/// What is known of the conversation that a request continues; zeros: nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// Tokens of its last prompt.
    pub prompt: u64,
    /// Tokens of its last prompt and answer.
    pub prefix: u64,
    /// Bytes of its last body.
    pub body_bytes: u64,
}

/// What a request will consume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guess {
    /// Probably: to compare accounts by.
    pub likely: Tokens,
    /// Nine of ten consume less: to reserve.
    pub most: Tokens,
}

impl Appetite {
    /// What a request of `body_bytes` will consume, if its conversation is still in the cache with
    /// chance `p_cached`.
    pub fn guess(
        &self,
        model: Option<&Arc<str>>,
        body_bytes: u64,
        known: Known,
        p_cached: f64,
    ) -> Guess {
        let figures = self.models.get(model).copied().unwrap_or_default();
        let p_cached = if p_cached.is_finite() { p_cached.clamp(0.0, 1.0) } else { 0.0 };
        let (likely, most) = figures.prompt(body_bytes, known);
        let sure = if p_cached >= CERTAIN { 1.0 } else { 0.0 };
        Guess {
            likely: figures.split(likely, known.prefix, p_cached, figures.half()),
            // The last answer may have been left out of the cache.
            most: figures.split(most, known.prompt.min(known.prefix), sure, figures.nine_of_ten()),
        }
    }

    /// Learns from an answer whose tokens were counted by the service; `known` is what the guess
    /// was made from.
    pub fn learn(
        &mut self,
        model: Option<&Arc<str>>,
        body_bytes: u64,
        known: Known,
        tokens: &Tokens,
    ) {
        if prompt_of(tokens) == 0 && tokens.output == 0 {
            return;
        }
        if let Some(figures) = model.and_then(|model| self.models.learn(model)) {
            figures.learn(body_bytes, known, tokens);
        }
    }

    /// From how many answers this model's figures come.
    pub fn seen(&self, model: Option<&Arc<str>>) -> u64 {
        self.models.get(model).map_or(0, Figures::seen)
    }

    /// What should survive a restart.
    pub fn image(&self) -> AppetiteImage {
        let one = |(name, figures): (&Arc<str>, &Figures)| figures.image(name);
        AppetiteImage { models: self.models.in_order().into_iter().map(one).collect() }
    }

    /// Takes over what survived. Impossible figures are replaced by the nearest possible ones.
    pub fn restore(image: AppetiteImage) -> Self {
        let mut appetite = Self::default();
        for one in image.models {
            if let Some(figures) = appetite.models.learn(&one.model.as_str().into()) {
                *figures = Figures::restore(&one);
            }
        }
        appetite
    }
}

/// All tokens of a prompt, cached or not.
pub(crate) fn prompt_of(tokens: &Tokens) -> u64 {
    tokens.input.saturating_add(tokens.cached.unwrap_or(0)).saturating_add(tokens.cache_write)
}

/// What survives a restart of [`Appetite`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AppetiteImage {
    /// One for each model, the one that learned last at the end.
    pub models: Vec<ModelAppetite>,
}

/// One model's figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ModelAppetite {
    /// Which model.
    pub model: String,
    /// Bytes of body per prompt token.
    pub bytes_per_token: f64,
    /// By which share single bodies deviate from it.
    pub spread: f64,
    /// Share of the uncached prompt that is written to the cache.
    pub written: f64,
    /// Output tokens that half of the answers stay below.
    pub half: f64,
    /// Output tokens that nine of ten answers stay below.
    pub nine_of_ten: f64,
    /// From how many answers.
    pub seen: u64,
}
