//! Putting a changed configuration in the place of the one before, so that at every moment one of
//! the two is there, whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::private;

/// What is written behind the name of a file to keep what it was before.
const BACKUP: &str = "backup";

/// Where the file before a change is kept.
pub fn backup_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(BACKUP);
    path.with_file_name(name)
}

/// Replaces a file, which must still be what it was `before` (`None`: not there), keeps that beside
/// it, and reads the new one again. New files can be read by their owner only; one that is replaced
/// keeps its mode and owner. A link stays a link: what it leads to is replaced.
pub fn replace(path: &Path, before: Option<&str>, after: &str) -> io::Result<()> {
    let path = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound && before.is_none() => {
            path.to_owned()
        }
        Err(error) => return Err(error),
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    private::create_dir(folder)?;
    unchanged(&path, before)?;
    if let Some(before) = before {
        put(&backup_of(&path), folder, before, None)?;
    }
    let like = before.is_some().then_some(path.as_path());
    // Somebody may have saved the file while the backup was made.
    unchanged(&path, before)?;
    put(&path, folder, after, like)?;
    let read = fs::read_to_string(&path);
    if read.as_ref().is_ok_and(|read| read == after) {
        return Ok(());
    }
    // Not what was written: better what was there before.
    if let Some(before) = before {
        put(&path, folder, before, None)?;
    }
    Err(io::Error::other("what was written could not be read again; the file is as it was"))
}

fn unchanged(path: &Path, before: Option<&str>) -> io::Result<()> {
    let now = match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if now.as_deref() == before {
        return Ok(());
    }
    Err(io::Error::other("somebody else has changed the file just now; nothing was written"))
}

/// Temporary files can be read by their owner only, and what they become has that from them.
fn put(path: &Path, folder: &Path, text: &str, like: Option<&Path>) -> io::Result<()> {
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    if let Some(like) = like {
        keep_standing(file.as_file(), like)?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync(folder);
    Ok(())
}

/// Mode and owner as those of the file that goes.
#[cfg(unix)]
fn keep_standing(file: &File, like: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let before = fs::metadata(like)?;
    let now = file.metadata()?;
    if (before.uid(), before.gid()) != (now.uid(), now.gid()) {
        // Only root may give a file away; whoever else may replace it becomes its owner.
        let _not_ours = fchown(file, Some(before.uid()), Some(before.gid()));
    }
    file.set_permissions(fs::Permissions::from_mode(before.mode() & 0o777))
}

#[cfg(not(unix))]
fn keep_standing(_: &File, _: &Path) -> io::Result<()> {
    Ok(())
}

/// The rename itself lasts when its folder is written.
fn sync(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        // Folders cannot be opened or synced everywhere.
        let _best_effort = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_before_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/config.yaml");
        replace(&path, None, "one").unwrap();
        assert!(!backup_of(&path).exists());
        replace(&path, Some("one"), "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_to_string(backup_of(&path)).unwrap(), "one");
        let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn a_file_that_has_changed_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        fs::write(&path, "theirs").unwrap();
        for before in [None, Some("ours")] {
            let error = replace(&path, before, "new").unwrap_err();
            assert!(error.to_string().starts_with("somebody else"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
            assert!(!backup_of(&path).exists());
        }
    }

    #[cfg(unix)]
    #[test]
    fn modes_and_links_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("config.yaml"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        replace(&target, None, "one").unwrap();
        assert_eq!(mode(&target), 0o600);
        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("target", &link).unwrap();
        replace(&link, Some("one"), "two").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "two");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((mode(&target), mode(&backup_of(&target))), (0o640, 0o600));
    }
}
