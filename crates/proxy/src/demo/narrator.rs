//! Telling what happens, as it happens.

use std::io::Write;
use std::net::SocketAddr;

use anstyle::{AnsiColor, Style};
use saros_core::pool::{Standing, State};

use crate::config::Strategy;
use crate::demo::client::Seen;
use crate::demo::{ACCOUNTS, Stage};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
const BAD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));
const NAME: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Cyan)));

/// Writes to standard output, in colour where that is a terminal and `NO_COLOR` is not set.
pub(crate) struct Narrator {
    out: anstream::AutoStream<std::io::Stdout>,
    step: usize,
}

impl Narrator {
    pub(crate) fn new() -> Self {
        Self { out: anstream::stdout(), step: 0 }
    }

    /// Who is on stage.
    pub(crate) fn opening(&mut self, proxy: SocketAddr, upstream: &str, stage: &Stage) {
        let strategy = stage.app.setup().config.strategy;
        self.line(format_args!("{BOLD}Saros demo{BOLD:#}: a real proxy, an emulated OpenCode Go"));
        self.line(format_args!("{DIM}no account, no key, nothing leaves this machine{DIM:#}\n"));
        self.line(format_args!("  service (emulated)   {upstream}"));
        self.line(format_args!("  proxy                http://{proxy}"));
        self.line(format_args!(
            "  strategy             {}: {}\n",
            strategy.name(),
            match strategy {
                Strategy::Predictive =>
                    "warm sessions stay; accounts in turn, until quota is scarce",
                Strategy::RoundRobin => "accounts in turn, idle before busy",
            }
        ));
        self.line(format_args!("  account    5 hours        week           month"));
        for (label, [five_hour, weekly, monthly]) in ACCOUNTS {
            self.line(format_args!(
                "  {NAME}{label:<9}{NAME:#}  {}  {}  {}",
                bar(five_hour),
                bar(weekly),
                bar(monthly)
            ));
        }
        drop(self.out.flush());
        debug_assert_eq!(stage.app.keys().len(), ACCOUNTS.len());
    }

    /// A new step and what is about to happen.
    pub(crate) fn step(&mut self, title: &str, what: &str) {
        self.step += 1;
        let step = self.step;
        self.line(format_args!("\n{BOLD}{step}. {title}{BOLD:#}\n   {DIM}{what}{DIM:#}"));
    }

    /// Something done to the service.
    pub(crate) fn event(&mut self, what: &str) {
        self.line(format_args!("   {DIM}» {what}{DIM:#}"));
    }

    /// A piece of text, as it comes.
    pub(crate) fn word(&mut self, first: bool, text: &str) {
        let indent = if first { "   " } else { "" };
        drop(write!(self.out, "{indent}{text}"));
        drop(self.out.flush());
    }

    /// What the client saw.
    pub(crate) fn saw(&mut self, seen: &Seen) {
        let Seen { status, label, took, .. } = seen;
        let millis = took.as_millis();
        let style = if *status == 200 { GOOD } else { BAD };
        let text = if *status == 200 { String::new() } else { format!("  {}", seen.text) };
        self.line(format_args!(
            "   client saw {style}{status}{style:#} from {NAME}{label}{NAME:#} in {millis} ms{text}"
        ));
    }

    /// Whether a step came out as stated.
    pub(crate) fn verdict(&mut self, good: bool, what: &str) {
        let (style, mark) = if good { (GOOD, "✔") } else { (BAD, "✘") };
        self.line(format_args!("   {style}{mark} {what}{style:#}"));
    }

    /// How everybody stands in the end.
    pub(crate) fn closing(&mut self, good: bool, stage: &Stage) {
        let now = stage.app.clock.now();
        let standings = stage.app.pool().standings(now);
        self.line(format_args!("\n{BOLD}How the accounts stand now{BOLD:#}"));
        for standing in &standings {
            let Standing { label, state, .. } = standing;
            let word = match state {
                State::Ready => "ready",
                State::Trial => "ready for a trial",
                State::Cooling => "cooling",
                State::OutOfQuota => "out of quota",
                State::Dead => "not used any more",
            };
            let why = standing.why.map_or(String::new(), |why| format!(" ({})", why.name()));
            let until = standing.until.map_or(String::new(), |until| {
                let then = if *state == State::Dead { "tried again" } else { "back" };
                format!(", {then} in {}", span(until.since(now)))
            });
            self.line(format_args!("  {NAME}{label:<9}{NAME:#}  {word}{why}{until}"));
        }
        if good {
            self.line(format_args!("\n{GOOD}Every step came out as stated.{GOOD:#}"));
        } else {
            self.line(format_args!("\n{BAD}Some steps did not come out as stated.{BAD:#}"));
        }
    }

    /// What to try next.
    pub(crate) fn serving(&mut self, proxy: SocketAddr) {
        self.line(format_args!("\nThe proxy keeps serving. Try it:\n"));
        self.line(format_args!(
            "  curl -sN http://{proxy}/v1/chat/completions -H 'content-type: application/json' \
             -d '{{\"model\":\"glm-5.2\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\
             \"content\":\"Hello\"}}]}}'"
        ));
        self.line(format_args!("  curl -s http://{proxy}/health\n"));
        self.line(format_args!(
            "Base URL for an agent: http://{proxy}/v1     Ctrl-C ends the demo."
        ));
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // A reader that went away is no reason to stop.
        drop(writeln!(self.out, "{text}"));
    }
}

fn bar(percent: f64) -> String {
    const CELLS: usize = 8;
    let filled = (0..CELLS).filter(|cell| {
        #[expect(clippy::cast_precision_loss, reason = "eight cells")]
        let begins = *cell as f64 * 100.0 / CELLS as f64;
        percent > begins
    });
    let filled = filled.count();
    format!("{}{} {percent:>3.0}%", "█".repeat(filled), "░".repeat(CELLS - filled))
}

fn span(millis: i64) -> String {
    let seconds = millis.max(0) / 1000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, _) => format!("{minutes} min"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}
