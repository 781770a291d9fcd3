use proptest::prelude::*;
use saros_core::meter::Tokens;

use super::*;
use crate::reply;
use crate::tests::{chunks, cuts};

fn watch<'a>(format: Format, parts: impl IntoIterator<Item = &'a [u8]>) -> Watch {
    let mut watch = Watch::new(format);
    for part in parts {
        watch.feed(part);
    }
    watch
}

fn whole(format: Format, text: &str) -> Watch {
    watch(format, [text.as_bytes()])
}

const CHAT: &str = concat!(
    ": ping - 2026-07-26 19:11:49.346444+00:00\n\n",
    r#"data: {"id":"a","choices":[{"index":0,"delta":{"content":"\"usage\":{\"prompt_tokens\":9}"},"finish_reason":null}],"usage":null}"#,
    "\n\n",
    r#"data: {"id":"a","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
    "\n\n",
    r#"data: {"id":"a","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":64},"opencode":{"list_cost":0.5}}}"#,
    "\n\n",
    "data: [DONE]\n\n",
    r#"data: {"choices":[],"cost":"0.00012345"}"#,
    "\n\n",
);

const MESSAGES: &str = concat!(
    "event: message_start\n",
    r#"data: {"type":"message_start","message":{"id":"m","role":"assistant","usage":{"input_tokens":10,"cache_read_input_tokens":500,"cache_creation_input_tokens":40,"output_tokens":1}}}"#,
    "\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_delta\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"message_stop"}}"#,
    "\n\nevent: message_delta\n",
    r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":30}}"#,
    "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    "event: ping\ndata: {\"type\":\"ping\",\"cost\":\"0.25\"}\n\n",
);

const RESPONSES: &str = concat!(
    "event: response.created\n",
    r#"data: {"type":"response.created","response":{"status":"in_progress","error":null,"tools":[{"parameters":{"properties":{"usage":{"type":"object"}}}}],"usage":null}}"#,
    "\n\nevent: response.output_text.delta\n",
    r#"data: {"type":"response.output_text.delta","delta":"\"type\":\"response.completed\""}"#,
    "\n\nevent: response.completed\n",
    r#"data: {"type":"response.completed","response":{"status":"completed","error":null,"tools":[{"parameters":{"properties":{"usage":{"type":"object"}}}}],"usage":{"input_tokens":100,"input_tokens_details":{"cached_tokens":40},"output_tokens":9,"output_tokens_details":{"reasoning_tokens":4}}}}"#,
    "\n\nevent: ping\ndata: {\"type\":\"ping\",\"cost\":\"0\"}\n\n",
);

fn samples() -> [(Format, &'static str, Tokens, Option<f64>); 3] {
    [
        (
            Format::Chat,
            CHAT,
            Tokens { input: 36, cached: Some(64), cache_write: 0, output: 20, reasoning: 0 },
            Some(0.000_123_45),
        ),
        (
            Format::Messages,
            MESSAGES,
            Tokens { input: 10, cached: Some(500), cache_write: 40, output: 30, reasoning: 0 },
            Some(0.25),
        ),
        (
            Format::Responses,
            RESPONSES,
            Tokens { input: 60, cached: Some(40), cache_write: 0, output: 9, reasoning: 4 },
            Some(0.0),
        ),
    ]
}

#[test]
fn a_whole_stream_of_each_format() {
    for (format, text, tokens, balance) in samples() {
        let watch = whole(format, text);
        assert!(watch.terminal() && !watch.failed(), "{format:?}");
        assert_eq!(watch.cut_prefix(), b"", "{format:?}");
        let reading = watch.reading();
        assert_eq!((reading.tokens, reading.balance_cost), (Some(tokens), balance), "{format:?}");
        let payloads: usize =
            text.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::len).sum();
        assert_eq!(reading.output_bytes, payloads as u64);
    }
    assert_eq!(whole(Format::Chat, CHAT).reading().list_cost, Some(0.5));
}

/// The terminal event is where it says, neither earlier nor later.
#[test]
fn a_stream_without_its_terminal_event_is_not_over() {
    for (format, text, terminal) in [
        (Format::Chat, CHAT, r#""stop"}],"usage":null}"#),
        (Format::Messages, MESSAGES, r#"{"type":"message_stop"}"#),
        (Format::Responses, RESPONSES, r#""reasoning_tokens":4}}}}"#),
    ] {
        let end = text.find(terminal).unwrap() + terminal.len();
        for cut in 0..=text.len() {
            let watch = watch(format, [&text.as_bytes()[..cut]]);
            assert_eq!(watch.terminal(), cut >= end, "{format:?} cut at {cut}");
        }
    }
}

#[track_caller]
fn check_terminal(format: Format, text: &str, terminal: bool, failed: bool) {
    let watch = whole(format, text);
    assert_eq!((watch.terminal(), watch.failed()), (terminal, failed), "{text}");
}

#[test]
fn terminal_events_as_services_write_them() {
    use Format::{Chat, Messages, Responses};
    check_terminal(Chat, "data: [DONE]\n\n", true, false);
    check_terminal(Chat, "data:[DONE]\n\n", true, false);
    check_terminal(Chat, "data: [DONE]", true, false);
    check_terminal(Chat, "data: [DONE] \r\r", true, false);
    check_terminal(Chat, ": [DONE]\n\n", false, false);
    check_terminal(Chat, "\u{feff}data: [DONE]\n\n", true, false);
    check_terminal(Chat, "\n\u{feff}data: [DONE]\n\n", false, false);
    check_terminal(Chat, "data: {\"choices\":[{\"finish_reason\" : \"stop\"}]}\n\n", true, false);
    check_terminal(Chat, "data: {\"choices\":[{\"finish_reason\":\"\"}]}\n\n", false, false);
    check_terminal(Chat, "data: {\"choices\":[{\"finish_reason\":null}]}\n\n", false, false);
    check_terminal(
        Chat,
        "data: {\"choices\":[{\"finish_reason\":null},{\"finish_reason\":\"length\"}]}\n\n",
        true,
        false,
    );
    check_terminal(
        Chat,
        r#"data: {"choices":[{"delta":{"content":"\"finish_reason\":\"stop\""}}]}"#,
        false,
        false,
    );
    check_terminal(Messages, "data:{\"type\":\"message_stop\"}\n\n", true, false);
    check_terminal(
        Messages,
        "data: {\"index\":0,\"type\" : \"message_stop\"}\r\n\r\n",
        true,
        false,
    );
    check_terminal(Messages, "data: {\"delta\":{\"type\":\"message_stop\"}}\n\n", false, false);
    check_terminal(Messages, "event: message_stop\n\n", false, false);
    for name in ["completed", "incomplete", "failed"] {
        check_terminal(
            Responses,
            &format!("data: {{\"response\":{{}},\"type\":\"response.{name}\"}}\n\n"),
            true,
            name == "failed",
        );
    }
    check_terminal(Responses, "data: {\"type\":\"response.created\"}\n\n", false, false);
}

#[test]
fn errors_in_the_stream() {
    use Format::{Chat, Messages, Responses};
    check_terminal(Chat, "data: {\"error\":{\"message\":\"x\"}}\n\n", false, true);
    check_terminal(
        Chat,
        "data: {\"id\":\"a\",\"error\":{\"code\":502},\"choices\":[]}\n\n",
        false,
        true,
    );
    check_terminal(Chat, "data: {\"error\":\"text\"}\n\n", false, true);
    check_terminal(
        Chat,
        "data: {\"type\":\"error\",\"error\":{\"type\":\"GoUsageLimitError\"}}\n\n",
        false,
        true,
    );
    check_terminal(Chat, "data: {\"error\":null,\"choices\":[]}\n\n", false, false);
    check_terminal(Chat, "data: {\"choices\":[{\"x\":{\"error\":{}}}]}\n\n", false, false);
    check_terminal(
        Chat,
        r#"data: {"choices":[{"delta":{"content":"\"error\":{}"}}]}"#,
        false,
        false,
    );
    check_terminal(Chat, "event: error\ndata: broken\n\n", false, true);
    check_terminal(
        Messages,
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
        false,
        true,
    );
    check_terminal(Messages, "data: {\"type\":\"error\"}\n\n", false, true);
    check_terminal(Messages, "data: {\"error\":{\"message\":\"x\"}}\n\n", false, true);
    check_terminal(Responses, "data: {\"type\":\"error\",\"code\":\"x\"}\n\n", false, true);
    for format in [Chat, Messages, Responses] {
        let own = reply::stream_error(format, "server error");
        let watch = watch(format, [own.as_slice()]);
        assert!(watch.failed(), "{format:?}");
    }
}

#[test]
fn usage_on_every_chunk_counts_once() {
    let text = concat!(
        "data: {\"choices\":[{}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\n",
        "data: {\"choices\":[{}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n",
        "data: {\"choices\":[{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":3}}]}\n\n",
        "data: {\"choices\":[],\"usage\":null}\n\n",
        "data: {\"choices\":[],\"usage\":{}}\n\n",
    );
    assert_eq!(whole(Format::Chat, text).reading().tokens.unwrap().output, 3);
}

#[test]
fn a_failed_response_is_metered_too() {
    let text = r#"data: {"type":"response.failed","response":{"error":{"code":"server_error"},"usage":{"input_tokens":5,"output_tokens":1}}}"#;
    assert_eq!(whole(Format::Responses, text).reading().tokens.unwrap().input, 5);
}

#[test]
fn a_long_line_keeps_its_meaning_and_a_huge_one_its_type() {
    let event = |text: usize| {
        format!(
            r#"data: {{"type":"response.completed","response":{{"output":"{}","usage":{{"input_tokens":5,"output_tokens":1}}}}}}"#,
            "x".repeat(text)
        )
    };
    for (text, metered) in [(LINE_LIMIT / 2, true), (2 * LINE_LIMIT, false)] {
        let line = event(text);
        for ending in ["", "\n\n"] {
            let stream = format!("{line}{ending}");
            for size in [stream.len(), 16 * 1024] {
                let watch = watch(Format::Responses, stream.as_bytes().chunks(size));
                assert_eq!(watch.reading().tokens.is_some(), metered);
                assert_eq!(watch.reading().output_bytes, (line.len() - 6) as u64);
                // An unfinished line that is not held to its end is not known to be complete.
                assert_eq!(watch.terminal(), metered || !ending.is_empty());
            }
        }
    }
}

#[test]
fn a_held_stream_gives_back_a_large_line_buffer() {
    let mut watch = Watch::new(Format::Chat);
    watch.feed(&b"x".repeat(10 * CARRY_KEPT));
    watch.feed(b"\n");
    assert!(watch.carry.capacity() <= CARRY_KEPT);
    watch.feed(b"data: {\"choi");
    watch.feed(b"ces\":[]}\n");
    let buffer = watch.carry.as_ptr();
    watch.feed(b"data: {\"choi");
    watch.feed(b"ces\":[]}\n");
    assert_eq!(watch.carry.as_ptr(), buffer, "a warm stream allocates nothing");
}

#[test]
fn what_goes_before_an_own_event() {
    let check = |text: &str, prefix: &str| {
        let watch = whole(Format::Chat, text);
        assert_eq!(watch.cut_prefix(), prefix.as_bytes(), "{text:?}");
    };
    check("", "");
    check("data: 1\n\n", "");
    check("data: 1\r\n\r\n", "");
    check(": ping\n\n", "");
    check("data: 1\n", "\n");
    check("event: x\n", "\n");
    check("data: 1\r\n", "\n");
    check("data: 1", "\n\n");
    check("d", "\n\n");
    // A line feed behind a carriage return belongs to it.
    check("data: 1\r", "\n\n");
    check("data: 1\r\n\r", "\n");
    check("data: 1\r\r", "\n");
    check("\u{feff}", "\n\n");
}

/// An event as a client's parser delivers it: its type and its data.
type Event = (String, String);

/// The parsing rules of the HTML standard, for comparison. What is unfinished at the end is not
/// delivered.
fn parse(stream: &[u8]) -> Vec<Event> {
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n");
    let mut lines: Vec<&str> = text.split(['\n', '\r']).collect();
    lines.pop();
    let (mut events, mut name, mut data) = (Vec::new(), String::new(), Vec::new());
    for line in lines {
        if line.is_empty() {
            if !data.is_empty() {
                events.push((name.clone(), data.join("\n")));
            }
            name.clear();
            data.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut name),
            "data" => data.push(value.to_owned()),
            _ => {}
        }
    }
    events
}

fn separator() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("\n"), Just("\r\n"), Just("\r")]
}

/// A stream in which anything may happen between and within events.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just(String::new()),
        Just(String::new()),
        Just(": keep-alive".to_owned()),
        Just("event: error".to_owned()),
        Just("event: message_stop".to_owned()),
        Just("data: [DONE]".to_owned()),
        Just(r#"data:{"type":"message_stop"}"#.to_owned()),
        Just(r#"data: {"type":"ping","cost":"1"}"#.to_owned()),
        Just(
            r#"data: {"type":"response.completed","response":{"usage":{"input_tokens":1}}}"#
                .to_owned()
        ),
        Just(r#"data: {"choices":[{"finish_reason":null}],"usage":null}"#.to_owned()),
        (0_u32..9)
            .prop_map(|n| format!(r#"data: {{"choices":[],"usage":{{"prompt_tokens":{n}}}}}"#)),
        crate::tests::document().prop_map(|value| format!("data: {value}")),
        "[a-z: {}\"]{0,12}",
    ];
    (any::<bool>(), prop::collection::vec((line, separator()), 0..20)).prop_map(|(mark, lines)| {
        let mut text = String::from(if mark { "\u{feff}" } else { "" });
        for (line, separator) in lines {
            text.push_str(&line);
            text.push_str(separator);
        }
        text.into_bytes()
    })
}

fn format() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Chat), Just(Format::Messages), Just(Format::Responses)]
}

type Seen = (bool, bool, &'static [u8], Reading);

fn seen(watch: &Watch) -> Seen {
    (watch.terminal(), watch.failed(), watch.cut_prefix(), watch.reading())
}

proptest! {
    #[test]
    fn any_chunking_is_seen_alike(
        format in format(),
        stream in stream(),
        end in any::<prop::sample::Index>(),
        cuts in cuts(),
    ) {
        let stream = &stream[..end.index(stream.len() + 1)];
        let once = watch(format, [stream]);
        let parts = watch(format, chunks(stream, cuts));
        prop_assert_eq!(seen(&once), seen(&parts));
    }

    #[test]
    fn any_separator_is_seen_alike(
        sample in 0_usize..3,
        separators in prop::collection::vec(separator(), 1..5),
        mark: bool,
        cuts in cuts(),
    ) {
        let (format, text, tokens, balance) = samples()[sample];
        let mut stream = String::from(if mark { "\u{feff}" } else { "" });
        for (line, separator) in text.lines().zip(separators.iter().cycle()) {
            // A blank line ended by a lone line feed would complete a carriage return before it.
            let separator = if line.is_empty() && stream.ends_with('\r') && *separator == "\n" {
                "\r"
            } else {
                separator
            };
            stream.push_str(line);
            stream.push_str(separator);
        }
        let watch = watch(format, chunks(stream.as_bytes(), cuts));
        let reading = watch.reading();
        prop_assert!(watch.terminal() && !watch.failed());
        prop_assert_eq!((reading.tokens, reading.balance_cost), (Some(tokens), balance));
    }

    #[test]
    fn an_own_event_is_always_parsed_alone(
        format in format(),
        stream in stream(),
        end in any::<prop::sample::Index>(),
        cuts in cuts(),
    ) {
        let mut stream = stream[..end.index(stream.len() + 1)].to_vec();
        let watch = watch(format, chunks(&stream, cuts));
        let own = reply::stream_error(format, "server error");
        let mut expected = parse(&stream);
        stream.extend_from_slice(watch.cut_prefix());
        let before = parse(&stream);
        prop_assert!(before.starts_with(&expected));
        stream.extend_from_slice(&own);
        expected = before;
        expected.extend(parse(&own));
        prop_assert_eq!(parse(&stream), expected);
    }

    #[test]
    fn anything_may_come(
        format in format(),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        cuts in cuts(),
    ) {
        let once = watch(format, [bytes.as_slice()]);
        let parts = watch(format, chunks(&bytes, cuts));
        prop_assert_eq!(seen(&once), seen(&parts));
    }
}
