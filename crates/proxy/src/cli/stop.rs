//! `stop`: the proxy in the background drains and ends.

use std::path::Path;
use std::time::Duration;

use crate::cli::args::service::StopArgs;
use crate::cli::target::Target;
use crate::cli::{Exit, say};
use crate::config::Env;
use crate::service::autostart::systemd;
use crate::service::daemon::{Daemon, Found, Stopped};
use crate::service::probe::Who;
use crate::service::record::Files;

/// Stops the daemon.
pub fn run(args: &StopArgs, env: &dyn Env) -> Exit {
    let target = Target::find(None, args.config.as_deref(), env);
    match target.daemon() {
        Found::Running(daemon) => {
            match stop(&daemon, &target.files, target.config.shutdown_timeout) {
                Ok(()) => {
                    if args.json {
                        say::json(&serde_json::json!({ "stopped": true, "pid": daemon.pid }));
                    } else {
                        say::line(&format!("Proxy (PID {}) stopped.", daemon.pid));
                    }
                    Exit::Done
                }
                Err(exit) => exit,
            }
        }
        Found::Unsure(pid) => unsure(pid, &target.files.pid),
        found => {
            if let Found::Stale(pid) = found {
                target.files.forget(pid);
            }
            if args.json {
                say::json(&serde_json::json!({ "stopped": false }));
            } else {
                say::line("No running proxy daemon found.");
            }
            elsewhere(&target);
            Exit::NotRunning
        }
    }
}

/// Asks the daemon to stop and waits for its end.
pub fn stop(daemon: &Daemon, files: &Files, shutdown_timeout: Duration) -> Result<(), Exit> {
    let running = daemon.health.as_ref().map_or(0, |health| health.active_requests);
    let seconds = daemon.patience(shutdown_timeout).as_secs();
    if running > 0 {
        let requests = if running == 1 { "request" } else { "requests" };
        say::aside(&format!("Waiting for {running} running {requests}, {seconds} s at most"));
    }
    let pid = daemon.pid;
    match daemon.stop(files, shutdown_timeout) {
        Ok(Stopped::Drained) => Ok(()),
        Ok(Stopped::Killed) => {
            let what = format!("Proxy (PID {pid}) did not end within {seconds} s and was killed");
            say::warning(what, "running requests were cut");
            Ok(())
        }
        Ok(Stopped::Not) => Err(say::failure(
            format!("Proxy (PID {pid}) cannot be ended"),
            "it waits for the system; try again later",
        )),
        Err(error) => Err(say::failure(
            format!("Proxy (PID {pid}) cannot be stopped: {error}"),
            "stop it as the user who started it",
        )),
    }
}

/// What to do about a process of which nothing is known.
pub fn unsure(pid: u32, file: &Path) -> Exit {
    say::failure(
        format!(
            "{} names process {pid}, and it cannot be told whether that is ours",
            file.display()
        ),
        "end that process if it is a proxy, or remove the file if it is not",
    )
}

/// A proxy that was started in another way is not ours to stop, but is worth a word.
fn elsewhere(target: &Target) {
    let Who::Saros(health) = target.address.who() else { return };
    let pid = health.pid.map(|pid| format!(" (PID {pid})")).unwrap_or_default();
    let hint = match health.pid {
        Some(pid) if systemd::runs(pid) => {
            "`systemctl --user stop saros-proxy` stops it".to_owned()
        }
        Some(pid) => format!("stop it where it was started, or end process {pid}"),
        None => "stop it where it was started".to_owned(),
    };
    say::warning(
        format!("A proxy answers at {}{pid}, started in another way", target.address),
        hint,
    );
}
