//! Reading the older dashboard page of a workspace: `/workspace/<id>/go`, with the cookie that the
//! owner's browser has.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{ACCEPT, COOKIE, HeaderMap, HeaderValue, LOCATION};
use saros_core::report::Report;
use saros_wire::page::NotRead;

use crate::clock::Clock;
use crate::config::ScrapingAccount;
use crate::upstream::exchange::Opener;
use crate::upstream::fetch::{self, FetchError, Fetched};
use crate::upstream::headers;
use crate::upstream::key::Key;

/// How long a page may take, its connection included.
const PATIENCE: Duration = Duration::from_secs(15);
/// A page has some hundred kilobytes.
const LONGEST: usize = 8 << 20;

/// Why a page yields no report. Its text is for the owner and holds no secrets.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The service sent us to its login.
    #[error("the cookie has expired or is not valid")]
    Expired,
    /// The service does not know the workspace, or the cookie's owner may not see it.
    #[error("the service has no such page for this cookie (status {0})")]
    Absent(u16),
    /// The subscription is another member's.
    #[error("the subscription of this workspace belongs to another member")]
    NotMine,
    /// A page, but without the figures.
    #[error("the page has changed: no usage figures were found in it")]
    Unknown,
    /// Another status.
    #[error("status {0}")]
    Status(u16),
    /// No answer.
    #[error("{0}")]
    Fetch(#[from] FetchError),
    /// No answer in time.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
}

/// Reads the page once, from the origin of the key it belongs to.
pub async fn read(
    opener: &Opener,
    key: &Arc<Key>,
    account: &ScrapingAccount,
    clock: &Clock,
) -> Result<Report, PageError> {
    let sent = clock.now();
    let path = format!("/workspace/{}/go", account.workspace);
    let headers = headers(account);
    let fetching = fetch::get(opener, key, &path, &headers, LONGEST);
    let fetched = tokio::time::timeout(PATIENCE, fetching).await.map_err(|_| PageError::Late)??;
    let page = page(&fetched)?;
    let mut report =
        saros_wire::page::dashboard(&page, sent, clock.now()).map_err(|why| match why {
            NotRead::NotMine => PageError::NotMine,
            NotRead::Unknown if asks_to_log_in(&page) => PageError::Expired,
            NotRead::Unknown => PageError::Unknown,
        })?;
    report.workspace = Some(account.workspace.clone());
    Ok(report)
}

fn page(fetched: &Fetched) -> Result<String, PageError> {
    match fetched.status {
        StatusCode::OK => Ok(String::from_utf8_lossy(&fetched.body).into_owned()),
        StatusCode::UNAUTHORIZED => Err(PageError::Expired),
        status if status.is_redirection() && leads_to_login(&fetched.headers) => {
            Err(PageError::Expired)
        }
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
            Err(PageError::Absent(fetched.status.as_u16()))
        }
        status => Err(PageError::Status(status.as_u16())),
    }
}

/// `/auth/authorize`, `/login`, or another host's page for it.
fn leads_to_login(headers: &HeaderMap) -> bool {
    let target = headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    ["auth", "login", "signin", "sign-in"].iter().any(|word| target.contains(word))
}

/// A page of the service that is no dashboard but a way to log in.
fn asks_to_log_in(page: &str) -> bool {
    ["/auth/authorize", "Log in", "Login", "Sign in"].iter().any(|word| page.contains(word))
}

fn headers(account: &ScrapingAccount) -> HeaderMap {
    let mut headers = headers::outgoing(&HeaderMap::new(), None);
    headers.insert(ACCEPT, HeaderValue::from_static("text/html"));
    if let Ok(mut cookie) = HeaderValue::try_from(format!("auth={}", account.cookie.expose())) {
        cookie.set_sensitive(true);
        headers.insert(COOKIE, cookie);
    }
    headers
}
