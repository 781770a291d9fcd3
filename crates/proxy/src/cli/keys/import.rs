//! `keys import`.

use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::keys::add::{Known, Verified};
use crate::cli::keys::store::{Store, error};
use crate::cli::keys::verify::Verify;
use crate::cli::keys::{Outcome, Said, crypt};
use crate::config::edit::NewKey;
use crate::config::keys::malformed;
use crate::config::{Env, KeyConfig, file};
use crate::secret::Secret;

/// A page of keys is far less.
const LONGEST: u64 = 1024 * 1024;
/// The service's entry in OpenCode's own list of credentials.
const ENTRY: &str = "opencode-go";

/// Adds every key of a file that is not there yet.
pub fn import(mut store: Store, path: &Path, service: &dyn Verify, env: &dyn Env) -> Outcome {
    let shown = path.display();
    let text = if path == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().take(LONGEST).read_to_string(&mut text);
        read.map(|_| text).map_err(|why| why.to_string())
    } else {
        file::read_text(path)
    };
    let text =
        text.map_err(|why| error(format!("{shown} cannot be read: {why}"), "nothing was changed"))?;
    let found =
        read(&text).map_err(|why| error(format!("{shown}: {why}"), "nothing was changed"))?;
    let known = Known::read(&store, env);
    let mut said = Said::default();
    let mut new: Vec<KeyConfig> = Vec::new();
    for (label, secret) in found {
        let twin = known.twin(&secret).map(str::to_owned);
        let twin = twin.or_else(|| {
            new.iter().find(|key| key.secret == secret).map(|key| key.label.to_string())
        });
        if let Some(twin) = twin {
            said.lines.push(format!("{label} is there already, as {twin}."));
            continue;
        }
        let label = free_name(&store, &new, &label);
        new.push(KeyConfig::new(label, secret, known.upstream.clone()));
    }
    let verified = Verified::of(&mut new, &known, service)?;
    for key in &new {
        let secret = crypt::like_the_others(&store, &key.secret, env)?;
        let entry = NewKey { label: key.label.to_string(), key: secret, base: None, plan: None };
        store.edit(|document| document.add(&entry))?;
    }
    let labels: Vec<&str> = new.iter().map(|key| &*key.label).collect();
    said.json = json!({ "added": labels, "shared": verified.shared, "verified": verified.asked });
    if labels.is_empty() {
        said.lines.push("Nothing was added.".to_owned());
        return Ok(said);
    }
    let path = store.save()?;
    said.lines.push(format!("Added {} to {}.", labels.join(", "), path.display()));
    said.lines.extend(verified.lines);
    Ok(said)
}

fn free_name(store: &Store, new: &[KeyConfig], label: &str) -> String {
    let keys = store.document.keys();
    let taken = |name: &str| {
        keys.iter().any(|key| key.name == name) || new.iter().any(|key| &*key.label == name)
    };
    let mut name = label.to_owned();
    let mut number = 2;
    while taken(&name) {
        name = format!("{label}-{number}");
        number += 1;
    }
    name
}

/// Reads a key file or OpenCode's auth.json: labels and keys. All that is wrong, by line, and
/// nothing of what stands there.
fn read(text: &str) -> Result<Vec<(String, Secret)>, String> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') {
        return Ok(vec![from_auth_json(text)?]);
    }
    let (mut keys, mut wrong) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match from_line(line) {
            Ok(key) => keys.push(key),
            Err(why) => wrong.push(format!("line {number}: {why}")),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong.join("; "));
    }
    if keys.is_empty() { Err("there are no keys in it".to_owned()) } else { Ok(keys) }
}

fn from_line(line: &str) -> Result<(String, Secret), String> {
    let parts = line.split_once(':').or_else(|| line.rsplit_once(char::is_whitespace));
    let (label, key) = parts.ok_or("neither `label:key` nor `label key`")?;
    let (label, key) = (label.trim(), key.trim());
    if label.is_empty() || label.contains(char::is_control) || malformed(label).is_none() {
        return Err("there is no label in front of the key".to_owned());
    }
    match malformed(key) {
        Some(why) => Err(format!("the key of this line is none: {why}")),
        None => Ok((label.to_owned(), Secret::new(key.to_owned()))),
    }
}

fn from_auth_json(text: &str) -> Result<(String, Secret), String> {
    let auth: Value = serde_json::from_str(text).map_err(|why| {
        format!("it is no valid JSON (line {}, column {})", why.line(), why.column())
    })?;
    let entry = auth.get(ENTRY).ok_or(format!("there is no `{ENTRY}` in it"))?;
    let key = entry.get("key").and_then(Value::as_str).ok_or(format!("`{ENTRY}` holds no key"))?;
    match malformed(key) {
        Some(why) => Err(format!("the key of `{ENTRY}` is none: {why}")),
        None => Ok((ENTRY.to_owned(), Secret::new(key.to_owned()))),
    }
}

/// For the property that a problem never shows what stands in the file.
#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let keys = read(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        let keys: Vec<(&str, &str)> =
            keys.iter().map(|(label, key)| (label.as_str(), key.expose())).collect();
        assert_eq!(keys, expected, "{text}");
    }

    const A: &str = "sk-aaaaaaaaaaaaaaaaaaaaAAAA";

    #[test]
    fn key_files_and_auth_json() {
        check(&format!("# mine\n\n home:{A} \n"), &[("home", A)]);
        check(
            &format!("\u{feff}home {A}\r\nwork\t oc_sk_bbbbbbbbbbbbbbbbbb\r\n"),
            &[("home", A), ("work", "oc_sk_bbbbbbbbbbbbbbbbbb")],
        );
        check(&format!("my home:{A}"), &[("my home", A)]);
        check(&format!("my home {A}"), &[("my home", A)]);
        let auth = format!(
            r#"{{"anthropic":{{"type":"oauth"}},"opencode-go":{{"type":"api","key":"{A}"}}}}"#
        );
        check(&auth, &[("opencode-go", A)]);
    }

    #[test]
    fn what_is_wrong_is_told_by_line_without_what_stands_there() {
        for (text, why) in [
            ("", "there are no keys in it"),
            ("# x\n", "there are no keys in it"),
            (
                "home:sk-shortsecret\nx\n",
                "line 1: the key of this line is none: it is too short; line 2: neither",
            ),
            ("sk-aaaaaaaaaaaaaaaaaaaaAAAA\n", "line 1: neither `label:key`"),
            (":sk-aaaaaaaaaaaaaaaaaaaaAAAA", "line 1: there is no label"),
            (
                "sk-aaaaaaaaaaaaaaaaaaaaAAAA sk-bbbbbbbbbbbbbbbbbbbbBBBB",
                "line 1: there is no label",
            ),
            ("{", "it is no valid JSON (line 1"),
            ("{}", "there is no `opencode-go` in it"),
            (
                r#"{"opencode-go":{"type":"oauth","access":"secretsecret"}}"#,
                "`opencode-go` holds no key",
            ),
            (r#"{"opencode-go":{"key":"secretsecretsecretsecret"}}"#, "begins with neither"),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
            assert!(!told.contains("secret") && !told.contains("aaaa"), "{text}: {told}");
        }
    }
}
