//! The official SDKs without their own retries, in a small agent with two tools.

use saros_e2e::client::sdk::{Call, Language, Sdk};
use saros_e2e::failure::Outcome;
use saros_e2e::task::{Weather, coding_turn};

macro_rules! sdks {
    ($($name:ident: $language:ident $call:ident;)*) => {$(
        mod $name {
            use super::*;

            fn sdk(stream: bool) -> Sdk {
                Sdk { language: Language::$language, call: Call::$call, stream }
            }

            #[test]
            fn without_stream() -> Outcome {
                coding_turn(&sdk(false), Weather::Calm)
            }

            #[test]
            fn streaming() -> Outcome {
                coding_turn(&sdk(true), Weather::Calm)
            }

            #[test]
            fn does_not_notice_failing_accounts() -> Outcome {
                coding_turn(&sdk(false), Weather::Storm)?;
                coding_turn(&sdk(true), Weather::Storm)
            }
        }
    )*};
}

sdks! {
    openai_node_chat: Node Chat;
    openai_node_responses: Node Responses;
    openai_python_chat: Python Chat;
    openai_python_responses: Python Responses;
    anthropic_node: Node Messages;
    anthropic_node_bearer: Node MessagesBearer;
    anthropic_python: Python Messages;
    anthropic_python_bearer: Python MessagesBearer;
}
