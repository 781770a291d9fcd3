use super::*;

fn read(format: Format, object: &str) -> Reading {
    let mut meter = Meter::default();
    match format {
        Format::Messages => meter.merge(object.as_bytes()),
        Format::Chat | Format::Responses => meter.replace(object.as_bytes()),
    }
    meter.reading(format)
}

#[track_caller]
fn check(format: Format, object: &str, expected: Tokens) {
    assert_eq!(read(format, object).tokens, Some(expected), "{object}");
}

const NONE: Tokens = Tokens { input: 0, cached: None, cache_write: 0, output: 0, reasoning: 0 };

#[test]
fn chat_input_includes_what_was_cached() {
    check(
        Format::Chat,
        r#"{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120}"#,
        Tokens { input: 100, output: 20, ..NONE },
    );
    check(
        Format::Chat,
        r#"{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":64},
            "completion_tokens_details":{"reasoning_tokens":7}}"#,
        Tokens { input: 36, cached: Some(64), output: 20, reasoning: 7, ..NONE },
    );
}

#[test]
fn moonshot_names_its_cached_tokens_at_the_top_and_alibaba_its_writes_in_the_details() {
    check(
        Format::Chat,
        r#"{"prompt_tokens":100,"cached_tokens":90,"prompt_tokens_details":{"cached_tokens":1}}"#,
        Tokens { input: 10, cached: Some(90), ..NONE },
    );
    check(
        Format::Chat,
        r#"{"prompt_tokens":100,"prompt_tokens_details":{"cached_tokens":60,"cache_creation_input_tokens":30}}"#,
        Tokens { input: 10, cached: Some(60), cache_write: 30, ..NONE },
    );
}

#[test]
fn overlapping_details_never_make_input_negative() {
    check(
        Format::Responses,
        r#"{"input_tokens":10,"input_tokens_details":{"cached_tokens":8,"cache_write_tokens":8}}"#,
        Tokens { input: 0, cached: Some(8), cache_write: 8, ..NONE },
    );
}

#[test]
fn anthropic_input_excludes_what_was_cached() {
    check(
        Format::Messages,
        r#"{"input_tokens":10,"cache_read_input_tokens":500,"cache_creation_input_tokens":40,"output_tokens":3}"#,
        Tokens { input: 10, cached: Some(500), cache_write: 40, output: 3, ..NONE },
    );
    check(
        Format::Messages,
        r#"{"input_tokens":10,"cache_creation_input_tokens":40,
            "cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":11}}"#,
        Tokens { input: 10, cache_write: 41, ..NONE },
    );
}

#[test]
fn responses_and_google() {
    check(
        Format::Responses,
        r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":40,"cache_write_tokens":10},
            "output_tokens":9,"output_tokens_details":{"reasoning_tokens":4},"total_tokens":109}"#,
        Tokens { input: 50, cached: Some(40), cache_write: 10, output: 9, reasoning: 4 },
    );
    check(
        Format::Chat,
        r#"{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":5,"thoughtsTokenCount":6}"#,
        Tokens { input: 60, cached: Some(40), output: 11, reasoning: 6, ..NONE },
    );
}

#[test]
fn an_absent_cache_field_is_not_zero() {
    assert_eq!(read(Format::Chat, r#"{"prompt_tokens":1}"#).tokens.unwrap().cached, None);
    assert_eq!(
        read(Format::Chat, r#"{"prompt_tokens":1,"cached_tokens":0}"#).tokens.unwrap().cached,
        Some(0)
    );
    assert_eq!(
        read(Format::Chat, r#"{"prompt_tokens":1,"cached_tokens":null}"#).tokens.unwrap().cached,
        None
    );
}

#[test]
fn numbers_as_providers_write_them() {
    check(Format::Chat, r#"{"prompt_tokens":12.0}"#, Tokens { input: 12, ..NONE });
    check(Format::Chat, r#"{"prompt_tokens":1e3}"#, Tokens { input: 1000, ..NONE });
    for nonsense in
        [r#"{"prompt_tokens":-5}"#, r#"{"prompt_tokens":"x"}"#, r#"{"prompt_tokens":[]}"#]
    {
        assert_eq!(read(Format::Chat, nonsense).tokens, None, "{nonsense}");
    }
}

#[test]
fn what_is_no_usage_is_none() {
    for object in ["{}", "null", "", r#"{"type":"object"}"#, r#"{"total_tokens":5}"#] {
        assert_eq!(read(Format::Chat, object), Reading::default(), "{object}");
    }
}

#[test]
fn costs_of_the_new_inference_service() {
    let check = |object: &str, list, balance| {
        let reading = read(Format::Chat, object);
        assert_eq!((reading.list_cost, reading.balance_cost), (list, balance), "{object}");
    };
    check(
        r#"{"prompt_tokens":1,"opencode":{"list_cost":0.0125},"cost":0}"#,
        Some(0.0125),
        Some(0.0),
    );
    check(
        r#"{"prompt_tokens":1,"opencode":{"list_cost":{"input_cost":1,"total_cost":0.5}},"cost":"0.25"}"#,
        Some(0.5),
        Some(0.25),
    );
    check(r#"{"prompt_tokens":1,"opencode":{"list_cost":null},"cost":null}"#, None, None);
    check(r#"{"prompt_tokens":1,"opencode":7,"cost":"nan"}"#, None, None);
    check(r#"{"prompt_tokens":1,"opencode":{"list_cost":-1},"cost":"inf"}"#, None, None);
    check(r#"{"opencode":{"list_cost":2}}"#, Some(2.0), None);
}

#[test]
fn the_services_own_charge_outranks_the_providers_view() {
    let mut meter = Meter::default();
    meter.replace(br#"{"prompt_tokens":1,"cost":0.9}"#);
    assert_eq!(meter.reading(Format::Chat).balance_cost, Some(0.9));
    meter.charge(br#""0.00012345""#);
    assert_eq!(meter.reading(Format::Chat).balance_cost, Some(0.000_123_45));
}

#[test]
fn the_last_real_usage_wins_and_updates_merge() {
    let mut meter = Meter::default();
    meter.replace(br#"{"prompt_tokens":1,"completion_tokens":1}"#);
    meter.replace(br#"{"prompt_tokens":5}"#);
    meter.replace(br#"{"type":"integer"}"#);
    assert_eq!(meter.reading(Format::Chat).tokens, Some(Tokens { input: 5, ..NONE }));

    let mut meter = Meter::default();
    meter.merge(br#"{"input_tokens":7,"cache_read_input_tokens":3,"output_tokens":1}"#);
    meter.merge(br#"{"output_tokens":20,"input_tokens":null}"#);
    assert_eq!(
        meter.reading(Format::Messages).tokens,
        Some(Tokens { input: 7, cached: Some(3), output: 20, ..NONE })
    );
}

#[test]
fn a_usage_object_beyond_the_bound_is_none() {
    let long = format!(r#"{{"prompt_tokens":1,"x":"{}"}}"#, "y".repeat(USAGE_LIMIT));
    assert_eq!(read(Format::Chat, &long).tokens, None);
    assert_eq!(read(Format::Messages, &long).tokens, None);
}
