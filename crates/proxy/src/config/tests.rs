//! Loading as a whole: every option from each of its sources, and every complaint.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

mod corpus;
mod files;
mod hostile;
mod keys;
mod options;
mod scraping;
mod values;

const A: &str = "sk-aaaaaaaaaaaaaaaaaaaaAAAA";
const B: &str = "oc_sk_bbbbbbbbbbbbbbbbbbBBBB";

/// A user's world: folders, a configuration file, an environment, flags.
struct World {
    folder: TempDir,
    env: BTreeMap<&'static str, &'static str>,
    cli: Overrides,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for name in ["config", "state", "work"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder, env: BTreeMap::new(), cli: Overrides::default() }
    }

    fn yaml(text: &str) -> Self {
        let world = Self::new();
        fs::write(world.path("config/config.yaml"), text).unwrap();
        world.mode("config/config.yaml", 0o600);
        world
    }

    /// Who may read a file.
    #[cfg_attr(not(unix), expect(clippy::unused_self, reason = "there are no modes"))]
    fn mode(&self, path: &str, mode: u32) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
        }
        #[cfg(not(unix))]
        let _ = (path, mode);
    }

    fn var(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.insert(name, value);
        self
    }

    fn flag(mut self, name: &'static str, value: &str) -> Self {
        self.cli.values.push((name, value.to_owned()));
        self
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn load(&self) -> Result<Loaded, LoadError> {
        let paths = Paths {
            config_dir: self.path("config"),
            state_dir: self.path("state"),
            work_dir: self.path("work"),
        };
        load(&self.cli, &self.env, paths)
    }

    fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The problems as log lines, without the folder.
    fn complaints(&self) -> Vec<String> {
        let problems = match self.load() {
            Ok(loaded) => loaded.warnings,
            Err(error) => error.problems,
        };
        let folder = format!("{}/", self.path("config").display());
        problems.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
    }
}
