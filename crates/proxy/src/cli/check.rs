//! `check`: every problem of the configuration, and nothing else.

use std::io::IsTerminal;

use serde_json::json;

use crate::cli::args::config::CheckArgs;
use crate::cli::{Exit, say};
use crate::config::problem::Severity;
use crate::config::{Env, Overrides, Paths, Problem, load};

/// Checks.
pub fn run(args: &CheckArgs, env: &dyn Env) -> Exit {
    let cli = Overrides { config: args.config.clone(), ..Overrides::default() };
    let paths = Paths::of_this_process(env);
    let (file, keys, problems) = match load(&cli, env, paths) {
        Ok(loaded) => (loaded.source, Some(loaded.config.keys.len()), loaded.warnings),
        Err(error) => (None, None, error.problems),
    };
    let wrong = problems.iter().any(is_wrong);
    if args.json {
        say::json(&json!({
            "ok": !wrong,
            "file": file.as_ref().map(|file| file.display().to_string()),
            "keys": keys,
            "problems": problems.iter().map(Problem::to_json).collect::<Vec<_>>(),
        }));
    } else {
        let styled = std::io::stdout().is_terminal();
        for problem in &problems {
            say::line(&format!("{}\n", problem.render(styled)));
        }
        say::line(&summary(&problems, file.as_ref().map(|file| file.display().to_string()), keys));
    }
    if wrong { Exit::Failed } else { Exit::Done }
}

/// Whether something that was written is not used as it was meant.
fn is_wrong(problem: &Problem) -> bool {
    problem.severity == Severity::Error || problem.rejected
}

fn summary(problems: &[Problem], file: Option<String>, keys: Option<usize>) -> String {
    let place = file.unwrap_or_else(|| "Configuration".to_owned());
    let errors = problems.iter().filter(|problem| is_wrong(problem)).count();
    let others = problems.len() - errors;
    let count = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let keys = keys.map_or_else(String::new, |keys| format!(", {}", count(keys, "usable key")));
    match (errors, others) {
        (0, 0) => format!("{place}: no problems{keys}"),
        (0, others) => format!("{place}: {}{keys}", count(others, "warning")),
        (errors, 0) => format!("{place}: {}{keys}", count(errors, "problem")),
        (errors, others) => {
            format!("{place}: {} and {}{keys}", count(errors, "problem"), count(others, "warning"))
        }
    }
}
