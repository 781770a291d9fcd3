//! What the owner has chosen: flags, over the YAML file, over the environment, over defaults.
//!
//! [`Config`] is plain and valid: whoever holds one needs no further checks. Everything that can
//! be wrong with what a user wrote is found here, all of it at once.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::secret::Secret;

pub mod base;
pub mod edit;
pub mod env;
pub mod envelope;
mod excerpt;
pub(crate) mod file;
pub mod keyring;
pub mod keys;
pub mod load;
pub mod master;
mod money;
pub mod options;
pub mod origins;
pub mod paths;
pub mod problem;
pub mod reference;
pub mod schema;
pub mod scraping;
mod value;
pub mod watch;
pub mod write;
pub(crate) mod yaml;

pub use saros_core::price::Plan;
pub use saros_core::select::Strategy;

pub use base::{BaseUrl, Layout, Origin, Scheme};
pub use env::Env;
pub use load::{Loaded, Overrides, load, load_text, load_without_keys};
pub use money::{Balance, Price};
pub use origins::Origins;
pub use paths::Paths;
pub use problem::{LoadError, Problem};
pub use scraping::{Scraping, ScrapingAccount};

#[cfg(test)]
mod tests;

/// A valid configuration. [`Config::default`] holds every default, and no keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// TCP port to listen on.
    pub port: u16,
    /// Address or name to listen on; an IPv6 address without brackets.
    pub host: String,
    /// The keys in the order of the file; labels are unique.
    pub keys: Vec<KeyConfig>,
    /// Where keys without an address of their own are used, and models are asked for.
    pub upstream: BaseUrl,
    /// How an account is chosen.
    pub strategy: Strategy,
    /// `usageThreshold` as it was written; [`Config::threshold`] is what counts.
    pub usage_threshold: Option<u8>,
    /// Whether prepaid balance may be spent, by keys that do not say otherwise.
    pub allow_balance: Balance,
    /// What models cost, where the owner knows better.
    pub prices: Vec<Price>,
    /// Faults that open an account's breaker.
    pub breaker_threshold: u32,
    /// How long an account is then left alone.
    pub breaker_cooldown: Duration,
    /// From the last byte of the request to the headers of the answer.
    pub header_timeout: HeaderTimeout,
    /// Name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Between two bytes of an answer.
    pub stream_idle_timeout: Duration,
    /// How long running requests may take to end at shutdown.
    pub shutdown_timeout: Duration,
    /// Longest request body.
    pub max_body_bytes: u64,
    /// Requests at once on one account; 0 means no limit.
    pub max_concurrent_per_key: u32,
    /// How long a request waits for a free account, where there is a limit.
    pub queue_timeout: Duration,
    /// What a client is told when every account is out of quota.
    pub on_exhausted: OnExhausted,
    /// Whether a request that may or may not have been served is repeated once.
    pub replay_ambiguous: bool,
    /// Whether the metadata of each request is kept as JSON lines.
    pub request_log: bool,
    /// Dashboard pages that are read for usage, if that is switched on.
    pub scraping: Option<Scraping>,
    /// Web pages that may use the proxy.
    pub allowed_origins: Origins,
    /// Names besides IP addresses, `localhost` and [`Config::host`] that a `Host` header may hold.
    pub allowed_hosts: Vec<String>,
    /// Tokens that clients may show.
    pub client_tokens: Vec<Secret>,
    /// When clients must show one.
    pub require_client_token: RequireClientToken,
    /// The configuration folder: `config.yaml`, `daemon.pid`, … .
    pub config_dir: PathBuf,
    /// The state folder: snapshot, caches, generated tokens.
    pub state_dir: PathBuf,
}

/// One key of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyConfig {
    /// The owner's name for it.
    pub label: Arc<str>,
    /// The key itself.
    pub secret: Secret,
    /// Where it is used.
    pub base: BaseUrl,
    /// Whether its account may spend prepaid balance.
    pub allow_balance: Balance,
    /// Its subscription, where the owner has named it.
    pub plan: Option<Plan>,
}

impl KeyConfig {
    /// A key about which nothing more is known.
    pub fn new(label: impl Into<Arc<str>>, secret: Secret, base: BaseUrl) -> Self {
        Self { label: label.into(), secret, base, allow_balance: Balance::Never, plan: None }
    }
}

/// How long to wait for the headers of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderTimeout {
    /// 120 s for streams; 300 s for answers without stream, whose headers come with the finished
    /// answer.
    Auto,
    /// The same for every request.
    Exact(Duration),
}

impl HeaderTimeout {
    /// The time that a request has, by whether it asked for a stream.
    pub const fn of(self, stream: bool) -> Duration {
        match (self, stream) {
            (Self::Auto, true) => Duration::from_secs(120),
            (Self::Auto, false) => Duration::from_secs(300),
            (Self::Exact(time), _) => time,
        }
    }
}

/// What a client is told when every account is out of quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnExhausted {
    /// To wait if quota returns within five hours, else that it is over.
    #[default]
    Auto,
    /// Always to wait.
    Wait,
    /// Always that it is over.
    Fail,
}

/// When clients must show a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequireClientToken {
    /// Beyond loopback, and anywhere once tokens are configured.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Config {
    /// Percent of a window from which an account is passed over while another is below it.
    pub fn threshold(&self) -> Option<u8> {
        /// What the original's README promises.
        const DEFAULT: u8 = 70;
        let scraped = || self.scraping.as_ref().map(|scraping| scraping.usage_threshold);
        let rotating = || (self.strategy == Strategy::RoundRobin).then_some(DEFAULT);
        self.usage_threshold.or_else(scraped).or_else(rotating)
    }

    /// Whether a client must show a token.
    pub fn token_required(&self) -> bool {
        match self.require_client_token {
            RequireClientToken::Always => true,
            RequireClientToken::Never => false,
            RequireClientToken::Auto => !is_loopback(&self.host) || !self.client_tokens.is_empty(),
        }
    }
}

/// Whether a host (a name, or an address without brackets) is this machine and nothing else.
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 3000,
            host: "127.0.0.1".to_owned(),
            keys: Vec::new(),
            upstream: BaseUrl::default(),
            strategy: Strategy::default(),
            usage_threshold: None,
            allow_balance: Balance::default(),
            prices: Vec::new(),
            breaker_threshold: 3,
            breaker_cooldown: Duration::from_secs(60),
            header_timeout: HeaderTimeout::Auto,
            connect_timeout: Duration::from_secs(10),
            stream_idle_timeout: Duration::from_secs(300),
            shutdown_timeout: Duration::from_secs(60),
            max_body_bytes: 32 * 1024 * 1024,
            max_concurrent_per_key: 0,
            queue_timeout: Duration::from_secs(30),
            on_exhausted: OnExhausted::Auto,
            replay_ambiguous: true,
            request_log: false,
            scraping: None,
            allowed_origins: Origins::default(),
            allowed_hosts: Vec::new(),
            client_tokens: Vec::new(),
            require_client_token: RequireClientToken::Auto,
            config_dir: PathBuf::new(),
            state_dir: PathBuf::new(),
        }
    }
}
