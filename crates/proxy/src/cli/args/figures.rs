//! The words of the commands that show what the proxy knows.

use std::path::PathBuf;

use uuid::Uuid;

/// What `usage` can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct UsageArgs {
    /// Show it again every five seconds, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// Answer in JSON; with --watch, one line each time
    #[arg(long)]
    pub json: bool,
    /// Where the proxy listens [default: as configured]
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// Configuration file
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
}

/// What `explain` can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct ExplainArgs {
    /// The request, by the `x-proxy-request-id` of its answer
    #[arg(value_name = "REQUEST-ID", required_unless_present = "last")]
    pub id: Option<Uuid>,
    /// The request that ended last
    #[arg(long, conflicts_with = "id")]
    pub last: bool,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
    /// Where the proxy listens [default: as configured]
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// Configuration file
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
}

/// Examples of `usage`.
pub const USAGE_EXAMPLES: &str = "\
Examples:
  saros-proxy usage                 what every account has left, and until when
  saros-proxy usage --watch         the same, kept up to date
  saros-proxy usage --json | jq '.accounts[].windows.weekly.percent'

Asks the running proxy; where none runs, the service itself, once with each key.
Exit codes: 0 done, 1 failed, 3 no proxy runs and there are no keys to ask with.";

/// Examples of `explain`.
pub const EXPLAIN_EXAMPLES: &str = "\
Examples:
  saros-proxy explain --last
  saros-proxy explain 019ab2f4-0c51-7d3e-9a44-5b1f6e0c7a21
  saros-proxy explain --last --json

Every answer names its request in the header x-proxy-request-id. The last few
thousand are kept. Exit codes: 0 done, 1 not known or failed, 3 no proxy runs.";
