//! The master key of keys that are encrypted at rest, and where it comes from.

use std::path::Path;

use crate::config::env::Env;
use crate::config::problem::{Place, Problem, Severity};
use crate::config::{file, keyring};
use crate::secret::Secret;

/// The variable that holds it.
pub const MASTER_KEY: &str = "OPENCODE_GO_ENCRYPTION_KEY";
/// The variable that names a file with it.
pub const MASTER_KEY_FILE: &str = "OPENCODE_GO_ENCRYPTION_KEY_FILE";
/// The fewest characters of a new one. Older ones were never checked, and go on working.
pub const MIN_MASTER: usize = 16;

/// Where a master key was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// In [`MASTER_KEY`].
    Variable,
    /// In the file that [`MASTER_KEY_FILE`] names.
    File,
    /// In the operating system's keyring.
    Keyring,
}

/// Finds the master key: in the variable, else in the file that another one names, else in the
/// operating system's keyring. Whatever of the three is there is the only one that counts.
pub fn find(env: &dyn Env) -> Result<Option<(Secret, Found)>, Box<Problem>> {
    if let Some(master) = env.filled(MASTER_KEY) {
        return Ok(Some((Secret::new(master), Found::Variable)));
    }
    if let Some(path) = env.filled(MASTER_KEY_FILE) {
        let master = from_file(Path::new(&path)).map_err(|what| {
            let mut problem = Problem::new(Severity::Error, what);
            problem.place = Place::Variable(MASTER_KEY_FILE);
            Box::new(problem)
        })?;
        return Ok(Some((master, Found::File)));
    }
    match keyring::get(env) {
        Ok(master) => Ok(master.map(|master| (master, Found::Keyring))),
        Err(why) => {
            let what = format!("the keyring cannot be asked for the master key: {why}");
            let hint = format!("set {MASTER_KEY}, or {MASTER_KEY_FILE} to a file that holds it");
            Err(Box::new(Problem::new(Severity::Error, what).hint(hint)))
        }
    }
}

/// Reads a master key from a file, or says why not.
pub fn from_file(path: &Path) -> Result<Secret, String> {
    let shown = path.display();
    let text = file::read_text(path)
        .map_err(|error| format!("the master key cannot be read from {shown}: {error}"))?;
    // Editors and `echo` end a file with a newline that is not part of the key.
    let master = text.trim_end_matches(['\r', '\n']);
    if master.is_empty() {
        return Err(format!("the master key cannot be read from {shown}: it is empty"));
    }
    Ok(Secret::new(master.to_owned()))
}

/// A warning about a key file that others can read.
pub(crate) fn loose_file(env: &dyn Env) -> Option<Problem> {
    if env.filled(MASTER_KEY).is_some() {
        return None;
    }
    let path = env.filled(MASTER_KEY_FILE)?;
    let mut problem = file::loose(Path::new(&path), "the master key")?;
    problem.place = Place::Variable(MASTER_KEY_FILE);
    Some(problem)
}

/// Why a text is no good as a new master key.
pub fn too_weak(master: &Secret) -> Option<String> {
    let length = master.expose().chars().count();
    (length < MIN_MASTER).then(|| {
        format!("a new master key has at least {MIN_MASTER} characters, this one has {length}")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;

    #[test]
    fn the_variable_goes_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master");
        fs::write(&path, "from the file\r\n").unwrap();
        let file = (MASTER_KEY_FILE, path.to_str().unwrap());
        let found = |env: &[(&str, &str)]| {
            let env: BTreeMap<&str, &str> = env.iter().copied().collect();
            find(&env).map(|found| found.map(|(master, from)| (master.expose().to_owned(), from)))
        };
        let variable = (MASTER_KEY, "from the variable");
        let from_variable = Some(("from the variable".to_owned(), Found::Variable));
        assert_eq!(found(&[variable, file]), Ok(from_variable));
        assert_eq!(found(&[file]), Ok(Some(("from the file".to_owned(), Found::File))));
        assert_eq!(
            found(&[(MASTER_KEY, " "), file]),
            Ok(Some(("from the file".to_owned(), Found::File)))
        );
        fs::write(&path, "\n").unwrap();
        let problem = found(&[file]).unwrap_err();
        assert!(problem.what.ends_with("it is empty"), "{problem}");
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_that_others_can_read_is_warned_about() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master");
        fs::write(&path, "correct horse battery staple").unwrap();
        let env: BTreeMap<&str, &str> = [(MASTER_KEY_FILE, path.to_str().unwrap())].into();
        for (mode, warned) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let problem = loose_file(&env);
            assert_eq!(problem.is_some(), warned, "{mode:o}");
            if let Some(problem) = problem {
                let hint = problem.hint.unwrap();
                assert_eq!(hint, format!("chmod 600 {}", path.display()));
            }
        }
    }

    #[test]
    fn new_ones_have_sixteen_characters() {
        assert!(too_weak(&Secret::new("0123456789abcde".to_owned())).is_some());
        assert_eq!(too_weak(&Secret::new("0123456789abcdef".to_owned())), None);
        assert_eq!(too_weak(&Secret::new("шестнадцать букв".to_owned())), None);
    }
}
