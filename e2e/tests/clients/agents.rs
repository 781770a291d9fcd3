//! Coding agents: each reads a file, edits it and looks at the result with its own tools, once in
//! calm weather and once while the account in use dies and the next one runs out of quota.

use saros_e2e::client::claude::ClaudeCode;
use saros_e2e::client::codex::Codex;
use saros_e2e::client::opencode::OpenCode;
use saros_e2e::client::pi::Pi;
use saros_e2e::failure::Outcome;
use saros_e2e::task::{Weather, coding_turn};

macro_rules! agents {
    ($($name:ident: $client:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn completes_a_coding_turn() -> Outcome {
                coding_turn(&$client, Weather::Calm)
            }

            #[test]
            fn does_not_notice_failing_accounts() -> Outcome {
                coding_turn(&$client, Weather::Storm)
            }
        }
    )*};
}

const CHAT: &str = "glm-5.3";
const MESSAGES: &str = "minimax-m3";
const RESPONSES: &str = "gpt-6-luna";

const fn opencode(provider: &'static str, model: &'static str, base: &'static str) -> OpenCode {
    OpenCode { provider, model, base }
}

agents! {
    opencode_chat: opencode("saros-proxy", CHAT, "/zen/go/v1");
    opencode_messages: opencode("saros-proxy", MESSAGES, "/zen/go/v1");
    opencode_responses: opencode("saros-proxy", RESPONSES, "/v1");
    opencode_go_chat: opencode("opencode-go", CHAT, "/v1");
    opencode_go_messages: opencode("opencode-go", MESSAGES, "/v1");
    opencode_go_responses: opencode("opencode-go", RESPONSES, "/zen/go/v1");
    claude_code: ClaudeCode { credential: "ANTHROPIC_API_KEY" };
    claude_code_bearer: ClaudeCode { credential: "ANTHROPIC_AUTH_TOKEN" };
    pi: Pi;
    codex_function_tools: Codex { model: "glm-5.3" };
    codex_freeform_tool: Codex { model: "gpt-6-luna" };
}
