//! Every option there is: its names, its default, what is allowed.
//!
//! One table, from which reading, checking and messages follow. Nothing else in the program knows
//! the name of an option.

use std::time::Duration;

use crate::config::base::BaseUrl;
use crate::config::origins::Origins;
use crate::config::{Config, HeaderTimeout, OnExhausted, RequireClientToken};
use crate::secret::Secret;

/// One option.
#[derive(Debug)]
pub struct Setting {
    /// Its name in the YAML file.
    pub name: &'static str,
    /// Its flag.
    pub flag: Option<&'static str>,
    /// Its environment variable; lists are separated by commas there.
    pub env: Option<&'static str>,
    /// Its default, as it would be written.
    pub default: &'static str,
    /// Whether it comes from the tool that this one replaces: a bad value is then warned about and
    /// the default used, as that tool did. A bad value of any other option stops the start.
    pub original: bool,
    /// What it holds.
    pub kind: Kind,
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
    /// The keys; see `config::keys`.
    Keys,
    /// The dashboard pages; see `config::scraping`.
    Scraping,
    /// Part of the file format, but nothing reads it yet: a value that asks for what is not done is
    /// warned about.
    Pending(Pending),
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

/// How much is known of the values of an option that is not in effect.
#[derive(Debug)]
pub enum Pending {
    /// One of some words.
    Word {
        /// The words.
        words: &'static [&'static str],
        /// The one that this version does whatever is written, so that it is in effect.
        done: &'static str,
    },
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// Whatever it is; in use when it is there at all.
    Block,
}

/// The shortest client token that is accepted, in characters: short ones can be guessed.
pub const MIN_TOKEN: usize = 16;

const BOOLEAN: &[&str] = &["true", "false"];

/// A truth value, as [`Kind::Word`] hands it over.
fn yes(word: &str) -> bool {
    word == "true"
}

fn number(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Every option.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "port",
        flag: Some("--port"),
        env: Some("PROXY_PORT"),
        default: "3000",
        original: true,
        kind: Kind::Number {
            from: 1,
            to: 65_535,
            set: |config, value| config.port = u16::try_from(value).unwrap_or(u16::MAX),
        },
    },
    Setting {
        name: "host",
        flag: Some("--host"),
        env: Some("PROXY_HOST"),
        default: "127.0.0.1",
        original: true,
        kind: Kind::Host(|config, value| config.host = value),
    },
    Setting {
        name: "upstreamBaseUrl",
        flag: None,
        env: Some("UPSTREAM_BASE_URL"),
        default: "https://opencode.ai",
        original: true,
        kind: Kind::Base(|config, value| config.upstream = value),
    },
    Setting {
        name: "keys",
        flag: None,
        env: Some("OPENCODE_GO_KEYS"),
        default: "[]",
        original: true,
        kind: Kind::Keys,
    },
    Setting {
        name: "strategy",
        flag: Some("--strategy"),
        env: Some("SAROS_STRATEGY"),
        default: "predictive",
        original: false,
        kind: Kind::Pending(Pending::Word {
            words: &["predictive", "round-robin"],
            done: "round-robin",
        }),
    },
    Setting {
        name: "usageThreshold",
        flag: None,
        env: Some("USAGE_THRESHOLD"),
        default: "",
        original: false,
        kind: Kind::Pending(Pending::Number(1, 100)),
    },
    Setting {
        name: "circuitBreakerThreshold",
        flag: None,
        env: Some("CIRCUIT_BREAKER_THRESHOLD"),
        default: "3",
        original: true,
        kind: Kind::Number {
            from: 1,
            to: 10,
            set: |config, value| config.breaker_threshold = number(value),
        },
    },
    Setting {
        name: "circuitBreakerCooldownMs",
        flag: None,
        env: Some("CIRCUIT_BREAKER_COOLDOWN_MS"),
        default: "60000",
        original: true,
        kind: Kind::Number {
            from: 1_000,
            to: 3_600_000,
            set: |config, value| config.breaker_cooldown = Duration::from_millis(value),
        },
    },
    Setting {
        name: "requestTimeoutMs",
        flag: None,
        env: Some("REQUEST_TIMEOUT_MS"),
        // The wizard of the tool that this one replaces wrote its default into every file, so the
        // written default must mean what an absent one means.
        default: "30000",
        original: true,
        kind: Kind::Number {
            from: 1_000,
            to: 300_000,
            set: |config, value| {
                config.header_timeout = match value {
                    30_000 => HeaderTimeout::Auto,
                    exact => HeaderTimeout::Exact(Duration::from_millis(exact)),
                };
            },
        },
    },
    Setting {
        name: "connectTimeoutMs",
        flag: None,
        env: None,
        default: "10000",
        original: false,
        kind: Kind::Number {
            from: 100,
            to: 60_000,
            set: |config, value| config.connect_timeout = Duration::from_millis(value),
        },
    },
    Setting {
        name: "streamIdleTimeoutMs",
        flag: None,
        env: Some("STREAM_IDLE_TIMEOUT_MS"),
        default: "300000",
        original: false,
        kind: Kind::Number {
            from: 1_000,
            to: 3_600_000,
            set: |config, value| config.stream_idle_timeout = Duration::from_millis(value),
        },
    },
    Setting {
        name: "shutdownTimeoutMs",
        flag: None,
        env: Some("SHUTDOWN_TIMEOUT_MS"),
        default: "60000",
        original: false,
        kind: Kind::Number {
            from: 0,
            to: 600_000,
            set: |config, value| config.shutdown_timeout = Duration::from_millis(value),
        },
    },
    Setting {
        name: "maxBodyBytes",
        flag: None,
        env: Some("MAX_BODY_BYTES"),
        default: "33554432",
        original: false,
        // Above, all bodies together have a limit of their own.
        kind: Kind::Number {
            from: 1,
            to: 1 << 40,
            set: |config, value| config.max_body_bytes = value,
        },
    },
    Setting {
        name: "maxConcurrentPerKey",
        flag: None,
        env: None,
        default: "0",
        original: false,
        kind: Kind::Number {
            from: 0,
            to: 1_000,
            set: |config, value| config.max_concurrent_per_key = number(value),
        },
    },
    Setting {
        name: "queueTimeoutMs",
        flag: None,
        env: None,
        default: "30000",
        original: false,
        kind: Kind::Number {
            from: 0,
            to: 3_600_000,
            set: |config, value| config.queue_timeout = Duration::from_millis(value),
        },
    },
    Setting {
        name: "onExhausted",
        flag: None,
        env: None,
        default: "auto",
        original: false,
        kind: Kind::Word {
            words: &["auto", "wait", "fail"],
            set: |config, word| {
                config.on_exhausted = match word {
                    "wait" => OnExhausted::Wait,
                    "fail" => OnExhausted::Fail,
                    _ => OnExhausted::Auto,
                };
            },
        },
    },
    Setting {
        name: "replayAmbiguous",
        flag: None,
        env: None,
        default: "true",
        original: false,
        kind: Kind::Word {
            words: BOOLEAN,
            set: |config, word| config.replay_ambiguous = yes(word),
        },
    },
    Setting {
        name: "requestLog",
        flag: None,
        env: None,
        default: "false",
        original: false,
        kind: Kind::Word { words: BOOLEAN, set: |config, word| config.request_log = yes(word) },
    },
    Setting {
        name: "allowBalance",
        flag: None,
        env: None,
        default: "false",
        original: false,
        kind: Kind::Pending(Pending::Block),
    },
    Setting {
        name: "allowedOrigins",
        flag: None,
        env: None,
        default: "[\"http://localhost:*\", \"http://127.0.0.1:*\"]",
        original: true,
        kind: Kind::List {
            item: Item::Origin,
            set: |config, values| config.allowed_origins = Origins::new(values),
        },
    },
    Setting {
        name: "allowedHosts",
        flag: None,
        env: Some("ALLOWED_HOSTS"),
        default: "[]",
        original: false,
        kind: Kind::List { item: Item::Host, set: |config, values| config.allowed_hosts = values },
    },
    Setting {
        name: "clientTokens",
        flag: None,
        env: Some("CLIENT_TOKENS"),
        default: "[]",
        original: false,
        kind: Kind::List {
            item: Item::Token,
            set: |config, values| {
                config.client_tokens = values.into_iter().map(Secret::new).collect();
            },
        },
    },
    Setting {
        name: "requireClientToken",
        flag: None,
        env: Some("REQUIRE_CLIENT_TOKEN"),
        default: "auto",
        original: false,
        kind: Kind::Word {
            words: &["auto", "true", "false"],
            set: |config, word| {
                config.require_client_token = match word {
                    "true" => RequireClientToken::Always,
                    "false" => RequireClientToken::Never,
                    _ => RequireClientToken::Auto,
                };
            },
        },
    },
    Setting {
        name: "prices",
        flag: None,
        env: None,
        default: "{}",
        original: false,
        kind: Kind::Pending(Pending::Block),
    },
    Setting {
        name: "scraping",
        flag: None,
        env: None,
        default: "{enabled: false}",
        original: true,
        kind: Kind::Scraping,
    },
];

/// The names within an entry of `keys`.
pub const KEY_NAMES: &[&str] = &["label", "key", "upstreamBaseUrl", "allowBalance", "plan"];
/// The names within `scraping`.
pub const SCRAPING_NAMES: &[&str] = &["enabled", "intervalMs", "usageThreshold", "accounts"];
/// The names within an entry of `scraping.accounts`.
pub const ACCOUNT_NAMES: &[&str] = &["workspaceId", "authCookie"];
/// The names within an entry of `prices`.
pub const PRICE_NAMES: &[&str] = &["input", "output", "cacheRead", "cacheWrite", "monthlyLimit"];

/// Whether a name is one of the file format, so that it may be shown.
pub fn is_known_name(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.name == name)
        || [KEY_NAMES, SCRAPING_NAMES, ACCOUNT_NAMES, PRICE_NAMES]
            .iter()
            .any(|names| names.contains(&name))
}

impl Setting {
    /// What is allowed, in words.
    pub fn allowed(&self) -> String {
        let range = |from: u64, to: u64| format!("a whole number from {from} to {to}");
        match &self.kind {
            Kind::Number { from, to, .. } | Kind::Pending(Pending::Number(from, to)) => {
                range(*from, *to)
            }
            Kind::Word { words, .. } | Kind::Pending(Pending::Word { words, .. }) => either(words),
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
            Kind::Keys => "a list of `{label, key}`".to_owned(),
            Kind::Scraping | Kind::Pending(Pending::Block) => "a block".to_owned(),
        }
    }
}

/// `a`, `b` or `c`.
fn either(words: &[&str]) -> String {
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
}
