//! What models cost: list prices, long prompts, peak hours, and what each model may use a month.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::meter::Tokens;
use crate::time::{DAY, HOUR, Millis};

/// Which subscription an account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plan {
    /// Go.
    #[default]
    Go,
    /// Go Plus.
    GoPlus,
}

/// Something of each plan, indexed by [`Plan::index`].
pub type PerPlan<T> = [T; 2];

impl Plan {
    /// Both, in the order of [`PerPlan`].
    pub const ALL: PerPlan<Self> = [Self::Go, Self::GoPlus];

    /// The word used in configuration and figures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::GoPlus => "go-plus",
        }
    }

    /// Its place in a [`PerPlan`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Of something of each plan, this one's.
    pub const fn of<T: Copy>(self, [go, plus]: PerPlan<T>) -> T {
        match self {
            Self::Go => go,
            Self::GoPlus => plus,
        }
    }
}

/// Dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rate {
    /// Prompt at the full price.
    pub input: f64,
    /// Answer, reasoning included.
    pub output: f64,
    /// Prompt read from the cache.
    pub cache_read: f64,
    /// Prompt written to the cache.
    pub cache_write: f64,
}

impl Rate {
    /// What these tokens cost, in dollars.
    #[expect(clippy::cast_precision_loss, reason = "token counts stay far below 2^52")]
    pub fn cost(&self, tokens: &Tokens) -> f64 {
        let sum = tokens.input as f64 * self.input
            + tokens.cached.unwrap_or(0) as f64 * self.cache_read
            + tokens.cache_write as f64 * self.cache_write
            + tokens.output as f64 * self.output;
        sum / 1e6
    }

    fn times(self, factor: f64) -> Self {
        Self {
            input: self.input * factor,
            output: self.output * factor,
            cache_read: self.cache_read * factor,
            cache_write: self.cache_write * factor,
        }
    }

    fn most(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cache_read: self.cache_read.max(other.cache_read),
            cache_write: self.cache_write.max(other.cache_write),
        }
    }
}

/// What is known of one model's price.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Price {
    /// Outside long prompts and peaks; `None` while only the allowance is known.
    pub rate: Option<Rate>,
    /// For prompts of more tokens than this (cached ones included): this rate instead.
    pub long: Option<(u64, Rate)>,
    /// Costs twice [`Price::rate`] in peak hours, long prompt or not.
    pub peak: bool,
    /// Dollars at list price that a month of each plan allows of this model.
    pub monthly: PerPlan<Option<f64>>,
}

/// What the configuration says of a model's price; what it leaves out stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PriceOverride {
    /// Dollars per million prompt tokens.
    pub input: Option<f64>,
    /// Dollars per million tokens of the answer.
    pub output: Option<f64>,
    /// Dollars per million prompt tokens read from the cache.
    pub cache_read: Option<f64>,
    /// Dollars per million prompt tokens written to the cache.
    pub cache_write: Option<f64>,
    /// Dollars at list price that a month allows, whatever the plan.
    pub monthly_limit: Option<f64>,
}

/// The month that multipliers are relative to, in quota-dollars, as published for Go. A model
/// with an allowance of a quarter of it costs four times its list price.
pub const MONTH: f64 = 60.0;

/// `DeepSeek`'s peak hours, UTC, Monday to Friday.
const PEAKS: [(i64, i64); 2] = [(1, 4), (6, 10)];
const PEAK_FACTOR: f64 = 2.0;

/// The price table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prices {
    models: BTreeMap<Arc<str>, Price>,
    /// The highest figure of every column: for models whose price is not known.
    dearest: Rate,
}

impl Prices {
    /// Adds or replaces a model.
    pub fn insert(&mut self, model: &str, price: Price) {
        let rates = [price.rate, price.long.map(|(_, rate)| rate)];
        let factor = if price.peak { PEAK_FACTOR } else { 1.0 };
        for rate in rates.into_iter().flatten() {
            self.dearest = self.dearest.most(rate.times(factor));
        }
        self.models.insert(model.into(), price);
    }

    /// Lays the configuration's words over a model, field by field. The price of long prompts
    /// keeps its proportion. A model that was not known needs `input` and `output`; cached tokens
    /// then cost as much as others unless it says otherwise.
    pub fn overlay(&mut self, model: &str, words: &PriceOverride) {
        let mut price = self.models.get(model).copied().unwrap_or_default();
        let old = price.rate;
        price.rate = match (old, words.input, words.output) {
            (Some(old), input, output) => Some(Rate {
                input: input.unwrap_or(old.input),
                output: output.unwrap_or(old.output),
                cache_read: words.cache_read.unwrap_or(old.cache_read),
                cache_write: words.cache_write.unwrap_or(old.cache_write),
            }),
            (None, Some(input), Some(output)) => Some(Rate {
                input,
                output,
                cache_read: words.cache_read.unwrap_or(input),
                cache_write: words.cache_write.unwrap_or(input),
            }),
            (None, ..) => None,
        };
        if let (Some(old), Some(new), Some((_, long))) = (old, price.rate, price.long.as_mut()) {
            let keep =
                |long: f64, old: f64, new: f64| if old > 0.0 { long / old * new } else { new };
            *long = Rate {
                input: keep(long.input, old.input, new.input),
                output: keep(long.output, old.output, new.output),
                cache_read: keep(long.cache_read, old.cache_read, new.cache_read),
                cache_write: keep(long.cache_write, old.cache_write, new.cache_write),
            };
        }
        if let Some(limit) = words.monthly_limit {
            price.monthly = [Some(limit); 2];
        }
        self.insert(model, price);
    }

    /// What is known of a model.
    pub fn get(&self, model: &str) -> Option<&Price> {
        self.models.get(model)
    }

    /// The models with what is known of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Price)> {
        self.models.iter()
    }

    /// The rate of a prompt of so many tokens (cached ones included) at this moment.
    pub fn rate_at(&self, model: &str, prompt_tokens: u64, at: Millis) -> Option<Rate> {
        let Some(price) = self.models.get(model) else {
            // What the service gives away for a while is named so.
            return model.ends_with("-free").then(Rate::default);
        };
        let rate = price.rate?;
        if price.peak && in_peak(at) {
            return Some(rate.times(PEAK_FACTOR));
        }
        Some(price.long.filter(|(above, _)| prompt_tokens > *above).map_or(rate, |(_, long)| long))
    }

    /// What these tokens cost at list price when the request ends at this moment, in dollars.
    pub fn list_cost(&self, model: &str, tokens: &Tokens, at: Millis) -> Option<f64> {
        Some(self.rate_at(model, prompt(tokens), at)?.cost(tokens))
    }

    /// The most that these tokens can cost, judging by the dearest model known.
    pub fn dearest_cost(&self, tokens: &Tokens) -> f64 {
        self.dearest.cost(tokens)
    }

    /// Quota-dollars per list dollar of a model: [`MONTH`] by its monthly allowance.
    pub fn multiplier(&self, model: &str, plan: Plan) -> Option<f64> {
        self.multipliers(model).get(plan.index()).copied().flatten()
    }

    /// [`Prices::multiplier`] under each plan.
    pub fn multipliers(&self, model: &str) -> PerPlan<Option<f64>> {
        let Some(price) = self.models.get(model) else { return [None; 2] };
        price.monthly.map(|limit| limit.filter(|limit| *limit > 0.0).map(|limit| MONTH / limit))
    }
}

/// The whole prompt, which is what a long one is told by.
const fn prompt(tokens: &Tokens) -> u64 {
    let cached = match tokens.cached {
        Some(cached) => cached,
        None => 0,
    };
    tokens.input.saturating_add(cached).saturating_add(tokens.cache_write)
}

fn in_peak(at: Millis) -> bool {
    // 1 January 1970 was a Thursday, day 3 of a week that begins on Monday.
    let day = (at.0.div_euclid(DAY) + 3).rem_euclid(7);
    let hour = at.0.rem_euclid(DAY) / HOUR;
    day < 5 && PEAKS.iter().any(|(from, to)| (*from..*to).contains(&hour))
}

#[cfg(test)]
mod tests;
