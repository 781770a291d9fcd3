//! Clients whose configuration points here.
//!
//! Their files are only searched for our address, not understood: what a client makes of them is
//! its own matter.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::doctor::finding::{Finding, check};
use crate::config::Env;

/// Clients and where they keep their configuration, below the home folder.
const CLIENTS: [(&str, &[&str]); 5] = [
    ("OpenCode", &[".config/opencode/opencode.json", ".config/opencode/opencode.jsonc"]),
    ("pi", &[".pi/agent/models.json"]),
    ("oh-my-pi", &[".omp/agent/models.yml", ".omp/agent/models.yaml"]),
    ("Claude Code", &[".claude/settings.json"]),
    ("Codex", &[".codex/config.toml"]),
];
/// No client's configuration is longer, in bytes.
const LONGEST: u64 = 4 << 20;

/// What a file says of us.
#[derive(Debug, PartialEq, Eq)]
enum Points {
    /// At this port.
    Here,
    /// At another port of this machine, at one of our paths.
    Elsewhere(u16),
    /// Nowhere near.
    Away,
}

/// Looks through every client's files.
pub fn look(env: &dyn Env, port: u16) -> Vec<Finding> {
    let variable = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    let home = env.filled(variable).map(PathBuf::from).or_else(std::env::home_dir);
    let home = home.unwrap_or_default();
    let mut found = Vec::new();
    for (client, files) in CLIENTS {
        let paths = files.iter().map(|file| place(&home, file, env));
        for (path, text) in paths.filter_map(|path| Some((path.clone(), read(&path)?))) {
            let path = path.display();
            match points(&text, port) {
                Points::Here => found
                    .push(Finding::ok(check::HARNESS, format!("{client} points here ({path})"))),
                Points::Elsewhere(other) => {
                    let what =
                        format!("{client} points at port {other}, the proxy is at {port} ({path})");
                    let fix = format!(
                        "set its base URL to http://127.0.0.1:{port}/zen/go/v1, or `port: {other}` here"
                    );
                    found.push(Finding::warning(check::HARNESS, what).fix(fix));
                }
                Points::Away => {}
            }
        }
    }
    if found.is_empty() {
        let what = "no client's configuration points here";
        let fix = format!(
            "set a client's base URL to http://127.0.0.1:{port}/zen/go/v1 (Claude Code: http://127.0.0.1:{port})"
        );
        found.push(Finding::note(check::HARNESS, what).fix(fix));
    }
    found
}

fn place(home: &Path, file: &str, env: &dyn Env) -> PathBuf {
    match (file.strip_prefix(".config/"), env.filled("XDG_CONFIG_HOME")) {
        (Some(rest), Some(base)) => Path::new(&base).join(rest),
        _ => home.join(file),
    }
}

fn read(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    (metadata.is_file() && metadata.len() <= LONGEST).then(|| fs::read_to_string(path).ok())?
}

fn points(text: &str, port: u16) -> Points {
    let mut elsewhere = None;
    for host in ["127.0.0.1:", "localhost:", "[::1]:"] {
        for (_, rest) in text.match_indices(host).map(|(at, host)| text.split_at(at + host.len())) {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (digits, path) = rest.split_at(digits);
            match digits.parse::<u16>() {
                Ok(found) if found == port => return Points::Here,
                Ok(found) if path.starts_with("/zen/go") => elsewhere = Some(found),
                _ => {}
            }
        }
    }
    elsewhere.map_or(Points::Away, Points::Elsewhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_file_points() {
        for (text, wanted) in [
            (r#"{"baseURL": "http://127.0.0.1:3000/zen/go/v1"}"#, Points::Here),
            (r#"ANTHROPIC_BASE_URL = "http://localhost:3000""#, Points::Here),
            ("http://127.0.0.1:4000/zen/go/v1", Points::Elsewhere(4000)),
            ("http://127.0.0.1:4000/zen/go/v1 http://[::1]:3000", Points::Here),
            ("http://127.0.0.1:30000/v1", Points::Away),
            ("http://127.0.0.1:/zen/go", Points::Away),
            ("http://127.0.0.1:11434/v1", Points::Away),
            ("https://opencode.ai/zen/go/v1", Points::Away),
            ("", Points::Away),
        ] {
            assert_eq!(points(text, 3000), wanted, "{text}");
        }
    }
}
