//! Changing the list of keys in a file that belongs to its owner: comments, order, quoting, line
//! ends and everything else that is not the change stay as they are, byte for byte.
//!
//! The file is never written out anew from what was understood of it. A change is a few bytes put
//! in or taken out at places that the parser knows, and the result is parsed again: unless exactly
//! that has changed which was to change, the change is refused.

use std::ops::Range;

use crate::config::envelope;
use crate::config::yaml::{self, Entry, Node, Spot, Value};
use crate::secret::Secret;

mod place;
mod scalar;

#[cfg(test)]
mod tests;

/// A configuration file, to be changed.
#[derive(Debug, Clone)]
pub struct Document {
    text: String,
    root: Node,
}

/// Why a file was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no YAML, or no list of options.
    #[error("the file is no valid configuration; `saros-proxy check` says why")]
    Invalid,
    /// It is written in a way in which the change cannot be made safely.
    #[error("{0} cannot be changed safely in the way it is written; please edit the file by hand")]
    TooClever(&'static str),
    /// A value that cannot stand in a file.
    #[error("it holds control characters")]
    Unwritable,
}

/// An entry of `keys`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name by which it is spoken of: its label, or one that is made up for it.
    pub name: String,
    /// The key as it was written; `None` where there is none.
    pub key: Option<Secret>,
}

impl Listed {
    /// Whether the key is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.key.as_ref().is_some_and(|key| key.expose().starts_with(envelope::PREFIX))
    }
}

/// An entry to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Its label.
    pub label: String,
    /// The key, plain or encrypted.
    pub key: Secret,
    /// `upstreamBaseUrl`, where it has its own.
    pub base: Option<String>,
    /// `plan`.
    pub plan: Option<String>,
}

impl NewKey {
    fn entries(&self) -> Vec<(&'static str, &str)> {
        let mut entries = vec![("label", self.label.as_str()), ("key", self.key.expose())];
        entries.extend(self.base.as_deref().map(|base| ("upstreamBaseUrl", base)));
        entries.extend(self.plan.as_deref().map(|plan| ("plan", plan)));
        entries
    }
}

/// What of a tree counts: not where things stand.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Plain {
    Null,
    Scalar(String),
    Seq(Vec<Plain>),
    Map(Vec<(String, Plain)>),
}

const LIST: Refused = Refused::TooClever("the list of keys");

/// Bytes to be replaced.
type Splice = (Range<usize>, String);

impl Document {
    /// Takes the text of a file. An empty one is a document too.
    pub fn parse(text: String) -> Result<Self, Refused> {
        let root = parse(&text)?;
        Ok(Self { text, root })
    }

    /// The text as it is now.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The entries of `keys`, in order.
    pub fn keys(&self) -> Vec<Listed> {
        let written: Vec<Option<String>> = self.items().iter().map(label).collect();
        let mut names: Vec<String> = Vec::new();
        for (number, label) in (1..).zip(&written) {
            let base = label.clone().unwrap_or_else(|| format!("key-{number}"));
            let numbered = |count: usize| format!("{base}-{count}");
            let free = |name: &String| {
                !names.contains(name) && !written.iter().flatten().any(|label| label == name)
            };
            let name = if names.contains(&base) {
                (2..written.len() + 3).map(numbered).find(free).unwrap_or(base)
            } else {
                base
            };
            names.push(name);
        }
        let key = |item: &Node| Some(Secret::new(item.get("key")?.text()?.trim().to_owned()));
        let items = self.items().iter().zip(names);
        items.map(|(item, name)| Listed { name, key: key(item) }).collect()
    }

    /// The cookies of `scraping.accounts`, in order.
    pub fn cookies(&self) -> Vec<Option<Secret>> {
        let cookie = |item: &Node| {
            let text = item.get("authCookie")?.text()?.trim();
            (!text.is_empty()).then(|| Secret::new(text.to_owned()))
        };
        self.accounts().iter().map(cookie).collect()
    }

    /// Adds a key at the end of the list.
    pub fn add(&mut self, new: &NewKey) -> Result<(), Refused> {
        let entries = new.entries();
        if entries.iter().any(|(_, text)| text.contains(char::is_control)) {
            return Err(Refused::Unwritable);
        }
        let mut after = plain(&self.root);
        let list = after.list("keys").ok_or(LIST)?;
        list.push(Plain::Map(
            entries
                .iter()
                .map(|(name, text)| ((*name).to_owned(), Plain::Scalar((*text).to_owned())))
                .collect(),
        ));
        let splices = place::add(&self.text, &self.root, &entries)?;
        self.change(splices, &after)
    }

    /// Removes the entry at a place of the list.
    pub fn remove(&mut self, index: usize) -> Result<(), Refused> {
        let mut after = plain(&self.root);
        let list = after.list("keys").ok_or(LIST)?;
        if index >= list.len() {
            return Err(LIST);
        }
        list.remove(index);
        let splices = place::remove(&self.text, &self.root, index)?;
        self.change(splices, &after)
    }

    /// Gives the entry at a place of the list another label.
    pub fn rename(&mut self, index: usize, label: &str) -> Result<(), Refused> {
        self.set(&["keys"], index, "label", label)
    }

    /// Puts another text in the place of a key.
    pub fn set_key(&mut self, index: usize, key: &str) -> Result<(), Refused> {
        self.set(&["keys"], index, "key", key)
    }

    /// Puts another text in the place of a cookie.
    pub fn set_cookie(&mut self, index: usize, cookie: &str) -> Result<(), Refused> {
        self.set(&["scraping", "accounts"], index, "authCookie", cookie)
    }

    fn set(&mut self, path: &[&str], index: usize, name: &str, text: &str) -> Result<(), Refused> {
        const WHAT: Refused = Refused::TooClever("this entry");
        if text.contains(char::is_control) {
            return Err(Refused::Unwritable);
        }
        let list = path.iter().try_fold(&self.root, |node, name| node.get(name)).ok_or(WHAT)?;
        let Value::Seq(items) = &list.value else { return Err(WHAT) };
        let item = items.get(index).ok_or(WHAT)?;
        let splice = match item.get(name) {
            Some(node) => place::replace(&self.text, node, text)?,
            None => place::prepend(&self.text, item, name, text)?,
        };
        let mut after = plain(&self.root);
        let list = path.iter().try_fold(&mut after, |node, name| node.get_mut(name)).ok_or(WHAT)?;
        let Plain::Seq(items) = list else { return Err(WHAT) };
        let Some(Plain::Map(entries)) = items.get_mut(index) else { return Err(WHAT) };
        let value = Plain::Scalar(text.to_owned());
        match entries.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => entries.insert(0, (name.to_owned(), value)),
        }
        self.change(vec![splice], &after)
    }

    /// Makes a change if it comes out as expected, and none otherwise.
    fn change(&mut self, mut splices: Vec<Splice>, after: &Plain) -> Result<(), Refused> {
        splices.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
        let mut text = self.text.clone();
        for (range, new) in &splices {
            let whole = text.is_char_boundary(range.start) && text.is_char_boundary(range.end);
            if !whole || range.start > range.end {
                return Err(LIST);
            }
            text.replace_range(range.clone(), new);
        }
        let root = parse(&text).map_err(|_| LIST)?;
        if plain(&root) != *after {
            return Err(LIST);
        }
        (self.text, self.root) = (text, root);
        Ok(())
    }

    fn items(&self) -> &[Node] {
        match self.root.get("keys").map(|node| &node.value) {
            Some(Value::Seq(items)) => items,
            _ => &[],
        }
    }

    fn accounts(&self) -> &[Node] {
        let accounts = self.root.get("scraping").and_then(|node| node.get("accounts"));
        match accounts.map(|node| &node.value) {
            Some(Value::Seq(items)) => items,
            _ => &[],
        }
    }
}

/// A byte order mark is no part of the document; with it every place would be off.
fn parse(text: &str) -> Result<Node, Refused> {
    const MARK: &str = "\u{feff}";
    let offset = if text.starts_with(MARK) { MARK.len() } else { 0 };
    let body = text.get(offset..).unwrap_or_default();
    let mut root = yaml::parse(body).map_err(|_| Refused::Invalid)?;
    if !matches!(root.value, Value::Map(_) | Value::Null) {
        return Err(Refused::Invalid);
    }
    if offset > 0 {
        shift(&mut root, offset);
    }
    Ok(root)
}

fn shift(node: &mut Node, offset: usize) {
    let moved = |spot: &mut Spot| {
        if let Spot::File { start, end } = spot {
            *start += offset;
            *end += offset;
        }
    };
    moved(&mut node.spot);
    match &mut node.value {
        Value::Seq(items) => items.iter_mut().for_each(|item| shift(item, offset)),
        Value::Map(entries) => {
            for Entry { spot, node, .. } in entries {
                moved(spot);
                shift(node, offset);
            }
        }
        Value::Null | Value::Scalar(_) => {}
    }
}

fn label(item: &Node) -> Option<String> {
    let text = item.get("label")?.text()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn plain(node: &Node) -> Plain {
    match &node.value {
        Value::Null => Plain::Null,
        Value::Scalar(text) => Plain::Scalar(text.clone()),
        Value::Seq(items) => Plain::Seq(items.iter().map(plain).collect()),
        Value::Map(entries) => Plain::Map(
            entries.iter().map(|entry| (entry.key.clone(), plain(&entry.node))).collect(),
        ),
    }
}

impl Plain {
    fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter_mut().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The list of this name, made where there is none.
    fn list(&mut self, name: &str) -> Option<&mut Vec<Self>> {
        if *self == Self::Null {
            *self = Self::Map(Vec::new());
        }
        let Self::Map(entries) = self else { return None };
        let at = entries.iter().position(|(known, _)| known == name).unwrap_or(entries.len());
        if at == entries.len() {
            entries.push((name.to_owned(), Self::Null));
        }
        let (_, list) = entries.get_mut(at)?;
        if *list == Self::Null {
            *list = Self::Seq(Vec::new());
        }
        match list {
            Self::Seq(items) => Some(items),
            _ => None,
        }
    }
}
