//! What a request costs: list prices with long-context tiers and peak hours.
//!
//! Plays upstream.md §6.3 ("Server price formula") and §8.5 (the numbers), in whole units of
//! 10⁻⁸ dollars so that percentages floor where the service's do.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub, SubAssign};

use serde::{Deserialize, Serialize};

use crate::calendar;

/// An amount of money in units of 10⁻⁸ dollars. JSON: dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "f64", into = "f64")]
pub struct Money(pub i64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From dollars, rounded to 10⁻⁸.
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is what is wanted")]
    pub fn dollars(dollars: f64) -> Self {
        Self((dollars * 1e8).round() as i64)
    }

    /// In dollars.
    #[expect(clippy::cast_precision_loss, reason = "sums stay far below 2^52 units")]
    pub fn to_dollars(self) -> f64 {
        self.0 as f64 / 1e8
    }

    /// Multiplied by `numerator / denominator`, rounded to nearest.
    #[must_use]
    pub fn scaled(self, numerator: i64, denominator: i64) -> Self {
        if denominator == 0 {
            return self;
        }
        let product = i128::from(self.0) * i128::from(numerator);
        let half = i128::from(denominator / 2);
        Self(i64::try_from((product + half) / i128::from(denominator)).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Money {
    fn from(dollars: f64) -> Self {
        Self::dollars(dollars)
    }
}

impl From<Money> for f64 {
    fn from(money: Money) -> Self {
        money.to_dollars()
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// What a request consumed, in tokens. `input` excludes `cached` and `cache_write`; `output`
/// includes `reasoning`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Tokens {
    /// Prompt tokens at the full price.
    pub input: u64,
    /// Prompt tokens read from the prompt cache.
    pub cached: u64,
    /// Prompt tokens written to the prompt cache at its own price.
    pub cache_write: u64,
    /// Tokens of the answer, reasoning included.
    pub output: u64,
    /// The part of `output` that was reasoning.
    pub reasoning: u64,
}

impl Tokens {
    /// The whole prompt.
    pub fn prompt(&self) -> u64 {
        self.input.saturating_add(self.cached).saturating_add(self.cache_write)
    }
}

/// Dollars per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rate {
    /// Uncached prompt.
    pub input: f64,
    /// Answer.
    pub output: f64,
    /// Cached prompt.
    pub cached: f64,
    /// Prompt written to the cache, where that has its own price.
    pub cache_write: Option<f64>,
}

impl Rate {
    /// A rate without a price of its own for cache writes.
    pub const fn new(input: f64, output: f64, cached: f64) -> Self {
        Self { input, output, cached, cache_write: None }
    }

    /// The same rate with a price for cache writes.
    #[must_use]
    pub const fn write(mut self, cache_write: f64) -> Self {
        self.cache_write = Some(cache_write);
        self
    }

    /// All prices multiplied.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self {
            input: self.input * factor,
            output: self.output * factor,
            cached: self.cached * factor,
            cache_write: self.cache_write.map(|price| price * factor),
        }
    }

    fn cost(&self, tokens: &Tokens) -> Money {
        let write = self.cache_write.unwrap_or(self.input);
        let units = [
            (tokens.input, self.input),
            (tokens.cached, self.cached),
            (tokens.cache_write, write),
            (tokens.output, self.output),
        ];
        // Micro-dollars per million tokens are whole numbers for every published price.
        let sum: i128 =
            units.iter().map(|(count, price)| i128::from(*count) * i128::from(micro(*price))).sum();
        Money(i64::try_from((sum + 5_000) / 10_000).unwrap_or(i64::MAX))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is what is wanted")]
fn micro(dollars: f64) -> i64 {
    (dollars * 1e6).round() as i64
}

/// The price of a long prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Tier {
    /// Holds when the prompt (input + cached + cache writes) has more tokens than this.
    pub above: u64,
    /// Replaces the base rate.
    pub rate: Rate,
}

/// The list price of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Price {
    /// Outside tiers and peaks.
    pub base: Rate,
    /// Long-context tier.
    pub tier: Option<Tier>,
    /// Peak price; replaces base and tier.
    pub peak: Option<Rate>,
    /// Peaks on Saturday and Sunday too (the older documentation).
    pub peak_every_day: bool,
}

impl Price {
    /// A price without tier or peak.
    pub const fn flat(base: Rate) -> Self {
        Self { base, tier: None, peak: None, peak_every_day: false }
    }

    /// Nothing is charged: such models bypass the quota check (upstream.md §4).
    pub fn is_free(&self) -> bool {
        self.base.input == 0.0 && self.base.output == 0.0 && self.base.cached == 0.0
    }

    /// What the request costs at list price at this moment.
    pub fn list_cost(&self, tokens: &Tokens, now: i64) -> Money {
        self.rate(tokens, now).cost(tokens)
    }

    fn rate(&self, tokens: &Tokens, now: i64) -> Rate {
        if let Some(peak) = self.peak
            && calendar::in_peak(now, !self.peak_every_day)
        {
            return peak;
        }
        match self.tier {
            Some(tier) if tokens.prompt() > tier.above => tier.rate,
            _ => self.base,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula() {
        let price = Price::flat(Rate::new(1.0, 10.0, 0.1).write(2.0));
        let tokens =
            Tokens { input: 1_000, cached: 10_000, cache_write: 500, output: 100, reasoning: 50 };
        // 0.001 + 0.001 + 0.001 + 0.001 dollars
        assert_eq!(price.list_cost(&tokens, 0), Money::dollars(0.004));
    }

    #[test]
    fn tier_counts_the_whole_prompt_and_peak_wins() {
        let mut price = Price::flat(Rate::new(1.0, 1.0, 1.0));
        price.tier = Some(Tier { above: 200, rate: Rate::new(2.0, 2.0, 2.0) });
        let at = Tokens { input: 100, cached: 100, ..Tokens::default() };
        let over = Tokens { input: 100, cached: 101, ..Tokens::default() };
        assert_eq!(price.list_cost(&at, 0), Money(200 * 100));
        assert_eq!(price.list_cost(&over, 0), Money(201 * 200));
        price.peak = Some(Rate::new(5.0, 5.0, 5.0));
        // 1970-01-01 was a Thursday; 02:00 is peak.
        assert_eq!(price.list_cost(&over, 2 * calendar::HOUR), Money(201 * 500));
        // 1970-01-03 was a Saturday.
        let saturday = 2 * calendar::DAY + 2 * calendar::HOUR;
        assert_eq!(price.list_cost(&over, saturday), Money(201 * 200));
    }

    #[test]
    fn money_speaks_dollars() {
        assert_eq!(serde_json::to_string(&Money::dollars(0.5)).unwrap(), "0.5");
        assert_eq!(Money::dollars(0.01).scaled(60, 15), Money::dollars(0.04));
        assert_eq!(Money(2).scaled(1, 3), Money(1));
    }
}
