//! What is written down of the daemon: its PID in `daemon.pid`, where scripts look for it, and how
//! it was started in `daemon.json` in the state folder.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::private;
use crate::service::life::{self, Birth, Life};

/// The log's name in the configuration folder.
pub const LOG: &str = "daemon.log";

/// The files of the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The PID, a number and a line feed.
    pub pid: PathBuf,
    /// What it says.
    pub log: PathBuf,
    /// How it was started; stays when it stops, so that `restart` knows.
    pub record: PathBuf,
}

/// How the daemon was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Its process.
    pub pid: u32,
    /// When that was born, where the system tells.
    pub birth: Option<Birth>,
    /// Where it listens.
    pub host: String,
    /// Where it listens.
    pub port: u16,
    /// How long running requests may take to end, in milliseconds.
    pub shutdown_timeout_ms: u64,
    /// What `serve` was told.
    pub arguments: Vec<String>,
}

impl Files {
    /// Of this configuration.
    pub fn of(config: &Config) -> Self {
        Self {
            pid: config.config_dir.join("daemon.pid"),
            log: config.config_dir.join(LOG),
            record: config.state_dir.join("daemon.json"),
        }
    }

    /// The PID of the file.
    pub fn pid(&self) -> Option<u32> {
        fs::read_to_string(&self.pid).ok()?.trim().parse().ok().filter(|pid| *pid > 0)
    }

    /// The last record.
    pub fn record(&self) -> Option<Record> {
        serde_json::from_slice(&fs::read(&self.record).ok()?).ok()
    }

    /// Writes both down. Fails where there is a PID file already: whoever is named there comes first.
    pub fn write(&self, record: &Record) -> io::Result<()> {
        for path in [&self.pid, &self.record] {
            if let Some(folder) = path.parent() {
                private::create_dir(folder)?;
            }
        }
        let mut file =
            private::open(fs::OpenOptions::new().write(true).create_new(true), &self.pid)?;
        writeln!(file, "{}", record.pid)?;
        let text = serde_json::to_string_pretty(record).map_err(io::Error::other)? + "\n";
        let mut file = private::open(
            fs::OpenOptions::new().write(true).create(true).truncate(true),
            &self.record,
        )?;
        file.write_all(text.as_bytes())
    }

    /// Removes the PID file if it still names this process.
    pub fn forget(&self, pid: u32) {
        if self.pid() == Some(pid) {
            drop(fs::remove_file(&self.pid));
        }
    }
}

impl Record {
    /// Of this process.
    pub fn of_this_process(config: &Config, arguments: Vec<String>) -> Self {
        let pid = std::process::id();
        let birth = match life::of(pid) {
            Life::Alive(birth) => birth,
            Life::Gone => None,
        };
        Self {
            pid,
            birth,
            host: config.host.clone(),
            port: config.port,
            shutdown_timeout_ms: u64::try_from(config.shutdown_timeout.as_millis())
                .unwrap_or(u64::MAX),
            arguments,
        }
    }

    /// What `serve` was told, as the command line takes it.
    pub fn words(&self) -> Vec<OsString> {
        self.arguments.iter().map(OsString::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            config_dir: folder.path().join("config"),
            state_dir: folder.path().join("state"),
            ..Config::default()
        };
        let files = Files::of(&config);
        assert_eq!((files.pid(), files.record()), (None, None));
        let record = Record::of_this_process(&config, vec!["--port".into(), "3000".into()]);
        files.write(&record).unwrap();
        assert_eq!((files.pid(), files.record()), (Some(record.pid), Some(record.clone())));
        assert_eq!(fs::read_to_string(&files.pid).unwrap(), format!("{}\n", record.pid));

        let other = Record { pid: record.pid + 1, ..record.clone() };
        assert_eq!(files.write(&other).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        files.forget(other.pid);
        assert_eq!(files.pid(), Some(record.pid));
        files.forget(record.pid);
        assert_eq!((files.pid(), files.record()), (None, Some(record)));
    }

    #[test]
    fn nonsense_is_no_pid() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            config_dir: folder.path().into(),
            state_dir: folder.path().into(),
            ..Config::default()
        };
        let files = Files::of(&config);
        for text in ["", "0", "-1", "x", "4294967296"] {
            fs::write(&files.pid, text).unwrap();
            assert_eq!(files.pid(), None, "{text}");
        }
        fs::write(&files.pid, "4711").unwrap();
        assert_eq!(files.pid(), Some(4711));
    }
}
