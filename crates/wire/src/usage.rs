//! What an answer says that it consumed.
//!
//! Every format counts differently; the rules here are the ones by which the service itself reads
//! the usage of its providers, so that our meter and its bill agree.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use saros_core::format::Format;
use saros_core::meter::Tokens;

use crate::json::{self, Cursor};

/// No usage object of any provider comes near this size; what is longer is none.
pub(crate) const USAGE_LIMIT: usize = 16 * 1024;

/// What an answer said about its consumption.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reading {
    /// Tokens, once a usage object was seen.
    pub tokens: Option<Tokens>,
    /// List price in dollars, if the service named it (`usage.opencode.list_cost`).
    pub list_cost: Option<f64>,
    /// What was charged to the prepaid balance in dollars, if the service named it.
    pub balance_cost: Option<f64>,
    /// Bytes of payload seen (`data:` of a stream, or the whole JSON), to estimate the cost of an
    /// answer that was cut before its usage.
    pub output_bytes: u64,
}

/// Collects what passes by; cheap while it does, exact at the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter {
    merged: Fields,
    /// The last usage object, unread: some providers repeat it in every chunk, and only the last
    /// one counts.
    last: Vec<u8>,
    tail_cost: Option<f64>,
    /// Bytes of payload.
    pub(crate) bytes: u64,
}

impl Meter {
    /// This usage object stands for the whole answer so far.
    pub(crate) fn replace(&mut self, object: &[u8]) {
        if is_usage(object) {
            self.merged = Fields::default();
            self.last.clear();
            self.last.extend_from_slice(object);
        }
    }

    /// The same for one that was read while it passed.
    pub(crate) fn replace_read(&mut self, object: &[u8], fields: Fields) {
        if is_usage(object) {
            self.merged = fields;
            self.last.clear();
        }
    }

    /// This usage object updates the fields that it names.
    pub(crate) fn merge(&mut self, object: &[u8]) {
        if object.len() <= USAGE_LIMIT {
            self.merged.read(&mut Cursor::new(object));
        }
    }

    /// The `cost` that the service itself adds to an answer: a string of dollars, what the
    /// prepaid balance was charged. It outranks `usage.cost`, which can be a provider's view.
    pub(crate) fn charge(&mut self, value: &[u8]) {
        self.tail_cost = dollars(value).or(self.tail_cost);
    }

    pub(crate) fn reading(&self, format: Format) -> Reading {
        let mut fields = self.merged;
        if !self.last.is_empty() {
            fields.read(&mut Cursor::new(&self.last));
        }
        Reading {
            tokens: fields.tokens(format),
            list_cost: fields.list_cost,
            balance_cost: self.tail_cost.or(fields.cost),
            output_bytes: self.bytes,
        }
    }
}

/// Tells a real usage object from a property of that name in an echoed tool description.
fn is_usage(object: &[u8]) -> bool {
    object.len() <= USAGE_LIMIT && TELLING.iter().any(|word| word.find(object).is_some())
}

/// Built once: building them costs more than a search.
static TELLING: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| ["_tokens\"", "TokenCount\"", "\"list_cost\""].map(Finder::new));

/// The fields of all formats' usage objects; their names do not collide.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fields {
    input: Option<u64>,
    output: Option<u64>,
    thoughts: Option<u64>,
    cached: Option<u64>,
    cached_detail: Option<u64>,
    write: Option<u64>,
    write_detail: Option<u64>,
    write_5m: Option<u64>,
    write_1h: Option<u64>,
    reasoning: Option<u64>,
    list_cost: Option<f64>,
    cost: Option<f64>,
}

impl Fields {
    /// Those of the usage object that comes next, which is stepped over.
    pub(crate) fn next(cursor: &mut Cursor<'_>) -> Self {
        let mut fields = Self::default();
        fields.read(cursor);
        fields
    }

    /// Takes over every field that the object names which comes next; `null` names nothing.
    fn read(&mut self, object: &mut Cursor<'_>) {
        object.object(|key, cursor| match key {
            b"prompt_tokens" | b"input_tokens" | b"promptTokenCount" => {
                update(&mut self.input, count(cursor));
            }
            b"completion_tokens" | b"output_tokens" | b"candidatesTokenCount" => {
                update(&mut self.output, count(cursor));
            }
            b"thoughtsTokenCount" => update(&mut self.thoughts, count(cursor)),
            b"cached_tokens" | b"cache_read_input_tokens" | b"cachedContentTokenCount" => {
                update(&mut self.cached, count(cursor));
            }
            b"cache_creation_input_tokens" => update(&mut self.write, count(cursor)),
            b"prompt_tokens_details" | b"input_tokens_details" => self.read_input(cursor),
            b"cache_creation" => self.read_cache_creation(cursor),
            b"completion_tokens_details" | b"output_tokens_details" => {
                cursor.object(|key, cursor| match key {
                    b"reasoning_tokens" => update(&mut self.reasoning, count(cursor)),
                    _ => skip(cursor),
                });
            }
            b"opencode" => cursor.object(|key, cursor| match key {
                b"list_cost" => update(&mut self.list_cost, cursor.value().and_then(list_cost)),
                _ => skip(cursor),
            }),
            b"cost" => update(&mut self.cost, cursor.value().and_then(dollars)),
            _ => skip(cursor),
        });
    }

    fn read_input(&mut self, details: &mut Cursor<'_>) {
        details.object(|key, cursor| match key {
            b"cached_tokens" => update(&mut self.cached_detail, count(cursor)),
            b"cache_creation_input_tokens" | b"cache_write_tokens" => {
                update(&mut self.write_detail, count(cursor));
            }
            _ => skip(cursor),
        });
    }

    fn read_cache_creation(&mut self, by_lifetime: &mut Cursor<'_>) {
        by_lifetime.object(|key, cursor| match key {
            b"ephemeral_5m_input_tokens" => update(&mut self.write_5m, count(cursor)),
            b"ephemeral_1h_input_tokens" => update(&mut self.write_1h, count(cursor)),
            _ => skip(cursor),
        });
    }

    /// Removes the formats' differences. OpenAI's and Google's input includes what was read from
    /// and written to the cache, Anthropic's excludes both.
    fn tokens(&self, format: Format) -> Option<Tokens> {
        let cached = self.cached.or(self.cached_detail);
        let by_lifetime = match (self.write_5m, self.write_1h) {
            (None, None) => None,
            (five_minutes, hour) => {
                Some(five_minutes.unwrap_or(0).saturating_add(hour.unwrap_or(0)))
            }
        };
        let write = by_lifetime.or(self.write).or(self.write_detail);
        if self.input.is_none() && self.output.is_none() && cached.is_none() && write.is_none() {
            return None;
        }
        let cache_write = write.unwrap_or(0);
        let named = self.input.unwrap_or(0);
        let input = match format {
            Format::Messages => named,
            Format::Chat | Format::Responses => {
                named.saturating_sub(cached.unwrap_or(0)).saturating_sub(cache_write)
            }
        };
        let thoughts = self.thoughts.unwrap_or(0);
        Some(Tokens {
            input,
            cached,
            cache_write,
            output: self.output.unwrap_or(0).saturating_add(thoughts),
            reasoning: self.reasoning.unwrap_or(thoughts),
        })
    }
}

fn update<T>(field: &mut Option<T>, seen: Option<T>) {
    if seen.is_some() {
        *field = seen;
    }
}

fn skip(cursor: &mut Cursor<'_>) {
    cursor.value();
}

/// The whole number that comes next, also where a provider writes it as `12.0`.
fn count(cursor: &mut Cursor<'_>) -> Option<u64> {
    let value = cursor.value()?;
    if let Some(number) = digits(value) {
        return Some(number.into());
    }
    let text = str::from_utf8(value).ok()?;
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be finite and not negative; a cast from f64 saturates"
        )]
        let whole = (number.is_finite() && number >= 0.0).then_some(number as u64);
        whole
    })
}

/// A plain number of few digits, as nearly all of them are.
fn digits(value: &[u8]) -> Option<u32> {
    if value.is_empty() || value.len() > 9 {
        return None;
    }
    value.iter().try_fold(0, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| 10 * number + u32::from(digit))
    })
}

/// Dollars, as a number or as a string.
fn dollars(value: &[u8]) -> Option<f64> {
    let value = json::unquoted(value).unwrap_or(value);
    if let Some(whole) = digits(value) {
        return Some(f64::from(whole));
    }
    let text = str::from_utf8(value).ok()?;
    // What Rust takes for a number and JSON does not ("inf", "nan") starts with a letter or sign.
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|amount: &f64| amount.is_finite())
}

/// A number of dollars, or an object whose `total_cost` is one.
fn list_cost(value: &[u8]) -> Option<f64> {
    dollars(value).or_else(|| {
        json::members(value).find(|(key, _)| *key == b"total_cost").and_then(|(_, v)| dollars(v))
    })
}

#[cfg(test)]
mod tests;
