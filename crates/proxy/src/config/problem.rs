//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::config::excerpt::{Excerpt, Show};
use crate::config::yaml::Spot;

/// One thing that is wrong. It holds no secret, so it may be shown and logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether the proxy can start all the same.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// What is wrong, as a sentence without a full stop.
    pub what: String,
    /// What would be right.
    pub allowed: Option<String>,
    /// What happens now, or what to do.
    pub hint: Option<String>,
    /// Something that was written is not used as it was meant, though the proxy can start: a
    /// default is, or nothing.
    pub rejected: bool,
    /// The line of the file, with secrets masked.
    pub(crate) excerpt: Option<Excerpt>,
}

/// Whether the proxy can start all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It can.
    Warning,
    /// It cannot.
    Error,
}

/// Where a problem is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the configuration file.
    File {
        /// Its path.
        path: PathBuf,
        /// Counted from one; 0 where the file as a whole is meant.
        line: usize,
        /// Counted from one, in characters.
        column: usize,
    },
    /// In an environment variable.
    Variable(&'static str),
    /// In a flag.
    Flag(&'static str),
    /// Nowhere that could be pointed at.
    Nowhere,
}

/// Why there is no configuration: every problem that was found, warnings included.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct LoadError {
    /// In the order of discovery; at least one is an error.
    pub problems: Vec<Problem>,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self.problems.iter().filter(|problem| problem.severity == Severity::Error);
        for (number, problem) in errors.enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: 0, .. } => write!(f, "{}", path.display()),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => f.write_str(name),
            Self::Nowhere => f.write_str("configuration"),
        }
    }
}

/// One line, for logs.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place != Place::Nowhere {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.what)?;
        if let Some(allowed) = &self.allowed {
            write!(f, "; allowed: {allowed}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl Problem {
    /// A problem without a place.
    pub fn new(severity: Severity, what: impl Into<String>) -> Self {
        Self {
            severity,
            place: Place::Nowhere,
            what: what.into(),
            allowed: None,
            hint: None,
            rejected: false,
            excerpt: None,
        }
    }

    /// Says what would be right.
    #[must_use]
    pub fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    /// Says that something written is not used as it was meant.
    #[must_use]
    pub fn rejects(mut self) -> Self {
        self.rejected = true;
        self
    }

    /// Says what happens now, or what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// For programs: what is absent is `null`.
    pub fn to_json(&self) -> serde_json::Value {
        let (mut file, mut line, mut column, mut variable, mut flag) =
            (None, None, None, None, None);
        match &self.place {
            Place::File { path, line: at, column: behind } => {
                file = Some(path.display().to_string());
                line = Some(*at).filter(|line| *line > 0);
                column = line.map(|_| *behind);
            }
            Place::Variable(name) => variable = Some(*name),
            Place::Flag(name) => flag = Some(*name),
            Place::Nowhere => {}
        }
        serde_json::json!({
            "severity": match self.severity {
                Severity::Warning => "warning",
                Severity::Error => "error",
            },
            "what": self.what,
            "allowed": self.allowed,
            "hint": self.hint,
            "file": file,
            "line": line,
            "column": column,
            "variable": variable,
            "flag": flag,
        })
    }

    /// The block that a person reads, in the manner of a compiler: the line, what is wrong in it,
    /// and help. Colours where `styled`.
    pub fn render(&self, styled: bool) -> String {
        let level = match self.severity {
            Severity::Warning => Level::WARNING,
            Severity::Error => Level::ERROR,
        };
        let what = match (&self.place, &self.excerpt) {
            (Place::Nowhere, _) | (_, Some(_)) => self.what.clone(),
            (place, None) => format!("{place}: {}", self.what),
        };
        let mut group = Group::with_title(level.primary_title(what));
        if let (Place::File { path, line, .. }, Some(excerpt)) = (&self.place, &self.excerpt) {
            let label = self.allowed.as_ref().map(|allowed| format!("allowed: {allowed}"));
            group = group.element(
                Snippet::source(excerpt.line.as_str())
                    .line_start(*line)
                    .path(path.display().to_string())
                    .annotation(AnnotationKind::Primary.span(excerpt.span.clone()).label(label)),
            );
        } else if let Some(allowed) = &self.allowed {
            group = group.element(Level::NOTE.message(format!("allowed: {allowed}")));
        }
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

/// A configuration file in memory.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// Collects problems, with their places.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    pub(crate) source: Option<Source>,
    pub(crate) problems: Vec<Problem>,
}

impl Collector {
    /// The place of a spot.
    pub(crate) fn place(&self, spot: Spot) -> Place {
        match (spot, &self.source) {
            (Spot::Variable(name), _) => Place::Variable(name),
            (Spot::Flag(name), _) => Place::Flag(name),
            (Spot::File { start, .. }, Some(source)) => place(&source.path, &source.text, start),
            _ => Place::Nowhere,
        }
    }

    /// Adds a problem; `show` says what of the value at `spot` may be shown.
    pub(crate) fn add(&mut self, mut problem: Problem, spot: Spot, show: Show) {
        match (spot, &self.source) {
            (Spot::Variable(name), _) => problem.place = Place::Variable(name),
            (Spot::Flag(name), _) => problem.place = Place::Flag(name),
            (Spot::File { start, end }, Some(source)) => {
                problem.place = place(&source.path, &source.text, start);
                problem.excerpt = Some(Excerpt::cut(&source.text, start..end, show));
            }
            (Spot::Nowhere, Some(source)) => {
                problem.place = Place::File { path: source.path.clone(), line: 0, column: 0 };
            }
            (_, None) => {}
        }
        self.problems.push(problem);
    }

    pub(crate) fn failed(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }
}

fn place(path: &Path, text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place::File {
        path: path.to_owned(),
        line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
        column: before.get(start..).unwrap_or_default().chars().count() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collector(text: &str) -> Collector {
        let source = Source { path: PathBuf::from("/c/config.yaml"), text: text.to_owned() };
        Collector { source: Some(source), problems: Vec::new() }
    }

    fn problem() -> Problem {
        Problem::new(Severity::Warning, "`port` cannot be `99999`")
            .allowed("a whole number from 1 to 65535")
            .hint("the default 3000 is used")
    }

    #[test]
    fn points_at_the_line() {
        let mut collector = collector("host: ::1\nport: 99999\nkeys: []\n");
        collector.add(problem(), Spot::File { start: 16, end: 21 }, Show::Value);
        let [problem] = collector.problems.as_slice() else { panic!() };
        assert_eq!(
            problem.to_string(),
            "/c/config.yaml:2:7: `port` cannot be `99999`; allowed: a whole number from 1 to \
             65535; the default 3000 is used"
        );
        let block = problem.render(false);
        let lines: Vec<&str> = block.lines().map(str::trim_end).collect();
        assert_eq!(
            lines,
            [
                "warning: `port` cannot be `99999`",
                " --> /c/config.yaml:2:7",
                "  |",
                "2 | port: 99999",
                "  |       ^^^^^ allowed: a whole number from 1 to 65535",
                "  |",
                "  = help: the default 3000 is used",
            ],
            "{block}"
        );
        assert!(problem.render(true).contains("\u{1b}["));
    }

    #[test]
    fn names_variables_and_flags() {
        for (spot, place) in [
            (Spot::Variable("PROXY_PORT"), "environment variable PROXY_PORT"),
            (Spot::Flag("--port"), "--port"),
        ] {
            let mut collector = Collector::default();
            collector.add(problem(), spot, Show::Value);
            let [problem] = collector.problems.as_slice() else { panic!() };
            assert!(problem.to_string().starts_with(&format!("{place}: `port` cannot")));
            let block = problem.render(false);
            assert!(block.contains(&format!("{place}: `port` cannot be `99999`")), "{block}");
            assert!(block.contains("allowed: a whole number"), "{block}");
            assert!(block.contains("help: the default 3000 is used"), "{block}");
        }
    }
}
