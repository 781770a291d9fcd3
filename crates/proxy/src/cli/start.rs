//! `start`: the proxy in the background.

use std::ffi::OsString;
use std::time::Duration;

use serde::Serialize;

use crate::cli::args::ServeArgs;
use crate::cli::args::service::StartArgs;
use crate::cli::target::address;
use crate::cli::{Exit, say, serve, token};
use crate::config::{Config, Env, Loaded, Paths, load};
use crate::service::daemon::{self, Found, Start, Started};
use crate::service::holder;
use crate::service::probe::{Address, Who};
use crate::service::record::Files;

/// What `--json` says of a start.
#[derive(Serialize)]
struct Report<'a> {
    started: bool,
    pid: u32,
    port: u16,
    url: String,
    ready: bool,
    log: &'a std::path::Path,
}

/// Starts the proxy and returns when it serves.
pub fn run(args: &StartArgs, env: &dyn Env) -> Exit {
    match prepare(args.serve.clone(), env) {
        Ok(plan) => match plan.free() {
            Ok(()) => plan.start(args.json),
            Err(exit) => exit,
        },
        Err(exit) => exit,
    }
}

/// A start that can be carried out, as far as the configuration is concerned.
pub struct Plan {
    config: Config,
    /// The daemon's files.
    pub files: Files,
    address: Address,
    serve: ServeArgs,
}

/// Reads the configuration, and says everything that is wrong with it: the proxy itself could only
/// say it in its log.
pub fn prepare(mut serve: ServeArgs, env: &dyn Env) -> Result<Plan, Exit> {
    let paths = Paths::of_this_process(env);
    let place = serve.config.clone().unwrap_or_else(|| paths.config_file());
    let Loaded { config, source, warnings, .. } =
        load(&serve.overrides(), env, paths).map_err(|error| say::problems(&error.problems))?;
    say::problems(&warnings);
    if config.keys.is_empty() {
        let file = source.as_deref().unwrap_or(&place);
        return Err(say::problems(&[serve::no_keys(file)]));
    }
    // One in the current folder is another one tomorrow.
    if let (None, Some(source)) = (&serve.config, source)
        && !source.starts_with(&config.config_dir)
    {
        serve.config = Some(source);
    }
    let (files, address) = (Files::of(&config), address(&config));
    Ok(Plan { config, files, address, serve })
}

impl Plan {
    /// How long running requests may take, as configured.
    pub fn shutdown_timeout(&self) -> Duration {
        self.config.shutdown_timeout
    }

    /// What the PID file says.
    pub fn found(&self) -> Found {
        daemon::find(&self.files, &self.address)
    }

    /// Sees to it that nothing is in the way; what is left of a daemon that died is removed.
    pub fn free(&self) -> Result<(), Exit> {
        match self.found() {
            Found::Nothing => {}
            Found::Stale(pid) => self.files.forget(pid),
            Found::Unsure(pid) => {
                return Err(say::failure(
                    format!(
                        "{} names process {pid}, and it cannot be told whether that is ours",
                        self.files.pid.display()
                    ),
                    "end that process if it is a proxy, or remove the file if it is not",
                ));
            }
            Found::Running(daemon) => {
                let port = daemon.address.port();
                return Err(say::failure(
                    format!("Proxy is already running (PID {}) on port {port}", daemon.pid),
                    "`saros-proxy restart` to start it anew, `saros-proxy stop` to stop it",
                ));
            }
        }
        if let Who::Saros(health) = self.address.who() {
            let pid = health.pid.or_else(|| Some(holder::of(self.config.port)?.pid));
            let pid = pid.map(|pid| format!(" (PID {pid})")).unwrap_or_default();
            return Err(say::failure(
                format!(
                    "A proxy is already running{pid} on port {}, started in another way",
                    self.config.port
                ),
                "stop it where it was started, or choose another port with --port",
            ));
        }
        Ok(())
    }

    /// Starts it.
    pub fn start(&self, json: bool) -> Exit {
        let program = match std::env::current_exe() {
            Ok(program) => program,
            Err(error) => {
                return say::failure(
                    format!("This program cannot be found: {error}"),
                    "start it with its full path",
                );
            }
        };
        let words = ["serve".to_owned(), "--daemon".to_owned()];
        let arguments = words.into_iter().chain(self.serve.words()).map(OsString::from).collect();
        let start = Start {
            program,
            arguments,
            address: self.address.clone(),
            log: self.files.log.clone(),
        };
        let log = self.files.log.display();
        match start.run() {
            Ok(Started::Serving(pid, ready)) => {
                self.tell(pid, ready, json);
                Exit::Done
            }
            Ok(Started::Died(status, said)) => {
                let said =
                    if said.is_empty() { format!("it said nothing ({status})") } else { said };
                say::failure(format!("Proxy did not start: {said}"), format!("its log: {log}"))
            }
            Ok(Started::Slow(pid)) => say::failure(
                format!("Proxy (PID {pid}) runs, but does not answer at {} yet", self.address),
                format!("see what it is at with `saros-proxy logs -f` ({log})"),
            ),
            Err(error) => say::failure(
                format!("Proxy cannot be started: {error}"),
                format!("its log would be {log}"),
            ),
        }
    }

    fn tell(&self, pid: u32, ready: bool, json: bool) {
        let port = self.config.port;
        if json {
            let log = &self.files.log;
            say::json(&Report {
                started: true,
                pid,
                port,
                url: self.address.to_string(),
                ready,
                log,
            });
        } else {
            say::line(&format!("Proxy started (PID {pid}) on port {port}"));
            say::line(&format!("  clients use {}/zen/go/v1", self.address));
            if self.config.token_required() && self.config.client_tokens.is_empty() {
                let token = self.config.state_dir.join(token::FILE);
                say::line(&format!("  they must show the token in {}", token.display()));
            }
        }
        if !ready {
            say::warning("No key can be used at the moment", "`saros-proxy doctor` says why");
        }
    }
}
