//! The classifier-like `systemone` (upstream.md §1.1, last row): its answer is not published, so
//! this is a guess with the right status.

use super::Answer;
use crate::json::quoted;

pub(crate) fn whole(answer: &Answer) -> String {
    let cost = answer.cost.legacy().map(|cost| format!(r#","cost":"{cost}""#));
    format!(
        r#"{{"id":"sys_{}","object":"systemone","model":{},"output":{},"usage":{{"input_tokens":{},"output_tokens":{}{}}}{}}}"#,
        answer.id,
        quoted(&answer.model),
        quoted(&answer.text),
        answer.tokens.prompt(),
        answer.tokens.output,
        answer.cost.usage_fields(),
        cost.unwrap_or_default()
    )
}
