//! What the body of an error answer says.

use saros_core::fault::Answer;

/// Reads an answer that is not a 2xx. Tolerant: every body yields an [`Answer`].
pub fn answer(status: u16, retry_after: Option<u64>, _body: &[u8]) -> Answer {
    Answer { status, retry_after, ..Answer::default() }
}
