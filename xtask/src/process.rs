//! Running other programs: loudly, silently, or with an eye on their closing lines.

use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

/// Why a step did not pass, in words for the terminal.
pub(crate) struct Failed(pub(crate) String);

impl Failed {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// Runs a program that writes straight to our terminal.
pub(crate) fn run(command: &mut Command) -> Result<(), Failed> {
    let shown = shown(command);
    let status = command.status().map_err(|error| not_started(&shown, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failed::new(format!("`{shown}` ended with {status}")))
    }
}

/// Runs a program silently and returns what it wrote to stdout.
pub(crate) fn output_of(command: &mut Command) -> Result<String, Failed> {
    let shown = shown(command);
    let output = command.output().map_err(|error| not_started(&shown, &error))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(Failed::new(format!("`{shown}` ended with {}: {complaint}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a test runner said last, and whether it was content.
pub(crate) struct Watched {
    pub(crate) closing: Vec<String>,
    pub(crate) result: Result<(), Failed>,
}

/// Runs a test runner: passes its output on and keeps its closing lines (nextest's `Summary` and
/// what follows it, or the `test result:` lines of libtest).
pub(crate) fn run_tests(command: &mut Command) -> Watched {
    let shown = shown(command);
    if std::io::stderr().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return Watched { closing: Vec::new(), result: Err(not_started(&shown, &error)) };
        }
    };
    let closing = Mutex::new(Closing::default());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        scope.spawn(|| stdout.map(|pipe| echo(pipe, &closing)));
        scope.spawn(|| stderr.map(|pipe| echo(pipe, &closing)));
    });
    let result = match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failed::new(format!("`{shown}` ended with {status}"))),
        Err(error) => Err(Failed::new(format!("`{shown}` was lost: {error}"))),
    };
    let closing = closing.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).lines;
    Watched { closing, result }
}

/// A command as one would type it, without the folder of the program.
fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut text = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

fn not_started(shown: &str, error: &std::io::Error) -> Failed {
    Failed::new(format!("`{shown}` could not be started: {error}"))
}

fn echo(pipe: impl Read, closing: &Mutex<Closing>) {
    for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        eprintln!("{line}");
        closing.lock().unwrap_or_else(std::sync::PoisonError::into_inner).see(&line);
    }
}

/// Picks the closing lines out of a runner's output.
#[derive(Default)]
struct Closing {
    lines: Vec<String>,
    in_summary: bool,
}

impl Closing {
    fn see(&mut self, line: &str) {
        let plain = without_colours(line);
        let trimmed = plain.trim_start();
        self.in_summary |= trimmed.starts_with("Summary [");
        if self.in_summary || trimmed.starts_with("test result:") {
            self.lines.push(plain.trim_end().to_owned());
        }
    }
}

/// The line without its terminal colour sequences (`ESC [ … m`).
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, sequence)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = sequence.split_once('m').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_start_at_the_summary() {
        let mut closing = Closing::default();
        for line in [
            "   PASS [ 0.1s] x",
            "\u{1b}[32;1m     Summary\u{1b}[0m [   0.1s] 3 tests run",
            "  FAIL y",
        ] {
            closing.see(line);
        }
        assert_eq!(closing.lines, ["     Summary [   0.1s] 3 tests run", "  FAIL y"]);
    }

    #[test]
    fn every_libtest_result_is_kept() {
        let mut closing = Closing::default();
        for line in
            ["running 0 tests", "test result: ok. 1 passed", "", "test result: ok. 2 passed"]
        {
            closing.see(line);
        }
        assert_eq!(closing.lines, ["test result: ok. 1 passed", "test result: ok. 2 passed"]);
    }

    #[test]
    fn a_failing_program_is_named() {
        let Err(Failed(reason)) = run(Command::new("sh").args(["-c", "exit 3"])) else {
            panic!("exit 3 passed");
        };
        assert!(reason.contains("`sh -c exit 3`") && reason.contains('3'), "{reason}");
    }
}
