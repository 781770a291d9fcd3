//! curl: the client for raw behaviour, and our own way to the emulator's control API.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Failure, Outcome, ensure};
use crate::process;

/// Nothing on loopback takes longer.
const LIMIT: Duration = Duration::from_secs(30);

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    /// The final status.
    pub status: u16,
    /// The header lines of the final answer: lower-case name, value.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The value of a header that occurs at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none, showing it.
    pub fn json(&self) -> Outcome<Value> {
        serde_json::from_str(&self.body)
            .map_err(|error| Failure::new(format!("no JSON ({error}): {}", self.body)))
    }

    /// Fails unless this is the status.
    ///
    /// # Errors
    /// When it is another, showing the answer.
    pub fn expect_status(&self, status: u16) -> Outcome {
        ensure(self.status == status, || format!("not {status}: {self:#?}"))
    }
}

/// Asks with curl; the arguments are curl's own, the address last.
///
/// # Errors
/// When there is no complete answer.
pub fn curl(arguments: &[&str]) -> Outcome<Answer> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--include", "--max-time", "25", "--noproxy", "*"]);
    command.args(arguments).stdin(std::process::Stdio::null());
    let finished = process::run(command, LIMIT)?;
    if !finished.status.success() {
        return Err(Failure::new(format!("curl {arguments:?}: {}", finished.told())));
    }
    parse(&finished.stdout).ok_or_else(|| {
        Failure::new(format!("curl {arguments:?}: no answer in {}", finished.told()))
    })
}

/// Reads curl's `--include` output; `1xx` answers before the final one are skipped.
fn parse(text: &str) -> Option<Answer> {
    let end = text.find("\r\n\r\n").map(|at| (at, 4)).or_else(|| Some((text.find("\n\n")?, 2)))?;
    let (head, rest) = text.split_at(end.0);
    let body = rest.get(end.1..)?;
    let mut lines = head.lines();
    let status: u16 = lines.next()?.split_whitespace().nth(1)?.parse().ok()?;
    if (100..200).contains(&status) && status != 101 {
        return parse(body);
    }
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    Some(Answer { status, headers: lines.filter_map(header).collect(), body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interim_answer_is_not_the_answer() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-A: b: c\r\n\r\nbo\r\n\r\ndy";
        let answer = parse(text).expect("an answer");
        assert_eq!((answer.status, answer.header("x-a")), (200, Some("b: c")));
        assert_eq!(answer.body, "bo\r\n\r\ndy");
    }

    #[test]
    fn http2_status_lines_have_no_reason() {
        let answer = parse("HTTP/2 421 \r\ncontent-length: 0\r\n\r\n").expect("an answer");
        assert_eq!((answer.status, answer.body.as_str()), (421, ""));
    }
}
