//! The section `scraping`: usage read from the older dashboard page, for installations that have
//! it configured.
//!
//! Everything in it comes from the tool that this one replaces, so a bad value is warned about and
//! the default used, or the account left out; nothing here stops the start.

use std::time::Duration;

use saros_core::id::KeyId;

use crate::config::env::Env;
use crate::config::envelope;
use crate::config::excerpt::Show;
use crate::config::master::{self, MASTER_KEY};
use crate::config::problem::{Collector, Problem, Severity};
use crate::config::value::{self, Bad};
use crate::config::yaml::{Node, Spot, Value};
use crate::secret::Secret;

/// How often pages are read, in milliseconds: least, most, default.
const INTERVAL: (u64, u64, u64) = (10_000, 3_600_000, 90_000);
/// Percent from which an account is passed over: least, most, default.
const THRESHOLD: (u64, u64, u64) = (1, 100, 70);

/// `scraping`, switched on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scraping {
    /// How often each page is read.
    pub interval: Duration,
    /// Percent of any window from which an account is passed over, unless the option
    /// `usageThreshold` says otherwise.
    pub usage_threshold: u8,
    /// Whose pages.
    pub accounts: Vec<ScrapingAccount>,
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapingAccount {
    /// `wrk_…`.
    pub workspace: String,
    /// The value of the cookie `auth`.
    pub cookie: Secret,
    /// The key whose account this is: the one in the same place of its list.
    pub key: KeyId,
}

/// Reads the section; `None` unless it is switched on. `keys` holds the key at each place of the
/// list of keys, where there is a usable one.
pub(crate) fn read(
    node: &Node,
    keys: &[Option<KeyId>],
    env: &dyn Env,
    collector: &mut Collector,
) -> Option<Scraping> {
    if !matches!(node.value, Value::Map(_)) {
        let problem = Problem::new(Severity::Warning, "`scraping` is no block and left out")
            .allowed("`{enabled, intervalMs, usageThreshold, accounts}`")
            .rejects();
        collector.add(problem, node.spot, Show::Secret);
        return None;
    }
    if !enabled(node, collector) {
        return None;
    }
    let interval = number(node, "intervalMs", INTERVAL, collector);
    let threshold = number(node, "usageThreshold", THRESHOLD, collector);
    let drafts = drafts(node, keys, collector);
    Some(Scraping {
        interval: Duration::from_millis(interval),
        usage_threshold: u8::try_from(threshold).unwrap_or(u8::MAX),
        accounts: decrypt(drafts, env, collector),
    })
}

fn enabled(node: &Node, collector: &mut Collector) -> bool {
    let Some(switch) = node.get("enabled") else { return false };
    match value::truth(switch) {
        Ok(enabled) => enabled,
        Err(bad) => {
            warn("enabled", "`true` or `false`", "false", bad, collector);
            false
        }
    }
}

fn number(
    node: &Node,
    name: &str,
    (from, to, default): (u64, u64, u64),
    collector: &mut Collector,
) -> u64 {
    let Some(node) = node.get(name) else { return default };
    value::number(node, from, to).unwrap_or_else(|bad| {
        let allowed = format!("a whole number from {from} to {to}");
        warn(name, &allowed, &default.to_string(), bad, collector);
        default
    })
}

fn warn(name: &str, allowed: &str, default: &str, bad: Bad, collector: &mut Collector) {
    let written = bad.why.unwrap_or_else(|| format!("`{}`", bad.show.apply(&bad.text)));
    let what = format!("`scraping.{name}` cannot be {written}");
    let problem = Problem::new(Severity::Warning, what)
        .allowed(allowed)
        .hint(format!("the default `{default}` is used"))
        .rejects();
    collector.add(problem, bad.spot, bad.show);
}

/// An account as it was written.
struct Draft {
    account: ScrapingAccount,
    spot: Spot,
}

fn drafts(node: &Node, keys: &[Option<KeyId>], collector: &mut Collector) -> Vec<Draft> {
    let Some(list) = node.get("accounts") else { return Vec::new() };
    let Value::Seq(items) = &list.value else {
        let problem =
            Problem::new(Severity::Warning, "`scraping.accounts` is no list and left out")
                .allowed("a list of `{workspaceId, authCookie}`")
                .rejects();
        collector.add(problem, list.spot, Show::Secret);
        return Vec::new();
    };
    let mut drafts = Vec::new();
    for (place, item) in items.iter().enumerate() {
        match draft(item, keys.get(place).copied().flatten()) {
            Ok(draft) => drafts.push(draft),
            Err(why) => {
                let what = format!("entry {} of `scraping.accounts` is left out: {why}", place + 1);
                let problem = Problem::new(Severity::Warning, what)
                    .allowed("`{workspaceId: wrk_…, authCookie: …}`, one for each key, in order")
                    .rejects();
                collector.add(problem, item.spot, Show::Secret);
            }
        }
    }
    drafts
}

fn draft(item: &Node, key: Option<KeyId>) -> Result<Draft, &'static str> {
    let text = |name| item.get(name).and_then(Node::text).map(str::trim).unwrap_or_default();
    let workspace = text("workspaceId");
    let id = workspace.strip_prefix("wrk_").unwrap_or_default();
    // It becomes part of a path.
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err("its `workspaceId` is not one");
    }
    let cookie = cookie(text("authCookie"));
    if !is_cookie(cookie) && !cookie.starts_with(envelope::PREFIX) {
        return Err("its `authCookie` is missing or no cookie's value");
    }
    let key = key.ok_or("there is no usable key at this place of `keys`")?;
    let cookie = Secret::new(cookie.to_owned());
    let account = ScrapingAccount { workspace: workspace.to_owned(), cookie, key };
    Ok(Draft { account, spot: item.spot })
}

/// Copied out of a browser it may have its name with it.
fn cookie(text: &str) -> &str {
    text.strip_prefix("auth=").unwrap_or(text).trim_end_matches(';')
}

/// What a cookie's value may hold (RFC 6265 §4.1.1).
fn is_cookie(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
    !text.is_empty() && text.bytes().all(fits)
}

fn decrypt(
    mut drafts: Vec<Draft>,
    env: &dyn Env,
    collector: &mut Collector,
) -> Vec<ScrapingAccount> {
    let locked = |draft: &Draft| draft.account.cookie.expose().starts_with(envelope::PREFIX);
    let count = drafts.iter().filter(|draft| locked(draft)).count();
    if count > 0 {
        // Why it cannot be had is told of the keys already, if they are encrypted too.
        if let Ok(Some((master, _))) = master::find(env) {
            for draft in drafts.iter_mut().filter(|draft| locked(draft)) {
                let opened = envelope::decrypt(draft.account.cookie.expose(), &master);
                if let Some(opened) =
                    opened.ok().filter(|opened| is_cookie(cookie(opened.expose())))
                {
                    draft.account.cookie = Secret::new(cookie(opened.expose()).to_owned());
                } else {
                    let what = format!(
                        "Failed to decrypt the cookie of {} — check {MASTER_KEY}",
                        draft.account.workspace
                    );
                    let problem = Problem::new(Severity::Warning, what)
                        .hint("its dashboard page is not read")
                        .rejects();
                    collector.add(problem, draft.spot, Show::Secret);
                }
            }
        } else {
            let what = format!(
                "Found {count} encrypted cookie(s) but {MASTER_KEY} environment variable is not set"
            );
            let hint = "their dashboard pages are not read";
            collector.problems.push(Problem::new(Severity::Warning, what).hint(hint).rejects());
        }
    }
    drafts.into_iter().filter(|draft| !locked(draft)).map(|draft| draft.account).collect()
}
