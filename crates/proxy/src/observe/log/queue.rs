//! The queue between those who have something to say and the thread that writes it down.
//!
//! Handing over costs a lock that nobody holds for long. The writer takes all there is, writes it,
//! and then rests for `REST` before it looks again; only a writer that found nothing sleeps until
//! it is woken. So under load it wakes twenty times a second whatever the number of lines, and
//! nobody pays for waking it.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use saros_core::time::Millis;

use crate::observe::log::line::{Form, Line};
use crate::observe::log::{Level, now};
use crate::observe::record::RequestRecord;
use crate::observe::requests::RequestLog;

/// How long the writer rests after writing.
const REST: Duration = Duration::from_millis(50);
/// What may wait. At a thousand requests a second this is eight seconds.
const MOST_ENTRIES: usize = 8_192;
/// What the waiting lines may measure together, in bytes; records of requests are small.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// How much is formatted before it is written.
const CHUNK: usize = 64 * 1024;
/// How long the end of the process waits for the writer. Whoever reads our output may be stuck.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Something to write.
#[derive(Debug)]
pub enum Entry {
    /// A finished line.
    Line(String),
    /// A request.
    Request {
        /// When it ended.
        at: Millis,
        /// Whether the log is to show it, or only the file of requests.
        shown: bool,
        /// What is known of it.
        record: Arc<RequestRecord>,
    },
}

/// The near end of the queue.
#[derive(Clone)]
pub struct Queue(Arc<Shared>);

/// Writes what is left when it is dropped.
#[must_use = "dropping it ends the log"]
pub struct Guard(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// For the writer: there is something to do.
    work: Condvar,
    /// For whoever waits until all is written.
    idle: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Entry>,
    bytes: usize,
    dropped: u64,
    requests: Option<RequestLog>,
    keeps_requests: bool,
    phase: Phase,
}

/// What the writer is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    /// Writing, or resting for a moment.
    #[default]
    Awake,
    /// Asleep until it is woken.
    Asleep,
    /// Writing what is left; nothing more is accepted.
    Closing,
    /// Gone.
    Ended,
}

impl Shared {
    /// A writer that panicked leaves a state that is still good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Starts the writer.
    pub fn start(form: Form, out: Box<dyn Write + Send>) -> (Self, Guard) {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
        });
        let writer = Writer { shared: Arc::clone(&shared), form, out, requests: None };
        let started = thread::Builder::new().name("log".to_owned()).spawn(|| writer.run());
        if started.is_err() {
            // No thread, no log; the proxy works all the same.
            shared.lock().phase = Phase::Ended;
        }
        (Self(Arc::clone(&shared)), Guard(shared))
    }

    /// Hands an entry over. Never waits: what does not fit is counted and dropped.
    pub fn push(&self, entry: Entry) {
        let size = match &entry {
            Entry::Line(text) => text.len(),
            Entry::Request { .. } => 0,
        };
        let wake = {
            let mut state = self.0.lock();
            if matches!(state.phase, Phase::Closing | Phase::Ended) {
                return;
            }
            if state.waiting.len() >= MOST_ENTRIES || state.bytes + size > MOST_BYTES {
                state.dropped += 1;
                return;
            }
            state.bytes += size;
            state.waiting.push(entry);
            mem::take(&mut state.phase) == Phase::Asleep
        };
        if wake {
            self.0.work.notify_one();
        }
    }

    /// Waits until everything handed over so far is written, but not long.
    pub fn flush(&self) {
        let state = self.0.lock();
        let writing = |state: &mut State| match state.phase {
            Phase::Awake | Phase::Closing => true,
            Phase::Asleep | Phase::Ended => false,
        };
        drop(self.0.idle.wait_timeout_while(state, LAST_WORDS, writing));
    }

    /// Whether a file of requests is kept.
    pub fn keeps_requests(&self) -> bool {
        self.0.lock().keeps_requests
    }

    /// Keeps a file of requests from now on.
    pub fn keep_requests(&self, file: RequestLog) {
        let mut state = self.0.lock();
        state.keeps_requests = true;
        state.requests = Some(file);
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if state.phase != Phase::Ended {
            state.phase = Phase::Closing;
        }
        self.0.work.notify_one();
        let writing = |state: &mut State| state.phase != Phase::Ended;
        let waited = self.0.idle.wait_timeout_while(state, LAST_WORDS, writing);
        drop(waited);
    }
}

/// The far end.
struct Writer {
    shared: Arc<Shared>,
    form: Form,
    out: Box<dyn Write + Send>,
    requests: Option<RequestLog>,
}

impl Writer {
    fn run(mut self) {
        let mut batch = Vec::new();
        let mut text = String::new();
        loop {
            let (dropped, closing) = self.take(&mut batch);
            for entry in batch.drain(..) {
                self.format(entry, &mut text);
                if text.len() >= CHUNK {
                    self.write(&mut text);
                }
            }
            if dropped > 0 {
                let message = "Log lines were dropped: they were not read fast enough";
                let mut line = Line::begin(&mut text, self.form, Level::Warn, now(), message);
                line.plain("dropped", dropped);
                line.end();
            }
            self.write(&mut text);
            // What a burst needed is not kept.
            batch.shrink_to(64);
            text.shrink_to(CHUNK);
            if closing {
                break;
            }
            let state = self.shared.lock();
            let open = |state: &mut State| state.phase != Phase::Closing;
            let rested = self.shared.work.wait_timeout_while(state, REST, open);
            drop(rested);
        }
        self.shared.lock().phase = Phase::Ended;
        self.shared.idle.notify_all();
    }

    /// Waits for something to do and takes all of it: how much was dropped meanwhile, and whether
    /// this is the end.
    fn take(&mut self, batch: &mut Vec<Entry>) -> (u64, bool) {
        let mut state = self.shared.lock();
        let idle = |state: &State| state.waiting.is_empty() && state.dropped == 0;
        while idle(&state) && state.phase != Phase::Closing {
            state.phase = Phase::Asleep;
            self.shared.idle.notify_all();
            state = self.shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.phase == Phase::Asleep {
            state.phase = Phase::Awake;
        }
        state.bytes = 0;
        mem::swap(&mut state.waiting, batch);
        if let Some(requests) = state.requests.take() {
            self.requests = Some(requests);
        }
        (mem::take(&mut state.dropped), state.phase == Phase::Closing)
    }

    fn format(&mut self, entry: Entry, text: &mut String) {
        match entry {
            Entry::Line(line) => text.push_str(&line),
            Entry::Request { at, shown, record } => {
                if shown {
                    let mut line = Line::begin(text, self.form, Level::Info, at, "Request");
                    record.fields(&mut line);
                    line.end();
                }
                if let Some(requests) = &mut self.requests {
                    requests.add(&record);
                }
            }
        }
    }

    /// Writes `text` and empties it. An output that is closed or broken is given up on silently:
    /// there is nowhere to tell it.
    fn write(&mut self, text: &mut String) {
        let mut rest = text.as_bytes();
        let mut patience: Option<Instant> = None;
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(0) => break,
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Somebody made our standard output non-blocking.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let closing = self.shared.lock().phase == Phase::Closing;
                    let since = patience.get_or_insert_with(Instant::now);
                    if closing && since.elapsed() > LAST_WORDS {
                        break;
                    }
                    thread::sleep(REST);
                }
                Err(_) => break,
            }
        }
        drop(self.out.flush());
        if let Some(requests) = &mut self.requests {
            requests.flush();
        }
        text.clear();
    }
}
