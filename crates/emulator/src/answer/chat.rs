//! OpenAI Chat Completions as Go's providers write them (upstream.md §6.2, §6.3).

use super::{Answer, Stop};
use crate::json::quoted;
use crate::model::Style;
use crate::script::CallOption;
use crate::sse::Frame;

pub(crate) fn frames(answer: &Answer, style: &Style) -> Vec<Frame> {
    let usage_null = if style.null_usage { r#","usage":null"# } else { "" };
    let head = format!(
        r#"{{"id":"chatcmpl-{}","object":"chat.completion.chunk","created":{},"model":{},"choices":["#,
        answer.id,
        answer.created,
        quoted(&answer.model)
    );
    let chunk = |delta: &str, finish: &str| {
        Frame::data(format!(
            r#"{head}{{"index":0,"delta":{delta},"finish_reason":{finish}}}]{usage_null}}}"#
        ))
    };
    let delta = |delta: &str| chunk(delta, "null");
    let mut frames = vec![delta(r#"{"role":"assistant","content":""}"#)];
    for piece in answer.pieces(&answer.reasoning) {
        frames.push(delta(&format!(r#"{{"reasoning_content":{}}}"#, quoted(piece))));
    }
    for piece in answer.pieces(&answer.text) {
        frames.push(delta(&format!(r#"{{"content":{}}}"#, quoted(piece))));
    }
    for (index, call) in answer.calls.iter().enumerate() {
        let (name, arguments) = function(call);
        let call = format!(
            r#"{{"index":{index},"id":"{}","type":"function","function":{{"name":{},"arguments":""}}}}"#,
            call_id(answer, index),
            quoted(&name)
        );
        frames.push(delta(&format!(r#"{{"tool_calls":[{call}]}}"#)));
        for piece in answer.pieces(&arguments) {
            let piece = quoted(piece);
            frames.push(delta(&format!(
                r#"{{"tool_calls":[{{"index":{index},"function":{{"arguments":{piece}}}}}]}}"#
            )));
        }
    }
    frames.push(chunk("{}", &format!("\"{}\"", finish(answer.stop))).terminal());
    frames.push(Frame::data(format!(r#"{head}],"usage":{}}}"#, usage(answer, style))));
    frames.push(Frame::data("[DONE]".to_owned()).terminal());
    if let Some(cost) = answer.cost.legacy() {
        frames.push(Frame::data(format!(r#"{{"choices":[],"cost":"{cost}"}}"#)));
    }
    frames
}

pub(crate) fn whole(answer: &Answer, style: &Style) -> String {
    let reasoning = match answer.reasoning.as_str() {
        "" => String::new(),
        text => format!(r#","reasoning_content":{}"#, quoted(text)),
    };
    let calls: Vec<String> = answer
        .calls
        .iter()
        .enumerate()
        .map(|(index, call)| {
            let (name, arguments) = function(call);
            format!(
                r#"{{"id":"{}","type":"function","function":{{"name":{},"arguments":{}}}}}"#,
                call_id(answer, index),
                quoted(&name),
                quoted(&arguments)
            )
        })
        .collect();
    let calls = match calls.as_slice() {
        [] => String::new(),
        calls => format!(r#","tool_calls":[{}]"#, calls.join(",")),
    };
    let text = quoted(&answer.text);
    let message = format!(r#"{{"role":"assistant","content":{text}{reasoning}{calls}}}"#);
    let cost = answer.cost.legacy().map(|cost| format!(r#","cost":"{cost}""#));
    format!(
        r#"{{"id":"chatcmpl-{}","object":"chat.completion","created":{},"model":{},"choices":[{{"index":0,"message":{message},"finish_reason":"{}"}}],"usage":{}{}}}"#,
        answer.id,
        answer.created,
        quoted(&answer.model),
        finish(answer.stop),
        usage(answer, style),
        cost.unwrap_or_default()
    )
}

/// `prompt_tokens` includes the cached ones.
fn usage(answer: &Answer, style: &Style) -> String {
    let tokens = &answer.tokens;
    let write = match tokens.cache_write {
        0 => String::new(),
        write => format!(r#","cache_creation_input_tokens":{write}"#),
    };
    let cached = if style.moonshot_cached {
        format!(r#""cached_tokens":{}"#, tokens.cached)
    } else {
        format!(r#""prompt_tokens_details":{{"cached_tokens":{}{write}}}"#, tokens.cached)
    };
    format!(
        r#"{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},{cached},"completion_tokens_details":{{"reasoning_tokens":{}}}{}}}"#,
        tokens.prompt(),
        tokens.output,
        tokens.prompt() + tokens.output,
        tokens.reasoning,
        answer.cost.usage_fields()
    )
}

fn finish(stop: Stop) -> &'static str {
    match stop {
        Stop::End => "stop",
        Stop::Length => "length",
        Stop::Tools => "tool_calls",
    }
}

fn call_id(answer: &Answer, index: usize) -> String {
    format!("call_{}{index}", answer.id)
}

/// Chat knows functions only: a custom tool's text goes into one argument.
fn function(call: &CallOption) -> (String, String) {
    match call {
        CallOption::Function { name, arguments } => (name.clone(), arguments.to_string()),
        CallOption::Custom { name, input, .. } => {
            (name.clone(), format!(r#"{{"input":{}}}"#, quoted(input)))
        }
    }
}
