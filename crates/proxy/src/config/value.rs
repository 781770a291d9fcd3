//! One value of one option: read, checked, put into the configuration.

use crate::config::Config;
use crate::config::base::{BaseUrl, BaseUrlError};
use crate::config::excerpt::Show;
use crate::config::options::{Item, Kind, MIN_TOKEN, Pending, Setting};
use crate::config::yaml::{Node, Spot, Value};

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

/// Puts a value into the configuration. Says whether it asks for something that is not in effect.
pub(crate) fn put(setting: &Setting, node: &Node, config: &mut Config) -> Result<bool, Bad> {
    match &setting.kind {
        Kind::Number { from, to, set } => set(config, number(node, *from, *to)?),
        Kind::Word { words, set } => set(config, word(node, words)?),
        Kind::Base(set) => set(config, base(node)?),
        Kind::Host(set) => {
            let text = text(node, Show::Url)?;
            set(config, host(text).ok_or_else(|| bad(node, Show::Url))?);
        }
        Kind::List { item, set } => set(config, list(node, *item)?),
        Kind::Keys | Kind::Scraping => {}
        Kind::Pending(pending) => return not_in_effect(pending, node),
    }
    Ok(false)
}

fn not_in_effect(pending: &Pending, node: &Node) -> Result<bool, Bad> {
    Ok(match pending {
        Pending::Word { words, done } => word(node, words)? != *done,
        Pending::Number(from, to) => {
            number(node, *from, *to)?;
            true
        }
        Pending::Block => match &node.value {
            Value::Scalar(text) => boolean(text) != Some("false"),
            Value::Map(entries) => !entries.is_empty(),
            Value::Null | Value::Seq(_) => false,
        },
    })
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

fn word(node: &Node, words: &'static [&'static str]) -> Result<&'static str, Bad> {
    let text = text(node, Show::Value)?;
    let text = text.to_ascii_lowercase();
    let wanted = if words.contains(&"true") { boolean(&text).unwrap_or(&text) } else { &text };
    words.iter().find(|word| **word == wanted).copied().ok_or_else(|| bad(node, Show::Value))
}

/// `true`, `false` and the other words for them.
pub(crate) fn truth(node: &Node) -> Result<bool, Bad> {
    Ok(word(node, &["true", "false"])? == "true")
}

fn boolean(text: &str) -> Option<&'static str> {
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
fn list(node: &Node, item: Item) -> Result<Vec<String>, Bad> {
    let show = match item {
        Item::Origin | Item::Host => Show::Url,
        Item::Token => Show::Secret,
    };
    let items = match &node.value {
        Value::Seq(items) => items.as_slice(),
        Value::Scalar(_) => std::slice::from_ref(node),
        Value::Null | Value::Map(_) => return Err(bad(node, show)),
    };
    items
        .iter()
        .map(|node| {
            let text = text(node, show)?;
            let value = match item {
                Item::Origin => origin(text),
                Item::Host => allowed_host(text),
                Item::Token => token(text),
            };
            value.ok_or_else(|| bad(node, show))
        })
        .collect()
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
