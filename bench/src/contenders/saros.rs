//! The product, as its users run it: three accounts, default log level into a file.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{Contender, Site, first_line};
use crate::Fallible;

pub(super) struct Saros;

impl Contender for Saros {
    fn name(&self) -> &'static str {
        "saros"
    }

    /// `$SAROS_BIN`, else the one that was built into the same folder as this program. One at a
    /// fixed place may be an old one, whose figures would pass for those of the code at hand.
    fn binary(&self) -> PathBuf {
        let beside = || std::env::current_exe().unwrap_or_default().with_file_name("saros-proxy");
        std::env::var_os("SAROS_BIN").map_or_else(beside, PathBuf::from)
    }

    fn version(&self) -> Fallible<String> {
        first_line(Command::new(self.binary()).arg("--version"))
    }

    fn speaks_h2(&self) -> bool {
        true
    }

    /// The stub's ALPN decides which HTTP is spoken upstream.
    fn command(&self, site: &Site<'_>) -> Fallible<Command> {
        let home = site.folder.join("home");
        fs::create_dir_all(&home)?;
        let mut command = Command::new(self.binary());
        command.args(["serve", "--host", "127.0.0.1", "--port", &site.port.to_string()]);
        command
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_STATE_HOME", home.join("state"))
            .env("SSL_CERT_FILE", &site.identity.ca)
            .env("UPSTREAM_BASE_URL", format!("https://localhost:{}", site.upstream))
            .env(
                "OPENCODE_GO_KEYS",
                "one:sk-bench-bench-bench-bench-0001,two:sk-bench-bench-bench-bench-0002,three:sk-bench-bench-bench-bench-0003",
            )
            .env("NO_UPDATE_NOTIFIER", "1");
        Ok(command)
    }
}
