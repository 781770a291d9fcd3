//! `cargo xtask ci`: everything that must pass, in the order in which it is cheap to fail.

use std::process::{Command, ExitCode};

use crate::process::{self, Failed, output_of, run_tests};
use crate::report::{Outcome, Report};
use crate::workspace::Workspace;
use crate::{clients, deny};

/// How much of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it. Installs what it needs.
    Full,
    /// What works without a network.
    Offline,
}

type Work = fn(&Workspace) -> Result<Outcome, Failed>;

/// Heading, work, and whether it needs the network or what the network brought.
const STEPS: &[(&str, Work, Extent)] = &[
    ("format", format, Extent::Offline),
    ("lints", lints, Extent::Offline),
    ("documentation", documentation, Extent::Offline),
    ("install cargo-deny", deny::install, Extent::Full),
    ("dependency policy: bans, licenses, sources", deny::check_policy, Extent::Full),
    ("dependency policy: advisories", deny::check_advisories, Extent::Full),
    ("tests", tests, Extent::Offline),
    ("documentation tests", doc_tests, Extent::Offline),
    ("install Node clients", clients::install_node_packages, Extent::Full),
    ("install Python clients", clients::install_python_packages, Extent::Full),
    ("end-to-end tests with real clients", end_to_end_tests, Extent::Full),
];

pub(crate) fn run(workspace: &Workspace, extent: Extent) -> ExitCode {
    let mut report = Report::new();
    let result = STEPS
        .iter()
        .filter(|(_, _, needs)| *needs == Extent::Offline || extent == Extent::Full)
        .try_for_each(|(name, work, _)| report.step(name, || work(workspace)));
    report.print(&result);
    if extent == Extent::Offline {
        eprintln!("ci: --fast left out the dependency policy and the real clients");
    }
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn format(workspace: &Workspace) -> Result<Outcome, Failed> {
    done(&mut workspace.cargo("fmt --all --check"))
}

fn lints(workspace: &Workspace) -> Result<Outcome, Failed> {
    done(&mut workspace.cargo("clippy --workspace --all-targets --locked -- -D warnings"))
}

/// With private items: it is for people who work on this, and may link to what they see.
fn documentation(workspace: &Workspace) -> Result<Outcome, Failed> {
    let mut command =
        workspace.cargo("doc --workspace --no-deps --document-private-items --locked");
    done(command.env("RUSTDOCFLAGS", "-D warnings"))
}

fn tests(workspace: &Workspace) -> Result<Outcome, Failed> {
    let which = "--workspace --exclude saros-e2e --locked";
    tested(&mut test_runner(workspace, which))
}

fn doc_tests(workspace: &Workspace) -> Result<Outcome, Failed> {
    tested(&mut workspace.cargo("test --doc --workspace --locked"))
}

fn end_to_end_tests(workspace: &Workspace) -> Result<Outcome, Failed> {
    clients::curl(workspace)?;
    // The tests build what they test. Here first, where it is seen and no test's time runs.
    process::run(&mut workspace.cargo("build --package saros-proxy --locked"))?;
    let mut command = test_runner(workspace, "--package saros-e2e --locked");
    // Here a client that is missing is a failure, not a reason to skip its tests.
    tested(command.env("CI", "true"))
}

/// Read by proptest.
const PROPTEST_SEED: &str = "PROPTEST_RNG_SEED";

/// cargo-nextest, or libtest where it is not installed. There the tests of one binary are threads
/// of one process, and at most two of the heavy clients may run at a time.
///
/// A check gives the same verdict on the same tree: property tests draw the same cases here. A run
/// by hand draws new ones each time, and `PROPTEST_CASES=1000000` many (CONTRIBUTING.md).
fn test_runner(workspace: &Workspace, which: &str) -> Command {
    let mut command = if output_of(&mut workspace.cargo("nextest --version")).is_ok() {
        workspace.cargo(&format!("nextest run --profile ci {which}"))
    } else {
        eprintln!("cargo-nextest is missing (cargo install --locked cargo-nextest): cargo test");
        let mut command = workspace.cargo(&format!("test --all-targets --no-fail-fast {which}"));
        command.env("RUST_TEST_THREADS", "2");
        command
    };
    if std::env::var_os(PROPTEST_SEED).is_none() {
        command.env(PROPTEST_SEED, "18");
    }
    command
}

fn done(command: &mut Command) -> Result<Outcome, Failed> {
    process::run(command).map(|()| Outcome::Done(Vec::new()))
}

/// The closing lines are wanted of a failed run, too: `run_tests` has shown them already.
fn tested(command: &mut Command) -> Result<Outcome, Failed> {
    let watched = run_tests(command);
    watched.result.map(|()| Outcome::Done(watched.closing))
}
