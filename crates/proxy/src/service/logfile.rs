//! The daemon's log: a file that is begun anew when it has grown, with a few old ones kept.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::private;

/// When the file is begun anew, in bytes.
const MOST: u64 = 10 * 1024 * 1024;
/// Old files that are kept, `daemon.log.1` the newest.
const KEPT: u32 = 3;

/// The open log.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    most: u64,
    /// Whether what was written last ended a line: only then the file is changed.
    whole: bool,
    carries_output: bool,
}

impl LogFile {
    /// Opens the log for appending.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::open_with(path, MOST)
    }

    fn open_with(path: &Path, most: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            private::create_dir(folder)?;
        }
        let file = private::append(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, size, most, whole: true, carries_output: false })
    }

    /// From now on standard output and error of this process are this file too: what a library
    /// says in its last moment is kept.
    pub fn carry_output(&mut self) {
        self.carries_output = true;
        self.take_output();
    }

    #[cfg(unix)]
    fn take_output(&self) {
        // Where it fails, that output goes where it went before.
        let _ = rustix::stdio::dup2_stdout(&self.file);
        let _ = rustix::stdio::dup2_stderr(&self.file);
    }

    #[cfg(not(unix))]
    fn take_output(&self) {}

    /// A log that cannot be begun anew goes on growing: lines matter more than its size.
    fn begin_anew(&mut self) {
        for number in (1..KEPT).rev() {
            drop(fs::rename(older(&self.path, number), older(&self.path, number + 1)));
        }
        if fs::rename(&self.path, older(&self.path, 1)).is_ok()
            && let Ok(file) = private::append(&self.path)
        {
            self.file = file;
            if self.carries_output {
                self.take_output();
            }
        }
        self.size = 0;
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.whole && self.size >= self.most {
            self.begin_anew();
        }
        let written = self.file.write(bytes)?;
        self.size += written as u64;
        self.whole = bytes.get(..written).is_some_and(|bytes| bytes.ends_with(b"\n"));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// `daemon.log.1` and so on.
pub fn older(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_few_and_cuts_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon.log");
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let mut log = LogFile::open_with(&path, 4).unwrap();
        for number in 1..=6 {
            writeln!(log, "line{number}").unwrap();
        }
        assert_eq!(read(&path), "line6\n");
        for (number, text) in [(1, "line5\n"), (2, "line4\n"), (3, "line3\n"), (4, "")] {
            assert_eq!(read(&older(&path, number)), text, "{number}");
        }
        log.write_all(b"li").unwrap();
        log.write_all(b"ne7\n").unwrap();
        assert_eq!(read(&path), "line7\n");
        drop(log);
        // What was there counts.
        LogFile::open_with(&path, 4).unwrap().write_all(b"line8\n").unwrap();
        assert_eq!((read(&path), read(&older(&path, 1))), ("line8\n".into(), "line7\n".into()));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("saros/daemon.log");
        LogFile::open(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    }
}
