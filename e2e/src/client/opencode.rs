//! OpenCode, the client that the service is made for.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, ToolCall, installed};
use crate::failure::Outcome;
use crate::process::Finished;
use crate::sandbox::Sandbox;

/// OpenCode with one provider and model.
pub struct OpenCode {
    /// The provider's id: one that begins with `opencode` makes it send other session headers.
    pub provider: &'static str,
    /// The model, whose entry decides the format.
    pub model: &'static str,
    /// The path of the proxy's base URL.
    pub base: &'static str,
}

impl OpenCode {
    /// The provider block. The service's own provider is known to OpenCode with all its models;
    /// there only the address is changed, as a user would.
    fn provider(&self, proxy: &str) -> Value {
        let options = json!({"baseURL": format!("{proxy}{}", self.base), "apiKey": "not-used"});
        if self.provider == "opencode-go" {
            return json!({"options": options});
        }
        let able = |more: Value| {
            let mut model = json!({
                "reasoning": true,
                "tool_call": true,
                "limit": {"context": 1_000_000, "output": 131_072},
            });
            if let (Some(model), Value::Object(more)) = (model.as_object_mut(), more) {
                model.extend(more);
            }
            model
        };
        json!({
            "npm": "@ai-sdk/openai-compatible",
            "name": "Saros",
            "options": options,
            "models": {
                "glm-5.3": able(json!({"interleaved": {"field": "reasoning_content"}})),
                "minimax-m3": able(json!({"provider": {"npm": "@ai-sdk/anthropic"}})),
                "gpt-6-luna": able(json!({"provider": {"npm": "@ai-sdk/openai"}})),
            },
        })
    }
}

impl Client for OpenCode {
    fn program(&self) -> Option<PathBuf> {
        installed("node_modules/opencode-linux-x64/bin/opencode")
    }

    fn model(&self) -> &'static str {
        self.model
    }

    fn limit(&self) -> Duration {
        Duration::from_mins(3)
    }

    /// The title of the conversation.
    fn side_requests(&self) -> usize {
        1
    }

    fn read(&self, file: &Path) -> ToolCall {
        ToolCall::function("read", &json!({"filePath": file}))
    }

    /// Models of the GPT family are given `apply_patch` instead of `edit`.
    fn edit(&self, file: &Path, old: &str, new: &str) -> ToolCall {
        if self.model.starts_with("gpt-") {
            let patch = format!(
                "*** Begin Patch\n*** Update File: {}\n@@\n-{old}\n+{new}\n*** End Patch",
                file.display()
            );
            return ToolCall::function("apply_patch", &json!({"patchText": patch}));
        }
        let arguments = json!({"filePath": file, "oldString": old, "newString": new});
        ToolCall::function("edit", &arguments)
    }

    fn shell(&self, command: &str) -> ToolCall {
        ToolCall::function("bash", &json!({"command": command, "description": "Runs it"}))
    }

    fn command(&self, sandbox: &Sandbox, proxy: &str, prompt: &str) -> Outcome<Command> {
        let model = format!("{}/{}", self.provider, self.model);
        let config = json!({
            "$schema": "https://opencode.ai/config.json",
            "autoupdate": false,
            "share": "disabled",
            "permission": {"*": "allow"},
            "model": model,
            "small_model": model,
            "provider": {self.provider: self.provider(proxy)},
        });
        sandbox.write("home/.config/opencode/opencode.json", &config.to_string())?;
        let mut command = sandbox.command(self.program().unwrap_or_default());
        command
            .env("OPENCODE_DISABLE_AUTOUPDATE", "1")
            .env("OPENCODE_DISABLE_MODELS_FETCH", "1")
            .args(["run", prompt, "--format", "json", "--model", &model]);
        Ok(command)
    }

    fn session(&self, finished: &Finished) -> Option<String> {
        let first: Value = serde_json::from_str(finished.stdout.lines().next()?).ok()?;
        first["sessionID"].as_str().map(str::to_owned)
    }
}
