//! `GET …/models`: the service's list while it answers, else the last good one, else our own.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};
use saros_core::pool::{Standing, State};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::catalogue;
use crate::server::app::App;
use crate::server::attempt::{self, Attempted, Outgoing};
use crate::server::conclude::KEY_LABEL;
use crate::server::lease::Lease;
use crate::server::reply::Out;
use crate::upstream::headers::Passing;
use crate::upstream::key::Key;

/// The list is asked for at most this often.
const WARM: Duration = Duration::from_secs(60);
/// How long the service may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A list longer than this is not one.
const LONGEST: usize = 8 << 20;

/// The list as last seen; holding the lock is being the one fetch in flight.
#[derive(Default)]
pub struct Models(Mutex<Shelf>);

#[derive(Default)]
struct Shelf {
    list: Option<List>,
    asked: Option<Instant>,
}

#[derive(Clone)]
struct List {
    body: Bytes,
    content_type: HeaderValue,
    label: HeaderValue,
}

/// Answers with the list.
pub async fn models(app: &Arc<App>) -> Response<Out> {
    let mut shelf = app.models.0.lock().await;
    let now = Instant::now();
    let due = shelf.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= WARM);
    if due {
        let fetched = tokio::time::timeout(PATIENCE, fetch(app)).await.ok().flatten();
        shelf.asked = Some(now);
        if fetched.is_some() {
            shelf.list = fetched;
        }
    }
    let list = shelf.list.clone().unwrap_or_else(bundled);
    let mut response = Response::new(Out::Full(list.body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, list.content_type);
    headers.insert(KEY_LABEL, list.label);
    response
}

async fn fetch(app: &Arc<App>) -> Option<List> {
    let key = source(app)?;
    let mut lease = Lease::none(app);
    let session = HeaderValue::from_str(&saros_wire::head::session_id("models", 0)).ok();
    let mut out = Outgoing {
        method: Method::GET,
        format: None,
        below_v1: "models".into(),
        asked: None,
        headers: Passing::of(HeaderMap::new(), session),
        body: Bytes::new(),
        header_timeout: PATIENCE,
    };
    let Attempted::Begun(parts, mut answer) = attempt::run(app, &key, &mut out, &mut lease).await
    else {
        return None;
    };
    let mut body = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| answer.poll_frame(cx)).await {
        if let Ok(data) = frame.ok()?.into_data() {
            body.extend_from_slice(&data);
        }
        if body.len() > LONGEST {
            return None;
        }
    }
    answer.finish();
    let is_list = serde_json::from_slice::<Listed>(&body).is_ok_and(|list| !list.data.is_empty());
    let content_type = parts.headers.get(CONTENT_TYPE).cloned().unwrap_or(JSON);
    (parts.status == StatusCode::OK && is_list).then(|| List {
        body: body.freeze(),
        content_type,
        label: key.label_value.clone(),
    })
}

/// Whom to ask: the list costs nothing and is the same for all, so it takes no slot and no turn, and
/// an account that is out of quota may be asked as well. Only a dead key is left alone.
fn source(app: &App) -> Option<Arc<Key>> {
    let standings = app.pool().standings(app.clock.now());
    let usable = |standing: &&Standing| matches!(standing.state, State::Ready | State::Trial);
    let alive = |standing: &&Standing| standing.state != State::Dead;
    let best = standings.iter().find(usable).or_else(|| standings.iter().find(alive))?;
    app.key(best.key)
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Enough of the list to see that it is one.
#[derive(serde::Deserialize)]
struct Listed {
    data: Vec<serde::de::IgnoredAny>,
}

fn bundled() -> List {
    let data: Vec<_> = catalogue::bundled()
        .iter()
        .map(|model| {
            serde_json::json!({
                "id": model.id, "object": "model", "created": 0, "owned_by": "saros"
            })
        })
        .collect();
    let body = serde_json::json!({ "object": "list", "data": data }).to_string();
    List { body: body.into(), content_type: JSON, label: HeaderValue::from_static("none") }
}
