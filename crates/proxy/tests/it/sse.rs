//! A strict reader of event streams, written from the WHATWG specification alone.

use serde_json::Value;

use crate::stage::Dialect;

/// One dispatched event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: String,
}

impl Event {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// An error event of one of the dialects.
    pub(crate) fn is_error(&self) -> bool {
        let Ok(json) = serde_json::from_str::<Value>(&self.data) else { return false };
        self.name == "error"
            || json["type"] == "error"
            || json["type"] == "response.failed"
            || json["error"].is_object()
    }
}

/// Events as a browser would dispatch them: an unfinished one at the end is discarded.
pub(crate) fn parse(bytes: &[u8]) -> Vec<Event> {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "\n");
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut events = Vec::new();
    let (mut name, mut data) = (String::new(), Vec::new());
    let mut lines: Vec<&str> = text.split('\n').collect();
    // What follows the last line end is no line.
    lines.pop();
    for line in lines {
        if line.is_empty() {
            if !data.is_empty() {
                events.push(Event { name: std::mem::take(&mut name), data: data.join("\n") });
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

/// The dialect's terminal event is there.
pub(crate) fn ended(dialect: Dialect, events: &[Event]) -> bool {
    events.iter().any(|event| match dialect {
        Dialect::Chat => event.data == "[DONE]",
        Dialect::Messages => event.name == "message_stop",
        Dialect::Responses => event.name == "response.completed",
    })
}
