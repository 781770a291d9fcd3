//! The file of requests: a JSON line for each, in the state folder, if the owner asked for one.
//!
//! It holds what is known of a request, and no content. A line is also a line of a trace as
//! `simulate --trace` reads it: `timestamp` is when the request came, in milliseconds, `session` a
//! digest, `input_tokens` the whole prompt, cached or not. What is not known is left out; a request
//! that was not served has no tokens. At `MOST` bytes the file becomes `requests.jsonl.1`, in place
//! of the one before.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use saros_core::fault::FaultKind;
use saros_core::format::Format;
use saros_wire::scrub::scrub;
use serde::Serialize;

use crate::observe::record::RequestRecord;
use crate::private;

/// When the file is begun anew, in bytes: some forty thousand requests.
const MOST: u64 = 16 * 1024 * 1024;

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: i64,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<Cow<'a, str>>,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttfb_ms: Option<u64>,
    duration_ms: u64,
    bytes_in: u64,
    bytes_out: u64,
    #[serde(flatten)]
    tokens: Option<LineTokens>,
    /// In dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    list_cost: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    balance_cost: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    end: &'static str,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "they are the file's names")]
struct LineTokens {
    /// The whole prompt.
    input_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_tokens: Option<u64>,
    cache_write_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
}

impl<'a> Line<'a> {
    fn of(record: &'a RequestRecord) -> Self {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self {
            timestamp: record.began().0,
            id: record.id.to_string(),
            session: record.session.map(|session| format!("{:016x}", session.0)),
            model: record.model.as_deref().map(scrub),
            format: record.format.map(Format::name),
            label: record.label.as_deref().map(scrub),
            attempts: record.attempts,
            status: record.status,
            ttfb_ms: record.ttfb.map(millis),
            duration_ms: millis(record.duration),
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            tokens: record.tokens.map(|tokens| LineTokens {
                input_tokens: tokens.input + tokens.cached.unwrap_or(0) + tokens.cache_write,
                cached_tokens: tokens.cached,
                cache_write_tokens: tokens.cache_write,
                output_tokens: tokens.output,
                reasoning_tokens: tokens.reasoning,
            }),
            list_cost: record.list_cost,
            balance_cost: record.balance_cost,
            fault: record.fault.map(FaultKind::name),
            replayed: record.replayed,
            end: record.end.name(),
        }
    }
}

/// An open file of requests.
#[derive(Debug)]
pub struct RequestLog {
    path: PathBuf,
    file: File,
    size: u64,
    text: String,
    most: u64,
}

impl RequestLog {
    /// Opens `requests.jsonl` in the state folder, which is created if need be.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        Self::open_with(state_dir, MOST)
    }

    fn open_with(state_dir: &Path, most: u64) -> io::Result<Self> {
        private::create_dir(state_dir)?;
        let path = state_dir.join("requests.jsonl");
        let file = private::append(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size, text: String::new(), most })
    }

    /// Adds a request; it is written with the next [`RequestLog::flush`].
    pub fn add(&mut self, record: &RequestRecord) {
        // Nothing in it can fail to be written.
        self.text.push_str(&serde_json::to_string(&Line::of(record)).unwrap_or_default());
        self.text.push('\n');
    }

    /// Writes what was added. A full disk or a file taken away costs these lines, nothing else.
    pub fn flush(&mut self) {
        if self.text.is_empty() {
            return;
        }
        if self.size >= self.most {
            let mut older = self.path.clone().into_os_string();
            older.push(".1");
            if fs::rename(&self.path, older).is_ok()
                && let Ok(file) = private::append(&self.path)
            {
                self.file = file;
                self.size = 0;
            }
        }
        if self.file.write_all(self.text.as_bytes()).is_ok() {
            self.size += self.text.len() as u64;
        }
        self.text.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_and_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("a/b");
        let add = |log: &mut RequestLog, id: u128| {
            log.add(&RequestRecord::new(uuid::Uuid::from_u128(id)));
            log.flush();
        };
        let ids = |name: &str| -> Vec<u128> {
            let text = fs::read_to_string(state.join(name)).unwrap_or_default();
            let id = |line: &str| {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                value["id"].as_str().unwrap().parse::<uuid::Uuid>().unwrap().as_u128()
            };
            text.lines().map(id).collect()
        };
        let mut log = RequestLog::open_with(&state, 200).unwrap();
        add(&mut log, 1);
        drop(log);
        let mut log = RequestLog::open_with(&state, 200).unwrap();
        add(&mut log, 2);
        assert_eq!(ids("requests.jsonl"), [1, 2]);
        add(&mut log, 3);
        assert_eq!((ids("requests.jsonl.1"), ids("requests.jsonl")), (vec![1, 2], vec![3]));
        add(&mut log, 4);
        add(&mut log, 5);
        assert_eq!((ids("requests.jsonl.1"), ids("requests.jsonl")), (vec![3, 4], vec![5]));
    }

    #[test]
    fn a_line_is_a_line_of_a_trace() {
        let mut record =
            RequestRecord::new("019a9d2e-5c00-7000-8000-000000000001".parse().unwrap());
        let line = |record: &RequestRecord| serde_json::to_value(Line::of(record)).unwrap();
        assert_eq!(
            line(&record),
            serde_json::json!({
                "timestamp": 0x019a_9d2e_5c00_i64, "id": record.id.to_string(), "attempts": 0,
                "duration_ms": 0, "bytes_in": 0, "bytes_out": 0, "end": "complete",
            })
        );
        record.session = Some(saros_core::id::SessionKey(0xab));
        record.model = Some("glm sk-0123456789abcdefghijklmnop".into());
        record.format = Some(Format::Chat);
        record.label = Some("home".into());
        record.attempts = 2;
        record.status = Some(200);
        record.ttfb = Some(Duration::from_micros(12_900));
        record.duration = Duration::from_millis(99);
        record.tokens = Some(saros_core::meter::Tokens {
            input: 1,
            cached: Some(20),
            cache_write: 300,
            output: 4000,
            reasoning: 50,
        });
        record.list_cost = Some(0.25);
        record.fault = Some(FaultKind::Reset);
        record.replayed = true;
        let written = line(&record);
        for (name, value) in [
            ("session", serde_json::json!("00000000000000ab")),
            ("format", "chat".into()),
            ("label", "home".into()),
            ("status", 200.into()),
            ("ttfb_ms", 12.into()),
            ("duration_ms", 99.into()),
            ("input_tokens", 321.into()),
            ("cached_tokens", 20.into()),
            ("cache_write_tokens", 300.into()),
            ("output_tokens", 4000.into()),
            ("reasoning_tokens", 50.into()),
            ("list_cost", 0.25.into()),
            ("fault", "reset".into()),
            ("replayed", true.into()),
        ] {
            assert_eq!(written[name], value, "{name} in {written}");
        }
        assert!(!written.to_string().contains("0123456789"), "scrubbed: {written}");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        drop(RequestLog::open(&state).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state), 0o700);
        assert_eq!(mode(&state.join("requests.jsonl")), 0o600);
    }
}
