//! How a conversation opens: what stays the same in all its turns.

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::json::{self, Cursor};

/// A text's digest covers its length and this much of its beginning: enough to tell conversations
/// apart, and a megabyte pasted into the first message costs nothing.
const TEXT_LIMIT: usize = 64 * 1024;

/// What is no longer, its length included, is digested at once: below this, XXH3 needs no state.
const SHORT: usize = 240;

/// Collects the opening while the body is walked.
#[derive(Default)]
pub(super) struct Opening<'a> {
    /// The system prompt beside the messages.
    system: Text<'a>,
    /// The system prompt as messages before the first user message.
    preamble: Text<'a>,
    user: Text<'a>,
    progress: Progress,
    has_assistant: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Progress {
    #[default]
    NoMessages,
    BeforeUser,
    Complete,
}

impl<'a> Opening<'a> {
    pub(super) fn system(&mut self, content: Option<&'a [u8]>) {
        self.system.add(content.unwrap_or_default());
    }

    /// Reads the messages that come next, as far as necessary.
    pub(super) fn turns(&mut self, cursor: &mut Cursor<'a>) {
        if cursor.peek() == Some(b'"') {
            self.user.add(cursor.value().unwrap_or_default());
            self.progress = Progress::Complete;
            return;
        }
        if !cursor.take(b'[') {
            cursor.value();
            return;
        }
        while cursor.item() {
            if self.known() {
                cursor.leave();
                return;
            }
            if self.progress == Progress::NoMessages {
                self.progress = Progress::BeforeUser;
            }
            self.turn(cursor);
        }
    }

    /// Nothing further in the messages can change what is asked.
    pub(super) fn known(&self) -> bool {
        self.has_assistant && self.progress == Progress::Complete
    }

    pub(super) fn has_assistant(&self) -> bool {
        self.has_assistant
    }

    pub(super) fn digest(self) -> Option<u128> {
        if self.progress == Progress::NoMessages {
            return None;
        }
        let mut parts = [0; 48];
        let digests = [self.system.digest(), self.preamble.digest(), self.user.digest()];
        for (part, digest) in parts.chunks_exact_mut(16).zip(digests) {
            part.copy_from_slice(&digest.to_le_bytes());
        }
        Some(xxh3_128(&parts))
    }

    fn turn(&mut self, cursor: &mut Cursor<'a>) {
        if !cursor.take(b'{') {
            cursor.value();
            return;
        }
        let (mut role, mut kind, mut content) = (None, None, None);
        while let Some(key) = cursor.key() {
            let value = cursor.value();
            match key {
                b"role" => role = value.and_then(json::unquoted),
                b"type" => kind = value.and_then(json::unquoted),
                b"content" => content = value,
                _ => {}
            }
        }
        match role {
            Some(b"system" | b"developer") if self.progress == Progress::BeforeUser => {
                self.preamble.add(content.unwrap_or_default());
            }
            Some(b"user") if self.progress == Progress::BeforeUser => {
                self.user.add(content.unwrap_or_default());
                self.progress = Progress::Complete;
            }
            // A tool's answer follows a call of the assistant's. In the Responses format only
            // messages have roles; calls, reasoning and results are items of their own type.
            Some(b"assistant" | b"tool") => self.has_assistant = true,
            None if kind.is_some_and(|kind| kind != b"message") => self.has_assistant = true,
            _ => {}
        }
    }
}

/// Digest of a text that may come in pieces.
struct Text<'a> {
    /// The first piece, which mostly is all there is.
    first: &'a [u8],
    /// What came behind it; made when it is needed, for it is large.
    hash: Option<Box<Xxh3>>,
    length: u64,
    room: usize,
}

impl Default for Text<'_> {
    fn default() -> Self {
        Self { first: &[], hash: None, length: 0, room: TEXT_LIMIT }
    }
}

impl<'a> Text<'a> {
    /// Adds a message's content: a string, or the texts of its blocks. As written, escapes and
    /// all: a client writes the same text the same way in each turn.
    fn add(&mut self, content: &'a [u8]) {
        if let Some(text) = json::unquoted(content) {
            self.piece(text);
            return;
        }
        for block in json::items(content) {
            if let Some(text) = json::unquoted(block) {
                self.piece(text);
            }
            for (key, value) in json::members(block) {
                if key == b"text"
                    && let Some(text) = json::unquoted(value)
                {
                    self.piece(text);
                }
            }
        }
    }

    fn piece(&mut self, text: &'a [u8]) {
        let within = text.get(..self.room).unwrap_or(text);
        if self.length == 0 {
            self.first = within;
        } else {
            let first = self.first;
            self.hash
                .get_or_insert_with(|| {
                    let mut hash = Box::new(Xxh3::new());
                    hash.update(first);
                    hash
                })
                .update(within);
        }
        self.room -= within.len();
        self.length += text.len() as u64;
    }

    fn digest(self) -> u128 {
        let length = self.length.to_le_bytes();
        if let Some(mut hash) = self.hash {
            hash.update(&length);
            return hash.digest128();
        }
        let end = self.first.len();
        let mut short = [0; SHORT];
        if let Some(room) = short.get_mut(..end + length.len()) {
            let (text, behind) = room.split_at_mut(end);
            text.copy_from_slice(self.first);
            behind.copy_from_slice(&length);
            return xxh3_128(room);
        }
        let mut hash = Xxh3::new();
        hash.update(self.first);
        hash.update(&length);
        hash.digest128()
    }
}
