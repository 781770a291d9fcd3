//! The process environment, as something that is handed in.

use std::collections::BTreeMap;

/// Where environment variables come from. Only `main` knows the real one, so that a test owns the
/// whole world its configuration is read in.
pub trait Env: Send + Sync {
    /// The value of a variable, if it is set.
    fn var(&self, name: &str) -> Option<String>;

    /// The same, with an empty value counting as none: so a variable can be "unset" where a
    /// compose file or a unit always writes the line.
    fn filled(&self, name: &str) -> Option<String> {
        self.var(name).filter(|value| !value.trim().is_empty())
    }
}

impl Env for BTreeMap<&str, &str> {
    fn var(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| (*value).to_owned())
    }
}
