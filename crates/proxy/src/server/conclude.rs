//! What the client gets when no attempt succeeded (README, "Answers").

use std::sync::Arc;

use http::header::CONTENT_LENGTH;
use http::{HeaderName, Response, StatusCode, Version};
use saros_core::fault::FaultKind;
use saros_core::format::Format;
use saros_core::pool::{Ask, Refusal};
use saros_core::time::{HOUR, Millis, SECOND};
use saros_core::window::Window;
use saros_wire::reply::Kind;
use tokio::time::Instant;

use crate::catalogue;
use crate::config::{HeaderTimeout, OnExhausted};
use crate::server::app::App;
use crate::server::attempt::{Failure, HeldAnswer};
use crate::server::journal::Journal;
use crate::server::lease::Active;
use crate::server::relay::{Meter, Relay};
use crate::server::reply::{Out, Own};
use crate::upstream::headers;

/// Which account served.
pub const KEY_LABEL: HeaderName = HeaderName::from_static("x-proxy-key-label");

/// Beyond this a session should not sleep unseen: the answer is final instead. In whole seconds, as
/// resets are told: a window that was just opened may seem half a second longer than it is.
const SLEEPS_AT_MOST: i64 = 5 * HOUR;

/// The answer for a request that cannot be served.
pub fn conclude(
    app: &Arc<App>,
    ask: &Ask,
    refusal: &Refusal,
    last: Option<Box<Failure>>,
) -> Response<Out> {
    let label = ask_label(app, last.as_deref());
    let mut response = match (refusal, last) {
        (Refusal::LastAttempt, Some(failure)) => last_attempt(app, ask, *failure),
        (refusal, _) => refused(app, ask, refusal).answer(ask.format),
    };
    if let Some(label) = label {
        response.headers_mut().insert(KEY_LABEL, label);
    }
    response
}

fn ask_label(app: &App, last: Option<&Failure>) -> Option<http::HeaderValue> {
    let key = last?.key?;
    app.key(key).map(|key| key.label_value.clone())
}

fn last_attempt(app: &Arc<App>, ask: &Ask, failure: Failure) -> Response<Out> {
    if failure.fault.kind == FaultKind::WrongFormat {
        return wrong_format(ask).answer(ask.format);
    }
    if failure.late {
        let hint = match app.setup().config.header_timeout {
            HeaderTimeout::Exact(_) => " Raise requestTimeoutMs if the model needs longer.",
            HeaderTimeout::Auto => "",
        };
        let message = format!("Gateway Timeout: {}.{hint}", failure.message);
        return Own::new(StatusCode::GATEWAY_TIMEOUT, Kind::Timeout, message).answer(ask.format);
    }
    match failure.answer {
        Some(answer) if passes_unchanged(&answer, failure.fault.kind) => held(app, answer),
        _ => {
            let message = format!("Bad Gateway: {}", failure.message);
            Own::new(StatusCode::BAD_GATEWAY, Kind::BadGateway, message).answer(ask.format)
        }
    }
}

/// Upstream's 4xx answers, and what speaks of the model or the service in its own words.
fn passes_unchanged(answer: &HeldAnswer, kind: FaultKind) -> bool {
    let status = answer.parts.status;
    let of_service = matches!(kind, FaultKind::Saturated | FaultKind::Unavailable);
    status.is_client_error() || (answer.json && of_service)
}

fn held(app: &Arc<App>, answer: HeldAnswer) -> Response<Out> {
    let HeldAnswer { mut parts, body, rest, .. } = answer;
    headers::incoming(&mut parts.headers);
    parts.version = Version::HTTP_11;
    let body = match rest {
        None => {
            // Broken off on the way to us: what came is the answer.
            parts.headers.remove(CONTENT_LENGTH);
            Out::Full(body)
        }
        Some(rest) => {
            let journal = Journal::silent(Active::new(app));
            let relay =
                Relay::new(app, rest, Meter::Off, None, journal, Instant::now()).first(body);
            Out::Relay(Box::new(relay))
        }
    };
    Response::from_parts(parts, body)
}

fn wrong_format(ask: &Ask) -> Own {
    let model = ask.model.as_deref().unwrap_or_default();
    let asked = ask.format.map_or("this", Format::name);
    let endpoints: Vec<String> = [Format::Chat, Format::Messages, Format::Responses]
        .into_iter()
        .filter(|format| catalogue::speaks(model).is_some_and(|speaks| speaks.is(*format)))
        .map(|format| format!("POST /v1/{}", format.endpoint()))
        .collect();
    let message = if endpoints.is_empty() {
        format!("Model {model} does not speak the {asked} format, nor another one offered here.")
    } else {
        let instead = endpoints.join(" or ");
        format!(
            "Model {model} does not speak the {asked} format here. Send it to {instead} instead."
        )
    };
    Own::new(StatusCode::BAD_REQUEST, Kind::ModelError, message).last_word()
}

fn refused(app: &App, ask: &Ask, refusal: &Refusal) -> Own {
    let model = ask.model.as_deref().unwrap_or("(unnamed)");
    let now = app.clock.now();
    match refusal {
        Refusal::AllDead | Refusal::NoKeys => Own::new(
            StatusCode::UNAUTHORIZED,
            Kind::AuthError,
            "No usable API key: the service refuses every configured key. Check the keys and their \
             OpenCode Go subscriptions, and correct config.yaml: a change is taken over at once.",
        )
        .last_word(),
        Refusal::OutOfQuota { until, window, workspace } => {
            out_of_quota(app.setup().config.on_exhausted, *until, now, *window, workspace.clone())
        }
        Refusal::Cooling { until } => unavailable(seconds(*until, now)),
        Refusal::LastAttempt => unavailable(1),
        Refusal::ModelOpen { until } => Own::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Kind::Unavailable,
            format!("Model {model} is overloaded upstream for every account, try again later"),
        )
        .retry_after(seconds(*until, now).clamp(10, 30)),
        Refusal::FreeLimit { until } => Own::new(
            StatusCode::TOO_MANY_REQUESTS,
            Kind::FreeUsageLimitError,
            "Rate limit exceeded. Please try again later.",
        )
        .retry_after(seconds(*until, now)),
        Refusal::NoReport => Own::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Kind::Overloaded,
            "Every account is so close to a usage limit that the next request might be paid from \
             prepaid balance, and the service did not say in time what is left, try again later",
        )
        .retry_after(5),
        Refusal::QueueFull | Refusal::QueueTimeout => Own::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Kind::Overloaded,
            "Every account is busy (maxConcurrentPerKey), try again later",
        )
        .retry_after(2),
    }
}

/// Nobody can serve now; the sentence is one that scripts look for.
fn unavailable(seconds: u64) -> Own {
    let message = "All API keys are temporarily unavailable";
    Own::new(StatusCode::SERVICE_UNAVAILABLE, Kind::Unavailable, message).retry_after(seconds)
}

fn out_of_quota(
    rule: OnExhausted,
    until: Millis,
    now: Millis,
    window: Option<Window>,
    workspace: Option<String>,
) -> Own {
    let wait = match rule {
        OnExhausted::Wait => true,
        OnExhausted::Fail => false,
        OnExhausted::Auto => until.since(now) < SLEEPS_AT_MOST + SECOND,
    };
    if wait {
        let kind = Kind::GoUsageLimitError { workspace, limit_name: window };
        let message = "Usage limit reached on every account. The request is tried again when the \
                       first one has quota.";
        return Own::new(StatusCode::TOO_MANY_REQUESTS, kind, message)
            .retry_after(seconds(until, now));
    }
    // In words: a bare number could be taken for a status that is worth a retry.
    let message = format!("Every account is out of quota until {}.", day_and_time(until));
    Own::new(StatusCode::FORBIDDEN, Kind::QuotaExhausted, message).last_word()
}

fn seconds(until: Millis, now: Millis) -> u64 {
    until.since(now).max(0).unsigned_abs().div_ceil(1000).max(1)
}

fn day_and_time(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(
        |_| "a later day".to_owned(),
        |at| at.strftime("%A %-d %B, %H:%M UTC").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    const NOW: Millis = Millis(1_795_000_000_000);

    async fn text(own: Own) -> (StatusCode, http::HeaderMap, String) {
        let (parts, body) = own.answer(Some(Format::Chat)).into_parts();
        let bytes = body.collect().await.ok().unwrap().to_bytes();
        (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_short_wait_is_a_429_and_a_long_one_is_final() {
        let check = async |rule, span: i64| {
            text(out_of_quota(rule, NOW.plus(span), NOW, Some(Window::Weekly), None)).await
        };
        assert_eq!(check(OnExhausted::Auto, 5 * HOUR + 999).await.0, 429, "told in whole seconds");
        let (status, headers, body) = check(OnExhausted::Auto, 5 * HOUR - 1).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(headers.get("retry-after").unwrap(), "18000");
        assert!(body.contains("GoUsageLimitError"), "{body}");

        let (status, headers, body) = check(OnExhausted::Auto, 5 * HOUR + 1_000).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(headers.get("x-should-retry").unwrap(), "false");
        assert!(headers.get("retry-after").is_none());
        for digits in ["429", "500", "502", "503", "504", "524"] {
            assert!(!body.contains(digits), "{body}");
        }
        assert_eq!(check(OnExhausted::Wait, 30 * 24 * HOUR).await.0, 429);
        assert_eq!(check(OnExhausted::Fail, 1).await.0, 403);
    }
}
