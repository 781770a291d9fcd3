//! The product: built once, and `saros-proxy serve` as a process.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::curl::{Answer, curl};
use crate::emulator::{Emulator, Key};
use crate::failure::{Failure, Outcome, ensure};
use crate::process::{self, Finished, Running};
use crate::sandbox::Sandbox;

/// From the start to listening.
const START: Duration = Duration::from_secs(30);
/// A cold build of the product, when a test is run without `cargo xtask ci`.
const BUILD: Duration = Duration::from_mins(20);
/// Names a binary to test instead of the one that is built from this checkout.
const BINARY: &str = "SAROS_PROXY_BIN";

/// The binary under test: what this checkout builds, unless another is named.
///
/// # Errors
/// When it does not build.
pub fn product() -> Outcome<PathBuf> {
    if let Some(named) = std::env::var_os(BINARY) {
        return Ok(named.into());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut build = Command::new(cargo);
    build.current_dir(root).stdin(Stdio::null());
    build.args(["build", "--package", "saros-proxy", "--bin", "saros-proxy"]);
    build.args(["--locked", "--message-format", "json"]);
    let built = process::run(build, BUILD)?;
    let executable = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    };
    let found = built.stdout.lines().find_map(executable);
    found.ok_or_else(|| Failure::new("the product was not built").with("cargo", &built.told()))
}

/// A running proxy.
pub struct Proxy {
    process: Running,
    port: u16,
}

impl Proxy {
    /// Starts it with the emulator's keys, and further lines of its configuration.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(sandbox: &Sandbox, upstream: &Emulator, options: &str) -> Outcome<Self> {
        let entry = |key: &Key| format!("  - label: {}\n    key: {}\n", key.label, key.secret);
        let keys: String = upstream.keys().iter().map(entry).collect();
        let config = format!("upstreamBaseUrl: {}\n{options}\nkeys:\n{keys}", upstream.base_url());
        let file = sandbox.write("saros/config.yaml", &config)?;
        let binary = product()?;
        let mut last = Failure::new("not tried");
        // Between choosing a free port and using it, another process may take it.
        for _ in 0..3 {
            let port = free_port()?;
            let mut command = sandbox.command(&binary);
            command.args(["serve", "--port", &port.to_string(), "--config"]).arg(&file);
            if let Some(certificate) = upstream.certificate() {
                command.env("SSL_CERT_FILE", certificate);
            }
            let process = Running::start(&mut command)?;
            let listening = |line: &str| line.contains("Proxy listening on").then_some(());
            match process.line(START, listening) {
                Ok(()) => return Ok(Self { process, port }),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    /// An address of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Asks with curl; the arguments are curl's own.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub fn curl(&self, arguments: &[&str], path: &str) -> Outcome<Answer> {
        let url = self.url(path);
        let mut all = arguments.to_vec();
        all.push(&url);
        curl(&all)
    }

    /// What `/health` says.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn health(&self) -> Outcome<Value> {
        let answer = self.curl(&[], "/health")?;
        answer.expect_status(200)?;
        answer.json()
    }

    /// Asks it to stop, and waits for the end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&self, limit: Duration) -> Outcome<Finished> {
        self.process.terminate();
        match self.process.wait(limit) {
            Some(status) => {
                let (stdout, stderr) = (self.process.stdout(), self.process.stderr());
                Ok(Finished { status, stdout, stderr })
            }
            None => Err(Failure::new(format!("still running {limit:?} after SIGTERM"))),
        }
    }

    /// All that it wrote.
    pub fn told(&self) -> String {
        format!("{}{}", self.process.stdout(), self.process.stderr())
    }

    /// The log's lines about requests, one each. Complete once it has stopped.
    pub fn requests(&self) -> Vec<Value> {
        let told = self.told();
        let lines = told.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["msg"] == "Request").collect()
    }

    /// Fails if one of the keys can be read in what it wrote.
    ///
    /// # Errors
    /// When one can, naming its label only.
    pub fn ensure_silent_about(&self, upstream: &Emulator) -> Outcome {
        let told = self.told();
        for key in upstream.keys() {
            ensure(!told.contains(&key.secret), || format!("key {} is in the log", key.label))?;
        }
        Ok(())
    }
}

fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
