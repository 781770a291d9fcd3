//! JSON answers: any chunking reads alike, and a whole document is known to be one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saros_core::format::Format;
use saros_wire::tap::Tap;
use serde_json::Value;

fuzz_target!(|input: (u8, Vec<u8>, Vec<u8>)| {
    let (format, sizes, answer) = input;
    let format = [Format::Chat, Format::Messages, Format::Responses][usize::from(format % 3)];
    let mut once = Tap::new(format);
    once.feed(&answer);

    let mut parts = Tap::new(format);
    let mut rest = answer.as_slice();
    for size in sizes {
        let (part, next) = rest.split_at(rest.len().min(usize::from(size)));
        parts.feed(part);
        rest = next;
    }
    parts.feed(rest);

    assert_eq!(once.complete(), parts.complete());
    assert_eq!(once.reading(), parts.reading());
    if let Ok(Value::Object(_) | Value::Array(_) | Value::String(_)) =
        serde_json::from_slice(&answer)
    {
        assert!(once.complete());
    }
});
