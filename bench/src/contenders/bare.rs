//! The scratch proxy of this crate.

use std::path::PathBuf;
use std::process::Command;

use super::{Contender, Site};
use crate::Fallible;

pub(super) struct Bare;

impl Contender for Bare {
    fn name(&self) -> &'static str {
        "bare"
    }

    fn binary(&self) -> PathBuf {
        std::env::current_exe().unwrap_or_default()
    }

    fn version(&self) -> Fallible<String> {
        Ok("hyper and rustls as in Cargo.lock".to_owned())
    }

    fn speaks_h2(&self) -> bool {
        true
    }

    fn command(&self, site: &Site<'_>) -> Fallible<Command> {
        let mut command = Command::new(self.binary());
        command.args(["bare", "--listen", &format!("127.0.0.1:{}", site.port)]);
        command
            .args(["--upstream-port", &site.upstream.to_string(), "--ca"])
            .arg(&site.identity.ca);
        if site.h2 {
            command.arg("--h2");
        }
        Ok(command)
    }
}
