//! What is known of models without asking: the bundled snapshot.
//!
//! Nothing is refused on its word alone. It names the right endpoint after the service has refused
//! a model on the wrong one, and stands in for the model list while the service is silent.

use std::sync::LazyLock;

use saros_core::format::Format;
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
}

#[derive(Debug, Default, Deserialize)]
struct Snapshot {
    models: Vec<Model>,
}

static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| {
    // A test proves that the bundled file is well formed.
    serde_json::from_str(include_str!("../data/models.json")).unwrap_or_default()
});

/// The models of the snapshot.
pub fn bundled() -> &'static [Model] {
    &SNAPSHOT.models
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
}
