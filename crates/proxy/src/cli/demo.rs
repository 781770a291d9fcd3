//! `demo`: the product in half a minute, without an account.

use std::io::Write;

use crate::cli::Exit;
use crate::cli::args::DemoArgs;
use crate::cli::process::{self, Asked};
use crate::demo;

/// Plays the demo.
pub fn run(args: &DemoArgs) -> Exit {
    let played = process::block_on(async {
        let (asked, pump) = Asked::listen()?;
        tokio::select! {
            played = demo::run(args.once, asked.times(1)) => {
                Ok::<_, std::io::Error>(played.map_err(|error| error.to_string()))
            }
            // Asked twice: at once.
            () = asked.times(2) => Ok(Ok(false)),
            () = pump => Ok(Ok(false)),
        }
    });
    match played.and_then(|played| played) {
        Ok(Ok(true)) => Exit::Done,
        Ok(Ok(false)) => Exit::Failed,
        Ok(Err(error)) => fail(&error),
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(why: &str) -> Exit {
    drop(writeln!(anstream::stderr(), "error: {why}"));
    Exit::Failed
}
