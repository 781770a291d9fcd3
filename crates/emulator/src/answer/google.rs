//! Google `generateContent`, new layout only (upstream.md §0.2, §6.2).

use super::{Answer, Stop};
use crate::json::quoted;
use crate::script::CallOption;
use crate::sse::Frame;

pub(crate) fn frames(answer: &Answer) -> Vec<Frame> {
    let mut frames: Vec<Frame> = answer
        .pieces(&answer.text)
        .map(|piece| {
            let part = format!(r#"{{"text":{}}}"#, quoted(piece));
            Frame::data(document(answer, &part, None))
        })
        .collect();
    let last = calls(answer).join(",");
    frames.push(Frame::data(document(answer, &last, Some(finish(answer.stop)))).terminal());
    frames
}

pub(crate) fn whole(answer: &Answer) -> String {
    let mut parts = vec![format!(r#"{{"text":{}}}"#, quoted(&answer.text))];
    parts.extend(calls(answer));
    document(answer, &parts.join(","), Some(finish(answer.stop)))
}

fn calls(answer: &Answer) -> Vec<String> {
    let call = |call: &CallOption| match call {
        CallOption::Function { name, arguments } => {
            format!(r#"{{"functionCall":{{"name":{},"args":{arguments}}}}}"#, quoted(name))
        }
        CallOption::Custom { name, input, .. } => {
            let (name, input) = (quoted(name), quoted(input));
            format!(r#"{{"functionCall":{{"name":{name},"args":{{"input":{input}}}}}}}"#)
        }
    };
    answer.calls.iter().map(call).collect()
}

fn finish(stop: Stop) -> &'static str {
    match stop {
        Stop::Length => "MAX_TOKENS",
        Stop::End | Stop::Tools => "STOP",
    }
}

fn document(answer: &Answer, parts: &str, finish: Option<&str>) -> String {
    let tokens = &answer.tokens;
    let end = finish.map_or_else(String::new, |reason| format!(r#","finishReason":"{reason}""#));
    let usage = finish.map_or_else(String::new, |_| {
        format!(
            r#","usageMetadata":{{"promptTokenCount":{},"cachedContentTokenCount":{},"candidatesTokenCount":{},"thoughtsTokenCount":{},"totalTokenCount":{}{}}}"#,
            tokens.prompt(),
            tokens.cached,
            tokens.output - tokens.reasoning,
            tokens.reasoning,
            tokens.prompt() + tokens.output,
            answer.cost.usage_fields()
        )
    });
    format!(
        r#"{{"candidates":[{{"content":{{"role":"model","parts":[{parts}]}},"index":0{end}}}],"modelVersion":{}{usage}}}"#,
        quoted(&answer.model)
    )
}
