//! Codex.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::client::{Client, ToolCall, installed};
use crate::failure::Outcome;
use crate::process::Finished;
use crate::sandbox::Sandbox;

/// Codex with one model.
pub struct Codex {
    /// The model. One that Codex knows (`gpt-6-luna`) is offered no plain function tools, but one
    /// free-form tool that takes JavaScript.
    pub model: &'static str,
}

impl Client for Codex {
    fn program(&self) -> Option<PathBuf> {
        installed("node_modules/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex")
    }

    fn model(&self) -> &'static str {
        self.model
    }

    fn hangs_up_early(&self) -> bool {
        true
    }

    fn read(&self, file: &Path) -> ToolCall {
        self.shell(&format!("cat '{}'", file.display()))
    }

    fn edit(&self, file: &Path, old: &str, new: &str) -> ToolCall {
        self.shell(&format!("sed -i 's/{old}/{new}/' '{}'", file.display()))
    }

    fn shell(&self, command: &str) -> ToolCall {
        if self.model.starts_with("gpt-") {
            let quoted = Value::from(command);
            let input = format!("const r = await tools.exec_command({{cmd: {quoted}}}); text(r);");
            return ToolCall::custom("exec", "functions", &input);
        }
        ToolCall::function("exec_command", &json!({"cmd": command}))
    }

    fn command(&self, sandbox: &Sandbox, proxy: &str, prompt: &str) -> Outcome<Command> {
        let config = format!(
            "model = \"{}\"\n\
             model_provider = \"saros\"\n\
             check_for_update_on_startup = false\n\
             [model_providers.saros]\n\
             name = \"Saros\"\n\
             base_url = \"{proxy}/zen/go/v1\"\n\
             wire_api = \"responses\"\n\
             env_key = \"LOCAL_KEY\"\n",
            self.model,
        );
        sandbox.write("home/.codex/config.toml", &config)?;
        let mut command = sandbox.command(self.program().unwrap_or_default());
        command
            .env("LOCAL_KEY", "not-used")
            .args(["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"])
            .arg(prompt);
        Ok(command)
    }

    fn session(&self, finished: &Finished) -> Option<String> {
        let line = finished.stderr.lines().find_map(|line| line.strip_prefix("session id: "));
        line.map(|id| id.trim().to_owned())
    }
}
