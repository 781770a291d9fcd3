//! Which proxy a command speaks of: the configuration's address and the daemon's files.

use std::path::{Path, PathBuf};

use crate::cli::token::FILE as TOKEN_FILE;
use crate::config::{Config, Env, Overrides, Paths, load_without_keys};
use crate::service::daemon::{self, Daemon, Found};
use crate::service::probe::Address;
use crate::service::record::Files;
use crate::state::token;

/// See the module documentation.
#[derive(Debug)]
pub struct Target {
    /// What is configured, keys excepted.
    pub config: Config,
    /// The configuration's file, if there is one.
    pub source: Option<PathBuf>,
    /// The daemon's files.
    pub files: Files,
    /// Where a proxy of this configuration listens.
    pub address: Address,
    /// The command line says which one is meant.
    named: bool,
}

impl Target {
    /// By flags and configuration.
    pub fn find(port: Option<&String>, config: Option<&Path>, env: &dyn Env) -> Self {
        let named = port.is_some() || config.is_some();
        let values = port.map(|port| ("port", port.clone())).into_iter().collect();
        let overrides = Overrides { config: config.map(Path::to_owned), values };
        let (config, source) = load_without_keys(&overrides, env, Paths::of_this_process(env));
        let (files, address) = (Files::of(&config), address(&config));
        Self { config, source, files, address, named }
    }

    /// What the PID file says.
    pub fn daemon(&self) -> Found {
        daemon::find(&self.files, &self.address)
    }

    /// The daemon, if it runs and is the one that is meant.
    pub fn running(&self) -> Option<Box<Daemon>> {
        match self.daemon() {
            Found::Running(daemon)
                if !self.named || daemon.address.port() == self.address.port() =>
            {
                Some(daemon)
            }
            _ => None,
        }
    }
}

/// Where a proxy of this configuration listens, with a token that it knows.
pub fn address(config: &Config) -> Address {
    let token = config.client_tokens.first().cloned().or_else(|| {
        let generated = token::read(&config.state_dir.join(TOKEN_FILE));
        generated.ok().flatten()
    });
    Address::new(&config.host, config.port).with_token(token)
}
