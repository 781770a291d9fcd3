//! Dollars in the configuration: what may be spent, and what models cost.

use saros_core::pool::AllowBalance;
use saros_core::price::PriceOverride;
use serde_json::{Map, Value, json};

/// Whether prepaid balance may be spent once quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Balance {
    /// Never.
    #[default]
    Never,
    /// Without limit.
    Always,
    /// Up to so many dollars.
    UpTo(f64),
}

impl From<Balance> for AllowBalance {
    fn from(balance: Balance) -> Self {
        match balance {
            Balance::Never => Self::No,
            Balance::Always => Self::Yes,
            Balance::UpTo(dollars) => Self::UpTo(dollars),
        }
    }
}

impl From<&Price> for PriceOverride {
    fn from(price: &Price) -> Self {
        Self {
            input: price.input,
            output: price.output,
            cache_read: price.cache_read,
            cache_write: price.cache_write,
            monthly_limit: price.monthly_limit,
        }
    }
}

impl Balance {
    /// As it is written.
    pub fn to_json(self) -> Value {
        match self {
            Self::Never => json!(false),
            Self::Always => json!(true),
            Self::UpTo(dollars) => amount(dollars),
        }
    }
}

/// What a model costs: dollars per million tokens, and per month. What is absent is as Saros
/// believes it to be.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Price {
    /// The model's id at the service.
    pub model: String,
    /// A million tokens of prompt.
    pub input: Option<f64>,
    /// A million tokens of answer.
    pub output: Option<f64>,
    /// A million tokens read from the prompt cache.
    pub cache_read: Option<f64>,
    /// A million tokens written to the prompt cache.
    pub cache_write: Option<f64>,
    /// What a subscription holds of this model in a month.
    pub monthly_limit: Option<f64>,
}

impl Price {
    /// Without the model's name.
    pub fn to_json(&self) -> Value {
        let amounts = [
            ("input", self.input),
            ("output", self.output),
            ("cacheRead", self.cache_read),
            ("cacheWrite", self.cache_write),
            ("monthlyLimit", self.monthly_limit),
        ];
        let known = amounts
            .into_iter()
            .filter_map(|(name, dollars)| Some((name.to_owned(), amount(dollars?))));
        Value::Object(known.collect::<Map<_, _>>())
    }
}

/// Whole dollars without a fraction.
fn amount(dollars: f64) -> Value {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and within 0 to 9e15"
    )]
    if dollars.fract() == 0.0 && (0.0..9e15).contains(&dollars) {
        json!(dollars as u64)
    } else {
        json!(dollars)
    }
}
