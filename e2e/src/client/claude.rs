//! Claude Code.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::client::{Client, ToolCall, installed};
use crate::failure::Outcome;
use crate::process::Finished;
use crate::sandbox::Sandbox;

/// Claude Code, pointed at the proxy as a gateway.
pub struct ClaudeCode {
    /// The variable that holds its credential, which decides the header it comes in.
    pub credential: &'static str,
}

impl Client for ClaudeCode {
    fn program(&self) -> Option<PathBuf> {
        installed("node_modules/@anthropic-ai/claude-code-linux-x64/claude")
    }

    fn model(&self) -> &'static str {
        "minimax-m3"
    }

    fn read(&self, file: &Path) -> ToolCall {
        ToolCall::function("Read", &json!({"file_path": file}))
    }

    fn edit(&self, file: &Path, old: &str, new: &str) -> ToolCall {
        let arguments = json!({"file_path": file, "old_string": old, "new_string": new});
        ToolCall::function("Edit", &arguments)
    }

    fn shell(&self, command: &str) -> ToolCall {
        ToolCall::function("Bash", &json!({"command": command, "description": "Runs it"}))
    }

    fn command(&self, sandbox: &Sandbox, proxy: &str, prompt: &str) -> Outcome<Command> {
        let mut command = sandbox.command(self.program().unwrap_or_default());
        command
            .env("ANTHROPIC_BASE_URL", proxy)
            .env(self.credential, "not-used")
            .env("ANTHROPIC_MODEL", self.model())
            .env("ANTHROPIC_SMALL_FAST_MODEL", self.model())
            .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
            .args(["--print", prompt, "--output-format", "json"])
            .args(["--allowedTools", "Read", "Edit", "Bash"]);
        Ok(command)
    }

    fn session(&self, finished: &Finished) -> Option<String> {
        let result: Value = serde_json::from_str(&finished.stdout).ok()?;
        result["session_id"].as_str().map(str::to_owned)
    }
}
