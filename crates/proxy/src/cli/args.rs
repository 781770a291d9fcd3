//! The words of the command line. The only place that knows clap.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory, Parser, Subcommand};

use crate::cli::args::figures::{ExplainArgs, UsageArgs};
use crate::config::Overrides;
use crate::config::options::flag_help;

pub mod config;
pub mod figures;
pub mod service;

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Args {
    /// The command; without one, to serve.
    pub command: Command,
}

/// A command with its own words.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum Command {
    /// Serve in the foreground (also without a command)
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeArgs),
    /// Show what every account has left, and until when
    #[command(after_help = figures::USAGE_EXAMPLES)]
    Usage(UsageArgs),
    /// Show why a request went the way it did
    #[command(after_help = figures::EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// Show what Saros does, against an emulated service, without an account
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(DemoArgs),
    /// Run the emulated service on its own
    #[command(hide = true, after_help = EMULATOR_EXAMPLES)]
    Emulator(EmulatorArgs),
    /// Compare strategies on a month of requests, without sending any
    #[command(after_help = SIMULATE_EXAMPLES)]
    Simulate(SimulateArgs),
    /// `--version`, as the flag that it is.
    #[command(skip)]
    Version,
}

/// What `serve` can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct ServeArgs {
    #[arg(long, value_name = "PORT", help = flag_help("port"))]
    #[expect(missing_docs, reason = "the table of options says it")]
    pub port: Option<String>,
    #[arg(long, value_name = "HOST", help = flag_help("host"))]
    #[expect(missing_docs, reason = "the table of options says it")]
    pub host: Option<String>,
    #[arg(long, value_name = "STRATEGY", help = flag_help("strategy"))]
    #[expect(missing_docs, reason = "the table of options says it")]
    pub strategy: Option<String>,
    /// Configuration file [default: config.yaml in ~/.config/saros, else here]
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Run as the proxy in the background does: what `start` calls
    #[arg(long, hide = true)]
    pub daemon: bool,
}

/// What `demo` can be told.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct DemoArgs {
    /// End when the story is told, within half a minute
    #[arg(long)]
    pub once: bool,
}

/// What `emulator` can be told.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct EmulatorArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Port to listen on; 0 is a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// TLS instead of plain HTTP
    #[arg(long)]
    pub tls: bool,
    /// So many accounts in good standing, if the scenario has none
    #[arg(long, default_value_t = 3)]
    pub accounts: u32,
    /// A scenario, JSON
    #[arg(long, value_name = "PATH")]
    pub scenario: Option<PathBuf>,
    /// How fast virtual time runs
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// Answer at once instead of at a realistic pace
    #[arg(long)]
    pub instant: bool,
    /// Where to write the authority's certificate, with --tls
    #[arg(long, value_name = "PATH")]
    pub certificate_file: Option<PathBuf>,
}

/// What `simulate` can be told.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(group = clap::ArgGroup::new("source").required(true))]
pub struct SimulateArgs {
    /// Requests, one JSON object a line: `timestamp` (ms), `session`, `model`, `input_tokens`,
    /// `output_tokens`; `-` is standard input, `log` the proxy's own request log
    #[arg(long, value_name = "FILE", group = "source")]
    pub trace: Option<PathBuf>,
    /// Make the requests up: a developer who works with coding agents
    #[arg(long, group = "source")]
    pub generate: bool,
    /// How much is made up: light, full, over or crunch
    #[arg(long, value_name = "LEVEL", default_value = "full", conflicts_with = "trace")]
    pub load: String,
    /// For how many days requests are made up
    #[arg(long, default_value_t = 30, conflicts_with = "trace",
        value_parser = clap::value_parser!(u32).range(1..=366))]
    pub days: u32,
    /// The seed of what is made up
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many accounts [default: as many as anniversaries, else 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub accounts: Option<u32>,
    /// Their plan
    #[arg(long, value_enum, default_value = "go")]
    pub plan: WhichPlan,
    /// Days from the start to each account's first monthly reset [default: evenly spread over 30]
    #[arg(long, value_name = "DAYS", value_delimiter = ',')]
    pub anniversaries: Vec<f64>,
    /// predictive, round-robin, threshold, usage-weighted, fill-first [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub strategy: Vec<String>,
    /// What becomes of a prompt cache when its session changes accounts
    #[arg(long, value_enum, default_value = "lost-on-switch")]
    pub cache: WhereCache,
    /// For how long a prompt cache holds
    #[arg(long, value_name = "SECONDS", default_value_t = 600.0)]
    pub cache_ttl: f64,
    /// Between two usage reports on an account
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub report_lag: f64,
    /// When day 0 is [default: a Monday, 00:00 UTC]
    #[arg(long, value_name = "DATE")]
    pub start: Option<String>,
    /// For programs
    #[arg(long)]
    pub json: bool,
    /// How often forecasts were right on made-up traces of every load, seeds 1 to 5, instead
    #[arg(long, hide = true, conflicts_with = "trace")]
    pub forecast: bool,
    /// Not read: nothing is configured in a simulation
    #[arg(long, value_name = "PATH", hide = true)]
    pub config: Option<PathBuf>,
}

/// `--plan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum WhichPlan {
    /// $10 a month
    Go,
    /// $40 a month
    GoPlus,
}

/// `--cache`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum WhereCache {
    /// It is lost
    LostOnSwitch,
    /// It is still there
    Survives,
}

const EXAMPLES: &str = "\
Examples:
  saros-proxy                            serve with ~/.config/saros/config.yaml
  saros-proxy --port 4000                the same on another port
  saros-proxy --config ./config.yaml     with another configuration
  saros-proxy demo --once                see it work, without an account
  curl http://127.0.0.1:3000/health      ask a running proxy how it is";

const SERVE_EXAMPLES: &str = "\
Examples:
  saros-proxy serve
  saros-proxy serve --port 4000 --config /etc/saros/config.yaml
  OPENCODE_GO_KEYS=home:sk-…,work:sk-… saros-proxy serve

Every option can also stand in config.yaml or in the environment; flags win, then the file.";

const DEMO_EXAMPLES: &str = "\
Examples:
  saros-proxy demo            tell the story, then go on serving until Ctrl-C
  saros-proxy demo --once     tell the story and end";

const EMULATOR_EXAMPLES: &str = "\
Examples:
  saros-proxy emulator --port 4100 --accounts 2
  saros-proxy emulator --tls --certificate-file ca.pem

Prints one line of JSON with its address and keys when it is ready.";

const SIMULATE_EXAMPLES: &str = "\
Examples:
  saros-proxy simulate --generate --accounts 3
  saros-proxy simulate --generate --load crunch --seed 2 --cache survives
  saros-proxy simulate --trace month.jsonl --anniversaries 3.5,17,29 --json

Columns: list and tax are list dollars, warm and unused quota-dollars; tax is what was paid again
because a warm session changed accounts; bound is warm as a share of the most that any choice could
have served.";

/// Commands of the tool that this one replaces, and those that are to come: people type them from
/// habit, and scripts call them.
const LATER: [&str; 20] = [
    "start",
    "stop",
    "restart",
    "status",
    "logs",
    "reload",
    "setup",
    "check",
    "config",
    "doctor",
    "keys",
    "models",
    "sync-models",
    "sync-upstream",
    "configharness",
    "unsync",
    "probe",
    "autostart",
    "completions",
    "man",
];

/// One local endpoint in front of several OpenCode Go accounts
#[derive(Debug, Parser)]
#[command(
    name = "saros-proxy",
    args_conflicts_with_subcommands = true,
    after_help = EXAMPLES
)]
struct Words {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
    /// Print the version
    #[arg(short = 'v', long, action = ArgAction::SetTrue)]
    version: bool,
}

impl Args {
    /// Reads the words, the program's name first. An error prints itself; help is an error too, of
    /// the kind that belongs on standard output.
    pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let words = Words::try_parse_from(words).map_err(|error| later(&error).unwrap_or(error))?;
        if words.version {
            return Ok(Self { command: Command::Version });
        }
        Ok(Self { command: words.command.unwrap_or(Command::Serve(words.serve)) })
    }
}

/// What to say instead of an error about a command that only other versions have.
fn later(error: &clap::Error) -> Option<clap::Error> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    LATER.contains(&word.as_str()).then(|| {
        let message = format!(
            "`{word}` is not in this version yet; `saros-proxy` alone serves in the foreground"
        );
        Words::command().error(ErrorKind::InvalidSubcommand, message)
    })
}

/// The whole command line, for what is made of it: completions and manual pages.
pub fn command() -> clap::Command {
    Words::command()
}

impl ServeArgs {
    /// The same words again, with a path that means the same everywhere; `--daemon` left out.
    pub fn words(&self) -> Vec<String> {
        let flags =
            [("--port", &self.port), ("--host", &self.host), ("--strategy", &self.strategy)];
        let mut words = Vec::new();
        for (flag, value) in flags {
            if let Some(value) = value {
                words.extend([flag.to_owned(), value.clone()]);
            }
        }
        if let Some(path) = &self.config {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            words.extend(["--config".to_owned(), path.display().to_string()]);
        }
        words
    }

    /// These words, where they say nothing those of an earlier time.
    #[must_use]
    pub fn or(self, earlier: Self) -> Self {
        Self {
            port: self.port.or(earlier.port),
            host: self.host.or(earlier.host),
            strategy: self.strategy.or(earlier.strategy),
            config: self.config.or(earlier.config),
            daemon: false,
        }
    }

    /// Reads what [`ServeArgs::words`] wrote.
    pub fn from_words(words: &[String]) -> Option<Self> {
        let line = ["saros-proxy", "serve"].into_iter().map(OsString::from);
        let line = line.chain(words.iter().map(OsString::from));
        match Args::read(line).ok()?.command {
            Command::Serve(args) => Some(args),
            _ => None,
        }
    }
    /// As options of the configuration.
    pub fn overrides(&self) -> Overrides {
        let flags = [("port", &self.port), ("host", &self.host), ("strategy", &self.strategy)];
        let values =
            flags.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
        Overrides { config: self.config.clone(), values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::SETTINGS;

    fn read(line: &str) -> Result<Command, clap::Error> {
        let words = std::iter::once("saros-proxy").chain(line.split_whitespace());
        Args::read(words.map(OsString::from)).map(|args| args.command)
    }

    fn serve(line: &str) -> Overrides {
        match read(line) {
            Ok(Command::Serve(args)) => args.overrides(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn clap_finds_no_fault_in_it() {
        Words::command().debug_assert();
    }

    #[test]
    fn without_a_command_it_serves() {
        assert_eq!(serve(""), Overrides::default());
        let expected = Overrides {
            config: Some("x.yaml".into()),
            values: vec![
                ("port", "4000".to_owned()),
                ("host", "::1".to_owned()),
                ("strategy", "round-robin".to_owned()),
            ],
        };
        let flags = "--port 4000 --host ::1 --strategy round-robin --config x.yaml";
        assert_eq!(serve(flags), expected);
        assert_eq!(serve(&format!("serve {flags}")), expected);
        assert_eq!(serve("--port=99999").values, [("port", "99999".to_owned())]);
    }

    #[test]
    fn every_flag_of_the_table_exists() {
        for setting in SETTINGS {
            if let Some(flag) = setting.flag {
                let overrides = serve(&format!("{flag} 7"));
                assert_eq!(overrides.values, [(setting.name, "7".to_owned())]);
            }
        }
    }

    #[test]
    fn version_and_help() {
        for line in ["-v", "--version"] {
            assert_eq!(read(line).unwrap(), Command::Version, "{line}");
        }
        for line in
            ["--help", "-h", "help", "help serve", "serve --help", "help emulator", "help simulate"]
        {
            let error = read(line).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("Usage:") && text.contains("Examples:"), "{line}: {text}");
            assert!(!error.use_stderr(), "{line}");
        }
        let help = read("help").unwrap_err().to_string();
        assert!(!help.contains("emulator"));
        let words: Vec<&str> = help.split_whitespace().collect();
        let words = words.join(" ");
        assert!(words.contains("How an account is chosen"), "{help}");
    }

    #[test]
    fn what_makes_no_sense() {
        for line in ["--prot 1", "sevre", "--port", "--port 1 demo", "demo --port 1", "serve x"] {
            assert!(read(line).unwrap_err().use_stderr(), "{line}");
        }
        assert!(read("sevre").unwrap_err().to_string().contains("serve"));
    }

    #[test]
    fn commands_of_other_versions() {
        let lines = LATER.iter().flat_map(|word| {
            [(*word).to_owned(), format!("{word} --config x -f"), format!("help {word}")]
        });
        for line in lines {
            let error = read(&line).unwrap_err();
            let text = error.to_string();
            let word = line.split(' ').find(|word| *word != "help").unwrap();
            let wanted = format!("error: `{word}` is not in this version yet; `saros-proxy` alone");
            assert!(text.starts_with(&wanted) && text.ends_with('\n'), "{line}: {text}");
            assert!(error.use_stderr(), "{line}");
        }
        for line in ["--port 1 start", "--config x start"] {
            let text = read(line).unwrap_err().to_string();
            assert!(
                text.starts_with("error: `start` is not in this version yet"),
                "{line}: {text}"
            );
        }
    }

    #[test]
    fn other_commands() {
        assert_eq!(read("demo --once").unwrap(), Command::Demo(DemoArgs { once: true }));
        let Ok(Command::Emulator(args)) = read("emulator --tls --port 5 --speed 60") else {
            panic!()
        };
        assert_eq!((args.tls, args.port, args.accounts), (true, 5, 3));
    }
}
