//! Where files lie.

use std::path::{Path, PathBuf};

use crate::config::env::Env;

/// The name of the configuration file in each of its places.
pub const CONFIG_FILE: &str = "config.yaml";

/// The folders of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// `~/.config/saros`, `$XDG_CONFIG_HOME/saros` or `%LOCALAPPDATA%\saros`; on macOS the first
    /// too, where the original put it.
    pub config_dir: PathBuf,
    /// `$XDG_STATE_HOME/saros`, else [`Paths::config_dir`].
    pub state_dir: PathBuf,
    /// The folder whose `config.yaml` is read when there is none in [`Paths::config_dir`].
    pub work_dir: PathBuf,
}

impl Paths {
    /// The folders of whoever runs this process.
    pub fn of_this_process(env: &dyn Env) -> Self {
        let variable = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        // Without a variable the user database knows, and without that we do as Docker does.
        let home = env.filled(variable).map(PathBuf::from).or_else(std::env::home_dir);
        let home = home.unwrap_or_else(|| PathBuf::from("/"));
        Self::find(env, &home, std::env::current_dir().unwrap_or_default())
    }

    /// Finds the folders; creates none. `home` is the user's home folder, `work_dir` the one we
    /// were started in.
    pub fn find(env: &dyn Env, home: &Path, work_dir: PathBuf) -> Self {
        // The XDG Base Directory Specification: relative paths are invalid and to be ignored.
        let folder = |name| env.filled(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = if cfg!(windows) {
            folder("LOCALAPPDATA").unwrap_or_else(|| home.join("AppData").join("Local"))
        } else {
            folder("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"))
        };
        let config_dir = base.join("saros");
        let state_dir =
            folder("XDG_STATE_HOME").map_or_else(|| config_dir.clone(), |base| base.join("saros"));
        Self { config_dir, state_dir, work_dir }
    }

    /// Where the configuration file belongs.
    pub fn config_file(&self) -> PathBuf {
        self.config_dir.join(CONFIG_FILE)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn check(env: &[(&str, &str)], config: &str, state: &str) {
        let env: BTreeMap<&str, &str> = env.iter().copied().collect();
        let paths = Paths::find(&env, Path::new("/home/u"), PathBuf::from("/work"));
        assert_eq!((paths.config_dir, paths.state_dir), (config.into(), state.into()), "{env:?}");
    }

    #[test]
    fn folders_follow_the_environment() {
        check(&[], "/home/u/.config/saros", "/home/u/.config/saros");
        check(&[("XDG_CONFIG_HOME", "/c")], "/c/saros", "/c/saros");
        check(&[("XDG_STATE_HOME", "/s")], "/home/u/.config/saros", "/s/saros");
        check(
            &[("XDG_CONFIG_HOME", "rel"), ("XDG_STATE_HOME", " ")],
            "/home/u/.config/saros",
            "/home/u/.config/saros",
        );
    }
}
