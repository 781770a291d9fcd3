//! A request as the proxy answers it at `/saros/v1/requests/<id>`. What another version leaves out
//! or adds does not matter, as long as it is about the same.

use serde::Deserialize;

use crate::cli::screen::moment::Moment;

/// The request.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "`server::control` explains each figure where it is made")]
pub struct Document {
    pub id: String,
    pub at: Moment,
    pub session: Option<String>,
    pub format: Option<String>,
    pub model: Option<String>,
    pub status: Option<u16>,
    #[serde(default)]
    pub end: String,
    pub label: Option<String>,
    #[serde(default)]
    pub attempts: u32,
    #[serde(default)]
    pub failed: Vec<Failed>,
    pub fault: Option<String>,
    #[serde(default)]
    pub replayed: bool,
    pub ttfb_ms: Option<u64>,
    #[serde(default)]
    pub duration_ms: u64,
    #[serde(default)]
    pub bytes_in: u64,
    #[serde(default)]
    pub bytes_out: u64,
    pub tokens: Option<Tokens>,
    pub list_cost: Option<f64>,
    pub balance_cost: Option<f64>,
    /// One per attempt, as far as they were kept.
    #[serde(default)]
    pub decisions: Vec<Decision>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "as above")]
pub struct Failed {
    pub label: String,
    pub fault: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "as above")]
pub struct Tokens {
    /// The whole prompt.
    pub input: u64,
    pub cached: Option<u64>,
    pub cache_write: u64,
    pub output: u64,
    pub reasoning: u64,
}

/// How one attempt's account was chosen.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "as above")]
pub struct Decision {
    pub candidates: Vec<Candidate>,
    pub chosen: Option<String>,
    pub reason: String,
    pub cost: Option<Cost>,
    pub seat: Option<Seat>,
    pub scarce: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "as above")]
pub struct Candidate {
    pub label: String,
    pub in_flight: u32,
    pub fit: String,
    pub guard: Option<String>,
    pub why: Option<String>,
    pub until: Option<Moment>,
    /// Percent of its fullest window.
    pub highest: Option<f64>,
    /// Quota-dollars an hour that must be used if the month is not to take any away.
    pub urgency: f64,
}

/// In quota-dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "as above")]
pub struct Cost {
    pub likely: f64,
    pub most: f64,
}

/// Where the session was before.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "as above")]
pub struct Seat {
    pub label: String,
    /// The chance that its prompt cache is still warm there.
    pub warm: f64,
}
