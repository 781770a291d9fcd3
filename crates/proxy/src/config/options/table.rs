//! The table of options, in the order in which they are shown.

use std::time::Duration;

use serde_json::{Value, json};

use crate::config::options::{Item, Kind, SCRAPING_FIELDS, Setting};
use crate::config::{
    Config, HeaderTimeout, KeyConfig, OnExhausted, Origins, RequireClientToken, Scraping,
    ScrapingAccount, Strategy,
};
use crate::secret::Secret;

const BOOLEAN: &[&str] = &["true", "false"];

/// A truth value, as [`Kind::Word`] hands it over.
fn yes(word: &str) -> bool {
    word == "true"
}

fn number(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn millis(span: Duration) -> Value {
    Value::from(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// Most options: those of ours, applied by a reload, and in effect.
const OURS: Setting = Setting {
    name: "",
    flag: None,
    env: None,
    default: "",
    help: "",
    original: false,
    live: true,
    kind: Kind::Keys,
    get: |_| Value::Null,
};

/// The options of the tool that this one replaces.
const ORIGINAL: Setting = Setting { original: true, ..OURS };

/// Every option.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "port",
        flag: Some("--port"),
        env: Some("PROXY_PORT"),
        default: "3000",
        help: "Port to listen on.",
        live: false,
        kind: Kind::Number {
            from: 1,
            to: 65_535,
            set: |config, value| config.port = u16::try_from(value).unwrap_or(u16::MAX),
        },
        get: |config| json!(config.port),
        ..ORIGINAL
    },
    Setting {
        name: "host",
        flag: Some("--host"),
        env: Some("PROXY_HOST"),
        default: "127.0.0.1",
        help: "Address to listen on. Beyond loopback clients must show a token, unless \
               `requireClientToken` says otherwise.",
        live: false,
        kind: Kind::Host(|config, value| config.host = value),
        get: |config| json!(config.host),
        ..ORIGINAL
    },
    Setting {
        name: "upstreamBaseUrl",
        env: Some("UPSTREAM_BASE_URL"),
        default: "https://opencode.ai",
        help: "Where the service is. No path, or one that ends in `/zen/go` or `/zen/go/v1`, means \
               its older layout; one that ends in `/inference/go` the newer one.",
        kind: Kind::Base(|config, value| config.upstream = value),
        get: |config| json!(config.upstream.to_string()),
        ..ORIGINAL
    },
    Setting {
        name: "keys",
        env: Some("OPENCODE_GO_KEYS"),
        default: "[]",
        help: "The API keys, each with a name of yours. In the environment: \
               `label:key,label:key`; a list in the file that is not empty goes before it.",
        kind: Kind::Keys,
        get: |config| config.keys.iter().map(|key| shown_key(key, config)).collect(),
        ..ORIGINAL
    },
    Setting {
        name: "strategy",
        flag: Some("--strategy"),
        env: Some("SAROS_STRATEGY"),
        default: "predictive",
        help: "How an account is chosen. `predictive` keeps a conversation where its prompt cache \
               is warm and uses first what a reset would take; `round-robin` goes around.",
        kind: Kind::Word {
            words: &["predictive", "round-robin"],
            set: |config, word| {
                config.strategy = match word {
                    "round-robin" => Strategy::RoundRobin,
                    _ => Strategy::Predictive,
                };
            },
        },
        get: |config| json!(config.strategy.name()),
        ..OURS
    },
    Setting {
        name: "usageThreshold",
        env: Some("USAGE_THRESHOLD"),
        help: "Percent of any window from which an account is passed over while another is below. \
               Default: 70 for `round-robin`, and for every strategy while `scraping` is enabled; \
               else none.",
        kind: Kind::Number {
            from: 1,
            to: 100,
            set: |config, value| config.usage_threshold = u8::try_from(value).ok(),
        },
        get: |config| json!(config.usage_threshold),
        ..OURS
    },
    Setting {
        name: "circuitBreakerThreshold",
        env: Some("CIRCUIT_BREAKER_THRESHOLD"),
        default: "3",
        help: "Failures in a row after which an account is left alone.",
        kind: Kind::Number {
            from: 1,
            to: 10,
            set: |config, value| config.breaker_threshold = number(value),
        },
        get: |config| json!(config.breaker_threshold),
        ..ORIGINAL
    },
    Setting {
        name: "circuitBreakerCooldownMs",
        env: Some("CIRCUIT_BREAKER_COOLDOWN_MS"),
        default: "60000",
        help: "For how long it is left alone, in milliseconds.",
        kind: Kind::Number {
            from: 1_000,
            to: 3_600_000,
            set: |config, value| config.breaker_cooldown = Duration::from_millis(value),
        },
        get: |config| millis(config.breaker_cooldown),
        ..ORIGINAL
    },
    Setting {
        name: "requestTimeoutMs",
        env: Some("REQUEST_TIMEOUT_MS"),
        // The wizard of the tool that this one replaces wrote its default into every file, so the
        // written default must mean what an absent one means.
        default: "30000",
        help: "From the last byte of a request to the headers of its answer, in milliseconds. \
               30000 means automatic: 120 s for streams, 300 s for others, whose headers come with \
               the finished answer; any other value is exact, for every request.",
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
        get: |config| match config.header_timeout {
            HeaderTimeout::Auto => json!(30_000),
            HeaderTimeout::Exact(span) => millis(span),
        },
        ..ORIGINAL
    },
    Setting {
        name: "connectTimeoutMs",
        default: "10000",
        help: "For name resolution, TCP and TLS together, in milliseconds.",
        kind: Kind::Number {
            from: 100,
            to: 60_000,
            set: |config, value| config.connect_timeout = Duration::from_millis(value),
        },
        get: |config| millis(config.connect_timeout),
        ..OURS
    },
    Setting {
        name: "streamIdleTimeoutMs",
        env: Some("STREAM_IDLE_TIMEOUT_MS"),
        default: "300000",
        help: "The longest silence between two bytes of an answer, in milliseconds.",
        kind: Kind::Number {
            from: 1_000,
            to: 3_600_000,
            set: |config, value| config.stream_idle_timeout = Duration::from_millis(value),
        },
        get: |config| millis(config.stream_idle_timeout),
        ..OURS
    },
    Setting {
        name: "shutdownTimeoutMs",
        env: Some("SHUTDOWN_TIMEOUT_MS"),
        default: "60000",
        help: "How long running requests may take to end when the proxy stops, in milliseconds.",
        kind: Kind::Number {
            from: 0,
            to: 600_000,
            set: |config, value| config.shutdown_timeout = Duration::from_millis(value),
        },
        get: |config| millis(config.shutdown_timeout),
        ..OURS
    },
    Setting {
        name: "maxBodyBytes",
        env: Some("MAX_BODY_BYTES"),
        default: "33554432",
        help: "The longest request body; the default is 32 MiB. All bodies together may take 256 \
               MiB whatever this says.",
        // Above, all bodies together have a limit of their own.
        kind: Kind::Number {
            from: 1,
            to: 1 << 40,
            set: |config, value| config.max_body_bytes = value,
        },
        get: |config| json!(config.max_body_bytes),
        ..OURS
    },
    Setting {
        name: "maxConcurrentPerKey",
        default: "0",
        help: "Requests at once on one account; 0 means no limit. 1 is how the original worked.",
        kind: Kind::Number {
            from: 0,
            to: 1_000,
            set: |config, value| config.max_concurrent_per_key = number(value),
        },
        get: |config| json!(config.max_concurrent_per_key),
        ..OURS
    },
    Setting {
        name: "queueTimeoutMs",
        default: "30000",
        help: "How long a request waits for a free account, in milliseconds. Only where \
               `maxConcurrentPerKey` sets a limit.",
        kind: Kind::Number {
            from: 0,
            to: 3_600_000,
            set: |config, value| config.queue_timeout = Duration::from_millis(value),
        },
        get: |config| millis(config.queue_timeout),
        ..OURS
    },
    Setting {
        name: "onExhausted",
        default: "auto",
        help: "What clients are told when every account is out of quota. `wait`: to come back \
               (429 with `retry-after`); `fail`: that it is over (403); `auto`: to wait if quota \
               returns within five hours.",
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
        get: |config| {
            json!(match config.on_exhausted {
                OnExhausted::Auto => "auto",
                OnExhausted::Wait => "wait",
                OnExhausted::Fail => "fail",
            })
        },
        ..OURS
    },
    Setting {
        name: "replayAmbiguous",
        default: "true",
        help: "Whether a request that may or may not have been served is repeated once, with \
               another account. It may then be paid twice.",
        kind: Kind::Word {
            words: BOOLEAN,
            set: |config, word| config.replay_ambiguous = yes(word),
        },
        get: |config| json!(config.replay_ambiguous),
        ..OURS
    },
    Setting {
        name: "requestLog",
        default: "false",
        help: "Whether the metadata of each request is kept, as JSON lines. Never its content.",
        live: false,
        kind: Kind::Word { words: BOOLEAN, set: |config, word| config.request_log = yes(word) },
        get: |config| json!(config.request_log),
        ..OURS
    },
    Setting {
        name: "allowBalance",
        default: "false",
        help: "Whether prepaid balance may be spent once quota is used up. A number is the most, \
               in dollars. Each key may have an own value.",
        kind: Kind::Balance(|config, value| config.allow_balance = value),
        get: |config| config.allow_balance.to_json(),
        ..OURS
    },
    Setting {
        name: "allowedOrigins",
        default: "[\"http://localhost:*\", \"http://127.0.0.1:*\"]",
        help: "Web pages that may use the proxy. `*` stands for anything; an empty list allows all.",
        kind: Kind::List {
            item: Item::Origin,
            set: |config, values| config.allowed_origins = Origins::new(values),
        },
        get: |config| json!(config.allowed_origins.patterns()),
        ..ORIGINAL
    },
    Setting {
        name: "allowedHosts",
        env: Some("ALLOWED_HOSTS"),
        default: "[]",
        help: "Names under which clients may address the proxy. IP addresses, `localhost` and \
               `host` always work.",
        kind: Kind::List { item: Item::Host, set: |config, values| config.allowed_hosts = values },
        get: |config| json!(config.allowed_hosts),
        ..OURS
    },
    Setting {
        name: "clientTokens",
        env: Some("CLIENT_TOKENS"),
        default: "[]",
        help: "Tokens of which clients must show one.",
        kind: Kind::List {
            item: Item::Token,
            set: |config, values| {
                config.client_tokens = values.into_iter().map(Secret::new).collect();
            },
        },
        get: |config| config.client_tokens.iter().map(ToString::to_string).collect(),
        ..OURS
    },
    Setting {
        name: "requireClientToken",
        env: Some("REQUIRE_CLIENT_TOKEN"),
        default: "auto",
        help: "When clients must show a token. `auto`: beyond loopback, and anywhere once \
               `clientTokens` is not empty; one is made where there is none.",
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
        get: |config| match config.require_client_token {
            RequireClientToken::Auto => json!("auto"),
            RequireClientToken::Always => json!(true),
            RequireClientToken::Never => json!(false),
        },
        ..OURS
    },
    Setting {
        name: "prices",
        default: "{}",
        help: "Prices of models that are not, or not any more, what Saros believes. Dollars per \
               million tokens.",
        kind: Kind::Prices(|config, prices| config.prices = prices),
        get: |config| {
            config.prices.iter().map(|price| (price.model.clone(), price.to_json())).collect()
        },
        ..OURS
    },
    Setting {
        name: "scraping",
        default: "{\"enabled\": false}",
        help: "Reads usage from the dashboard's pages, as the original did. Where the usage API \
               answers for an account, which needs no setting, its figures go before the page's.",
        kind: Kind::Block(SCRAPING_FIELDS),
        get: |config| shown_scraping(config.scraping.as_ref()),
        ..ORIGINAL
    },
];

/// A key as it would be written, with its secret masked, and without what is as it is for all.
fn shown_key(key: &KeyConfig, config: &Config) -> Value {
    let own = |differs: bool, value: fn(&KeyConfig) -> Value| differs.then(|| value(key));
    let entries = [
        ("label", Some(json!(&*key.label))),
        ("key", Some(json!(key.secret.to_string()))),
        ("upstreamBaseUrl", own(key.base != config.upstream, |key| json!(key.base.to_string()))),
        (
            "allowBalance",
            own(key.allow_balance != config.allow_balance, |key| key.allow_balance.to_json()),
        ),
        ("plan", key.plan.map(|plan| json!(plan.name()))),
    ];
    let entries = entries.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(entries.collect())
}

/// The section as it would be written, with cookies masked.
fn shown_scraping(scraping: Option<&Scraping>) -> Value {
    let Some(scraping) = scraping else { return json!({ "enabled": false }) };
    let account = |account: &ScrapingAccount| json!({ "workspaceId": account.workspace, "authCookie": account.cookie.to_string() });
    json!({
        "enabled": true,
        "intervalMs": millis(scraping.interval),
        "usageThreshold": scraping.usage_threshold,
        "accounts": scraping.accounts.iter().map(account).collect::<Value>(),
    })
}
