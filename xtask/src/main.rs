//! Developer commands, run as `cargo xtask <command>`.
//!
//! Standard library only, so that a fresh clone has its checks within seconds.
#![expect(clippy::print_stderr, reason = "a command-line program that reports on stderr")]

mod bench;
mod ci;
mod clients;
mod deny;
mod process;
mod report;
#[cfg(test)]
mod tidy;
mod workspace;

use std::process::ExitCode;

use crate::workspace::Workspace;

const USAGE: &str = "\
cargo xtask <command>

  ci            everything that must pass: format, lints, documentation, dependency
                policy, tests, and end-to-end tests with real clients
  ci --fast     the same without what needs the network (dependency policy, real clients)
  bench [ARGS]  the side-by-side measurement against nginx and HAProxy
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let workspace = Workspace::of_this_build();
    match words.as_slice() {
        ["ci"] => ci::run(&workspace, ci::Extent::Full),
        ["ci", "--fast"] => ci::run(&workspace, ci::Extent::Offline),
        ["bench", rest @ ..] => bench::run(&workspace, rest),
        ["help" | "--help" | "-h"] => {
            eprint!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
