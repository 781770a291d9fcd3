//! `cargo xtask bench`: builds the measurement optimised and hands over.
//!
//! `forecast` and `simulate` measure no time but how right and how good the scheduler is; they are
//! commands of the product.

use std::process::ExitCode;

use crate::process::{self, Failed};
use crate::workspace::Workspace;

/// Load levels and cache modes of `simulate`.
const LOADS: [&str; 4] = ["light", "full", "over", "crunch"];
const CACHES: [&str; 2] = ["lost-on-switch", "survives"];
/// Seeds of `simulate`.
const SEEDS: [&str; 3] = ["1", "2", "3"];

pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> ExitCode {
    let arguments: Vec<&str> = arguments.iter().copied().filter(|it| *it != "--").collect();
    let outcome = match arguments.as_slice() {
        ["forecast"] => simulate(workspace, &["--forecast"]),
        ["simulate"] => tables(workspace),
        _ => measure(workspace, &arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(why)) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What is measured is built first, into the same folder: never an older one.
fn measure(workspace: &Workspace, arguments: &[&str]) -> Result<(), Failed> {
    process::run(&mut workspace.cargo("build --release --locked --package saros-proxy"))?;
    let mut command = workspace.cargo("run --release --locked --quiet --package saros-bench --");
    process::run(command.args(arguments))
}

/// All strategies at every load, with both kinds of cache.
fn tables(workspace: &Workspace) -> Result<(), Failed> {
    for cache in CACHES {
        for load in LOADS {
            for seed in SEEDS {
                eprintln!("\n{load}, cache {cache}, seed {seed}\n");
                simulate(workspace, &["--load", load, "--cache", cache, "--seed", seed])?;
            }
        }
    }
    Ok(())
}

fn simulate(workspace: &Workspace, options: &[&str]) -> Result<(), Failed> {
    let mut command = workspace
        .cargo("run --release --locked --quiet --package saros-proxy -- simulate --generate");
    process::run(command.args(options))
}
