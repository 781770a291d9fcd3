//! `status`: whether a proxy runs, and how it is.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::cli::args::service::StatusArgs;
use crate::cli::target::Target;
use crate::cli::{Exit, say};
use crate::config::Env;
use crate::service::autostart::systemd;
use crate::service::daemon::Found;
use crate::service::holder;
use crate::service::probe::{Health, KeyHealth, Who};

/// What `--json` says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    running: bool,
    /// Whether it answers; one that is stopping does not.
    answering: bool,
    pid: Option<u32>,
    url: String,
    port: u16,
    /// `start`, `systemd` or `other`.
    started_by: &'static str,
    version: Option<String>,
    strategy: Option<String>,
    uptime_seconds: Option<u64>,
    accounts: Option<Accounts>,
    in_flight: Option<usize>,
    harnesses: Vec<String>,
    keys: Vec<Key>,
    log: Option<String>,
}

#[derive(Serialize)]
struct Accounts {
    total: usize,
    usable: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    label: String,
    state: String,
    why: Option<String>,
    in_flight: u32,
    cooldown_seconds: i64,
}

/// Says how the proxy is.
pub fn run(args: &StatusArgs, env: &dyn Env) -> Exit {
    let target = Target::find(args.port.as_ref(), args.config.as_deref(), env);
    if args.probe {
        return if target.address.is_ready() { Exit::Done } else { Exit::NotRunning };
    }
    let Some(report) = look(&target) else {
        if args.json {
            let (url, port) = (target.address.to_string(), target.address.port());
            say::json(&serde_json::json!({ "running": false, "url": url, "port": port }));
        } else {
            say::line("Daemon is not running.");
            explain(&target);
        }
        return Exit::NotRunning;
    };
    if args.json {
        say::json(&report);
    } else {
        say::line(&report.text());
    }
    Exit::Done
}

fn look(target: &Target) -> Option<Report> {
    if let Some(daemon) = target.running() {
        let mut report = Report::new(&daemon.address.to_string(), daemon.address.port(), target);
        report.pid = Some(daemon.pid);
        report.started_by = "start";
        report.log = Some(target.files.log.display().to_string());
        return Some(match daemon.health {
            Some(health) => report.with(*health),
            None => report,
        });
    }
    let Who::Saros(health) = target.address.who() else { return None };
    let port = target.address.port();
    let mut report = Report::new(&target.address.to_string(), port, target);
    report.pid = health.pid.or_else(|| Some(holder::of(port)?.pid));
    if report.pid.is_some_and(systemd::runs) {
        report.started_by = "systemd";
    }
    Some(report.with(*health))
}

/// Why there is none, where that is not plain.
fn explain(target: &Target) {
    match target.daemon() {
        Found::Stale(pid) => {
            let file = target.files.pid.display();
            say::aside(&format!("{file} names process {pid}, which is not a proxy any more."));
        }
        Found::Unsure(pid) => {
            let file = target.files.pid.display();
            say::aside(&format!("{file} names process {pid}; whose it is cannot be told."));
        }
        Found::Running(daemon) => {
            say::aside(&format!("Another one runs (PID {}) at {}.", daemon.pid, daemon.address));
        }
        Found::Nothing => {}
    }
    if let Who::Stranger = target.address.who() {
        let port = target.address.port();
        let by = holder::of(port).map(|holder| format!(" ({}, PID {})", holder.name, holder.pid));
        say::aside(&format!("Port {port} is used by something else{}.", by.unwrap_or_default()));
    }
}

impl Report {
    fn new(url: &str, port: u16, target: &Target) -> Self {
        Self {
            running: true,
            answering: false,
            pid: None,
            url: url.to_owned(),
            port,
            started_by: "other",
            version: None,
            strategy: None,
            uptime_seconds: None,
            accounts: None,
            in_flight: None,
            harnesses: harnesses(&target.config.config_dir),
            keys: Vec::new(),
            log: None,
        }
    }

    fn with(self, health: Health) -> Self {
        let key = |key: KeyHealth| Key {
            label: key.label,
            state: key.state,
            why: key.why,
            in_flight: key.in_flight,
            cooldown_seconds: key.cooldown_seconds,
        };
        Self {
            answering: true,
            version: health.version,
            strategy: health.strategy,
            // Uptime is never negative and, as a float, exact far beyond a lifetime.
            uptime_seconds: Some(
                std::time::Duration::try_from_secs_f64(health.uptime).unwrap_or_default().as_secs(),
            ),
            accounts: Some(Accounts { total: health.key_count, usable: health.enabled_count }),
            in_flight: Some(health.active_requests),
            keys: health.keys.into_iter().map(key).collect(),
            ..self
        }
    }

    fn text(&self) -> String {
        let pid = self.pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string());
        let mut rows: Vec<(&str, String)> = Vec::new();
        rows.push(("address", self.url.clone()));
        if !self.answering {
            rows.push(("state", "does not answer: it is stopping, or stuck".to_owned()));
        }
        if let Some(version) = &self.version {
            rows.push(("version", version.clone()));
        }
        if let Some(seconds) = self.uptime_seconds {
            rows.push(("uptime", say::time(seconds)));
        }
        if let Some(strategy) = &self.strategy {
            rows.push(("strategy", strategy.clone()));
        }
        if let Some(Accounts { total, usable }) = self.accounts {
            let text = if total == usable {
                total.to_string()
            } else {
                format!("{total}, {usable} usable now")
            };
            rows.push(("accounts", text));
        }
        if let Some(count) = self.in_flight {
            rows.push(("in flight", count.to_string()));
        }
        let harnesses =
            if self.harnesses.is_empty() { "none".to_owned() } else { self.harnesses.join(", ") };
        rows.push(("harnesses", harnesses));
        rows.push((
            "started by",
            match self.started_by {
                "start" => "saros-proxy start".to_owned(),
                "systemd" => format!("systemd ({})", systemd::UNIT),
                _ => "another way, in the foreground or by a service".to_owned(),
            },
        ));
        if let Some(log) = &self.log {
            rows.push(("log", log.clone()));
        }
        let mut text = format!("Proxy is running (PID {pid}).");
        for (name, value) in rows {
            let _ = write!(text, "\n  {name:<11}{value}");
        }
        let width = self.keys.iter().map(|key| key.label.chars().count()).max().unwrap_or(0);
        for (number, key) in self.keys.iter().enumerate() {
            let heading = if number == 0 { "keys" } else { "" };
            let _ = write!(text, "\n  {heading:<11}{:<width$}  {}", key.label, key.text());
        }
        text
    }
}

impl Key {
    fn text(&self) -> String {
        let mut text = match self.state.as_str() {
            "ready" => "ready".to_owned(),
            "trial" => "on trial".to_owned(),
            "cooling" => "cooling down".to_owned(),
            "outOfQuota" => "out of quota".to_owned(),
            "dead" => "refused by the service".to_owned(),
            other => other.to_owned(),
        };
        if let Some(why) = &self.why {
            let _ = write!(text, " ({why})");
        }
        if let Ok(seconds @ 1..) = u64::try_from(self.cooldown_seconds) {
            let _ = write!(text, ", back in {}", say::time(seconds));
        }
        if self.in_flight > 0 {
            let _ = write!(text, ", {} in flight", self.in_flight);
        }
        text
    }
}

/// The clients that are kept up to date, by `harnesses.json`: without one it is OpenCode, in a
/// broken one there are none.
fn harnesses(config_dir: &Path) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Chosen {
        harnesses: Vec<String>,
    }
    match fs::read(config_dir.join("harnesses.json")) {
        Ok(bytes) => {
            serde_json::from_slice::<Chosen>(&bytes).map_or(Vec::new(), |chosen| chosen.harnesses)
        }
        Err(_) => vec!["opencode".to_owned()],
    }
}
