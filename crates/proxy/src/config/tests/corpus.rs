//! Files that the original accepts, as its wizard, its README and its users wrote them.

use super::*;

/// Its wizard writes every default.
const WIZARD: &str = "\
port: 3000
host: 127.0.0.1
upstreamBaseUrl: https://opencode.ai
circuitBreakerThreshold: 3
circuitBreakerCooldownMs: 60000
requestTimeoutMs: 30000
allowedOrigins:
  - http://localhost:*
  - http://127.0.0.1:*
keys:
  - label: primary
    key: sk-aaaaaaaaaaaaaaaaaaaaAAAA
  - label: secondary
    key: sk-bbbbbbbbbbbbbbbbbbbbBBBB
scraping:
  enabled: false
  intervalMs: 90000
  usageThreshold: 70
  accounts: []
";

/// What its README shows.
const README: &str = "\
port: 3000
host: 127.0.0.1
upstreamBaseUrl: https://opencode.ai
keys:
  - label: primary
    key: sk-your-primary-key-here-12345678
  - label: secondary
    key: sk-your-secondary-key-here-87654321
circuitBreakerThreshold: 3
circuitBreakerCooldownMs: 60000
requestTimeoutMs: 30000
";

/// Nothing to complain about, and nothing but defaults and keys in effect.
fn check_default(text: &str, keys: usize) {
    let world = World::yaml(text);
    assert_eq!(world.complaints(), [""; 0], "{text}");
    let config = world.loaded().config;
    let expected = Config {
        keys: config.keys.clone(),
        config_dir: world.path("config"),
        state_dir: world.path("state"),
        ..Config::default()
    };
    assert_eq!(config, expected, "{text}");
    assert_eq!(config.keys.len(), keys, "{text}");
}

#[test]
fn what_the_wizard_and_the_readme_write_means_the_defaults() {
    for (text, keys) in [(WIZARD, 2), (README, 2)] {
        check_default(text, keys);
        check_default(&text.replace('\n', "\r\n"), keys);
        check_default(&format!("\u{feff}{text}"), keys);
        check_default(&format!("---\n{text}...\n"), keys);
        check_default(text.trim_end(), keys);
        check_default(&format!("# mine\n\n{}", text.replace("port:", "\"port\":")), keys);
        check_default(&text.replace("127.0.0.1\n", "'127.0.0.1' # here\n"), keys);
    }
    let quoted = WIZARD.replace("sk-aaaaaaaaaaaaaaaaaaaaAAAA", "'sk-aaaaaaaaaaaaaaaaaaaaAAAA'");
    check_default(&quoted, 2);
    // As JSON, which is YAML too.
    check_default(
        r#"{"port": 3000, "keys": [{"label": "a", "key": "sk-aaaaaaaaaaaaaaaaaaaaAAAA"}]}"#,
        1,
    );
    check_default("", 0);
    check_default("# all of it is commented out\n# port: 1\n", 0);
    check_default("port:\nhost: ~\nkeys:\nscraping:\nallowedOrigins:\n", 0);
}

/// One line of the wizard's file is another; the complaint, `None` for none, and that everything
/// else is as it was.
fn check_line(line: &str, other: &str, complaint: Option<&str>) {
    let text = WIZARD.replace(line, other);
    assert_ne!(text, WIZARD, "{line}");
    let world = World::yaml(&text);
    let complaints = world.complaints();
    assert_eq!(complaints.len(), usize::from(complaint.is_some()), "{other}: {complaints:?}");
    if let (Some(complaint), Some(told)) = (complaint, complaints.first()) {
        assert!(told.contains(complaint), "{other}: {told}");
        assert!(told.starts_with("config.yaml:"), "{other}: no place in {told}");
    }
    let config = world.loaded().config;
    assert!(config.keys.len() + usize::from(complaint.is_some()) >= 2, "{other}");
}

#[test]
fn every_warning_of_the_original_is_a_warning() {
    check_line("port: 3000", "port: 0", Some("`port` cannot be `0`"));
    check_line("port: 3000", "port: 70000", Some("the default `3000` is used"));
    check_line("port: 3000", "port: abc", Some("`port` cannot be `abc`"));
    check_line("port: 3000", "port: '4000'", None);
    check_line("host: 127.0.0.1", "host: localhost", None);
    check_line("host: 127.0.0.1", "host: '::1'", None);
    check_line("host: 127.0.0.1", "host: '[::1]'", None);
    check_line("host: 127.0.0.1", "host: a b", Some("`host` cannot be `a b`"));
    check_line("https://opencode.ai", "http://opencode.ai", Some("`upstreamBaseUrl` cannot be"));
    check_line("https://opencode.ai", "https://opencode.ai/zen/go", None);
    check_line("https://opencode.ai", "not a url", Some("`upstreamBaseUrl` cannot be"));
    check_line("Threshold: 3\n", "Threshold: 11\n", Some("a whole number from 1 to 10"));
    check_line("Threshold: 3\n", "Threshold: 0\n", Some("a whole number from 1 to 10"));
    check_line("60000", "999", Some("a whole number from 1000 to 3600000"));
    check_line("30000\n", "999\n", Some("a whole number from 1000 to 300000"));
    check_line("30000\n", "300001\n", Some("a whole number from 1000 to 300000"));
    check_line("30000\n", "45000\n", None);
    check_line("  - http://localhost:*\n", "  - '*'\n", None);
    check_line("  - http://localhost:*\n", "  - localhost\n", Some("`allowedOrigins` cannot be"));
    check_line("sk-aaaaaaaaaaaaaaaaaaaaAAAA", "sk-short", Some("malformed and left out"));
    check_line("sk-aaaaaaaaaaaaaaaaaaaaAAAA", "pk-aaaaaaaaaaaaaaaaaaaa", Some("left out"));
    check_line("sk-aaaaaaaaaaaaaaaaaaaaAAAA", "''", Some("entry 1 of `keys`"));
    check_line("label: secondary", "label: primary", Some("is called `primary-2`"));
    check_line("label: secondary", "label: 42", None);
    check_line("  enabled: false", "  enabled: false\n  unknown: 1", Some("`scraping.unknown`"));
    check_line("port: 3000", "port: 3000\nlogLevel: debug", Some("unknown option `logLevel`"));
}

#[test]
fn encrypted_values_of_the_original() {
    // Made by Node 20, see `envelope`.
    const LOCKED: &str = "enc:scrypt:3JDPB96QfMxkY2zt2zjlUg==:1XnxZdbjZprNDgdc:cytYa4tdaxjXfYzfK7hRkDdZ3Sf/WjRHpOj8AanEPj0OMmwUdUJL:pRBvPVbggbQQlX2ygk2sXw==";
    for quote in ["", "'", "\""] {
        let text =
            WIZARD.replace("sk-aaaaaaaaaaaaaaaaaaaaAAAA", &format!("{quote}{LOCKED}{quote}"));
        let world =
            World::yaml(&text).var("OPENCODE_GO_ENCRYPTION_KEY", "correct horse battery staple");
        assert_eq!(world.complaints(), [""; 0], "{quote}");
        assert_eq!(world.loaded().config.keys.len(), 2, "plain and encrypted keys side by side");
    }
}
