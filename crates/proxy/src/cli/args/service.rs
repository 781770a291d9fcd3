//! The words of the commands around a proxy in the background.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::cli::args::ServeArgs;
use crate::service::autostart::Method;

/// What `start` and `restart` can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct StartArgs {
    /// What the proxy is told.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// What `stop` can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct StopArgs {
    /// Configuration file
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// What `status` can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct StatusArgs {
    /// Where the proxy listens [default: as configured]
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// Configuration file
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
    /// Say nothing; 0 if the proxy can serve: for the health check of a container
    #[arg(long, conflicts_with = "json")]
    pub probe: bool,
}

/// What `logs` can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct LogsArgs {
    /// Go on with what is added
    #[arg(short, long)]
    pub follow: bool,
    /// How many of the last lines
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
    pub lines: usize,
    /// Configuration file
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
}

/// What `autostart` can be told.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct AutostartArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: AutostartAction,
}

/// What `autostart` does.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum AutostartAction {
    /// Start the proxy whenever you log in
    Install(AutostartOptions),
    /// Take that back, whoever installed it
    Uninstall(AutostartOptions),
    /// Say what is installed and whether it would work
    Status(AutostartOptions),
}

/// Options of `autostart`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct AutostartOptions {
    /// How; auto is the best that this system has
    #[arg(long, value_enum, default_value_t = MethodWord::Auto)]
    pub method: MethodWord,
    /// Port that the proxy is to listen on [default: as configured]
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// Configuration file
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// The words for a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the words stand for themselves; see `Method`")]
pub enum MethodWord {
    Auto,
    Systemd,
    Xdg,
    Launchd,
    Registry,
    Vbs,
    Task,
}

impl MethodWord {
    /// The method; none for `auto`.
    pub const fn method(self) -> Option<Method> {
        Some(match self {
            Self::Auto => return None,
            Self::Systemd => Method::Systemd,
            Self::Xdg => Method::Xdg,
            Self::Launchd => Method::Launchd,
            Self::Registry => Method::Registry,
            Self::Vbs => Method::Vbs,
            Self::Task => Method::Task,
        })
    }
}

/// What `doctor` can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct DoctorArgs {
    /// Port to look at [default: as configured]
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// Configuration file
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Also send one small streamed request with each key; it says first what that costs
    #[arg(long)]
    pub live: bool,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// What `completions` can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// What `man` can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct ManArgs {
    /// The page of one command [default: of the program]
    pub command: Option<String>,
}

/// Examples of `start`.
pub const START_EXAMPLES: &str = "\
Examples:
  saros-proxy start                 in the background, as configured
  saros-proxy start --port 4000     on another port
  saros-proxy status                how it is
  saros-proxy logs -f               what it says
  saros-proxy stop                  running requests may finish";

/// Examples of `stop`.
pub const STOP_EXAMPLES: &str = "\
Examples:
  saros-proxy stop

Running requests may finish, for as long as shutdownTimeoutMs says; then they are cut.";

/// Examples of `restart`.
pub const RESTART_EXAMPLES: &str = "\
Examples:
  saros-proxy restart               with the flags that `start` was given
  saros-proxy restart --port 4000   with one of them changed

A configuration that does not work leaves the running proxy as it is.";

/// Examples of `status`.
pub const STATUS_EXAMPLES: &str = "\
Examples:
  saros-proxy status
  saros-proxy status --json
  saros-proxy status --probe        for a health check: says nothing

Exit codes: 0 it runs, 3 it does not.";

/// Examples of `logs`.
pub const LOGS_EXAMPLES: &str = "\
Examples:
  saros-proxy logs
  saros-proxy logs -f -n 10
  saros-proxy logs -f | jq 'select(.level >= 40)'";

/// Examples of `autostart`.
pub const AUTOSTART_EXAMPLES: &str = "\
Examples:
  saros-proxy autostart install
  saros-proxy autostart install --port 4000
  saros-proxy autostart status
  saros-proxy autostart uninstall

Methods: systemd and xdg on Linux, launchd on macOS, registry, vbs and task on Windows.";

/// Examples of `doctor`.
pub const DOCTOR_EXAMPLES: &str = "\
Examples:
  saros-proxy doctor                what is wrong, and what to do about it
  saros-proxy doctor --live         also send a request with each key
  saros-proxy doctor --json

Exit codes: 0 nothing is broken, 1 something is.";

/// Examples of `completions`.
pub const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  saros-proxy completions bash > ~/.local/share/bash-completion/completions/saros-proxy
  saros-proxy completions zsh > ~/.zfunc/_saros-proxy
  saros-proxy completions fish > ~/.config/fish/completions/saros-proxy.fish";

/// Examples of `man`.
pub const MAN_EXAMPLES: &str = "\
Examples:
  saros-proxy man | man -l -
  saros-proxy man start > saros-proxy-start.1";
