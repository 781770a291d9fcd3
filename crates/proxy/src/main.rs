//! `saros-proxy`, the program.

use std::env;
use std::process::ExitCode;

use saros_proxy::cli;
use saros_proxy::config::Env;

/// The real environment. Everything else is handed this.
struct ProcessEnv;

impl Env for ProcessEnv {
    fn var(&self, name: &str) -> Option<String> {
        env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }
}

fn main() -> ExitCode {
    cli::run(env::args_os(), &ProcessEnv).into()
}
