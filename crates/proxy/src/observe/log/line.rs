//! One line, in one of two forms.
//!
//! JSON for programs: `level` as the number that pino gives it (10 trace … 60 fatal), `time` in
//! milliseconds, `msg`, then the fields. Readable for people: time, level, message, then the fields
//! as `name=value`. In both, every text is scrubbed of keys, and control characters are escaped, so
//! that nobody can forge a line or talk to the terminal through a model's name.

use std::fmt::{Display, Write};

use jiff::Timestamp;
use saros_core::time::Millis;
use saros_wire::scrub::scrub;

use crate::observe::log::Level;

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One JSON object a line.
    Json,
    /// For people.
    Readable {
        /// With the level in colour.
        colors: bool,
    },
}

/// A field's name as it stands in a line of either form, with all that belongs around it.
#[derive(Debug, Clone, Copy)]
pub struct Name {
    json: &'static str,
    readable: &'static str,
}

impl Name {
    /// Made by `field_name!`.
    pub const fn new(json: &'static str, readable: &'static str) -> Self {
        Self { json, readable }
    }
}

/// A name of our own, put together when the program is built: every request's line has a dozen.
macro_rules! field_name {
    ($name:literal) => {
        $crate::observe::log::line::Name::new(
            concat!(",\"", $name, "\":"),
            concat!(" ", $name, "="),
        )
    };
}
pub(crate) use field_name;

/// A line in the making.
#[derive(Debug)]
pub struct Line<'a> {
    out: &'a mut String,
    form: Form,
}

impl<'a> Line<'a> {
    /// Begins a line at the end of `out`.
    pub fn begin(out: &'a mut String, form: Form, level: Level, at: Millis, message: &str) -> Self {
        match form {
            Form::Json => {
                out.push_str("{\"level\":");
                digits(out, number(level).into());
                out.push_str(",\"time\":");
                digits(out, at.0.unsigned_abs());
                out.push_str(",\"msg\":\"");
                escape(out, &scrub(message), true);
                out.push('"');
            }
            Form::Readable { colors } => {
                let time = Timestamp::from_millisecond(at.0).unwrap_or_default();
                let (name, color) = name(level);
                if colors {
                    push(out, format_args!("\u{1b}[2m{time:.3}\u{1b}[0m {color}{name}\u{1b}[0m "));
                } else {
                    push(out, format_args!("{time:.3} {name} "));
                }
                escape(out, &scrub(message), false);
            }
        }
        Self { out, form }
    }

    /// Adds a field that is a text.
    pub fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.value(value);
    }

    /// Adds a field of our own that is a text from outside.
    pub fn own_text(&mut self, name: Name, value: &str) {
        self.own_name(name);
        self.value(value);
    }

    fn value(&mut self, value: &str) {
        let value = scrub(value);
        let bare = |byte: u8| byte > b' ' && byte != 0x7f && !b"\"\\=".contains(&byte);
        let quoted = self.form == Form::Json || value.is_empty() || !value.bytes().all(bare);
        if quoted {
            self.out.push('"');
        }
        escape(self.out, &value, quoted);
        if quoted {
            self.out.push('"');
        }
    }

    /// Adds a field that is a word of our own: no secret, nothing to escape.
    pub fn word(&mut self, name: Name, value: &str) {
        self.own_name(name);
        let quote = if self.form == Form::Json { "\"" } else { "" };
        for part in [quote, value, quote] {
            self.out.push_str(part);
        }
    }

    /// Adds a field that is a whole number.
    pub fn count(&mut self, name: Name, value: u64) {
        self.own_name(name);
        digits(self.out, value);
    }

    /// Adds a field that is a number with one decimal, given in tenths.
    pub fn tenths(&mut self, name: Name, value: u64) {
        self.own_name(name);
        digits(self.out, value / 10);
        self.out.push('.');
        digits(self.out, value % 10);
    }

    /// Adds a field that is a number or a truth value: what needs no quotes in JSON.
    pub fn plain(&mut self, name: &str, value: impl Display) {
        self.name(name);
        push(self.out, format_args!("{value}"));
    }

    /// Ends the line.
    pub fn end(self) {
        self.out.push_str(if self.form == Form::Json { "}\n" } else { "\n" });
    }

    fn own_name(&mut self, name: Name) {
        self.out.push_str(if self.form == Form::Json { name.json } else { name.readable });
    }

    fn name(&mut self, name: &str) {
        match self.form {
            Form::Json => {
                self.out.push_str(",\"");
                escape(self.out, name, true);
                self.out.push_str("\":");
            }
            Form::Readable { .. } => {
                self.out.push(' ');
                self.out.push_str(name);
                self.out.push('=');
            }
        }
    }
}

/// Without the machinery of formatting: a request's line has eight numbers.
fn digits(out: &mut String, value: u64) {
    out.push_str(itoa::Buffer::new().format(value));
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}

/// As in a JSON string; C1 controls too, since some terminals obey them. Quotes and backslashes
/// only where the text stands in quotes.
fn escape(out: &mut String, text: &str, quoted: bool) {
    // Nearly every text is plain, and so is seen at a glance.
    if text.bytes().all(|byte| (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\') {
        out.push_str(text);
        return;
    }
    let special = |c: char| c.is_control() || quoted && (c == '"' || c == '\\');
    let mut rest = text;
    while let Some(at) = rest.find(special) {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = tail.chars();
        match chars.next() {
            Some('\n') => out.push_str("\\n"),
            Some(c @ ('"' | '\\')) => {
                out.push('\\');
                out.push(c);
            }
            Some(c) => push(out, format_args!("\\u{:04x}", u32::from(c))),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}

const fn number(level: Level) -> u8 {
    match level {
        Level::Trace => 10,
        Level::Debug => 20,
        Level::Info => 30,
        Level::Warn => 40,
        Level::Error => 50,
        Level::Fatal | Level::Silent => 60,
    }
}

const fn name(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::Trace => ("TRACE", "\u{1b}[2m"),
        Level::Debug => ("DEBUG", "\u{1b}[34m"),
        Level::Info => ("INFO ", "\u{1b}[32m"),
        Level::Warn => ("WARN ", "\u{1b}[33m"),
        Level::Error => ("ERROR", "\u{1b}[31m"),
        Level::Fatal | Level::Silent => ("FATAL", "\u{1b}[1;31m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Millis = Millis(1_795_000_000_123);

    fn line(form: Form, message: &str, model: &str) -> String {
        let mut out = String::new();
        let mut line = Line::begin(&mut out, form, Level::Warn, AT, message);
        line.text("model", model);
        line.plain("status", 200);
        line.end();
        out
    }

    #[test]
    fn json() {
        assert_eq!(
            line(Form::Json, "it \"is\"", "a\\b\n\u{1b}[31m\u{9b}ü"),
            "{\"level\":40,\"time\":1795000000123,\"msg\":\"it \\\"is\\\"\",\
             \"model\":\"a\\\\b\\n\\u001b[31m\\u009bü\",\"status\":200}\n"
        );
        let text = line(Form::Json, "a\u{7f}\tb", "");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["msg"], "a\u{7f}\tb");
        assert_eq!(value["model"], "");
    }

    #[test]
    fn readable() {
        let plain = Form::Readable { colors: false };
        assert_eq!(
            line(plain, "Something", "glm-5.2"),
            "2026-11-18T11:06:40.123Z WARN  Something model=glm-5.2 status=200\n"
        );
        assert_eq!(
            line(plain, "a \"forged\"\nline", "a b\u{1b}[2J"),
            "2026-11-18T11:06:40.123Z WARN  a \"forged\"\\nline model=\"a b\\u001b[2J\" status=200\n"
        );
        let colored = line(Form::Readable { colors: true }, "Something", "glm-5.2");
        assert!(colored.contains("\u{1b}[33mWARN \u{1b}[0m Something"), "{colored:?}");
    }

    #[test]
    fn numbers() {
        let mut out = String::new();
        for value in [0, 7, 10, 1_795_000_000_123, u64::MAX] {
            digits(&mut out, value);
            out.push(' ');
        }
        assert_eq!(out, format!("0 7 10 1795000000123 {} ", u64::MAX));
        let mut out = String::new();
        let mut line = Line { out: &mut out, form: Form::Json };
        line.tenths(field_name!("ms"), 12_345);
        line.count(field_name!("n"), 3);
        assert_eq!(out, ",\"ms\":1234.5,\"n\":3");
    }

    #[test]
    fn keys_are_masked_everywhere() {
        let key = "sk-0123456789abcdefghijklmnopqrstuvwxyz";
        for form in [Form::Json, Form::Readable { colors: false }] {
            let text = line(form, &format!("refused {key}"), &format!("x{key}"));
            assert!(text.contains("refused sk-0...wxyz"), "{text}");
            assert!(!text.contains("456789abc"), "{text}");
        }
    }
}
