//! What the run says on the terminal: a heading for each step, and the closing table.

use std::time::{Duration, Instant};

use crate::process::Failed;

/// How a step ended, if it did not fail.
pub(crate) enum Outcome {
    /// It was done; the closing lines of a test runner, if it was one.
    Done(Vec<String>),
    /// It could not be done here, and that is no failure. Said loudly.
    Skipped(String),
}

/// The steps so far.
pub(crate) struct Report {
    started: Instant,
    lines: Vec<String>,
    skipped: Vec<String>,
    closing: Vec<String>,
}

impl Report {
    pub(crate) fn new() -> Self {
        let (lines, skipped, closing) = (Vec::new(), Vec::new(), Vec::new());
        Self { started: Instant::now(), lines, skipped, closing }
    }

    /// Runs one step under its heading and notes how it went.
    pub(crate) fn step(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Result<Outcome, Failed>,
    ) -> Result<(), Failed> {
        eprintln!("\n━━━━ {name} ━━━━");
        let started = Instant::now();
        let outcome = work();
        let took = readable(started.elapsed());
        match outcome {
            Ok(Outcome::Done(closing)) => {
                self.lines.push(format!("  passed   {took:>9}  {name}"));
                if !closing.is_empty() {
                    self.closing.push(format!("{name}:"));
                    self.closing.extend(closing);
                }
                Ok(())
            }
            Ok(Outcome::Skipped(why)) => {
                eprintln!("\n!!!! SKIPPED: {name}: {why}\n");
                self.lines.push(format!("  SKIPPED  {took:>9}  {name}"));
                self.skipped.push(format!("!!!! SKIPPED: {name}: {why}"));
                Ok(())
            }
            Err(Failed(why)) => {
                self.lines.push(format!("  FAILED   {took:>9}  {name}"));
                Err(Failed::new(format!("step \"{name}\" failed: {why}")))
            }
        }
    }

    /// Prints the table, what was skipped, and the runners' closing lines.
    pub(crate) fn print(&self, result: &Result<(), Failed>) {
        eprintln!("\n━━━━ result ━━━━");
        for line in self.lines.iter().chain(&self.skipped).chain(&self.closing) {
            eprintln!("{line}");
        }
        let took = readable(self.started.elapsed());
        eprintln!("{}", self.verdict(result, &took));
    }

    fn verdict(&self, result: &Result<(), Failed>, took: &str) -> String {
        match result {
            Ok(()) if self.skipped.is_empty() => format!("ci: everything passed in {took}"),
            Ok(()) => format!("ci: passed in {took}, with {} step(s) SKIPPED", self.skipped.len()),
            Err(Failed(why)) => format!("ci: {why} (after {took})"),
        }
    }
}

fn readable(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(readable(Duration::from_millis(1250)), "1.2 s");
        assert_eq!(readable(Duration::from_secs(605)), "10 min 05 s");
    }

    #[test]
    fn a_failed_step_is_named_and_a_skipped_one_is_not_silent() {
        let mut report = Report::new();
        assert!(report.step("a", || Ok(Outcome::Skipped("no archive".to_owned()))).is_ok());
        let Err(Failed(why)) = report.step("b", || Err(Failed::new("boom"))) else {
            panic!("the failure was lost");
        };
        assert_eq!(why, "step \"b\" failed: boom");
        assert_eq!(report.skipped, ["!!!! SKIPPED: a: no archive"]);
    }
}
