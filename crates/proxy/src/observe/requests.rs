//! The file of requests: a JSON line for each, in the state folder, if the owner asked for one.
//!
//! It holds what the log says of a request, and no content. At `MOST` bytes it becomes
//! `requests.jsonl.1`, in place of the one before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use saros_core::time::Millis;

use crate::observe::log::Level;
use crate::observe::log::line::{Form, Line};
use crate::observe::record::RequestRecord;

/// When the file is begun anew: some forty thousand requests.
const MOST: u64 = 16 * 1024 * 1024;

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
        create_private_dir(state_dir)?;
        let path = state_dir.join("requests.jsonl");
        let file = append(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size, text: String::new(), most })
    }

    /// Adds a request; it is written with the next [`RequestLog::flush`].
    pub fn add(&mut self, at: Millis, record: &RequestRecord) {
        let mut line = Line::begin(&mut self.text, Form::Json, Level::Info, at, "Request");
        record.fields(&mut line);
        line.end();
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
                && let Ok(file) = append(&self.path)
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

fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Creates a folder that only its owner can read, with whatever is missing above it.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_and_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("a/b");
        let add = |log: &mut RequestLog, id: u128| {
            log.add(Millis(7), &RequestRecord::new(uuid::Uuid::from_u128(id)));
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
