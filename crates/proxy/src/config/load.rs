//! From flags, file and environment to a [`Config`].

use std::path::PathBuf;

use saros_core::id::KeyId;

use crate::config::env::Env;
use crate::config::excerpt::{Excerpt, Show};
use crate::config::options::{
    ACCOUNT_NAMES, KEY_NAMES, Kind, PRICE_NAMES, SCRAPING_NAMES, SETTINGS, Setting,
};
use crate::config::paths::{CONFIG_FILE, Paths};
use crate::config::problem::{Collector, LoadError, Place, Problem, Severity, Source};
use crate::config::value::{self, Bad};
use crate::config::yaml::{self, Entry, Node, Spot, Value};
use crate::config::{Config, file, keys, scraping};

/// What was given on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--config`: the only file that is then looked for.
    pub config: Option<PathBuf>,
    /// The flags of options, by the option's name in the YAML file, as they were typed.
    pub values: Vec<(&'static str, String)>,
}

/// A configuration, and what was strange about its sources.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration. It may hold no keys: commands that need some say so.
    pub config: Config,
    /// What the owner should know.
    pub warnings: Vec<Problem>,
    /// The file that was read.
    pub source: Option<PathBuf>,
}

/// Reads everything, and finds every problem there is.
pub fn load(cli: &Overrides, env: &dyn Env, files: Paths) -> Result<Loaded, LoadError> {
    let mut collector = Collector::default();
    let root = match open(cli, &files, &mut collector) {
        Some(source) => read_file(source, &mut collector),
        None => Node { spot: Spot::Nowhere, value: Value::Null },
    };
    unknown_names(&root, &mut collector);

    let mut config =
        Config { config_dir: files.config_dir, state_dir: files.state_dir, ..Config::default() };
    let mut pending = Vec::new();
    for setting in SETTINGS {
        let Some(node) = chosen(setting, cli, &root, env) else { continue };
        match value::put(setting, &node, &mut config) {
            Ok(false) => {}
            Ok(true) => pending.push(setting.name.to_owned()),
            Err(bad) => report(setting, bad, &mut collector),
        }
    }
    let (keys, places) = read_keys(&root, env, &config, &mut pending, &mut collector);
    config.keys = keys;
    if let Some(node) = root.get("scraping") {
        config.scraping = scraping::read(node, &places, env, &mut collector);
    }
    if !pending.is_empty() {
        let names: Vec<String> = pending.iter().map(|name| format!("`{name}`")).collect();
        let what = format!("not in effect in this version: {}", names.join(", "));
        collector.problems.push(Problem::new(Severity::Warning, what));
    }

    if collector.failed() {
        return Err(LoadError { problems: collector.problems });
    }
    let source = collector.source.map(|source| source.path);
    Ok(Loaded { config, warnings: collector.problems, source })
}

/// Finds and reads the file. None where there is none, or a folder in its place, as a container
/// runtime makes when the file to be mounted does not exist.
fn open(cli: &Overrides, files: &Paths, collector: &mut Collector) -> Option<Source> {
    let better = files.config_file();
    let path = match &cli.config {
        Some(path) if path.exists() && !path.is_dir() => path.clone(),
        Some(path) => {
            let what = if path.is_dir() { "is a folder" } else { "does not exist" };
            let mut problem = Problem::new(Severity::Warning, format!("the file {what}"))
                .hint("going on with environment and defaults");
            problem.place = Place::File { path: path.clone(), line: 0, column: 0 };
            collector.problems.push(problem);
            return None;
        }
        None if better.exists() && !better.is_dir() => better,
        None => {
            let here = files.work_dir.join(CONFIG_FILE);
            if !here.exists() || here.is_dir() {
                return None;
            }
            let mut problem =
                Problem::new(Severity::Warning, "configuration read from the current folder")
                    .hint(format!("it belongs into {}", better.display()));
            problem.place = Place::File { path: here.clone(), line: 0, column: 0 };
            collector.problems.push(problem);
            here
        }
    };
    match file::read_text(&path) {
        Ok(text) => {
            // Editors on Windows write a byte order mark.
            let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
            Some(Source { path, text })
        }
        Err(why) => {
            let mut problem =
                Problem::new(Severity::Error, format!("the file cannot be read: {why}"));
            problem.place = Place::File { path, line: 0, column: 0 };
            collector.problems.push(problem);
            None
        }
    }
}

fn read_file(source: Source, collector: &mut Collector) -> Node {
    let empty = Node { spot: Spot::Nowhere, value: Value::Null };
    let parsed = yaml::parse(&source.text);
    let error = match &parsed {
        Ok(Node { value: Value::Null | Value::Map(_), .. }) => None,
        Ok(node) => Some(match node.spot {
            Spot::File { start, .. } => ("not a list of `option: value`".to_owned(), Some(start)),
            _ => ("not a list of `option: value`".to_owned(), None),
        }),
        Err(error) => Some((error.message.clone(), error.offset)),
    };
    let node = match (error, parsed) {
        (None, Ok(node)) => node,
        (Some((message, offset)), _) => {
            let message = saros_wire::scrub::scrub(&message).into_owned();
            let problem = Problem::new(Severity::Error, format!("the file is no YAML: {message}"))
                .hint("nothing was configured, so nothing was started");
            collector.source = Some(source);
            syntax_problem(problem, offset, collector);
            return empty;
        }
        (None, Err(_)) => empty,
    };
    collector.source = Some(source);
    node
}

fn syntax_problem(problem: Problem, offset: Option<usize>, collector: &mut Collector) {
    let spot = offset.map_or(Spot::Nowhere, |start| Spot::File { start, end: start });
    collector.add(problem, spot, Show::Secret);
    let text = collector.source.as_ref().map(|source| source.text.as_str()).unwrap_or_default();
    let excerpt = offset.map(|offset| Excerpt::cut_at(text, offset));
    if let Some(problem) = collector.problems.last_mut() {
        problem.excerpt = excerpt;
    }
}

/// The source of an option that counts: flag, over file, over environment.
fn chosen(setting: &Setting, cli: &Overrides, root: &Node, env: &dyn Env) -> Option<Node> {
    let scalar = |spot, text: &str| Node { spot, value: Value::Scalar(text.to_owned()) };
    if let Some(flag) = setting.flag
        && let Some((_, text)) = cli.values.iter().find(|(name, _)| *name == setting.name)
    {
        return Some(scalar(Spot::Flag(flag), text));
    }
    if let Some(node) = root.get(setting.name) {
        return Some(node.clone());
    }
    let name = setting.env?;
    let text = env.filled(name)?;
    let spot = Spot::Variable(name);
    match setting.kind {
        Kind::List { .. } => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            let value = Value::Seq(items.map(|item| scalar(spot, item)).collect());
            Some(Node { spot, value })
        }
        _ => Some(scalar(spot, &text)),
    }
}

fn report(setting: &Setting, bad: Bad, collector: &mut Collector) {
    let name = setting.name;
    let what = if bad.text.is_empty() {
        let what = bad.why.unwrap_or_else(|| "empty".to_owned());
        format!("`{name}` cannot be {what}")
    } else {
        let why = bad.why.map(|why| format!(": {why}")).unwrap_or_default();
        format!("`{name}` cannot be `{}`{why}", bad.show.apply(&bad.text))
    };
    let severity = if setting.original { Severity::Warning } else { Severity::Error };
    let mut problem = Problem::new(severity, what).allowed(setting.allowed());
    if setting.original {
        problem = problem.hint(format!("the default `{}` is used", setting.default));
    }
    collector.add(problem, bad.spot, bad.show);
}

fn read_keys(
    root: &Node,
    env: &dyn Env,
    config: &Config,
    pending: &mut Vec<String>,
    collector: &mut Collector,
) -> (Vec<crate::config::KeyConfig>, Vec<Option<KeyId>>) {
    let variable = || {
        let name = SETTINGS.iter().find(|setting| setting.name == "keys")?.env?;
        Some(keys::from_variable(name, &env.filled(name)?))
    };
    let node = match root.get("keys") {
        Some(node) => match &node.value {
            Value::Seq(items) if !items.is_empty() => Some(node.clone()),
            Value::Seq(_) => variable(),
            _ => {
                let what = "`keys` is no list and left out";
                let problem =
                    Problem::new(Severity::Warning, what).allowed("a list of `{label, key}`");
                collector.add(problem, node.spot, Show::Secret);
                variable()
            }
        },
        None => variable(),
    };
    let Some(Node { value: Value::Seq(items), .. }) = node else { return Default::default() };
    for name in ["allowBalance", "plan"] {
        let used = |item: &Node| {
            item.get(name).is_some_and(|node| node.text().is_none_or(|text| text != "false"))
        };
        if items.iter().any(used) {
            pending.push(format!("keys[].{name}"));
        }
    }
    let drafts = keys::read(&items, &config.upstream, collector);
    keys::finish(drafts, env, collector)
}

/// Warns about names that mean nothing.
fn unknown_names(root: &Node, collector: &mut Collector) {
    let top: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    check_names(root, &top, "", collector);
    if let Some(Value::Seq(items)) = root.get("keys").map(|node| &node.value) {
        for item in items {
            check_names(item, KEY_NAMES, "keys[].", collector);
        }
    }
    if let Some(scraping) = root.get("scraping") {
        check_names(scraping, SCRAPING_NAMES, "scraping.", collector);
        if let Some(Value::Seq(items)) = scraping.get("accounts").map(|node| &node.value) {
            for item in items {
                check_names(item, ACCOUNT_NAMES, "scraping.accounts[].", collector);
            }
        }
    }
    if let Some(Value::Map(models)) = root.get("prices").map(|node| &node.value) {
        for Entry { node, .. } in models {
            check_names(node, PRICE_NAMES, "prices.<model>.", collector);
        }
    }
}

fn check_names(node: &Node, known: &[&str], path: &str, collector: &mut Collector) {
    let Value::Map(entries) = &node.value else { return };
    for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
        let meant = nearest(&entry.key, known);
        // What resembles no name may be a secret that slipped in front of a colon.
        let show = if meant.is_some() { Show::Name } else { Show::Value };
        let name = show.apply(&entry.key);
        let mut problem =
            Problem::new(Severity::Warning, format!("unknown option `{path}{name}` is ignored"));
        if let Some(meant) = meant {
            problem = problem.hint(format!("did you mean `{meant}`?"));
        }
        collector.add(problem, entry.spot, show);
    }
}

/// The known name that a misspelt one stands for: at most a third of it may differ.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |name: &str| -> String {
        name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
    };
    let wanted = plain(name);
    known
        .iter()
        .map(|known| (strsim::osa_distance(&wanted, &plain(known)), *known))
        .filter(|(distance, known)| distance * 3 <= known.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
