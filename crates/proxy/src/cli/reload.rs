//! `reload`: a running proxy takes over its configuration anew.

use std::io::{self, ErrorKind};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::args::config::ReloadArgs;
use crate::cli::target::Target;
use crate::cli::{Exit, say};
use crate::config::Env;
use crate::state::{CONTROL_TOKEN, token};

/// What the proxy says came of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    applied: bool,
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<String>,
    need_restart: Vec<String>,
    problems: Vec<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    severity: String,
    what: String,
    allowed: Option<String>,
    hint: Option<String>,
    file: Option<String>,
    line: Option<u64>,
    column: Option<u64>,
}

/// Asks for it.
pub fn run(args: &ReloadArgs, env: &dyn Env) -> Exit {
    let target = Target::find(args.port.as_ref(), args.config.as_deref(), env);
    let port = target.address.port();
    let asked = match ask(&target) {
        // A proxy that is just starting writes its token after it listens.
        Ok((401, _)) => ask(&target),
        asked => asked,
    };
    match asked {
        Ok((200 | 422, body)) => match serde_json::from_slice::<Answer>(&body) {
            Ok(answer) if args.json => {
                // As the proxy says it.
                say::json(&serde_json::from_slice::<Value>(&body).unwrap_or_default());
                exit(&answer)
            }
            Ok(answer) => tell(&answer),
            Err(_) => strange(port, 200),
        },
        Ok((401, _)) => say::failure(
            format!("The proxy on port {port} does not know this user's control token"),
            format!(
                "it was started by another user or with another folder: compare {}",
                shown(&target.config.state_dir)
            ),
        ),
        Ok((status, _)) => strange(port, status),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            if args.json {
                say::json(&json!({ "running": false }));
            } else {
                say::aside(&format!("No proxy runs on port {port}."));
            }
            Exit::NotRunning
        }
        Err(error) => say::failure(
            format!("The proxy on port {port} cannot be asked: {error}"),
            "see `saros-proxy status`",
        ),
    }
}

fn ask(target: &Target) -> io::Result<(u16, Vec<u8>)> {
    let control = token::read(&target.config.state_dir.join(CONTROL_TOKEN)).ok().flatten();
    let address = match control {
        Some(token) => target.address.clone().with_token(Some(token)),
        None => target.address.clone(),
    };
    address.post("/saros/v1/reload")
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn strange(port: u16, status: u16) -> Exit {
    say::failure(
        format!("What answers on port {port} is no proxy that can reload (status {status})"),
        "an older version needs a restart: `saros-proxy restart`",
    )
}

fn exit(answer: &Answer) -> Exit {
    if answer.applied { Exit::Done } else { Exit::Failed }
}

fn tell(answer: &Answer) -> Exit {
    for Problem { severity, what, allowed, hint, file, line, column } in &answer.problems {
        let place = match (file, line, column) {
            (Some(file), Some(line), Some(column)) => format!("{file}:{line}:{column}: "),
            (Some(file), _, _) => format!("{file}: "),
            _ => String::new(),
        };
        let more = |word: &str, text: &Option<String>| {
            text.as_ref().map_or_else(String::new, |text| format!("; {word}{text}"))
        };
        let (allowed, hint) = (more("allowed: ", allowed), more("", hint));
        say::aside(&format!("{severity}: {place}{what}{allowed}{hint}"));
    }
    if !answer.applied {
        say::aside("Not reloaded: the configuration before stays in use.");
        return Exit::Failed;
    }
    let parts = [
        ("keys added", &answer.added),
        ("keys removed", &answer.removed),
        ("changed", &answer.changed),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}: {}", names.join(", ")))
        .collect();
    let what = if parts.is_empty() { "nothing is different".to_owned() } else { parts.join("; ") };
    say::line(&format!("Reloaded: {what}."));
    if !answer.need_restart.is_empty() {
        let names = answer.need_restart.join(", ");
        say::aside(&format!("warning: changed, but in effect only after a restart: {names}"));
    }
    Exit::Done
}
