//! One small streamed request with each key that has quota left.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode, Version};
use tokio::time::{Instant, timeout};

use crate::cli::doctor::Report;
use crate::cli::doctor::finding::{Finding, check};
use crate::upstream::body::OutBody;
use crate::upstream::connections::Ready;
use crate::upstream::exchange::{Opener, send};
use crate::upstream::headers;
use crate::upstream::key::Key;

/// A cheap model: $0.15 a million tokens in, $0.50 a million out.
const MODEL: &str = "glm-5.3-flash";
/// The answer's most tokens. Together with some twenty of the question: a hundredth of a cent for
/// three accounts.
const TOKENS: u32 = 16;
/// How long the answer may take as a whole.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than this, in bytes, is no answer to such a question.
const LONGEST: usize = 1 << 20;

/// Says what it costs, and sends.
pub async fn send_all(keys: &[Arc<Key>], opener: &Opener, report: &mut Report) {
    if keys.is_empty() {
        report.add(Finding::note(check::LIVE, "no key that a request could be sent with"));
        return;
    }
    let requests =
        if keys.len() == 1 { "request".to_owned() } else { format!("{} requests", keys.len()) };
    report.announce(&format!(
        "Sending {requests} to {MODEL}, {TOKENS} tokens of answer each: less than $0.0001 of each account's windows."
    ));
    for key in keys {
        let sent = timeout(PATIENCE, once(key, opener)).await;
        let label = &key.label;
        report.add(match sent {
            Ok(Ok((first, all))) => {
                let (first, all) = (first.as_millis(), all.as_millis());
                let what =
                    format!("{label}: first words after {first} ms, finished after {all} ms");
                Finding::ok(check::LIVE, what)
            }
            Ok(Err(why)) => Finding::broken(check::LIVE, format!("{label}: {why}"))
                .fix("see what is said of the key above; if nothing is, try again later"),
            Err(_) => {
                let what = format!("{label}: no whole answer within {} s", PATIENCE.as_secs());
                Finding::broken(check::LIVE, what)
                    .fix("the service may have trouble; try again later")
            }
        });
    }
}

/// The times to the first bytes and to the end.
async fn once(key: &Arc<Key>, opener: &Opener) -> Result<(Duration, Duration), String> {
    let began = Instant::now();
    let ready = opener.connection(key, true).await.map_err(|_| "no connection".to_owned())?;
    let h2 = matches!(ready, Ready::Http2(_));
    let body = serde_json::json!({
        "model": MODEL,
        "stream": true,
        "max_tokens": TOKENS,
        "messages": [{ "role": "user", "content": "Answer with the one word: pong" }],
    });
    let (body, _) = OutBody::new(Bytes::from(body.to_string()));
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    let path = key.base.path("chat/completions");
    *request.uri_mut() = key.uri_at(path, h2).ok_or("the path is not a valid URL")?;
    *request.headers_mut() = head(key);
    if h2 {
        *request.version_mut() = Version::HTTP_2;
    } else {
        request.headers_mut().insert(HOST, key.host());
    }
    let (parts, mut answer) = send(ready, key, request)
        .await
        .map_err(|_| "the connection broke before an answer".to_owned())?;
    let mut first = None;
    let mut text = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| answer.poll_frame(cx)).await {
        let frame = frame.map_err(|error| format!("the answer broke off: {error}"))?;
        first.get_or_insert_with(|| began.elapsed());
        if let Ok(data) = frame.into_data() {
            text.extend_from_slice(&data);
        }
        if text.len() > LONGEST {
            return Err("the answer does not end".to_owned());
        }
    }
    let text = String::from_utf8_lossy(&text);
    if parts.status != StatusCode::OK {
        let start: String = text.chars().take(300).collect();
        let start = saros_wire::scrub::scrub(&start).into_owned();
        return Err(format!("answered {}: {}", parts.status, start.trim()));
    }
    if !text.contains("[DONE]") {
        return Err("the stream ended without its end mark".to_owned());
    }
    Ok((first.unwrap_or_default(), began.elapsed()))
}

fn head(key: &Key) -> HeaderMap {
    let session = saros_wire::head::session_id("doctor", u128::from(key.id.0));
    let session = HeaderValue::try_from(session).ok();
    let mut headers = headers::outgoing(&HeaderMap::new(), session.as_ref());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(AUTHORIZATION, key.bearer());
    headers
}
