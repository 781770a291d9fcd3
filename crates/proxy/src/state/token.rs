//! Tokens that are made here and kept in the state folder.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::config::file::read_at_most;
use crate::config::options::MIN_TOKEN;
use crate::private;
use crate::secret::Secret;

/// Random bytes in a token.
const BYTES: usize = 24;
/// A longer file holds no token, in bytes.
pub(crate) const LONGEST: u64 = 4096;

/// The token in a file; `None` where there is no file, or none that can be looked at. Fails with
/// the reason why a file that is there holds no token.
pub fn read(path: &Path) -> Result<Option<Secret>, String> {
    if fs::metadata(path).is_err() {
        return Ok(None);
    }
    let text = read_at_most(path, LONGEST).map(Zeroizing::new)?;
    let token = text.trim();
    if token.len() < MIN_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("one line of at least {MIN_TOKEN} visible characters is expected"));
    }
    Ok(Some(Secret::new(token.to_owned())))
}

/// A new token.
pub fn generate(prefix: &str) -> io::Result<Secret> {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(Secret::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))))
}

/// Puts a token into a file that only its owner can read: temporary files are made that way, and
/// the file has it from them. What lies there and is no token is replaced. Fails where another
/// instance was faster.
pub fn keep(path: &Path, token: &Secret) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    private::create_dir(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{}", token.expose())?;
    file.as_file().sync_all()?;
    if read(path).is_err() {
        file.persist(path).map_err(|error| error.error)?;
    } else {
        file.persist_noclobber(path).map_err(|error| error.error)?;
    }
    Ok(())
}

/// The token in a file, or a new one that is now in it; whether it is new.
pub fn ensure(path: &Path, prefix: &str) -> io::Result<(Secret, bool)> {
    if let Ok(Some(token)) = read(path) {
        return Ok((token, false));
    }
    let token = generate(prefix)?;
    match keep(path, &token) {
        Ok(()) => Ok((token, true)),
        // Another instance was faster.
        Err(error) => match read(path) {
            Ok(Some(token)) => Ok((token, false)),
            _ => Err(error),
        },
    }
}
