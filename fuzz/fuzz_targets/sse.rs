//! Event streams: any chunking is seen alike, and an own event never merges with what came before.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saros_core::format::Format;
use saros_wire::sse::Watch;

fuzz_target!(|input: (u8, Vec<u8>, Vec<u8>)| {
    let (format, sizes, stream) = input;
    let format = [Format::Chat, Format::Messages, Format::Responses][usize::from(format % 3)];
    let mut once = Watch::new(format);
    once.feed(&stream);

    let mut parts = Watch::new(format);
    let mut rest = stream.as_slice();
    for size in sizes {
        let (part, next) = rest.split_at(rest.len().min(usize::from(size)));
        parts.feed(part);
        rest = next;
    }
    parts.feed(rest);

    assert_eq!(once.terminal(), parts.terminal());
    assert_eq!(once.failed(), parts.failed());
    assert_eq!(once.reading(), parts.reading());
    assert_eq!(once.cut_prefix(), parts.cut_prefix());

    once.feed(once.cut_prefix());
    once.feed(b"data: own\n\n");
    assert_eq!(once.cut_prefix(), b"");
    assert_eq!(once.reading().output_bytes, parts.reading().output_bytes + 3);
});
