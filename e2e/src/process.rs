//! Processes that end in time and leave none behind.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};

/// A process that ended by itself.
#[derive(Debug)]
pub struct Finished {
    /// How.
    pub status: ExitStatus,
    /// All of its stdout.
    pub stdout: String,
    /// All of its stderr.
    pub stderr: String,
}

impl Finished {
    /// Both outputs, titled.
    pub fn told(&self) -> String {
        format!("{}\nstdout:\n{}\nstderr:\n{}", self.status, self.stdout, self.stderr)
    }
}

/// Runs a program to its end.
///
/// # Errors
/// When it cannot be started, or has not ended in time. Then its whole process group is killed.
pub fn run(mut command: Command, limit: Duration) -> Outcome<Finished> {
    let running = Running::start(&mut command)?;
    let status = running.wait(limit);
    let (stdout, stderr) = (running.stdout(), running.stderr());
    match status {
        Some(status) => Ok(Finished { status, stdout, stderr }),
        None => Err(Failure::new(format!("{command:?} did not end within {limit:?}"))
            .with("its stdout", &stdout)
            .with("its stderr", &stderr)),
    }
}

/// A process in a group of its own; the group is killed when this is dropped.
pub struct Running {
    group: u32,
    lines: Mutex<Receiver<String>>,
    ended: Mutex<Receiver<ExitStatus>>,
    status: Mutex<Option<ExitStatus>>,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
}

impl Running {
    /// Starts a program.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Outcome<Self> {
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().map_err(|error| Failure::new(format!("{command:?}: {error}")))?;
        let (tell_line, lines) = mpsc::channel();
        let (tell_end, ended) = mpsc::channel();
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let readers = [
            child.stdout.take().map(|pipe| read(pipe, Arc::clone(&stdout), tell_line.clone())),
            child.stderr.take().map(|pipe| read(pipe, Arc::clone(&stderr), tell_line)),
        ];
        let group = child.id();
        thread::spawn(move || tell_end.send(wait(child, readers)));
        let (lines, ended) = (Mutex::new(lines), Mutex::new(ended));
        Ok(Self { group, lines, ended, status: Mutex::default(), stdout, stderr })
    }

    /// Waits for a line of either output that the function takes something from.
    ///
    /// # Errors
    /// When the process ends, or the time is up, without such a line.
    pub fn line<T>(&self, limit: Duration, wanted: impl Fn(&str) -> Option<T>) -> Outcome<T> {
        let deadline = Instant::now() + limit;
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    if let Some(found) = wanted(&line) {
                        return Ok(found);
                    }
                }
                Err(reason) => {
                    let why = match reason {
                        RecvTimeoutError::Timeout => format!("not within {limit:?}"),
                        RecvTimeoutError::Disconnected => "it ended".to_owned(),
                    };
                    return Err(Failure::new(format!("the awaited line did not come: {why}"))
                        .with("stdout", &self.stdout())
                        .with("stderr", &self.stderr()));
                }
            }
        }
    }

    /// Waits for the end; `None` when the time is up.
    pub fn wait(&self, limit: Duration) -> Option<ExitStatus> {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if status.is_none() {
            let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            *status = ended.recv_timeout(limit).ok();
        }
        *status
    }

    /// What it wrote to stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks it to end (SIGTERM, to the process alone).
    pub fn terminate(&self) {
        signal("TERM", &self.group.to_string());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        signal("KILL", &format!("-{}", self.group));
    }
}

/// The shell's own `kill`: the standard library has no signals, and not every machine has the
/// program. A process that is gone is fine.
fn signal(name: &str, target: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("kill -s {name} -- {target}")]);
    drop(shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status());
}

type Reader = thread::JoinHandle<()>;

fn read(
    pipe: impl Read + Send + 'static,
    text: Arc<Mutex<String>>,
    tell: Sender<String>,
) -> Reader {
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let found = String::from_utf8_lossy(&line).into_owned();
            text.lock().unwrap_or_else(PoisonError::into_inner).push_str(&found);
            drop(tell.send(found.trim_end().to_owned())); // nobody may be waiting any more
            line.clear();
        }
    })
}

/// The end of the process, once its outputs have been read to their ends. What it left running
/// would hold them open, so its group is killed first.
fn wait(mut child: Child, readers: [Option<Reader>; 2]) -> ExitStatus {
    let status = loop {
        match child.wait() {
            Ok(status) => break status,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break ExitStatus::default(),
        }
    };
    signal("KILL", &format!("-{}", child.id()));
    for reader in readers.into_iter().flatten() {
        drop(reader.join());
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_is_kept_to_the_byte() {
        let finished = run(shell("printf 'a\\n\\nb'; printf c >&2"), Duration::from_secs(20));
        let finished = finished.expect("it ends");
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("a\n\nb", "c"));
    }

    #[test]
    fn what_does_not_end_is_killed_with_its_children() {
        let failure = run(shell("echo $$; sleep 600 & wait"), Duration::from_millis(200));
        let text = format!("{:?}", failure.expect_err("it cannot end in time"));
        assert!(text.contains("did not end within"), "{text}");
        let group = text.lines().find(|line| line.parse::<u32>().is_ok()).expect("its group");
        let mut alive = shell(&format!("kill -s 0 -- -{group} 2>/dev/null"));
        // The signal is sent before `run` returns; the kernel takes the processes away soon after.
        let deadline = Instant::now() + Duration::from_secs(20);
        while alive.status().expect("a shell").success() {
            assert!(Instant::now() < deadline, "group {group} lives on");
            thread::yield_now();
        }
    }

    #[test]
    fn an_awaited_line_that_cannot_come_is_not_waited_for() {
        let running = Running::start(&mut shell("echo one; echo two")).expect("it starts");
        let two = running.line(Duration::from_secs(20), |line| (line == "two").then_some(2));
        assert_eq!(two.expect("it says so"), 2);
        let three = running.line(Duration::from_secs(20), |line| (line == "three").then_some(3));
        let text = format!("{:?}", three.expect_err("it never says so"));
        assert!(text.contains("it ended"), "{text}");
    }
}
