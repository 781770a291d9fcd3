//! The words of the commands around the configuration.

use std::path::PathBuf;

use clap::Subcommand;

use crate::config::Overrides;
use crate::config::options::flag_help;

/// What `check` can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct CheckArgs {
    /// Configuration file [default: config.yaml in ~/.config/saros, else here]
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// What `reload` can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct ReloadArgs {
    /// Where the proxy listens [default: as configured]
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// Configuration file
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// What `config` can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ConfigArgs {
    /// What of it; without a word, what is in effect.
    #[command(subcommand)]
    pub what: Option<ConfigPart>,
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
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Something about the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ConfigPart {
    /// Print the JSON Schema of config.yaml, for editors
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema,
    /// Print which file is read, or where it belongs
    #[command(after_help = PATH_EXAMPLES)]
    Path {
        /// Configuration file
        #[arg(long, value_name = "PATH")]
        config: Option<PathBuf>,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

impl ConfigArgs {
    /// As options of the configuration.
    pub fn overrides(&self) -> Overrides {
        let flags = [("port", &self.port), ("host", &self.host), ("strategy", &self.strategy)];
        let values =
            flags.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
        Overrides { config: self.config.clone(), values }
    }
}

/// What `keys` can be told.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct KeysArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: KeysAction,
    /// Configuration file [default: config.yaml in ~/.config/saros, else here]
    #[arg(long, value_name = "PATH", global = true)]
    pub config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// What can be done with keys.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum KeysAction {
    /// List the keys of the file, masked
    #[command(after_help = "Examples:\n  saros-proxy keys list\n  saros-proxy keys list --json")]
    List,
    /// Add a key, which is asked for without being shown, or read from standard input
    #[command(after_help = ADD_EXAMPLES)]
    Add {
        /// Your name for it
        label: String,
        /// Do not ask the service whether it accepts the key
        #[arg(long)]
        no_verify: bool,
        /// Where this key is used [default: as all]
        #[arg(long, value_name = "URL")]
        upstream: Option<String>,
        /// Its subscription, where the service does not tell it: go or go-plus
        #[arg(long, value_name = "PLAN", value_parser = ["go", "go-plus"])]
        plan: Option<String>,
    },
    /// Remove keys
    #[command(
        after_help = "Examples:\n  saros-proxy keys remove work\n  saros-proxy keys remove work home"
    )]
    Remove {
        /// Their names, as `keys list` shows them
        #[arg(required = true)]
        labels: Vec<String>,
    },
    /// Give a key another name
    #[command(after_help = "Examples:\n  saros-proxy keys rename work office")]
    Rename {
        /// Its name, as `keys list` shows it
        from: String,
        /// The new one
        to: String,
    },
    /// Encrypt every key and cookie in the file that is not encrypted yet
    #[command(after_help = ENCRYPT_EXAMPLES)]
    Encrypt {
        /// Keep the master key in the operating system's keyring
        #[arg(long)]
        keyring: bool,
    },
    /// Decrypt every key and cookie in the file
    #[command(after_help = "Examples:\n  saros-proxy keys decrypt")]
    Decrypt,
    /// Add the keys of a file: one `label:key` or `label key` a line, or OpenCode's auth.json
    #[command(after_help = IMPORT_EXAMPLES)]
    Import {
        /// The file; - is standard input
        file: PathBuf,
        /// Do not ask the service whether it accepts the keys
        #[arg(long)]
        no_verify: bool,
    },
}

/// Examples of `check`.
pub const CHECK_EXAMPLES: &str = "\
Examples:
  saros-proxy check
  saros-proxy check --config ./config.yaml --json

Exit code 0: nothing written is wrong; 1: something is. Names that mean nothing are only warned about.";

/// Examples of `reload`.
pub const RELOAD_EXAMPLES: &str = "\
Examples:
  saros-proxy reload
  saros-proxy reload --port 4000 --json

A running proxy also takes over changes of its file by itself, within seconds, and on SIGHUP. A file
with an error changes nothing. Exit code 1: not taken over; 3: no proxy runs.";

/// Examples of `config`.
pub const CONFIG_EXAMPLES: &str = "\
Examples:
  saros-proxy config              what is in effect, and where each value comes from
  saros-proxy config --json
  saros-proxy config path
  saros-proxy config schema > saros.schema.json";

/// Examples of `keys`.
pub const KEYS_EXAMPLES: &str = "\
Examples:
  saros-proxy keys list
  saros-proxy keys add work
  saros-proxy keys encrypt

Comments, order and everything else in the file stay as they are. The file before a change is kept
beside it as config.yaml.backup.";

const SCHEMA_EXAMPLES: &str = "\
Examples:
  saros-proxy config schema > ~/.config/saros/config.schema.json

and, as the first line of config.yaml:
  # yaml-language-server: $schema=./config.schema.json";

const PATH_EXAMPLES: &str = "\
Examples:
  saros-proxy config path
  ${EDITOR:-vi} \"$(saros-proxy config path)\"";

const ADD_EXAMPLES: &str = "\
Examples:
  saros-proxy keys add work
  pass show opencode/work | saros-proxy keys add work
  saros-proxy keys add work --plan go-plus --no-verify

Where the keys in the file are encrypted, the new one is too.";

const ENCRYPT_EXAMPLES: &str = "\
Examples:
  saros-proxy keys encrypt                        asks for a master key
  OPENCODE_GO_ENCRYPTION_KEY=… saros-proxy keys encrypt
  OPENCODE_GO_ENCRYPTION_KEY_FILE=~/.saros-master saros-proxy keys encrypt
  saros-proxy keys encrypt --keyring              makes one where there is none

The proxy needs the master key at every start, from the same places. It has at least 16 characters.";

const IMPORT_EXAMPLES: &str = "\
Examples:
  saros-proxy keys import keys.txt
  saros-proxy keys import ~/.local/share/opencode/auth.json
  saros-proxy keys import - < keys.txt";
