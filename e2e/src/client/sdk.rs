//! The official SDKs, each in a small agent of this folder (`sdk/agent.mjs`, `sdk/agent.py`).

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::client::{Client, ToolCall, installed, node};
use crate::failure::Outcome;
use crate::sandbox::Sandbox;

/// The language of the SDK.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// `openai` and `@anthropic-ai/sdk` of npm.
    Node,
    /// `openai` and `anthropic` of `PyPI`.
    Python,
}

/// Which call of the SDK.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// OpenAI's Chat Completions.
    Chat,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages; the credential comes in `x-api-key`.
    Messages,
    /// The same with the credential as a Bearer token.
    MessagesBearer,
}

/// One SDK, one call, streaming or not. It makes no retries of its own.
pub struct Sdk {
    /// The language.
    pub language: Language,
    /// The call.
    pub call: Call,
    /// Streaming.
    pub stream: bool,
}

impl Client for Sdk {
    fn program(&self) -> Option<PathBuf> {
        match self.language {
            Language::Node => {
                installed("node_modules/openai")?;
                installed("node_modules/@anthropic-ai/sdk")?;
                node()
            }
            Language::Python => {
                installed(".venv/.installed-from")?;
                installed(".venv/bin/python")
            }
        }
    }

    fn model(&self) -> &'static str {
        match self.call {
            Call::Chat => "glm-5.3",
            Call::Responses => "gpt-6-luna",
            Call::Messages | Call::MessagesBearer => "minimax-m3",
        }
    }

    /// Those of OpenAI read until `[DONE]`.
    fn hangs_up_early(&self) -> bool {
        self.stream && matches!(self.call, Call::Chat | Call::Responses)
    }

    fn read(&self, file: &Path) -> ToolCall {
        self.shell(&format!("cat '{}'", file.display()))
    }

    fn edit(&self, file: &Path, old: &str, new: &str) -> ToolCall {
        ToolCall::function("edit", &json!({"path": file, "old": old, "new": new}))
    }

    fn shell(&self, command: &str) -> ToolCall {
        ToolCall::function("shell_command", &json!({"command": command}))
    }

    fn command(&self, sandbox: &Sandbox, proxy: &str, prompt: &str) -> Outcome<Command> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk");
        let agent = match self.language {
            Language::Node => "agent.mjs",
            Language::Python => "agent.py",
        };
        let call = match self.call {
            Call::Chat => "chat",
            Call::Responses => "responses",
            Call::Messages => "messages",
            Call::MessagesBearer => "messages-bearer",
        };
        let mut command = sandbox.command(self.program().unwrap_or_default());
        let stream = if self.stream { "stream" } else { "plain" };
        command.arg(folder.join(agent)).args([proxy, self.model(), call, stream, prompt]);
        Ok(command)
    }
}
