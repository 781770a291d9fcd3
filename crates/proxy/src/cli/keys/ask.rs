//! Secrets from whoever types them, or from standard input; never from arguments.

use std::io::{self, IsTerminal, Read};

use crate::cli::keys::store::error;
use crate::config::Problem;
use crate::secret::Secret;

/// More than this, in bytes, is no secret.
const LONGEST: u64 = 64 * 1024;

/// Asks for a secret without showing it; where nobody types, the first line of standard input is
/// taken.
pub fn secret(prompt: &str) -> Result<Secret, Box<Problem>> {
    let failed = |why: io::Error| error(format!("nothing could be read: {why}"), "try again");
    let text = if io::stdin().is_terminal() {
        rpassword::prompt_password(format!("{prompt}: ")).map_err(failed)?
    } else {
        let mut text = String::new();
        io::stdin().take(LONGEST).read_to_string(&mut text).map_err(failed)?;
        let line = text.lines().next().unwrap_or_default().to_owned();
        zeroize::Zeroize::zeroize(&mut text);
        line
    };
    let secret = Secret::new(text.trim().to_owned());
    if secret.expose().is_empty() {
        return Err(error("nothing was typed", "nothing was changed"));
    }
    Ok(secret)
}

/// Asks for a new secret, twice where somebody types.
pub fn new_secret(prompt: &str) -> Result<Secret, Box<Problem>> {
    let first = secret(prompt)?;
    if io::stdin().is_terminal() && secret(&format!("{prompt}, again"))? != first {
        return Err(error("the two are not the same", "nothing was changed"));
    }
    Ok(first)
}
