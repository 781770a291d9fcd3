//! From flags, file and environment to a [`Config`].

use std::path::PathBuf;

use crate::config::env::Env;
use crate::config::excerpt::{Excerpt, Show};
use crate::config::options::{
    ACCOUNT_FIELDS, Field, KEY_FIELDS, Kind, PRICE_FIELDS, SCRAPING_FIELDS, SETTINGS, Setting,
};
use crate::config::paths::{CONFIG_FILE, Paths};
use crate::config::problem::{Collector, LoadError, Place, Problem, Severity, Source};
use crate::config::value::{self, Bad};
use crate::config::yaml::{self, Entry, Node, Spot, Value};
use crate::config::{Config, envelope, file, keys, master, scraping};

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
    /// Where each option's value comes from, in the order of the table; [`Place::Nowhere`] is its
    /// default.
    pub places: Vec<Place>,
    /// The file that was read.
    pub source: Option<PathBuf>,
}

/// Reads everything, and finds every problem there is.
pub fn load(cli: &Overrides, env: &dyn Env, files: Paths) -> Result<Loaded, LoadError> {
    let mut collector = Collector::default();
    let source = open(cli, &files, &mut collector);
    from_source(source, cli, env, files, collector)
}

/// The same for a text that stands in no file yet; problems speak of `path`.
pub fn load_text(
    text: &str,
    path: PathBuf,
    env: &dyn Env,
    files: Paths,
) -> Result<Loaded, LoadError> {
    let source = Some(Source { path, text: without_mark(text.to_owned()) });
    from_source(source, &Overrides::default(), env, files, Collector::default())
}

/// Editors on Windows write a byte order mark.
fn without_mark(text: String) -> String {
    text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)
}

fn from_source(
    source: Option<Source>,
    cli: &Overrides,
    env: &dyn Env,
    files: Paths,
    mut collector: Collector,
) -> Result<Loaded, LoadError> {
    let root = match source {
        Some(source) => read_file(source, &mut collector),
        None => Node { spot: Spot::Nowhere, value: Value::Null },
    };
    unknown_names(&root, &mut collector);

    let mut config =
        Config { config_dir: files.config_dir, state_dir: files.state_dir, ..Config::default() };
    let mut places = Vec::with_capacity(SETTINGS.len());
    let mut items = Vec::new();
    for setting in SETTINGS {
        let mut place = Place::Nowhere;
        if let Some(node) = chosen(setting, cli, &root, env) {
            match value::put(setting, &node, &mut config) {
                Ok(()) => {
                    place = collector.place(node.spot);
                }
                Err(wrong) => {
                    for bad in wrong {
                        report(setting, bad, &mut collector);
                    }
                }
            }
            if let (Kind::Keys, Value::Seq(list)) = (&setting.kind, node.value) {
                items = list;
            }
        }
        places.push(place);
    }
    // Last, because every key may rely on an option of all.
    no_list(&root, &mut collector);
    let drafts = keys::read(&items, &config, &mut collector);
    let (keys, at) = keys::finish(drafts, env, &mut collector);
    config.keys = keys;
    if let Some(node) = root.get("scraping") {
        config.scraping = scraping::read(node, &at, env, &mut collector);
    }
    collector.problems.extend(readable_by_others(&root, collector.source.as_ref(), env));

    if collector.failed() {
        return Err(LoadError { problems: collector.problems });
    }
    let source = collector.source.map(|source| source.path);
    Ok(Loaded { config, warnings: collector.problems, places, source })
}

/// What is written of everything but keys, without a word about what is wrong: for commands that
/// ask a running proxy, which must work without its master key. The second value is the file.
pub fn load_without_keys(
    cli: &Overrides,
    env: &dyn Env,
    files: Paths,
) -> (Config, Option<PathBuf>) {
    let mut collector = Collector::default();
    let root = match open(cli, &files, &mut collector) {
        Some(source) => read_file(source, &mut collector),
        None => Node { spot: Spot::Nowhere, value: Value::Null },
    };
    let mut config =
        Config { config_dir: files.config_dir, state_dir: files.state_dir, ..Config::default() };
    for setting in SETTINGS {
        if let Some(node) = chosen(setting, cli, &root, env) {
            // What cannot be is left at its default, as everywhere.
            drop(value::put(setting, &node, &mut config));
        }
    }
    (config, collector.source.map(|source| source.path))
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
        Ok(text) => Some(Source { path, text: without_mark(text) }),
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
    let name = setting.env;
    let variable = || Some((name?, env.filled(name?)?));
    if let Some(node) = root.get(setting.name) {
        // A list of keys replaces those of the environment unless it is empty.
        let empty = matches!(setting.kind, Kind::Keys)
            && !matches!(&node.value, Value::Seq(items) if !items.is_empty());
        if !empty || variable().is_none() {
            return Some(node.clone());
        }
    }
    let (name, text) = variable()?;
    let spot = Spot::Variable(name);
    match setting.kind {
        Kind::Keys => Some(keys::from_variable(name, &text)),
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
        let hint = format!("the default `{}` is used", setting.default);
        problem = problem.hint(hint).rejects();
    }
    collector.add(problem, bad.spot, bad.show);
}

/// Warnings about secrets that others than their owner can read.
fn readable_by_others(root: &Node, source: Option<&Source>, env: &dyn Env) -> Vec<Problem> {
    let (plain, encrypted) = secrets(root);
    let mut warnings = Vec::new();
    if plain && let Some(source) = source {
        warnings.extend(file::loose(&source.path, "the configuration, with secrets,"));
    }
    if encrypted {
        warnings.extend(master::loose_file(env));
    }
    warnings
}

/// Whether a file holds plain secrets, and encrypted ones.
fn secrets(root: &Node) -> (bool, bool) {
    let list = |node: Option<&Node>, name: &str| -> Vec<String> {
        let Some(Value::Seq(items)) = node.map(|node| &node.value) else { return Vec::new() };
        items.iter().filter_map(|item| Some(item.get(name)?.text()?.to_owned())).collect()
    };
    let mut texts = list(root.get("keys"), "key");
    texts.extend(list(root.get("scraping").and_then(|node| node.get("accounts")), "authCookie"));
    let encrypted = texts.iter().filter(|text| text.starts_with(envelope::PREFIX)).count();
    let tokens = match root.get("clientTokens").map(|node| &node.value) {
        Some(Value::Seq(items)) => !items.is_empty(),
        Some(_) => true,
        None => false,
    };
    (tokens || encrypted < texts.len(), encrypted > 0)
}

/// Says so where `keys` is something else than a list: there are none then, or those of the
/// environment.
fn no_list(root: &Node, collector: &mut Collector) {
    if let Some(node) = root.get("keys")
        && !matches!(node.value, Value::Seq(_))
    {
        let what = "`keys` is no list and left out";
        let problem =
            Problem::new(Severity::Warning, what).allowed("a list of `{label, key}`").rejects();
        collector.add(problem, node.spot, Show::Secret);
    }
}

/// Warns about names that mean nothing.
fn unknown_names(root: &Node, collector: &mut Collector) {
    let top: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    check_names(root, &top, "", collector);
    check_items(root.get("keys"), KEY_FIELDS, "keys[].", collector);
    if let Some(scraping) = root.get("scraping") {
        check_fields(scraping, SCRAPING_FIELDS, "scraping.", collector);
        let accounts = scraping.get("accounts");
        check_items(accounts, ACCOUNT_FIELDS, "scraping.accounts[].", collector);
    }
    if let Some(Value::Map(models)) = root.get("prices").map(|node| &node.value) {
        for Entry { node, .. } in models {
            check_fields(node, PRICE_FIELDS, "prices.<model>.", collector);
        }
    }
}

fn check_items(list: Option<&Node>, known: &[Field], path: &str, collector: &mut Collector) {
    if let Some(Value::Seq(items)) = list.map(|node| &node.value) {
        for item in items {
            check_fields(item, known, path, collector);
        }
    }
}

fn check_fields(node: &Node, known: &[Field], path: &str, collector: &mut Collector) {
    let known: Vec<&str> = known.iter().map(|field| field.name).collect();
    check_names(node, &known, path, collector);
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
