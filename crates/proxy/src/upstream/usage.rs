//! Asking the service for an account's quota: `GET …/usage`.
//!
//! It reads `Authorization: Bearer` and nothing else, costs nothing and has no limit of its own;
//! the pool decides how rarely it is asked. Both layouts of the service have it, or only one does:
//! where it is missing the other one is tried, and remembered.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, DATE, HeaderMap, HeaderValue};
use saros_core::pool::NoUsage;
use saros_core::report::Report;
use saros_core::time::Millis;

use crate::clock::Clock;
use crate::config::{BaseUrl, Layout};
use crate::upstream::exchange::Opener;
use crate::upstream::fetch::{self, Fetched};
use crate::upstream::headers;
use crate::upstream::key::Key;

/// How long one question may take, its connection included.
const PATIENCE: Duration = Duration::from_secs(10);
/// An answer has a few hundred bytes.
const LONGEST: usize = 64 * 1024;

/// Asks once with `key`. Says more in the log (debug) than it returns.
pub async fn ask(opener: &Opener, key: &Arc<Key>, clock: &Clock) -> Result<Report, NoUsage> {
    let elsewhere = key.usage_elsewhere.load(Ordering::Relaxed);
    let other = key.base.other_layout();
    let order = if elsewhere { [&other, &key.base] } else { [&key.base, &other] };
    let mut asked = NoUsage::Absent;
    for base in order {
        match ask_at(opener, key, clock, base).await {
            Err(NoUsage::Absent) => {}
            answered => {
                // What the owner has configured is asked first again when this one fails.
                let found = answered.is_ok() && *base == other;
                key.usage_elsewhere.store(found, Ordering::Relaxed);
                asked = match answered {
                    Ok(report) => return Ok(report),
                    Err(none) => none,
                };
                break;
            }
        }
    }
    Err(asked)
}

async fn ask_at(
    opener: &Opener,
    key: &Arc<Key>,
    clock: &Clock,
    base: &BaseUrl,
) -> Result<Report, NoUsage> {
    const TROUBLE: NoUsage = NoUsage::Trouble { retry_after: None };
    let sent = clock.now();
    let (path, headers) = (base.path("usage"), headers(key));
    let fetching = fetch::get(opener, key, &path, &headers, LONGEST);
    let fetched = match tokio::time::timeout(PATIENCE, fetching).await {
        Ok(Ok(fetched)) => fetched,
        Ok(Err(error)) => {
            tracing::debug!(key = &*key.label, %error, "Usage could not be asked for");
            return Err(TROUBLE);
        }
        Err(_) => {
            tracing::debug!(key = &*key.label, "Usage was not told in time");
            return Err(TROUBLE);
        }
    };
    let received = clock.now();
    if fetched.status == StatusCode::OK {
        let Some(report) = saros_wire::report::usage(&fetched.body, sent, received) else {
            tracing::debug!(key = &*key.label, "The usage report is in an unknown form");
            return Err(TROUBLE);
        };
        return Ok(in_our_time(report, &fetched.headers));
    }
    let retry_after = headers::retry_after(&fetched.headers, received);
    let none = refusal(&fetched, retry_after, &base.layout);
    tracing::debug!(key = &*key.label, status = fetched.status.as_u16(), ?none, "No usage report");
    Err(none)
}

/// Resets are told in the service's time. Where this machine's clock is wrong by more than the
/// whole seconds of a `Date` header and the way here can explain, they are moved into ours.
fn in_our_time(mut report: Report, headers: &HeaderMap) -> Report {
    const NOISE: i64 = 5_000;
    let date =
        headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    let date = date.and_then(|date| date.duration_since(SystemTime::UNIX_EPOCH).ok());
    let Some(date) = date.and_then(|date| i64::try_from(date.as_millis()).ok()) else {
        return report;
    };
    let ahead = report.received.since(Millis(date));
    if ahead.abs() > NOISE {
        for reading in report.windows.iter_mut().flatten() {
            reading.resets_at = reading.resets_at.map(|at| at.plus(ahead));
        }
    }
    report
}

fn refusal(fetched: &Fetched, retry_after: Option<u64>, layout: &Layout) -> NoUsage {
    let status = fetched.status;
    let facts = saros_wire::error::answer(status.as_u16(), retry_after, &fetched.body);
    match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => NoUsage::Absent,
        // Of a key that has moved the older service asks the newer, and says 400 where that says
        // 404.
        StatusCode::BAD_REQUEST if matches!(layout, Layout::Legacy { .. }) => NoUsage::Absent,
        StatusCode::UNAUTHORIZED => NoUsage::Refused,
        StatusCode::FORBIDDEN if facts.kind.as_deref() == Some("EntitlementError") => {
            NoUsage::NotSubscribed
        }
        _ => NoUsage::Trouble { retry_after },
    }
}

/// Our own name, and a session that stays the same: the service wants both of every client.
fn headers(key: &Key) -> HeaderMap {
    let session = saros_wire::head::session_id("usage", u128::from(key.id.0));
    let session = HeaderValue::try_from(session).ok();
    let mut headers = headers::outgoing(&HeaderMap::new(), session.as_ref());
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(AUTHORIZATION, key.bearer.clone());
    headers
}

#[cfg(test)]
mod tests {
    use saros_core::report::Source;

    use super::*;

    #[test]
    fn a_wrong_clock_does_not_move_resets() {
        const NOW: Millis = Millis(1_795_000_000_000);
        let check = |ahead: i64, moved: i64| {
            let body = br#"{"usage":{"weekly":{"status":"ok","percent":3,"resetsAt":"2026-11-23T00:00:00.000Z"}}}"#;
            let received = NOW.plus(ahead);
            let report = saros_wire::report::usage(body, received, received).unwrap();
            assert_eq!(report.source, Source::Api);
            let told = report.windows[1].unwrap().resets_at.unwrap();
            let date = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW.0.unsigned_abs());
            let date = httpdate::fmt_http_date(date);
            let headers = HeaderMap::from_iter([(DATE, HeaderValue::try_from(date).unwrap())]);
            let ours = in_our_time(report, &headers).windows[1].unwrap().resets_at.unwrap();
            assert_eq!(ours.since(told), moved, "{ahead}");
        };
        check(0, 0);
        check(4_000, 0);
        check(-600_000, -600_000);
        check(3_600_000, 3_600_000);
    }
}
