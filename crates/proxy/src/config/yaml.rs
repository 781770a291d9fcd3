//! YAML as a tree in which every node knows where it stands.
//!
//! The only file that knows the YAML library. Its own error messages print the lines around an
//! error, keys included, so they are switched off; and it would stop at the first value that has
//! the wrong type, so it is asked for no types at all: scalars keep the text they were written in.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::NonFiniteFloatPolicy;
use serde_saphyr::{Location, Spanned};

use crate::config::excerpt::Show;
use crate::config::options;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spot {
    /// Bytes `start..end` of the configuration file.
    File {
        /// The first byte.
        start: usize,
        /// The byte after the last.
        end: usize,
    },
    /// An environment variable.
    Variable(&'static str),
    /// A flag.
    Flag(&'static str),
    /// Nothing that could be pointed at.
    Nowhere,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// Where it comes from.
    pub(crate) spot: Spot,
    /// What it is.
    pub(crate) value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// Text, a number, a truth value: as it was written.
    Scalar(String),
    /// A list.
    Seq(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<Entry>),
}

/// A line of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) key: String,
    /// Where the name stands.
    pub(crate) spot: Spot,
    /// Its value.
    pub(crate) node: Node,
}

/// Why a text is no YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// What is wrong, without any of the file's lines.
    pub(crate) message: String,
    /// The byte where it gave up.
    pub(crate) offset: Option<usize>,
}

impl Node {
    /// The value of a name in a mapping; `null` counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else { return None };
        let entry = entries.iter().find(|entry| entry.key == name)?;
        (entry.node.value != Value::Null).then_some(&entry.node)
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            _ => None,
        }
    }
}

/// Parses a file; an empty one is [`Value::Null`].
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    if text.lines().all(|line| matches!(line.trim_start().bytes().next(), None | Some(b'#'))) {
        return Ok(Node { spot: Spot::Nowhere, value: Value::Null });
    }
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPLAYED },
    };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => Ok(node(raw, text)),
        Err(error) => {
            let message = message(&error);
            let offset = error.location().and_then(|location| offset(&location, text));
            Err(SyntaxError { message, offset })
        }
    }
}

/// The library's words, but for what it advises: that is meant for programmers.
fn message(error: &serde_saphyr::Error) -> String {
    if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error.without_snippet() {
        return match key {
            Some(name) if options::is_known_name(name) => format!("`{name}` stands twice"),
            // It may be a secret that slipped in front of a colon.
            Some(name) => format!("`{}` stands twice", Show::Value.apply(name)),
            None => "a name stands twice".to_owned(),
        };
    }
    let mut message = error.to_string();
    // The place is told by itself.
    message.truncate(message.rfind(" at line ").unwrap_or(message.len()));
    message
}

/// What aliases may expand to: far more than any configuration holds, far less than would be felt.
const MAX_REPLAYED: usize = 10_000;

/// What the library hands over.
enum Raw {
    Null,
    Text(String),
    /// A scalar that the library took for a number or a truth value.
    Typed,
    Seq(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

fn node(raw: Spanned<Raw>, text: &str) -> Node {
    let spot = spot(&raw.referenced);
    let written = || slice(&raw.defined, text);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Text(text) => Value::Scalar(text),
        Raw::Typed => Value::Scalar(written()),
        Raw::Seq(items) => Value::Seq(items.into_iter().map(|item| node(item, text)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let key = node(key, text);
                    Entry {
                        spot: key.spot,
                        key: key.text().unwrap_or_default().to_owned(),
                        node: node(value, text),
                    }
                })
                .collect(),
        ),
    };
    Node { spot, value }
}

fn start(location: &Location) -> Option<usize> {
    location.span().byte_offset().and_then(|offset| usize::try_from(offset).ok())
}

/// Where an error stands; some know line and column only.
fn offset(location: &Location, text: &str) -> Option<usize> {
    start(location).or_else(|| {
        let line = usize::try_from(location.line()).ok()?.checked_sub(1)?;
        let column = usize::try_from(location.column()).ok()?.checked_sub(1)?;
        let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
        let line = text.get(before..)?;
        Some(before + line.char_indices().nth(column).map_or(line.len(), |(offset, _)| offset))
    })
}

fn spot(location: &Location) -> Spot {
    let length = location.span().byte_len().and_then(|length| usize::try_from(length).ok());
    start(location)
        .map_or(Spot::Nowhere, |start| Spot::File { start, end: start + length.unwrap_or(0) })
}

fn slice(location: &Location, text: &str) -> String {
    match spot(location) {
        Spot::File { start, end } => text.get(start..end).unwrap_or_default().trim().to_owned(),
        _ => String::new(),
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".to_owned(),
            Value::Scalar(text) => format!("<{text}>"),
            Value::Seq(items) => {
                format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" "))
            }
            Value::Map(entries) => format!(
                "{{{}}}",
                entries
                    .iter()
                    .map(|entry| format!("{}={}", entry.key, shown(&entry.node)))
                    .collect::<Vec<_>>()
                    .join(" ")
            ),
        }
    }

    fn check(text: &str, tree: &str) {
        let node = parse(text).unwrap_or_else(|error| panic!("{text:?}: {error:?}"));
        assert_eq!(shown(&node), tree, "{text:?}");
    }

    #[test]
    fn scalars_keep_their_text() {
        check("port: 3000", "{port=<3000>}");
        check(
            "a: 0123\nb: 1_000\nc: 1e3\nd: 0x10\ne: 3000.0",
            "{a=<0123> b=<1_000> c=<1e3> d=<0x10> e=<3000.0>}",
        );
        check("a: yes\nb: true\nc: No\nd: off", "{a=<yes> b=<true> c=<No> d=<off>}");
        check("a: '3000'\nb: \"x\\ty\"", "{a=<3000> b=<x\ty>}");
        check("a: ::1\nb: sk-1 # note\nc: 2026-01-01", "{a=<::1> b=<sk-1> c=<2026-01-01>}");
        check("a:\nb: ~\nc: null\nd: ''", "{a=null b=null c=null d=<>}");
        check("1: x\ntrue: y", "{1=<x> true=<y>}");
        check(
            "a: 99999999999999999999999999999999999999999999",
            "{a=<99999999999999999999999999999999999999999999>}",
        );
        check("a: &x 7\nb: *x", "{a=<7> b=<7>}");
        check("a: .inf", "{a=<.inf>}");
    }

    #[test]
    fn trees() {
        check(
            "keys:\n  - {label: a, key: b}\n  -\n    label: c\n",
            "{keys=[{label=<a> key=<b>} {label=<c>}]}",
        );
        check("- 1\n- [a, 2]", "[<1> [<a> <2>]]");
        check("just text", "<just text>");
        check("a: []\nb: {}", "{a=[] b={}}");
        check("a: 1\r\nb: 2\r\n", "{a=<1> b=<2>}");
        check("---\na: 1\n...\n", "{a=<1>}");
        for empty in ["", "\n\n", "# only a comment\n", "   # x\n\n#y", "---\n"] {
            check(empty, "null");
        }
    }

    #[test]
    fn nodes_know_where_they_stand() {
        let text = "# ü\nport: 99999 # x\nkeys:\n  - key: \"a b\"\n";
        let tree = parse(text).unwrap();
        let at = |spot| match spot {
            Spot::File { start, end } => &text[start..end],
            _ => "nowhere",
        };
        assert_eq!(at(tree.get("port").unwrap().spot).trim(), "99999");
        let Value::Map(entries) = &tree.value else { panic!() };
        assert_eq!(at(entries[1].spot), "keys");
        let Value::Seq(items) = &tree.get("keys").unwrap().value else { panic!() };
        assert_eq!(at(items[0].get("key").unwrap().spot), "\"a b\"");
    }

    #[test]
    fn errors_name_a_place_and_quote_no_line() {
        for text in [
            "keys:\n  - key: sk-secret-secret-secret\n port: [1",
            "port: 1\nport: 2\nkey: sk-secret-secret-secret",
            "a: 'sk-secret-secret-secret",
            "a: *sk-secret-secret-secret",
            "a: b: sk-secret-secret-secret",
            "a: 1\n---\nb: sk-secret-secret-secret",
            "a:\n\t- sk-secret-secret-secret: ]",
            "a: !!int sk-secret-secret-secret",
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.offset.is_some(), "{text:?}: {error:?}");
            assert!(!error.message.contains('\n'), "{text:?}: {error:?}");
        }
    }

    #[test]
    fn a_bomb_of_aliases_is_an_error() {
        let line = |level: i32| {
            let refs = vec![format!("*a{}", level - 1); 10].join(",");
            format!("a{level}: &a{level} [{refs}]\n")
        };
        let lines: Vec<String> = (1..12).map(line).collect();
        let text = format!("a0: &a0 [x]\n{}", lines.concat());
        assert!(parse(&text).is_err());
    }
}
