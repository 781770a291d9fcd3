//! What a command says: results on standard output, what is wrong on standard error.
//!
//! A reader that has gone is no failure of ours.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use crate::config::Problem;
use crate::config::problem::{Place, Severity};

use crate::cli::Exit;

/// A line of the result.
pub fn line(text: &str) {
    drop(writeln!(anstream::stdout(), "{text}"));
}

/// The result as JSON.
pub fn json(value: &impl Serialize) {
    if let Ok(text) = serde_json::to_string_pretty(value) {
        line(&text);
    }
}

/// Something beside the result.
pub fn aside(text: &str) {
    drop(writeln!(anstream::stderr(), "{text}"));
}

/// A warning, with what to do.
pub fn warning(what: impl Into<String>, hint: impl Into<String>) {
    tell(&Problem::new(Severity::Warning, what).hint(hint));
}

/// What is wrong, with what to do; the exit code of a failure.
pub fn failure(what: impl Into<String>, hint: impl Into<String>) -> Exit {
    tell(&Problem::new(Severity::Error, what).hint(hint));
    Exit::Failed
}

/// Problems, as a person reads them; the exit code that goes with them.
pub fn problems(problems: &[Problem]) -> Exit {
    for problem in problems {
        tell(problem);
    }
    exit(problems)
}

/// Flags that make no sense are wrong usage, all else is a failure.
pub fn exit(problems: &[Problem]) -> Exit {
    let mut errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    let flags = errors.all(|problem| matches!(problem.place, Place::Flag(_)));
    if flags { Exit::Usage } else { Exit::Failed }
}

fn tell(problem: &Problem) {
    let styled = std::io::stderr().is_terminal();
    aside(&problem.render(styled));
}

/// Seconds, as people say it: the two largest units.
pub fn time(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let first = units.iter().position(|(_, length)| seconds >= *length).unwrap_or(3);
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (name, length) in units.iter().skip(first).take(2) {
        let count = rest / length;
        rest %= length;
        if count > 0 || parts.is_empty() {
            parts.push(format!("{count} {name}"));
        }
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_599, "59 min 59 s"),
            (3_605, "1 h"),
            (90_000, "1 d 1 h"),
            (86_400 * 30, "30 d"),
        ] {
            assert_eq!(time(seconds), text);
        }
    }
}
