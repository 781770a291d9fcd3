//! Every option from each of its sources, and every complaint about a value.

use super::*;
use crate::config::options::{Kind, SETTINGS, Setting};
use crate::config::problem::Severity;

/// The same value from YAML, environment and flag, wherever the option has one.
fn check_sources(name: &str, written: &'static str, set: impl Fn(&mut Config)) {
    let setting = SETTINGS.iter().find(|setting| setting.name == name).unwrap();
    let mut worlds = vec![World::yaml(&format!("{name}: {written}\n"))];
    worlds.extend(setting.env.map(|variable| World::new().var(variable, written)));
    worlds.extend(setting.flag.map(|_| World::new().flag(setting.name, written)));
    for world in worlds {
        let Loaded { config, warnings, .. } = world.loaded();
        let mut expected = Config { config_dir: world.path("config"), ..Config::default() };
        expected.state_dir = world.path("state");
        set(&mut expected);
        assert_eq!(config, expected, "{name}: {written}");
        assert_eq!(warnings, [], "{name}: {written}");
    }
}

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

#[test]
fn every_option_is_read_from_every_source() {
    check_sources("port", "4000", |c| c.port = 4000);
    check_sources("port", "65535", |c| c.port = 65_535);
    check_sources("port", "4000.0", |c| c.port = 4000);
    check_sources("port", "4e3", |c| c.port = 4000);
    check_sources("host", "0.0.0.0", |c| c.host = "0.0.0.0".to_owned());
    check_sources("host", "my_host-1.lan", |c| c.host = "my_host-1.lan".to_owned());
    check_sources("upstreamBaseUrl", "https://a.b/inference/go", |c| {
        c.upstream = BaseUrl::parse("https://a.b/inference/go").unwrap();
    });
    check_sources("circuitBreakerThreshold", "10", |c| c.breaker_threshold = 10);
    check_sources("circuitBreakerCooldownMs", "1000", |c| c.breaker_cooldown = ms(1000));
    check_sources("requestTimeoutMs", "30000", |_| {});
    check_sources("requestTimeoutMs", "30001", |c| {
        c.header_timeout = HeaderTimeout::Exact(ms(30_001));
    });
    check_sources("connectTimeoutMs", "100", |c| c.connect_timeout = ms(100));
    check_sources("streamIdleTimeoutMs", "3600000", |c| c.stream_idle_timeout = ms(3_600_000));
    check_sources("shutdownTimeoutMs", "0", |c| c.shutdown_timeout = ms(0));
    check_sources("maxBodyBytes", "1024", |c| c.max_body_bytes = 1024);
    check_sources("maxConcurrentPerKey", "1", |c| c.max_concurrent_per_key = 1);
    check_sources("queueTimeoutMs", "0", |c| c.queue_timeout = ms(0));
    check_sources("onExhausted", "wait", |c| c.on_exhausted = OnExhausted::Wait);
    check_sources("onExhausted", "Fail", |c| c.on_exhausted = OnExhausted::Fail);
    check_sources("replayAmbiguous", "false", |c| c.replay_ambiguous = false);
    check_sources("replayAmbiguous", "off", |c| c.replay_ambiguous = false);
    check_sources("requestLog", "true", |c| c.request_log = true);
    check_sources("allowedOrigins", "https://a.b", |c| {
        c.allowed_origins = Origins::new(vec!["https://a.b".to_owned()]);
    });
    check_sources("allowedHosts", "Saros.Lan", |c| {
        c.allowed_hosts = vec!["saros.lan".to_owned()];
    });
    check_sources("clientTokens", "0123456789abcdef", |c| {
        c.client_tokens = vec![Secret::new("0123456789abcdef".to_owned())];
    });
    check_sources("strategy", "round-robin", |c| c.strategy = Strategy::RoundRobin);
    check_sources("allowBalance", "no", |_| {});
    check_sources("allowBalance", "0", |_| {});
    check_sources("requireClientToken", "true", |c| {
        c.require_client_token = RequireClientToken::Always;
    });
    check_sources("requireClientToken", "no", |c| {
        c.require_client_token = RequireClientToken::Never;
    });
}

#[test]
fn ipv6_hosts_lose_their_brackets() {
    for written in ["'::1'", "'[::1]'", "::1"] {
        assert_eq!(World::yaml(&format!("host: {written}")).loaded().config.host, "::1");
    }
    assert_eq!(World::new().var("PROXY_HOST", "[::]").loaded().config.host, "::");
}

#[test]
fn lists_of_the_environment_are_separated_by_commas() {
    let world = World::new()
        .var("ALLOWED_HOSTS", "a.lan, b.lan,")
        .var("CLIENT_TOKENS", "0123456789abcdef,fedcba9876543210");
    let config = world.loaded().config;
    assert_eq!(config.allowed_hosts, ["a.lan", "b.lan"]);
    let tokens: Vec<&str> = config.client_tokens.iter().map(Secret::expose).collect();
    assert_eq!(tokens, ["0123456789abcdef", "fedcba9876543210"]);
}

#[test]
fn an_empty_list_of_origins_allows_all() {
    assert!(World::yaml("allowedOrigins: []").loaded().config.allowed_origins.open());
    assert!(!World::yaml("allowedOrigins:").loaded().config.allowed_origins.open());
}

#[test]
fn written_defaults_mean_what_absent_ones_mean() {
    // The default strategy is one of a later version, and who writes it down is told.
    let silent = |setting: &&Setting| setting.name != "strategy" && !setting.default.is_empty();
    let settings = SETTINGS.iter().filter(silent);
    let lines = settings.map(|setting| format!("{}: {}\n", setting.name, setting.default));
    let written = World::yaml(&lines.collect::<Vec<_>>().concat());
    let loaded = written.loaded();
    assert_eq!(loaded.warnings, []);
    let expected = Config {
        config_dir: written.path("config"),
        state_dir: written.path("state"),
        ..Config::default()
    };
    assert_eq!(loaded.config, expected);
}

#[test]
fn flags_over_yaml_over_environment_over_defaults() {
    let world = || World::yaml("port: 2").var("PROXY_PORT", "3");
    assert_eq!(world().flag("port", "1").loaded().config.port, 1);
    assert_eq!(world().loaded().config.port, 2);
    assert_eq!(World::yaml("port:").var("PROXY_PORT", "3").loaded().config.port, 3);
    assert_eq!(World::new().var("PROXY_PORT", "").loaded().config.port, 3000);
}

/// A bad value, from each source; `default` where the option is one of the original's.
fn check_bad(name: &str, written: &'static str) {
    let setting = SETTINGS.iter().find(|setting| setting.name == name).unwrap();
    let column = name.len() + 3;
    let mut worlds =
        vec![(World::yaml(&format!("{name}: {written}\n")), format!("config.yaml:1:{column}: "))];
    if let Some(variable) = setting.env {
        let place = format!("environment variable {variable}: ");
        worlds.push((World::new().var(variable, written), place));
    }
    if let Some(flag) = setting.flag {
        worlds.push((World::new().flag(setting.name, written), format!("{flag}: ")));
    }
    for (world, place) in worlds {
        let complaints = world.complaints();
        let [complaint] = complaints.as_slice() else {
            panic!("{name}: {written}: {complaints:?}")
        };
        assert!(complaint.starts_with(&place), "{complaint}, not {place}");
        assert!(complaint.contains(&format!("`{name}` cannot be")), "{complaint}");
        assert!(complaint.contains(&format!("allowed: {}", setting.allowed())), "{complaint}");
        match world.load() {
            Ok(loaded) => {
                assert!(setting.original, "{name} stops the start");
                let default = Config {
                    config_dir: world.path("config"),
                    state_dir: world.path("state"),
                    ..Config::default()
                };
                assert_eq!(loaded.config, default, "{name}: {written}");
                assert!(complaint.contains("is used"), "{complaint}");
            }
            Err(_) => assert!(!setting.original, "{name} only warns"),
        }
    }
}

#[test]
fn bad_values_of_every_option() {
    for setting in SETTINGS {
        match &setting.kind {
            Kind::Number { from, to, .. } => {
                for number in [from.checked_sub(1), Some(to + 1)].into_iter().flatten() {
                    check_bad(setting.name, Box::leak(number.to_string().into_boxed_str()));
                }
                for written in ["x", "-1", "1.5", "1e99", "NaN", "1 000", "0x10"] {
                    check_bad(setting.name, written);
                }
            }
            Kind::Word { .. } => check_bad(setting.name, "maybe"),
            Kind::Base(_) => {
                for written in
                    ["http://a.b", "ftp://a.b", "opencode", "https://u:p@a.b", "https://a.b/?x"]
                {
                    check_bad(setting.name, written);
                }
            }
            Kind::Host(_) => {
                for written in ["a/b", "a b", "ü", "a@b"] {
                    check_bad(setting.name, written);
                }
            }
            Kind::List { .. } => check_bad(setting.name, "a/b"),
            Kind::Balance(_) => {
                for written in ["x", "-1", "1e3", "1000001", "1.2.3"] {
                    check_bad(setting.name, written);
                }
            }
            Kind::Prices(_) => check_bad(setting.name, "x"),
            Kind::Keys | Kind::Block(_) => {}
        }
    }
}

#[test]
fn values_of_the_wrong_shape() {
    for (text, complaint) in [
        ("port: [1]", "config.yaml:1:7: `port` cannot be a list"),
        ("port: {a: 1}", "`port` cannot be a block"),
        ("port: ''", "`port` cannot be empty"),
        ("allowedOrigins: {a: 1}", "`allowedOrigins` cannot be a block"),
        (
            "allowedOrigins: ['https://a.b/c']",
            "config.yaml:1:18: `allowedOrigins` cannot be `https://a.b/c`",
        ),
        ("keys: sk-aaaaaaaaaaaaaaaaaaaaAAAA", "config.yaml:1:7: `keys` is no list"),
    ] {
        let complaints = World::yaml(text).complaints();
        assert!(complaints.iter().any(|line| line.contains(complaint)), "{text}: {complaints:?}");
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let world = World::yaml("port: 0\nonExhausted: never\nkeyz: []\nrequestLog: 7\n");
    let complaints = world.complaints();
    assert_eq!(complaints.len(), 4, "{complaints:?}");
    let error = world.load().unwrap_err();
    let errors = error.problems.iter().filter(|problem| problem.severity == Severity::Error);
    assert_eq!(errors.count(), 2);
    assert_eq!(error.to_string().lines().count(), 2);
}

#[test]
fn unknown_names_are_told_with_what_was_meant() {
    for (text, complaint) in [
        ("prot: 1", "config.yaml:1:1: unknown option `prot` is ignored; did you mean `port`?"),
        ("circuit_breaker_threshold: 1", "did you mean `circuitBreakerThreshold`?"),
        ("upstreamBaseURL: x", "did you mean `upstreamBaseUrl`?"),
        ("clientToken: 0123456789abcdef", "did you mean `clientTokens`?"),
        ("frobnicate: 1", "unknown option `frobnicate` is ignored"),
        (
            "scraping: {enable: false}",
            "unknown option `scraping.enable` is ignored; did you mean `enabled`?",
        ),
        (
            "scraping: {accounts: [{cookie: x}]}",
            "unknown option `scraping.accounts[].cookie` is ignored",
        ),
        (
            "prices: {m: {inputs: 1}}",
            "unknown option `prices.<model>.inputs` is ignored; did you mean `input`?",
        ),
        (
            "keys: [{lable: a, key: sk-aaaaaaaaaaaaaaaaaaaaAAAA}]",
            "unknown option `keys[].lable` is ignored; did you mean `label`?",
        ),
    ] {
        let world = World::yaml(text);
        assert!(world.load().is_ok(), "{text}");
        let complaints = world.complaints();
        assert!(complaints.iter().any(|line| line.contains(complaint)), "{text}: {complaints:?}");
    }
}

#[test]
fn options_of_choosing_are_in_effect() {
    let world =
        World::yaml(&format!("keys: [{{label: a, key: {A}, plan: go-plus}}]\nallowBalance: 5"))
            .var("USAGE_THRESHOLD", "50")
            .flag("strategy", "predictive");
    assert_eq!(world.complaints(), [""; 0]);
    let silent = "strategy: round-robin\nscraping: {enabled: false, accounts: []}\nallowBalance: false\nprices: {}\n";
    assert_eq!(World::yaml(silent).complaints(), [""; 0]);
    assert_eq!(World::new().flag("strategy", "round-robin").complaints(), [""; 0]);
    assert_eq!(World::new().complaints(), [""; 0]);
    for (text, stops) in [("strategy: fastest", true), ("usageThreshold: 101", true)] {
        assert_eq!(World::yaml(text).load().is_err(), stops, "{text}");
    }
}
