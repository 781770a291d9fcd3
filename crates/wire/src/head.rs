//! The head of a request body: what routing and session identity need, read in one pass.
//!
//! Bodies are mostly long strings (a conversation of a megabyte is normal), so the pass skips
//! strings by byte search, decodes nothing, and ends as soon as it knows what was asked.

mod opening;

use std::sync::LazyLock;

use memchr::memchr;
use memchr::memmem::Finder;
use saros_core::format::Format;
use xxhash_rust::xxh3::xxh3_128;

use self::opening::Opening;
use crate::json::{self, Cursor};

/// Longer than any model's name or session id.
const NAME_LIMIT: usize = 256;

static MODEL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"model\""));

/// What a request body says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// The model that upstream will read; `None` if there is none, or it is over 256 bytes.
    ///
    /// Upstream does not parse the body either: it takes the first `"model": "…"` of the raw text,
    /// at any depth and without decoding escapes, and so do we.
    pub model: Option<String>,
    /// A stream is asked for (`"stream": true` in the outermost object).
    pub stream: bool,
    /// The session id that the body carries: `prompt_cache_key`, or the session part of
    /// Anthropic's `metadata.user_id`. Printable ASCII without spaces, at most 256 bytes.
    pub session: Option<String>,
    /// Digest of the text of system prompt and first user message; the same in every turn of a
    /// conversation, whether a text comes as a string or in blocks, wherever cache markers
    /// stand. `None` without messages.
    pub opening: Option<u128>,
    /// The body holds a turn of the assistant: the conversation has begun before.
    pub has_assistant: bool,
    /// The scan reached the body's proper end, or all that was asked before it.
    pub well_formed: bool,
}

/// How much of the head is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Model and stream only: the session id came in a header.
    Routing,
    /// Everything.
    Conversation,
}

/// Reads the head of `body`. Total: what is not JSON has an empty head.
pub fn read(body: &[u8], format: Format, depth: Depth) -> Head {
    let mut head = Head { model: model(body), ..Head::default() };
    let mut opening = Opening::default();
    let mut cursor = Cursor::new(body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body));
    if !cursor.take(b'{') {
        return head;
    }
    let mut stream_seen = false;
    while let Some(key) = cursor.key() {
        match (key, depth) {
            (b"stream", _) if !stream_seen => {
                head.stream = cursor.value() == Some(b"true");
                stream_seen = true;
            }
            (_, Depth::Routing) => {
                cursor.value();
            }
            (b"messages", _) if format != Format::Responses => opening.turns(&mut cursor),
            (b"input", _) if format == Format::Responses => opening.turns(&mut cursor),
            (b"system", _) if format == Format::Messages => opening.system(cursor.value()),
            (b"instructions", _) if format == Format::Responses => opening.system(cursor.value()),
            (b"prompt_cache_key", _) => {
                head.session = cursor.value().and_then(json::unquoted).and_then(id);
            }
            (b"metadata", _) if format == Format::Messages && head.session.is_none() => {
                head.session = cursor.value().and_then(session_of_user);
            }
            _ => {
                cursor.value();
            }
        }
        let enough = match depth {
            Depth::Routing => stream_seen,
            Depth::Conversation => stream_seen && head.session.is_some() && opening.known(),
        };
        if enough && !cursor.broken() {
            head.well_formed = true;
            break;
        }
    }
    head.well_formed |= cursor.ended();
    head.has_assistant = opening.has_assistant();
    head.opening = opening.digest();
    head
}

/// A stable session id for a conversation that has none: `ses_` and 26 letters or digits, the form
/// of OpenCode's own ids. `client` keeps the conversations of different clients apart that happen
/// to open with the same words.
pub fn session_id(client: &str, opening: u128) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let identity = opening ^ xxh3_128(client.as_bytes());
    let digest = xxh3_128(&identity.to_le_bytes());
    let mut id = *b"ses_00000000000000000000000000";
    let (_, letters) = id.split_at_mut(4);
    let mut rest = digest;
    for group in letters.chunks_mut(12) {
        #[expect(clippy::cast_possible_truncation, reason = "the next sixty bits are enough")]
        let mut bits = rest as u64;
        for letter in group {
            let digit = (bits % 32) as usize;
            *letter = DIGITS.get(digit).copied().unwrap_or(b'0');
            bits >>= 5;
        }
        rest >>= 60;
    }
    String::from_utf8(id.to_vec()).unwrap_or_default()
}

/// What upstream's scan for the model finds: `/"model"\s*:\s*"([^"]+)"/`.
fn model(body: &[u8]) -> Option<String> {
    let mut rest = body;
    loop {
        let at = MODEL.find(rest)?;
        let behind = rest.get(at + 7..)?;
        let value = skip_space(behind)
            .strip_prefix(b":")
            .map(skip_space)
            .and_then(|value| value.strip_prefix(b"\""));
        if let Some(value) = value {
            // Without a closing quote here there is none for a later match either.
            let name = value.get(..memchr(b'"', value)?)?;
            if !name.is_empty() {
                return (name.len() <= NAME_LIMIT).then(|| readable(name));
            }
        }
        // The closing quote may open the next match.
        rest = rest.get(at + 6..)?;
    }
}

/// As UTF-8 whatever it is, and quickly if it is.
fn readable(text: &[u8]) -> String {
    match str::from_utf8(text) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(text).into_owned(),
    }
}

/// Steps over what `\s` means to upstream, which is not only ASCII.
fn skip_space(text: &[u8]) -> &[u8] {
    let mut rest = text;
    loop {
        rest = match rest {
            [b' ' | b'\t'..=b'\r', next @ ..]
            | [0xC2, 0xA0, next @ ..]
            | [0xE1, 0x9A, 0x80, next @ ..]
            | [0xE2, 0x80, 0x80..=0x8A | 0xA8 | 0xA9 | 0xAF, next @ ..]
            | [0xE2, 0x81, 0x9F, next @ ..]
            | [0xE3, 0x80, 0x80, next @ ..]
            | [0xEF, 0xBB, 0xBF, next @ ..] => next,
            _ => return rest,
        };
    }
}

/// The session part of `metadata.user_id`: Claude Code writes `user_…_account_…_session_<id>`, or
/// JSON in a string with a `session_id`.
fn session_of_user(metadata: &[u8]) -> Option<String> {
    let user = member(metadata, b"user_id").filter(|user| user.len() <= 4096)?;
    let user: String = serde_json::from_slice(user).ok()?;
    match user.rsplit_once("_session_") {
        Some((_, session)) => id(session.as_bytes()),
        None => id(json::unquoted(member(user.as_bytes(), b"session_id")?)?),
    }
}

fn member<'a>(object: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    json::members(object).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// An id that can go into a header as it is.
fn id(text: &[u8]) -> Option<String> {
    let fits = (1..=NAME_LIMIT).contains(&text.len())
        && text.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
    fits.then(|| readable(text))
}

#[cfg(test)]
mod tests;
