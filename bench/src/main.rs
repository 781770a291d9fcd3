//! Measurements side by side: `cargo run --release -p saros-bench -- --help`, and README.md for
//! the method.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's tool that reports on the terminal"
)]

mod answers;
mod bare;
mod contenders;
mod decide;
mod load;
mod measure;
mod report;
mod rows;
mod run;
mod targets;
mod tls;
mod upstream;

use clap::{Parser, Subcommand};

/// Anything that can go wrong in a tool for developers.
type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures Saros next to nginx, HAProxy and a scratch proxy, on this machine.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    run: run::Options,
    #[command(subcommand)]
    part: Option<Part>,
}

/// The parts that run as processes of their own.
#[derive(Subcommand)]
enum Part {
    /// The scratch proxy.
    #[command(hide = true)]
    Bare(bare::Options),
    /// The stub upstream.
    #[command(hide = true)]
    Upstream(upstream::Options),
}

fn main() -> Fallible<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match arguments.part {
        Some(Part::Bare(options)) => runtime.block_on(bare::run(options)),
        Some(Part::Upstream(options)) => runtime.block_on(upstream::run(options)),
        None => runtime.block_on(run::run(&arguments.run)),
    }
}
