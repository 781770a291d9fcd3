use proptest::prelude::*;
use saros_core::meter::Tokens;
use serde_json::{Value, json};

use super::*;
use crate::tests::{chunks, cuts, document};

fn tap<'a>(format: Format, parts: impl IntoIterator<Item = &'a [u8]>) -> Tap {
    let mut tap = Tap::new(format);
    for part in parts {
        tap.feed(part);
    }
    tap
}

fn whole(format: Format, text: &str) -> Tap {
    tap(format, [text.as_bytes()])
}

#[test]
fn each_format_names_its_usage_at_the_top() {
    let chat = whole(
        Format::Chat,
        r#"{"id":"a","choices":[{"message":{"content":"hi","usage":{"prompt_tokens":9}}}],
            "usage":{"prompt_tokens":10,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}},"cost":"0.00012345"}"#,
    );
    assert!(chat.complete());
    let reading = chat.reading();
    assert_eq!(
        reading.tokens,
        Some(Tokens { input: 6, cached: Some(4), cache_write: 0, output: 2, reasoning: 0 })
    );
    assert_eq!(reading.balance_cost, Some(0.000_123_45));

    let messages = whole(
        Format::Messages,
        r#"{"type":"message","content":[{"type":"text","text":"}"}],"usage":{"input_tokens":10,"cache_read_input_tokens":4,"output_tokens":2}}"#,
    );
    assert_eq!(
        messages.reading().tokens,
        Some(Tokens { input: 10, cached: Some(4), cache_write: 0, output: 2, reasoning: 0 })
    );

    let responses = whole(
        Format::Responses,
        r#"{"object":"response","tools":[{"parameters":{"usage":{"type":"string"}}}],"usage":{"input_tokens":10,"output_tokens":2,"opencode":{"list_cost":0.5}}}"#,
    );
    assert_eq!(responses.reading().list_cost, Some(0.5));
    assert_eq!(responses.reading().tokens.unwrap().input, 10);

    let google = whole(Format::Chat, r#"{"usageMetadata":{"promptTokenCount":3}}"#);
    assert_eq!(google.reading().tokens.unwrap().input, 3);
}

#[test]
fn only_the_outermost_object_counts() {
    for text in [
        r#"{"response":{"usage":{"prompt_tokens":1}}}"#,
        r#"[{"usage":{"prompt_tokens":1}}]"#,
        r#"{"text":"\"usage\":{\"prompt_tokens\":1}"}"#,
        r#"{"x":"usage","y":{"prompt_tokens":1}}"#,
        r#"{"usage":null,"cost":null}"#,
        r#"{"usages":{"prompt_tokens":1},"xusage":{"prompt_tokens":1}}"#,
        r#"{"usa\ge":{"prompt_tokens":1}}"#,
    ] {
        let tap = whole(Format::Chat, text);
        assert!(tap.complete(), "{text}");
        let expected = Reading { output_bytes: text.len() as u64, ..Reading::default() };
        assert_eq!(tap.reading(), expected, "{text}");
    }
}

#[test]
fn complete_means_that_the_value_ended() {
    for (text, complete) in [
        ("", false),
        ("  ", false),
        ("{", false),
        (r#"{"a":"}"#, false),
        (r#"{"a":"}\""#, false),
        (r#"{"a":{}"#, false),
        (r#"{"a":{}}"#, true),
        ("[[],{}]\n", true),
        (r#""text""#, true),
        ("{}}}]", true),
    ] {
        assert_eq!(whole(Format::Chat, text).complete(), complete, "{text}");
    }
}

#[test]
fn what_follows_the_value_is_not_read() {
    let tap = whole(Format::Chat, r#"{"a":1}{"usage":{"prompt_tokens":1}}"#);
    assert_eq!(tap.reading().tokens, None);
}

#[test]
fn a_usage_beyond_the_bound_is_dropped_and_the_next_member_is_read() {
    let long = "x".repeat(USAGE_LIMIT);
    let text = format!(r#"{{"usage":{{"prompt_tokens":1,"x":"{long}"}},"cost":"2"}}"#);
    let tap = whole(Format::Chat, &text);
    assert!(tap.complete());
    assert_eq!((tap.reading().tokens, tap.reading().balance_cost), (None, Some(2.0)));
}

#[test]
fn a_cut_answer_has_what_had_come() {
    let tap = whole(Format::Chat, r#"{"usage":{"prompt_tokens":1},"choices":[{"mess"#);
    assert!(!tap.complete());
    assert_eq!(tap.reading().tokens.unwrap().input, 1);
}

#[test]
fn an_escape_may_be_cut_anywhere() {
    let text = r#"{"a":"\\","usage":{"x":"\\","y":"\"","prompt_tokens":1}}"#;
    for cut in 0..=text.len() {
        let (one, other) = text.as_bytes().split_at(cut);
        let tap = tap(Format::Chat, [one, other]);
        assert!(tap.complete(), "cut at {cut}");
        assert_eq!(tap.reading().tokens.unwrap().input, 1, "cut at {cut}");
    }
}

#[test]
fn whole_members_are_read_as_bytes_are() {
    for text in [
        r#"{"usage":{"prompt_tokens":512"x}y","completion_tokens":5},"cost":"1"}"#,
        r#"{"usage":{"prompt_tokens":5,"prompt_tokens_details":{"cached_tokens":2]},"cost":"1"}"#,
        r#"{"usage":{"prompt_tokens":5} x,"cost":"1"}"#,
        r#"{"usage" : {"prompt_tokens":5} ,"cost" : "1" } {"cost":"2"}"#,
        r#"{"usage":5"prompt_tokens","cost":"1"}"#,
        r#"{"usage":{"prompt_tokens":5}:{"prompt_tokens":6},"cost":"1"}"#,
        r#"{"usage",:{"prompt_tokens":5},,"cost":"1"}"#,
        r#"{"usage":{"prompt_tokens":5}]"#,
        r#"{"usage":{"prompt_tokens":5}"#,
        r#"{"usage":{"prompt_tokens":5},"usage":{"completion_tokens":7},"usage":{}}"#,
    ] {
        let once = whole(Format::Chat, text);
        let parts = tap(Format::Chat, text.as_bytes().chunks(1));
        assert_eq!(once.reading(), parts.reading(), "{text}");
        assert_eq!(once.complete(), parts.complete(), "{text}");
    }
}

proptest! {
    #[test]
    fn any_chunking_reads_the_same(
        members in prop::collection::vec((crate::tests::text(), document()), 0..5),
        usage in prop::option::of((0_u64..1000, 0_u64..1000)),
        at in any::<prop::sample::Index>(),
        pretty: bool,
        cuts in cuts(),
    ) {
        let mut members: Vec<(String, Value)> = members
            .into_iter()
            .filter(|(key, _)| !["usage", "cost"].contains(&key.as_str()))
            .collect();
        if let Some((input, output)) = usage {
            let object = json!({"prompt_tokens": input, "completion_tokens": output, "note": "}\"{"});
            members.insert(at.index(members.len() + 1), ("usage".to_owned(), object));
        }
        let written: Vec<String> = members
            .iter()
            .map(|(key, value)| {
                let value = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
                format!("{} : {}", json!(key), value.unwrap())
            })
            .collect();
        let text = format!(" {{ {} }}\n", written.join(","));

        let tap = tap(Format::Chat, chunks(text.as_bytes(), cuts));
        prop_assert!(tap.complete());
        let reading = tap.reading();
        prop_assert_eq!(
            reading.tokens.map(|tokens| (tokens.input, tokens.output)),
            usage
        );
        prop_assert_eq!(reading.output_bytes, text.len() as u64);
    }

    #[test]
    fn anything_may_come(bytes in prop::collection::vec(any::<u8>(), 0..300), cuts in cuts()) {
        let once = tap(Format::Messages, [bytes.as_slice()]);
        let parts = tap(Format::Messages, chunks(&bytes, cuts));
        prop_assert_eq!(once.reading(), parts.reading());
        prop_assert_eq!(once.complete(), parts.complete());
    }
}
