//! Server-sent events as the providers write them (upstream.md §6.1).

use crate::model::Style;

/// One event, or one comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    kind: Kind,
    data: String,
    /// The format's terminal event, or the first thing that says the answer is complete.
    pub(crate) terminal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Data,
    Named(&'static str),
    Comment,
}

impl Frame {
    /// `data: …`
    pub(crate) fn data(data: String) -> Self {
        Self { kind: Kind::Data, data, terminal: false }
    }

    /// `event: …` and `data: …`
    pub(crate) fn event(name: &'static str, data: String) -> Self {
        Self { kind: Kind::Named(name), data, terminal: false }
    }

    /// `: …`
    pub(crate) fn comment(text: String) -> Self {
        Self { kind: Kind::Comment, data: text, terminal: false }
    }

    /// Marks the terminal event.
    pub(crate) fn terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    /// The bytes.
    pub(crate) fn write(&self, style: &Style) -> String {
        let end = style.separator.line();
        let space = if style.space { " " } else { "" };
        let data = &self.data;
        match self.kind {
            Kind::Data => format!("data:{space}{data}{end}{end}"),
            Kind::Named(name) => format!("event:{space}{name}{end}data:{space}{data}{end}{end}"),
            Kind::Comment => format!(": {data}{end}{end}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Separator;

    #[test]
    fn separators_and_space() {
        let frame = Frame::event("ping", "{}".to_owned());
        let style = Style::default();
        assert_eq!(frame.write(&style), "event: ping\ndata: {}\n\n");
        let style = Style { separator: Separator::CrLf, space: false, ..style };
        assert_eq!(frame.write(&style), "event:ping\r\ndata:{}\r\n\r\n");
        let style = Style { separator: Separator::Cr, ..style };
        assert_eq!(Frame::data("x".to_owned()).write(&style), "data:x\r\r");
        assert_eq!(Frame::comment("ping".to_owned()).write(&style), ": ping\r\r");
    }
}
