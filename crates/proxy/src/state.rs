//! What survives a restart, and what programs of the owner need to find the running proxy: the
//! state folder.
//!
//! | file | what it holds |
//! |---|---|
//! | `state.json` | the snapshot of the pool; `state-<port>.json` where another instance on another port has the first already |
//! | `state.lock` | says which of several instances `state.json` belongs to |
//! | `control.token` | what `usage`, `explain` and `reload` show to the running proxy |
//!
//! The folder can be read by its owner only, and so can every file in it. Where nothing can be
//! written, that is said once, and everything else works.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use saros_core::image::Image;
use saros_core::time::Millis;

use crate::private;
use crate::secret::Secret;
use crate::state::changes::Changes;
use crate::state::snapshot::Found;
use crate::state::writer::Writer;

mod changes;
pub mod snapshot;
pub mod token;
mod writer;

/// The control token's file in the state folder.
pub const CONTROL_TOKEN: &str = "control.token";

/// The state folder of one running proxy; see the module documentation.
#[derive(Debug)]
pub struct State {
    /// What control requests must show; `None`: only a client token will do.
    pub control: Option<Secret>,
    changes: Changes,
    writer: Option<Writer>,
    lock: Option<File>,
}

impl State {
    /// Nothing is kept, nothing is written.
    pub fn none() -> Self {
        Self { control: None, changes: Changes::default(), writer: None, lock: None }
    }

    /// Opens the folder for the proxy on `port`: what was saved last comes with it. Never fails;
    /// what is wrong is told. An empty path means that nothing is to be kept.
    pub fn open(folder: &Path, port: u16, now: Millis) -> (Self, Option<Image>) {
        if folder.as_os_str().is_empty() {
            return (Self::none(), None);
        }
        if let Err(error) = private::create_dir(folder) {
            tell_unwritable(folder, &error);
            return (Self::none(), None);
        }
        let control = match token::ensure(&folder.join(CONTROL_TOKEN), "saros-control-") {
            Ok((token, _)) => Some(token),
            Err(error) => {
                tell_unwritable(folder, &error);
                return (Self::none(), None);
            }
        };
        let (path, lock) = choose(folder, port);
        let found = snapshot::load(&path, now);
        let image = tell_found(&path, found);
        let writer = Writer::start(path);
        (Self { control, changes: Changes::default(), writer, lock }, image)
    }

    /// Something worth saving has changed. Cheap: called for every request.
    pub fn mark(&self) {
        self.changes.mark();
    }

    /// Resolves when there is something to save, at most once a second. Never, if nothing is kept.
    pub async fn changed(&self) {
        if self.writer.is_none() {
            return std::future::pending().await;
        }
        self.changes.next().await;
    }

    /// Hands a snapshot to the writing thread.
    pub fn save(&self, image: Image, now: Millis) {
        if let Some(writer) = &self.writer {
            writer.save(image, now);
        }
    }

    /// The same at the end: waits, but not long, until it is on the disk.
    pub fn save_and_sync(&self, image: Image, now: Millis) {
        if let Some(writer) = &self.writer {
            writer.save_and_sync(image, now);
        }
    }

    /// Waits until everything handed over is written.
    pub fn flush(&self) {
        if let Some(writer) = &self.writer {
            writer.flush();
        }
    }

    /// From now on another instance may take over the first place: we do not accept requests any
    /// more, so what starts now is our successor.
    pub fn yield_place(&self) {
        if let Some(lock) = &self.lock {
            drop(lock.unlock());
        }
    }
}

fn tell_unwritable(folder: &Path, error: &io::Error) {
    tracing::warn!(
        folder = %folder.display(),
        %error,
        "The state folder cannot be written: what is learned is lost at a restart, and the commands \
         usage, explain and reload need a client token. Everything else works"
    );
}

fn tell_found(path: &Path, found: Found) -> Option<Image> {
    match found {
        Found::Nothing => None,
        Found::Image(image) => Some(*image),
        Found::SetAside { why, to } => {
            let to = to.map_or_else(|error| error.to_string(), |path| path.display().to_string());
            tracing::warn!(
                file = %path.display(),
                %why,
                set_aside = to,
                "The saved state cannot be used: starting without it"
            );
            None
        }
    }
}

/// Which file is ours. The first instance has `state.json`; one that finds it taken has a file of
/// its own from then on, so that two that start together do not swap theirs.
fn choose(folder: &Path, port: u16) -> (PathBuf, Option<File>) {
    let own = folder.join(format!("state-{port}.json"));
    if own.exists() {
        return (own, None);
    }
    let first = folder.join("state.json");
    match lock(&folder.join("state.lock")) {
        Ok(Some(lock)) => (first, Some(lock)),
        Ok(None) => (own, None),
        // Some file systems know no locks. One instance is the rule.
        Err(_) => (first, None),
    }
}

/// `None`: another process has it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = private::open(File::options().write(true).create(true).truncate(false), path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests;
