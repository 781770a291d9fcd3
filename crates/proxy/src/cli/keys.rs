//! `keys`: the list of keys in the configuration file, looked at and changed.

use serde_json::{Value, json};

use crate::cli::args::config::{KeysAction, KeysArgs};
use crate::cli::keys::store::Store;
use crate::cli::{Exit, say};
use crate::config::edit::Listed;
use crate::config::keys::{from_variable, malformed};
use crate::config::options::setting;
use crate::config::{Env, Problem};

pub mod add;
pub mod ask;
pub mod crypt;
pub mod import;
pub mod store;
pub mod verify;

/// What an action comes to, or why it came to nothing.
pub type Outcome = Result<Said, Box<Problem>>;

/// What an action has to say: lines for people, or one value for programs.
#[derive(Debug, Default)]
pub struct Said {
    /// For people.
    pub lines: Vec<String>,
    /// For programs.
    pub json: Value,
}

impl Said {
    /// One sentence, and what it means for programs.
    pub fn new(line: impl Into<String>, json: Value) -> Self {
        Self { lines: vec![line.into()], json }
    }
}

/// Does it.
pub fn run(args: &KeysArgs, env: &dyn Env) -> Exit {
    let outcome = Store::open(args.config.as_deref(), env).and_then(|store| match &args.action {
        KeysAction::List => Ok(list(&store, env)),
        KeysAction::Add { label, no_verify, upstream, plan } => {
            let wish = add::Wish { label, upstream: upstream.as_deref(), plan: plan.as_deref() };
            add::add(store, &wish, &verify::Service::unless(*no_verify, env), env)
        }
        KeysAction::Remove { labels } => remove(store, labels),
        KeysAction::Rename { from, to } => rename(store, from, to),
        KeysAction::Encrypt { keyring } => crypt::encrypt(store, *keyring, env),
        KeysAction::Decrypt => crypt::decrypt(store, env),
        KeysAction::Import { file, no_verify } => {
            import::import(store, file, &verify::Service::unless(*no_verify, env), env)
        }
    });
    match outcome {
        Ok(said) if args.json => {
            say::json(&said.json);
            Exit::Done
        }
        Ok(said) => {
            said.lines.iter().for_each(|line| say::line(line));
            Exit::Done
        }
        Err(problem) => {
            say::problems(&[*problem]);
            Exit::Failed
        }
    }
}

fn list(store: &Store, env: &dyn Env) -> Said {
    let keys = store.document.keys();
    let shown: Vec<(String, Option<&str>)> = keys.iter().map(shown).collect();
    let width = keys.iter().map(|key| key.name.chars().count()).max().unwrap_or_default();
    let mut lines: Vec<String> = keys
        .iter()
        .zip(&shown)
        .map(|(key, (text, why))| {
            let why = why.map(|why| format!("  not usable: {why}")).unwrap_or_default();
            format!("{:width$}  {text}{why}", key.name)
        })
        .collect();
    if keys.is_empty() {
        let path = store.path.display();
        lines.push(match in_environment(env) {
            0 => format!("No keys in {path}. Add one with `saros-proxy keys add NAME`."),
            count => format!("No keys in {path}; OPENCODE_GO_KEYS holds {count}."),
        });
    }
    let entry = |(key, (text, why)): (&Listed, &(String, Option<&str>))| {
        json!({
            "label": key.name,
            "key": (!key.is_encrypted()).then_some(text),
            "encrypted": key.is_encrypted(),
            "problem": why,
        })
    };
    let json = json!({
        "file": store.path.display().to_string(),
        "keys": keys.iter().zip(&shown).map(entry).collect::<Vec<_>>(),
        "inEnvironment": in_environment(env),
    });
    Said { lines, json }
}

/// What may be shown of a key, and why it is none.
fn shown(key: &Listed) -> (String, Option<&'static str>) {
    match &key.key {
        None => ("(none)".to_owned(), Some("there is no key")),
        Some(_) if key.is_encrypted() => ("encrypted".to_owned(), None),
        Some(text) => (text.to_string(), malformed(text.expose())),
    }
}

fn in_environment(env: &dyn Env) -> usize {
    let name = setting("keys").and_then(|setting| setting.env);
    let text = name.and_then(|name| Some((name, env.filled(name)?)));
    text.map_or(0, |(name, text)| match from_variable(name, &text).value {
        crate::config::yaml::Value::Seq(items) => items.len(),
        _ => 0,
    })
}

fn remove(mut store: Store, labels: &[String]) -> Outcome {
    for label in labels {
        let index = store.find(label)?;
        store.edit(|document| document.remove(index))?;
    }
    let left = store.document.keys().len();
    let path = store.save()?;
    let names = labels.join(", ");
    let said = format!("Removed {names} from {}; {left} left.", path.display());
    Ok(Said::new(said, json!({ "removed": labels, "left": left })))
}

fn rename(mut store: Store, from: &str, to: &str) -> Outcome {
    let index = store.find(from)?;
    store.free(to)?;
    store.edit(|document| document.rename(index, to))?;
    let path = store.save()?;
    let said = format!("{from} is called {to} now, in {}.", path.display());
    Ok(Said::new(said, json!({ "from": from, "to": to })))
}
