//! What the service knows of a model: its format, price, allowance, gates and manner of speaking.

use serde::{Deserialize, Serialize};

use crate::catalogue;
use crate::price::{Money, Price};
use crate::quota::Plan;
use crate::settings::{Pace, Speech};

/// The wire formats (upstream.md §1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// OpenAI Chat Completions, `oa-compat`.
    #[default]
    Chat,
    /// Anthropic Messages.
    Messages,
    /// OpenAI Responses.
    Responses,
    /// Google `generateContent`; new layout only.
    Google,
    /// The classifier-like `systemone`.
    Systemone,
}

impl Format {
    /// The service's own name, as in `Model X is not supported for format F`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "oa-compat",
            Self::Messages => "anthropic",
            Self::Responses => "openai",
            Self::Google => "google",
            Self::Systemone => "systemone",
        }
    }
}

/// Which blank line ends an event (upstream.md §6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Separator {
    /// `\n\n`
    #[default]
    Lf,
    /// `\r\n\r\n`
    CrLf,
    /// `\r\r`
    Cr,
}

impl Separator {
    /// The end of one line.
    pub const fn line(self) -> &'static str {
        match self {
            Self::Lf => "\n",
            Self::CrLf => "\r\n",
            Self::Cr => "\r",
        }
    }
}

/// How a provider writes its streams (upstream.md §6.1, §6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Style {
    /// Ends of lines.
    pub separator: Separator,
    /// `data: {…}`; without: `data:{…}` (Alibaba).
    pub space: bool,
    /// A comment `: ping - <time>` before every so many events; 0: none.
    pub ping_every: usize,
    /// A comment whenever nothing was sent for so long; 0: none.
    pub ping_idle_ms: u64,
    /// Cached tokens stand in `usage.cached_tokens` (Moonshot) instead of
    /// `prompt_tokens_details.cached_tokens`.
    pub moonshot_cached: bool,
    /// Every chat chunk carries `"usage":null`.
    pub null_usage: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            separator: Separator::Lf,
            space: true,
            ping_every: 0,
            ping_idle_ms: 0,
            moonshot_cached: false,
            null_usage: false,
        }
    }
}

/// A model of OpenCode Go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the service's own")]
pub struct Model {
    /// Wire id.
    pub id: String,
    /// Other ids for the same model.
    pub aliases: Vec<String>,
    /// Formats served on the legacy endpoints, the native one first.
    pub formats: Vec<Format>,
    /// The configuration has per-format entries: a wrong format is a `ModelError`, else a 500
    /// (upstream.md §1.3).
    pub format_entries: bool,
    /// Display name in `Error from provider (…)`.
    pub provider: String,
    /// List price.
    pub price: Price,
    /// Monthly allowance on Go, in dollars.
    pub go_monthly: Option<u32>,
    /// Monthly allowance on Go Plus, in dollars.
    pub plus_monthly: Option<u32>,
    /// Context window in tokens.
    pub context: u64,
    /// Largest answer in tokens.
    pub max_output: u64,
    /// May be used without a key, counted per IP.
    pub anonymous: bool,
    /// Needs "allow training" (`DataPolicyError`).
    pub needs_training: bool,
    /// Needs region "cn" (`RegionError`).
    pub needs_cn: bool,
    /// Not available in these countries (`RegionError`).
    pub blocked_countries: Vec<String>,
    /// Its own requests per key and minute.
    pub per_minute: Option<u32>,
    /// The free promotion has ended (`ModelError`).
    pub promotion_ended: bool,
    /// No provider is configured (`ModelError`).
    pub no_provider: bool,
    /// The provider pool is saturated (upstream.md §2.2, provider's own 429).
    pub saturated: bool,
    /// The provider's limit on the body (upstream.md §1.2).
    pub max_body: Option<u64>,
    /// How its streams look.
    pub style: Style,
    /// Its own rhythm.
    pub pace: Option<Pace>,
    /// Its own words.
    pub speech: Option<Speech>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            id: String::new(),
            aliases: Vec::new(),
            formats: vec![Format::Chat],
            format_entries: false,
            provider: "Console Go".to_owned(),
            price: Price::default(),
            go_monthly: Some(60),
            plus_monthly: None,
            context: 1_000_000,
            max_output: 131_072,
            anonymous: false,
            needs_training: false,
            needs_cn: false,
            blocked_countries: Vec::new(),
            per_minute: None,
            promotion_ended: false,
            no_provider: false,
            saturated: false,
            max_body: None,
            style: Style::default(),
            pace: None,
            speech: None,
        }
    }
}

impl Model {
    /// The model of the built-in table with this id or alias (upstream.md §8.5).
    pub fn find(id: &str) -> Option<Self> {
        catalogue::models().into_iter().find(|model| model.answers_to(id))
    }

    /// Whether this id or alias is meant.
    pub fn answers_to(&self, id: &str) -> bool {
        self.id == id || self.aliases.iter().any(|alias| alias == id)
    }

    /// What a request of this list cost takes from the plan's quota: list cost × multiplier, the
    /// multiplier being pool / monthly allowance of the model (upstream.md §4).
    pub fn quota_cost(&self, list: Money, plan: Plan) -> Money {
        let pool = plan.monthly_pool();
        let allowance = match plan {
            Plan::Go => self.go_monthly,
            Plan::GoPlus => self.plus_monthly,
        };
        list.scaled(pool, allowance.map_or(pool, i64::from))
    }
}
