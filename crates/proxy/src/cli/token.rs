//! The client token that is made when one is required and the owner has configured none.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::problem::{Problem, Severity};
use crate::secret::Secret;
use crate::state::token;

/// Its file in the state folder.
pub(crate) const FILE: &str = "client.token";

/// Where the token that clients need comes from.
#[derive(Debug)]
pub enum Token {
    /// None is required, or the owner has configured some.
    NotNeeded,
    /// It was made at an earlier start.
    Found(PathBuf),
    /// It was made now.
    Made {
        /// To be shown once.
        token: Secret,
        /// Where it is kept, or why it is not.
        kept: io::Result<PathBuf>,
    },
}

/// Sees to it that there is a token where one is required: reads or makes it, and adds it to the
/// configuration. A file in its place that holds no token is left alone, and is an error: whoever
/// put it there may have meant something by it.
pub fn ensure(config: &mut Config) -> Result<Token, Box<Problem>> {
    if !config.token_required() || !config.client_tokens.is_empty() {
        return Ok(Token::NotNeeded);
    }
    let path = config.state_dir.join(FILE);
    if let Some(token) = read(&path)? {
        config.client_tokens.push(token);
        return Ok(Token::Found(path));
    }
    let token = token::generate("saros-").map_err(|error| {
        let what = format!("No client token can be made: {error}");
        Box::new(Problem::new(Severity::Error, what))
    })?;
    let kept = token::keep(&path, &token);
    // Another instance was faster.
    if matches!(&kept, Err(error) if error.kind() == io::ErrorKind::AlreadyExists)
        && let Some(token) = read(&path)?
    {
        config.client_tokens.push(token);
        return Ok(Token::Found(path));
    }
    config.client_tokens.push(token.clone());
    Ok(Token::Made { token, kept: kept.map(|()| path) })
}

fn read(path: &Path) -> Result<Option<Secret>, Box<Problem>> {
    token::read(path).map_err(|why| {
        let what = format!("{} holds no client token: {why}", path.display());
        let hint = "delete it, and a new one is made; or set CLIENT_TOKENS or `clientTokens`";
        Box::new(Problem::new(Severity::Error, what).hint(hint))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::RequireClientToken;

    fn open_to_all(state_dir: &Path) -> Config {
        Config { host: "0.0.0.0".to_owned(), state_dir: state_dir.to_owned(), ..Config::default() }
    }

    #[test]
    fn made_once_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let mut config = open_to_all(&state);
        let Token::Made { token, kept } = ensure(&mut config).unwrap() else { panic!() };
        assert_eq!(kept.unwrap(), state.join("client.token"));
        assert_eq!(config.client_tokens.as_slice(), std::slice::from_ref(&token));
        assert_eq!(token.expose().len(), "saros-".len() + 32);

        let mut again = open_to_all(&state);
        assert!(
            matches!(ensure(&mut again).unwrap(), Token::Found(path) if path == state.join(FILE))
        );
        assert_eq!(again.client_tokens.as_slice(), std::slice::from_ref(&token));
    }

    #[test]
    fn a_file_that_holds_no_token_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        let most = usize::try_from(token::LONGEST).unwrap();
        for (text, why) in [
            (String::new(), "one line of at least 16 visible characters"),
            ("short".to_owned(), "one line of at least 16 visible characters"),
            ("0123456789abcdef\n0123456789abcdef\n".to_owned(), "one line of at least 16"),
            ("a".repeat(most + 1), "it is larger than 4096 bytes"),
            ("\n".repeat(most + 1), "it is larger than 4096 bytes"),
        ] {
            fs::write(&file, &text).unwrap();
            let mut config = open_to_all(folder.path());
            let problem = ensure(&mut config).unwrap_err();
            let begin = format!("{} holds no client token: {why}", file.display());
            assert!(problem.what.starts_with(&begin), "{}", problem.what);
            assert!(problem.hint.as_deref().is_some_and(|hint| hint.contains("delete it")));
            assert!(!problem.to_string().contains("0123456789abcdef"), "may be a secret");
            assert_eq!((config.client_tokens.len(), fs::read_to_string(&file).unwrap()), (0, text));
        }
        for token in ["a".repeat(most), format!("{}\n", "a".repeat(16))] {
            fs::write(&file, &token).unwrap();
            let mut config = open_to_all(folder.path());
            assert!(matches!(ensure(&mut config).unwrap(), Token::Found(_)));
            assert_eq!(config.client_tokens, [Secret::new(token.trim().to_owned())]);
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_has_no_end_or_no_beginning_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        let refused = || ensure(&mut open_to_all(folder.path())).unwrap_err().what;
        fs::create_dir(&file).unwrap();
        assert!(refused().ends_with("it is not a regular file"));
        fs::remove_dir(&file).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
        assert!(refused().ends_with("it is not a regular file"));
        fs::remove_file(&file).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
        assert!(refused().ends_with("it is not a regular file"));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        ensure(&mut open_to_all(&state)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&state.join(FILE))), (0o700, 0o600));
    }

    #[test]
    fn none_where_none_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let mut local = Config { state_dir: folder.path().into(), ..Config::default() };
        let mut waived = open_to_all(folder.path());
        waived.require_client_token = RequireClientToken::Never;
        let mut own = open_to_all(folder.path());
        own.client_tokens = vec![Secret::new("0123456789abcdef".to_owned())];
        for config in [&mut local, &mut waived, &mut own] {
            let tokens = config.client_tokens.len();
            assert!(matches!(ensure(config).unwrap(), Token::NotNeeded));
            assert_eq!(config.client_tokens.len(), tokens);
        }
        assert!(!folder.path().join(FILE).exists());
    }

    #[test]
    fn where_nothing_can_be_written_it_still_works() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let mut config = open_to_all(&file.join("state"));
        assert!(matches!(ensure(&mut config).unwrap(), Token::Made { kept: Err(_), .. }));
        assert_eq!(config.client_tokens.len(), 1);
    }
}
