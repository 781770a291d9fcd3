//! pi, which sends no session id of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::client::{Client, ToolCall, installed, node};
use crate::failure::Outcome;
use crate::sandbox::Sandbox;

/// pi with one provider in its `models.json`.
pub struct Pi;

impl Client for Pi {
    fn program(&self) -> Option<PathBuf> {
        node()?;
        installed("node_modules/@mariozechner/pi-coding-agent/dist/cli.js")
    }

    fn model(&self) -> &'static str {
        "glm-5.2"
    }

    fn read(&self, file: &Path) -> ToolCall {
        ToolCall::function("read", &json!({"path": file}))
    }

    fn edit(&self, file: &Path, old: &str, new: &str) -> ToolCall {
        let edits = json!([{"oldText": old, "newText": new}]);
        ToolCall::function("edit", &json!({"path": file, "edits": edits}))
    }

    fn shell(&self, command: &str) -> ToolCall {
        ToolCall::function("bash", &json!({"command": command}))
    }

    fn command(&self, sandbox: &Sandbox, proxy: &str, prompt: &str) -> Outcome<Command> {
        let model = json!({
            "id": self.model(),
            "name": "GLM",
            "reasoning": true,
            "input": ["text"],
            "contextWindow": 200_000,
            "maxTokens": 32_000,
            "cost": {"input": 1.0, "output": 3.0, "cacheRead": 0.2, "cacheWrite": 0.0},
        });
        let provider = json!({
            "baseUrl": format!("{proxy}/v1"),
            "api": "openai-completions",
            "apiKey": "not-used",
            "models": [model],
        });
        let models = json!({"providers": {"saros-proxy": provider}});
        sandbox.write("home/.pi/agent/models.json", &models.to_string())?;
        let mut command = sandbox.command(node().unwrap_or_default());
        command.env("PI_OFFLINE", "1").arg(self.program().unwrap_or_default()).args([
            "--print",
            "--provider",
            "saros-proxy",
            "--model",
            self.model(),
            prompt,
        ]);
        Ok(command)
    }
}
