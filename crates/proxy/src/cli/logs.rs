//! `logs`: what the proxy in the background says.

use std::io::{self, ErrorKind, Write};
use std::thread;
use std::time::Duration;

use crate::cli::args::service::LogsArgs;
use crate::cli::target::Target;
use crate::cli::{Exit, say};
use crate::config::Env;
use crate::service::tail::{Tail, last_lines};

/// How often the file is looked at; people read more slowly.
const LOOK: Duration = Duration::from_millis(200);

/// Prints the last lines, and with `-f` what comes after them.
pub fn run(args: &LogsArgs, env: &dyn Env) -> Exit {
    let target = Target::find(None, args.config.as_deref(), env);
    let path = &target.files.log;
    match print(args, &target) {
        Ok(()) => Exit::Done,
        // Whoever read it has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Done,
        Err(error) if error.kind() == ErrorKind::NotFound => say::failure(
            format!("There is no log at {}", path.display()),
            "`saros-proxy start` writes one; a service of systemd's writes to `journalctl --user -u saros-proxy`",
        ),
        Err(error) => say::failure(
            format!("{} cannot be read: {error}", path.display()),
            "it belongs to the user who started the proxy",
        ),
    }
}

fn print(args: &LogsArgs, target: &Target) -> io::Result<()> {
    let path = &target.files.log;
    let mut out = io::stdout().lock();
    if !args.follow {
        out.write_all(&last_lines(path, args.lines)?)?;
        return out.flush();
    }
    let (mut tail, lines) = Tail::open(path, args.lines)?;
    out.write_all(&lines)?;
    loop {
        tail.pass_on(&mut out)?;
        thread::sleep(LOOK);
    }
}
