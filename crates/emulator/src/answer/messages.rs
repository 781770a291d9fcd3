//! Anthropic Messages (upstream.md §6.2, §6.3).

use super::{Answer, Stop};
use crate::json::quoted;
use crate::script::CallOption;
use crate::sse::Frame;

pub(crate) fn frames(answer: &Answer) -> Vec<Frame> {
    let mut frames = vec![
        Frame::event(
            "message_start",
            format!(
                r#"{{"type":"message_start","message":{{"id":"msg_{}","type":"message","role":"assistant","model":{},"content":[],"stop_reason":null,"stop_sequence":null,"usage":{{{},"output_tokens":1}}}}}}"#,
                answer.id,
                quoted(&answer.model),
                prompt_usage(answer)
            ),
        ),
        Frame::event("ping", r#"{"type":"ping"}"#.to_owned()),
    ];
    let mut index = 0;
    let mut block = |start: &str, deltas: Vec<String>| {
        frames.push(Frame::event(
            "content_block_start",
            format!(r#"{{"type":"content_block_start","index":{index},"content_block":{start}}}"#),
        ));
        frames.extend(deltas.into_iter().map(|delta| {
            Frame::event(
                "content_block_delta",
                format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#),
            )
        }));
        frames.push(Frame::event(
            "content_block_stop",
            format!(r#"{{"type":"content_block_stop","index":{index}}}"#),
        ));
        index += 1;
    };
    if !answer.reasoning.is_empty() {
        let mut deltas: Vec<String> = answer
            .pieces(&answer.reasoning)
            .map(|piece| format!(r#"{{"type":"thinking_delta","thinking":{}}}"#, quoted(piece)))
            .collect();
        deltas.push(r#"{"type":"signature_delta","signature":"c2lnbmF0dXJl"}"#.to_owned());
        block(r#"{"type":"thinking","thinking":"","signature":""}"#, deltas);
    }
    if !answer.text.is_empty() || answer.calls.is_empty() {
        let deltas = answer
            .pieces(&answer.text)
            .map(|piece| format!(r#"{{"type":"text_delta","text":{}}}"#, quoted(piece)))
            .collect();
        block(r#"{"type":"text","text":""}"#, deltas);
    }
    for (at, call) in answer.calls.iter().enumerate() {
        let (name, input) = tool(call);
        let start = format!(
            r#"{{"type":"tool_use","id":"toolu_{}{at}","name":{},"input":{{}}}}"#,
            answer.id,
            quoted(&name)
        );
        let deltas = answer
            .pieces(&input)
            .map(|piece| {
                format!(r#"{{"type":"input_json_delta","partial_json":{}}}"#, quoted(piece))
            })
            .collect();
        block(&start, deltas);
    }
    frames.push(Frame::event(
        "message_delta",
        format!(
            r#"{{"type":"message_delta","delta":{{"stop_reason":"{}","stop_sequence":null}},"usage":{{{},"output_tokens":{}{}}}}}"#,
            stop_reason(answer.stop),
            prompt_usage(answer),
            answer.tokens.output,
            answer.cost.usage_fields()
        ),
    ));
    frames.push(Frame::event("message_stop", r#"{"type":"message_stop"}"#.to_owned()).terminal());
    if let Some(cost) = answer.cost.legacy() {
        let data = format!(r#"{{"type":"ping","cost":"{cost}"}}"#);
        frames.push(Frame::event("ping", data));
    }
    frames
}

pub(crate) fn whole(answer: &Answer) -> String {
    let mut content = Vec::new();
    if !answer.reasoning.is_empty() {
        content.push(format!(
            r#"{{"type":"thinking","thinking":{},"signature":"c2lnbmF0dXJl"}}"#,
            quoted(&answer.reasoning)
        ));
    }
    if !answer.text.is_empty() || answer.calls.is_empty() {
        content.push(format!(r#"{{"type":"text","text":{}}}"#, quoted(&answer.text)));
    }
    for (at, call) in answer.calls.iter().enumerate() {
        let (name, input) = tool(call);
        content.push(format!(
            r#"{{"type":"tool_use","id":"toolu_{}{at}","name":{},"input":{input}}}"#,
            answer.id,
            quoted(&name)
        ));
    }
    let cost = answer.cost.legacy().map(|cost| format!(r#","cost":"{cost}""#));
    format!(
        r#"{{"id":"msg_{}","type":"message","role":"assistant","model":{},"content":[{}],"stop_reason":"{}","stop_sequence":null,"usage":{{{},"output_tokens":{}{}}}{}}}"#,
        answer.id,
        quoted(&answer.model),
        content.join(","),
        stop_reason(answer.stop),
        prompt_usage(answer),
        answer.tokens.output,
        answer.cost.usage_fields(),
        cost.unwrap_or_default()
    )
}

/// `input_tokens` excludes cached and written ones.
fn prompt_usage(answer: &Answer) -> String {
    let tokens = &answer.tokens;
    format!(
        r#""input_tokens":{},"cache_creation_input_tokens":{write},"cache_read_input_tokens":{},"cache_creation":{{"ephemeral_5m_input_tokens":{write},"ephemeral_1h_input_tokens":0}}"#,
        tokens.input,
        tokens.cached,
        write = tokens.cache_write
    )
}

fn stop_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::End => "end_turn",
        Stop::Length => "max_tokens",
        Stop::Tools => "tool_use",
    }
}

fn tool(call: &CallOption) -> (String, String) {
    match call {
        CallOption::Function { name, arguments } => (name.clone(), arguments.to_string()),
        CallOption::Custom { name, input, .. } => {
            (name.clone(), format!(r#"{{"input":{}}}"#, quoted(input)))
        }
    }
}
