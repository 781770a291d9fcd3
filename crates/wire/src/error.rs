//! What the body of an error answer says.
//!
//! Bodies come from the service, from providers behind it, from Cloudflare before it, and from
//! whatever sits in between; every one of them is read as far as it can be. Text that comes out
//! is free of secrets and control characters and short enough for a log line.

use saros_core::fault::{Answer, Body};
use saros_core::window::Window;
use serde_json::{Map, Value};

use crate::scrub::scrub;

/// Error bodies are a few hundred bytes; of what is longer this much is read.
const BODY_LIMIT: usize = 64 * 1024;
/// What is kept of a message.
const MESSAGE_LIMIT: usize = 1024;
/// What is kept of a type, a code or a workspace.
const WORD_LIMIT: usize = 128;

/// Reads an answer that is not a 2xx. Tolerant: every body yields an [`Answer`].
pub fn answer(status: u16, retry_after: Option<u64>, body: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(body.get(..BODY_LIMIT).unwrap_or(body));
    let mut answer = match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => of_object(&object),
        // Google's APIs wrap their error into an array.
        Ok(Value::Array(items)) => match items.first() {
            Some(Value::Object(object)) => of_object(object),
            _ => Answer { body: Body::Json, ..Answer::default() },
        },
        Ok(Value::String(message)) => Answer {
            body: Body::Json,
            message: short(&message, MESSAGE_LIMIT),
            ..Answer::default()
        },
        Ok(_) => Answer { body: Body::Json, ..Answer::default() },
        Err(_) => Answer { message: of_text(&text), ..Answer::default() },
    };
    answer.status = status;
    answer.retry_after = retry_after;
    answer.speaks_of_quota = speaks_of_quota(&text);
    answer
}

fn of_object(object: &Map<String, Value>) -> Answer {
    if object.len() == 1 && object.get("model").is_some_and(Value::is_string) {
        return Answer { body: Body::BareModel, ..Answer::default() };
    }
    let error = object.get("error").and_then(Value::as_object);
    let inner = error.unwrap_or(object);
    let metadata =
        object.get("metadata").or_else(|| inner.get("metadata")).and_then(Value::as_object);
    let message = ["message", "detail", "error", "error_description", "title"]
        .into_iter()
        .find_map(|key| text_of(inner, key, MESSAGE_LIMIT));
    Answer {
        body: if error.is_some() { Body::Error } else { Body::Json },
        kind: text_of(inner, "type", WORD_LIMIT),
        // Google writes its code as a number and names it in `status`.
        code: text_of(inner, "code", WORD_LIMIT).or_else(|| text_of(inner, "status", WORD_LIMIT)),
        message,
        workspace: metadata.and_then(|metadata| text_of(metadata, "workspace", WORD_LIMIT)),
        limit: metadata.and_then(|metadata| metadata.get("limitName")?.as_str()).and_then(window),
        ..Answer::default()
    }
}

fn text_of(object: &Map<String, Value>, key: &str, limit: usize) -> Option<String> {
    object.get(key).and_then(Value::as_str).and_then(|text| short(text, limit))
}

/// The service's words for its windows (`5 hour`, `weekly`, `monthly`), and their spellings
/// elsewhere in its interface.
fn window(name: &str) -> Option<Window> {
    match name {
        "5 hour" | "5-hour" | "5h" | "fiveHour" | "rolling" => Some(Window::FiveHour),
        "weekly" => Some(Window::Weekly),
        "monthly" => Some(Window::Monthly),
        _ => None,
    }
}

/// Plain text as it is; of a page, its title.
fn of_text(text: &str) -> Option<String> {
    let text = text.trim_start();
    if !text.starts_with('<') {
        return short(text, MESSAGE_LIMIT);
    }
    let lower = text.to_ascii_lowercase();
    let from = lower.find("<title>")? + "<title>".len();
    let length = lower.get(from..)?.find("</title>")?;
    short(text.get(from..from + length)?, MESSAGE_LIMIT)
}

/// The new inference service's quota answer is not documented; these words would betray it.
fn speaks_of_quota(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["gousagelimit", "usage limit", "limitname"].iter().any(|word| lower.contains(word))
}

/// `text` on one line, without secrets, cut to `limit` bytes; `None` when nothing is left.
fn short(text: &str, limit: usize) -> Option<String> {
    // Scrubbed before it is cut, so that no half of a key is taken for a word.
    let clean = scrub(text.trim());
    let mut line = String::with_capacity(clean.len().min(limit));
    for c in clean.chars() {
        if line.len() + c.len_utf8() > limit {
            break;
        }
        line.push(if c.is_control() { ' ' } else { c });
    }
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests;
