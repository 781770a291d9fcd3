//! Loading as a whole: every option from each of its sources, and every complaint.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::options::{Kind, SETTINGS, Setting};
use super::problem::{Place, Severity};
use super::*;

const A: &str = "sk-aaaaaaaaaaaaaaaaaaaaAAAA";
const B: &str = "oc_sk_bbbbbbbbbbbbbbbbbbBBBB";

/// A user's world: folders, a configuration file, an environment, flags.
struct World {
    folder: TempDir,
    env: BTreeMap<&'static str, &'static str>,
    cli: Overrides,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for name in ["config", "state", "work"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder, env: BTreeMap::new(), cli: Overrides::default() }
    }

    fn yaml(text: &str) -> Self {
        let world = Self::new();
        fs::write(world.path("config/config.yaml"), text).unwrap();
        world
    }

    fn var(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.insert(name, value);
        self
    }

    fn flag(mut self, name: &'static str, value: &str) -> Self {
        self.cli.values.push((name, value.to_owned()));
        self
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn load(&self) -> Result<Loaded, LoadError> {
        let paths = Paths {
            config_dir: self.path("config"),
            state_dir: self.path("state"),
            work_dir: self.path("work"),
        };
        load(&self.cli, &self.env, paths)
    }

    fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The problems as log lines, without the folder.
    fn complaints(&self) -> Vec<String> {
        let problems = match self.load() {
            Ok(loaded) => loaded.warnings,
            Err(error) => error.problems,
        };
        let folder = format!("{}/", self.path("config").display());
        problems.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
    }
}

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
            Kind::Keys | Kind::Pending(_) => {}
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
fn options_that_are_not_in_effect_are_named_once() {
    let scraping = "scraping:\n  enabled: true\n  intervalMs: 90000\n  usageThreshold: 70\n  accounts:\n    - workspaceId: wrk_1\n      authCookie: abc\n";
    let world = World::yaml(&format!("{scraping}strategy: predictive\n"));
    assert_eq!(world.complaints(), ["not in effect in this version: `strategy`, `scraping`"]);
    let world =
        World::yaml(&format!("keys: [{{label: a, key: {A}, plan: go-plus}}]\nallowBalance: 5"))
            .var("USAGE_THRESHOLD", "50")
            .flag("strategy", "predictive");
    assert_eq!(
        world.complaints(),
        [
            "not in effect in this version: `strategy`, `usageThreshold`, `allowBalance`, `keys[].plan`"
        ]
    );
    let silent = "strategy: round-robin\nscraping: {enabled: false, accounts: []}\nallowBalance: false\nprices: {}\n";
    assert_eq!(World::yaml(silent).complaints(), [""; 0]);
    assert_eq!(World::new().flag("strategy", "round-robin").complaints(), [""; 0]);
    assert_eq!(World::new().complaints(), [""; 0]);
    for (text, stops) in [("strategy: fastest", true), ("usageThreshold: 101", true)] {
        assert_eq!(World::yaml(text).load().is_err(), stops, "{text}");
    }
}

/// What keys a configuration holds, as `label=key@base`.
fn keys(world: &World) -> Vec<String> {
    let show = |key: &KeyConfig| format!("{}={}@{}", key.label, key.secret.expose(), key.base);
    world.loaded().config.keys.iter().map(show).collect()
}

#[test]
fn keys_of_the_file() {
    let world = World::yaml(&format!(
        "upstreamBaseUrl: https://a.b\nkeys:\n  - label: one\n    key: {A}\n  - {{label: 007, key: ' {B} ', upstreamBaseUrl: 'https://c.d/inference/go'}}\n"
    ));
    assert_eq!(
        keys(&world),
        [format!("one={A}@https://a.b"), format!("007={B}@https://c.d/inference/go")]
    );
    assert_eq!(world.complaints(), [""; 0]);
}

#[test]
fn keys_of_the_environment_are_replaced_by_those_of_the_file() {
    let variable = "one: sk-cccccccccccccccccccc:x , two:oc_sk_dddddddddddddddddddd,";
    let from_env = [
        "one=sk-cccccccccccccccccccc:x@https://opencode.ai",
        "two=oc_sk_dddddddddddddddddddd@https://opencode.ai",
    ];
    let env = |world: World| world.var("OPENCODE_GO_KEYS", variable);
    assert_eq!(keys(&env(World::new())), from_env);
    assert_eq!(keys(&env(World::yaml("keys: []"))), from_env);
    assert_eq!(keys(&env(World::yaml("keys:"))), from_env);
    let file = env(World::yaml(&format!("keys: [{{label: a, key: {A}}}]")));
    assert_eq!(keys(&file), [format!("a={A}@https://opencode.ai")]);
}

#[test]
fn malformed_keys_are_reported_masked_and_left_out() {
    for (entry, complaint) in [
        (
            "{label: a, key: sk-short-0123456789}",
            "key \"a\" (sk-s...6789) is malformed and left out: it is too short",
        ),
        (
            "{label: a, key: pk-aaaaaaaaaaaaaaaaaaaaAAAA}",
            "(pk-a...AAAA) is malformed and left out: it begins with neither",
        ),
        (
            "{label: a, key: 'sk-aaaaaaaaaaaa aaaaaaaaAAAA'}",
            "(sk-a...AAAA) is malformed and left out: it holds characters",
        ),
        ("{label: a}", "config.yaml:1:8: entry 1 of `keys` is malformed"),
        ("{label: a, key: [x]}", "entry 1 of `keys` is malformed"),
        (
            "sk-aaaaaaaaaaaaaaaaaaaaAAAA",
            "entry 1 of `keys` (sk-a...AAAA) is malformed and left out; allowed: `{label: …, key: …}`",
        ),
    ] {
        let world = World::yaml(&format!("keys: [{entry}, {{label: good, key: {A}}}]"));
        let complaints = world.complaints();
        let complained = complaints.iter().any(|line| line.contains(complaint));
        // The last case is the good key itself, without a label.
        assert!(complained, "{entry}: {complaints:?}");
        assert_eq!(keys(&world), [format!("good={A}@https://opencode.ai")], "{entry}");
    }
    let world =
        World::new().var("OPENCODE_GO_KEYS", "sk-aaaaaaaaaaaaaaaaaaaaAAAA,b:enc:scrypt:a:b:c:d");
    let complaints = world.complaints();
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(
        complaints[0].starts_with(
            "environment variable OPENCODE_GO_KEYS: entry 1 of `keys` (sk-a...AAAA) is malformed"
        ),
        "{complaints:?}"
    );
    assert!(complaints[0].ends_with("allowed: `label:key`"), "{complaints:?}");
    assert!(complaints[1].contains("key \"b\""), "{complaints:?}");
}

#[test]
fn labels_are_unique_and_harmless() {
    let list = |entries: &[(&str, &str)]| {
        let entries: Vec<String> = entries
            .iter()
            .map(|(label, key)| format!("  - {{label: {label}, key: {key}}}\n"))
            .collect();
        World::yaml(&format!("keys:\n{}", entries.concat()))
    };
    let labels = |world: &World| -> Vec<String> {
        world.loaded().config.keys.iter().map(|key| key.label.to_string()).collect()
    };
    let c = "sk-cccccccccccccccccccc";
    let world = list(&[("a", A), ("a", B), ("a-2", c)]);
    assert_eq!(labels(&world), ["a", "a-3", "a-2"]);
    let world = list(&[("a", A), ("a", B)]);
    assert_eq!(labels(&world), ["a", "a-2"]);
    assert_eq!(
        world.complaints(),
        ["config.yaml:3:13: the label \"a\" is used twice; the second is called `a-2`"]
    );
    let world = list(&[("a", A), ("b", A)]);
    assert_eq!(labels(&world), ["a"]);
    assert!(world.complaints()[0].contains("key \"b\" (sk-a...AAAA) is the same as \"a\""));
    let world = list(&[("''", A), ("\"x\\n\\ty\"", B), (c, c)]);
    assert_eq!(labels(&world), ["key-1", "xy", "key-3"]);
    assert_eq!(world.complaints().len(), 3);
}

#[test]
fn a_bad_address_of_a_key_stops() {
    let world = World::yaml(&format!(
        "keys:\n  - {{label: a, key: {A}, upstreamBaseUrl: http://evil.example}}"
    ));
    assert!(world.load().is_err());
    let complaints = world.complaints();
    assert!(
        complaints[0]
            .contains("`upstreamBaseUrl` of entry 1 of `keys` cannot be `http://evil.example`"),
        "{complaints:?}"
    );
}

// Made by Node 20, see `envelope`.
const ENCRYPTED: &str = "enc:scrypt:3JDPB96QfMxkY2zt2zjlUg==:1XnxZdbjZprNDgdc:\
    cytYa4tdaxjXfYzfK7hRkDdZ3Sf/WjRHpOj8AanEPj0OMmwUdUJL:pRBvPVbggbQQlX2ygk2sXw==";
const DECRYPTED: &str = "x=sk-0123456789abcdefghijklmnopqrstuvwxyz@https://opencode.ai";
const MASTER: &str = "correct horse battery staple";

fn encrypted() -> World {
    World::yaml(&format!("keys:\n  - label: x\n    key: {ENCRYPTED}\n"))
}

#[test]
fn encrypted_keys() {
    assert_eq!(keys(&encrypted().var("OPENCODE_GO_ENCRYPTION_KEY", MASTER)), [DECRYPTED]);
    let mut world = encrypted();
    let file = world.path("master");
    fs::write(&file, format!("{MASTER}\n")).unwrap();
    let file: &'static str = Box::leak(file.to_str().unwrap().to_owned().into_boxed_str());
    world = world.var("OPENCODE_GO_ENCRYPTION_KEY_FILE", file);
    assert_eq!(keys(&world), [DECRYPTED]);
    assert_eq!(keys(&world.var("OPENCODE_GO_ENCRYPTION_KEY", MASTER)), [DECRYPTED]);
}

#[test]
fn encrypted_keys_without_the_right_master_key() {
    let text = encrypted().load().unwrap_err().to_string();
    assert!(
        text.starts_with(
            "Found 1 encrypted API key(s) but OPENCODE_GO_ENCRYPTION_KEY environment variable is not set"
        ),
        "{text}"
    );
    let text = encrypted().var("OPENCODE_GO_ENCRYPTION_KEY", "x").load().unwrap_err().to_string();
    assert!(
        text.ends_with("Failed to decrypt API key \"x\" — check OPENCODE_GO_ENCRYPTION_KEY"),
        "{text}"
    );
    let text = encrypted().var("OPENCODE_GO_ENCRYPTION_KEY_FILE", "/nowhere/at/all").load();
    let text = text.unwrap_err().to_string();
    assert!(text.starts_with("environment variable OPENCODE_GO_ENCRYPTION_KEY_FILE: the master key cannot be read from /nowhere/at/all"), "{text}");
    // Nothing more is wrong with them than that.
    for world in [
        encrypted(),
        encrypted().var("OPENCODE_GO_ENCRYPTION_KEY", "x"),
        encrypted().var("OPENCODE_GO_ENCRYPTION_KEY_FILE", "/nowhere/at/all"),
    ] {
        assert_eq!(world.complaints().len(), 1, "{:?}", world.complaints());
    }
}

#[test]
fn no_file_or_a_folder_in_its_place_is_none() {
    let world = World::new();
    assert_eq!((world.loaded().source, world.complaints()), (None, vec![]));
    fs::create_dir(world.path("config/config.yaml")).unwrap();
    assert_eq!((world.loaded().source, world.complaints()), (None, vec![]));
}

#[test]
fn a_file_in_the_current_folder_is_the_second_choice() {
    let world = World::new();
    fs::write(world.path("work/config.yaml"), "port: 5").unwrap();
    let loaded = world.loaded();
    assert_eq!((loaded.config.port, loaded.source), (5, Some(world.path("work/config.yaml"))));
    let hint = loaded.warnings[0].hint.as_deref().unwrap();
    assert!(hint.ends_with("config/config.yaml"), "{hint}");
    fs::write(world.path("config/config.yaml"), "port: 6").unwrap();
    let loaded = world.loaded();
    assert_eq!((loaded.config.port, loaded.warnings.len()), (6, 0));
}

#[test]
fn a_named_file_is_the_only_one() {
    let mut world = World::yaml("port: 6");
    world.cli.config = Some(world.path("other.yaml"));
    let loaded = world.loaded();
    assert_eq!((loaded.config.port, loaded.source), (3000, None));
    assert!(loaded.warnings[0].what.contains("does not exist"), "{:?}", loaded.warnings);
    fs::write(world.path("other.yaml"), "\u{feff}port: 7").unwrap();
    let loaded = world.loaded();
    assert_eq!((loaded.config.port, loaded.warnings.len()), (7, 0));
    world.cli.config = Some(world.path("work"));
    assert!(world.loaded().warnings[0].what.contains("is a folder"));
}

#[cfg(unix)]
#[test]
fn only_regular_files_of_a_sane_size_are_read() {
    use std::os::unix::fs::symlink;
    let pipe = |path: &PathBuf| {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    // None of these may be opened: they have no end, or no beginning.
    let endless = |path: &PathBuf| symlink("/dev/zero", path).unwrap();
    let large = |path: &PathBuf| fs::write(path, "#".repeat(1024 * 1024 + 1)).unwrap();
    let cases = [
        (endless as fn(&PathBuf), "it is not a regular file"),
        (pipe, "it is not a regular file"),
        (large, "it is larger than 1048576 bytes"),
    ];
    for (make, why) in cases {
        let world = World::new();
        let path = world.path("config/config.yaml");
        make(&path);
        let text = world.load().unwrap_err().to_string();
        assert_eq!(text, format!("{}: the file cannot be read: {why}", path.display()));

        let named =
            World { cli: Overrides { config: Some(path), ..Overrides::default() }, ..world };
        assert_eq!(named.load().unwrap_err().to_string(), text);

        let mut world = encrypted();
        let path = world.path("master");
        make(&path);
        let path: &'static str = Box::leak(path.to_str().unwrap().to_owned().into_boxed_str());
        world = world.var("OPENCODE_GO_ENCRYPTION_KEY_FILE", path);
        let text = world.load().unwrap_err().to_string();
        let wanted = format!("the master key cannot be read from {path}: {why}");
        assert!(text.contains(&wanted), "{text}");
    }
    // What is exactly as large as allowed, and a link to a regular file, are read.
    let world = World::new();
    fs::write(world.path("work/real"), format!("port: 7\n{}", "#".repeat(1024 * 1024 - 8)))
        .unwrap();
    symlink(world.path("work/real"), world.path("config/config.yaml")).unwrap();
    assert_eq!(world.loaded().config.port, 7);
}

#[test]
fn what_is_no_yaml_stops() {
    for text in ["port: [1", "a: b: c", "just text", "- a list", "port: 1\nport: 2"] {
        let error = World::yaml(text).load().expect_err(text);
        let [problem] = error.problems.as_slice() else { panic!("{text}: {error}") };
        assert!(problem.what.starts_with("the file is no YAML: "), "{text}: {error}");
        assert!(matches!(problem.place, Place::File { line: 1.., .. }), "{text}: {error}");
    }
    for (text, complaint) in [
        ("port: 1\nhost: a\nport: 2", "config.yaml:3:1: the file is no YAML: `port` stands twice;"),
        (
            "requestTimeoutMs: 1\nrequestTimeoutMs: 2",
            "config.yaml:2:1: the file is no YAML: `requestTimeoutMs` stands twice;",
        ),
        (
            "keys: [{label: a, label: b}]",
            "config.yaml:1:19: the file is no YAML: `label` stands twice;",
        ),
        (
            "0123456789abcdefwxyz: 1\n0123456789abcdefwxyz: 2",
            "config.yaml:2:1: the file is no YAML: `0123...wxyz` stands twice;",
        ),
    ] {
        let complaints = World::yaml(text).complaints();
        assert!(complaints[0].starts_with(complaint), "{text}: {complaints:?}");
        assert!(!complaints[0].contains("Options"), "{text}: {complaints:?}");
    }
    let world = World::new();
    fs::write(world.path("config/config.yaml"), [0x70, 0xff, 0xfe]).unwrap();
    assert!(world.load().unwrap_err().to_string().ends_with("it is not UTF-8"));
}

#[test]
fn no_rendering_of_any_problem_shows_a_secret() {
    let secrets = [
        "0123456789abcdefwxyz",
        "sk-secretsecretsecretsecret",
        "token-token-token-token",
        "cookie-cookie-cookie",
        "short-secret",
    ];
    let files = [
        "keys:\n  - key: SECRET\n    label: a\nport: [1",
        "{keys: [{label: a, key: SECRET}], port: 0}",
        "{port: 0, keys: [{label: a, key: SECRET}], prot: 1}",
        "keys: SECRET",
        "keys: [SECRET]",
        "key: SECRET",
        "clientTokens: [SECRET, ü]",
        "clientTokens:\n  - SECRET x",
        "clientToken: SECRET",
        "port: SECRET-is-too-long-for-a-port",
        "keys:\n  - {label: a, key: SECRET, upstreamBaseUrl: http://evil.example}",
        "keys:\n  - {key: SECRET, lable: a}",
        "upstreamBaseUrl: https://user:SECRET@a.b",
        "scraping: {accounts: [{authCookie: SECRET, x: 1}]}",
        "scraping:\n  accounts:\n    - authCookie: SECRET\n     bad: indent",
        "keys: [{label: a, key: 'SECRET",
        "SECRET-as-the-whole-file: x\n  y",
        "\tkey: SECRET",
        "keys:\n  - label: a\n    key: SECRET\n    key: SECRET",
        "SECRET-as-a-name: 1\nSECRET-as-a-name: 2",
    ];
    for file in files {
        for secret in secrets {
            let world = World::yaml(&file.replace("SECRET", secret));
            let problems = match world.load() {
                Ok(loaded) => loaded.warnings,
                Err(error) => error.problems,
            };
            assert!(!problems.is_empty(), "{file}");
            for problem in problems {
                for text in [problem.to_string(), problem.render(false), format!("{problem:?}")] {
                    assert!(!text.contains(secret), "{file}\n{text}");
                }
            }
        }
    }
}
