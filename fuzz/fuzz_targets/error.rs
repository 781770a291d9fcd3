//! Error bodies: always an answer, short, on one line, and without the key that upstream echoed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saros_wire::error;
use saros_wire::scrub::scrub;

const KEY: &str = "sk-0123456789abcdefghijklmnopqrstuvwxyz";

fuzz_target!(|input: (u16, Vec<u8>, Vec<u8>)| {
    let (status, before, after) = input;
    let body = [before.as_slice(), KEY.as_bytes(), after.as_slice()].concat();
    let answer = error::answer(status, None, &body);
    assert_eq!(answer.status, status);
    for text in
        [&answer.message, &answer.kind, &answer.code, &answer.workspace].into_iter().flatten()
    {
        assert!(text.len() <= 1024 && !text.is_empty() && !text.contains(char::is_control));
        assert!(!text.contains(KEY));
    }
    let text = String::from_utf8_lossy(&body);
    assert!(!scrub(&text).contains(KEY));
});
