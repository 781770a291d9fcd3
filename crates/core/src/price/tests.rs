use super::*;

/// A Thursday, 00:00 UTC.
const THURSDAY: Millis = Millis(0);

fn rate(input: f64) -> Rate {
    Rate { input, output: input * 4.0, cache_read: input / 10.0, cache_write: input }
}

fn table(price: Price) -> Prices {
    let mut prices = Prices::default();
    prices.insert("m", price);
    prices
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}

#[test]
fn every_kind_of_token_has_its_price() {
    let rate = Rate { input: 1.0, output: 10.0, cache_read: 0.1, cache_write: 2.0 };
    let tokens =
        Tokens { input: 1_000, cached: Some(10_000), cache_write: 500, output: 100, reasoning: 50 };
    assert!(close(rate.cost(&tokens), 0.004), "a tenth of a cent each, reasoning within output");
    assert!(close(rate.cost(&Tokens { cached: None, ..tokens }), 0.003));
}

#[test]
fn long_prompts_count_what_was_cached_and_peaks_come_first() {
    let price = Price { rate: Some(rate(1.0)), long: Some((200, rate(3.0))), ..Price::default() };
    let prices = table(Price { peak: true, ..price });
    let input = |prompt, at| prices.rate_at("m", prompt, at).unwrap().input;
    assert!(close(input(200, THURSDAY), 1.0));
    assert!(close(input(201, THURSDAY), 3.0));
    assert!(close(input(201, THURSDAY.plus(HOUR)), 2.0));
    let at = Tokens { input: 100, cached: Some(101), ..Tokens::default() };
    assert!(close(prices.list_cost("m", &at, THURSDAY).unwrap(), rate(3.0).cost(&at)));
}

#[test]
fn peaks() {
    let check = |day: i64, hour: i64, minute: i64, expected: bool| {
        let at = THURSDAY.plus(day * DAY + hour * HOUR + minute * 60_000);
        assert_eq!(in_peak(at), expected, "day {day} {hour}:{minute}");
    };
    for (hour, minute, expected) in
        [(0, 59, false), (1, 0, true), (3, 59, true), (4, 0, false), (6, 0, true), (9, 59, true)]
    {
        check(0, hour, minute, expected);
        check(1, hour, minute, expected);
        check(2, hour, minute, false);
        check(3, hour, minute, false);
        check(4, hour, minute, expected);
    }
    check(0, 10, 0, false);
}

#[test]
fn multipliers_relate_to_the_month_of_go() {
    let prices = table(Price { monthly: [Some(15.0), Some(120.0)], ..Price::default() });
    assert_eq!(prices.multiplier("m", Plan::Go), Some(4.0));
    assert_eq!(prices.multiplier("m", Plan::GoPlus), Some(0.5));
    assert_eq!(prices.multiplier("other", Plan::Go), None);
}

#[test]
fn the_configuration_is_laid_over_field_by_field() {
    let mut prices = table(Price {
        rate: Some(rate(1.0)),
        long: Some((200, rate(3.0))),
        monthly: [Some(60.0), Some(180.0)],
        peak: false,
    });
    prices.overlay("m", &PriceOverride { input: Some(2.0), ..PriceOverride::default() });
    let new = prices.get("m").unwrap();
    assert_eq!(new.rate, Some(Rate { input: 2.0, ..rate(1.0) }));
    assert_eq!(new.long, Some((200, Rate { input: 6.0, ..rate(3.0) })), "three times as before");
    assert_eq!(new.monthly, [Some(60.0), Some(180.0)]);
    prices.overlay("m", &PriceOverride { monthly_limit: Some(30.0), ..PriceOverride::default() });
    assert_eq!(prices.multiplier("m", Plan::GoPlus), Some(2.0));
    assert_eq!(prices.get("m").unwrap().rate, Some(Rate { input: 2.0, ..rate(1.0) }));
}

#[test]
fn a_new_model_has_a_price_once_both_ends_are_known() {
    let mut prices = Prices::default();
    let limit = PriceOverride { monthly_limit: Some(30.0), ..PriceOverride::default() };
    prices.overlay("new", &limit);
    assert_eq!(prices.rate_at("new", 1, THURSDAY), None);
    assert_eq!(prices.multiplier("new", Plan::Go), Some(2.0));
    prices.overlay(
        "new",
        &PriceOverride { input: Some(1.0), output: Some(4.0), ..PriceOverride::default() },
    );
    let expected = Rate { input: 1.0, output: 4.0, cache_read: 1.0, cache_write: 1.0 };
    assert_eq!(prices.rate_at("new", 1, THURSDAY), Some(expected));
    assert_eq!(prices.multiplier("new", Plan::Go), Some(2.0), "kept");
}

#[test]
fn the_unknown_costs_as_much_as_the_dearest_and_gifts_cost_nothing() {
    let mut prices = table(Price { rate: Some(rate(1.0)), peak: true, ..Price::default() });
    prices.insert("n", Price { rate: Some(rate(1.5)), ..Price::default() });
    let tokens = Tokens { input: 1_000_000, ..Tokens::default() };
    assert_eq!(prices.list_cost("unheard-of", &tokens, THURSDAY), None);
    assert!(close(prices.dearest_cost(&tokens), 2.0), "the peak of the first");
    assert_eq!(prices.list_cost("beam-free", &tokens, THURSDAY), Some(0.0));
}
