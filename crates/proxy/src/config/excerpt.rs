//! The line of the file that a problem is in, without the secrets that stand in it.
//!
//! A configuration file is mostly keys, and a line can be wrong in ways that make it impossible to
//! know which part of it is one. So the rule is what may be shown, not what must be hidden: names
//! of options, short words, and the value that the problem is about if that is no secret. All else
//! before it is starred out, and what follows is left away.

use std::ops::Range;

use crate::config::options;
use crate::secret::mask;

/// A line that may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The line.
    pub(crate) line: String,
    /// The bytes of it that the problem is about.
    pub(crate) span: Range<usize>,
}

/// What of a value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// All of it, but the user part of a URL and what is long enough to be a key: what stands in
    /// the place of an address may be anything.
    Url,
    /// All of it unless it is long enough to be a key: no number or word of an option is.
    Value,
    /// It is a name, right or wrong.
    Name,
    /// Nothing but the ends.
    Secret,
}

/// The shortest text that is taken for a secret where nothing is known about it: the shortest
/// client token.
const LONG: usize = 16;

/// The names whose values are secrets.
const SECRET_NAMES: [&str; 4] = ["key", "keys", "clientTokens", "authCookie"];

impl Show {
    /// What may be shown of a text.
    pub(crate) fn apply(self, text: &str) -> String {
        let one_line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        match self {
            Self::Secret => mask(one_line.trim_matches(['"', '\''])),
            Self::Value if one_line.chars().count() >= LONG => mask(&one_line),
            Self::Value | Self::Name => saros_wire::scrub::scrub(&one_line).into_owned(),
            Self::Url => {
                let text = saros_wire::scrub::scrub(&one_line).into_owned();
                let text = match (text.find("://"), text.rfind('@')) {
                    (Some(scheme), Some(at)) if scheme + 3 <= at => {
                        let (head, rest) = text.split_at(scheme + 3);
                        format!("{head}***{}", rest.get(at - scheme - 3..).unwrap_or_default())
                    }
                    _ => text,
                };
                without_long_words(&text)
            }
        }
    }
}

/// Masks every word of an address that is long enough to be a key.
fn without_long_words(text: &str) -> String {
    let parts =
        text.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
    let masked = parts.map(|part| {
        let word =
            part.trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
        let end = part.get(word.len()..).unwrap_or_default();
        if word.len() >= LONG { mask(word) + end } else { part.to_owned() }
    });
    masked.collect()
}

impl Excerpt {
    /// Cuts the line in which `span` begins.
    pub(crate) fn cut(text: &str, span: Range<usize>, show: Show) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text.get(span.start..).and_then(|rest| rest.find('\n'));
        let line_end = line_end.map_or(text.len(), |length| span.start + length);
        let end = span.end.clamp(span.start, line_end);
        let shown = text.get(span.start..end).unwrap_or_default().trim_end();
        let rest = text.get(span.start + shown.len()..line_end).unwrap_or_default();

        let mut line = starred(text.get(line_start..span.start).unwrap_or_default());
        let start = line.len();
        line.push_str(&show.apply(shown));
        let span = start..line.len().max(start);
        if !rest.trim().is_empty() {
            line.push_str(" …");
        }
        Self { line, span }
    }

    /// Cuts the line in which a parser gave up at `offset`: nothing is known about its parts.
    pub(crate) fn cut_at(text: &str, offset: usize) -> Self {
        let offset = text.floor_char_boundary(offset);
        let before = text.get(..offset).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let rest = text.get(offset..).unwrap_or_default();
        let word = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
        let line = starred(text.get(line_start..offset + word).unwrap_or_default());
        let start = starred(text.get(line_start..offset).unwrap_or_default()).len();
        let start = start.min(line.len());
        let end = line.len();
        Self { line, span: start..end }
    }
}

/// The text with everything that may be a secret replaced by as many stars, so that columns stay.
fn starred(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut secret = false;
    let mut rest = text;
    while !rest.is_empty() {
        let separator = |c: char| c.is_whitespace() || "{}[],\"'".contains(c);
        let gap = rest.find(|c| !separator(c)).unwrap_or(rest.len());
        let (gap, after) = rest.split_at(gap);
        out.extend(gap.chars().map(|c| if c.is_control() { ' ' } else { c }));
        let (word, after) = after.split_at(after.find(separator).unwrap_or(after.len()));
        rest = after;
        // `name:`, or `"name"` with the colon behind the quote.
        let quoted = rest.strip_prefix(['"', '\'']).is_some_and(|rest| rest.starts_with(':'));
        let name =
            word.strip_suffix(':').or(quoted.then_some(word)).filter(|name| !name.is_empty());
        let known = name.is_some_and(options::is_known_name);
        if let Some(name) = name.filter(|name| known || name.chars().count() < LONG) {
            secret = SECRET_NAMES.contains(&name);
            out.push_str(word);
        } else if secret && word != "-" && word != ":" || word.chars().count() >= LONG {
            out.extend(word.chars().map(|_| '*'));
        } else {
            out.push_str(word);
        }
    }
    saros_wire::scrub::scrub(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `«…»` marks the span in `text` and in what is expected.
    fn check(text: &str, show: Show, expected: &str) {
        let start = text.find('«').unwrap();
        let end = text.find('»').unwrap() - '«'.len_utf8();
        let excerpt = Excerpt::cut(&text.replace(['«', '»'], ""), start..end, show);
        let (before, rest) = excerpt.line.split_at(excerpt.span.start);
        let (inside, after) = rest.split_at(excerpt.span.len());
        assert_eq!(format!("{before}«{inside}»{after}"), expected, "{text}");
    }

    #[test]
    fn shows_what_the_problem_is_about() {
        check("a: 1\nport: «99999»\nb: 2", Show::Value, "port: «99999»");
        check("port: «99999» # why", Show::Value, "port: «99999» …");
        check(
            "upstreamBaseUrl: «http://a.b/a-long-path»",
            Show::Url,
            "upstreamBaseUrl: «http://a.b/a-long-path»",
        );
        check(
            "upstreamBaseUrl: «https://me:pw@a.b/c»",
            Show::Url,
            "upstreamBaseUrl: «https://***@a.b/c»",
        );
        check("«circuitBreakerTreshold»: 3", Show::Name, "«circuitBreakerTreshold» …");
        check("  - key: «sk-0123456789abcdefwxyz»", Show::Secret, "  - key: «sk-0...wxyz»");
        check("  - key: «\"0123456789abcdefwxyz\"»", Show::Secret, "  - key: «0123...wxyz»");
        check("  - key: «short»", Show::Secret, "  - key: «***»");
        check("port: «my-client-token-in-the-wrong-place»", Show::Value, "port: «my-c...lace»");
    }

    #[test]
    fn never_shows_other_values_of_the_line() {
        check(
            "{keys: [{label: a, key: short}], port: «0»}",
            Show::Value,
            "{keys: [{label: a, key: *****}], port: «0» …",
        );
        check(
            "{\"key\":\"short\",\"port\":«0»,\"key\":\"x\"}",
            Show::Value,
            "{\"key\":\"*****\",\"port\":«0» …",
        );
        check(
            "{clientTokens: [a, b], circuitBreakerThreshold: «0»}",
            Show::Value,
            "{clientTokens: [*, *], circuitBreakerThreshold: «0» …",
        );
        check("{x: 0123456789abcdef, port: «0»}", Show::Value, "{x: ****************, port: «0» …");
        check(
            "{clientToken: 0123456789abcdef, «x»: 1}",
            Show::Name,
            "{clientToken: ****************, «x» …",
        );
    }

    #[test]
    fn where_a_parser_gave_up_nothing_long_is_shown() {
        let shown = |text: &str, offset| {
            let excerpt = Excerpt::cut_at(text, offset);
            assert!(excerpt.line.get(excerpt.span.clone()).is_some(), "{excerpt:?}");
            excerpt.line
        };
        assert_eq!(shown("a: b: sk-secret-secret-secret", 4), "a: b:");
        assert_eq!(shown("key: 'short", 5), "key: '*****");
        assert_eq!(shown("a: 1\n  0123456789abcdef-x: [", 7), "  *******************");
        assert_eq!(shown("a: 1", 4), "a: 1");
        assert_eq!(shown("", 0), "");
        assert_eq!(shown("a: 1", 99), "a: 1");
    }
}
