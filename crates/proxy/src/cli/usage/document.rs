//! What `usage` shows, as the proxy answers it at `/saros/v1/accounts`. What another version leaves
//! out or adds does not matter, as long as it is about the same.

use serde::{Deserialize, Serialize};

use crate::cli::screen::moment::Moment;

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "`server::accounts` explains each figure where it is made")]
pub struct Document {
    pub version: String,
    pub at: Moment,
    pub accounts: Vec<Account>,
    #[serde(default)]
    pub pool: Pool,
    #[serde(default)]
    pub models: Vec<Model>,
    #[serde(default)]
    pub caches: Vec<Cache>,
    /// None where the service was asked, which does not keep any.
    #[serde(default)]
    pub totals: Option<Totals>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "as above")]
pub struct Account {
    pub label: String,
    pub labels: Vec<String>,
    #[serde(flatten)]
    pub standing: Standing,
    pub in_flight: u32,
    pub keys: Vec<Key>,
    pub windows: Windows,
    pub binds: Option<String>,
    pub reported_at: Option<Moment>,
    pub source: Option<String>,
    pub balance_spent: f64,
    pub parked_until: Option<Moment>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "as above")]
pub struct Key {
    pub label: String,
    #[serde(flatten)]
    pub standing: Standing,
    pub in_flight: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "as above")]
pub struct Standing {
    pub state: String,
    pub why: Option<String>,
    pub until: Option<Moment>,
    pub last_fault: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "as above")]
pub struct Windows {
    pub five_hour: Window,
    pub weekly: Window,
    pub monthly: Window,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "as above")]
pub struct Window {
    pub percent: Option<(f64, f64)>,
    pub limited: bool,
    pub resets_at: Option<Moment>,
    pub burn_per_hour: f64,
    pub forecast: Option<Forecast>,
    pub forfeits: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
#[expect(missing_docs, reason = "as above")]
pub struct Forecast {
    pub p10: Option<Moment>,
    pub p50: Option<Moment>,
    pub p90: Option<Moment>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
#[expect(missing_docs, reason = "as above")]
pub struct Pool {
    pub dry: Option<Forecast>,
    pub returns: Option<Moment>,
    pub scarce: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "as above")]
pub struct Model {
    pub model: String,
    pub requests: u64,
    pub input_tokens: u64,
    pub cached_tokens: u64,
    pub output_tokens: u64,
    pub list_cost: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "as above")]
pub struct Cache {
    pub model: String,
    pub warm_for_ms: i64,
    pub survives: f64,
    pub answers: u64,
    pub moves: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "as above")]
pub struct Totals {
    pub since: Moment,
    pub rotation_tax: f64,
    pub switches: u64,
    pub forfeited: f64,
    pub balance_spent: f64,
}

impl Windows {
    /// Each with its name, the shortest first.
    pub const fn named(&self) -> [(&'static str, &Window); 3] {
        [("5 hours", &self.five_hour), ("week", &self.weekly), ("month", &self.monthly)]
    }
}
