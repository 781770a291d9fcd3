//! The wire dialects of the service.

/// The dialect in which a client speaks and is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// OpenAI Chat Completions, `POST …/chat/completions`.
    Chat,
    /// Anthropic Messages, `POST …/messages`.
    Messages,
    /// OpenAI Responses, `POST …/responses`.
    Responses,
}

impl Format {
    /// The word used in logs, headers and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Messages => "messages",
            Self::Responses => "responses",
        }
    }

    /// The path below `/v1` at which this format is spoken.
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::Messages => "messages",
            Self::Responses => "responses",
        }
    }
}
