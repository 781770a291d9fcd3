//! A scratch machine for one test: home, project, temporary folder, and nothing of the real user.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::failure::{Failure, Outcome};

/// Folders of one test; removed with it.
pub struct Sandbox {
    root: TempDir,
}

impl Sandbox {
    /// Makes the folders, outside of any repository (agents look for one above their project).
    ///
    /// # Errors
    /// When the temporary folder cannot be written.
    pub fn new() -> Outcome<Self> {
        let root = tempfile::Builder::new().prefix("saros-e2e-").tempdir()?;
        for folder in ["home", "project", "tmp", "bin"] {
            fs::create_dir(root.path().join(folder))?;
        }
        Ok(Self { root })
    }

    /// The home folder of every process in here.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// The folder that a client is asked to work in.
    pub fn project(&self) -> PathBuf {
        self.root.path().join("project")
    }

    /// Small programs for the shell of a client; first in its `PATH`.
    pub fn bin(&self) -> PathBuf {
        self.root.path().join("bin")
    }

    /// A path beside the other folders.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file, making its folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: impl AsRef<Path>, text: &str) -> Outcome<PathBuf> {
        let path = self.root.path().join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Writes a program into [`Sandbox::bin`].
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn program(&self, name: &str, text: &str) -> Outcome {
        let path = self.write(Path::new("bin").join(name), text)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, naming it.
    pub fn read(&self, path: impl AsRef<Path>) -> Outcome<String> {
        let path = self.root.path().join(path);
        fs::read_to_string(&path)
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())))
    }

    /// A program with a clean environment, working in the project, with nothing on its stdin.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.bin().display());
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.home())
            .env("TMPDIR", self.root.path().join("tmp"))
            .env("LANG", "C.UTF-8")
            // OpenCode takes its project from here rather than from the system.
            .env("PWD", self.project())
            .current_dir(self.project())
            .stdin(Stdio::null());
        command
    }
}
