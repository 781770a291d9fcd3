//! One thing that was looked at.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// It works, but not as well as it could.
    Warning,
    /// It does not work.
    Broken,
}

/// What is looked at; the words are for programs, too.
pub mod check {
    /// The configuration.
    pub const CONFIG: &str = "config";
    /// Who may read files with secrets.
    pub const FILES: &str = "files";
    /// The port.
    pub const PORT: &str = "port";
    /// Whether the service can be reached.
    pub const UPSTREAM: &str = "upstream";
    /// The machine's clock.
    pub const CLOCK: &str = "clock";
    /// A key.
    pub const KEY: &str = "key";
    /// A client's configuration.
    pub const HARNESS: &str = "harness";
    /// A request.
    pub const LIVE: &str = "live";
}

/// See the module documentation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, see [`check`].
    pub check: &'static str,
    /// How it is.
    pub level: Level,
    /// A sentence without a full stop.
    pub what: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, what: what.into(), fix: None }
    }

    /// Worth knowing.
    pub fn note(check: &'static str, what: impl Into<String>) -> Self {
        Self { level: Level::Note, ..Self::ok(check, what) }
    }

    /// Not as good as it could be.
    pub fn warning(check: &'static str, what: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::ok(check, what) }
    }

    /// It does not work.
    pub fn broken(check: &'static str, what: impl Into<String>) -> Self {
        Self { level: Level::Broken, ..Self::ok(check, what) }
    }

    /// What to do.
    #[must_use]
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }

    /// As a person reads it.
    pub fn text(&self) -> String {
        let (word, color) = match self.level {
            Level::Ok => ("ok", AnsiColor::Green),
            Level::Note => ("note", AnsiColor::Cyan),
            Level::Warning => ("warning", AnsiColor::Yellow),
            Level::Broken => ("broken", AnsiColor::Red),
        };
        let style = Style::new().fg_color(Some(color.into())).bold();
        let mut text = format!("{style}{word:<8}{style:#} {:<9} {}", self.check, self.what);
        if let Some(fix) = &self.fix {
            let _ = write!(text, "\n{:19}fix: {fix}", "");
        }
        text
    }
}
