//! Keys: plain, encrypted, malformed.

use super::*;

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

pub(super) fn encrypted() -> World {
    World::yaml(&format!("keys:\n  - label: x\n    key: {ENCRYPTED}\n"))
}

#[test]
fn encrypted_keys() {
    assert_eq!(keys(&encrypted().var("OPENCODE_GO_ENCRYPTION_KEY", MASTER)), [DECRYPTED]);
    let mut world = encrypted();
    let file = world.path("master");
    fs::write(&file, format!("{MASTER}\n")).unwrap();
    world.mode("master", 0o600);
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
