//! Text for people: what the place it is shown in can show, and lines that fit it.
//!
//! Everything here is pure, but for [`Look::of_stdout`].

use std::fmt::Write as _;
use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::config::Env;

pub mod figures;
pub mod moment;
#[cfg(test)]
pub(crate) mod snapshot;
pub mod words;

/// No line is longer than this, in columns: what the narrowest usual terminal shows.
pub const WIDTH: usize = 80;

/// What the place can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// More than ASCII.
    pub unicode: bool,
    /// Colours.
    pub colors: bool,
}

/// What a piece of text is, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Text.
    Plain,
    /// A heading or a name.
    Strong,
    /// What is beside the point.
    Faint,
    /// As it should be.
    Good,
    /// To be watched.
    Warn,
    /// Out of order, or used up.
    Bad,
}

impl Look {
    /// ASCII without colours: for pipes and files.
    pub const PLAIN: Self = Self { unicode: false, colors: false };

    /// Of standard output: a terminal shows more, unless it calls itself dumb; colours unless
    /// `NO_COLOR` is set (<https://no-color.org>).
    pub fn of_stdout(env: &dyn Env) -> Self {
        let dumb = env.var("TERM").is_some_and(|name| name == "dumb");
        let unicode = std::io::stdout().is_terminal() && !dumb;
        Self { unicode, colors: unicode && env.filled("NO_COLOR").is_none() }
    }

    /// With the colour of a tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let style = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Strong => Style::new().bold(),
            Tone::Faint => Style::new().dimmed(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Warn => AnsiColor::Yellow.on_default(),
            Tone::Bad => AnsiColor::Red.on_default(),
        };
        if self.colors && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    /// Between the ends of a range.
    pub const fn dash(self) -> &'static str {
        if self.unicode { "–" } else { "-" }
    }

    /// Before an error band.
    pub const fn give_or_take(self) -> &'static str {
        if self.unicode { "±" } else { "+/-" }
    }

    /// Where there is no figure.
    pub const fn nothing(self) -> &'static str {
        if self.unicode { "—" } else { "-" }
    }

    /// At the row that is meant.
    pub const fn pointer(self) -> &'static str {
        if self.unicode { "▸" } else { ">" }
    }

    /// In the place of what was cut off.
    const fn cut(self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    /// What somebody else named, in at most so many columns: without anything that could move the
    /// cursor or turn the direction of writing.
    pub fn fit(self, text: &str, columns: usize) -> String {
        let clean = clean(text);
        if clean.width() <= columns {
            return clean;
        }
        let mut left = columns.saturating_sub(self.cut().width());
        let mut short: String = clean
            .chars()
            .take_while(|c| {
                let taken = left.checked_sub(c.width().unwrap_or(0));
                left = taken.unwrap_or(0);
                taken.is_some()
            })
            .collect();
        short.push_str(self.cut());
        short
    }
}

/// Without control characters and marks of direction.
pub fn clean(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { '?' } else { c }).collect()
}

/// Filled up with spaces behind it.
pub fn left(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(missing))
}

/// Filled up with spaces before it.
pub fn right(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(text.width());
    format!("{}{text}", " ".repeat(missing))
}

/// Pieces one behind the other, with commas between, broken into lines that fit. `head` stands
/// before the first line, spaces of its width before the others.
pub fn flow(look: Look, head: &str, head_tone: Tone, pieces: &[(String, Tone)]) -> String {
    let indent = head.width();
    let mut text = look.paint(head_tone, head);
    let mut column = indent;
    for (number, (piece, tone)) in pieces.iter().enumerate() {
        let piece = clean(piece);
        let comma = if number + 1 < pieces.len() { "," } else { "" };
        // What of the piece stands on this line.
        let mut run = String::new();
        let mut words = piece.split(' ').peekable();
        while let Some(word) = words.next() {
            let needed = word.width() + if words.peek().is_none() { comma.len() } else { 0 };
            let space = usize::from(column > indent);
            if space > 0 && column + space + needed > WIDTH {
                text.push_str(&look.paint(*tone, &std::mem::take(&mut run)));
                let _ = write!(text, "\n{}", " ".repeat(indent));
                column = indent;
            } else if space > 0 {
                let before = if run.is_empty() { &mut text } else { &mut run };
                before.push(' ');
                column += 1;
            }
            run.push_str(word);
            column += needed;
        }
        text.push_str(&look.paint(*tone, &run));
        text.push_str(comma);
    }
    text.push('\n');
    text
}

/// Sentences, broken into lines that fit.
pub fn paragraph(look: Look, head: &str, head_tone: Tone, text: &str, tone: Tone) -> String {
    flow(look, head, head_tone, &[(text.to_owned(), tone)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const RICH: Look = Look { unicode: true, colors: false };

    #[test]
    fn what_others_named_fits_and_moves_nothing() {
        for (look, text, columns, shown) in [
            (RICH, "home", 4, "home"),
            (RICH, "homework", 4, "hom…"),
            (Look::PLAIN, "homework", 6, "hom..."),
            (RICH, "日本語", 6, "日本語"),
            (RICH, "日本語", 5, "日本…"),
            (RICH, "日本語", 4, "日…"),
            (RICH, "a\u{1b}[2Jb\u{202e}c\n", 20, "a?[2Jb?c?"),
        ] {
            let fitted = look.fit(text, columns);
            assert_eq!(fitted, shown);
            assert!(fitted.width() <= columns);
        }
        assert_eq!((left("日", 4), right("日", 4)), ("日  ".to_owned(), "  日".to_owned()));
    }

    #[test]
    fn lines_are_broken_between_words() {
        let pieces: Vec<_> =
            ["a few words", "more of them"].map(|text| (text.to_owned(), Tone::Plain)).to_vec();
        assert_eq!(flow(RICH, "x  ", Tone::Plain, &pieces), "x  a few words, more of them\n");
        let colors = Look { unicode: true, colors: true };
        let red = [("one two".to_owned(), Tone::Bad), ("three".to_owned(), Tone::Plain)];
        assert_eq!(flow(colors, "", Tone::Plain, &red), "\u{1b}[31mone two\u{1b}[0m, three\n");
        let long = vec![("word".to_owned(), Tone::Plain); 40];
        let text = flow(RICH, "head  ", Tone::Strong, &long);
        assert!(text.lines().count() > 1);
        assert!(text.lines().all(|line| line.width() <= WIDTH), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("      word")), "{text}");
        assert!(text.lines().all(|line| line.trim_end() == line), "{text:?}");
        assert_eq!(text.matches(',').count(), 39);
    }

    #[test]
    fn colours_only_where_they_are_shown() {
        let colors = Look { unicode: true, colors: true };
        assert_eq!(colors.paint(Tone::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(colors.paint(Tone::Plain, "x"), "x");
        assert_eq!(colors.paint(Tone::Bad, ""), "");
        assert_eq!(RICH.paint(Tone::Bad, "x"), "x");
    }
}
