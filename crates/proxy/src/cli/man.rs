//! `man`: the manual page of the program, or of one command.

use std::io::Write;

use crate::cli::args::{command, service::ManArgs};
use crate::cli::{Exit, say};

/// Prints it.
pub fn run(args: &ManArgs) -> Exit {
    let mut program = command();
    program.build();
    let page = match &args.command {
        None => Some(&program),
        Some(name) => program.find_subcommand(name),
    };
    let Some(page) = page else {
        let what = format!("There is no command `{}`", args.command.as_deref().unwrap_or_default());
        say::failure(what, "`saros-proxy help` lists them");
        return Exit::Usage;
    };
    let mut text = Vec::new();
    if clap_mangen::Man::new(page.clone()).render(&mut text).is_err() {
        return Exit::Failed;
    }
    drop(std::io::stdout().write_all(&text));
    Exit::Done
}
