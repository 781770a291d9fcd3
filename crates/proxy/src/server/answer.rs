//! Every request's first and last step: the guard, the route, and what every answer carries.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, UPGRADE};
use http::{Method, Request, Response, StatusCode, request};
use saros_core::format::Format;
use saros_wire::reply::Kind;
use tokio::time::Instant;

use crate::config::Config;
use crate::observe::record::RequestRecord;
use crate::server::app::{App, Setup};
use crate::server::control::Asked;
use crate::server::ear::Arriving;
use crate::server::guard::{self, Denied};
use crate::server::journal::Journal;
use crate::server::lease::Active;
use crate::server::reply::{Out, Own, empty};
use crate::server::route::{Route, route};
use crate::server::serve::Call;
use crate::server::{control, cors, health, models, serve};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-proxy-request-id");

/// Answers one request. What can be done at once is done before the future is made, so that what
/// waits is small.
pub fn answer(
    app: Arc<App>,
    peer: IpAddr,
    request: Request<Arriving>,
) -> impl Future<Output = Result<Response<Out>, Infallible>> {
    // The first request after a sleep must not meet the connections from before it.
    let moment = Instant::now();
    app.mind_the_clock(moment);
    let id = app.ids.next(app.clock.at(moment));
    let (parts, body) = request.into_parts();
    let preflight = parts.method == Method::OPTIONS;
    let asked = preflight.then(|| Box::new(parts.headers.clone()));
    let route = route(&parts.method, &parts.uri);
    let format = if let Route::Proxied { format, .. } = &route { *format } else { None };
    let record = RequestRecord { format, ..RequestRecord::new(id) };
    let journal = Journal::new(record, moment, Active::new(&app));
    let (step, origin) = {
        let setup = app.setup();
        let origin =
            guard::origin(&setup.config, &parts.headers).map(Option::<&HeaderValue>::cloned);
        let denied = check(&app, &setup, &parts, &route, origin.as_ref().err().copied()).err();
        let Config { max_body_bytes, stream_idle_timeout, .. } = setup.config;
        let call = Box::new(Call { parts, journal, max_body_bytes, stream_idle_timeout });
        (decide(&app, peer, call, route, denied), origin.ok().flatten())
    };
    async move {
        let mut answering = pin!(async {
            match step {
                Step::Answer(response) => *response,
                // Boxed: rare, and would make every request's state larger.
                Step::Control(asked) => Box::pin(control::answer(&app, &asked)).await,
                Step::Proxied(call, below_v1) => serve::proxied(&app, call, body, below_v1).await,
                // Boxed: rare, and would make every request's state larger.
                Step::Models(call) => {
                    let response = Box::pin(models::models(&app)).await;
                    serve::ours(call.journal, response)
                }
            }
        });
        let mut response = poll_fn(|cx| match answering.as_mut().poll(cx) {
            // Time is up at shutdown, and the answer has not begun.
            Poll::Pending if app.cutting.load(Ordering::Relaxed) => {
                app.was_cut.store(true, Ordering::Relaxed);
                Poll::Ready(stopping().answer(format))
            }
            polled => polled,
        })
        .await;
        let headers = response.headers_mut();
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        if let Ok(id) = HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)) {
            headers.insert(REQUEST_ID, id);
        }
        if let Some(origin) = origin {
            cors::allow(headers, &origin);
            if let Some(asked) = asked {
                cors::preflight(headers, &asked);
            }
        }
        Ok(response)
    }
}

/// What a request comes to, before anything is waited for.
enum Step {
    /// This answer.
    Answer(Box<Response<Out>>),
    /// To the service.
    Proxied(Box<Call>, Cow<'static, str>),
    /// The model list.
    Models(Box<Call>),
    /// A command's question.
    Control(Asked),
}

fn decide(app: &App, peer: IpAddr, call: Box<Call>, route: Route, denied: Option<Denied>) -> Step {
    let format = call.journal.record().format;
    let response = if let Some(denied) = denied {
        refuse(denied, format)
    } else if matches!(route, Route::Health | Route::Ready) {
        // Asked for by machines all day: not written down, and not one of those it counts.
        drop(call.journal.silence());
        return Step::Answer(Box::new(if route == Route::Ready {
            health::ready(app)
        } else {
            health::health(app, is_trusted(app, peer, &call.parts.headers))
        }));
    } else if let Route::Control(asked) = route {
        // Neither of these is a request for the service.
        drop(call.journal.silence());
        return Step::Control(asked);
    } else if app.draining.load(Ordering::Relaxed) {
        stopping().answer(format)
    } else {
        match route {
            Route::Models => return Step::Models(call),
            Route::Root => health::root(app),
            _ if call.parts.method == Method::OPTIONS => empty(StatusCode::NO_CONTENT),
            Route::Proxied { below_v1, .. } => return Step::Proxied(call, below_v1),
            other => nothing_here(&other),
        }
    };
    Step::Answer(Box::new(serve::ours(call.journal, response)))
}

fn nothing_here(route: &Route) -> Response<Out> {
    match route {
        Route::CountTokens => not_found(
            Some(Format::Messages),
            "The service cannot count tokens. Estimate them in the client.",
        ),
        Route::Odd => Own::new(
            StatusCode::BAD_REQUEST,
            Kind::InvalidRequest,
            "The path has dot segments, doubled separators or odd encodings.",
        )
        .answer(None),
        _ => not_found(
            None,
            "Nothing here. The service is reached below /zen/go/v1/ and /v1/, for example POST \
             /v1/chat/completions.",
        ),
    }
}

fn stopping() -> Own {
    let message = "The proxy is shutting down, try again later";
    Own::new(StatusCode::SERVICE_UNAVAILABLE, Kind::Overloaded, message).retry_after(2)
}

/// Whether the request may have what it asks for. `page`: what is to be said of its origin.
fn check(
    app: &App,
    setup: &Setup,
    parts: &request::Parts,
    route: &Route,
    page: Option<Denied>,
) -> Result<(), Denied> {
    let config = &setup.config;
    guard::host(config, &parts.uri, &parts.headers)?;
    if matches!(route, Route::Health | Route::Ready) {
        return Ok(());
    }
    if let Some(denied) = page {
        return Err(denied);
    }
    if matches!(route, Route::Control(_)) {
        let token = app.state.control.as_ref();
        return guard::control(config, token, &parts.method, &parts.headers);
    }
    let service = matches!(route, Route::Proxied { .. } | Route::Models | Route::CountTokens);
    if service {
        guard::site(config, &parts.headers)?;
        if parts.method == Method::TRACE {
            return Err(Denied::Trace);
        }
    }
    // A browser's preflight never carries credentials.
    if service && parts.method != Method::OPTIONS {
        guard::token(setup.token_required, config, &parts.headers)?;
    }
    let websocket = parts.headers.get(UPGRADE).is_some_and(|upgrade| {
        let value = upgrade.as_bytes().to_ascii_lowercase();
        memchr::memmem::find(&value, b"websocket").is_some()
    });
    if websocket { Err(Denied::WebSocket) } else { Ok(()) }
}

fn refuse(denied: Denied, format: Option<Format>) -> Response<Out> {
    let kind = match denied {
        Denied::Token | Denied::Control => Kind::AuthError,
        Denied::Origin => Kind::Forbidden,
        Denied::Host | Denied::NoHost | Denied::WebSocket | Denied::Trace => Kind::InvalidRequest,
    };
    Own::new(denied.status(), kind, denied.message()).answer(format)
}

fn not_found(format: Option<Format>, message: &str) -> Response<Out> {
    Own::new(StatusCode::NOT_FOUND, Kind::NotFound, message).answer(format)
}

/// Whether a request may see each key's standing: it shows a token, or it comes from this machine
/// and not from somebody else's page.
fn is_trusted(app: &App, peer: IpAddr, headers: &HeaderMap) -> bool {
    let ours = match (headers.get(ORIGIN), headers.get(HOST)) {
        (None, _) => true,
        (Some(origin), Some(host)) => {
            origin.as_bytes().strip_prefix(b"http://") == Some(host.as_bytes())
        }
        (Some(_), None) => false,
    };
    let shown = || {
        guard::has_token(&app.setup().config, headers)
            || guard::has_control(app.state.control.as_ref(), headers)
    };
    (peer.to_canonical().is_loopback() && ours) || shown()
}
