//! The proxy in the background: recognising it, starting it, stopping it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::private;
use crate::service::holder;
use crate::service::life::{self, Birth, End, Life};
use crate::service::probe::{Address, Health, Who};
use crate::service::record::{Files, Record};

/// How often a state is looked at that nobody announces.
const LOOK: Duration = Duration::from_millis(25);
/// How long a start may take. Deriving the keys of a hundred encrypted accounts takes seconds.
const START: Duration = Duration::from_secs(60);
/// What stopping may take beyond the time that running requests have: their last words, and the
/// end of the process.
const GRACE: Duration = Duration::from_secs(5);
/// How long the system may take to end a process that must.
const KILL: Duration = Duration::from_secs(5);

/// What the PID file says, checked.
#[derive(Debug)]
pub enum Found {
    /// There is none.
    Nothing,
    /// It names a process that is gone, or a stranger who has its number now.
    Stale(u32),
    /// A process lives under that number, and nothing tells whose it is.
    Unsure(u32),
    /// The daemon.
    Running(Box<Daemon>),
}

/// The daemon, as far as it is known.
#[derive(Debug)]
pub struct Daemon {
    /// Its process.
    pub pid: u32,
    /// When that was born.
    birth: Option<Birth>,
    /// How it was started; the tool that this one replaces wrote nothing down.
    pub record: Option<Record>,
    /// Where it listens.
    pub address: Address,
    /// How it is; `None` when it does not answer: it is stopping, or stuck.
    pub health: Option<Box<Health>>,
}

/// Facts about the process that the PID file names.
struct Facts {
    life: Life,
    /// This PID is written down with how it was started.
    recorded: bool,
    /// The birth written down with it.
    written: Option<Birth>,
    /// The PID that a proxy gave when it was asked.
    answered: Option<u32>,
    /// A proxy answered, without a PID.
    nameless: bool,
    /// Who has the port open.
    holder: Option<u32>,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Ours,
    NotOurs,
    Unknown,
}

/// Whether the process is our daemon. What cannot be proven is not.
fn judge(pid: u32, facts: &Facts) -> Verdict {
    let Life::Alive(birth) = &facts.life else { return Verdict::NotOurs };
    match (birth, &facts.written) {
        (Some(birth), Some(written)) if birth == written => return Verdict::Ours,
        (Some(_), Some(_)) => return Verdict::NotOurs,
        _ => {}
    }
    let answers = facts.answered == Some(pid);
    // Neither did the tool that this one replaces write down more than the PID, nor does it say it.
    let is_original = facts.nameless && facts.holder == Some(pid);
    match facts.recorded {
        _ if answers || is_original => Verdict::Ours,
        true => Verdict::Unknown,
        false => Verdict::NotOurs,
    }
}

/// Looks at the PID file; `elsewhere` is where to ask when nothing is written down about where the
/// daemon listens.
pub fn find(files: &Files, elsewhere: &Address) -> Found {
    let Some(pid) = files.pid() else { return Found::Nothing };
    let life = life::of(pid);
    if life == Life::Gone {
        return Found::Stale(pid);
    }
    let record = files.record().filter(|record| record.pid == pid);
    let address = match &record {
        Some(record) if record.port != elsewhere.port() => Address::new(&record.host, record.port),
        _ => elsewhere.clone(),
    };
    let health = match address.who() {
        Who::Saros(health) => Some(health),
        Who::Nobody | Who::Stranger => None,
    };
    let answered = health.as_ref().and_then(|health| health.pid);
    let nameless = health.is_some() && answered.is_none();
    let facts = Facts {
        recorded: record.is_some(),
        written: record.as_ref().and_then(|record| record.birth.clone()),
        answered,
        nameless,
        holder: nameless.then(|| holder::of(address.port())).flatten().map(|holder| holder.pid),
        life,
    };
    match judge(pid, &facts) {
        Verdict::NotOurs => Found::Stale(pid),
        Verdict::Unknown => Found::Unsure(pid),
        Verdict::Ours => {
            // Another proxy may answer in its place.
            let health = health.filter(|health| health.pid.is_none_or(|answered| answered == pid));
            let birth = match facts.life {
                Life::Alive(birth) => birth,
                Life::Gone => None,
            };
            Found::Running(Box::new(Daemon { pid, birth, record, address, health }))
        }
    }
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Start {
    /// This program.
    pub program: PathBuf,
    /// What it is told.
    pub arguments: Vec<OsString>,
    /// Where it will listen.
    pub address: Address,
    /// Where it will log.
    pub log: PathBuf,
}

/// How a start went.
#[derive(Debug)]
pub enum Started {
    /// It serves, as this process; whether with a key that works is the second value.
    Serving(u32, bool),
    /// It ended, having said this.
    Died(ExitStatus, String),
    /// It runs, as this process, and does not answer yet.
    Slow(u32),
}

impl Start {
    /// Starts it detached and returns when it serves.
    pub fn run(&self) -> io::Result<Started> {
        if let Some(folder) = self.log.parent() {
            private::create_dir(folder)?;
        }
        // Whatever is said outside the log, by a library in its last moment, goes there too.
        let log = private::append(&self.log)?;
        let said_before = log.metadata()?.len();
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env("NODE_ENV", "production").stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        detach(&mut command);
        let mut child = command.spawn()?;
        let pid = child.id();
        let since = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Started::Died(status, complaints(&self.log, said_before)));
            }
            if let Who::Saros(health) = self.address.who()
                && health.pid.is_none_or(|answered| answered == pid)
            {
                return Ok(Started::Serving(pid, self.address.is_ready()));
            }
            if since.elapsed() > START {
                return Ok(Started::Slow(pid));
            }
            thread::sleep(LOOK);
        }
    }
}

/// On Unix the child leaves the terminal itself, see [`leave_terminal`].
#[cfg(not(windows))]
fn detach(_: &mut Command) {}

/// Without a console, and out of reach of a Ctrl-C in this one.
#[cfg(windows)]
fn detach(command: &mut Command) {
    use std::os::windows::process::CommandExt;
    /// `CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW`.
    const FLAGS: u32 = 0x0200 | 0x0800_0000;
    command.creation_flags(FLAGS);
}

/// Makes this process the first of a session without a terminal: closing the terminal it was
/// started from does not end it.
#[cfg(unix)]
pub fn leave_terminal() {
    // Refused to the first of a group, which a service manager's child is: it has no terminal.
    let _ = rustix::process::setsid();
}

/// There is nothing to leave.
#[cfg(not(unix))]
pub fn leave_terminal() {}

#[derive(Deserialize)]
struct LogLine {
    level: u8,
    msg: String,
}

/// The number of the level `error` in the log; `fatal` is above.
const ERROR: u8 = 50;
/// How many of the last lines are shown when none is a complaint.
const LAST: usize = 10;

/// What the daemon has complained of since the log was so long: errors, and whatever is no line of
/// a log; without either, its last lines.
fn complaints(log: &Path, since: u64) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    // A log that is shorter was begun anew.
    let since = usize::try_from(since).unwrap_or(usize::MAX);
    let new = bytes.get(since..).unwrap_or(&bytes);
    let text = String::from_utf8_lossy(new);
    let complaint = |line: &str| match serde_json::from_str::<LogLine>(line) {
        Ok(line) if line.level < ERROR => None,
        Ok(line) => Some(line.msg),
        Err(_) => Some(line.to_owned()),
    };
    let found: Vec<String> = text.lines().filter_map(complaint).collect();
    if !found.is_empty() {
        return found.join("\n");
    }
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(LAST)..).unwrap_or_default().join("\n")
}

/// How a daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// When it was asked.
    Drained,
    /// It had to be ended.
    Killed,
    /// Not even then.
    Not,
}

impl Daemon {
    /// Asks it to stop, waits for as long as running requests may take, then ends it.
    pub fn stop(&self, files: &Files, shutdown_timeout: Duration) -> io::Result<Stopped> {
        let patience = self.patience(shutdown_timeout);
        life::end(self.pid, End::Ask)?;
        let ended = if self.is_gone_within(patience) {
            Stopped::Drained
        } else {
            // Still the same process: just looked at.
            life::end(self.pid, End::Kill)?;
            if self.is_gone_within(KILL) { Stopped::Killed } else { Stopped::Not }
        };
        if ended != Stopped::Not {
            files.forget(self.pid);
        }
        Ok(ended)
    }

    /// How long it may take to stop, if it keeps what it was started with; else what is configured.
    pub fn patience(&self, shutdown_timeout: Duration) -> Duration {
        let written = self.record.as_ref().map(|record| record.shutdown_timeout_ms);
        written.map_or(shutdown_timeout, Duration::from_millis) + GRACE
    }

    fn is_gone_within(&self, patience: Duration) -> bool {
        let since = Instant::now();
        loop {
            match life::of(self.pid) {
                Life::Alive(birth) if birth == self.birth => {}
                // Gone, or its number is somebody else's by now.
                Life::Alive(_) | Life::Gone => return true,
            }
            if since.elapsed() > patience {
                return false;
            }
            thread::sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(facts: &Facts, verdict: &Verdict) {
        assert_eq!(&judge(7, facts), verdict);
    }

    fn born(text: &str) -> Birth {
        Birth(text.to_owned())
    }

    fn alive(birth: Option<&str>) -> Facts {
        Facts {
            life: Life::Alive(birth.map(born)),
            recorded: false,
            written: None,
            answered: None,
            nameless: false,
            holder: None,
        }
    }

    #[test]
    fn only_what_is_proven_is_ours() {
        check(&Facts { life: Life::Gone, recorded: true, ..alive(None) }, &Verdict::NotOurs);
        let same = Facts { recorded: true, written: Some(born("a")), ..alive(Some("a")) };
        check(&same, &Verdict::Ours);
        // Draining: it does not answer any more.
        check(&Facts { answered: None, ..same }, &Verdict::Ours);
        // Its number was given to somebody else, while another proxy answers, or even this PID: of
        // another machine, say, through a tunnel.
        let recycled = Facts { recorded: true, written: Some(born("a")), ..alive(Some("b")) };
        check(&recycled, &Verdict::NotOurs);
        check(&Facts { answered: Some(7), ..recycled }, &Verdict::NotOurs);
        // No record, as after the tool that this one replaces.
        check(&alive(Some("a")), &Verdict::NotOurs);
        check(&Facts { nameless: true, ..alive(Some("a")) }, &Verdict::NotOurs);
        check(&Facts { nameless: true, holder: Some(8), ..alive(Some("a")) }, &Verdict::NotOurs);
        check(&Facts { nameless: true, holder: Some(7), ..alive(Some("a")) }, &Verdict::Ours);
        check(&Facts { answered: Some(7), ..alive(Some("a")) }, &Verdict::Ours);
        check(&Facts { answered: Some(8), ..alive(Some("a")) }, &Verdict::NotOurs);
        // Where births are not told.
        check(&Facts { recorded: true, ..alive(None) }, &Verdict::Unknown);
        check(&Facts { recorded: true, answered: Some(7), ..alive(None) }, &Verdict::Ours);
    }

    #[test]
    fn says_why_it_died() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("daemon.log");
        let info = "{\"level\":30,\"time\":1,\"msg\":\"Configuration: x\"}\n";
        let fatal = "{\"level\":60,\"time\":1,\"msg\":\"Port 1 is in use; do this\"}\n";
        for (text, wanted) in [
            (format!("{info}{fatal}"), "Port 1 is in use; do this"),
            (format!("{info}thread has overflowed its stack\n"), "thread has overflowed its stack"),
            (info.to_owned(), info.trim_end()),
            (String::new(), ""),
        ] {
            fs::write(&log, format!("{fatal}{text}")).unwrap();
            assert_eq!(complaints(&log, fatal.len() as u64), wanted);
        }
        fs::write(&log, fatal).unwrap();
        assert_eq!(complaints(&log, 1 << 40), "Port 1 is in use; do this");
    }
}
