//! `config`: what is in effect, and where each value comes from.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::cli::args::config::{ConfigArgs, ConfigPart};
use crate::cli::{Exit, say};
use crate::config::options::SETTINGS;
use crate::config::problem::Place;
use crate::config::schema::schema;
use crate::config::{Env, Loaded, Overrides, Paths, load};

/// Shows it.
pub fn run(args: &ConfigArgs, env: &dyn Env) -> Exit {
    match &args.what {
        Some(ConfigPart::Schema) => {
            say::json(&schema());
            Exit::Done
        }
        Some(ConfigPart::Path { config, json }) => {
            let cli = Overrides { config: config.clone(), ..Overrides::default() };
            let (path, exists) = file(&cli, env);
            if *json {
                say::json(&json!({ "path": path.display().to_string(), "exists": exists }));
            } else {
                say::line(&path.display().to_string());
            }
            Exit::Done
        }
        None => show(args, env),
    }
}

/// The configuration file that is read; where it belongs if there is none.
pub fn file(cli: &Overrides, env: &dyn Env) -> (PathBuf, bool) {
    let paths = Paths::of_this_process(env);
    let places = match &cli.config {
        Some(path) => vec![path.clone()],
        None => vec![paths.config_file(), paths.work_dir.join(crate::config::paths::CONFIG_FILE)],
    };
    let there = places.iter().find(|path| path.is_file()).cloned();
    let exists = there.is_some();
    (there.or_else(|| places.into_iter().next()).unwrap_or_default(), exists)
}

fn show(args: &ConfigArgs, env: &dyn Env) -> Exit {
    let loaded = match load(&args.overrides(), env, Paths::of_this_process(env)) {
        Ok(loaded) => loaded,
        Err(error) => return say::problems(&error.problems),
    };
    if args.json {
        say::json(&as_json(&loaded));
    } else {
        say::line(&as_table(&loaded));
        for warning in &loaded.warnings {
            say::aside(&format!("warning: {warning}"));
        }
    }
    Exit::Done
}

fn as_json(loaded: &Loaded) -> Value {
    let options: Map<String, Value> = SETTINGS
        .iter()
        .zip(&loaded.places)
        .map(|(setting, place)| {
            let value = (setting.get)(&loaded.config);
            (setting.name.to_owned(), json!({ "value": value, "source": source(place) }))
        })
        .collect();
    json!({
        "file": loaded.source.as_ref().map(|file| file.display().to_string()),
        "configFolder": loaded.config.config_dir.display().to_string(),
        "stateFolder": loaded.config.state_dir.display().to_string(),
        "options": options,
    })
}

fn source(place: &Place) -> Value {
    match place {
        Place::File { path, line, column } => json!({
            "kind": "file", "file": path.display().to_string(), "line": line, "column": column
        }),
        Place::Variable(name) => json!({ "kind": "environment", "variable": name }),
        Place::Flag(name) => json!({ "kind": "flag", "flag": name }),
        Place::Nowhere => json!({ "kind": "default" }),
    }
}

/// One option a line: name, value, source.
fn as_table(loaded: &Loaded) -> String {
    let mut rows: Vec<[String; 3]> = Vec::new();
    for (setting, place) in SETTINGS.iter().zip(&loaded.places) {
        let value = (setting.get)(&loaded.config);
        let whence = match place {
            Place::File { path, line, .. } => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                format!("{name}:{line}")
            }
            Place::Variable(name) | Place::Flag(name) => (*name).to_owned(),
            Place::Nowhere => "default".to_owned(),
        };
        match value.as_array() {
            // A list that is long to read has a line for each.
            Some(items) if !items.is_empty() => {
                rows.push([setting.name.to_owned(), String::new(), whence]);
                rows.extend(
                    items
                        .iter()
                        .map(|item| [String::new(), format!("- {}", written(item)), String::new()]),
                );
            }
            _ => rows.push([setting.name.to_owned(), written(&value), whence]),
        }
    }
    let width = |column: usize| {
        let lengths = rows.iter().filter_map(|row| row.get(column));
        lengths.map(|text| text.chars().count()).max().unwrap_or_default()
    };
    let (first, second) = (width(0), width(1));
    let mut lines = Vec::with_capacity(rows.len() + 1);
    let file = match &loaded.source {
        Some(file) => file.display().to_string(),
        None => "no file: environment and defaults".to_owned(),
    };
    lines.push(format!("# {file}"));
    for [name, value, whence] in &rows {
        lines.push(format!("{name:first$}  {value:second$}  {whence}").trim_end().to_owned());
    }
    lines.join("\n")
}

/// As it would stand in YAML, on one line.
fn written(value: &Value) -> String {
    match value {
        Value::Null => "(none)".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(entries) if !entries.is_empty() => {
            let entries: Vec<String> =
                entries.iter().map(|(name, value)| format!("{name}: {}", written(value))).collect();
            entries.join(", ")
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
