//! What the model answers, before it is written in a format.

pub(crate) mod chat;
pub(crate) mod google;
pub(crate) mod messages;
pub(crate) mod responses;
pub(crate) mod systemone;

use crate::conversation::BYTES_PER_TOKEN;
use crate::json::quoted;
use crate::model::{Format, Style};
use crate::price::{Money, Tokens};
use crate::script::{CallOption, Spoken};
use crate::settings::Speech;
use crate::sse::Frame;

/// An answer with its bill.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Distinguishes answers; ids in the formats are made from it.
    pub(crate) id: String,
    pub(crate) model: String,
    /// Seconds since 1970.
    pub(crate) created: i64,
    pub(crate) reasoning: String,
    pub(crate) text: String,
    pub(crate) calls: Vec<CallOption>,
    pub(crate) tokens: Tokens,
    pub(crate) stop: Stop,
    /// Tokens per delta.
    pub(crate) grain: u64,
    pub(crate) cost: CostReport,
}

/// Why the model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    End,
    Length,
    Tools,
}

/// How the cost stands on the wire (upstream.md §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CostReport {
    /// A trailing chunk, or a top-level `cost`, with what the balance paid.
    Legacy { paid: Money },
    /// `usage.opencode.list_cost` and `usage.cost`.
    New { list: Money, paid: Money },
}

impl CostReport {
    /// `"0"`, or dollars with eight decimals.
    pub(crate) fn legacy(self) -> Option<String> {
        match self {
            Self::Legacy { paid: Money::ZERO } => Some("0".to_owned()),
            Self::Legacy { paid } => Some(format!("{:.8}", paid.to_dollars())),
            Self::New { .. } => None,
        }
    }

    /// The further fields of `usage`, with a leading comma.
    pub(crate) fn usage_fields(self) -> String {
        match self {
            Self::Legacy { .. } => String::new(),
            Self::New { list, paid } => format!(
                r#","opencode":{{"list_cost":{}}},"cost":{}"#,
                list.to_dollars(),
                paid.to_dollars()
            ),
        }
    }
}

impl Answer {
    /// The answer as a stream of the format.
    pub(crate) fn frames(&self, format: Format, style: &Style) -> Vec<Frame> {
        match format {
            Format::Chat => chat::frames(self, style),
            Format::Messages => messages::frames(self),
            Format::Responses => responses::frames(self),
            Format::Google => google::frames(self),
            Format::Systemone => vec![Frame::data(systemone::whole(self))],
        }
    }

    /// The answer as one JSON document of the format.
    pub(crate) fn whole(&self, format: Format, style: &Style) -> String {
        match format {
            Format::Chat => chat::whole(self, style),
            Format::Messages => messages::whole(self),
            Format::Responses => responses::whole(self),
            Format::Google => google::whole(self),
            Format::Systemone => systemone::whole(self),
        }
    }

    /// Cuts a text into deltas.
    pub(crate) fn pieces<'a>(&self, text: &'a str) -> Pieces<'a> {
        let bytes = usize::try_from(self.grain.saturating_mul(BYTES_PER_TOKEN)).unwrap_or(64);
        Pieces { rest: text, bytes: bytes.max(1) }
    }
}

/// The error event a provider sends within a stream (upstream.md §6.1).
pub(crate) fn error_frame(format: Format) -> Frame {
    const MESSAGE: &str = "The server had an error while processing your request";
    let text = quoted(MESSAGE);
    match format {
        Format::Messages => Frame::event(
            "error",
            format!(r#"{{"type":"error","error":{{"type":"api_error","message":{text}}}}}"#),
        ),
        Format::Responses => Frame::event(
            "response.failed",
            format!(
                r#"{{"type":"response.failed","response":{{"id":"resp_failed","object":"response","status":"failed","error":{{"code":"server_error","message":{text}}},"usage":null}}}}"#
            ),
        ),
        _ => Frame::data(format!(
            r#"{{"error":{{"message":{text},"type":"server_error","code":"server_error"}}}}"#
        )),
    }
}

/// Deltas of a text: about `bytes` each, never inside a character.
pub(crate) struct Pieces<'a> {
    rest: &'a str,
    bytes: usize,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let cut = (self.bytes..self.rest.len())
            .find(|at| self.rest.is_char_boundary(*at))
            .unwrap_or(self.rest.len());
        let (piece, rest) = self.rest.split_at_checked(cut)?;
        self.rest = rest;
        Some(piece)
    }
}

/// What is said, with its length in tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Utterance {
    pub(crate) spoken: Spoken,
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
    pub(crate) grain: u64,
    pub(crate) cut: bool,
}

impl Utterance {
    /// What a script decided.
    pub(crate) fn scripted(spoken: Spoken, speech: &Speech) -> Self {
        let reasoning = tokens_of(&spoken.reasoning);
        let calls: u64 = spoken
            .calls
            .iter()
            .map(|call| match call {
                CallOption::Function { arguments, .. } => tokens_of(&arguments.to_string()) + 4,
                CallOption::Custom { input, .. } => tokens_of(input) + 4,
            })
            .sum();
        let output = (reasoning + tokens_of(&spoken.text) + calls).max(1);
        Self { spoken, output, reasoning, grain: speech.tokens_per_event.max(1), cut: false }
    }

    /// What a model says without a script.
    ///
    /// `limit`: the most the request and the model allow.
    pub(crate) fn unscripted(speech: &Speech, limit: u64) -> Self {
        let reasoning = speech.reasoning_tokens.min(limit);
        let left = limit - reasoning;
        if !speech.text.is_empty() {
            let output = reasoning + tokens_of(&speech.text);
            let spoken = Spoken {
                reasoning: filler(reasoning, u64::MAX),
                text: speech.text.clone(),
                calls: Vec::new(),
            };
            let grain = speech.tokens_per_event.max(1);
            return Self { spoken, output, reasoning, grain, cut: false };
        }
        let said = if speech.up_to_max { left } else { speech.output_tokens.min(left) };
        let grain = speech.tokens_per_event.max(1);
        let most = speech.max_events.max(1).saturating_mul(grain);
        let spoken = Spoken {
            reasoning: filler(reasoning, most),
            text: filler(said, most),
            calls: Vec::new(),
        };
        let cut = !speech.up_to_max && speech.output_tokens > left;
        Self { spoken, output: reasoning + said, reasoning, grain, cut }
    }
}

fn tokens_of(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(0).div_ceil(BYTES_PER_TOKEN)
}

/// `tokens` of harmless words, but not more than `most`.
fn filler(tokens: u64, most: u64) -> String {
    const WORDS: &str = "the sea is calm and the wind is low; a boat lies at the pier, its lamp \
                         is lit, and one by one the stars come out above the bay. ";
    let bytes = usize::try_from(tokens.min(most).saturating_mul(BYTES_PER_TOKEN)).unwrap_or(0);
    WORDS.chars().cycle().take(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_respect_characters() {
        let pieces = Pieces { rest: "aä€b", bytes: 2 };
        assert_eq!(pieces.collect::<Vec<_>>(), ["aä", "€", "b"]);
    }

    #[test]
    fn the_request_limits_the_answer() {
        let speech = Speech { output_tokens: 100, ..Speech::default() };
        let free = Utterance::unscripted(&speech, 1_000);
        assert_eq!((free.output, free.cut, free.spoken.text.len()), (100, false, 400));
        let short = Utterance::unscripted(&speech, 10);
        assert_eq!((short.output, short.cut), (10, true));
        let full = Speech { up_to_max: true, max_events: 2, ..speech };
        let full = Utterance::unscripted(&full, 5_000);
        assert_eq!((full.output, full.cut, full.spoken.text.len()), (5_000, false, 32));
    }

    #[test]
    fn cost_as_the_service_writes_it() {
        let paid = Money::dollars(0.0123);
        assert_eq!(CostReport::Legacy { paid: Money::ZERO }.legacy().unwrap(), "0");
        assert_eq!(CostReport::Legacy { paid }.legacy().unwrap(), "0.01230000");
        let new = CostReport::New { list: paid, paid: Money::ZERO };
        assert_eq!(new.usage_fields(), r#","opencode":{"list_cost":0.0123},"cost":0"#);
    }
}
