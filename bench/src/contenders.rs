//! Who is measured, and how each is started.

mod bare;
mod haproxy;
mod nginx;
mod saros;

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::tls::Identity;
use crate::{Fallible, measure};

/// The core of the proxy under test.
pub(crate) const PROXY_CORE: usize = 0;
/// The core of the load generator and the stub.
pub(crate) const LOAD_CORE: usize = 1;

/// What a contender is set up for.
pub(crate) struct Site<'a> {
    /// Its own, for configuration and logs.
    pub(crate) folder: PathBuf,
    /// Where it must listen, on 127.0.0.1.
    pub(crate) port: u16,
    /// The stub's port on localhost.
    pub(crate) upstream: u16,
    /// HTTP/2 upstream.
    pub(crate) h2: bool,
    /// What to trust.
    pub(crate) identity: &'a Identity,
    /// Write one line per request to a file.
    pub(crate) access_log: bool,
}

/// A proxy that can be measured.
pub(crate) trait Contender {
    /// As in the report.
    fn name(&self) -> &'static str;
    /// The program.
    fn binary(&self) -> PathBuf;
    /// What it says of its version.
    fn version(&self) -> Fallible<String>;
    /// Whether it can speak HTTP/2 upstream.
    fn speaks_h2(&self) -> bool;
    /// Writes its configuration and returns how to start it in the foreground.
    fn command(&self, site: &Site<'_>) -> Fallible<Command>;
}

/// All of them, in the order of every round.
pub(crate) fn all() -> Vec<Box<dyn Contender>> {
    vec![
        Box::new(nginx::Nginx),
        Box::new(haproxy::HaProxy),
        Box::new(bare::Bare),
        Box::new(saros::Saros),
    ]
}

/// A process of ours, stopped when dropped.
pub(crate) struct Running {
    child: Child,
    /// Where it listens.
    pub(crate) port: u16,
    /// From the start of the process to the first accepted connection.
    pub(crate) started_in: Duration,
    folder: PathBuf,
}

impl Running {
    /// The process to measure, with its children.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did although nobody here asked it to.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        let output = fs::read_to_string(self.folder.join("output.log")).unwrap_or_default();
        Some(format!("{status}; {}", output.lines().last().unwrap_or("it said nothing")))
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Politely, for masters that have workers to end; then for good.
        let _gone = measure::signal(self.child.id(), "TERM");
        let deadline = Instant::now() + Duration::from_secs(3);
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// On which core, or as it comes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Placement {
    /// Kept there, with priority over other users of the machine where permitted.
    Core(usize),
    /// Started directly, so that the time to listening holds nothing else.
    Inherited,
}

/// Starts `command` and waits until it accepts connections on `port`.
pub(crate) fn start(
    command: &Command,
    placement: Placement,
    port: u16,
    folder: &Path,
) -> Fallible<Running> {
    let mut placed = match placement {
        Placement::Inherited => Command::new(command.get_program()),
        Placement::Core(core) => {
            // Ends with this process, however that ends.
            let mut placed = Command::new("setpriv");
            placed.args(["--pdeathsig", "TERM", "nice", "-n", "-10", "taskset", "--cpu-list"]);
            placed.arg(core.to_string()).arg(command.get_program());
            placed
        }
    };
    placed.args(command.get_args()).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            placed.env(name, value);
        }
    }
    let output = File::create(folder.join("output.log"))?;
    let begin = Instant::now();
    let child = placed.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn()?;
    let mut running =
        Running { child, port, started_in: Duration::ZERO, folder: folder.to_owned() };
    while begin.elapsed() < Duration::from_secs(10) {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            running.started_in = begin.elapsed();
            return Ok(running);
        }
        if let Some(status) = running.child.try_wait()? {
            let output = fs::read_to_string(folder.join("output.log")).unwrap_or_default();
            return Err(format!("ended with {status}: {}", output.trim()).into());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Err("did not listen within 10 s".into())
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Fallible<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// What a program prints when asked for its version.
fn first_line(command: &mut Command) -> Fallible<String> {
    let output = command.output()?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
}
