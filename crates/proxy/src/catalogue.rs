//! What is known of models without asking: the bundled snapshot.
//!
//! Nothing is refused on its word alone. It names the right endpoint after the service has refused
//! a model on the wrong one, and stands in for the model list while the service is silent.

use std::sync::LazyLock;

use saros_core::format::Format;
use saros_core::price::{Price, Prices, Rate};
use serde::Deserialize;

/// In what a model is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// This format.
    One(Format),
    /// A format that the endpoints here do not offer.
    Other,
    /// Any: the service translates (GLM on `/responses`, upstream.md §1.1).
    Both(Format, Format),
}

impl Speaks {
    /// Whether the model speaks this format.
    pub fn is(self, format: Format) -> bool {
        match self {
            Self::One(one) => one == format,
            Self::Both(one, other) => one == format || other == format,
            Self::Other => false,
        }
    }
}

/// One model of the snapshot.
#[derive(Debug, Deserialize)]
pub struct Model {
    /// Its id at the service.
    pub id: String,
    format: String,
    #[serde(flatten)]
    priced: Priced,
    /// Other ids that cost the same: aliases, and versions before.
    #[serde(default, rename = "pricedAlike")]
    priced_alike: Vec<String>,
}

/// What a model costs.
#[derive(Debug, Deserialize)]
struct Priced {
    price: Option<Dollars>,
    /// Long prompts have their own price.
    long: Option<Long>,
    /// Twice the price in peak hours.
    #[serde(default)]
    peak: bool,
    /// List dollars a month on Go and on Go Plus; not published for every model.
    monthly: Option<[f64; 2]>,
}

/// Dollars per million tokens.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dollars {
    input: f64,
    output: f64,
    cache_read: f64,
    cache_write: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Long {
    above: u64,
    #[serde(flatten)]
    price: Dollars,
}

/// A model that is not listed any more but still has a price.
#[derive(Debug, Deserialize)]
struct Delisted {
    id: String,
    #[serde(flatten)]
    priced: Priced,
}

#[derive(Debug, Default, Deserialize)]
struct Snapshot {
    models: Vec<Model>,
    delisted: Vec<Delisted>,
}

impl From<Dollars> for Rate {
    fn from(dollars: Dollars) -> Self {
        Self {
            input: dollars.input,
            output: dollars.output,
            cache_read: dollars.cache_read,
            // Where nothing is said, what is written to the cache costs as any prompt does.
            cache_write: dollars.cache_write.unwrap_or(dollars.input),
        }
    }
}

impl From<&Priced> for Price {
    fn from(priced: &Priced) -> Self {
        Self {
            rate: priced.price.map(Rate::from),
            long: priced.long.as_ref().map(|long| (long.above, long.price.into())),
            peak: priced.peak,
            monthly: priced.monthly.map_or([None; 2], |monthly| monthly.map(Some)),
        }
    }
}

static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| {
    // A test proves that the bundled file is well formed.
    serde_json::from_str(include_str!("../data/models.json")).unwrap_or_default()
});

/// The models of the snapshot.
pub fn bundled() -> &'static [Model] {
    &SNAPSHOT.models
}

/// The prices of the snapshot.
pub fn prices() -> Prices {
    let mut prices = Prices::default();
    for Model { id, priced, priced_alike, .. } in &SNAPSHOT.models {
        for id in priced_alike.iter().chain([id]) {
            prices.insert(id, priced.into());
        }
    }
    for Delisted { id, priced } in &SNAPSHOT.delisted {
        prices.insert(id, priced.into());
    }
    prices
}

/// In what this model is spoken to, where that is known.
pub fn speaks(model: &str) -> Option<Speaks> {
    let model = SNAPSHOT.models.iter().find(|known| known.id == model)?;
    Some(match (model.format.as_str(), model.id.as_str()) {
        ("chat", "glm-5.3" | "glm-5.3-flash") => Speaks::Both(Format::Chat, Format::Responses),
        ("chat", _) => Speaks::One(Format::Chat),
        ("messages", _) => Speaks::One(Format::Messages),
        ("responses", _) => Speaks::One(Format::Responses),
        _ => Speaks::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_snapshot_is_well_formed_and_its_formats_are_known() {
        assert!(bundled().len() > 20);
        for model in bundled() {
            let known = ["chat", "messages", "responses", "google"];
            assert!(known.contains(&model.format.as_str()), "{model:?}");
        }
        assert_eq!(speaks("minimax-m3"), Some(Speaks::One(Format::Messages)));
        assert!(speaks("glm-5.3").is_some_and(|speaks| speaks.is(Format::Responses)));
        assert_eq!(speaks("gemini-4-argon"), Some(Speaks::Other));
        assert_eq!(speaks("unheard-of"), None);
    }

    #[test]
    fn the_price_table_is_the_one_that_the_emulator_has_on_its_own() {
        let (prices, at) = (prices(), 1_795_000_000_000);
        for model in saros_emulator::models() {
            for id in model.aliases.iter().chain([&model.id]) {
                // Below and above every long prompt, outside and inside of peaks.
                for (prompt, hours) in [(1_000, 0), (700_000, 0), (1_000, 3), (700_000, 9)] {
                    let at = at - at % 86_400_000 + hours * 3_600_000;
                    let theirs = saros_emulator::Tokens {
                        input: prompt,
                        cached: 70,
                        cache_write: 500,
                        output: 3_000,
                        reasoning: 0,
                    };
                    let ours = saros_core::meter::Tokens {
                        input: prompt,
                        cached: Some(70),
                        cache_write: 500,
                        output: 3_000,
                        reasoning: 0,
                    };
                    let cost = prices.list_cost(id, &ours, saros_core::time::Millis(at));
                    let expected = model.price.list_cost(&theirs, at).to_dollars();
                    assert!(
                        cost.is_some_and(|cost| (cost - expected).abs() < 1e-6),
                        "{id} {cost:?}"
                    );
                }
                let monthly = prices.get(id).map_or([None; 2], |price| price.monthly);
                let expected = [model.go_monthly, model.plus_monthly];
                assert_eq!(monthly, expected.map(|limit| limit.map(f64::from)), "{id}");
            }
        }
    }
}
