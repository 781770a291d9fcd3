//! Whether the service can be reached, and whether its clock agrees with ours.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::{AUTHORIZATION, DATE};
use tokio::time::{Instant, timeout};

use crate::cli::doctor::Report;
use crate::cli::doctor::finding::{Finding, check};
use crate::clock::Clock;
use crate::config::{Config, Origin, Scheme, is_loopback};
use crate::upstream::dial::DialError;
use crate::upstream::exchange::Opener;
use crate::upstream::fetch;
use crate::upstream::headers;
use crate::upstream::key::Key;

/// How long the service may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The list of models is some tens of kilobytes.
const LONGEST: usize = 8 << 20;
/// A clock that is off by more than this, in seconds, makes windows seem to end too early or late.
const SKEW: i64 = 30;

/// Opens a connection to every upstream that is configured; those that can be reached.
pub async fn reach(config: &Config, opener: &Opener, report: &mut Report) -> BTreeSet<Origin> {
    let bases = config.keys.iter().map(|key| &key.base).chain([&config.upstream]);
    let origins: BTreeSet<Origin> = bases.map(|base| base.origin.clone()).collect();
    let mut reachable = BTreeSet::new();
    for origin in origins {
        let began = Instant::now();
        match timeout(config.connect_timeout, opener.dial.dial(&origin)).await {
            Ok(Ok(dialled)) => {
                let how = match (origin.scheme, dialled.h2) {
                    (Scheme::Http, _) => "plain HTTP",
                    (Scheme::Https, true) => "TLS, HTTP/2",
                    (Scheme::Https, false) => "TLS, HTTP/1.1",
                };
                let ms = began.elapsed().as_millis();
                report.add(Finding::ok(
                    check::UPSTREAM,
                    format!("{origin} reached in {ms} ms ({how})"),
                ));
                reachable.insert(origin);
            }
            Ok(Err(error)) => report.add(unreachable(&origin, error).await),
            Err(_) => {
                let seconds = config.connect_timeout.as_secs_f32();
                let what = format!("{origin} does not answer within {seconds} s");
                report.add(Finding::broken(check::UPSTREAM, what).fix(
                    "see whether a firewall is in between, or HTTPS_PROXY is needed; connectTimeoutMs sets the time",
                ));
            }
        }
    }
    reachable
}

/// Name, TCP or TLS: which of them failed.
async fn unreachable(origin: &Origin, error: DialError) -> Finding {
    let named = tokio::net::lookup_host((origin.host.as_str(), origin.port)).await.is_ok();
    let fix = match &error {
        DialError::Tls { .. } => {
            "something in between may intercept TLS: name its authority in SSL_CERT_FILE; a wrong clock has the same effect"
        }
        DialError::Connect { .. } if !named => {
            "the name has no address: check DNS and the spelling of `upstreamBaseUrl`"
        }
        DialError::Connect { .. } if is_loopback(&origin.host) => {
            "nothing listens there: start it, or correct `upstreamBaseUrl`"
        }
        DialError::Connect { .. } => "check the network, a firewall, or HTTPS_PROXY and NO_PROXY",
    };
    Finding::broken(check::UPSTREAM, error.to_string()).fix(fix)
}

/// Compares the clocks, by the `Date` of an answer that costs nothing: the list of models.
pub async fn clock(
    keys: &[Arc<Key>],
    config: &Config,
    opener: &Opener,
    clock: &Clock,
    report: &mut Report,
) {
    let Some(key) = keys.iter().find(|key| key.base == config.upstream).or(keys.first()) else {
        return;
    };
    let mut headers = headers::outgoing(&HeaderMap::new(), None);
    headers.insert(AUTHORIZATION, key.bearer());
    let path = key.base.path("models");
    let fetching = fetch::get(opener, key, &path, &headers, LONGEST);
    let fetched = match timeout(PATIENCE, fetching).await {
        Ok(Ok(fetched)) => fetched,
        Ok(Err(error)) => {
            let what = format!("{} does not list its models: {error}", key.base);
            report.add(
                Finding::broken(check::UPSTREAM, what)
                    .fix("the service may be down; see https://status.opencode.ai"),
            );
            return;
        }
        Err(_) => {
            let what =
                format!("{} does not list its models within {} s", key.base, PATIENCE.as_secs());
            report.add(Finding::warning(check::UPSTREAM, what).fix("try again later"));
            return;
        }
    };
    if !fetched.status.is_success() {
        let what = format!("{} answers {} to the list of models", key.base, fetched.status);
        report.add(
            Finding::warning(check::UPSTREAM, what).fix("see whether `upstreamBaseUrl` is right"),
        );
    }
    let date = fetched.headers.get(DATE).and_then(|date| date.to_str().ok());
    let Some(there) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else {
        report.add(Finding::note(check::CLOCK, "the service does not say what time it is"));
        return;
    };
    let there = there.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    let here = clock.now().0 / 1000;
    report.add(skew(here - i64::try_from(there).unwrap_or(i64::MAX)));
}

/// By how many seconds our clock is ahead.
fn skew(ahead: i64) -> Finding {
    if ahead.abs() <= SKEW {
        return Finding::ok(check::CLOCK, "this machine's clock agrees with the service's");
    }
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    let what = format!("this machine's clock is {} s {way} the service's", ahead.abs());
    Finding::warning(check::CLOCK, what).fix(
        "let it be set from the network: `timedatectl set-ntp true`, or your system's settings",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Level;

    #[test]
    fn a_clock_that_is_off() {
        for (ahead, level) in
            [(0, Level::Ok), (30, Level::Ok), (-31, Level::Warning), (31, Level::Warning)]
        {
            assert_eq!(skew(ahead).level, level, "{ahead}");
        }
        assert!(skew(90).what.contains("90 s ahead"));
        assert!(skew(-90).what.contains("90 s behind"));
    }
}
