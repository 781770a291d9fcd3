//! How a serving proxy loads its configuration anew: from the same flags, environment and folders,
//! and with the demands that a start makes.

use std::io;
use std::path::PathBuf;

use crate::cli::token;
use crate::config::paths::CONFIG_FILE;
use crate::config::problem::{Problem, Severity};
use crate::config::watch::{Result, Watch};
use crate::config::{Env, Overrides, Paths, load};

/// What was known at the start.
pub struct Reloading {
    /// The flags.
    pub cli: Overrides,
    /// The environment.
    pub env: &'static dyn Env,
    /// The folders.
    pub paths: Paths,
    /// The file that was read, if there was one.
    pub source: Option<PathBuf>,
    /// Host and port that we listen on.
    pub bound: (String, u16),
}

impl Reloading {
    /// Watches every file that could be the configuration.
    pub fn watch(self) -> io::Result<Watch> {
        let files = match &self.cli.config {
            Some(path) => vec![path.clone()],
            None => vec![self.paths.config_file(), self.paths.work_dir.join(CONFIG_FILE)],
        };
        Watch::start(files, move || self.load())
    }

    fn load(&self) -> Result {
        let loaded = load(&self.cli, self.env, self.paths.clone());
        let mut loaded = loaded.map_err(|error| error.problems)?;
        let mut refuse = |what: String, hint: &str| {
            loaded.warnings.push(Problem::new(Severity::Error, what).hint(hint));
        };
        if let (Some(path), None) = (&self.source, &loaded.source) {
            // Perhaps it is just being replaced.
            refuse(format!("the file {} is gone", path.display()), "put it back, or restart");
        } else if loaded.config.keys.is_empty() {
            refuse("No valid API keys configured".to_owned(), "a proxy without keys serves nobody");
        }
        if loaded.warnings.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(loaded.warnings);
        }
        // Where we really listen decides whether clients must show a token; one that was made for
        // that at the start is found again.
        let mut bound = loaded.config.clone();
        bound.host.clone_from(&self.bound.0);
        bound.port = self.bound.1;
        match token::ensure(&mut bound) {
            Ok(_) => loaded.config.client_tokens = bound.client_tokens,
            Err(problem) => {
                loaded.warnings.push(*problem);
                return Err(loaded.warnings);
            }
        }
        Ok(loaded)
    }
}
