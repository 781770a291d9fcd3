//! The log: lines on standard output, written by a thread of its own.
//!
//! A log must never slow traffic down, whatever it is written to. So the thread that carries
//! traffic only queues: a finished line, or the record of a request as it is, to be formatted
//! elsewhere. When the reader of our output is stuck, the queue fills up, what does not fit is
//! counted, and the count is told when things move again.
//!
//! Every text that goes into a line is scrubbed of keys on its way, see [`mod@line`].

use std::io::Write;
use std::panic;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use saros_core::time::Millis;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use crate::config::Env;
use crate::observe::log::line::{Form, Line};
use crate::observe::log::queue::{Entry, Queue};
use crate::observe::record::RequestRecord;
use crate::observe::requests::RequestLog;

pub mod line;
pub mod queue;

pub use queue::Guard;

/// How serious a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Trace,
    /// For whoever looks for a fault in Saros.
    Debug,
    /// What normally happens.
    Info,
    /// What the owner should look at some time.
    Warn,
    /// What the owner should look at now.
    Error,
    /// The end.
    Fatal,
    /// No line is this serious.
    Silent,
}

/// What is written, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The least serious lines that are written.
    pub level: Level,
    /// The form of a line.
    pub form: Form,
}

/// A handle of the log; clones share one queue.
#[derive(Debug, Clone)]
pub struct Log {
    settings: Settings,
    queue: Queue,
}

/// The log of this process, once there is one.
static LOG: OnceLock<Log> = OnceLock::new();

impl Level {
    const ALL: [(&'static str, Self); 7] = [
        ("trace", Self::Trace),
        ("debug", Self::Debug),
        ("info", Self::Info),
        ("warn", Self::Warn),
        ("error", Self::Error),
        ("fatal", Self::Fatal),
        ("silent", Self::Silent),
    ];

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, level)| *level)
    }

    fn of(level: tracing::Level) -> Self {
        match level {
            tracing::Level::TRACE => Self::Trace,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::INFO => Self::Info,
            tracing::Level::WARN => Self::Warn,
            tracing::Level::ERROR => Self::Error,
        }
    }
}

impl Settings {
    /// From `LOG_LEVEL`, `NODE_ENV` and `NO_COLOR`; `terminal` says whether the log is read by a
    /// person at once. The second value is a complaint about `LOG_LEVEL`.
    pub fn from_env(env: &dyn Env, terminal: bool) -> (Self, Option<String>) {
        let written = env.filled("LOG_LEVEL");
        let level = written.as_deref().map_or(Some(Level::Info), Level::parse);
        let complaint = level.is_none().then(|| {
            let names: Vec<&str> = Level::ALL.iter().map(|(name, _)| *name).collect();
            let written = written.unwrap_or_default();
            format!("LOG_LEVEL cannot be `{written}`; allowed: {}; info is used", names.join(", "))
        });
        let readable = match env.filled("NODE_ENV").as_deref() {
            Some("production") => false,
            Some("development") => true,
            _ => terminal,
        };
        let colors = terminal
            && env.filled("NO_COLOR").is_none()
            && env.filled("TERM").is_none_or(|term| term != "dumb");
        let form = if readable { Form::Readable { colors } } else { Form::Json };
        (Self { level: level.unwrap_or(Level::Info), form }, complaint)
    }
}

impl Log {
    /// Starts the writing thread. Dropping the guard writes what is left.
    pub fn start(settings: Settings, out: Box<dyn Write + Send>) -> (Self, Guard) {
        let (queue, guard) = Queue::start(settings.form, out);
        (Self { settings, queue }, guard)
    }

    /// Makes this the log of the process: for [`tracing`]'s macros, for records of requests, and
    /// for panics. Only the first call counts.
    pub fn install(self) {
        if LOG.set(self.clone()).is_err() {
            return;
        }
        // Fails only if there is a subscriber already; then that one is wanted.
        drop(tracing::subscriber::set_global_default(self.clone()));
        panic::set_hook(Box::new(move |panic| {
            let message = panic.payload_as_str().unwrap_or("no message");
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            self.write(Level::Error, "A bug in Saros ended one of its tasks", |line| {
                line.text("panic", message);
                line.text("place", &place);
            });
        }));
    }

    /// Whether lines of this level are written.
    pub fn shows(&self, level: Level) -> bool {
        level >= self.settings.level && level != Level::Silent
    }

    /// Writes a line.
    pub fn write(&self, level: Level, message: &str, fields: impl FnOnce(&mut Line<'_>)) {
        if self.shows(level) {
            let mut text = String::with_capacity(160);
            let mut line = Line::begin(&mut text, self.settings.form, level, now(), message);
            fields(&mut line);
            line.end();
            self.queue.push(Entry::Line(text));
        }
    }

    /// Queues the record of a request, for the log and for the file of requests if one is kept.
    pub fn request(&self, record: Arc<RequestRecord>) {
        let shown = self.shows(Level::Info);
        if shown || self.queue.keeps_requests() {
            self.queue.push(Entry::Request { at: now(), shown, record });
        }
    }

    /// Waits until everything said so far is written, but not long: for what is shown next to the
    /// log and must not stand in the middle of it.
    pub fn flush(&self) {
        self.queue.flush();
    }

    /// Keeps a file of requests from now on.
    pub fn keep_requests(&self, file: RequestLog) {
        self.queue.keep_requests(file);
    }
}

/// Writes a record of a request to the log of the process, if there is one.
pub fn request(record: Arc<RequestRecord>) {
    if let Some(log) = LOG.get() {
        log.request(record);
    }
}

/// Writes a line of the highest level to the log of the process: why it ends.
pub fn fatal(message: &str) {
    if let Some(log) = LOG.get() {
        log.write(Level::Fatal, message, |_| {});
    }
}

/// Wall time: it is shown to people and decides nothing.
fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Only our own events: those of libraries may hold headers, and cost time where they are made.
impl Subscriber for Log {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && metadata.target().starts_with("saros")
            && self.shows(Level::of(*metadata.level()))
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        use tracing::level_filters::LevelFilter;
        Some(match self.settings.level {
            Level::Trace => LevelFilter::TRACE,
            Level::Debug => LevelFilter::DEBUG,
            Level::Info => LevelFilter::INFO,
            Level::Warn => LevelFilter::WARN,
            Level::Error => LevelFilter::ERROR,
            Level::Fatal | Level::Silent => LevelFilter::OFF,
        })
    }

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        self.write(Level::of(*event.metadata().level()), &message.0, |line| {
            event.record(&mut Others(line));
        });
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The name under which [`tracing`] hands over an event's text.
const MESSAGE: &str = "message";

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == MESSAGE {
            self.0 = format!("{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            value.clone_into(&mut self.0);
        }
    }
}

/// Every field but the message.
struct Others<'a, 'b>(&'a mut Line<'b>);

impl Visit for Others<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() != MESSAGE {
            self.0.text(field.name(), &format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != MESSAGE {
            self.0.text(field.name(), value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.plain(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.plain(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.0.plain(field.name(), value);
        } else {
            self.0.text(field.name(), &value.to_string());
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.plain(field.name(), value);
    }
}

#[cfg(test)]
mod tests;
