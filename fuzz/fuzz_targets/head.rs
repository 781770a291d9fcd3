//! Request heads: never a panic, and on real JSON what a JSON parser finds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saros_core::format::Format;
use saros_wire::head::{self, Depth};
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    for format in [Format::Chat, Format::Messages, Format::Responses] {
        let routing = head::read(body, format, Depth::Routing);
        let whole = head::read(body, format, Depth::Conversation);
        assert_eq!(routing.model, whole.model);
        if let Ok(Value::Object(object)) = serde_json::from_slice(body) {
            assert!(routing.well_formed && whole.well_formed);
            assert_eq!(routing.stream, whole.stream);
            // With repeated or escaped keys the parser reads more than we do.
            if body.windows(8).filter(|window| *window == b"\"stream\"").count() == 1
                && !body.contains(&b'\\')
            {
                assert_eq!(whole.stream, object.get("stream") == Some(&Value::Bool(true)));
            }
        }
        if let Some(session) = whole.session {
            assert!(session.len() <= 256 && session.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        assert_eq!(head::session_id("client", whole.opening.unwrap_or_default()).len(), 30);
    }
});
