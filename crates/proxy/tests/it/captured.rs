//! The log of the test process, caught in memory.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, OnceLock};

use saros_proxy::observe::log::line::Form;
use saros_proxy::observe::log::{Level, Log, Settings};
use serde_json::Value;

/// What was logged so far; clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<(Mutex<String>, Condvar)>);

impl Captured {
    /// Catches the log, down to its details. There is one in a process, so tests that share one
    /// share this too.
    pub(crate) fn log() -> Self {
        static LOG: OnceLock<Captured> = OnceLock::new();
        LOG.get_or_init(|| {
            let captured = Self::default();
            let settings = Settings { level: Level::Trace, form: Form::Json };
            let (log, guard) = Log::start(settings, Box::new(captured.clone()));
            log.install();
            // It is written to until the process ends.
            std::mem::forget(guard);
            captured
        })
        .clone()
    }

    /// Waits until the log holds this, and returns all of it.
    pub(crate) fn until(&self, holds: impl Fn(&str) -> bool) -> String {
        let (text, written) = &*self.0;
        let text = text.lock().unwrap();
        written.wait_while(text, |text| !holds(text)).unwrap().clone()
    }

    /// The record of a request.
    pub(crate) fn record(&self, id: &str) -> Value {
        let find = |text: &str| {
            let mut lines = text.lines().filter(|line| line.contains(id));
            lines.find(|line| line.contains("\"end\":")).map(str::to_owned)
        };
        let text = self.until(|text| find(text).is_some());
        serde_json::from_str(&find(&text).unwrap()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (text, written) = &*self.0;
        text.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
        written.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
