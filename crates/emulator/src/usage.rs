//! `GET /usage` (upstream.md §3).

use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};

use crate::calendar::{self, SECOND};
use crate::json::quoted;
use crate::locale::Locale;
use crate::model::Format;
use crate::quota::{Reported, Usage};
use crate::refusal::{Reply, Row, Scene};
use crate::request::bearer;
use crate::world::Shared;

/// The report of the key's subscription, or a row of upstream.md §3.3.
pub(crate) fn reply(shared: &Shared, headers: &HeaderMap, locale: Locale) -> Reply {
    let now = shared.clock.now_ms();
    let world = shared.world();
    if !world.settings.usage_api {
        return Reply::text(StatusCode::NOT_FOUND, "text/html", "<html>404</html>".to_owned());
    }
    let refuse = |row: Row| {
        row.reply(&Scene {
            model: "",
            provider: "",
            format: Format::Chat,
            workspace: "",
            locale,
            now,
            content_type: &world.settings.error_content_type,
        })
    };
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(secret) = value.and_then(bearer) else { return refuse(Row::MissingKey) };
    let Some((account, _)) = world.owner(secret) else { return refuse(Row::Unauthorized) };
    if !account.subscribed {
        return refuse(Row::Entitlement);
    }
    let ids = if world.settings.usage_ids {
        let (workspace, user) = (quoted(&account.workspace), quoted(&account.user));
        format!(r#""workspaceID":{workspace},"userID":{user},"#)
    } else {
        String::new()
    };
    let Usage { rolling, weekly, monthly } = account.quota.usage(now);
    let body = format!(
        r#"{{{ids}"usage":{{"rolling":{},"weekly":{},"monthly":{}}}}}"#,
        window(rolling, now),
        window(weekly, now),
        window(monthly, now)
    );
    Reply::json(StatusCode::OK, body)
}

/// `resetsAt` is now + whole seconds, so its milliseconds are those of the moment (§3.2).
fn window(reported: Reported, now: i64) -> String {
    format!(
        r#"{{"status":"{}","percent":{},"resetsAt":"{}"}}"#,
        status(reported),
        reported.percent,
        calendar::iso(now + reported.resets_in * SECOND)
    )
}

/// `ok` or `rate-limited`.
pub(crate) fn status(reported: Reported) -> &'static str {
    if reported.limited { "rate-limited" } else { "ok" }
}
