//! Tokens that are made here and kept in the state folder.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::options::MIN_TOKEN;
use crate::observe::requests::create_private_dir;
use crate::secret::Secret;

/// Random bytes in a token.
const BYTES: usize = 24;
/// A longer file holds no token, in bytes.
const LONGEST: u64 = 4096;

/// The token in a file, if there is a usable one.
pub fn read(path: &Path) -> Option<Secret> {
    let file = fs::metadata(path).ok()?;
    if !file.is_file() || file.len() > LONGEST {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    let token = text.trim();
    let usable = token.len() >= MIN_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic());
    usable.then(|| Secret::new(token.to_owned()))
}

/// A new token.
pub fn generate(prefix: &str) -> io::Result<Secret> {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(Secret::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))))
}

/// Puts a token into a file that only its owner can read: temporary files are made that way, and
/// the file has it from them. Fails where another instance was faster.
pub fn keep(path: &Path, token: &Secret) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    create_private_dir(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{}", token.expose())?;
    file.as_file().sync_all()?;
    if path.exists() && read(path).is_none() {
        // What lies there is no token.
        file.persist(path).map_err(|error| error.error)?;
    } else {
        file.persist_noclobber(path).map_err(|error| error.error)?;
    }
    Ok(())
}

/// The token in a file, or a new one that is now in it; whether it is new.
pub fn ensure(path: &Path, prefix: &str) -> io::Result<(Secret, bool)> {
    if let Some(token) = read(path) {
        return Ok((token, false));
    }
    let token = generate(prefix)?;
    match keep(path, &token) {
        Ok(()) => Ok((token, true)),
        // Another instance was faster.
        Err(error) => read(path).map(|token| (token, false)).ok_or(error),
    }
}
