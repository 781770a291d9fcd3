//! `restart`: stop and start, with the same flags.

use crate::cli::args::ServeArgs;
use crate::cli::args::service::StartArgs;
use crate::cli::start::prepare;
use crate::cli::target::Target;
use crate::cli::{Exit, say, stop};
use crate::config::Env;
use crate::service::daemon::Found;

/// Restarts the daemon; one that does not run is started.
pub fn run(args: &StartArgs, env: &dyn Env) -> Exit {
    // The record is found whatever the configuration says.
    let kept = Target::find(None, None, env).files.record();
    let kept = kept.and_then(|record| ServeArgs::from_words(&record.arguments)).unwrap_or_default();
    // First of all: a configuration that does not work leaves everything as it is.
    let plan = match prepare(args.serve.clone().or(kept), env) {
        Ok(plan) => plan,
        Err(exit) => return exit,
    };
    match plan.found() {
        Found::Running(daemon) => {
            if let Err(exit) = stop::stop(&daemon, &plan.files, plan.shutdown_timeout()) {
                return exit;
            }
            say::aside(&format!("Proxy (PID {}) stopped.", daemon.pid));
        }
        Found::Unsure(pid) => return stop::unsure(pid, &plan.files.pid),
        Found::Nothing | Found::Stale(_) => say::aside("No running proxy daemon found."),
    }
    match plan.free() {
        Ok(()) => plan.start(args.json),
        Err(exit) => exit,
    }
}
