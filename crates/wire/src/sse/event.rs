//! What one line of an event stream means.
//!
//! This runs for every event of every stream. Chat payloads have no type, so the few words that
//! matter are searched for; the other formats name their type first, and all but a handful of
//! types are done with right there. A JSON string cannot hold an unescaped quote, so a quoted
//! word followed by a colon is a key and never part of a model's text.

use memchr::memmem::Finder;
use saros_core::format::Format;
use std::sync::LazyLock;

use crate::json::{self, Cursor};
use crate::usage::Meter;

static FINISH_REASON: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new("\"finish_reason\""));
static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));
static COST: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"cost\""));

/// The service's own cost event is about fifty bytes long.
const COST_EVENT_LIMIT: usize = 256;

/// What has passed by.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) terminal: bool,
    pub(super) failed: bool,
    pub(super) meter: Meter,
}

/// What a line carries as data.
pub(super) fn payload(line: &[u8]) -> Option<&[u8]> {
    let value = line.strip_prefix(b"data:")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// The line carries a JSON value to its end, or `[DONE]`, which can pass for one.
pub(super) fn is_whole(line: &[u8]) -> bool {
    payload(line).is_some_and(|payload| {
        let mut cursor = Cursor::new(payload);
        cursor.value().is_some() && cursor.ended()
    })
}

impl Facts {
    pub(super) fn line(&mut self, format: Format, line: &[u8]) {
        if let Some(payload) = payload(line) {
            self.meter.bytes += payload.len() as u64;
            match format {
                Format::Chat => self.chat(payload),
                Format::Messages => self.messages(payload),
                Format::Responses => self.responses(payload),
            }
        } else if let Some(name) = line.strip_prefix(b"event:")
            && name.trim_ascii() == b"error"
        {
            self.failed = true;
        }
    }

    fn chat(&mut self, payload: &[u8]) {
        if !payload.starts_with(b"{") {
            self.terminal |= payload.trim_ascii() == b"[DONE]";
            return;
        }
        // An empty reason is how some providers write none.
        self.terminal = self.terminal
            || values(payload, &FINISH_REASON, 15)
                .any(|value| value.starts_with(b"\"") && !value.starts_with(b"\"\""));
        for value in values(payload, &USAGE, 7) {
            if value.starts_with(b"{")
                && let Some(usage) = Cursor::new(value).value()
            {
                self.meter.replace(usage);
            }
        }
        if !self.failed && values(payload, &ERROR, 7).any(is_error) {
            self.failed =
                json::members(payload).any(|(key, value)| key == b"error" && is_error(value));
        }
        self.cost(payload);
    }

    fn messages(&mut self, payload: &[u8]) {
        match kind(payload) {
            Some(b"message_start") => {
                if let Some(usage) = member(payload, b"message").and_then(|m| member(m, b"usage")) {
                    self.meter.merge(usage);
                }
            }
            Some(b"message_delta") => {
                if let Some(usage) = member(payload, b"usage") {
                    self.meter.merge(usage);
                }
            }
            Some(b"message_stop") => self.terminal = true,
            Some(b"error") => self.failed = true,
            Some(b"ping") => self.cost(payload),
            Some(_) => {}
            None => self.failed |= member(payload, b"error").is_some_and(is_error),
        }
    }

    fn responses(&mut self, payload: &[u8]) {
        match kind(payload) {
            Some(last @ (b"response.completed" | b"response.failed" | b"response.incomplete")) => {
                self.terminal = true;
                self.failed |= last == b"response.failed";
                if let Some(usage) = member(payload, b"response").and_then(|r| member(r, b"usage"))
                {
                    self.meter.replace(usage);
                }
            }
            Some(b"error") => self.failed = true,
            Some(b"ping") => self.cost(payload),
            Some(_) => {}
            None => self.failed |= member(payload, b"error").is_some_and(is_error),
        }
    }

    /// The event that the service appends behind the provider's stream: `{"choices":[],"cost":"0"}`
    /// or `{"type":"ping","cost":"0"}`.
    fn cost(&mut self, payload: &[u8]) {
        if payload.len() <= COST_EVENT_LIMIT
            && COST.find(payload).is_some()
            && let Some(cost) = member(payload, b"cost")
        {
            self.meter.charge(cost);
        }
    }
}

/// What follows each occurrence of a quoted key of `length` bytes: the value and all behind it.
fn values<'a>(
    payload: &'a [u8],
    key: &'a Finder<'static>,
    length: usize,
) -> impl Iterator<Item = &'a [u8]> {
    key.find_iter(payload).filter_map(move |at| {
        let value = payload.get(at + length..)?.trim_ascii_start().strip_prefix(b":")?;
        Some(value.trim_ascii_start())
    })
}

/// A value of `error` that is one: an object or a text.
fn is_error(value: &[u8]) -> bool {
    value.starts_with(b"{") || (value.starts_with(b"\"") && !value.starts_with(b"\"\""))
}

/// The event's type; in nearly every event the first member.
fn kind(payload: &[u8]) -> Option<&[u8]> {
    json::unquoted(member(payload, b"type")?)
}

fn member<'a>(object: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    json::members(object).find(|(key, _)| *key == name).map(|(_, value)| value)
}
