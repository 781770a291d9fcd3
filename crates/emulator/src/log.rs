//! What came in and what became of it: the request log and the counters.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use serde::{Serialize, Serializer};

use crate::price::{Money, Tokens};
use crate::settings::LogSettings;

/// One request.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Counts up from 0 over the emulator's life.
    pub index: u64,
    /// When its head had been read, virtual epoch milliseconds.
    pub at_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// The connection it came on.
    pub connection: u64,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// Method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// All headers, in order.
    pub headers: Vec<(String, String)>,
    /// Label of the key, if it is one of ours.
    pub key: Option<String>,
    /// Label of the account.
    pub account: Option<String>,
    /// The model as the service's scan found it.
    pub model: Option<String>,
    /// Session id.
    pub session: Option<String>,
    /// The request asked for a stream.
    pub stream: bool,
    /// Length of the request body.
    pub body_len: u64,
    /// SHA-256 of the request body, hex.
    pub body_sha256: Option<String>,
    /// The request body, if it was small enough to keep.
    #[serde(serialize_with = "as_text")]
    pub body: Option<Bytes>,
    /// Status of the answer; 499 if the client left before its end (upstream.md §2.2); none while
    /// it is not known, or if a fault cut the request before.
    pub status: Option<u16>,
    /// The client left, or a fault cut the answer.
    pub aborted: bool,
    /// Bytes of the answer's body handed to the connection.
    pub bytes_out: u64,
    /// The answer's body, if answers are kept.
    #[serde(serialize_with = "as_text")]
    pub answer: Option<Bytes>,
    /// What the answer consumed.
    pub tokens: Option<Tokens>,
    /// Its list price.
    pub list_cost: Money,
    /// What was charged to the quota.
    pub quota_cost: Money,
    /// What the balance paid.
    pub paid: Money,
}

impl Entry {
    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }
}

#[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
fn as_text<S: Serializer>(body: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
    match body {
        Some(bytes) => serializer.serialize_some(&String::from_utf8_lossy(bytes)),
        None => serializer.serialize_none(),
    }
}

/// Counts of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// Requests that reached an endpoint with this key, `/usage` and `/models` included.
    pub attempts: u64,
    /// Inference requests among them.
    pub inference: u64,
    /// Answers with 2xx that ended as they should.
    pub served: u64,
    /// Answers with 4xx or 5xx.
    pub refused: u64,
    /// Answers the client left, or a fault cut.
    pub aborted: u64,
    /// Running now.
    pub in_flight: u64,
    /// The most that ran at once.
    pub max_in_flight: u64,
    /// Bytes of request bodies.
    pub bytes_in: u64,
    /// Bytes of answers' bodies.
    pub bytes_out: u64,
}

/// All counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Connections accepted.
    pub connections: u64,
    /// Over all keys.
    pub total: Count,
    /// By key label; `none` without a key, `unknown` for unknown ones.
    pub keys: BTreeMap<String, Count>,
}

impl Counters {
    fn each(&mut self, key: &str, count: impl Fn(&mut Count)) {
        count(&mut self.total);
        match self.keys.get_mut(key) {
            Some(found) => count(found),
            None => count(self.keys.entry(key.to_owned()).or_default()),
        }
    }

    pub(crate) fn began(&mut self, key: &str, inference: bool) {
        self.each(key, |count| {
            count.attempts += 1;
            count.inference += u64::from(inference);
            count.in_flight += 1;
            count.max_in_flight = count.max_in_flight.max(count.in_flight);
        });
    }

    pub(crate) fn ended(&mut self, key: &str, entry: &Entry) {
        let status = entry.status.unwrap_or(0);
        self.each(key, |count| {
            count.in_flight = count.in_flight.saturating_sub(1);
            count.aborted += u64::from(entry.aborted);
            count.refused += u64::from(!entry.aborted && status >= 400);
            count.served += u64::from(!entry.aborted && (200..300).contains(&status));
            count.bytes_in += entry.body_len;
            count.bytes_out += entry.bytes_out;
        });
    }

    /// Starts counting anew; what runs stays counted as running.
    pub(crate) fn clear(&mut self) {
        let keep = |count: &Count| Count {
            in_flight: count.in_flight,
            max_in_flight: count.in_flight,
            ..Count::default()
        };
        self.connections = 0;
        self.total = keep(&self.total);
        for count in self.keys.values_mut() {
            *count = keep(count);
        }
    }
}

/// The newest requests.
#[derive(Debug, Default)]
pub(crate) struct Log {
    next: u64,
    entries: VecDeque<Entry>,
}

impl Log {
    pub(crate) fn push(&mut self, mut entry: Entry, settings: &LogSettings) -> u64 {
        let index = self.next;
        self.next += 1;
        entry.index = index;
        self.entries.push_back(entry);
        while self.entries.len() > settings.capacity.max(1) {
            self.entries.pop_front();
        }
        index
    }

    pub(crate) fn get_mut(&mut self, index: u64) -> Option<&mut Entry> {
        let first = self.entries.front()?.index;
        let at = usize::try_from(index.checked_sub(first)?).ok()?;
        self.entries.get_mut(at)
    }

    /// Entries from this index on.
    pub(crate) fn since(&self, index: u64) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.index >= index)
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}
