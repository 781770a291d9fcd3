//! The file of the pool's state: `{"version": 1, "savedAt": …, "by": "…", "pool": {…}}`.
//!
//! It is written beside its place and moved there, so that whenever the process is killed, a whole
//! file lies there. What cannot be read is set aside, because it may be worth something to a
//! newer version or to whoever looks for the fault; it is never fatal.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use saros_core::image::Image;
use saros_core::time::Millis;
use serde::{Deserialize, Serialize};

use crate::private;

/// The version of the file's form. One that is higher was written by a newer program.
pub const VERSION: u32 = 1;
/// A larger file is none of ours, in bytes.
const LARGEST: u64 = 64 << 20;
/// More files than this are not kept aside.
const SET_ASIDE_KEPT: usize = 3;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    version: u32,
    saved_at: i64,
    by: &'static str,
    pool: &'a Image,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Deserialize)]
struct Read {
    pool: Image,
}

/// What was found at the start.
#[derive(Debug)]
pub enum Found {
    /// No file.
    Nothing,
    /// A good one.
    Image(Box<Image>),
    /// One that cannot be used.
    SetAside {
        /// Why.
        why: String,
        /// Where it lies now.
        to: io::Result<PathBuf>,
    },
}

/// Reads a snapshot; one that cannot be used is renamed to `….bad-<milliseconds>`.
pub fn load(path: &Path, now: Millis) -> Found {
    sweep(path);
    match read(path) {
        Ok(None) => Found::Nothing,
        Ok(Some(image)) => Found::Image(Box::new(image)),
        Err(why) => Found::SetAside { why, to: set_aside(path, now) },
    }
}

fn read(path: &Path) -> Result<Option<Image>, String> {
    let length = match fs::metadata(path) {
        Ok(found) if found.is_file() => found.len(),
        Ok(_) => return Err("it is not a regular file".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if length > LARGEST {
        return Err(format!("it is larger than {LARGEST} bytes"));
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    // The version first: what else is in it may be in another form.
    let Versioned { version } =
        serde_json::from_slice(&bytes).map_err(|error| format!("it is damaged: {error}"))?;
    if version > VERSION {
        return Err(format!("it is of version {version}, written by a newer saros-proxy"));
    }
    let Read { pool } =
        serde_json::from_slice(&bytes).map_err(|error| format!("it is damaged: {error}"))?;
    Ok(Some(pool))
}

fn set_aside(path: &Path, now: Millis) -> io::Result<PathBuf> {
    let to = beside(path, &format!("bad-{}", now.0));
    fs::rename(path, &to)?;
    let mut kept = siblings(path, ".bad-");
    kept.sort();
    let surplus = kept.len().saturating_sub(SET_ASIDE_KEPT);
    for old in kept.into_iter().take(surplus) {
        drop(fs::remove_file(old));
    }
    Ok(to)
}

/// Removes what a process left that was killed while it wrote.
fn sweep(path: &Path) {
    for left in siblings(path, ".new-") {
        drop(fs::remove_file(left));
    }
}

/// The files that are named like this one, with `mark` behind it.
fn siblings(path: &Path, mark: &str) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
    let wanted = format!("{}{mark}", name.to_string_lossy());
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&wanted);
    entries.filter(named).map(|entry| entry.path()).collect()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// Writes a snapshot into its place. `sync`: and sees to it that it is on the disk.
pub fn write(path: &Path, image: &Image, now: Millis, sync: bool) -> io::Result<()> {
    let by = env!("CARGO_PKG_VERSION");
    let written = Written { version: VERSION, saved_at: now.0, by, pool: image };
    let bytes = serde_json::to_vec(&written)?;
    let new = beside(path, &format!("new-{}", std::process::id()));
    let moved = create(&new, &bytes, sync).and_then(|()| fs::rename(&new, path));
    if moved.is_err() {
        drop(fs::remove_file(&new));
    }
    moved?;
    if sync && let Some(folder) = path.parent() {
        // The move itself; not every system can open a folder.
        drop(File::open(folder).and_then(|folder| folder.sync_all()));
    }
    Ok(())
}

fn create(path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let mut file = private::open(File::options().write(true).create(true).truncate(true), path)?;
    file.write_all(bytes)?;
    if sync { file.sync_all() } else { Ok(()) }
}
