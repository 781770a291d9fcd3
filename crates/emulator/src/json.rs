//! Writing JSON by hand where the order of fields is part of the picture.

/// A JSON string literal.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
