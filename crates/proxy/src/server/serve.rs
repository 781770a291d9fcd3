//! A request on its way: taken in, admitted, tried, and passed on.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderValue, Response, StatusCode, Version, request, response};
use saros_core::fault::{Fault, FaultKind, Rotation, Scope};
use saros_core::format::Format;
use saros_core::meter::Tokens;
use saros_core::pool::{Admission, Ask, Grant, Refusal};
use saros_wire::head::{self, Depth, Head};
use saros_wire::reply::Kind;
use tokio::time::Instant;

use crate::catalogue;
use crate::server::app::App;
use crate::server::attempt::{self, Attempted, Failure, Outgoing};
use crate::server::conclude::{self, conclude};
use crate::server::ear::Arriving;
use crate::server::guard;
use crate::server::journal::Journal;
use crate::server::lease::{Lease, Ticket};
use crate::server::receive::{self, Hold, Refused};
use crate::server::relay::{BYTES_PER_TOKEN, Meter, Relay};
use crate::server::reply::{Out, Own};
use crate::server::session::{self, Session};
use crate::upstream::exchange::Answer;
use crate::upstream::headers::{self, Passing};

/// Output of an answer of which nothing is known (ARCHITECTURE.md, "Bills").
const OUTPUT_ESTIMATE: u64 = 4_000;

/// A request as it came, without its body. Boxed on its way, so that what waits stays small.
pub struct Call {
    /// Method, path, headers.
    pub parts: request::Parts,
    /// What is written down of it.
    pub journal: Journal,
    /// The longest body that is taken in.
    pub max_body_bytes: u64,
    /// How long to wait for its next piece.
    pub stream_idle_timeout: Duration,
}

/// A request ready to be tried.
struct Work {
    ask: Ask,
    ticket: Ticket,
    out: Outgoing,
    /// Given back with the body.
    _hold: Hold,
    journal: Journal,
}

/// Bodies up to this size are read where they arrive: it takes at most a tenth of a millisecond.
const READ_HERE: usize = 1 << 20;

/// Serves one request for the service.
pub async fn proxied(
    app: &Arc<App>,
    call: Box<Call>,
    body: Arriving,
    below_v1: Cow<'static, str>,
) -> Response<Out> {
    let format = call.journal.record().format;
    let encoding = call.parts.headers.get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        let message = "Compressed request bodies are not accepted: send the body as it is.";
        let own = Own::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Kind::InvalidRequest, message);
        return ours(call.journal, own.answer(format));
    }
    let Call { max_body_bytes: limit, stream_idle_timeout: idle, .. } = *call;
    match receive::receive(body, limit, idle, &app.memory).await {
        Ok((body, hold)) => {
            let work = prepared(app, call, below_v1, body, hold).await;
            run(app, work).await
        }
        Err(refused) => ours(call.journal, not_received(&refused).answer(format)),
    }
}

/// What is read on the way is not kept while the attempts run.
async fn prepared(
    app: &Arc<App>,
    call: Box<Call>,
    below_v1: Cow<'static, str>,
    body: Bytes,
    hold: Hold,
) -> Box<Work> {
    let named = session::in_headers(&call.parts.headers).cloned();
    let depth = if named.is_some() { Depth::Routing } else { Depth::Conversation };
    let head = read_head(call.journal.record().format, depth, &body).await;
    let session = {
        let known = guard::has_token(&app.setup().config, &call.parts.headers);
        let id = call.journal.record().id.as_u128();
        session::of(named, &call.parts.headers, known, &head, id)
    };
    prepare(app, call, &head, session, below_v1, body, hold)
}

/// Reads what routing needs out of the body. A long one is read on another thread, so that it holds
/// nobody else up.
async fn read_head(format: Option<Format>, depth: Depth, body: &Bytes) -> Head {
    let Some(format) = format else { return Head::default() };
    if body.len() <= READ_HERE {
        return head::read(body, format, depth);
    }
    let body = body.clone();
    let reading = tokio::task::spawn_blocking(move || head::read(&body, format, depth));
    Box::pin(reading).await.unwrap_or_default()
}

/// Puts together what the attempts need.
fn prepare(
    app: &Arc<App>,
    call: Box<Call>,
    head: &Head,
    session: Session,
    below_v1: Cow<'static, str>,
    body: Bytes,
    hold: Hold,
) -> Box<Work> {
    let Call { parts, mut journal, .. } = *call;
    let format = journal.record().format;
    let ask = Ask {
        model: head.model.as_deref().map(|name| app.model_name(name)),
        format,
        session: Some(session.key),
        warm: session.warm,
        body_bytes: body.len() as u64,
    };
    let record = journal.add();
    record.bytes_in = body.len() as u64;
    record.session = ask.session;
    record.model.clone_from(&ask.model);
    let out = Outgoing {
        method: parts.method,
        format,
        below_v1,
        asked: parts.uri.into_parts().path_and_query,
        headers: Passing::of(parts.headers, session.header),
        header_timeout: app.setup().config.header_timeout.of(head.stream),
        body,
    };
    Box::new(Work { ticket: app.begin(&ask), ask, out, _hold: hold, journal })
}

async fn run(app: &Arc<App>, mut work: Box<Work>) -> Response<Out> {
    let mut last: Option<Box<Failure>> = None;
    loop {
        let Work { ask, ticket, .. } = &mut *work;
        let grant = match ticket.admit(ask).await {
            Admission::Go(grant) => grant,
            Admission::Refuse(refusal) => return refused(app, work, &refusal, last),
            Admission::Wait { .. } => return refused(app, work, &Refusal::QueueTimeout, last),
        };
        let Some(key) = app.key(grant.key) else {
            // Retired between admission and now: dropping the lease gives it back.
            drop(Lease::new(app, grant.lease, Tokens::default()));
            return refused(app, work, &Refusal::NoKeys, last);
        };
        let mut lease = Lease::new(app, grant.lease, estimate(&work.out.body));
        work.ticket.trail.replays += u8::from(grant.replay);
        note(&mut work.journal, grant, &key.label);
        match attempt::run(app, &key, &mut work.out, &mut lease).await {
            Attempted::Begun(parts, answer) => {
                return begun(app, work, lease, parts, answer, &key.label_value);
            }
            Attempted::Failed(mut failure) => {
                mind_the_format(&work.ask, &mut failure);
                failure.key = Some(key.id);
                tracing::debug!(
                    id = %work.journal.record().id,
                    key = &*key.label,
                    fault = failure.fault.kind.name(),
                    status = failure.fault.status,
                    reason = &*failure.message,
                    "Attempt failed"
                );
                let record = work.journal.add();
                record.fault = Some(failure.fault.kind);
                record.failed.push((Arc::clone(&key.label), failure.fault.kind));
                lease.faulted(failure.fault.clone());
                work.ticket.trail.record(key.id, failure.fault.clone());
                last = Some(failure);
            }
        }
    }
}

fn refused(
    app: &Arc<App>,
    work: Box<Work>,
    refusal: &Refusal,
    last: Option<Box<Failure>>,
) -> Response<Out> {
    ours(work.journal, conclude(app, &work.ask, refusal, last))
}

/// The answer has begun: from here on it is only passed on. What is answered is never sent again, so
/// the request's body is freed.
fn begun(
    app: &Arc<App>,
    work: Box<Work>,
    mut lease: Lease,
    mut parts: response::Parts,
    answer: Answer,
    label: &HeaderValue,
) -> Response<Out> {
    let Work { ask, mut journal, .. } = *work;
    let moment = Instant::now();
    if parts.status.is_success() {
        lease.answered();
    }
    journal.answering(parts.status, moment);
    let meter = Meter::of(ask.format, &parts.headers);
    if matches!(meter, Meter::Stream(..)) {
        parts.headers.remove(CONTENT_LENGTH);
    }
    let relay = Relay::new(app, answer, meter, Some(lease), journal, moment);
    headers::incoming(&mut parts.headers);
    parts.version = Version::HTTP_11;
    parts.headers.insert(conclude::KEY_LABEL, label.clone());
    Response::from_parts(parts, Out::Relay(Box::new(relay)))
}

fn note(journal: &mut Journal, grant: Grant, label: &Arc<str>) {
    let record = journal.add();
    record.attempts += 1;
    record.label = Some(Arc::clone(label));
    record.replayed |= grant.replay;
    record.decisions.push(grant.decision);
}

/// An answer of our own, or a held one: written down and sent.
pub fn ours(mut journal: Journal, mut response: Response<Out>) -> Response<Out> {
    let moment = Instant::now();
    journal.answering(response.status(), moment);
    match response.body_mut() {
        Out::Full(bytes) => journal.add().bytes_out = bytes.len() as u64,
        Out::Relay(_) => {}
    }
    journal.finish(moment);
    response
}

/// The service answers a model on the wrong endpoint with an error that looks like something else
/// (401 or 500, upstream.md §1.3). Where the catalogue knows better, nobody is blamed.
fn mind_the_format(ask: &Ask, failure: &mut Failure) {
    let suspicious = matches!(failure.fault.kind, FaultKind::Model | FaultKind::ServerError);
    let (Some(format), Some(model)) = (ask.format, &ask.model) else { return };
    if suspicious && catalogue::speaks(model).is_some_and(|speaks| !speaks.is(format)) {
        failure.fault = Fault {
            kind: FaultKind::WrongFormat,
            scope: Scope::Request,
            rotation: Rotation::Never,
            ..failure.fault.clone()
        };
    }
}

fn estimate(body: &Bytes) -> Tokens {
    let input = body.len() as u64 / BYTES_PER_TOKEN;
    Tokens { input, output: OUTPUT_ESTIMATE, ..Tokens::default() }
}

fn not_received(refused: &Refused) -> Own {
    match refused {
        // Agents compact the conversation on this status, which is the right reaction.
        Refused::TooLarge => {
            Own::new(StatusCode::PAYLOAD_TOO_LARGE, Kind::TooLarge, "Request body too large")
        }
        Refused::NoMemory => Own::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Kind::Overloaded,
            "The proxy holds too many request bodies at once, try again later",
        )
        .retry_after(2),
        Refused::TooSlow => Own::new(
            StatusCode::REQUEST_TIMEOUT,
            Kind::InvalidRequest,
            "The request body did not arrive in time.",
        ),
        Refused::Broken => Own::new(
            StatusCode::BAD_REQUEST,
            Kind::InvalidRequest,
            "The request body ended before it was complete.",
        ),
    }
}
