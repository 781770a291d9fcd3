//! What newer options hold, and where each value comes from.

use super::*;
use crate::config::options::SETTINGS;
use crate::config::problem::Place;

#[test]
fn what_is_only_to_come_is_read_all_the_same() {
    let world = World::yaml(&format!(
        "strategy: Predictive\nusageThreshold: 55\nallowBalance: 2.50\nprices:\n  glm-5.2: {{input: 0.5, cacheRead: 0}}\n  x: {{monthlyLimit: 15}}\nkeys:\n  - {{label: a, key: {A}, allowBalance: true, plan: go-plus}}\n  - {{label: b, key: {B}}}\n"
    ));
    let config = world.loaded().config;
    assert_eq!(config.strategy, Strategy::Predictive);
    assert_eq!((config.usage_threshold, config.threshold()), (Some(55), Some(55)));
    assert_eq!(config.allow_balance, Balance::UpTo(2.5));
    let price = |model: &str| Price { model: model.to_owned(), ..Price::default() };
    let glm = Price { input: Some(0.5), cache_read: Some(0.0), ..price("glm-5.2") };
    assert_eq!(config.prices, [glm, Price { monthly_limit: Some(15.0), ..price("x") }]);
    let keys: Vec<_> = config.keys.iter().map(|key| (key.allow_balance, key.plan)).collect();
    assert_eq!(keys, [(Balance::Always, Some(Plan::GoPlus)), (Balance::UpTo(2.5), None)]);
}

#[test]
fn the_threshold_is_70_for_rotation_and_none_otherwise() {
    let threshold = |text: &str| World::yaml(text).loaded().config.threshold();
    assert_eq!(threshold(""), None);
    assert_eq!(threshold("strategy: round-robin"), Some(70));
    assert_eq!(threshold("strategy: round-robin\nusageThreshold: 30"), Some(30));
    assert_eq!(threshold("usageThreshold: 30"), Some(30));
    // Of the section only while it is switched on, and after the option itself.
    assert_eq!(threshold("scraping: {enabled: true}"), Some(70));
    assert_eq!(threshold("scraping: {enabled: false, usageThreshold: 40}"), None);
    let scraping = "scraping: {enabled: true, usageThreshold: 40}\n";
    assert_eq!(threshold(scraping), Some(40));
    assert_eq!(threshold(&format!("{scraping}strategy: round-robin")), Some(40));
    assert_eq!(threshold(&format!("{scraping}usageThreshold: 30")), Some(30));
}

#[test]
fn bad_dollars_are_named_each_with_its_place() {
    let text = "prices:\n  a: {input: x}\n  b: 5\n  c: {input: 1, output: [2], cacheRead: -1}\n  d: []\nallowBalance: []\n";
    let allowed = "allowed: models with numbers of dollars, `{model: {input: 0.5}}`";
    assert_eq!(
        World::yaml(text).complaints(),
        [
            "config.yaml:6:15: `allowBalance` cannot be a list; allowed: `true`, `false`, or a number of dollars".to_owned(),
            format!("config.yaml:2:14: `prices` cannot be `x`: `input` is not a number of dollars; {allowed}"),
            format!("config.yaml:3:6: `prices` cannot be `5`: not a block of prices; {allowed}"),
            format!("config.yaml:4:25: `prices` cannot be a list; {allowed}"),
            format!("config.yaml:4:41: `prices` cannot be `-1`: `cacheRead` is not a number of dollars; {allowed}"),
            format!("config.yaml:5:6: `prices` cannot be a list; {allowed}"),
        ]
    );
    let world = World::yaml(&format!(
        "keys:\n  - {{label: a, key: {A}, allowBalance: maybe, plan: max}}\n"
    ));
    assert_eq!(
        world.complaints(),
        [
            "config.yaml:2:64: `allowBalance` of entry 1 of `keys` cannot be `maybe`; allowed: `true`, `false`, or a number of dollars",
            "config.yaml:2:77: `plan` of entry 1 of `keys` cannot be `max`; allowed: `go` or `go-plus`",
        ]
    );
}

#[test]
fn every_value_knows_its_source() {
    let world = World::yaml("# mine\nhost: ::1\nport: 2\nkeys: []\n")
        .var("PROXY_PORT", "3")
        .var("OPENCODE_GO_KEYS", "a:sk-aaaaaaaaaaaaaaaaaaaaAAAA")
        .var("MAX_BODY_BYTES", "7")
        .flag("port", "1");
    let loaded = world.loaded();
    let place = |name: &str| {
        let index = SETTINGS.iter().position(|setting| setting.name == name).unwrap();
        loaded.places[index].clone()
    };
    assert_eq!(place("port"), Place::Flag("--port"));
    let path = world.path("config/config.yaml");
    assert_eq!(place("host"), Place::File { path, line: 2, column: 7 });
    assert_eq!(place("maxBodyBytes"), Place::Variable("MAX_BODY_BYTES"));
    assert_eq!(place("keys"), Place::Variable("OPENCODE_GO_KEYS"));
    assert_eq!(place("strategy"), Place::Nowhere);
    assert_eq!(loaded.places.len(), SETTINGS.len());
}
