//! Requests as curl sends them.

use saros_e2e::curl::Answer;
use saros_e2e::failure::Outcome;
use saros_e2e::stage::Stage;

/// A format: its path and a body for a model that speaks it.
#[derive(Clone, Copy)]
pub(crate) struct Format {
    pub(crate) path: &'static str,
    pub(crate) model: &'static str,
    /// The body without its `stream`.
    fields: &'static str,
}

pub(crate) const CHAT: Format = Format {
    path: "/v1/chat/completions",
    model: "glm-5.3",
    fields: r#""messages":[{"role":"user","content":"Grüße, 世界 \u0001"}]"#,
};

pub(crate) const MESSAGES: Format = Format {
    path: "/v1/messages",
    model: "minimax-m3",
    fields: r#""max_tokens":300, "messages":[{"role":"user","content":"Hello"}]"#,
};

pub(crate) const RESPONSES: Format =
    Format { path: "/zen/go/v1/responses", model: "gpt-6-luna", fields: r#""input":"Hello""# };

pub(crate) const FORMATS: [Format; 3] = [CHAT, MESSAGES, RESPONSES];

impl Format {
    /// A body, with blanks where no serialiser would put them.
    pub(crate) fn body(self, stream: bool) -> String {
        self.body_for(self.model, stream)
    }

    /// A body that asks for another model.
    pub(crate) fn body_for(self, model: &str, stream: bool) -> String {
        format!("{{ \"model\" : \"{model}\",\"stream\":{stream} ,{}}}\n", self.fields)
    }

    /// Sends this body with further arguments of curl.
    pub(crate) fn send(self, stage: &Stage, body: &str, arguments: &[&str]) -> Outcome<Answer> {
        let mut all = vec!["--header", "content-type: application/json", "--data-binary", body];
        all.extend(arguments);
        stage.proxy.curl(&all, self.path)
    }

    /// Asks once, without a stream.
    pub(crate) fn ask(self, stage: &Stage) -> Outcome<Answer> {
        self.send(stage, &self.body(false), &[])
    }
}
