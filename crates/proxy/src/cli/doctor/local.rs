//! What this machine can say: the configuration, the modes of its files, the port.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use crate::cli::doctor::finding::{Finding, check};
use crate::cli::target::Target;
use crate::config::master::MASTER_KEY_FILE;
use crate::config::problem::{Problem, Severity};
use crate::config::{Env, LoadError, Loaded};
use crate::service::daemon::Found;
use crate::service::holder;
use crate::service::probe::Who;

/// The configuration; `place` is where a file would be looked for.
pub fn configuration(loaded: &Result<Loaded, LoadError>, place: &Path) -> Vec<Finding> {
    let problems = match loaded {
        Ok(loaded) => &loaded.warnings,
        Err(error) => &error.problems,
    };
    let mut findings: Vec<Finding> = problems.iter().map(of_problem).collect();
    let Ok(loaded) = loaded else { return findings };
    if loaded.config.keys.is_empty() {
        let fix = format!("`saros-proxy setup`, or add some under `keys:` in {}", place.display());
        findings.push(Finding::broken(check::CONFIG, "No valid API keys configured").fix(fix));
    }
    let from = match &loaded.source {
        Some(path) => path.display().to_string(),
        None => format!("environment and defaults, no file at {}", place.display()),
    };
    let keys = loaded.config.keys.len();
    let keys = if keys == 1 { "1 key".to_owned() } else { format!("{keys} keys") };
    findings.insert(0, Finding::ok(check::CONFIG, format!("{from}: {keys}")));
    findings
}

fn of_problem(problem: &Problem) -> Finding {
    let mut place = problem.place.to_string();
    if !place.is_empty() {
        place.push_str(": ");
    }
    let what = format!("{place}{}", problem.what);
    let finding = match problem.severity {
        Severity::Error => Finding::broken(check::CONFIG, what),
        Severity::Warning => Finding::warning(check::CONFIG, what),
    };
    let allowed = problem.allowed.as_ref().map(|allowed| format!("allowed: {allowed}"));
    let fixes: Vec<String> = allowed.into_iter().chain(problem.hint.clone()).collect();
    if fixes.is_empty() { finding } else { finding.fix(fixes.join("; ")) }
}

/// Who may read the files that hold secrets.
pub fn modes(target: &Target, env: &dyn Env) -> Vec<Finding> {
    let state = &target.config.state_dir;
    let files = [
        target.source.clone(),
        env.filled(MASTER_KEY_FILE).map(PathBuf::from),
        Some(state.join("client.token")),
        Some(state.join("control.token")),
        Some(target.files.log.clone()),
    ];
    let there: Vec<PathBuf> = files.into_iter().flatten().filter(|path| path.exists()).collect();
    let mut findings: Vec<Finding> = there.iter().filter_map(|path| open_to_others(path)).collect();
    if findings.is_empty() && !there.is_empty() {
        findings.push(Finding::ok(check::FILES, "files with secrets are readable by you only"));
    }
    findings
}

#[cfg(unix)]
fn open_to_others(path: &Path) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        let what = format!("{} can be read or changed by others (mode {mode:03o})", path.display());
        Finding::warning(check::FILES, what).fix(format!("chmod 600 '{}'", path.display()))
    })
}

/// Access lists are another matter, and a user's own folders are closed to others by default.
#[cfg(not(unix))]
fn open_to_others(_: &Path) -> Option<Finding> {
    None
}

/// Who has the port.
pub fn port(target: &Target) -> Finding {
    let port = target.address.port();
    match target.address.who() {
        Who::Saros(health) => {
            let pid = health.pid.map(|pid| format!(" (PID {pid})")).unwrap_or_default();
            let version = health.version.unwrap_or_else(|| "an older saros-proxy".to_owned());
            let what = format!("{port}: a proxy serves there{pid}, version {version}");
            if version == env!("CARGO_PKG_VERSION") {
                return Finding::ok(check::PORT, what);
            }
            let what = format!("{what}; this program is {}", env!("CARGO_PKG_VERSION"));
            Finding::warning(check::PORT, what).fix("`saros-proxy restart`, if `start` started it")
        }
        Who::Stranger => {
            let by = holder::of(port);
            let by = by.map(|holder| format!(" by {} (PID {})", holder.name, holder.pid));
            let what =
                format!("{port} is used{} and no proxy answers there", by.unwrap_or_default());
            Finding::broken(check::PORT, what).fix("stop that process, or choose another `port`")
        }
        Who::Nobody => free(target),
    }
}

fn free(target: &Target) -> Finding {
    let (host, port) = (target.config.host.as_str(), target.config.port);
    if let Found::Running(daemon) = target.daemon() {
        let what =
            format!("{port}: the proxy (PID {}) serves {} instead", daemon.pid, daemon.address);
        return Finding::note(check::PORT, what);
    }
    match TcpListener::bind((host, port)) {
        Ok(_) => Finding::ok(check::PORT, format!("{port} is free; no proxy runs")),
        Err(error) => {
            let fix = match error.kind() {
                io::ErrorKind::PermissionDenied => "choose a `port` above 1023",
                io::ErrorKind::AddrNotAvailable => {
                    "set `host` to 127.0.0.1, or an address of this machine"
                }
                _ => "choose another `port` or `host`",
            };
            Finding::broken(check::PORT, format!("{host}, port {port} cannot be opened: {error}"))
                .fix(fix)
        }
    }
}
