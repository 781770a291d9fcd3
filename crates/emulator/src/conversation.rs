//! What a provider reads of a request body: blocks of the prompt, limits, tools, whose turn it is.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::Xxh3;

use crate::model::Format;

/// About four bytes a token, as English and code have.
pub(crate) const BYTES_PER_TOKEN: u64 = 4;

/// A request body, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conversation {
    pub(crate) stream: bool,
    /// The request's own limit on the answer.
    pub(crate) max_tokens: Option<u64>,
    /// The prompt, block by block.
    pub(crate) blocks: Vec<Block>,
    /// Assistant turns already in the conversation.
    pub(crate) turns: usize,
    /// Tools are offered.
    pub(crate) tools: bool,
}

/// A part of the prompt: tools, system prompt or one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Digest of the prompt up to and including this block.
    pub(crate) prefix: u64,
    pub(crate) tokens: u64,
}

type Fields<'a> = BTreeMap<String, &'a RawValue>;

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, default)]
    role: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
}

impl Item<'_> {
    fn is(field: Option<&RawValue>, text: &str) -> bool {
        field.is_some_and(|raw| raw.get().trim_matches('"') == text)
    }

    /// Said by the model rather than to it.
    fn by_assistant(&self) -> bool {
        const KINDS: [&str; 5] = [
            "function_call",
            "custom_tool_call",
            "reasoning",
            "local_shell_call",
            "item_reference",
        ];
        Self::is(self.role, "assistant")
            || Self::is(self.role, "model")
            || KINDS.iter().any(|kind| Self::is(self.kind, kind))
    }
}

impl Conversation {
    /// Reads a body; `None` if it is not a JSON object.
    pub(crate) fn read(format: Format, body: &[u8]) -> Option<Self> {
        let fields: Fields<'_> = serde_json::from_slice(body).ok()?;
        let text = |name: &str| fields.get(name).map(|raw| raw.get());
        let number = |name: &str| text(name).and_then(|raw| raw.parse().ok());
        let mut this = Self {
            stream: text("stream") == Some("true"),
            max_tokens: number("max_output_tokens")
                .or_else(|| number("max_completion_tokens"))
                .or_else(|| number("max_tokens")),
            tools: text("tools").is_some_and(|raw| raw.len() > 2),
            ..Self::default()
        };
        let mut hasher = Xxh3::new();
        for name in ["tools", "system", "instructions"] {
            if let Some(raw) = text(name) {
                this.push(&mut hasher, raw);
            }
        }
        let list = match format {
            Format::Chat | Format::Messages => "messages",
            Format::Responses => "input",
            Format::Google => "contents",
            Format::Systemone => "",
        };
        let Some(raw) = text(list) else { return Some(this) };
        match serde_json::from_str::<Vec<&RawValue>>(raw) {
            Ok(items) => this.read_items(&mut hasher, &items),
            Err(_) => this.push(&mut hasher, raw), // `input` may be a string
        }
        Some(this)
    }

    fn read_items(&mut self, hasher: &mut Xxh3, items: &[&RawValue]) {
        let mut speaking = false;
        for raw in items {
            let item = serde_json::from_str::<Item<'_>>(raw.get()).ok();
            let assistant = item.as_ref().is_some_and(Item::by_assistant);
            self.turns += usize::from(assistant && !speaking);
            speaking = assistant;
            // Codex offers its tools inside the input (clients.md).
            let offers = item.is_some_and(|item| Item::is(item.kind, "additional_tools"));
            self.tools = self.tools || offers;
            self.push(hasher, raw.get());
        }
    }

    fn push(&mut self, hasher: &mut Xxh3, raw: &str) {
        let mut bytes = 0;
        for part in without_marks(raw) {
            hasher.update(part.as_bytes());
            bytes += part.len();
        }
        let tokens = u64::try_from(bytes).unwrap_or(0).div_ceil(BYTES_PER_TOKEN);
        self.blocks.push(Block { prefix: hasher.digest(), tokens });
    }

    /// Tokens of the whole prompt.
    pub(crate) fn prompt_tokens(&self) -> u64 {
        self.blocks.iter().map(|block| block.tokens).sum()
    }
}

/// The text without `"cache_control":{…}`: Anthropic clients move these marks from turn to turn,
/// and they are no part of the prefix.
fn without_marks(mut raw: &str) -> Vec<&str> {
    const MARK: &str = "\"cache_control\":{";
    let mut parts = Vec::new();
    while let Some((before, after)) = raw.split_once(MARK) {
        let Some((_, rest)) = after.split_once('}') else { break };
        parts.push(before.strip_suffix(',').unwrap_or(before));
        raw = rest;
    }
    parts.push(raw);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_what_the_model_said() {
        let chat = br#"{"model":"m","stream":true,"max_tokens":7,"tools":[{"x":1}],"messages":[
            {"role":"system","content":"s"},{"role":"user","content":"u"},
            {"role":"assistant","tool_calls":[]},{"role":"tool","content":"r"}]}"#;
        let read = Conversation::read(Format::Chat, chat).unwrap();
        assert_eq!((read.turns, read.stream, read.max_tokens), (1, true, Some(7)));
        assert!(read.tools);
        assert_eq!(read.blocks.len(), 5);

        let responses = br#"{"model":"m","input":[{"type":"additional_tools","tools":[]},
            {"type":"message","role":"user"},
            {"type":"reasoning"},{"type":"message","role":"assistant"},{"type":"function_call"},
            {"type":"function_call_output"},{"type":"custom_tool_call"},
            {"type":"custom_tool_call_output"}]}"#;
        let read = Conversation::read(Format::Responses, responses).unwrap();
        assert_eq!((read.turns, read.stream, read.tools), (2, false, true));

        let read = Conversation::read(Format::Responses, br#"{"input":"hi"}"#).unwrap();
        assert_eq!((read.turns, read.blocks.len()), (0, 1));
        assert_eq!(Conversation::read(Format::Chat, b"no json"), None);
    }

    #[test]
    fn a_longer_conversation_has_the_same_prefix() {
        let one = br#"{"messages":[{"role":"user","content":[{"text":"a","cache_control":{"type":"ephemeral"}}]}]}"#;
        let two =
            br#"{"messages":[{"role":"user","content":[{"text":"a"}]},{"role":"assistant"}]}"#;
        let one = Conversation::read(Format::Messages, one).unwrap();
        let two = Conversation::read(Format::Messages, two).unwrap();
        assert_eq!(one.blocks[0], two.blocks[0], "a moved cache mark changes nothing");
        assert_ne!(two.blocks[0].prefix, two.blocks[1].prefix);
    }
}
