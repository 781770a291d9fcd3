//! The list of keys: read, decrypted, checked, labelled.

use std::sync::Arc;

use saros_core::id::KeyId;

use crate::config::base::BaseUrl;
use crate::config::env::Env;
use crate::config::envelope;
use crate::config::excerpt::Show;
use crate::config::master::{self, MASTER_KEY, MASTER_KEY_FILE};
use crate::config::options::{BALANCE, PLANS, either};
use crate::config::problem::{Collector, Problem, Severity};
use crate::config::value::{self, Bad};
use crate::config::yaml::{Entry, Node, Spot, Value};
use crate::config::{Balance, Config, KeyConfig, Plan};
use crate::secret::{Secret, mask};

/// What keys of the service begin with: those of a workspace, and those of the newer console.
const PREFIXES: [&str; 2] = ["sk-", "oc_sk_"];
/// The shortest key, in characters.
const MIN_KEY: usize = 20;

/// A key as it was written.
pub(crate) struct Draft {
    label: String,
    label_spot: Spot,
    text: Secret,
    spot: Spot,
    base: BaseUrl,
    /// Its place in the list, counted from zero.
    place: usize,
    allow_balance: Balance,
    plan: Option<Plan>,
    /// It is encrypted and could not be decrypted, which was reported.
    locked: bool,
}

/// Splits `label:key,label:key` at each comma and first colon, into what the YAML list would be.
pub(crate) fn from_variable(name: &'static str, text: &str) -> Node {
    let spot = Spot::Variable(name);
    let scalar = |text: &str| Node { spot, value: Value::Scalar(text.trim().to_owned()) };
    let entry = |key: &str, text| Entry { key: key.to_owned(), spot, node: scalar(text) };
    let items = text
        .split(',')
        .filter(|item| !item.trim().is_empty())
        .map(|item| match item.split_once(':') {
            Some((label, key)) => {
                let entries = vec![entry("label", label), entry("key", key)];
                Node { spot, value: Value::Map(entries) }
            }
            None => scalar(item),
        })
        .collect();
    Node { spot, value: Value::Seq(items) }
}

/// Reads the list; what is no key at all is reported and left out.
pub(crate) fn read(items: &[Node], config: &Config, collector: &mut Collector) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let number = place + 1;
        let key = item.get("key").filter(|key| key.text().is_some_and(|text| !text.is_empty()));
        let Some((key, text)) = key.and_then(|key| Some((key, key.text()?))) else {
            let shown = item.text().map(|text| format!(" ({})", mask(text))).unwrap_or_default();
            let problem = Problem::new(
                Severity::Warning,
                format!("entry {number} of `keys`{shown} is malformed and left out"),
            );
            let allowed = match item.spot {
                Spot::Variable(_) => "`label:key`",
                _ => "`{label: …, key: …}`",
            };
            collector.add(problem.allowed(allowed).rejects(), item.spot, Show::Secret);
            continue;
        };
        let base = match item.get("upstreamBaseUrl").map(value::base) {
            None => config.upstream.clone(),
            Some(Ok(base)) => base,
            Some(Err(bad)) => {
                // Anything but stopping would send the key to a host it is not meant for.
                let what = format!(
                    "`upstreamBaseUrl` of entry {number} of `keys` cannot be `{}`{}",
                    bad.show.apply(&bad.text),
                    bad.why.map(|why| format!(": {why}")).unwrap_or_default(),
                );
                let problem = Problem::new(Severity::Error, what)
                    .allowed("an https URL, or http to loopback");
                collector.add(problem, bad.spot, bad.show);
                continue;
            }
        };
        let allow_balance = field(item, number, "allowBalance", BALANCE, value::balance, collector);
        let plan = |node: &Node| value::word(node, PLANS);
        let plan = field(item, number, "plan", &either(PLANS), plan, collector);
        let (label, label_spot) = label(item, number, collector);
        drafts.push(Draft {
            label,
            label_spot,
            text: Secret::new(text.trim().to_owned()),
            spot: key.spot,
            base,
            place,
            allow_balance: allow_balance.unwrap_or(config.allow_balance),
            plan: plan.map(|word| if word == "go" { Plan::Go } else { Plan::GoPlus }),
            locked: false,
        });
    }
    drafts
}

/// A further name of an entry. A bad value stops the start, as with any option of ours.
fn field<T>(
    item: &Node,
    number: usize,
    name: &str,
    allowed: &str,
    read: impl FnOnce(&Node) -> Result<T, Bad>,
    collector: &mut Collector,
) -> Option<T> {
    match read(item.get(name)?) {
        Ok(value) => Some(value),
        Err(bad) => {
            let what = match bad.why {
                Some(why) => why,
                None => format!("`{}`", bad.show.apply(&bad.text)),
            };
            let what = format!("`{name}` of entry {number} of `keys` cannot be {what}");
            let problem = Problem::new(Severity::Error, what).allowed(allowed);
            collector.add(problem, bad.spot, bad.show);
            None
        }
    }
}

/// A label stands in headers and logs, so it holds neither control characters nor a key.
fn label(item: &Node, number: usize, collector: &mut Collector) -> (String, Spot) {
    let node = item.get("label");
    let spot = node.map_or(item.spot, |node| node.spot);
    let written = node.and_then(Node::text).unwrap_or_default().trim();
    let mut warn = |what: String, label: String| {
        let problem = Problem::new(Severity::Warning, what).hint(format!("it is called `{label}`"));
        collector.add(problem, spot, Show::Secret);
        (label, spot)
    };
    if written.is_empty() {
        return warn(format!("entry {number} of `keys` has no label"), format!("key-{number}"));
    }
    if PREFIXES.iter().any(|prefix| written.starts_with(prefix)) && written.len() >= MIN_KEY {
        let label = format!("key-{number}");
        return warn(format!("the label of entry {number} of `keys` looks like a key"), label);
    }
    if written.contains(char::is_control) {
        let label: String = written.chars().filter(|c| !c.is_control()).collect();
        return warn(
            format!("the label of entry {number} of `keys` has control characters"),
            label,
        );
    }
    (written.to_owned(), spot)
}

/// Decrypts what is encrypted, leaves out what is no key, and makes labels unique. The second value
/// holds the key at each place of the list, where there is a usable one.
pub(crate) fn finish(
    mut drafts: Vec<Draft>,
    env: &dyn Env,
    collector: &mut Collector,
) -> (Vec<KeyConfig>, Vec<Option<KeyId>>) {
    decrypt(&mut drafts, env, collector);
    drafts.retain(|draft| !draft.locked);
    drafts.retain(|draft| {
        let Some(why) = malformed(draft.text.expose()) else { return true };
        let what =
            format!("key \"{}\" ({}) is malformed and left out: {why}", draft.label, draft.text);
        let allowed = format!("`sk-…` or `oc_sk_…`, at least {MIN_KEY} characters");
        let problem = Problem::new(Severity::Warning, what).allowed(allowed).rejects();
        collector.add(problem, draft.spot, Show::Secret);
        false
    });
    let mut places = vec![None; drafts.iter().map(|draft| draft.place + 1).max().unwrap_or(0)];
    for draft in &drafts {
        if let Some(place) = places.get_mut(draft.place) {
            *place = Some(draft.text.key_id());
        }
    }
    (unique(drafts, collector), places)
}

fn decrypt(drafts: &mut [Draft], env: &dyn Env, collector: &mut Collector) {
    // Keys in the environment are plain by definition.
    let mut encrypted: Vec<&mut Draft> = drafts
        .iter_mut()
        .filter(|draft| matches!(draft.spot, Spot::File { .. }))
        .filter(|draft| draft.text.expose().starts_with(envelope::PREFIX))
        .collect();
    if encrypted.is_empty() {
        return;
    }
    for draft in &mut encrypted {
        draft.locked = true;
    }
    let master = match master::find(env) {
        Ok(Some((master, _))) => master,
        Ok(None) => {
            let what = format!(
                "Found {} encrypted API key(s) but {MASTER_KEY} environment variable is not set",
                encrypted.len()
            );
            let hint = format!("set {MASTER_KEY}, or {MASTER_KEY_FILE} to a file that holds it");
            collector.problems.push(Problem::new(Severity::Error, what).hint(hint));
            return;
        }
        Err(problem) => return collector.problems.push(*problem),
    };
    let texts: Vec<Secret> = encrypted.iter().map(|draft| draft.text.clone()).collect();
    let texts: Vec<&str> = texts.iter().map(Secret::expose).collect();
    for (draft, key) in encrypted.iter_mut().zip(envelope::decrypt_all(&texts, &master)) {
        if let Ok(key) = key {
            draft.text = key;
            draft.locked = false;
        } else {
            let what =
                format!("Failed to decrypt API key \"{}\" — check {MASTER_KEY}", draft.label);
            collector.add(Problem::new(Severity::Error, what), draft.spot, Show::Secret);
        }
    }
}

/// Why a text is no key.
pub fn malformed(key: &str) -> Option<&'static str> {
    if !PREFIXES.iter().any(|prefix| key.starts_with(prefix)) {
        Some("it begins with neither `sk-` nor `oc_sk_`")
    } else if key.chars().count() < MIN_KEY {
        Some("it is too short")
    } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("it holds characters that no key has")
    } else {
        None
    }
}

/// The same key twice would be one account taken for two; the same label twice would make two
/// accounts look like one.
fn unique(drafts: Vec<Draft>, collector: &mut Collector) -> Vec<KeyConfig> {
    let written: Vec<String> = drafts.iter().map(|draft| draft.label.clone()).collect();
    let mut keys: Vec<KeyConfig> = Vec::with_capacity(drafts.len());
    for draft in drafts {
        if let Some(twin) = keys.iter().find(|key| key.secret == draft.text) {
            let what = format!(
                "key \"{}\" ({}) is the same as \"{}\" and left out",
                draft.label, draft.text, twin.label
            );
            let problem = Problem::new(Severity::Warning, what).rejects();
            collector.add(problem, draft.spot, Show::Secret);
            continue;
        }
        let taken = |label: &str| keys.iter().any(|key| &*key.label == label);
        let label = if taken(&draft.label) {
            let free = |label: &String| !taken(label) && !written.contains(label);
            let numbered = |number| format!("{}-{number}", draft.label);
            // Of so many numbers one is free.
            let label = (2..=written.len() + 2).map(numbered).find(free).unwrap_or_default();
            let what = format!("the label \"{}\" is used twice", draft.label);
            let hint = format!("the second is called `{label}`");
            let problem = Problem::new(Severity::Warning, what).hint(hint);
            collector.add(problem, draft.label_spot, Show::Url);
            label
        } else {
            draft.label
        };
        keys.push(KeyConfig {
            label: Arc::from(label),
            secret: draft.text,
            base: draft.base,
            allow_balance: draft.allow_balance,
            plan: draft.plan,
        });
    }
    keys
}
