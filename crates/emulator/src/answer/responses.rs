//! OpenAI Responses (upstream.md §6.2, §6.3).

use super::{Answer, Stop};
use crate::json::quoted;
use crate::script::CallOption;
use crate::sse::Frame;

pub(crate) fn frames(answer: &Answer) -> Vec<Frame> {
    let mut writer = Writer { frames: Vec::new() };
    let opening = response(answer, "in_progress", "", "null", "");
    writer.push("response.created", &format!(r#""response":{opening}"#));
    writer.push("response.in_progress", &format!(r#""response":{opening}"#));
    for (index, item) in items(answer).iter().enumerate() {
        item.write(answer, index, &mut writer);
    }
    let name = match answer.stop {
        Stop::Length => "response.incomplete",
        Stop::End | Stop::Tools => "response.completed",
    };
    writer.push(name, &format!(r#""response":{}"#, finished(answer, "")));
    if let Some(last) = writer.frames.pop() {
        writer.frames.push(last.terminal());
    }
    if let Some(cost) = answer.cost.legacy() {
        let data = format!(r#"{{"type":"ping","cost":"{cost}"}}"#);
        writer.frames.push(Frame::event("ping", data));
    }
    writer.frames
}

pub(crate) fn whole(answer: &Answer) -> String {
    let cost = answer.cost.legacy().map(|cost| format!(r#","cost":"{cost}""#));
    finished(answer, &cost.unwrap_or_default())
}

struct Writer {
    frames: Vec<Frame>,
}

impl Writer {
    fn push(&mut self, name: &'static str, fields: &str) {
        let number = self.frames.len();
        self.frames.push(Frame::event(
            name,
            format!(r#"{{"type":"{name}","sequence_number":{number},{fields}}}"#),
        ));
    }
}

enum Item<'a> {
    Reasoning,
    Message,
    Call(usize, &'a CallOption),
}

fn items(answer: &Answer) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    if !answer.reasoning.is_empty() {
        items.push(Item::Reasoning);
    }
    if !answer.text.is_empty() || answer.calls.is_empty() {
        items.push(Item::Message);
    }
    items.extend(answer.calls.iter().enumerate().map(|(at, call)| Item::Call(at, call)));
    items
}

impl Item<'_> {
    fn id(&self, answer: &Answer) -> String {
        match self {
            Self::Reasoning => format!("rs_{}", answer.id),
            Self::Message => format!("msg_{}", answer.id),
            Self::Call(at, CallOption::Function { .. }) => format!("fc_{}{at}", answer.id),
            Self::Call(at, CallOption::Custom { .. }) => format!("ctc_{}{at}", answer.id),
        }
    }

    /// The item as JSON, empty or full.
    fn json(&self, answer: &Answer, full: bool) -> String {
        let id = self.id(answer);
        let status = if full { "completed" } else { "in_progress" };
        let content = |text: &str| if full { quoted(text) } else { "\"\"".to_owned() };
        match self {
            Self::Reasoning => {
                let summary = if full {
                    format!(r#"{{"type":"summary_text","text":{}}}"#, quoted(&answer.reasoning))
                } else {
                    String::new()
                };
                format!(r#"{{"id":"{id}","type":"reasoning","summary":[{summary}]}}"#)
            }
            Self::Message => {
                let part = if full { output_text(&answer.text) } else { String::new() };
                format!(
                    r#"{{"id":"{id}","type":"message","status":"{status}","role":"assistant","content":[{part}]}}"#
                )
            }
            Self::Call(at, CallOption::Function { name, arguments }) => format!(
                r#"{{"id":"{id}","type":"function_call","status":"{status}","call_id":"call_{}{at}","name":{},"arguments":{}}}"#,
                answer.id,
                quoted(name),
                content(&arguments.to_string())
            ),
            Self::Call(at, CallOption::Custom { name, namespace, input }) => {
                let namespace = namespace.as_ref().map_or_else(String::new, |namespace| {
                    format!(r#","namespace":{}"#, quoted(namespace))
                });
                format!(
                    r#"{{"id":"{id}","type":"custom_tool_call","status":"{status}","call_id":"call_{}{at}","name":{}{namespace},"input":{}}}"#,
                    answer.id,
                    quoted(name),
                    content(input)
                )
            }
        }
    }

    fn write(&self, answer: &Answer, index: usize, writer: &mut Writer) {
        let at = format!(r#""item_id":"{}","output_index":{index}"#, self.id(answer));
        let item = |full| format!(r#""output_index":{index},"item":{}"#, self.json(answer, full));
        writer.push("response.output_item.added", &item(false));
        match self {
            Self::Reasoning => {
                let at = format!(r#"{at},"summary_index":0"#);
                let part = |text: &str| {
                    format!(r#"{at},"part":{{"type":"summary_text","text":{}}}"#, quoted(text))
                };
                writer.push("response.reasoning_summary_part.added", &part(""));
                for piece in answer.pieces(&answer.reasoning) {
                    let delta = format!(r#"{at},"delta":{}"#, quoted(piece));
                    writer.push("response.reasoning_summary_text.delta", &delta);
                }
                let text = format!(r#"{at},"text":{}"#, quoted(&answer.reasoning));
                writer.push("response.reasoning_summary_text.done", &text);
                writer.push("response.reasoning_summary_part.done", &part(&answer.reasoning));
            }
            Self::Message => {
                let at = format!(r#"{at},"content_index":0"#);
                let part = |text: &str| format!(r#"{at},"part":{}"#, output_text(text));
                writer.push("response.content_part.added", &part(""));
                for piece in answer.pieces(&answer.text) {
                    let delta = format!(r#"{at},"delta":{}"#, quoted(piece));
                    writer.push("response.output_text.delta", &delta);
                }
                let text = format!(r#"{at},"text":{}"#, quoted(&answer.text));
                writer.push("response.output_text.done", &text);
                writer.push("response.content_part.done", &part(&answer.text));
            }
            Self::Call(_, CallOption::Function { arguments, .. }) => {
                let arguments = arguments.to_string();
                for piece in answer.pieces(&arguments) {
                    let delta = format!(r#"{at},"delta":{}"#, quoted(piece));
                    writer.push("response.function_call_arguments.delta", &delta);
                }
                let done = format!(r#"{at},"arguments":{}"#, quoted(&arguments));
                writer.push("response.function_call_arguments.done", &done);
            }
            Self::Call(_, CallOption::Custom { input, .. }) => {
                for piece in answer.pieces(input) {
                    let delta = format!(r#"{at},"delta":{}"#, quoted(piece));
                    writer.push("response.custom_tool_call_input.delta", &delta);
                }
                let done = format!(r#"{at},"input":{}"#, quoted(input));
                writer.push("response.custom_tool_call_input.done", &done);
            }
        }
        writer.push("response.output_item.done", &item(true));
    }
}

fn output_text(text: &str) -> String {
    format!(r#"{{"type":"output_text","text":{},"annotations":[],"logprobs":[]}}"#, quoted(text))
}

fn finished(answer: &Answer, extra: &str) -> String {
    let output: Vec<String> = items(answer).iter().map(|item| item.json(answer, true)).collect();
    let status = match answer.stop {
        Stop::Length => "incomplete",
        Stop::End | Stop::Tools => "completed",
    };
    response(answer, status, &output.join(","), &usage(answer), extra)
}

fn response(answer: &Answer, status: &str, output: &str, usage: &str, extra: &str) -> String {
    let incomplete = match status {
        "incomplete" => r#"{"reason":"max_output_tokens"}"#,
        _ => "null",
    };
    format!(
        r#"{{"id":"resp_{}","object":"response","created_at":{},"status":"{status}","error":null,"incomplete_details":{incomplete},"model":{},"output":[{output}],"parallel_tool_calls":true,"tool_choice":"auto","tools":[],"usage":{usage}{extra}}}"#,
        answer.id,
        answer.created,
        quoted(&answer.model)
    )
}

/// `input_tokens` includes the cached ones.
fn usage(answer: &Answer) -> String {
    let tokens = &answer.tokens;
    format!(
        r#"{{"input_tokens":{},"input_tokens_details":{{"cached_tokens":{},"cache_write_tokens":{}}},"output_tokens":{},"output_tokens_details":{{"reasoning_tokens":{}}},"total_tokens":{}{}}}"#,
        tokens.prompt(),
        tokens.cached,
        tokens.cache_write,
        tokens.output,
        tokens.reasoning,
        tokens.prompt() + tokens.output,
        answer.cost.usage_fields()
    )
}
