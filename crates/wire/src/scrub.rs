//! Masking of secrets in text from outside.
//!
//! Rather one word masked too many than one key shown: the rules look at form only.

use std::borrow::Cow;

/// A key's prefix counts with at least this many key characters behind it.
const KEY_REST: usize = 8;
/// The same inside a word, where `risk-assessment` must stay readable but a key that was glued to
/// something must not.
const GLUED_REST: usize = 24;
/// From this length on, the first and last four characters are shown.
const SHOWN_FROM: usize = 20;

/// Masks every key (`sk-…`, `oc_sk_…`), bearer token and sealed session cookie (`Fe26.2**…`) in
/// `text`: `sk-a...wxyz`, or `****` where so much would show too large a part.
pub fn scrub(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(begin) = text.bytes().skip(at).position(may_begin_secret) {
        at += begin;
        let Some(rest) = text.get(at..) else { break };
        let glued = text.get(..at).and_then(|before| before.chars().next_back());
        match secret(rest, glued.is_some_and(is_key)) {
            Some((lead, secret)) => {
                clean.push_str(text.get(copied..at + lead).unwrap_or_default());
                mask(secret, &mut clean);
                at += lead + secret.len();
                copied = at;
            }
            None => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(clean)
}

/// The first letters of what [`secret`] knows: most text is passed over with a look at its bytes.
fn may_begin_secret(byte: u8) -> bool {
    matches!(byte, b's' | b'o' | b'F' | b'b' | b'B')
}

/// The secret that `text` begins with, and how much stands before it.
fn secret(text: &str, glued: bool) -> Option<(usize, &str)> {
    for prefix in ["oc_sk_", "sk-"] {
        if let Some(rest) = text.strip_prefix(prefix) {
            let length = rest.bytes().take_while(|byte| is_key_byte(*byte)).count();
            let least = if glued { GLUED_REST } else { KEY_REST };
            return (length >= least)
                .then(|| (0, text.get(..prefix.len() + length)))
                .and_then(|(lead, secret)| Some((lead, secret?)));
        }
    }
    if text.starts_with("Fe26.2*") {
        return Some((0, word(text, 0)));
    }
    if text.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("bearer")) {
        let gap = text.bytes().skip(6).take_while(|byte| is_gap(*byte)).count();
        let token = word(text, 6 + gap);
        return (gap > 0 && token.len() >= KEY_REST).then_some((6 + gap, token));
    }
    None
}

/// What stands at `from` up to white space or punctuation that no token contains.
fn word(text: &str, from: usize) -> &str {
    let text = text.get(from..).unwrap_or_default();
    let end = text.find(|c: char| c.is_whitespace() || "\"'`,;<>(){}[]\\".contains(c));
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

fn mask(secret: &str, clean: &mut String) {
    let head = secret.get(..4);
    let tail = secret.len().checked_sub(4).and_then(|from| secret.get(from..));
    match (head, tail) {
        (Some(head), Some(tail)) if secret.len() >= SHOWN_FROM => {
            clean.push_str(head);
            clean.push_str("...");
            clean.push_str(tail);
        }
        _ => clean.push_str("****"),
    }
}

fn is_key(c: char) -> bool {
    u8::try_from(c).is_ok_and(is_key_byte)
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// White space, and what stands between the word and the token in headers and URLs.
fn is_gap(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b':' | b'=' | b'+' | b'%' | b'"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(scrub(text), expected, "{text}");
    }

    #[test]
    fn keys_are_masked_wherever_they_stand() {
        check("sk-abcdefghijklmnopqrstuvwxyz", "sk-a...wxyz");
        check("key sk-ABCdef0123456789ABCdef was refused", "key sk-A...Cdef was refused");
        check(r#"{"k":"oc_sk_abcdefghijklmnopqrst"}"#, r#"{"k":"oc_s...qrst"}"#);
        check("a=sk-abcdefghijklmnopqrstuvwxyz&b", "a=sk-a...wxyz&b");
        check(
            "sk-aaaaaaaaaaaaaaaaaaaaaaaaa,sk-bbbbbbbbbbbbbbbbbbbbbbbbbbb",
            "sk-a...aaaa,sk-b...bbbb",
        );
        check("ein Schlüssel: sk-abcdefghijklmnopqrstuvwxyzä", "ein Schlüssel: sk-a...wxyzä");
    }

    #[test]
    fn short_secrets_show_nothing() {
        check("sk-12345678", "****");
        check("sk-1234567890123456", "****");
        check("sk-12345678901234567", "sk-1...4567");
        check("sk-1234567", "sk-1234567");
    }

    #[test]
    fn words_stay_readable_and_glued_keys_do_not() {
        check("a risk-assessment of task-management", "a risk-assessment of task-management");
        check("xsk-0123456789abcdef0123456789abcdef", "xsk-0...cdef");
        check("desk-", "desk-");
        check("sk-", "sk-");
    }

    #[test]
    fn bearer_tokens_and_cookies() {
        check(
            "Authorization: Bearer abcdefghijklmnopqrstuvwxyz",
            "Authorization: Bearer abcd...wxyz",
        );
        check("bearer   my.token/with+signs==", "bearer   my.t...ns==");
        check("BEARER 12345678", "BEARER ****");
        check("Bearer sk-abcdefghijklmnopqrstuvwxyz.", "Bearer sk-a...xyz.");
        check("Bearer it is", "Bearer it is");
        check("auth=Fe26.2**0123456789*abcdef*xyz; path=/", "auth=Fe26...*xyz; path=/");
        check("Bearer abcdéfghijklmnopqrstuvwxyz", "Bearer abcd...wxyz");
        check("Bearer ééééééééééé", "Bearer éé...éé");
    }

    #[test]
    fn text_without_secrets_is_not_copied() {
        for text in ["", "plain", "Überlastung bei sk", "Bearer"] {
            assert!(matches!(scrub(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
