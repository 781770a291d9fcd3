//! The section `scraping`.

use super::*;
use crate::config::master::MASTER_KEY;

/// What Node encrypted with [`MASTER`] (see `envelope`); decrypted it is a text that a cookie may be.
const LOCKED: &str = "enc:scrypt:3JDPB96QfMxkY2zt2zjlUg==:1XnxZdbjZprNDgdc:cytYa4tdaxjXfYzfK7hRkDdZ3Sf/WjRHpOj8AanEPj0OMmwUdUJL:pRBvPVbggbQQlX2ygk2sXw==";
const MASTER: &str = "correct horse battery staple";
const OPENED: &str = "sk-0123456789abcdefghijklmnopqrstuvwxyz";

fn world(scraping: &str) -> World {
    World::yaml(&format!("keys: [{{label: a, key: {A}}}, {{label: b, key: {B}}}]\n{scraping}"))
}

/// The accounts as `label=workspace:cookie`.
fn accounts(world: &World) -> Vec<String> {
    let config = world.loaded().config;
    let label =
        |id| config.keys.iter().find(|key| key.secret.key_id() == id).unwrap().label.clone();
    let show = |account: &ScrapingAccount| {
        format!("{}={}:{}", label(account.key), account.workspace, account.cookie.expose())
    };
    config.scraping.as_ref().unwrap().accounts.iter().map(show).collect()
}

#[test]
fn what_the_originals_wizard_wrote() {
    let off =
        "scraping:\n  enabled: false\n  intervalMs: 90000\n  usageThreshold: 70\n  accounts: []\n";
    for text in ["", off, "scraping:", "scraping: {accounts: [{workspaceId: x}]}"] {
        let world = world(text);
        assert_eq!((world.loaded().config.scraping, world.complaints()), (None, vec![]), "{text}");
    }
    let world = world(
        "scraping:\n  enabled: true\n  accounts:\n    - workspaceId: wrk_1\n      authCookie: Fe26.2**x\n    - {workspaceId: wrk_2, authCookie: auth=y;}\n",
    );
    let scraping = world.loaded().config.scraping.unwrap();
    assert_eq!((scraping.interval, scraping.usage_threshold), (Duration::from_secs(90), 70));
    assert_eq!(accounts(&world), ["a=wrk_1:Fe26.2**x", "b=wrk_2:y"]);
    assert_eq!(world.complaints(), [""; 0]);
    assert!(!format!("{:?}", world.loaded().config).contains("Fe26"), "cookies are secrets");
}

#[test]
fn values_out_of_range_warn_and_default() {
    let world = world("scraping: {enabled: yes, intervalMs: 9999, usageThreshold: 101}");
    let scraping = world.loaded().config.scraping.unwrap();
    assert_eq!((scraping.interval, scraping.usage_threshold), (Duration::from_secs(90), 70));
    assert_eq!(
        world.complaints(),
        [
            "config.yaml:2:38: `scraping.intervalMs` cannot be `9999`; allowed: a whole number from 10000 to 3600000; the default `90000` is used",
            "config.yaml:2:60: `scraping.usageThreshold` cannot be `101`; allowed: a whole number from 1 to 100; the default `70` is used",
        ]
    );
    for (text, interval, threshold) in [
        ("intervalMs: 10000, usageThreshold: 1", 10_000, 1),
        ("intervalMs: 3.6e6, usageThreshold: 100", 3_600_000, 100),
    ] {
        let scraping = super::scraping::world(&format!("scraping: {{enabled: true, {text}}}"));
        let scraping = scraping.loaded().config.scraping.unwrap();
        assert_eq!(scraping.interval, Duration::from_millis(interval), "{text}");
        assert_eq!(scraping.usage_threshold, threshold, "{text}");
    }
    let world = super::scraping::world("scraping: {enabled: maybe}");
    assert_eq!(world.loaded().config.scraping, None);
    assert!(world.complaints()[0].contains("`scraping.enabled` cannot be `maybe`"));
}

#[test]
fn an_account_belongs_to_the_key_in_its_place() {
    let world = World::yaml(&format!(
        "keys:\n  - {{label: broken, key: sk-short}}\n  - {{label: b, key: {B}}}\n\
         scraping:\n  enabled: true\n  accounts:\n    - {{workspaceId: wrk_1, authCookie: x}}\n    - {{workspaceId: wrk_2, authCookie: y}}\n    - {{workspaceId: wrk_3, authCookie: z}}\n"
    ));
    assert_eq!(accounts(&world), ["b=wrk_2:y"], "not the first usable key's");
    let left_out = world.complaints().iter().filter(|line| line.contains("no usable key")).count();
    assert_eq!(left_out, 2, "{:?}", world.complaints());
}

#[test]
fn accounts_that_cannot_be_read_are_left_out() {
    for entry in [
        "{workspaceId: wrk_, authCookie: x}",
        "{workspaceId: 'wrk_1/../x', authCookie: x}",
        "{workspaceId: 'prj_1', authCookie: x}",
        "{workspaceId: wrk_1}",
        "{workspaceId: wrk_1, authCookie: 'a; b=c'}",
        "wrk_1",
    ] {
        let world = world(&format!("scraping: {{enabled: true, accounts: [{entry}]}}"));
        assert_eq!(accounts(&world), [""; 0], "{entry}");
        assert!(world.complaints()[0].contains("entry 1 of `scraping.accounts`"), "{entry}");
    }
    for text in ["scraping: true", "scraping: [wrk_1]"] {
        let world = world(text);
        assert_eq!(world.loaded().config.scraping, None);
        assert!(world.complaints()[0].contains("`scraping` is no block"), "{text}");
    }
    let world = world("scraping: {enabled: true, accounts: wrk_1}");
    assert!(world.complaints()[0].contains("is no list"), "{:?}", world.complaints());
}

#[test]
fn cookies_may_be_encrypted() {
    let text = format!(
        "scraping: {{enabled: true, accounts: [{{workspaceId: wrk_1, authCookie: '{LOCKED}'}}, {{workspaceId: wrk_2, authCookie: plain}}]}}"
    );
    let opened = world(&text).var(MASTER_KEY, MASTER);
    assert_eq!(accounts(&opened), [format!("a=wrk_1:{OPENED}"), "b=wrk_2:plain".to_owned()]);
    for (world, complaint) in [
        (world(&text), "Found 1 encrypted cookie(s) but OPENCODE_GO_ENCRYPTION_KEY"),
        (world(&text).var(MASTER_KEY, "another"), "Failed to decrypt the cookie of wrk_1"),
    ] {
        assert_eq!(accounts(&world), ["b=wrk_2:plain"], "the keys do not need it");
        assert!(world.complaints()[0].contains(complaint), "{:?}", world.complaints());
    }
}
