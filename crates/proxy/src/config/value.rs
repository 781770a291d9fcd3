//! One value of one option: read, checked, put into the configuration.

use crate::config::Config;
use crate::config::base::{BaseUrl, BaseUrlError};
use crate::config::excerpt::Show;
use crate::config::options::{Item, Kind, MIN_TOKEN, Setting};
use crate::config::yaml::{Entry, Node, Spot, Value};
use crate::config::{Balance, Price};

/// A value that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bad {
    /// The value itself, or the item of the list.
    pub(crate) spot: Spot,
    /// The value as it was written; empty for blocks.
    pub(crate) text: String,
    /// What of it may be shown.
    pub(crate) show: Show,
    /// More about it than that it is not allowed.
    pub(crate) why: Option<String>,
}

/// Puts a value into the configuration, or says all that is wrong with it.
pub(crate) fn put(setting: &Setting, node: &Node, config: &mut Config) -> Result<(), Vec<Bad>> {
    let one = |bad| vec![bad];
    match &setting.kind {
        Kind::Number { from, to, set } => set(config, number(node, *from, *to).map_err(one)?),
        Kind::Word { words, set } => set(config, word(node, words).map_err(one)?),
        Kind::Base(set) => set(config, base(node).map_err(one)?),
        Kind::Host(set) => {
            let text = text(node, Show::Url).map_err(one)?;
            set(config, host(text).ok_or_else(|| vec![bad(node, Show::Url)])?);
        }
        Kind::List { item, set } => set(config, list(node, *item)?),
        Kind::Balance(set) => set(config, balance(node).map_err(one)?),
        Kind::Prices(set) => set(config, prices(node)?),
        Kind::Keys | Kind::Block(_) => {}
    }
    Ok(())
}

fn bad(node: &Node, show: Show) -> Bad {
    Bad {
        spot: node.spot,
        text: node.text().unwrap_or_default().to_owned(),
        show,
        why: match node.value {
            Value::Seq(_) => Some("a list".to_owned()),
            Value::Map(_) => Some("a block".to_owned()),
            Value::Scalar(_) | Value::Null => None,
        },
    }
}

fn text(node: &Node, show: Show) -> Result<&str, Bad> {
    node.text().map(str::trim).ok_or_else(|| bad(node, show))
}

/// `3000.0` and `3e3` are whole numbers too, as they were for the tool that read these files
/// before.
pub(crate) fn number(node: &Node, from: u64, to: u64) -> Result<u64, Bad> {
    let text = text(node, Show::Value)?;
    let value = text.parse::<u64>().ok().or_else(|| {
        let plain =
            text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+'));
        let value = text.parse::<f64>().ok().filter(|_| plain)?;
        let whole = value.fract() == 0.0 && (0.0..=9e15).contains(&value);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole and within 0 to 9e15"
        )]
        whole.then_some(value as u64)
    });
    value.filter(|value| (from..=to).contains(value)).ok_or_else(|| bad(node, Show::Value))
}

/// One of some words, in whatever case.
pub(crate) fn word(node: &Node, words: &'static [&'static str]) -> Result<&'static str, Bad> {
    let text = text(node, Show::Value)?;
    let text = text.to_ascii_lowercase();
    let wanted = if words.contains(&"true") { boolean(&text).unwrap_or(&text) } else { &text };
    words.iter().find(|word| **word == wanted).copied().ok_or_else(|| bad(node, Show::Value))
}

/// `true`, `false` and the other words for them.
pub(crate) fn truth(node: &Node) -> Result<bool, Bad> {
    Ok(word(node, &["true", "false"])? == "true")
}

/// The truth value that a text stands for.
pub(crate) fn boolean(text: &str) -> Option<&'static str> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some("true"),
        "false" | "no" | "off" | "0" => Some("false"),
        _ => None,
    }
}

/// Reads the base URL of an upstream.
pub(crate) fn base(node: &Node) -> Result<BaseUrl, Bad> {
    let text = text(node, Show::Url)?;
    BaseUrl::parse(text)
        .map_err(|error: BaseUrlError| Bad { why: Some(error.to_string()), ..bad(node, Show::Url) })
}

/// A host to listen on: letters, digits and `. _ - : [ ]`, as ever; without the brackets that IPv6
/// addresses have in URLs.
fn host(text: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-:[]".contains(c);
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    (!inner.is_empty() && inner.chars().all(fits)).then(|| inner.to_owned())
}

/// A single text counts as a list of one.
fn list(node: &Node, item: Item) -> Result<Vec<String>, Vec<Bad>> {
    let show = match item {
        Item::Origin | Item::Host => Show::Url,
        Item::Token => Show::Secret,
    };
    let items = match &node.value {
        Value::Seq(items) => items.as_slice(),
        Value::Scalar(_) => std::slice::from_ref(node),
        Value::Null | Value::Map(_) => return Err(vec![bad(node, show)]),
    };
    all(items.iter().map(|node| {
        let text = text(node, show)?;
        let value = match item {
            Item::Origin => origin(text),
            Item::Host => allowed_host(text),
            Item::Token => token(text),
        };
        value.ok_or_else(|| bad(node, show))
    }))
}

/// All good ones, or all bad ones.
fn all<T>(results: impl Iterator<Item = Result<T, Bad>>) -> Result<Vec<T>, Vec<Bad>> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => good.push(value),
            Err(why) => bad.push(why),
        }
    }
    if bad.is_empty() { Ok(good) } else { Err(bad) }
}

/// `false`, `true` or a number of dollars; 1 is a dollar, and no word for `true`.
pub(crate) fn balance(node: &Node) -> Result<Balance, Bad> {
    let text = text(node, Show::Value)?;
    match dollars(text) {
        Some(0.0) => Ok(Balance::Never),
        Some(dollars) => Ok(Balance::UpTo(dollars)),
        None => match boolean(text) {
            Some("true") => Ok(Balance::Always),
            Some(_) => Ok(Balance::Never),
            None => Err(bad(node, Show::Value)),
        },
    }
}

/// An amount that somebody could mean.
fn dollars(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.'));
    let amount = text.parse::<f64>().ok().filter(|_| plain)?;
    (amount <= 1e6).then_some(amount)
}

/// Unknown names within are warned about elsewhere.
fn prices(node: &Node) -> Result<Vec<Price>, Vec<Bad>> {
    let Value::Map(models) = &node.value else { return Err(vec![bad(node, Show::Value)]) };
    let prices: Vec<Result<Price, Vec<Bad>>> = models.iter().map(price).collect();
    let (mut good, mut wrong) = (Vec::new(), Vec::new());
    for price in prices {
        match price {
            Ok(price) => good.push(price),
            Err(bad) => wrong.extend(bad),
        }
    }
    if wrong.is_empty() { Ok(good) } else { Err(wrong) }
}

fn price(Entry { key, node, .. }: &Entry) -> Result<Price, Vec<Bad>> {
    let explain = |node: &Node, name: &str| {
        let mut bad = bad(node, Show::Value);
        let kind = bad.why.take().unwrap_or_else(|| "not a number of dollars".to_owned());
        bad.why = Some(if bad.text.is_empty() { kind } else { format!("`{name}` is {kind}") });
        bad
    };
    if !matches!(node.value, Value::Map(_)) {
        let mut bad = bad(node, Show::Value);
        bad.why = Some(match bad.text.as_str() {
            "" => bad.why.unwrap_or_else(|| "nothing for a model".to_owned()),
            _ => "not a block of prices".to_owned(),
        });
        return Err(vec![bad]);
    }
    let mut wrong = Vec::new();
    let mut amount = |name: &str| {
        let node = node.get(name)?;
        let amount = node.text().and_then(|text| dollars(text.trim()));
        if amount.is_none() {
            wrong.push(explain(node, name));
        }
        amount
    };
    let price = Price {
        model: key.clone(),
        input: amount("input"),
        output: amount("output"),
        cache_read: amount("cacheRead"),
        cache_write: amount("cacheWrite"),
        monthly_limit: amount("monthlyLimit"),
    };
    if wrong.is_empty() { Ok(price) } else { Err(wrong) }
}

/// A pattern that some `Origin` header can fit: `scheme://host`, no path.
fn origin(text: &str) -> Option<String> {
    let text = text.trim_end_matches('/');
    let fits = match text.split_once("://") {
        Some((scheme, host)) => {
            !scheme.is_empty() && !host.is_empty() && !host.contains(['/', '?', '#', '@'])
        }
        None => text == "null" || (!text.is_empty() && text.bytes().all(|byte| byte == b'*')),
    };
    (fits && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| text.to_owned())
}

/// A name; ports are not compared, and IP addresses are allowed anyway.
fn allowed_host(text: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (!text.is_empty() && text.chars().all(fits)).then(|| text.to_ascii_lowercase())
}

/// What fits into a header and is long enough not to be guessed.
fn token(text: &str) -> Option<String> {
    let fits = text.len() >= MIN_TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.to_owned())
}
