//! The program as a process: what it prints, what it returns, what it leaves behind.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here is a failed test"
)]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

mod figures;
mod service;
mod stopping;
mod token;
mod tunnel;

mod state;

const KEY: &str = "sk-aaaaaaaaaaaaaaaaaaaaaaaaaaaaAAAA";

/// A user without anything but a home folder.
struct User(TempDir);

impl User {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn with_config(text: &str) -> Self {
        let user = Self::new();
        let folder = user.path(".config/saros");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.yaml"), text).unwrap();
        fs::set_permissions(folder.join("config.yaml"), Permissions::from_mode(0o600)).unwrap();
        user
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_saros-proxy"));
        command.args(line.split_whitespace());
        self.at_home(command)
    }

    /// A command with nothing but a home folder, whose output is kept.
    fn at_home(&self, mut command: Command) -> Command {
        command.env_clear().env("HOME", self.0.path()).current_dir(self.0.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, line: &str) -> Ended {
        Ended::of(self.command(line).output().unwrap())
    }
}

#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// A proxy that runs.
struct Running {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    /// The log until it listened.
    log: String,
    address: String,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut running = Self { child, out, log: String::new(), address: String::new() };
        while running.address.is_empty() {
            let mut line = String::new();
            let length = running.out.read_line(&mut line).unwrap();
            running.log.push_str(&line);
            assert_ne!(length, 0, "ended before it listened: {}", running.log);
            if let Some((_, address)) = line.split_once("Proxy listening on http://") {
                address.split(['"', ' ', '\n']).next().unwrap().clone_into(&mut running.address);
            }
        }
        running
    }

    fn get(&self, path: &str, headers: &str) -> String {
        self.ask("GET", path, headers, "")
    }

    /// A chat request that asks for one answer, not a stream.
    fn chat(&self) -> String {
        let body = r#"{"model":"glm-5.2","messages":[{"role":"user","content":"hello"}]}"#;
        self.ask("POST", "/v1/chat/completions", "content-type: application/json\r\n", body)
    }

    /// The whole answer.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        let mut stream = self.send(method, path, headers, body);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Where the answer will come.
    fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (host, length) = (&self.address, body.len());
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             content-length: {length}\r\n{headers}\r\n{body}"
        )
        .unwrap();
        stream
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Reads the log until it says this.
    fn log_until(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(self.out.read_line(&mut line).unwrap(), 0, "{text}: {}", self.log);
            self.log.push_str(&line);
        }
    }

    fn stop(mut self, signal: Signal) -> Ended {
        self.signal(signal);
        self.out.read_to_string(&mut self.log).unwrap();
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let code = self.child.wait().unwrap().code();
        Ended { code, out: std::mem::take(&mut self.log), err }
    }
}

impl Drop for Running {
    /// A failed test leaves no process behind.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Free when asked for. Another process may take it, so tests that use it do not depend on more.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn json_lines(log: &str) -> Vec<serde_json::Value> {
    log.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn version_and_help() {
    let user = User::new();
    for line in ["--version", "-v"] {
        let ended = user.run(line);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
        assert_eq!(ended.out, concat!(env!("CARGO_PKG_VERSION"), "\n"));
    }
    let ended = user.run("help");
    assert_eq!(ended.code, Some(0));
    assert!(ended.out.contains("Examples:") && !ended.out.contains('\u{1b}'), "{}", ended.out);
    let ended = user.run("--prot 1");
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
    assert!(ended.err.contains("--port"), "{}", ended.err);
    let ended = user.run("start --port 4000");
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
    let wanted =
        "`start` is not in this version yet; `saros-proxy` alone serves in the foreground\n";
    assert!(ended.err.contains(wanted), "{}", ended.err);
}

#[test]
fn without_keys_it_does_not_start() {
    let user = User::new();
    for line in ["", "serve"] {
        let ended = user.run(line);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("error: No valid API keys configured"), "{ended:?}");
        assert!(ended.err.contains("/.config/saros/config.yaml"), "{ended:?}");
        let last = json_lines(&ended.out).pop().unwrap();
        assert_eq!(last["level"], 60);
        assert!(last["msg"].as_str().unwrap().starts_with("No valid API keys configured"));
    }
    assert!(!user.path(".config").exists(), "nothing is written");
}

#[test]
fn a_named_file_that_is_none_is_the_one_that_is_spoken_of() {
    let user = User::new();
    fs::create_dir(user.path("folder")).unwrap();
    for path in [user.path("mine.yaml"), user.path("folder")] {
        let path = path.display();
        let ended = user.run(&format!("--config {path}"));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains(&format!("`keys:` in {path}, or")), "{ended:?}");
        assert!(ended.out.contains(&format!("no file at {path}\"")), "{ended:?}");
        assert!(!format!("{ended:?}").contains(".config/saros"), "{ended:?}");
    }
}

#[test]
fn problems_stand_on_standard_error_with_their_place() {
    let key = "sk-secretsecretsecretsecret";
    let user = User::with_config(&format!("port: [1\nkeys:\n  - label: a\n    key: {key}\n"));
    let ended = user.run("");
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("error: the file is no YAML"), "{}", ended.err);
    assert!(ended.err.contains("config.yaml:"), "{}", ended.err);

    let user =
        User::with_config(&format!("keys: [{{label: a, key: {key}}}]\nonExhausted: never\n"));
    let ended = user.run("");
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("config.yaml:2:14"), "{}", ended.err);
    assert!(ended.err.contains("allowed: `auto`, `wait` or `fail`"), "{}", ended.err);
    for ended in [ended, user.run("--strategy fastest")] {
        assert!(!format!("{ended:?}").contains(key), "{ended:?}");
    }

    let user = User::with_config(&format!("keys: [{{label: a, key: {key}}}]\n"));
    let ended = user.run("--strategy fastest");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("--strategy: `strategy` cannot be `fastest`"), "{}", ended.err);
}

#[test]
fn errors_follow_the_log_where_both_are_one() {
    let user = User::with_config("prot: 1\n");
    let (mut both, end) = std::io::pipe().unwrap();
    let mut command = user.command("--host 0.0.0.0");
    command.env("NODE_ENV", "development").stdout(end.try_clone().unwrap()).stderr(end);
    let mut child = command.spawn().unwrap();
    // It holds the other end of the pipe.
    drop(command);
    let mut text = String::new();
    both.read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{text}");
    let (log, error) = text.split_once("error: No valid API keys configured").expect(&text);
    assert!(log.ends_with('\n') && log.contains("FATAL"), "{text}");
    assert!(log.lines().all(|line| line.contains("Z ")), "{text}");
    assert!(error.ends_with('\n') && !error.contains("Z "), "{text}");
}

#[test]
fn a_taken_port_is_explained() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let user = User::new();
    let ended = Ended::of(
        user.command(&format!("--port {port}"))
            .env("OPENCODE_GO_KEYS", format!("a:{KEY}"))
            .output()
            .unwrap(),
    );
    assert_eq!(ended.code, Some(1));
    let wanted = format!("Port {port} on 127.0.0.1 is already in use");
    assert!(ended.err.contains(&wanted) && ended.err.contains("--port"), "{}", ended.err);
    assert!(
        json_lines(&ended.out)
            .iter()
            .any(|line| line["msg"].as_str().unwrap().starts_with(&wanted))
    );
}

#[test]
fn the_log_takes_the_form_that_the_environment_asks_for() {
    let user = User::new();
    let log = |variables: &[(&str, &str)]| {
        let mut command = user.command("");
        command
            .env("OPENCODE_GO_KEYS", format!("home:{KEY}"))
            .env("PROXY_PORT", free_port().to_string());
        command.envs(variables.iter().copied());
        Running::start(command).stop(Signal::TERM).out
    };
    assert!(log(&[("NODE_ENV", "production")]).lines().all(|line| line.starts_with("{\"level\":")));
    let readable = log(&[("NODE_ENV", "development")]);
    assert!(readable.lines().all(|line| line.contains("Z INFO  ")), "{readable}");
    assert!(!readable.contains('\u{1b}'), "{readable}");
    let loud = log(&[("LOG_LEVEL", "loud")]);
    assert!(loud.contains("LOG_LEVEL cannot be `loud`"), "{loud}");

    let mut command = user.command("");
    command.env("LOG_LEVEL", "silent");
    let ended = Ended::of(command.output().unwrap());
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    assert!(ended.err.contains("No valid API keys configured"), "{}", ended.err);
}

#[cfg(target_os = "linux")]
#[test]
fn dumps_no_core() {
    let user = User::new();
    let mut command = user.command(&format!("--port {}", free_port()));
    command.env("OPENCODE_GO_KEYS", format!("home:{KEY}"));
    let running = Running::start(command);
    let limits = fs::read_to_string(format!("/proc/{}/limits", running.child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let limits: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    assert!(limits == ["1", "1"] || limits == ["0", "0"], "{core}");
    running.stop(Signal::TERM);
}

/// The command as a shell runs it that sets a limit before.
#[cfg(target_os = "linux")]
fn limited(user: &User, limit: &str, line: &str) -> Command {
    let program = env!("CARGO_BIN_EXE_saros-proxy");
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(format!("ulimit {limit}; exec '{program}' {line}"));
    user.at_home(command)
}

#[cfg(target_os = "linux")]
#[test]
fn takes_all_the_open_files_that_it_may_have() {
    let user = User::new();
    let mut command = limited(&user, "-Sn 64", &format!("--port {}", free_port()));
    command.env("OPENCODE_GO_KEYS", format!("home:{KEY}"));
    let running = Running::start(command);
    let limits = fs::read_to_string(format!("/proc/{}/limits", running.child.id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let limits: Vec<&str> = files.split_whitespace().skip(3).take(2).collect();
    assert_eq!(limits[0], limits[1], "{files}");
    assert_ne!(limits[0], "64", "{files}");
    running.stop(Signal::TERM);
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_that_may_not_grow_is_no_reason_to_die() {
    let user = User::new();
    let mut command = limited(&user, "-f 0", "");
    command.stdout(fs::File::create(user.path("log")).unwrap());
    let ended = Ended::of(command.output().unwrap());
    assert_eq!(ended.code, Some(1), "killed: {ended:?}");
    assert!(ended.err.contains("No valid API keys configured"), "{ended:?}");
}
