//! What was, or could have been, asked: requests over time.

use std::collections::HashMap;
use std::io::BufRead;

use saros_emulator::{Model, Money, Plan, Tokens};
use serde::Deserialize;
use thiserror::Error;

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// When it begins and ends, epoch milliseconds.
    pub at: i64,
    /// Its conversation, from 0.
    pub session: u32,
    /// The conversation has a name; without one, the request is a conversation of its own.
    pub named: bool,
    /// Its place in [`Trace::models`].
    pub model: u16,
    /// The whole prompt, in tokens.
    pub input: u64,
    /// The answer, in tokens.
    pub output: u64,
    /// Of the prompt, what a cache can hold from the session's previous request.
    pub prefix: u64,
}

/// Requests in the order of time.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// The requests.
    pub requests: Vec<Request>,
    /// The models that they name.
    pub models: Vec<Model>,
    /// How many conversations there are.
    pub sessions: u32,
}

/// Why a trace cannot be read.
#[derive(Debug, Error)]
pub enum TraceError {
    /// The file itself.
    #[error("cannot read the trace: {0}")]
    Read(#[from] std::io::Error),
    /// A line is not a request.
    #[error("line {line} of the trace is not a request: {why}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// In the words of the JSON reader.
        why: serde_json::Error,
    },
    /// A model without a price cannot be charged.
    #[error("line {line} of the trace: model `{model}` has no known price")]
    Model {
        /// Counted from 1.
        line: usize,
        /// As written.
        model: String,
    },
    /// Nothing to replay.
    #[error("the trace has no requests")]
    Empty,
}

/// One line: `{"timestamp": ms, "session": "id", "model": "glm-5.2", "input_tokens": n,
/// "output_tokens": n}`.
#[derive(Debug, Deserialize)]
pub(super) struct Line<'a> {
    pub(super) timestamp: f64,
    #[serde(default)]
    session: Option<serde_json::Value>,
    #[serde(borrow)]
    model: std::borrow::Cow<'a, str>,
    input_tokens: u64,
    output_tokens: u64,
}

/// Collects requests and gives sessions and models their numbers.
#[derive(Debug, Default)]
pub(super) struct Collector {
    trace: Trace,
    sessions: HashMap<String, u32>,
    models: HashMap<String, u16>,
}

impl Collector {
    /// Takes a request; `false`: the model is not known.
    pub(super) fn add(
        &mut self,
        at: i64,
        session: Option<String>,
        model: &str,
        tokens: (u64, u64),
    ) -> bool {
        let Some(model) = self.model(model) else { return false };
        let named = session.is_some();
        let fresh = self.trace.sessions;
        let session = match session {
            Some(name) => *self.sessions.entry(name).or_insert(fresh),
            None => fresh,
        };
        self.trace.sessions = fresh.max(session.saturating_add(1));
        let (input, output) = tokens;
        self.trace.requests.push(Request { at, session, named, model, input, output, prefix: 0 });
        true
    }

    fn model(&mut self, name: &str) -> Option<u16> {
        if let Some(index) = self.models.get(name) {
            return Some(*index);
        }
        let index = u16::try_from(self.trace.models.len()).ok()?;
        self.trace.models.push(Model::find(name)?);
        self.models.insert(name.to_owned(), index);
        Some(index)
    }

    /// The trace in the order of time, with what a cache that holds a session's last request for
    /// `ttl` milliseconds can hold of each.
    pub(super) fn finish(self, ttl: i64) -> Trace {
        let mut trace = self.trace;
        trace.requests.sort_by_key(|request| request.at);
        let mut last: HashMap<u32, Request> = HashMap::new();
        for request in &mut trace.requests {
            let held = last.get(&request.session).map_or(0, |last| last.leaves(request, ttl));
            request.prefix = held;
            last.insert(request.session, *request);
        }
        trace
    }
}

impl Request {
    /// How many tokens of a later request of the same session are what this one held: its prompt
    /// and answer, if they are still cached, by the same model, and the prompt did not shrink.
    pub fn leaves(&self, next: &Self, ttl: i64) -> u64 {
        let held = self.input.saturating_add(self.output);
        let fits = held <= next.input && self.model == next.model;
        if fits && next.at.saturating_sub(self.at) <= ttl { held } else { 0 }
    }
}

impl Trace {
    /// Reads JSON lines; times count from `start`. Empty lines are skipped.
    pub fn read(lines: impl BufRead, start: i64, ttl: i64) -> Result<Self, TraceError> {
        let mut collector = Collector::default();
        for (line, text) in (1..).zip(lines.lines()) {
            let text = text?;
            if text.trim().is_empty() {
                continue;
            }
            let read: Line<'_> =
                serde_json::from_str(&text).map_err(|why| TraceError::Line { line, why })?;
            let session = read.session.as_ref().and_then(name);
            let tokens = (read.input_tokens, read.output_tokens);
            if !collector.add(
                start.saturating_add(whole(read.timestamp)),
                session,
                &read.model,
                tokens,
            ) {
                return Err(TraceError::Model { line, model: read.model.into_owned() });
            }
        }
        let trace = collector.finish(ttl);
        if trace.requests.is_empty() { Err(TraceError::Empty) } else { Ok(trace) }
    }

    /// The model of a request.
    pub fn model(&self, request: &Request) -> Option<&Model> {
        self.models.get(usize::from(request.model))
    }

    /// What it costs with so many tokens cached: list price, and what it takes from the quota.
    pub fn cost(&self, request: &Request, cached: u64, plan: Plan) -> (Money, Money) {
        let Some(model) = self.model(request) else { return (Money::ZERO, Money::ZERO) };
        let list = model.price.list_cost(&request.tokens(cached), request.at);
        (list, model.quota_cost(list, plan))
    }

    /// When the last request is.
    pub fn end(&self) -> i64 {
        self.requests.last().map_or(0, |request| request.at)
    }
}

impl Request {
    /// Its tokens, of which so many are read from the cache.
    pub fn tokens(&self, cached: u64) -> Tokens {
        Tokens {
            input: self.input.saturating_sub(cached),
            cached,
            output: self.output,
            ..Tokens::default()
        }
    }
}

/// A session's name: text, or a number, as some logs have it.
fn name(session: &serde_json::Value) -> Option<String> {
    match session {
        serde_json::Value::String(name) if !name.is_empty() => Some(name.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is what is wanted")]
fn whole(milliseconds: f64) -> i64 {
    milliseconds.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Trace, TraceError> {
        Trace::read(text.as_bytes(), 1_000, 600_000)
    }

    fn line(at: u64, session: &str, input: u64, output: u64) -> String {
        format!(
            "{{\"timestamp\":{at},{session}\"model\":\"glm-5.2\",\"input_tokens\":{input},\
             \"output_tokens\":{output}}}\n"
        )
    }

    #[test]
    fn prefixes_are_what_the_session_held() {
        let s = "\"session\":\"s\",";
        let text = [
            line(0, s, 100, 10),
            line(600_000, s, 110, 5),
            line(1_200_001, s, 500, 5),
            line(1_200_002, s, 400, 5),
            line(1_200_003, s, 405, 5),
            line(1_200_004, "", 900, 5),
            line(1_200_005, "", 900, 5),
        ];
        let trace = read(&text.concat()).unwrap();
        let prefixes: Vec<u64> = trace.requests.iter().map(|request| request.prefix).collect();
        // The first; just warm; too late; shrunk; grown by the answer; and two without a session.
        assert_eq!(prefixes, [0, 110, 0, 0, 405, 0, 0]);
        let sessions: Vec<u32> = trace.requests.iter().map(|request| request.session).collect();
        assert_eq!(sessions, [0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(trace.requests[0].at, 1_000);
    }

    #[test]
    fn time_orders_whatever_the_file_says() {
        let text = line(5, "", 1, 1) + "\n" + &line(3, "", 2, 1);
        let trace = read(&text).unwrap();
        assert_eq!(trace.requests.iter().map(|it| it.input).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(trace.end(), 1_005);
    }

    #[test]
    fn errors_name_the_line() {
        let check = |text: &str, words: &[&str]| {
            let said = read(text).unwrap_err().to_string();
            assert!(words.iter().all(|word| said.contains(word)), "{said}");
        };
        check("", &["no requests"]);
        check(&(line(0, "", 1, 1) + "{}"), &["line 2", "timestamp"]);
        check(
            "{\"timestamp\":0,\"model\":\"gpt-2\",\"input_tokens\":1,\"output_tokens\":1}",
            &["line 1", "gpt-2", "no known price"],
        );
        check(
            "{\"timestamp\":0,\"model\":\"glm-5.2\",\"input_tokens\":-1,\"output_tokens\":1}",
            &["line 1"],
        );
    }
}
