//! `GET /models` (upstream.md §1.1).

use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};

use crate::json::quoted;
use crate::locale::Locale;
use crate::model::Format;
use crate::refusal::{Reply, Row, Scene};
use crate::request::bearer;
use crate::route::Layout;
use crate::world::Shared;

/// The list: no key needed on the legacy path; a Bearer key on the new one (upstream.md §1.1,
/// last point). `alpha-*` is hidden.
pub(crate) fn reply(shared: &Shared, layout: Layout, headers: &HeaderMap) -> Reply {
    let now = shared.clock.now_ms();
    let world = shared.world();
    if layout == Layout::New {
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let row = match value.and_then(bearer) {
            None => Some(Row::MissingKey),
            Some(secret) if world.owner(secret).is_none() => Some(Row::InvalidKey),
            Some(_) => None,
        };
        if let Some(row) = row {
            return row.reply(&Scene {
                model: "",
                provider: "",
                format: Format::Chat,
                workspace: "",
                locale: Locale::of(headers),
                now,
                content_type: &world.settings.error_content_type,
            });
        }
    }
    let created = now / 1_000;
    let models: Vec<String> = world
        .models
        .iter()
        .filter(|model| !model.id.starts_with("alpha-"))
        .filter(|model| layout == Layout::New || !model.formats.contains(&Format::Google))
        .map(|model| {
            let id = quoted(&model.id);
            format!(r#"{{"id":{id},"object":"model","created":{created},"owned_by":"opencode"}}"#)
        })
        .collect();
    let body = format!(r#"{{"object":"list","data":[{}]}}"#, models.join(","));
    Reply::json(StatusCode::OK, body)
}
