//! A text as a YAML scalar.

/// How the scalar in whose place another is put was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
}

impl Style {
    /// Of a scalar as it stands in the file.
    pub(super) fn of(written: &str) -> Self {
        match written.as_bytes().first() {
            Some(b'\'') => Self::Single,
            Some(b'"') => Self::Double,
            _ => Self::Plain,
        }
    }
}

/// Words that are no texts to one reader or another.
const RESERVED: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];

/// Writes a text without control characters, in this style where that is possible.
pub(super) fn write(text: &str, style: Style) -> String {
    match style {
        Style::Plain if is_plain(text) => text.to_owned(),
        Style::Single => format!("'{}'", text.replace('\'', "''")),
        Style::Plain | Style::Double => {
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        }
    }
}

/// What every reader takes for a text, wherever it stands.
fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml::{self, Value};

    #[test]
    fn what_is_written_is_what_is_read() {
        for text in [
            "home",
            "a b",
            "007",
            "1e3",
            "true",
            "No",
            "~",
            "",
            "-",
            "- x",
            "a: b",
            "a #b",
            "#a",
            "it's",
            "say \"hi\"",
            "back\\slash",
            "{a}",
            "[a]",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a`",
            "a,b",
            "ü",
            "enc:scrypt:a=:b+:c/:d==",
            " a ",
            "x: ",
            "null",
        ] {
            for style in [Style::Plain, Style::Single, Style::Double] {
                let written = write(text, style);
                for file in [format!("a: {written}\n"), format!("{{a: {written}, b: 1}}\n")] {
                    let node = yaml::parse(&file).unwrap_or_else(|e| panic!("{file}: {e:?}"));
                    let Value::Map(entries) = &node.value else { panic!() };
                    assert_eq!(entries[0].node.text(), Some(text), "{file}");
                }
            }
        }
        assert_eq!(write("sk-abc_DEF.1/2", Style::Plain), "sk-abc_DEF.1/2");
        assert_eq!(Style::of("'a'"), Style::Single);
    }
}
