//! `emulator`: the emulated service on its own.

use std::io::Write;

use saros_emulator::{Options, Ready};

use crate::cli::Exit;
use crate::cli::args::EmulatorArgs;
use crate::cli::process::{self, Asked};

/// Runs the emulator until it is asked to stop.
pub fn run(args: EmulatorArgs) -> Exit {
    let options = Options {
        host: args.host,
        port: args.port,
        tls: args.tls,
        accounts: args.accounts,
        scenario: args.scenario,
        speed: args.speed,
        instant: args.instant,
        certificate_file: args.certificate_file,
    };
    let ended = process::block_on(async {
        let (asked, pump) = Asked::listen()?;
        tokio::select! {
            ended = saros_emulator::run(options, ready, asked.times(1)) => ended,
            () = asked.times(2) => Ok(()),
            () = pump => Ok(()),
        }
    });
    match ended.and_then(|ended| ended) {
        Ok(()) => Exit::Done,
        Err(error) => {
            drop(writeln!(anstream::stderr(), "error: {error}"));
            Exit::Failed
        }
    }
}

/// One line of JSON, so that whoever started it can wait for it.
fn ready(ready: &Ready) {
    if let Ok(text) = serde_json::to_string(ready) {
        drop(writeln!(std::io::stdout(), "{text}"));
    }
}
