//! What the tests of several modules draw from.

use proptest::prelude::*;
use serde_json::Value;

/// Any JSON document, rich in what could mislead a scanner.
pub(crate) fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((text(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Text with the words that are searched for, escapes and quotes.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("model".to_owned()),
        Just("usage".to_owned()),
        Just("cost".to_owned()),
        Just("stream".to_owned()),
        Just(r#""model":"trap""#.to_owned()),
        Just(r#"{"usage":{"prompt_tokens":1}}"#.to_owned()),
        r#"[\\"a{}:,\n]{0,12}"#,
        ".{0,8}",
    ]
}

/// `bytes` cut at the given places, in any order.
pub(crate) fn chunks(bytes: &[u8], mut cuts: Vec<usize>) -> Vec<&[u8]> {
    for cut in &mut cuts {
        *cut %= bytes.len() + 1;
    }
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// Where to cut; empty chunks occur.
pub(crate) fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        Just(Vec::new()),
        Just((0..4096).collect()),
        prop::collection::vec(any::<usize>(), 0..30),
    ]
}
