//! Reading usage out of a JSON answer that is passed through untouched.

use saros_core::format::Format;

use crate::json;
use crate::usage::{Meter, Reading, USAGE_LIMIT};

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
                Place::Structure => self.structure(rest),
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
                    let close = |inside: &[u8]| json::close(inside, 1);
                    if let Some(length) = self.inside(rest, behind, close) {
                        at = behind + length - 1;
                    } else {
                        self.depth += 1;
                        self.expect_key = self.depth == 1;
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
                    self.begin_member();
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

    fn begin_member(&mut self) {
        self.value.clear();
        self.wanted = match self.key.as_slice() {
            b"usage\"" | b"usageMetadata\"" => Some(Wanted::Usage),
            b"cost\"" => Some(Wanted::Cost),
            _ => None,
        };
        self.key.clear();
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
