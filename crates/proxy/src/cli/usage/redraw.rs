//! Drawing on a terminal again and again, without flicker: each line over the one that was there.

use std::io::{self, Write};

use terminal_size::{Height, terminal_size};

/// From its beginning to its drop, the terminal neither shows a cursor nor breaks lines.
#[derive(Debug)]
pub struct Redraw {
    drawn: bool,
}

impl Redraw {
    /// Begins.
    pub fn begin() -> Self {
        drop(io::stdout().write_all(b"\x1b[?25l\x1b[?7l"));
        Self { drawn: false }
    }

    /// Draws a page in place of the one before; what does not fit below is left out.
    pub fn draw(&mut self, page: &str) -> io::Result<()> {
        let rows = terminal_size().map_or(24, |(_, Height(rows))| usize::from(rows));
        let mut out = io::stdout().lock();
        out.write_all(over(page, rows, !self.drawn).as_bytes())?;
        self.drawn = true;
        out.flush()
    }
}

impl Drop for Redraw {
    fn drop(&mut self) {
        let mut out = io::stdout();
        drop(out.write_all(b"\x1b[?7h\x1b[?25h\n"));
        drop(out.flush());
    }
}

/// From the top left: each line, and nothing behind it; then nothing below.
fn over(page: &str, rows: usize, first: bool) -> String {
    let mut text = String::from(if first { "\x1b[2J\x1b[H" } else { "\x1b[H" });
    for (number, line) in page.lines().take(rows.saturating_sub(1).max(1)).enumerate() {
        if number > 0 {
            text.push_str("\r\n");
        }
        text.push_str(line);
        text.push_str("\x1b[K");
    }
    text.push_str("\x1b[J");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_over_those_before() {
        assert_eq!(over("a\nb\n", 9, true), "\x1b[2J\x1b[Ha\x1b[K\r\nb\x1b[K\x1b[J");
        assert_eq!(over("a\nb\nc", 3, false), "\x1b[Ha\x1b[K\r\nb\x1b[K\x1b[J");
        assert_eq!(over("a\nb", 0, false), "\x1b[Ha\x1b[K\x1b[J");
    }
}
