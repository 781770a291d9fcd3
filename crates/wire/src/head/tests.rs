use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::tests::{document, text};

fn conversation(format: Format, body: &Value) -> Head {
    read(body.to_string().as_bytes(), format, Depth::Conversation)
}

#[track_caller]
fn check_model(body: &str, expected: Option<&str>) {
    let head = read(body.as_bytes(), Format::Chat, Depth::Routing);
    assert_eq!(head.model.as_deref(), expected, "{body}");
}

#[test]
fn the_model_is_what_upstreams_scan_finds() {
    check_model(r#"{"model":"glm-5.3","messages":[]}"#, Some("glm-5.3"));
    check_model("{ \"model\" \t:\r\n \"glm-5.3\" }", Some("glm-5.3"));
    check_model("{\"model\"\u{a0}:\u{2003}\"glm-5.3\"}", Some("glm-5.3"));
    // A nested model that stands first hijacks the route upstream, so it is what we report.
    check_model(r#"{"metadata":{"model":"nested"},"model":"top"}"#, Some("nested"));
    check_model(r#"{"messages":[{"content":"\"model\":\"text\""}],"model":"top"}"#, Some("top"));
    check_model(r#"{"model":"","x":{"model":"second"}}"#, Some("second"));
    check_model(r#"{"model":null,"x":{"model":"second"}}"#, Some("second"));
    check_model(r#"["model","model":"x"]"#, Some("x"));
    check_model(r#""model"model":"x""#, Some("x"));
    check_model(r#"{"model":"a\u0062"}"#, Some(r"a\u0062"));
    check_model(r#"{"model":"unfinished"#, None);
    check_model(r#"{"models":"x"}"#, None);
    check_model("", None);
    check_model(&format!(r#"{{"model":"{}"}}"#, "x".repeat(256)), Some(&"x".repeat(256)));
    check_model(&format!(r#"{{"model":"{}","a":{{"model":"b"}}}}"#, "x".repeat(257)), None);
}

#[test]
fn a_model_that_is_not_utf_8_is_read_as_upstream_decodes_it() {
    let head = read(b"{\"model\":\"a\xFFb\"}", Format::Chat, Depth::Routing);
    assert_eq!(head.model.as_deref(), Some("a\u{fffd}b"));
}

#[track_caller]
fn check_stream(body: &str, stream: bool, well_formed: bool) {
    for depth in [Depth::Routing, Depth::Conversation] {
        let head = read(body.as_bytes(), Format::Chat, depth);
        assert_eq!((head.stream, head.well_formed), (stream, well_formed), "{body} {depth:?}");
    }
}

#[test]
fn a_stream_is_asked_for_in_the_outermost_object_only() {
    check_stream(r#"{"stream":true}"#, true, true);
    check_stream("\u{feff} { \"messages\" : [ ] , \"stream\" : true }\n", true, true);
    check_stream(r#"{"stream":false}"#, false, true);
    check_stream(r#"{"stream":"true"}"#, false, true);
    check_stream(r#"{"messages":[{"stream":true}],"tools":[{"x":{"stream":true}}]}"#, false, true);
    check_stream(r#"{"x":"\"stream\":true"}"#, false, true);
    check_stream(r#"{"stream":true,"stream":false}"#, true, true);
    check_stream("{}", false, true);
}

#[test]
fn what_is_not_json_is_said_not_to_be() {
    for body in [
        "",
        "[]",
        "text",
        "{",
        r#"{"a""#,
        r#"{"a":"#,
        r#"{"a":1"#,
        r#"{"messages":[{"role""#,
        "{}x",
    ] {
        check_stream(body, false, false);
    }
    // The walk ends early where everything is known, and then needs no proper end.
    assert!(read(br#"{"stream":true,"#, Format::Chat, Depth::Routing).well_formed);
    assert!(!read(br#"{"stream":true,"#, Format::Chat, Depth::Conversation).well_formed);
}

#[test]
fn routing_reads_nothing_else() {
    let body = json!({"model": "m", "messages": [{"role": "assistant", "content": "x"}],
        "prompt_cache_key": "k", "stream": true});
    let head = read(body.to_string().as_bytes(), Format::Chat, Depth::Routing);
    let expected =
        Head { model: Some("m".into()), stream: true, well_formed: true, ..Head::default() };
    assert_eq!(head, expected);
}

#[track_caller]
fn check_session(format: Format, body: &Value, expected: Option<&str>) {
    assert_eq!(conversation(format, body).session.as_deref(), expected, "{body}");
}

#[test]
fn the_session_id_in_the_body() {
    use Format::{Chat, Messages, Responses};
    check_session(Chat, &json!({"prompt_cache_key": "ses_1"}), Some("ses_1"));
    check_session(Responses, &json!({"input": [], "prompt_cache_key": "k-2"}), Some("k-2"));
    check_session(Chat, &json!({"x": {"prompt_cache_key": "nested"}}), None);
    check_session(
        Messages,
        &json!({"metadata": {"user_id": "user_ab_account_cd_session_1234-56"}}),
        Some("1234-56"),
    );
    check_session(
        Messages,
        &json!({"metadata": {"user_id": r#"{"device_id":"d","account_uuid":"","session_id":"1234-56"}"#}}),
        Some("1234-56"),
    );
    check_session(Messages, &json!({"metadata": {"user_id": "someone"}}), None);
    check_session(Messages, &json!({"metadata": {"user_id": null}}), None);
    check_session(Messages, &json!({"metadata": {"user_id": "u_session_"}}), None);
    // In OpenAI's formats, metadata is the caller's own.
    check_session(Responses, &json!({"metadata": {"user_id": "u_session_1"}}), None);
}

#[test]
fn an_id_that_cannot_go_into_a_header_is_none() {
    for bad in ["", "a b", "a\nb", "ü", "a\"b", &"x".repeat(257)] {
        check_session(Format::Chat, &json!({"prompt_cache_key": bad}), None);
        let user = format!("u_session_{bad}");
        check_session(Format::Messages, &json!({"metadata": {"user_id": user}}), None);
    }
    check_session(Format::Chat, &json!({"prompt_cache_key": 7}), None);
}

fn chat(messages: &[(&str, Value)]) -> Head {
    let messages: Vec<Value> =
        messages.iter().map(|(role, content)| json!({"role": role, "content": content})).collect();
    conversation(Format::Chat, &json!({"model": "m", "messages": messages}))
}

#[test]
fn the_opening_is_the_same_in_every_turn() {
    let first = chat(&[("system", json!("be brief")), ("user", json!("hello"))]);
    assert!(!first.has_assistant);
    let opening = first.opening.unwrap();
    let later = chat(&[
        ("system", json!("be brief")),
        ("user", json!("hello")),
        ("assistant", json!("hi")),
        ("user", json!("and now?")),
        ("assistant", Value::Null),
        ("tool", json!("result")),
    ]);
    assert!(later.has_assistant && later.well_formed);
    assert_eq!(later.opening, Some(opening));

    for other in [
        chat(&[("system", json!("be long")), ("user", json!("hello"))]),
        chat(&[("system", json!("be brief")), ("user", json!("hello!"))]),
        chat(&[("user", json!("be brief")), ("system", json!("hello"))]),
        chat(&[("system", json!("be briefhello")), ("user", json!(""))]),
        chat(&[("user", json!("hello"))]),
    ] {
        assert_ne!(other.opening, Some(opening));
    }
}

#[test]
fn blocks_and_cache_markers_do_not_change_the_opening() {
    let body = |system: Value, user: Value| {
        conversation(
            Format::Messages,
            &json!({"system": system, "messages": [{"role": "user", "content": user}]}),
        )
        .opening
        .unwrap()
    };
    let marker = json!({"type": "ephemeral"});
    let plain = body(json!("be brief"), json!("hello world"));
    assert_eq!(plain, body(json!([{"type": "text", "text": "be brief"}]), json!("hello world")));
    assert_eq!(
        plain,
        body(
            json!([{"type": "text", "text": "be brief", "cache_control": marker}]),
            json!([
                {"type": "text", "text": "hello "},
                {"type": "image", "source": {"data": "AAAA"}},
                {"cache_control": marker, "text": "world", "type": "text"},
            ]),
        )
    );
    assert_ne!(plain, body(json!("be brief"), json!([{"type": "text", "text": "hello"}])));
}

#[test]
fn the_order_of_members_does_not_change_the_opening() {
    let one = r#"{"system":"s","messages":[{"role":"user","content":"u"},{"role":"assistant","content":"a"}]}"#;
    let other = r#"{"messages":[{"content":"u","role":"user"},{"content":"a","role":"assistant"}],"system":"s"}"#;
    let [one, other] =
        [one, other].map(|body| read(body.as_bytes(), Format::Messages, Depth::Conversation));
    assert_eq!(one, other);
    assert!(one.opening.is_some() && one.has_assistant);
}

#[test]
fn openings_of_the_responses_format() {
    let body = |input: Value| {
        conversation(Format::Responses, &json!({"instructions": "s", "input": input}))
    };
    let user = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "u"}]});
    let text = body(json!("u"));
    assert!(!text.has_assistant);
    let items = body(json!([user]));
    assert_eq!(items, text);
    for turn in [
        json!({"type": "function_call", "name": "f", "arguments": "{}"}),
        json!({"type": "reasoning", "summary": []}),
        json!({"role": "assistant", "content": "a"}),
    ] {
        let later = body(json!([user, turn, user]));
        assert!(later.has_assistant, "{turn}");
        assert_eq!(later.opening, text.opening);
    }
    let developer = body(json!([{"role": "developer", "content": "s"}, user]));
    assert_ne!(developer.opening, text.opening);
}

#[test]
fn without_messages_there_is_no_opening() {
    for body in
        [json!({}), json!({"messages": []}), json!({"messages": null}), json!({"input": "x"})]
    {
        let head = conversation(Format::Chat, &body);
        assert_eq!((head.opening, head.has_assistant), (None, false), "{body}");
        assert!(head.well_formed, "{body}");
    }
    assert!(chat(&[("user", json!([]))]).opening.is_some());
}

#[test]
fn of_a_long_text_the_beginning_and_the_length_count() {
    let long = |len: usize| chat(&[("user", json!("x".repeat(len)))]).opening;
    assert_eq!(long(200_000), long(200_000));
    assert_ne!(long(200_000), long(200_001));
    let blocks = json!([
        {"type": "text", "text": "x".repeat(60_000)},
        {"type": "text", "text": "x".repeat(140_000)},
    ]);
    assert_eq!(chat(&[("user", blocks)]).opening, long(200_000));
}

#[test]
fn derived_session_ids_look_like_opencodes_and_differ_by_client() {
    let id = session_id("token-1", 7);
    assert_eq!(id, session_id("token-1", 7));
    assert_eq!(id.len(), 30);
    assert!(id.starts_with("ses_") && id.bytes().skip(4).all(|byte| byte.is_ascii_alphanumeric()));
    assert_ne!(id, session_id("token-2", 7));
    assert_ne!(id, session_id("token-1", 8));
    // Written down: an upgrade must not tear conversations apart.
    assert_eq!(session_id("client", 1), "ses_KVJR0NRTBWYMNARPSWMQFFX1D7");
    assert_eq!(
        chat(&[("system", json!("s")), ("user", json!("u"))]).opening,
        Some(177_694_597_062_834_699_363_655_988_298_056_496_804)
    );
}

/// The service's `/"model"\s*:\s*"([^"]+)"/`, by trying every place.
fn reference_model(body: &str) -> Option<&str> {
    let space = |c: char| c.is_whitespace() && c != '\u{85}' || c == '\u{feff}';
    body.char_indices().find_map(|(at, _)| {
        let value = body[at..].strip_prefix("\"model\"")?;
        let value = value.trim_start_matches(space).strip_prefix(':')?;
        let value = value.trim_start_matches(space).strip_prefix('"')?;
        value.split_once('"').map(|(name, _)| name).filter(|name| !name.is_empty())
    })
}

proptest! {
    #[test]
    fn the_model_agrees_with_upstreams_rule_on_any_json(value in document(), key in text(), pretty: bool) {
        let value = json!({key: value, "messages": [value], "model": "last"});
        let body = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let head = read(body.as_bytes(), Format::Chat, Depth::Routing);
        prop_assert_eq!(head.model.as_deref(), reference_model(&body));
    }

    #[test]
    fn the_model_agrees_with_upstreams_rule_on_any_text(
        pieces in prop::collection::vec(
            prop_oneof![
                Just("\"model\""), Just("\"model"), Just("\""), Just(":"), Just(" "), Just("\n"), Just("x"),
                Just("\u{a0}"), Just("\u{2028}"), Just("\u{85}"), Just("\u{feff}"), Just("\u{200b}"), Just("\\"),
            ],
            0..20,
        ),
    ) {
        let body = pieces.concat();
        let head = read(body.as_bytes(), Format::Chat, Depth::Routing);
        prop_assert_eq!(head.model.as_deref(), reference_model(&body));
    }

    #[test]
    fn any_document_is_well_formed_and_its_stream_is_found(
        mut members in prop::collection::vec((text(), document()), 0..5),
        stream in prop::option::of(any::<bool>()),
        at in any::<prop::sample::Index>(),
    ) {
        members.retain(|(key, _)| key != "stream");
        if let Some(stream) = stream {
            members.insert(at.index(members.len() + 1), ("stream".to_owned(), stream.into()));
        }
        let body: Vec<String> = members.iter().map(|(key, value)| format!("{}:{value}", json!(key))).collect();
        let body = format!("{{{}}}", body.join(","));
        for format in [Format::Chat, Format::Messages, Format::Responses] {
            for depth in [Depth::Routing, Depth::Conversation] {
                let head = read(body.as_bytes(), format, depth);
                prop_assert!(head.well_formed);
                prop_assert_eq!(head.stream, stream.unwrap_or(false));
            }
        }
    }

    #[test]
    fn a_growing_conversation_keeps_its_opening(
        system in text(),
        user in text(),
        turns in prop::collection::vec((text(), text()), 1..4),
        marked in any::<prop::sample::Index>(),
    ) {
        let block = |text: &str, marked: bool| {
            let mut block = json!({"type": "text", "text": text});
            if marked {
                block["cache_control"] = json!({"type": "ephemeral"});
            }
            json!([block])
        };
        let mut messages = vec![json!({"role": "user", "content": user})];
        let body = |messages: &[Value]| {
            conversation(Format::Messages, &json!({"system": system, "messages": messages}))
        };
        let first = body(&messages);
        prop_assert!(!first.has_assistant);
        prop_assert!(first.opening.is_some());
        for (answer, question) in &turns {
            messages.push(json!({"role": "assistant", "content": answer}));
            messages.push(json!({"role": "user", "content": question}));
        }
        // The client moves its cache marker to one message, which then has blocks.
        let marked = marked.index(messages.len());
        let content = messages[marked]["content"].as_str().unwrap_or_default().to_owned();
        messages[marked]["content"] = block(&content, true);
        let later = body(&messages);
        prop_assert!(later.has_assistant);
        prop_assert_eq!(later.opening, first.opening);
    }

    #[test]
    fn anything_may_come(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for format in [Format::Chat, Format::Messages, Format::Responses] {
            read(&bytes, format, Depth::Conversation);
            read(&bytes, format, Depth::Routing);
        }
    }
}
