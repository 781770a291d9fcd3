//! One try of a request against one account.

use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode, Version, response};
use saros_core::fault::{self, Fault, Trouble};
use saros_core::format::Format;
use saros_core::id::KeyId;
use tokio::time::Instant;

use crate::server::app::App;
use crate::server::lease::Lease;
use crate::server::timers::Timers;
use crate::upstream::body::{OutBody, Upload};
use crate::upstream::connections::Ready;
use crate::upstream::exchange::{Answer, SendError, send};
use crate::upstream::headers::{self, Passing};
use crate::upstream::key::Key;

/// Error answers are read up to here before anything is decided; what is longer is passed on
/// piece by piece.
const READ_AT_MOST: usize = 64 * 1024;

/// What is sent, whoever it goes to.
pub struct Outgoing {
    /// The client's method.
    pub method: Method,
    /// The dialect, `None` for unknown routes.
    pub format: Option<Format>,
    /// The path below `/v1/`, with its query.
    pub below_v1: Cow<'static, str>,
    /// The same as the client asked for it.
    pub asked: Option<PathAndQuery>,
    /// What passes of the client's headers, and the session id.
    pub headers: Passing,
    /// The body, whole.
    pub body: Bytes,
    /// From the last byte of the request to the headers of the answer.
    pub header_timeout: Duration,
}

/// How an attempt went.
pub enum Attempted {
    /// It has begun: what comes now is the client's.
    Begun(response::Parts, Answer),
    /// It taught something.
    Failed(Box<Failure>),
}

/// A failed attempt.
pub struct Failure {
    /// What it taught.
    pub fault: Fault,
    /// Upstream's answer, if there was one.
    pub answer: Option<HeldAnswer>,
    /// What happened, for the log and for a 502; holds no secrets.
    pub message: String,
    /// The answer's headers did not come in time.
    pub late: bool,
    /// Whose attempt it was.
    pub key: Option<KeyId>,
}

/// An upstream answer that waits for a decision.
pub struct HeldAnswer {
    /// Status and headers.
    pub parts: response::Parts,
    /// Its body, or the beginning of it.
    pub body: Bytes,
    /// The rest, where it was longer than we read.
    pub rest: Option<Answer>,
    /// A JSON document.
    pub json: bool,
}

/// Runs the attempt. Cancelling it cancels the request upstream.
pub async fn run(
    app: &Arc<App>,
    key: &Arc<Key>,
    out: &mut Outgoing,
    lease: &mut Lease,
) -> Attempted {
    let mut fresh = false;
    loop {
        let open = if fresh { None } else { key.connections.ready() };
        let ready = match open {
            Some(ready) => ready,
            // Boxed: rare, and would make every request's state larger.
            None => match Box::pin(app.opener.connection(key, fresh)).await {
                Ok(ready) => ready,
                Err(error) => return failed(error),
            },
        };
        let Some((request, upload)) = request(key, out, &ready) else {
            return failed_with(
                Trouble::Connect,
                "the request's path is not a valid URL".to_owned(),
            );
        };
        lease.sent();
        let mut sending = send(ready, key, request);
        let limit = out.header_timeout;
        let sent = in_time(&app.timers, Pin::new(&mut sending), limit, upload.as_deref());
        let judging = match sent.await {
            None => {
                let seconds = out.header_timeout.as_secs_f32();
                let text = format!("no response headers within {seconds} s");
                return failed_with(Trouble::HeaderTimeout, text);
            }
            // Given back unstarted: once more on a fresh connection (RFC 9110 §9.2.2, RFC 9113 §8.7).
            Some(Err(SendError::Unstarted(_))) if !fresh => {
                fresh = true;
                continue;
            }
            Some(Err(error)) => return failed(error),
            Some(Ok((parts, answer))) => match received(out, parts, answer, upload) {
                Received::ForTheClient(parts, answer) => return Attempted::Begun(parts, answer),
                Received::Lesson(parts, answer) => Box::pin(judge(app, out, parts, answer)),
            },
        };
        // Awaited out here, so that the room for an answer is not held by every request.
        return judging.await;
    }
}

/// An answer's head has come.
enum Received {
    ForTheClient(response::Parts, Answer),
    Lesson(response::Parts, Answer),
}

fn received(
    out: &Outgoing,
    parts: response::Parts,
    mut answer: Answer,
    upload: Option<Arc<Upload>>,
) -> Received {
    if let Some(upload) = upload.filter(|upload| !upload.is_taken()) {
        upload.stop();
        answer.spoil();
    }
    let passes = parts.status.is_success() || parts.status.is_redirection();
    // A 101 to what nobody asked for is no answer at all.
    if passes || (out.format.is_none() && !parts.status.is_informational()) {
        Received::ForTheClient(parts, answer)
    } else {
        Received::Lesson(parts, answer)
    }
}

/// What does an answer teach that is not for the client at once?
async fn judge(
    app: &Arc<App>,
    out: &Outgoing,
    parts: response::Parts,
    answer: Answer,
) -> Attempted {
    let patience = app.setup().config.stream_idle_timeout.min(out.header_timeout);
    let (body, rest) = read(answer, patience).await;
    let retry_after = headers::retry_after(&parts.headers, app.clock.now());
    let facts = saros_wire::error::answer(parts.status.as_u16(), retry_after, &body);
    let message = facts.message.clone().unwrap_or_else(|| reason(parts.status));
    let json = !matches!(facts.body, fault::Body::Opaque);
    let fault = fault::of_answer(&facts);
    let answer = Some(HeldAnswer { parts, body, rest, json });
    Attempted::Failed(Box::new(Failure { fault, answer, message, late: false, key: None }))
}

fn reason(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or("no reason given").to_owned()
}

/// Reads an error answer. A body that breaks off or stalls counts as far as it came.
async fn read(mut answer: Answer, patience: Duration) -> (Bytes, Option<Answer>) {
    let mut body = BytesMut::new();
    let deadline = Instant::now() + patience;
    loop {
        let frame = poll_fn(|cx| answer.poll_frame(cx));
        match tokio::time::timeout_at(deadline, frame).await {
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    body.extend_from_slice(&data);
                }
                if body.len() > READ_AT_MOST {
                    return (body.freeze(), Some(answer));
                }
            }
            Ok(None) => {
                answer.finish();
                return (body.freeze(), None);
            }
            Ok(Some(Err(_))) | Err(_) => return (body.freeze(), None),
        }
    }
}

fn request(
    key: &Key,
    out: &mut Outgoing,
    ready: &Ready,
) -> Option<(Request<OutBody>, Option<Arc<Upload>>)> {
    let h2 = matches!(ready, Ready::Http2(_));
    let (body, upload) = OutBody::new(out.body.clone());
    let mut request = Request::new(body);
    *request.method_mut() = out.method.clone();
    *request.uri_mut() = key.uri(out.format, &out.below_v1, out.asked.as_ref(), h2)?;
    let mut headers = out.headers.outgoing();
    let (name, value) = key.credential(&out.below_v1);
    // Neither of these passes from a client, so there is none to replace.
    headers.append(name, value);
    if h2 {
        *request.version_mut() = Version::HTTP_2;
    } else {
        headers.append(HOST, key.authority.clone());
    }
    *request.headers_mut() = headers;
    Some((request, upload))
}

/// Waits for the head of the answer for `limit` after the last byte of the request was handed over;
/// an upload that moves on may take its time. `None`: too late.
async fn in_time<F: Future>(
    timers: &Timers,
    mut sending: Pin<&mut F>,
    limit: Duration,
    upload: Option<&Upload>,
) -> Option<F::Output> {
    let mut seen = upload.map_or(0, Upload::taken);
    let mut timer = timers.at(Instant::now() + limit);
    poll_fn(|cx| {
        if let Poll::Ready(sent) = sending.as_mut().poll(cx) {
            return Poll::Ready(Some(sent));
        }
        while timer.poll(cx).is_ready() {
            let taken = upload.map_or(0, Upload::taken);
            if taken == seen {
                return Poll::Ready(None);
            }
            seen = taken;
            timer.set(Instant::now() + limit);
        }
        Poll::Pending
    })
    .await
}

fn failed(error: SendError) -> Attempted {
    match error {
        SendError::Dial(error @ crate::upstream::dial::DialError::Connect { .. }) => {
            failed_with(Trouble::Connect, error.to_string())
        }
        SendError::Dial(error) => failed_with(Trouble::Tls, error.to_string()),
        SendError::DialTimeout => {
            failed_with(Trouble::Connect, "no connection to upstream in time".to_owned())
        }
        SendError::Handshake(error) => {
            failed_with(Trouble::Connect, format!("upstream's greeting failed: {error}"))
        }
        SendError::Unstarted(error) => {
            failed_with(Trouble::Unstarted, format!("upstream gave the request back: {error}"))
        }
        SendError::Reset(error) => failed_with(
            Trouble::Reset,
            format!("the connection broke before any byte of the answer: {error}"),
        ),
        SendError::Ended => failed_with(
            Trouble::Reset,
            "the connection ended before any byte of the answer".to_owned(),
        ),
    }
}

fn failed_with(trouble: Trouble, message: String) -> Attempted {
    let late = trouble == Trouble::HeaderTimeout;
    let fault = fault::of_trouble(trouble);
    Attempted::Failed(Box::new(Failure { fault, answer: None, message, late, key: None }))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_moves_on_is_waited_for() {
        let limit = Duration::from_secs(10);
        let (started, timers) = (Instant::now(), Timers::default());
        let pending = pin!(std::future::pending::<()>());
        assert!(in_time(&timers, pending, limit, None).await.is_none());
        assert_eq!(Instant::now() - started, limit);

        let (mut body, upload) = OutBody::new(Bytes::from(vec![0; 300_000]));
        let upload = upload.unwrap();
        let slow = async {
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_secs(8)).await;
                let mut body = std::pin::Pin::new(&mut body);
                std::future::poll_fn(|cx| http_body::Body::poll_frame(body.as_mut(), cx)).await;
            }
            std::future::pending::<()>().await;
        };
        let started = Instant::now();
        assert!(in_time(&timers, pin!(slow), limit, Some(&upload)).await.is_none());
        assert_eq!(Instant::now() - started, Duration::from_secs(50));
    }
}
