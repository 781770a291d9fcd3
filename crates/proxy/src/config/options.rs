//! Every option there is: its names, its default, what is allowed, what it is for.
//!
//! One table, [`SETTINGS`], from which reading, checking, messages, the help texts of flags, the
//! JSON Schema, the reference page and the example file follow. Nothing else in the program knows
//! the name of an option.

use serde_json::Value;

use crate::config::base::BaseUrl;
use crate::config::{Balance, Config, Price};

mod fields;
mod table;

pub use fields::{ACCOUNT_FIELDS, Field, Holds, KEY_FIELDS, PLANS, PRICE_FIELDS, SCRAPING_FIELDS};
pub use table::SETTINGS;

/// One option.
#[derive(Debug)]
pub struct Setting {
    /// Its name in the YAML file.
    pub name: &'static str,
    /// Its flag.
    pub flag: Option<&'static str>,
    /// Its environment variable; lists are separated by commas there.
    pub env: Option<&'static str>,
    /// Its default, as it would be written; empty where an absent one has no written form.
    pub default: &'static str,
    /// What it is for: sentences for its owner, the first of which can stand alone.
    pub help: &'static str,
    /// Whether it comes from the tool that this one replaces: a bad value is then warned about and
    /// the default used, as that tool did. A bad value of any other option stops the start.
    pub original: bool,
    /// Whether a reload applies it, or only a restart.
    pub live: bool,
    /// What it holds.
    pub kind: Kind,
    /// The value in effect, secrets masked; `null` for none.
    pub get: fn(&Config) -> Value,
}

/// What an option holds, and where it goes.
#[derive(Debug)]
pub enum Kind {
    /// A whole number within a range.
    Number {
        /// The least.
        from: u64,
        /// The most.
        to: u64,
        /// Where it goes.
        set: fn(&mut Config, u64),
    },
    /// One of some words.
    Word {
        /// The words. Where `true` and `false` are among them, `yes`, `no`, `on`, `off`, `1` and
        /// `0` are understood too.
        words: &'static [&'static str],
        /// Where the word goes.
        set: fn(&mut Config, &str),
    },
    /// The base URL of an upstream.
    Base(fn(&mut Config, BaseUrl)),
    /// An address or a name.
    Host(fn(&mut Config, String)),
    /// A list of texts.
    List {
        /// What each must be.
        item: Item,
        /// Where the list goes.
        set: fn(&mut Config, Vec<String>),
    },
    /// `false`, `true` or a number of dollars.
    Balance(fn(&mut Config, Balance)),
    /// Prices by model.
    Prices(fn(&mut Config, Vec<Price>)),
    /// The keys; see `config::keys`.
    Keys,
    /// A block of names of its own.
    Block(&'static [Field]),
}

/// What the items of a list must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// Patterns of web origins.
    Origin,
    /// Names for the `Host` header.
    Host,
    /// Client tokens.
    Token,
}

/// The shortest client token that is accepted, in characters: short ones can be guessed.
pub const MIN_TOKEN: usize = 16;

/// The option with this name.
pub fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// Whether a name is one of the file format, so that it may be shown.
pub fn is_known_name(name: &str) -> bool {
    setting(name).is_some()
        || [KEY_FIELDS, SCRAPING_FIELDS, ACCOUNT_FIELDS, PRICE_FIELDS]
            .iter()
            .any(|fields| fields.iter().any(|field| field.name == name))
}

/// The help text of an option's flag: what it is for, and its default.
pub fn flag_help(name: &str) -> String {
    setting(name).map_or_else(String::new, |setting| {
        let help = setting.summary().trim_end_matches('.');
        match setting.default {
            "" => help.to_owned(),
            default => format!("{help} [default: {default}]"),
        }
    })
}

impl Setting {
    /// The first sentence of what it is for.
    pub fn summary(&self) -> &'static str {
        self.help.split_inclusive(". ").next().unwrap_or_default().trim_end()
    }

    /// What is allowed, in words.
    pub fn allowed(&self) -> String {
        match &self.kind {
            Kind::Number { from, to, .. } => range(*from, *to),
            Kind::Word { words, .. } => either(words),
            Kind::Base(_) => {
                "an https URL, or http to loopback, without user, query or fragment".to_owned()
            }
            Kind::Host(_) => "an IP address or a host name".to_owned(),
            Kind::List { item: Item::Origin, .. } => {
                "a list of origins such as `http://localhost:*`, where `*` stands for anything"
                    .to_owned()
            }
            Kind::List { item: Item::Host, .. } => "a list of host names, without ports".to_owned(),
            Kind::List { item: Item::Token, .. } => {
                format!("a list of tokens of at least {MIN_TOKEN} visible ASCII characters")
            }
            Kind::Balance(_) => BALANCE.to_owned(),
            Kind::Prices(_) => "models with numbers of dollars, `{model: {input: 0.5}}`".to_owned(),
            Kind::Keys => "a list of `{label, key}`".to_owned(),
            Kind::Block(_) => "a block".to_owned(),
        }
    }
}

/// What `allowBalance` may be.
pub(crate) const BALANCE: &str = "`true`, `false`, or a number of dollars";

/// A whole number within a range, in words.
pub(crate) fn range(from: u64, to: u64) -> String {
    format!("a whole number from {from} to {to}")
}

/// `a`, `b` or `c`.
pub(crate) fn either(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [head @ .., last] => {
            let head: Vec<String> = head.iter().map(|word| format!("`{word}`")).collect();
            format!("{} or `{last}`", head.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for get in [
            |setting: &Setting| Some(setting.name),
            |setting: &Setting| setting.flag,
            |setting: &Setting| setting.env,
        ] {
            let mut names: Vec<&str> = SETTINGS.iter().filter_map(get).collect();
            names.sort_unstable();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all);
        }
    }

    #[test]
    fn words_are_listed() {
        assert_eq!(either(&["a"]), "`a`");
        assert_eq!(either(&["a", "b", "c"]), "`a`, `b` or `c`");
    }

    #[test]
    fn every_option_says_what_it_is_for() {
        for setting in SETTINGS {
            let summary = setting.summary();
            assert!(summary.len() > 15 && setting.help.ends_with('.'), "{}", setting.name);
            assert!(summary.len() < 100, "{}: {summary}", setting.name);
        }
        assert_eq!(flag_help("port"), "Port to listen on [default: 3000]");
    }

    /// What is shown of a default is what the table says is written for it.
    #[test]
    fn shown_defaults_are_the_written_ones() {
        let config = Config::default();
        for setting in SETTINGS {
            let shown = (setting.get)(&config);
            let written = match setting.default {
                "" => Value::Null,
                text => serde_json::from_str(text).unwrap_or(Value::from(text)),
            };
            assert_eq!(shown, written, "{}", setting.name);
        }
    }
}
