//! Reading a file that somebody else has named, and judging who else can.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::config::problem::{Problem, Severity};

/// A configuration is a page of text, and a master key a line; more than this, in bytes, is another
/// file by mistake.
const MAX_FILE: u64 = 1024 * 1024;

/// The text of a file of at most [`MAX_FILE`] bytes, or why there is none.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    read_at_most(path, MAX_FILE)
}

/// The text of a file of at most so many bytes, or why there is none.
///
/// Only of a regular file, after following links: a pipe may never say anything, and a device may
/// never end. A regular file may grow while it is read, so its size is not relied on.
pub(crate) fn read_at_most(path: &Path, most: u64) -> Result<String, String> {
    // Before it is opened: opening a pipe waits for its other end.
    if !fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > most) {
        return Err(format!("it is larger than {most} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

/// A warning about a file that others than its owner can read; `what` is the secret in it.
#[cfg(unix)]
pub(crate) fn loose(path: &Path, what: &str) -> Option<Problem> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        let what = format!("{what} in {} can be read by others (mode {mode:04o})", path.display());
        Problem::new(Severity::Warning, what).hint(format!("chmod 600 {}", path.display()))
    })
}

/// Who may read what is another matter here: files in a user's folders are that user's.
#[cfg(not(unix))]
pub(crate) fn loose(_: &Path, _: &str) -> Option<Problem> {
    None
}
