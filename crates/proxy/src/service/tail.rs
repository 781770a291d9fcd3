//! Reading the daemon's log: its last lines, and what is added to it, across the file being begun
//! anew.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::service::logfile::older;

/// How much of a file is looked at for its last lines, in bytes: a whole one is ten times this.
const MOST: u64 = 1024 * 1024;

/// A log that is followed.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    file: Option<File>,
}

/// The last lines of a log, those of the file before it included; ends with a line feed unless
/// empty.
pub fn last_lines(path: &Path, count: usize) -> io::Result<Vec<u8>> {
    last_lines_of(&mut File::open(path)?, path, count)
}

/// The same of an open file, which is left where they end.
fn last_lines_of(file: &mut File, path: &Path, count: usize) -> io::Result<Vec<u8>> {
    let mut text = end_of(file, MOST)?;
    if count_lines(&text) < count
        && let Ok(mut older) = File::open(older(path, 1))
    {
        let mut before = end_of(&mut older, MOST)?;
        before.append(&mut text);
        text = before;
    }
    let start = match count_lines(&text).saturating_sub(count) {
        0 => 0,
        skipped => memchr::memchr_iter(b'\n', &text).nth(skipped - 1).map_or(0, |end| end + 1),
    };
    Ok(text.split_off(start))
}

fn count_lines(text: &[u8]) -> usize {
    let unfinished = usize::from(text.last().is_some_and(|byte| *byte != b'\n'));
    memchr::memchr_iter(b'\n', text).count() + unfinished
}

/// Whole lines from the end of a file, at most so many bytes.
fn end_of(file: &mut File, most: u64) -> io::Result<Vec<u8>> {
    let start = file.metadata()?.len().saturating_sub(most);
    file.seek(SeekFrom::Start(start))?;
    let mut text = Vec::new();
    file.take(most).read_to_end(&mut text)?;
    if start > 0 {
        let first = memchr::memchr(b'\n', &text).map_or(text.len(), |position| position + 1);
        text.drain(..first);
    }
    Ok(text)
}

impl Tail {
    /// Follows a log from its present end, or from its beginning if it does not exist yet; the
    /// second value is its last lines.
    pub fn open(path: &Path, count: usize) -> io::Result<(Self, Vec<u8>)> {
        let (file, lines) = match File::open(path) {
            Ok(mut file) => {
                let lines = last_lines_of(&mut file, path, count)?;
                (Some(file), lines)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (None, Vec::new()),
            Err(error) => return Err(error),
        };
        Ok((Self { path: path.to_owned(), file }, lines))
    }

    /// Passes on what was added since the last call.
    pub fn pass_on(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            // Looked at before reading: what is added to the old file until it is renamed is read.
            let current = is_current(file, &self.path);
            io::copy(file, out)?;
            if current {
                return out.flush();
            }
        }
        // The newest file, from its beginning; those that came and went meanwhile are missed.
        self.file = File::open(&self.path).ok();
        if let Some(file) = &mut self.file {
            io::copy(file, out)?;
        }
        out.flush()
    }
}

/// Whether the file is still the one of this name.
#[cfg(unix)]
fn is_current(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(open), Ok(named)) = (file.metadata(), fs::metadata(path)) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

/// Whether the file is still the one of this name: a new one is shorter than what was read.
#[cfg(not(unix))]
fn is_current(file: &mut File, path: &Path) -> bool {
    let (Ok(read), Ok(named)) = (file.stream_position(), fs::metadata(path)) else { return false };
    named.len() >= read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_lines_reach_into_the_file_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon.log");
        let last = |count| String::from_utf8(last_lines(&path, count).unwrap()).unwrap();
        assert_eq!(last_lines(&path, 1).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(&path, "c\nd\n").unwrap();
        assert_eq!(
            (last(0), last(1), last(2), last(9)),
            (String::new(), "d\n".into(), "c\nd\n".into(), "c\nd\n".into())
        );
        fs::write(older(&path, 1), "a\nb\n").unwrap();
        assert_eq!(
            (last(2), last(3), last(9)),
            ("c\nd\n".into(), "b\nc\nd\n".into(), "a\nb\nc\nd\n".into())
        );
        assert_eq!(end_of(&mut File::open(&path).unwrap(), 3).unwrap(), b"d\n");
    }

    #[test]
    fn follows_across_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon.log");
        let (mut tail, lines) = Tail::open(&path, 9).unwrap();
        assert!(lines.is_empty());
        let mut more = || {
            let mut text = Vec::new();
            tail.pass_on(&mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        let add = |text: &str| {
            File::options()
                .append(true)
                .create(true)
                .open(&path)
                .unwrap()
                .write_all(text.as_bytes())
        };
        assert_eq!(more(), "");
        add("a\n").unwrap();
        assert_eq!((more(), more()), ("a\n".to_owned(), String::new()));
        add("b\n").unwrap();
        fs::rename(&path, older(&path, 1)).unwrap();
        add("c\n").unwrap();
        assert_eq!((more(), more()), ("b\nc\n".to_owned(), String::new()));
        add("d\n").unwrap();
        assert_eq!(more(), "d\n");
        let (mut tail, lines) = Tail::open(&path, 1).unwrap();
        add("e\n").unwrap();
        let mut text = Vec::new();
        tail.pass_on(&mut text).unwrap();
        assert_eq!((lines.as_slice(), text.as_slice()), (&b"d\n"[..], &b"e\n"[..]));
    }
}
