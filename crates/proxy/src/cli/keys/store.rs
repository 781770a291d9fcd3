//! The configuration file, opened to be changed.

use std::path::{Path, PathBuf};

use crate::cli::config::file as configuration_file;
use crate::config::edit::{Document, Refused};
use crate::config::keys::malformed;
use crate::config::problem::{Place, Problem, Severity};
use crate::config::{Env, Overrides, file, write};

/// See the module documentation.
#[derive(Debug)]
pub struct Store {
    /// Where it is.
    pub path: PathBuf,
    /// What it says now.
    pub document: Document,
    before: Option<String>,
}

/// An error without a place.
pub fn error(what: impl Into<String>, hint: impl Into<String>) -> Box<Problem> {
    Box::new(Problem::new(Severity::Error, what).hint(hint))
}

impl Store {
    /// Opens the file that would be read, or that would be made.
    pub fn open(config: Option<&Path>, env: &dyn Env) -> Result<Self, Box<Problem>> {
        let cli = Overrides { config: config.map(Path::to_owned), ..Overrides::default() };
        let (path, exists) = configuration_file(&cli, env);
        let before = if exists {
            let read = file::read_text(&path);
            Some(read.map_err(|why| about(&path, format!("the file cannot be read: {why}")))?)
        } else {
            None
        };
        let document = Document::parse(before.clone().unwrap_or_default())
            .map_err(|refused| about(&path, refused.to_string()))?;
        Ok(Self { path, document, before })
    }

    /// The place of the key with this name.
    pub fn find(&self, name: &str) -> Result<usize, Box<Problem>> {
        let keys = self.document.keys();
        keys.iter().position(|key| key.name == name).ok_or_else(|| {
            let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
            let hint = match names.as_slice() {
                [] => "there are none".to_owned(),
                names => format!("there are: {}", names.join(", ")),
            };
            // Somebody may have pasted a key.
            let shown = if malformed(name).is_none() { "***" } else { name };
            error(format!("there is no key called `{shown}` in {}", self.path.display()), hint)
        })
    }

    /// Whether a name can be given to a key.
    pub fn free(&self, name: &str) -> Result<(), Box<Problem>> {
        let why = if name.trim().is_empty() {
            "a name has at least one character"
        } else if name.contains(char::is_control) {
            "a name has no control characters"
        } else if malformed(name).is_none() {
            "this is a key, and no name for one: keys are never given as arguments, where others \
             can see them"
        } else if self.document.keys().iter().any(|key| key.name == name) {
            "there is a key of this name already"
        } else {
            return Ok(());
        };
        Err(error(why, "choose another name"))
    }

    /// Makes a change.
    pub fn edit(
        &mut self,
        change: impl FnOnce(&mut Document) -> Result<(), Refused>,
    ) -> Result<(), Box<Problem>> {
        change(&mut self.document).map_err(|refused| about(&self.path, refused.to_string()))
    }

    /// Writes the file; says where.
    pub fn save(self) -> Result<PathBuf, Box<Problem>> {
        let written = write::replace(&self.path, self.before.as_deref(), self.document.text());
        written.map_err(|why| about(&self.path, format!("the file cannot be changed: {why}")))?;
        Ok(self.path)
    }
}

fn about(path: &Path, what: String) -> Box<Problem> {
    let mut problem = Problem::new(Severity::Error, what);
    problem.place = Place::File { path: path.to_owned(), line: 0, column: 0 };
    Box::new(problem)
}
