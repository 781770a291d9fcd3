//! The client token that is made when one is required and the owner has configured none.

use std::io;
use std::path::PathBuf;

use crate::config::Config;
use crate::secret::Secret;
use crate::state::token;

/// Its file in the state folder.
const FILE: &str = "client.token";

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
/// configuration.
pub fn ensure(config: &mut Config) -> io::Result<Token> {
    if !config.token_required() || !config.client_tokens.is_empty() {
        return Ok(Token::NotNeeded);
    }
    let path = config.state_dir.join(FILE);
    if let Some(token) = token::read(&path) {
        config.client_tokens.push(token);
        return Ok(Token::Found(path));
    }
    let token = token::generate("saros-")?;
    match token::keep(&path, &token) {
        // Another instance was faster.
        Err(error)
            if error.kind() == io::ErrorKind::AlreadyExists && token::read(&path).is_some() =>
        {
            config.client_tokens.extend(token::read(&path));
            Ok(Token::Found(path))
        }
        kept => {
            config.client_tokens.push(token.clone());
            Ok(Token::Made { token, kept: kept.map(|()| path) })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

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

        fs::write(state.join(FILE), "x").unwrap();
        let mut anew = open_to_all(&state);
        assert!(matches!(ensure(&mut anew).unwrap(), Token::Made { kept: Ok(_), .. }));
        assert_ne!(anew.client_tokens, [token]);
        assert_eq!(token::read(&state.join(FILE)), anew.client_tokens.first().cloned());
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
