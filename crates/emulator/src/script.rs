//! The scripted model: what it says and which tools it calls, turn by turn.
//!
//! The turn is the number of assistant turns already in the conversation, so a script keeps no
//! state, survives failover, and serves any number of conversations at once.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::tools::{self, Offered};

/// What a model says, turn by turn. Beyond the last turn, the last is repeated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Script {
    /// The turns.
    pub turns: Vec<Turn>,
}

/// One turn: reasoning, then text, then calls; each may be missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Turn {
    /// Thought before anything else.
    pub reasoning: String,
    /// Said.
    pub text: String,
    /// Tool calls. Of each call's options the first whose tool the request offers is taken; a call
    /// without such an option is left out.
    pub calls: Vec<Vec<CallOption>>,
}

/// One way to make a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum CallOption {
    /// A function tool.
    Function {
        /// The tool's name.
        name: String,
        /// Its arguments, a JSON object.
        arguments: Value,
    },
    /// A free-form tool of the Responses format (Codex).
    Custom {
        /// The tool's name.
        name: String,
        /// The namespace it is offered in.
        #[serde(default)]
        namespace: Option<String>,
        /// Its input, any text.
        input: String,
    },
}

impl CallOption {
    fn is_offered(&self, offered: &[Offered]) -> bool {
        match self {
            Self::Function { name, .. } => offered.iter().any(|t| !t.custom && t.name == *name),
            Self::Custom { name, namespace, .. } => {
                offered.iter().any(|t| t.custom && t.name == *name && t.namespace == *namespace)
            }
        }
    }
}

impl Turn {
    /// A turn that only says something.
    pub fn text(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }

    /// A turn that runs a shell command with whatever shell tool the client offers.
    pub fn shell(command: &str) -> Self {
        Self { calls: vec![shell(command)], ..Self::default() }
    }

    /// A turn with one call that has one form.
    pub fn call(name: &str, arguments: Value) -> Self {
        let option = CallOption::Function { name: name.to_owned(), arguments };
        Self { calls: vec![vec![option]], ..Self::default() }
    }

    /// With reasoning before it.
    #[must_use]
    pub fn reasoning(mut self, reasoning: &str) -> Self {
        reasoning.clone_into(&mut self.reasoning);
        self
    }
}

impl Script {
    /// Runs the commands one a turn, then says the text.
    pub fn shell(commands: &[&str], text: &str) -> Self {
        let mut turns: Vec<Turn> = commands.iter().map(|command| Turn::shell(command)).collect();
        turns.push(Turn::text(text));
        Self { turns }
    }

    /// The turn to speak, with each call decided for the tools of this request.
    pub(crate) fn speak(&self, turns: usize, body: &[u8]) -> Spoken {
        let Some(turn) = self.turns.get(turns).or_else(|| self.turns.last()) else {
            return Spoken::default();
        };
        let offered = if turn.calls.is_empty() { Vec::new() } else { tools::offered(body) };
        let chosen = turn.calls.iter().filter_map(|options| {
            options.iter().find(|option| option.is_offered(&offered)).cloned()
        });
        Spoken {
            reasoning: turn.reasoning.clone(),
            text: turn.text.clone(),
            calls: chosen.collect(),
        }
    }

    /// What the last turn says: for requests that offer no tools.
    pub(crate) fn last_words(&self) -> String {
        self.turns.last().map(|turn| turn.text.clone()).unwrap_or_default()
    }
}

/// A turn, decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Spoken {
    pub(crate) reasoning: String,
    pub(crate) text: String,
    pub(crate) calls: Vec<CallOption>,
}

/// The shell tools of the clients of clients.md: OpenCode and pi `bash`, Claude Code `Bash`,
/// Codex `exec_command`, `shell_command`, `shell`, and for models it knows the custom tool `exec`,
/// whose input is JavaScript.
fn shell(command: &str) -> Vec<CallOption> {
    let function =
        |name: &str, arguments| CallOption::Function { name: name.to_owned(), arguments };
    let custom = |namespace: Option<&str>| CallOption::Custom {
        name: "exec".to_owned(),
        namespace: namespace.map(str::to_owned),
        input: format!(
            "const r = await tools.exec_command({{cmd: {}}}); text(r);",
            Value::from(command)
        ),
    };
    let described = json!({"command": command, "description": "Runs a command"});
    vec![
        function("bash", described.clone()),
        function("Bash", described),
        custom(Some("functions")),
        custom(None),
        function("exec_command", json!({"cmd": command})),
        function("shell_command", json!({"command": command})),
        function("shell", json!({"command": ["bash", "-lc", command]})),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_fits_the_client() {
        let script = Script::shell(&["ls", "pwd"], "Done.");
        let chosen = |turns, body: &str| script.speak(turns, body.as_bytes()).calls;
        let name = |calls: &[CallOption]| match calls.first() {
            Some(CallOption::Function { name, arguments }) => format!("{name} {arguments}"),
            Some(CallOption::Custom { name, namespace, input }) => {
                format!("{name} {namespace:?} {input}")
            }
            None => String::new(),
        };
        let opencode = r#"{"tools":[{"type":"function","function":{"name":"bash"}}]}"#;
        assert!(name(&chosen(0, opencode)).starts_with("bash {\"command\":\"ls\""));
        assert!(name(&chosen(1, opencode)).contains("pwd"));
        assert!(chosen(2, opencode).is_empty());
        let claude = r#"{"tools":[{"name":"Read"},{"name":"Bash","input_schema":{}}]}"#;
        assert!(name(&chosen(0, claude)).starts_with("Bash"));
        let codex = r#"{"input":[{"type":"additional_tools","tools":[
            {"type":"namespace","name":"functions","tools":[{"type":"custom","name":"exec"}]}]}]}"#;
        assert_eq!(
            name(&chosen(0, codex)),
            r#"exec Some("functions") const r = await tools.exec_command({cmd: "ls"}); text(r);"#
        );
        let plain = r#"{"tools":[{"type":"function","name":"shell"}]}"#;
        assert_eq!(name(&chosen(0, plain)), r#"shell {"command":["bash","-lc","ls"]}"#);
        assert!(chosen(0, r#"{"tools":[{"name":"other"}]}"#).is_empty());
        assert_eq!(script.speak(9, b"{}").text, "Done.", "the last turn repeats");
    }
}
