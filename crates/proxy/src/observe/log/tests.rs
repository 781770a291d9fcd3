//! The log as a whole: from those who speak to the bytes that are written.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use uuid::Uuid;

use super::*;

const JSON: Settings = Settings { level: Level::Info, form: Form::Json };

/// Where a test reads what was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn lines(&self) -> Vec<serde_json::Value> {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn messages(&self) -> Vec<String> {
        self.lines().iter().map(|line| line["msg"].as_str().unwrap().to_owned()).collect()
    }
}

/// What is written while `speak` runs, by the macros too.
fn written(settings: Settings, speak: impl FnOnce(&Log)) -> Written {
    let written = Written::default();
    let (log, guard) = Log::start(settings, Box::new(written.clone()));
    tracing::subscriber::with_default(log.clone(), || speak(&log));
    drop(guard);
    written
}

#[test]
fn events_become_lines_in_order() {
    let written = written(JSON, |log| {
        let label = Some("home");
        tracing::info!(target: "saros_proxy::x", count = 3, ok = true, cost = 0.5, label, "One");
        log.request(Arc::new(RequestRecord::new(Uuid::from_u128(1))));
        tracing::warn!(target: "saros_core", why = ?Some("a\"b"), "Two {}", 2);
        tracing::error!(target: "saros_proxy", name = %"x y");
    });
    let lines = written.lines();
    assert_eq!(written.messages(), ["One", "Request", "Two 2", ""]);
    assert_eq!(lines[0]["level"], 30);
    assert_eq!((&lines[0]["count"], &lines[0]["ok"]), (&3.into(), &true.into()));
    assert_eq!((&lines[0]["cost"], &lines[0]["label"]), (&0.5.into(), &"home".into()));
    assert_eq!(lines[1]["id"], "00000000-0000-0000-0000-000000000001");
    assert_eq!((&lines[2]["level"], &lines[2]["why"]), (&40.into(), &"Some(\"a\\\"b\")".into()));
    assert_eq!((&lines[3]["level"], &lines[3]["name"]), (&50.into(), &"x y".into()));
    assert!(lines[0]["time"].as_i64().unwrap() > 1_700_000_000_000);
}

#[test]
fn levels_filter() {
    let all = ["T", "D", "I", "Request", "W", "E", "F"];
    for (level, from) in [
        (Level::Trace, 0),
        (Level::Debug, 1),
        (Level::Info, 2),
        (Level::Warn, 4),
        (Level::Error, 5),
        (Level::Fatal, 6),
        (Level::Silent, 7),
    ] {
        let written = written(Settings { level, ..JSON }, |log| {
            tracing::trace!(target: "saros", "T");
            tracing::debug!(target: "saros", "D");
            tracing::info!(target: "saros", "I");
            log.request(Arc::new(RequestRecord::new(Uuid::from_u128(2))));
            tracing::warn!(target: "saros", "W");
            tracing::error!(target: "saros", "E");
            log.write(Level::Fatal, "F", |_| {});
        });
        assert_eq!(written.messages(), all[from..], "{level:?}");
    }
}

#[test]
fn libraries_are_not_heard() {
    let written = written(Settings { level: Level::Trace, ..JSON }, |_| {
        tracing::error!(target: "h2::codec", "headers");
        let _entered = tracing::info_span!(target: "saros", "span").entered();
        tracing::info!(target: "saros", "ours");
    });
    assert_eq!(written.messages(), ["ours"]);
}

#[test]
fn settings_follow_the_environment() {
    let colors = |colors| Form::Readable { colors };
    for (env, terminal, level, form) in [
        (vec![], true, Level::Info, colors(true)),
        (vec![], false, Level::Info, Form::Json),
        (vec![("NODE_ENV", "production")], true, Level::Info, Form::Json),
        (vec![("NODE_ENV", "development")], false, Level::Info, colors(false)),
        (vec![("NODE_ENV", "test")], false, Level::Info, Form::Json),
        (vec![("NO_COLOR", "1")], true, Level::Info, colors(false)),
        (vec![("NO_COLOR", "")], true, Level::Info, colors(true)),
        (vec![("TERM", "dumb")], true, Level::Info, colors(false)),
        (vec![("LOG_LEVEL", "TRACE")], false, Level::Trace, Form::Json),
        (vec![("LOG_LEVEL", "silent")], false, Level::Silent, Form::Json),
        (vec![("LOG_LEVEL", "fatal")], false, Level::Fatal, Form::Json),
    ] {
        let map: BTreeMap<&str, &str> = env.iter().copied().collect();
        let (settings, complaint) = Settings::from_env(&map, terminal);
        assert_eq!((settings, complaint), (Settings { level, form }, None), "{env:?} {terminal}");
    }
    let map = BTreeMap::from([("LOG_LEVEL", "loud")]);
    let (settings, complaint) = Settings::from_env(&map, false);
    assert_eq!(settings.level, Level::Info);
    assert!(complaint.unwrap().contains("LOG_LEVEL cannot be `loud`"));
}

/// Takes nothing until it is told to.
struct Stuck {
    entered: Sender<()>,
    release: Receiver<()>,
    released: bool,
    written: Written,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.released {
            self.entered.send(()).unwrap();
            self.release.recv().unwrap();
            self.released = true;
        }
        self.written.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stuck_reader_stops_nobody_and_the_loss_is_told() {
    let (entered, has_entered) = mpsc::channel();
    let (let_go, release) = mpsc::channel();
    let written = Written::default();
    let stuck = Stuck { entered, release, released: false, written: written.clone() };
    let (log, guard) = Log::start(JSON, Box::new(stuck));
    log.request(Arc::new(RequestRecord::new(Uuid::from_u128(3))));
    has_entered.recv().unwrap();
    for _ in 0..10_000 {
        log.request(Arc::new(RequestRecord::new(Uuid::from_u128(4))));
    }
    let_go.send(()).unwrap();
    drop(guard);
    let lines = written.lines();
    assert_eq!(lines.len(), 1 + 8_192 + 1);
    let last = lines.last().unwrap();
    assert_eq!((&last["level"], &last["dropped"]), (&40.into(), &(10_000 - 8_192).into()));
}

/// Takes one byte at a time, in between nothing.
struct Tiresome(Written, u32);

impl Write for Tiresome {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1 += 1;
        match self.1 {
            1 => Err(ErrorKind::Interrupted.into()),
            3 => Err(ErrorKind::WouldBlock.into()),
            _ => self.0.write(&bytes[..1]),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(ErrorKind::BrokenPipe.into())
    }
}

#[test]
fn short_writes_and_pauses_lose_nothing() {
    let written = Written::default();
    let (log, guard) = Log::start(JSON, Box::new(Tiresome(written.clone(), 0)));
    log.write(Level::Info, "whole", |_| {});
    drop(guard);
    assert_eq!(written.messages(), ["whole"]);
}

#[test]
fn flushed_is_written() {
    let written = Written::default();
    let (log, _guard) = Log::start(JSON, Box::new(written.clone()));
    log.flush();
    for round in 1..4 {
        log.write(Level::Info, "line", |_| {});
        log.flush();
        assert_eq!(written.messages().len(), round);
    }
}

#[test]
fn requests_are_kept_whatever_the_level() {
    let folder = tempfile::tempdir().unwrap();
    let written = Written::default();
    let (log, guard) =
        Log::start(Settings { level: Level::Error, ..JSON }, Box::new(written.clone()));
    log.request(Arc::new(RequestRecord::new(Uuid::from_u128(5))));
    log.keep_requests(RequestLog::open(folder.path()).unwrap());
    log.request(Arc::new(RequestRecord::new(Uuid::from_u128(6))));
    drop(guard);
    assert_eq!(written.messages(), [""; 0]);
    let text = std::fs::read_to_string(folder.path().join("requests.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert!(text.contains("\"id\":\"00000000-0000-0000-0000-000000000006\""), "{text}");
}

#[test]
fn a_panic_is_told_without_its_secret() {
    let written = Written::default();
    let (log, guard) = Log::start(JSON, Box::new(written.clone()));
    log.install();
    request(Arc::new(RequestRecord::new(Uuid::from_u128(7))));
    drop(std::panic::catch_unwind(|| panic!("bad key sk-0123456789abcdefghijklmnopqrstuvwxyz")));
    fatal("over");
    drop(guard);
    drop(std::panic::take_hook());
    let lines = written.lines();
    assert_eq!(written.messages(), ["Request", "A bug in Saros ended one of its tasks", "over"]);
    assert_eq!(lines[1]["panic"], "bad key sk-0...wxyz");
    assert!(lines[1]["place"].as_str().unwrap().contains("tests.rs"));
    assert_eq!(lines[2]["level"], 60);
}
