//! Telling the owner what is wrong: as a block where a person looks on, as log lines elsewhere.

use std::io::{IsTerminal, Write};

use crate::config::Problem;
use crate::config::problem::{Place, Severity};
use crate::observe::log::{Level, Log};

/// Who listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Somebody at a terminal.
    Person,
    /// Whoever collects the log.
    Collector,
    /// The log and nothing else.
    Log,
}

impl Audience {
    /// By whether standard output is a terminal.
    pub fn of_this_process() -> Self {
        if std::io::stdout().is_terminal() { Self::Person } else { Self::Collector }
    }
}

/// Tells of problems. Errors stand on standard error in any case, since they end the process and
/// whoever started it reads that first.
pub fn tell(problems: &[Problem], audience: Audience, log: &Log) {
    let styled = std::io::stderr().is_terminal();
    for problem in problems {
        let fatal = problem.severity == Severity::Error;
        if audience != Audience::Person {
            let level = if fatal { Level::Fatal } else { Level::Warn };
            log.write(level, &problem.to_string(), |line| {
                if let Place::File { path, line: number, column } = &problem.place {
                    line.text("file", &path.display().to_string());
                    if *number > 0 {
                        line.plain("line", number);
                        line.plain("column", column);
                    }
                }
            });
        }
        if audience == Audience::Person || (fatal && audience != Audience::Log) {
            // Both may be one terminal, and the log is written by another thread.
            log.flush();
            let block = format!("{}\n\n", problem.render(styled));
            // With standard error gone there is nobody to tell.
            drop(anstream::stderr().write_all(block.as_bytes()));
        }
    }
}
