//! The command line: what was asked for, carried out by one module per command.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::cli::args::{Args, Command};
use crate::config::Env;

pub mod args;
pub mod autostart;
pub mod check;
pub mod completions;
pub mod config;
pub mod control;
pub mod demo;
pub mod doctor;
pub mod emulator;
pub mod explain;
pub mod keys;
pub mod listen;
pub mod logs;
pub mod man;
pub mod problems;
pub mod process;
pub mod reload;
pub mod reloading;
pub mod restart;
pub mod say;
pub mod screen;
pub mod serve;
pub mod simulate;
pub mod start;
pub mod status;
pub mod stop;
pub mod target;
pub mod token;
pub mod usage;

/// How a command ended, as the shell sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Failed.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// No proxy runs, and the command needs one or asked for it.
    NotRunning,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NotRunning => 3,
        })
    }
}

/// Runs the command that `words` (the program's name first) ask for.
pub fn run(words: impl IntoIterator<Item = OsString>, env: &'static dyn Env) -> Exit {
    let args = match Args::read(words) {
        Ok(args) => args,
        Err(error) => {
            // Help comes this way too; a reader that has gone is no failure of ours.
            drop(error.print());
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    match args.command {
        Command::Serve(args) => serve::run(&args, env),
        Command::Usage(args) => usage::run(&args, env),
        Command::Explain(args) => explain::run(&args, env),
        Command::Demo(args) => demo::run(&args),
        Command::Emulator(args) => emulator::run(args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Version => {
            // The bare number, as ever: scripts compare it.
            drop(writeln!(io::stdout(), "{}", env!("CARGO_PKG_VERSION")));
            Exit::Done
        }
    }
}
