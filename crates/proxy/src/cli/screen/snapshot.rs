//! Pages, word for word.

use std::fs;
use std::path::Path;

use unicode_width::UnicodeWidthStr;

use crate::cli::screen::{Look, WIDTH};

const RICH: Look = Look { unicode: true, colors: false };
const COLORS: Look = Look { unicode: true, colors: true };

/// Compares a page with a file below `src/cli`, as a terminal shows it and as a pipe does;
/// `SAROS_WRITE_SNAPSHOTS=1` writes it instead. No line is too long, a pipe gets ASCII only, and
/// colours change nothing else.
pub(crate) fn check(file: &str, page: impl Fn(Look) -> String) {
    let (rich, plain) = (page(RICH), page(Look::PLAIN));
    for line in rich.lines().chain(plain.lines()) {
        assert!(line.width() <= WIDTH, "{} columns: {line}", line.width());
        assert_eq!(line.trim_end(), line, "spaces at its end");
    }
    assert!(plain.is_ascii(), "{plain}");
    assert_eq!(uncolored(&page(COLORS)), rich);
    let text = format!("{rich}\n----- through a pipe -----\n\n{plain}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli").join(file);
    if std::env::var_os("SAROS_WRITE_SNAPSHOTS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&path).unwrap_or_default(), "{}", path.display());
}

fn uncolored(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once('m').expect("a colour").1);
    }
    out
}
