//! `completions`: what makes a shell complete our words.

use std::io::Write;

use crate::cli::Exit;
use crate::cli::args::{command, service::CompletionsArgs};

/// Prints it.
pub fn run(args: CompletionsArgs) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "saros-proxy", &mut text);
    drop(std::io::stdout().write_all(&text));
    Exit::Done
}
