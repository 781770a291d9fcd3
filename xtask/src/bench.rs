//! `cargo xtask bench`: builds the measurement optimised and hands over.

use std::process::ExitCode;

use crate::process::{self, Failed};
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> ExitCode {
    let mut command = workspace.cargo("run --release --locked --quiet --package saros-bench --");
    match process::run(command.args(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(why)) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}
