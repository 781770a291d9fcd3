//! Reading usage out of a JSON answer that is passed through untouched.

use saros_core::format::Format;

use crate::json::{self, Cursor};
use crate::usage::{Fields, Meter, Reading, USAGE_LIMIT};

/// The scanner of one JSON answer. It follows strings and brackets only, and keeps nothing but
/// the members of the outermost object that it is after.
#[derive(Debug)]
pub struct Tap {
    format: Format,
    depth: usize,
    place: Place,
    /// A key of the outermost object may come next.
    expect_key: bool,
    /// The key that is being read or was read last, as far as it can matter.
    key: Vec<u8>,
    wanted: Option<Wanted>,
    /// The wanted value as far as it has come.
    value: Vec<u8>,
    meter: Meter,
    complete: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Outside of strings.
    Structure,
    /// Inside a string.
    Text,
    /// Inside a string, behind a backslash.
    Escape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Usage,
    Cost,
}

impl Wanted {
    fn of(key: &[u8]) -> Option<Self> {
        match key {
            b"usage" | b"usageMetadata" => Some(Self::Usage),
            b"cost" => Some(Self::Cost),
            _ => None,
        }
    }
}

/// `usageMetadata` is the longest key that matters; one more byte tells it from a longer one.
const KEY_LIMIT: usize = 14;

impl Tap {
    /// A scanner for an answer in `format`.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            depth: 0,
            place: Place::Structure,
            expect_key: false,
            key: Vec::new(),
            wanted: None,
            value: Vec::new(),
            meter: Meter::default(),
            complete: false,
        }
    }

    /// Looks at the next bytes, in any chunking.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.meter.bytes += chunk.len() as u64;
        let mut rest = chunk;
        while !self.complete && !rest.is_empty() {
            let length = match self.place {
                Place::Structure => match self.members(rest) {
                    0 => self.structure(rest),
                    length => length,
                },
                Place::Text => self.text(rest),
                Place::Escape => {
                    self.place = Place::Text;
                    self.keep(rest.get(..1).unwrap_or_default());
                    1
                }
            };
            rest = rest.get(length..).unwrap_or_default();
        }
    }

    /// What the answer has consumed.
    pub fn reading(&self) -> Reading {
        self.meter.reading(self.format)
    }

    /// The JSON value has ended.
    pub fn complete(&self) -> bool {
        self.complete
    }

    /// Reads the outermost object's members that are here as a whole, nearly always all of them.
    /// What it does not step over is for [`Self::structure`], which does the same byte by byte.
    fn members(&mut self, rest: &[u8]) -> usize {
        if self.depth != 1 || !self.expect_key || self.wanted.is_some() {
            return 0;
        }
        let mut cursor = Cursor::new(rest);
        let mut read = 0;
        while let Some(key) = cursor.key() {
            let wanted = Wanted::of(key);
            let from = rest.len() - cursor.left();
            let first = cursor.peek();
            let value = cursor.clone();
            let usage = if wanted == Some(Wanted::Usage) {
                Some(Fields::next(&mut cursor))
            } else {
                cursor.value();
                None
            };
            let ends = matches!(cursor.peek(), Some(b',' | b'}'));
            if !ends || cursor.broken() || cursor.loose() {
                self.begin_member(wanted);
                self.expect_key = false;
                if !cursor.broken() {
                    return from;
                }
                // The value's end is still to come, so there is no need to search for it again.
                match first {
                    Some(b'"') => self.place = Place::Text,
                    Some(b'{' | b'[') => self.depth = 2,
                    _ => return from,
                }
                let behind = rest.len() - value.left() + 1;
                self.keep(rest.get(from..behind).unwrap_or_default());
                return behind;
            }
            read = rest.len() - cursor.left();
            if wanted.is_some() && read - from <= USAGE_LIMIT {
                let value = value.until(&cursor).unwrap_or_default().trim_ascii_end();
                match usage {
                    Some(fields) => self.meter.replace_read(value, fields),
                    None => self.meter.charge(value),
                }
            }
        }
        if cursor.broken() {
            return read;
        }
        self.depth = 0;
        self.complete = true;
        rest.len() - cursor.left()
    }

    /// Steps over punctuation, numbers, words and whatever is nested, up to the next key or the end.
    fn structure(&mut self, rest: &[u8]) -> usize {
        let mut at = 0;
        while let Some(byte) = rest.get(at) {
            let behind = at + 1;
            match byte {
                b'"' => {
                    let Some(length) = self.inside(rest, behind, json::string_length) else {
                        self.place = Place::Text;
                        if self.expect_key {
                            self.key.clear();
                        }
                        self.keep(rest.get(..behind).unwrap_or_default());
                        return behind;
                    };
                    at = behind + length;
                }
                b'{' | b'[' => {
                    if let Some(length) = self.inside(rest, behind, json::close) {
                        at = behind + length - 1;
                    } else {
                        self.depth += 1;
                        self.expect_key = self.depth == 1;
                        if self.expect_key {
                            return behind;
                        }
                    }
                }
                b'}' | b']' => {
                    if self.depth == 1 {
                        self.keep(rest.get(..at).unwrap_or_default());
                        self.end_member();
                    }
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        self.complete = true;
                        return behind;
                    }
                }
                b',' if self.depth == 1 => {
                    self.keep(rest.get(..at).unwrap_or_default());
                    self.end_member();
                    self.expect_key = true;
                    return behind;
                }
                b':' if self.depth == 1 => {
                    self.begin_member(Wanted::of(self.key.strip_suffix(b"\"").unwrap_or_default()));
                    return behind;
                }
                _ => {}
            }
            at += 1;
        }
        self.keep(rest);
        rest.len()
    }

    /// How far a value within the outermost object goes on behind `from`, if all of it is there and
    /// it is no key: then it can be stepped over at once.
    fn inside(
        &self,
        rest: &[u8],
        from: usize,
        length: impl FnOnce(&[u8]) -> Option<usize>,
    ) -> Option<usize> {
        if self.depth == 1 && !self.expect_key { length(rest.get(from..)?) } else { None }
    }

    /// Steps over the text of a string, up to its end or the end of what came.
    fn text(&mut self, rest: &[u8]) -> usize {
        let (length, next) = match json::string_length(rest) {
            Some(quote) => (quote + 1, Place::Structure),
            None if json::ends_in_escape(rest) => (rest.len(), Place::Escape),
            None => (rest.len(), Place::Text),
        };
        let text = rest.get(..length).unwrap_or_default();
        self.place = next;
        if self.expect_key {
            let room = KEY_LIMIT.saturating_sub(self.key.len());
            self.key.extend_from_slice(text.get(..room).unwrap_or(text));
            self.expect_key = next != Place::Structure;
        } else {
            self.keep(text);
        }
        if next == Place::Structure && self.depth == 0 {
            self.complete = true;
        }
        length
    }

    fn begin_member(&mut self, wanted: Option<Wanted>) {
        self.value.clear();
        self.key.clear();
        self.wanted = wanted;
    }

    fn end_member(&mut self) {
        let value = self.value.trim_ascii();
        match self.wanted.take() {
            Some(Wanted::Usage) => self.meter.replace(value),
            Some(Wanted::Cost) => self.meter.charge(value),
            None => {}
        }
    }

    fn keep(&mut self, part: &[u8]) {
        if self.wanted.is_some() {
            self.append(part);
        }
    }

    fn append(&mut self, part: &[u8]) {
        if self.value.len() + part.len() > USAGE_LIMIT {
            self.wanted = None;
            self.value = Vec::new();
        } else {
            if self.value.capacity() == 0 {
                // A usage object fits; growing byte by byte would cost more than the scan.
                self.value.reserve(256);
            }
            self.value.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests;
