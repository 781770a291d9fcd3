//! Watching a stream of server-sent events that is passed through untouched.
//!
//! The watcher sees every byte and keeps none of them, except an unfinished line until its end has
//! come. A payload is looked at line by line: no LLM service splits one over several `data:`
//! lines. What a line means depends on the format and lives in the `event` module.

mod event;

use memchr::memchr2;
use saros_core::format::Format;

use self::event::Facts;
use crate::usage::Reading;

/// A line longer than this is looked at up to here only; its usage then goes unmetered.
const LINE_LIMIT: usize = 1024 * 1024;
/// A line buffer that grew beyond this is given back, so that a held stream stays small.
const CARRY_KEPT: usize = 16 * 1024;

/// The watcher of one stream.
#[derive(Debug)]
pub struct Watch {
    format: Format,
    facts: Facts,
    /// The beginning of the line whose end has not come yet, at most [`LINE_LIMIT`].
    carry: Vec<u8>,
    /// The length of that line so far.
    carried: usize,
    /// No line has ended yet: a byte order mark may stand here.
    first: bool,
    /// The last byte was a carriage return: a line feed would belong to it.
    after_return: bool,
    /// Lines have passed since the last blank one.
    within_event: bool,
}

impl Watch {
    /// A watcher for a stream in `format`.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            facts: Facts::default(),
            carry: Vec::new(),
            carried: 0,
            first: true,
            after_return: false,
            within_event: false,
        }
    }

    /// Looks at the next bytes, in any chunking.
    pub fn feed(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        if self.after_return && !rest.is_empty() {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            self.after_return = false;
        }
        while let Some(end) = memchr2(b'\n', b'\r', rest) {
            let Some((line, ending)) = rest.split_at_checked(end) else { return };
            self.end_line(line);
            rest = match ending {
                [b'\r', b'\n', next @ ..] | [_, next @ ..] => next,
                [] => return,
            };
            self.after_return = rest.is_empty() && ending == b"\r";
        }
        self.hold(rest);
    }

    /// The format's terminal event has passed: chat `[DONE]` or a finish reason, messages
    /// `message_stop`, responses `response.completed`, `failed` or `incomplete`.
    pub fn terminal(&self) -> bool {
        self.facts.terminal || self.with_unfinished_line(|facts| facts.terminal).unwrap_or(false)
    }

    /// An error event has passed.
    pub fn failed(&self) -> bool {
        self.facts.failed || self.with_unfinished_line(|facts| facts.failed).unwrap_or(false)
    }

    /// What must be sent before an event of our own so that clients parse it alone: nothing
    /// between events; a line end that closes an unfinished event; two inside a line. A line feed
    /// right behind a carriage return would only complete that line end, so it takes one more.
    pub fn cut_prefix(&self) -> &'static [u8] {
        let inside_line = self.carried > 0;
        match (inside_line, self.within_event, self.after_return) {
            (true, _, _) | (false, true, true) => b"\n\n",
            (false, true, false) | (false, false, true) => b"\n",
            (false, false, false) => b"",
        }
    }

    /// What the stream has consumed so far.
    pub fn reading(&self) -> Reading {
        let mut reading = self
            .with_unfinished_line(|facts| facts.meter.reading(self.format))
            .unwrap_or_else(|| self.facts.meter.reading(self.format));
        reading.output_bytes = self.facts.meter.bytes + self.payload_bytes(self.line(&self.carry));
        reading
    }

    fn end_line(&mut self, rest: &[u8]) {
        if self.carried == 0 {
            self.whole_line(rest, rest.len());
            return;
        }
        self.hold(rest);
        let mut carry = std::mem::take(&mut self.carry);
        let length = std::mem::take(&mut self.carried);
        self.whole_line(&carry, length);
        if carry.capacity() <= CARRY_KEPT {
            carry.clear();
            self.carry = carry;
        }
    }

    /// `line` may be cut at [`LINE_LIMIT`]; `length` is what it really was.
    fn whole_line(&mut self, line: &[u8], length: usize) {
        let line = self.line(line.get(..LINE_LIMIT).unwrap_or(line));
        self.first = false;
        self.within_event = !line.is_empty();
        self.facts.line(self.format, line);
        if event::payload(line).is_some() {
            self.facts.meter.bytes += length.saturating_sub(LINE_LIMIT) as u64;
        }
    }

    /// `line` without the byte order mark that a stream may begin with.
    fn line<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let mark = if self.first { line.strip_prefix(b"\xEF\xBB\xBF") } else { None };
        mark.unwrap_or(line)
    }

    fn hold(&mut self, part: &[u8]) {
        self.carried += part.len();
        let room = LINE_LIMIT.saturating_sub(self.carry.len());
        self.carry.extend_from_slice(part.get(..room).unwrap_or(part));
    }

    /// Services exist whose last line lacks its end. What is carried then counts, if it is whole.
    fn with_unfinished_line<T>(&self, look: impl Fn(&Facts) -> T) -> Option<T> {
        // Asked after every chunk, so the cheap test first.
        if !matches!(self.carry.last(), Some(b'}' | b']')) {
            return None;
        }
        let line = self.line(&self.carry);
        if !event::is_whole(line) {
            return None;
        }
        let mut facts = self.facts.clone();
        facts.line(self.format, line);
        Some(look(&facts))
    }

    fn payload_bytes(&self, unfinished: &[u8]) -> u64 {
        let beyond = self.carried - self.carry.len();
        event::payload(unfinished).map_or(0, |payload| (payload.len() + beyond) as u64)
    }
}

#[cfg(test)]
mod tests;
