//! Files and folders that only their owner can read: everything of ours may hold keys, tokens or
//! what was asked for.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a file; one that is made now gets mode 0600.
pub fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}

/// Opens a file to add to its end.
pub fn append(path: &Path) -> io::Result<File> {
    open(File::options().append(true).create(true), path)
}

/// Creates a folder of mode 0700, with whatever is missing above it.
pub fn create_dir(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn nobody_else_may_read() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        create_dir(&below).unwrap();
        create_dir(&below).unwrap();
        for path in [folder.path().join("a"), below.clone()] {
            assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700, "{path:?}");
        }
        let file = append(&below.join("file")).unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
    }
}
