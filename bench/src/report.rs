//! Medians, ratios, verdicts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use crate::Fallible;
use crate::rows::{Effort, Row};
use crate::targets::{self, Scale, Target};

/// Everything that was measured.
#[derive(Serialize)]
pub(crate) struct Report {
    taken: String,
    machine: BTreeMap<&'static str, String>,
    command: String,
    access_log: bool,
    effort: Effort,
    contenders: Vec<Entry>,
    skipped: BTreeMap<String, String>,
    /// By metric, then by contender: one figure a round.
    samples: BTreeMap<String, BTreeMap<String, Vec<f64>>>,
    failures: Vec<String>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    version: String,
    binary: PathBuf,
}

impl Report {
    pub(crate) fn new(effort: Effort, access_log: bool) -> Self {
        Self {
            taken: jiff::Timestamp::now().to_string(),
            machine: machine(),
            command: std::env::args().collect::<Vec<_>>().join(" "),
            access_log,
            effort,
            contenders: Vec::new(),
            skipped: BTreeMap::new(),
            samples: BTreeMap::new(),
            failures: Vec::new(),
        }
    }

    pub(crate) fn add_contender(&mut self, name: &str, version: &str, binary: &Path) {
        let entry =
            Entry { name: name.to_owned(), version: version.to_owned(), binary: binary.to_owned() };
        self.contenders.push(entry);
    }

    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        self.skipped.insert(name.to_owned(), why.to_owned());
    }

    /// Takes the figures of one measurement, in the order of the row's metrics.
    pub(crate) fn record(&mut self, who: &str, row: Row, h2: bool, figures: Fallible<Vec<f64>>) {
        let suffix = if h2 { "-h2" } else { "" };
        match figures {
            Ok(figures) => {
                for (metric, figure) in row.metrics().iter().zip(figures) {
                    self.record_one(who, &format!("{metric}{suffix}"), Ok(figure));
                }
            }
            Err(error) => self.record_one(who, &format!("{}{suffix}", row.name()), Err(error)),
        }
    }

    /// Takes one figure of one metric.
    pub(crate) fn record_one(&mut self, who: &str, metric: &str, figure: Fallible<f64>) {
        match figure {
            Ok(figure) => {
                eprintln!("  {metric:<12} {who:<8} {figure:>9.2}");
                let by_name = self.samples.entry(metric.to_owned()).or_default();
                by_name.entry(who.to_owned()).or_default().push(figure);
            }
            Err(error) => {
                eprintln!("  {metric:<12} {who:<8} FAILED: {error}");
                self.failures.push(format!("{metric} of {who}: {error}"));
            }
        }
    }

    /// The median of what was measured; latencies less those without any proxy a moment before.
    fn figure(&self, metric: &str, who: &str) -> Option<f64> {
        let by_name = self.samples.get(metric)?;
        let own = by_name.get(who)?;
        match by_name.get("direct") {
            Some(direct) if direct.len() == own.len() => {
                let added: Vec<f64> =
                    own.iter().zip(direct).map(|(own, direct)| own - direct).collect();
                median(&added)
            }
            Some(direct) => Some(median(own)? - median(direct)?),
            None => median(own),
        }
    }

    /// What the figures of a row are divided by.
    fn base(&self, target: &Target) -> Option<f64> {
        match target.scale {
            Scale::Absolute => Some(1.0),
            Scale::Of(metric, who) => self.figure(metric, who).filter(|base| *base > 0.0),
        }
    }

    /// The table, as Markdown that also reads well on a terminal.
    pub(crate) fn table(&self) -> String {
        let others = self.contenders.iter().map(|entry| entry.name.as_str());
        let names: Vec<&str> =
            others.filter(|name| *name != "saros").chain(std::iter::once("saros")).collect();
        let mut head = vec!["figure".to_owned()];
        head.extend(names.iter().map(|name| (*name).to_owned()));
        head.extend(["must".to_owned(), "aim".to_owned(), "verdict".to_owned()]);
        let mut lines = vec![head];
        for target in targets::ALL {
            if !self.samples.contains_key(target.metric) {
                continue;
            }
            let base = self.base(target);
            let mut line = vec![format!("{}, {}", target.title, target.unit)];
            for name in &names {
                line.push(match (self.figure(target.metric, name), base) {
                    (None, _) => "–".to_owned(),
                    (Some(figure), Some(base)) if matches!(target.scale, Scale::Of(..)) => {
                        format!("{} ({:.2}×)", rounded(figure), figure / base)
                    }
                    (Some(figure), _) => rounded(figure),
                });
            }
            line.extend(target.limits_as_text());
            line.push(target.verdict(self.figure(target.metric, "saros"), base).to_owned());
            lines.push(line);
        }
        let mut text = aligned(&lines);
        for (name, why) in &self.skipped {
            let _infallible = writeln!(text, "\n**** {name} was SKIPPED: {why}");
        }
        for failure in &self.failures {
            let _infallible = writeln!(text, "\n**** FAILED: {failure}");
        }
        text
    }

    /// Writes the table with how it was taken, and all samples; returns the table's path.
    pub(crate) fn save(&self, folder: &Path) -> Fallible<PathBuf> {
        fs::create_dir_all(folder)?;
        let date = self.taken.get(..10).unwrap_or("undated");
        fs::write(folder.join(format!("{date}.json")), serde_json::to_string_pretty(self)? + "\n")?;
        let mut text = format!("# Measured {}\n\n", self.taken);
        for (what, value) in &self.machine {
            let _infallible = writeln!(text, "- {what}: {value}");
        }
        for Entry { name, version, binary } in &self.contenders {
            let _infallible = writeln!(text, "- {name}: {version} (`{}`)", binary.display());
        }
        let rounds = self.effort.rounds;
        let log = if self.access_log { "on, to a file" } else { "off" };
        let _infallible = writeln!(text, "- command: `{}`", self.command);
        let _infallible = writeln!(text, "- access logs of nginx and HAProxy: {log}");
        let _infallible = writeln!(
            text,
            "\nMedians of {rounds} interleaved rounds; in parentheses the ratio to the row's base. README.md describes the method.\n"
        );
        text.push_str(&self.table());
        text.push_str("\nLowest and highest of the rounds:\n\n");
        text.push_str(&self.spread());
        let path = folder.join(format!("{date}.md"));
        fs::write(&path, text)?;
        Ok(path)
    }

    fn spread(&self) -> String {
        let mut lines = vec![vec![
            "metric".to_owned(),
            "who".to_owned(),
            "lowest".to_owned(),
            "highest".to_owned(),
        ]];
        for (metric, by_name) in &self.samples {
            for (who, samples) in by_name {
                let low = samples.iter().copied().fold(f64::INFINITY, f64::min);
                let high = samples.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                lines.push(vec![metric.clone(), who.clone(), rounded(low), rounded(high)]);
            }
        }
        aligned(&lines)
    }
}

fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        Some(upper)
    } else {
        Some(f64::midpoint(upper, *sorted.get(middle - 1)?))
    }
}

fn rounded(figure: f64) -> String {
    if figure.abs() >= 100.0 { format!("{figure:.0}") } else { format!("{figure:.1}") }
}

/// A Markdown table with columns that line up.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        for (column, cell) in line.iter().enumerate() {
            let _infallible = write!(text, "| {cell:<width$} ", width = width(column));
        }
        text.push_str("|\n");
        if index == 0 {
            for column in 0..columns {
                let _infallible = write!(text, "|{}", "-".repeat(width(column) + 2));
            }
            text.push_str("|\n");
        }
    }
    text
}

fn machine() -> BTreeMap<&'static str, String> {
    let read = |path: &str, label: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(label)).unwrap_or_default();
        line.split_once(':').map_or("unknown", |(_, value)| value).trim().to_owned()
    };
    let kernel = Command::new("uname")
        .arg("-sr")
        .output()
        .map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    let cores = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = cores.lines().filter(|line| line.starts_with("processor")).count();
    BTreeMap::from([
        ("processor", read("/proc/cpuinfo", "model name")),
        ("cores", cores.to_string()),
        ("memory", read("/proc/meminfo", "MemTotal")),
        ("kernel", kernel.unwrap_or_default().trim().to_owned()),
        (
            "load when begun",
            fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned(),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
    }

    #[test]
    fn latency_is_what_a_proxy_adds_and_ratios_are_of_medians() {
        let mut report = Report::new(Effort::QUICK, false);
        for name in ["haproxy", "saros"] {
            report.add_contender(name, "1", Path::new("/bin/true"));
        }
        report.record("direct", Row::Latency, false, Ok(vec![100.0, 200.0]));
        report.record("haproxy", Row::Latency, false, Ok(vec![150.0, 300.0]));
        report.record("saros", Row::Latency, false, Ok(vec![160.0, 290.0]));
        assert_eq!(report.figure("latency-p50", "haproxy"), Some(50.0));
        let table = report.table();
        assert!(table.contains("60.0 (1.20×)"), "{table}");
        assert!(table.contains("90.0 (0.90×)"), "{table}");
    }
}
