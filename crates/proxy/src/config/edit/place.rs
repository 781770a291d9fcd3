//! Where in a file a change goes.

use crate::config::edit::scalar::{self, Style};
use crate::config::edit::{Refused, Splice};
use crate::config::yaml::{Entry, Node, Spot, Value};

const LIST: Refused = Refused::TooClever("the list of keys");
const ENTRY: Refused = Refused::TooClever("this entry");

/// Adds an entry at the end of `keys`.
pub(super) fn add(
    text: &str,
    root: &Node,
    entries: &[(&str, &str)],
) -> Result<Vec<Splice>, Refused> {
    if is_flow(text, root) {
        // All options in one pair of braces.
        return match root.get("keys") {
            Some(list) if matches!(list.value, Value::Seq(_)) => in_flow(text, list, entries),
            _ => Err(LIST),
        };
    }
    let Value::Map(options) = &root.value else {
        return Ok(vec![append(text, text.len(), &[format!("keys:{}", nl(text))], "  ", entries)]);
    };
    let Some(option) = options.iter().find(|option| option.key == "keys") else {
        let end = end_of_line(text, end(text, root));
        let indent = indent_of(text, root_start(options).ok_or(LIST)?)?;
        let head = format!("{indent}keys:{}", nl(text));
        return Ok(vec![append(text, end, &[head], &format!("{indent}  "), entries)]);
    };
    match &option.node.value {
        Value::Seq(_) if is_flow(text, &option.node) => in_flow(text, &option.node, entries),
        Value::Seq(items) => {
            let (first, last) = (items.first().ok_or(LIST)?, items.last().ok_or(LIST)?);
            let (start, _) = span(first).ok_or(LIST)?;
            let start = dash_before(text, start).ok_or(LIST)?;
            let indent = indent_of(text, start)?;
            let end = end_of_line(text, end(text, last));
            Ok(vec![append_as(text, end, "", indent, gap(text, start), entries)])
        }
        Value::Null => {
            let (start, _) = spot(option.spot).ok_or(LIST)?;
            let indent = indent_of(text, start)?;
            let (from, to) = span(&option.node).ok_or(LIST)?;
            let line = end_of_line(text, to);
            let mut splices = vec![append(text, line, &[], &format!("{indent}  "), entries)];
            if from < to {
                splices.push((from..to, String::new()));
            }
            Ok(splices)
        }
        // A text or a block where a list belongs.
        Value::Scalar(_) | Value::Map(_) => Err(LIST),
    }
}

fn root_start(options: &[Entry]) -> Option<usize> {
    options.first().and_then(|option| spot(option.spot)).map(|(start, _)| start)
}

fn in_flow(text: &str, list: &Node, entries: &[(&str, &str)]) -> Result<Vec<Splice>, Refused> {
    let Value::Seq(items) = &list.value else { return Err(LIST) };
    let written: Vec<String> = entries
        .iter()
        .map(|(name, value)| format!("{name}: {}", scalar::write(value, Style::Plain)))
        .collect();
    let entry = format!("{{{}}}", written.join(", "));
    let (_, open) = span(list).ok_or(LIST)?;
    Ok(vec![match items.last() {
        None => (open..open, entry),
        Some(last) => {
            let end = end(text, last);
            (end..end, format!(", {entry}"))
        }
    }])
}

/// Lines after the one that ends at `at`.
fn append(
    text: &str,
    at: usize,
    head: &[String],
    indent: &str,
    entries: &[(&str, &str)],
) -> Splice {
    append_as(text, at, &head.concat(), indent, " ", entries)
}

fn append_as(
    text: &str,
    at: usize,
    head: &str,
    indent: &str,
    gap: &str,
    entries: &[(&str, &str)],
) -> Splice {
    let nl = nl(text);
    let mut lines = head.to_owned();
    for (index, (name, value)) in entries.iter().enumerate() {
        let lead = if index == 0 { format!("-{gap}") } else { " ".repeat(1 + gap.len()) };
        let value = scalar::write(value, Style::Plain);
        lines.extend([indent, &lead, name, ": ", &value, nl]);
    }
    let before = text.get(..at).unwrap_or_default();
    if before.is_empty() || before == "\u{feff}" || before.ends_with('\n') {
        (at..at, lines)
    } else {
        // The last line of the file has no end; then the new last one has none either.
        (at..at, format!("{nl}{}", lines.trim_end_matches(['\r', '\n'])))
    }
}

/// Removes an entry of `keys`.
pub(super) fn remove(text: &str, root: &Node, index: usize) -> Result<Vec<Splice>, Refused> {
    let Value::Map(options) = &root.value else { return Err(LIST) };
    let option = options.iter().find(|option| option.key == "keys").ok_or(LIST)?;
    let Value::Seq(items) = &option.node.value else { return Err(LIST) };
    let item = items.get(index).ok_or(LIST)?;
    let (start, _) = span(item).ok_or(LIST)?;
    let last = end(text, item);
    if is_flow(text, &option.node) {
        let range = match (index.checked_sub(1).and_then(|i| items.get(i)), items.get(index + 1)) {
            (_, Some(next)) => start..span(next).ok_or(LIST)?.0,
            (Some(previous), None) => end(text, previous)..last,
            (None, None) => start..last,
        };
        return Ok(vec![(range, String::new())]);
    }
    let dash = dash_before(text, start).ok_or(LIST)?;
    indent_of(text, dash)?;
    let mut splices = vec![(start_of_line(text, dash)..end_of_line(text, last), String::new())];
    if items.len() == 1 {
        // Nothing at all would mean the keys of the environment; so does an empty list, and it says
        // so.
        let (_, name) = spot(option.spot).ok_or(LIST)?;
        let colon = text.get(name..).and_then(|rest| rest.find(':')).ok_or(LIST)?;
        let after = name + colon + 1;
        splices.push((after..after, " []".to_owned()));
    }
    Ok(splices)
}

/// Puts a text in the place of a scalar, in its style.
pub(super) fn replace(text: &str, node: &Node, new: &str) -> Result<Splice, Refused> {
    let (start, end) = span(node).ok_or(ENTRY)?;
    let written = text.get(start..end).unwrap_or_default();
    let plain_scalar = matches!(node.value, Value::Scalar(_)) && !written.contains(['\n', '\r']);
    if !plain_scalar || written.starts_with(['*', '&', '!']) || written.is_empty() {
        return Err(ENTRY);
    }
    let written = written.trim_end();
    Ok((start..start + written.len(), scalar::write(new, Style::of(written))))
}

/// Puts a name in front of an entry's others.
pub(super) fn prepend(text: &str, item: &Node, name: &str, new: &str) -> Result<Splice, Refused> {
    let Value::Map(entries) = &item.value else { return Err(ENTRY) };
    let (start, _) = entries.first().and_then(|entry| spot(entry.spot)).ok_or(ENTRY)?;
    let value = scalar::write(new, Style::Plain);
    if is_flow(text, item) {
        return Ok((start..start, format!("{name}: {value}, ")));
    }
    let column = text.get(start_of_line(text, start)..start).unwrap_or_default().chars().count();
    Ok((start..start, format!("{name}: {value}{}{}", nl(text), " ".repeat(column))))
}

fn spot(spot: Spot) -> Option<(usize, usize)> {
    match spot {
        Spot::File { start, end } => Some((start, end)),
        _ => None,
    }
}

fn span(node: &Node) -> Option<(usize, usize)> {
    spot(node.spot)
}

fn at(text: &str, offset: usize) -> &str {
    text.get(offset..).unwrap_or_default()
}

/// Whether a list or a block stands in brackets.
fn is_flow(text: &str, node: &Node) -> bool {
    let bracket = match node.value {
        Value::Seq(_) => '[',
        Value::Map(_) => '{',
        Value::Null | Value::Scalar(_) => return false,
    };
    span(node).is_some_and(|(start, end)| end > start && at(text, start).starts_with(bracket))
}

/// The byte after the last one of a node.
fn end(text: &str, node: &Node) -> usize {
    let Some((start, end_of_span)) = span(node) else { return 0 };
    // What an alias stands for is elsewhere.
    if at(text, start).starts_with('*') {
        return end_of_span;
    }
    let inner = match &node.value {
        Value::Null => return end_of_span,
        Value::Scalar(_) => {
            let written = text.get(start..end_of_span).unwrap_or_default();
            return start + written.trim_end().len();
        }
        Value::Seq(items) => items.iter().map(|item| end(text, item)).max(),
        Value::Map(entries) => entries
            .iter()
            .map(|entry| end(text, &entry.node).max(spot(entry.spot).map_or(0, |(_, end)| end)))
            .max(),
    };
    let inner = inner.unwrap_or(end_of_span).max(end_of_span);
    if is_flow(text, node) { closing(text, inner) } else { inner }
}

/// The byte after the bracket that closes, where only separators and comments come before it.
fn closing(text: &str, from: usize) -> usize {
    let mut comment = false;
    for (offset, c) in at(text, from).char_indices() {
        match c {
            '\n' => comment = false,
            _ if comment => {}
            '#' => comment = true,
            ']' | '}' => return from + offset + 1,
            _ => {}
        }
    }
    text.len()
}

/// The dash of the list entry that begins at `start`.
fn dash_before(text: &str, start: usize) -> Option<usize> {
    let before = text.get(..start)?;
    // Between the two may be blanks, and lines with nothing but comments.
    let mut end = before.len();
    loop {
        let line = before.get(..end)?.rfind('\n').map_or(0, |newline| newline + 1);
        let content = before.get(line..end)?;
        let code = content.split('#').next().unwrap_or_default().trim_end();
        if code.ends_with('-') {
            return Some(line + code.len() - 1);
        }
        if !code.trim().is_empty() || line == 0 {
            return None;
        }
        end = line - 1;
    }
}

/// The blanks before a place that is the first of its line.
fn indent_of(text: &str, start: usize) -> Result<&str, Refused> {
    let indent = text.get(start_of_line(text, start)..start).unwrap_or_default();
    let indent = indent.trim_start_matches('\u{feff}');
    if indent.chars().all(|c| c == ' ') { Ok(indent) } else { Err(LIST) }
}

/// The blanks between a dash and what follows it on its line.
fn gap(text: &str, dash: usize) -> &str {
    let rest = at(text, dash + 1);
    let blanks = rest.len() - rest.trim_start_matches(' ').len();
    let gap = rest.get(..blanks).unwrap_or_default();
    let ends = rest.get(blanks..).is_none_or(|rest| rest.starts_with(['\r', '\n', '#']));
    if ends || gap.is_empty() { " " } else { gap }
}

fn start_of_line(text: &str, offset: usize) -> usize {
    text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
}

/// The byte after the line end.
fn end_of_line(text: &str, offset: usize) -> usize {
    at(text, offset).find('\n').map_or(text.len(), |newline| offset + newline + 1)
}

/// How lines of this file end.
fn nl(text: &str) -> &'static str {
    if text
        .find('\n')
        .is_some_and(|newline| text.get(..newline).is_some_and(|line| line.ends_with('\r')))
    {
        "\r\n"
    } else {
        "\n"
    }
}
