//! `serve`: the proxy in the foreground.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;

use crate::cli::args::ServeArgs;
use crate::cli::listen::listen;
use crate::cli::problems::{self, Audience};
use crate::cli::process::{self, Asked};
use crate::cli::reloading::Reloading;
use crate::cli::target::address;
use crate::cli::token::{self, Token};
use crate::cli::{Exit, say};
use crate::config::problem::Severity;
use crate::config::{Config, Env, Loaded, Paths, Problem, is_loopback, load};
use crate::observe::log::{Log, Settings};
use crate::observe::requests::RequestLog;
use crate::server;
use crate::server::shutdown::Ended;
use crate::service::daemon::{self, Found};
use crate::service::logfile::LogFile;
use crate::service::record::{self, Files, Record};
use crate::upstream::dial::Network;
use crate::upstream::tls::Tls;
use crate::upstream::tunnel::Tunnels;

/// Serves until it is asked to stop.
pub fn run(args: &ServeArgs, env: &'static dyn Env) -> Exit {
    process::forbid_core_dumps();
    process::allow_many_connections();
    process::survive_file_size_limit();
    let terminal = !args.daemon && io::stdout().is_terminal();
    let (settings, complaint) = Settings::from_env(env, terminal);
    let (log, _flushed_when_dropped) = Log::start(settings, output(args, env));
    log.clone().install();
    if let Some(complaint) = complaint {
        tracing::warn!("{complaint}");
    }
    match start(args, env, &log) {
        Ok(Ended::Drained) => Exit::Done,
        Ok(Ended::Cut) => Exit::Failed,
        Err(problems) => {
            problems::tell(&problems, audience(args), &log);
            say::exit(&problems)
        }
    }
}

fn audience(args: &ServeArgs) -> Audience {
    if args.daemon { Audience::Log } else { Audience::of_this_process() }
}

/// Where the log goes: to standard output, or, in the background, into a file.
fn output(args: &ServeArgs, env: &dyn Env) -> Box<dyn Write + Send> {
    if args.daemon {
        daemon::leave_terminal();
        let folder = Paths::of_this_process(env).config_dir;
        if let Ok(mut file) = LogFile::open(&folder.join(record::LOG)) {
            file.carry_output();
            return Box::new(file);
        }
    }
    Box::new(io::stdout())
}

fn start(args: &ServeArgs, env: &'static dyn Env, log: &Log) -> Result<Ended, Vec<Problem>> {
    let paths = Paths::of_this_process(env);
    // Where keys belong if no file was found: one that was named is the only one looked for.
    let file = args.config.clone().unwrap_or_else(|| paths.config_file());
    let loaded = load(&args.overrides(), env, paths.clone()).map_err(|error| error.problems)?;
    problems::tell(&loaded.warnings, audience(args), log);
    let Loaded { mut config, source, .. } = loaded;
    let reloading = Reloading {
        cli: args.overrides(),
        env,
        paths,
        source: source.clone(),
        bound: (config.host.clone(), config.port),
    };
    if let Some(path) = &source {
        tracing::info!("Configuration: {}", path.display());
    } else {
        tracing::info!("Configuration: environment and defaults, no file at {}", file.display());
    }
    if config.keys.is_empty() {
        return failed(no_keys(&source.unwrap_or(file)));
    }
    let tunnels = Tunnels::from_environment(|name| env.var(name))
        .or_else(|why| failed(Problem::new(Severity::Error, why)))?;
    if config.request_log {
        match RequestLog::open(&config.state_dir) {
            Ok(file) => log.keep_requests(file),
            Err(error) => {
                tracing::warn!(%error, "Requests are not kept: the file cannot be written");
            }
        }
    }
    let token = token::ensure(&mut config).or_else(|problem| failed(*problem))?;
    if let Token::Made { kept: Err(error), .. } = &token
        && !io::stderr().is_terminal()
    {
        // Nobody would ever learn it, so nobody could use the proxy.
        let what = format!(
            "Clients must show a token, but the one that was made can be neither shown, without a \
             terminal, nor kept in {}: {error}",
            config.state_dir.display()
        );
        let hint = "set CLIENT_TOKENS or `clientTokens`, or make that folder writable";
        return failed(Problem::new(Severity::Error, what).hint(hint));
    }

    let served = process::block_on(async {
        let listener = listen(&config.host, config.port).await.map_err(|problem| vec![*problem])?;
        let watch = reloading.watch().or_else(|error| failed(io_problem(&error)))?;
        let asker = watch.asker();
        let (asked, pump) = Asked::listen_and_reload(move || asker.request())
            .or_else(|error| failed(io_problem(&error)))?;
        let address = listener.local_addr().or_else(|error| failed(io_problem(&error)))?;
        let _signed_in = sign_in(args, &config)?;
        tracing::info!("Proxy listening on http://{address}");
        introduce(&config);
        tell_tunnels(&config, &tunnels);
        tell_token(&token, log);
        let network = Network::new(Tls::default(), tunnels);
        let ended = server::run(config, listener, network, watch, asked.times(1), asked.times(2));
        tokio::select! {
            ended = ended => Ok(ended),
            () = pump => Ok(Ended::Cut),
        }
    });
    served.or_else(|error| failed(io_problem(&error)))?
}

/// What to say when there is no key that could be used; `file` is where they belong.
pub fn no_keys(file: &Path) -> Problem {
    let hint = format!(
        "add some under `keys:` in {}, or set OPENCODE_GO_KEYS=label:sk-…,label:sk-…",
        file.display()
    );
    Problem::new(Severity::Error, "No valid API keys configured").hint(hint)
}

/// Writes down that this is the daemon, now that the port is its own; what is returned undoes it.
fn sign_in(args: &ServeArgs, config: &Config) -> Result<Option<SignedIn>, Vec<Problem>> {
    if !args.daemon {
        return Ok(None);
    }
    let files = Files::of(config);
    let record = Record::of_this_process(config, args.words());
    match files.write(&record) {
        Ok(()) => Ok(Some(SignedIn(files))),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if matches!(daemon::find(&files, &address(config)), Found::Stale(_)) {
                drop(std::fs::remove_file(&files.pid));
                if files.write(&record).is_ok() {
                    return Ok(Some(SignedIn(files)));
                }
            }
            let what = format!("{} names another daemon that runs", files.pid.display());
            failed(
                Problem::new(Severity::Error, what).hint("stop that one first: `saros-proxy stop`"),
            )
        }
        Err(error) => {
            tracing::warn!(%error, "`stop` will not find this proxy: {} cannot be written", files.pid.display());
            Ok(None)
        }
    }
}

/// The daemon's PID file, removed with this.
struct SignedIn(Files);

impl Drop for SignedIn {
    fn drop(&mut self) {
        self.0.forget(std::process::id());
    }
}

fn failed<T>(problem: Problem) -> Result<T, Vec<Problem>> {
    Err(vec![problem])
}

fn io_problem(error: &io::Error) -> Problem {
    Problem::new(Severity::Error, format!("The proxy cannot start: {error}"))
}

/// The lines by which an owner sees that all is as intended.
fn introduce(config: &Config) {
    tracing::info!("Upstream: {}", config.upstream);
    tracing::info!("API keys loaded: {}", config.keys.len());
    for key in &config.keys {
        if key.base == config.upstream {
            tracing::info!("  - {}: {}", key.label, key.secret);
        } else {
            tracing::info!("  - {}: {} at {}", key.label, key.secret, key.base);
        }
    }
    if !is_loopback(&config.host) {
        let who = if config.token_required() {
            "Clients must show a token."
        } else {
            "Whoever reaches the port can use your accounts: requireClientToken is off."
        };
        tracing::warn!("Proxy binding to \"{}\" — not localhost. {who}", config.host);
    }
    if config.allowed_origins.open() {
        tracing::warn!("CORS allows all origins: every web page you open can use the proxy");
    }
}

/// Which upstreams are reached through the environment's proxy, and which are not all the same.
fn tell_tunnels(config: &Config, tunnels: &Tunnels) {
    let Some(tunnel) = tunnels.named() else { return };
    let keys = config.keys.iter().map(|key| &key.base.origin);
    let origins: BTreeSet<_> = keys.chain([&config.upstream.origin]).collect();
    for origin in origins {
        if tunnels.via(origin).is_some() {
            tracing::info!("HTTPS_PROXY: {origin} is reached through {tunnel}");
        } else {
            tracing::info!("HTTPS_PROXY: {origin} is reached directly (NO_PROXY, or this machine)");
        }
    }
}

/// A token that was made is shown where a person sees it at once, and never in the log.
fn tell_token(token: &Token, log: &Log) {
    match token {
        Token::NotNeeded => {}
        Token::Found(path) => tracing::info!("Client token: in {}", path.display()),
        Token::Made { token, kept } => {
            match kept {
                Ok(path) => tracing::info!("Client token: made, kept in {}", path.display()),
                Err(error) => tracing::warn!(
                    %error,
                    "Client token: made, but it cannot be kept and will be another at the next start; \
                     set clientTokens"
                ),
            }
            if io::stderr().is_terminal() {
                log.flush();
                let mut terminal = anstream::stderr();
                drop(writeln!(terminal, "\nClient token, shown only now: {}\n", token.expose()));
            }
        }
    }
}
