//! One request, answered.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, DATE};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::body::{Body, Broken};
use crate::calendar;
use crate::control;
use crate::dashboard;
use crate::exchange::Exchange;
use crate::fault::{Action, After, Fault, Stage, Then, Victim};
use crate::inference::{self, Post};
use crate::line::Line;
use crate::listing;
use crate::model::Format;
use crate::refusal::{Reply, Row, Scene};
use crate::request::{self, Caller};
use crate::route::{Layout, Target};
use crate::schedule::Schedule;
use crate::usage;
use crate::world::Shared;

/// Answers a request, or breaks the stream on purpose.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    line: Arc<Line>,
    peer: Option<IpAddr>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Broken> {
    let (head, incoming) = request.into_parts();
    let target = Target::of(&head.method, head.uri.path());
    if let Target::Control(rest) = &target {
        line.began();
        let reply = match peer {
            Some(peer) if !peer.is_loopback() => {
                Reply::json(StatusCode::FORBIDDEN, r#"{"error":"loopback only"}"#)
            }
            _ => control::handle(&shared, &head, rest, incoming).await,
        };
        line.ended();
        return Ok(instant(&shared, reply, None));
    }
    let secret = request::any_credential(&head.headers);
    let session = request::session(&head.headers);
    let inference = matches!(target, Target::Infer(..) | Target::Google { .. });
    let exchange =
        Exchange::begin(&shared, &line, &head, secret.as_deref(), session.clone(), inference);
    let mut talk = Talk {
        caller: Caller::of(&head.headers, peer),
        path: head.uri.path().to_owned(),
        version: head.version,
        model: None,
        format: match &target {
            Target::Infer(_, format) => *format,
            _ => Format::Chat,
        },
        shared,
        exchange,
        secret,
        session,
        inference,
    };
    let mut bend = Bend::None;
    match talk.strike(Stage::Edge, true).await? {
        Struck::Reply(reply) => return Ok(talk.reply(reply)),
        Struck::Bend(struck) => bend = struck,
        Struck::Spared => {}
    }
    let Ok(body) = incoming.collect().await else { return Err(Broken::refused()) };
    let body = body.to_bytes();
    talk.model = match &target {
        Target::Google { model, .. } => Some(model.clone()),
        _ => request::scan_model(&body),
    };
    let post = Post::read(&target, &head.headers, body, talk.model.clone());
    let stream = post.as_ref().is_some_and(Post::streams);
    let body = post.as_ref().map(|post| post.body.clone()).unwrap_or_default();
    talk.exchange.read(&body, talk.model.as_deref(), stream);
    match talk.strike(Stage::Edge, false).await? {
        Struck::Reply(reply) => return Ok(talk.reply(reply)),
        Struck::Bend(struck) => bend = struck,
        Struck::Spared => {}
    }
    let reply = match target {
        Target::Infer(..) | Target::Google { .. } => {
            return match post {
                Some(post) => inference::answer(talk, post, bend).await,
                None => Ok(talk.row(&Row::Internal)),
            };
        }
        Target::Models(layout) => listing::reply(&talk.shared, layout, &head.headers),
        Target::Usage(_) => usage::reply(&talk.shared, &head.headers, talk.caller.locale),
        Target::Dashboard { workspace } => {
            dashboard::reply(&talk.shared, &head.headers, &workspace)
        }
        Target::Preflight => preflight(),
        Target::WrongMethod => {
            Reply::text(StatusCode::METHOD_NOT_ALLOWED, "text/plain", String::new())
        }
        Target::Unknown | Target::Control(_) => not_found(),
    };
    Ok(talk.bent(reply, bend))
}

/// A request under way.
pub(crate) struct Talk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) exchange: Exchange,
    pub(crate) caller: Caller,
    pub(crate) secret: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) model: Option<String>,
    format: Format,
    path: String,
    version: Version,
    inference: bool,
}

/// What a fault made of the request.
pub(crate) enum Struck {
    /// No fault, or only a delay.
    Spared,
    /// Another answer.
    Reply(Reply),
    /// The normal answer, changed.
    Bend(Bend),
}

/// How the normal answer is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bend {
    None,
    BreakOff(After, Then),
    Drip(usize, u64),
}

impl Bend {
    /// The changed schedule.
    pub(crate) fn apply(
        self,
        schedule: Schedule,
        format: Format,
        style: &crate::model::Style,
    ) -> Schedule {
        match self {
            Self::None => schedule,
            Self::BreakOff(after, then) => {
                schedule.break_off(after, then, &crate::answer::error_frame(format), style)
            }
            Self::Drip(bytes, gap_ms) => schedule.drip(bytes, gap_ms),
        }
    }
}

impl Talk {
    /// Lets the first matching fault strike.
    pub(crate) async fn strike(
        &mut self,
        stage: Stage,
        before_body: bool,
    ) -> Result<Struck, Broken> {
        let Some(fault) = self.next_fault(stage, before_body) else { return Ok(Struck::Spared) };
        self.shared.clock.sleep(fault.delay_ms).await;
        let h2 = self.version == Version::HTTP_2;
        match fault.action {
            Action::Pass => Ok(Struck::Spared),
            Action::Answer { status, headers, body } => {
                Ok(Struck::Reply(custom(status, &headers, body)))
            }
            Action::Html { status } => Ok(Struck::Reply(html(status))),
            Action::Row(row) => Ok(Struck::Reply(self.row_reply(&row))),
            Action::Hang => std::future::pending().await,
            Action::RefuseStream if h2 => {
                self.exchange.cut(true);
                Err(Broken::refused())
            }
            Action::Close | Action::RefuseStream => {
                self.exchange.cut(true);
                self.exchange.line().close();
                std::future::pending().await
            }
            Action::Reset => {
                self.exchange.cut(true);
                self.exchange.line().reset();
                std::future::pending().await
            }
            Action::GoAway { refuse: true } if h2 => {
                self.exchange.cut(true);
                self.exchange.line().go_away_below(self.exchange.ordinal());
                std::future::pending().await
            }
            Action::GoAway { .. } => {
                self.exchange.line().say_goodbye();
                // The connection's task acts before the answer's head is written.
                tokio::task::yield_now().await;
                Ok(Struck::Spared)
            }
            Action::Stream { after, then } => Ok(Struck::Bend(Bend::BreakOff(after, then))),
            Action::Drip { bytes, gap_ms } => Ok(Struck::Bend(Bend::Drip(bytes, gap_ms))),
        }
    }

    fn next_fault(&self, stage: Stage, before_body: bool) -> Option<Fault> {
        let mut world = self.shared.world();
        if world.faults.list().is_empty() {
            return None;
        }
        let owner = self.secret.as_deref().and_then(|secret| world.owner(secret));
        let (key, account) = match owner {
            Some((account, key)) => (Some(key.label.clone()), Some(account.label.clone())),
            None => (None, None),
        };
        let victim = Victim {
            key_label: key.as_deref(),
            secret: self.secret.as_deref(),
            account: account.as_deref(),
            model: self.model.as_deref(),
            session: self.session.as_deref(),
            path: &self.path,
            inference: self.inference,
        };
        world.faults.strike(stage, before_body, &victim)
    }

    /// A row of upstream.md §2.2, as this request gets it.
    pub(crate) fn row(self, row: &Row) -> Response<Body> {
        let reply = self.row_reply(row);
        self.reply(reply)
    }

    /// The same, not yet sent.
    pub(crate) fn row_reply(&self, row: &Row) -> Reply {
        let world = self.shared.world();
        let owner = self.secret.as_deref().and_then(|secret| world.owner(secret));
        let workspace = owner.map(|(account, _)| account.workspace.clone()).unwrap_or_default();
        let model = self.model.as_deref().unwrap_or_default();
        let provider = world.model(model).map(|model| model.provider.clone());
        let content_type = world.settings.error_content_type.clone();
        drop(world);
        row.reply(&Scene {
            model,
            provider: provider.as_deref().unwrap_or("Console Go"),
            format: self.format,
            workspace: &workspace,
            locale: self.caller.locale,
            now: self.shared.clock.now_ms(),
            content_type: &content_type,
        })
    }

    /// Sends a complete answer.
    pub(crate) fn reply(self, reply: Reply) -> Response<Body> {
        self.bent(reply, Bend::None)
    }

    fn bent(mut self, reply: Reply, bend: Bend) -> Response<Body> {
        self.exchange.answers(reply.status.as_u16());
        let style = crate::model::Style::default();
        let schedule = bend.apply(Schedule::whole(reply.body), Format::Chat, &style);
        let headers = reply.headers;
        respond(&self.shared, reply.status, headers, schedule, Some(self.exchange))
    }
}

/// A response whose body follows a schedule.
pub(crate) fn respond(
    shared: &Shared,
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    schedule: Schedule,
    exchange: Option<Exchange>,
) -> Response<Body> {
    let body = Body::new(schedule, shared.clock.clone(), exchange);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    // The service's clock, not the machine's.
    if let Ok(date) = HeaderValue::from_str(&calendar::http_date(shared.clock.now_ms())) {
        response.headers_mut().insert(DATE, date);
    }
    for (name, value) in headers {
        if name != CONTENT_LENGTH
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn instant(shared: &Shared, reply: Reply, exchange: Option<Exchange>) -> Response<Body> {
    respond(shared, reply.status, reply.headers, Schedule::whole(reply.body), exchange)
}

fn custom(status: u16, headers: &[(String, String)], body: String) -> Reply {
    let headers = headers
        .iter()
        .filter_map(|(name, value)| {
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value.clone()))
        })
        .collect();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Reply { status, headers, body }
}

/// What Cloudflare shows when the origin fails (upstream.md §2.2, last line).
fn html(status: u16) -> Reply {
    let body = format!(
        "<!DOCTYPE html>\n<html lang=\"en-US\"><head><title>opencode.ai | {status}</title></head>\
         <body><h1>Error {status}</h1><p>cloudflare</p></body></html>\n"
    );
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    Reply::text(status, "text/html; charset=UTF-8", body)
        .with(HeaderName::from_static("server"), "cloudflare")
        .with(HeaderName::from_static("cf-ray"), "8f0000000000abcd-FRA")
}

fn not_found() -> Reply {
    let body = "<!DOCTYPE html><html><head><title>Not Found</title></head><body>404</body></html>";
    Reply::text(StatusCode::NOT_FOUND, "text/html; charset=utf-8", body.to_owned())
}

/// upstream.md §1.1, `OPTIONS`.
fn preflight() -> Reply {
    custom(200, &[], String::new())
        .with(HeaderName::from_static("access-control-allow-origin"), "*")
        .with(HeaderName::from_static("access-control-allow-methods"), "GET, POST, OPTIONS")
        .with(
            HeaderName::from_static("access-control-allow-headers"),
            "Content-Type, Authorization, x-api-key, x-goog-api-key, anthropic-version",
        )
}

/// Which layout's rules hold for a key on a path (upstream.md §0.1): the new service serves its own
/// paths, `oc_sk_` keys, and legacy keys of migrated workspaces.
pub(crate) fn is_new(shared: &Shared, layout: Layout, secret: Option<&str>) -> bool {
    let Some(secret) = secret else { return layout == Layout::New };
    layout == Layout::New
        || secret.starts_with("oc_sk_")
        || shared.world().owner(secret).is_some_and(|(account, _)| account.migrated)
}
