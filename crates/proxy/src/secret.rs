//! Keys and tokens: a type that cannot be printed.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use saros_core::id::KeyId;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A key, a token or a master key.
///
/// `Debug` and `Display` show the first and last four characters only (`sk-a...wxyz`), there is no
/// `Serialize`, and [`Secret::expose`] is the one way in, so that every use can be found by its
/// name. Clones share one copy in memory, which is zeroed when the last one goes.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes the text over; the caller's copy becomes ours and is zeroed with it.
    pub fn new(text: String) -> Self {
        Self(Arc::new(Zeroizing::new(text)))
    }

    /// The text itself: for the header that carries it, and for nothing that is shown or stored.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A number that names this secret without revealing it: the first eight bytes of its SHA-256.
    /// The same on every start and machine.
    pub fn fingerprint(&self) -> u64 {
        let hash = digest::digest(&digest::SHA256, self.0.as_bytes());
        hash.as_ref().iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }

    /// [`Secret::fingerprint`] as the identity of a key.
    pub fn key_id(&self) -> KeyId {
        KeyId(self.fingerprint())
    }

    /// Whether `candidate` is this secret. The time it takes tells nothing but whether the lengths
    /// differ.
    pub fn matches(&self, candidate: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(candidate).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.0.as_bytes())
    }
}

impl Eq for Secret {}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.0))
    }
}

/// What may be shown of a secret: the first and last four characters. Of anything shorter than 16
/// characters that would be half of it or more, so nothing is shown.
pub fn mask(secret: &str) -> String {
    let length = secret.chars().count();
    if length < 16 {
        return "***".to_owned();
    }
    let first: String = secret.chars().take(4).collect();
    let last: String = secret.chars().skip(length - 4).collect();
    format!("{first}...{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_four_characters_at_each_end_and_nothing_of_short_ones() {
        let key = Secret::new("sk-abcdefghijklmnopqrstuvwxyz".to_owned());
        assert_eq!(key.to_string(), "sk-a...wxyz");
        assert_eq!(format!("{key:?}"), "sk-a...wxyz");
        assert_eq!(format!("{:?}", Some(&key)), "Some(sk-a...wxyz)");
        for short in ["", "sk-", "0123456789abcde"] {
            assert_eq!(mask(short), "***", "{short:?}");
        }
        assert_eq!(mask("ключ-ключ-ключ-ключ"), "ключ...ключ");
    }

    #[test]
    fn the_fingerprint_is_the_start_of_sha_256() {
        // SHA-256("abc") begins ba7816bf 8f01cfea (FIPS 180-2, appendix B.1).
        assert_eq!(Secret::new("abc".to_owned()).fingerprint(), 0xba78_16bf_8f01_cfea);
    }

    #[test]
    fn compares_whole_texts() {
        let token = Secret::new("0123456789abcdef".to_owned());
        assert!(token.matches(b"0123456789abcdef"));
        for wrong in ["", "0123456789abcde", "0123456789abcdefg", "0123456789abcdeF"] {
            assert!(!token.matches(wrong.as_bytes()), "{wrong:?}");
        }
        assert_eq!(token, token.clone());
    }
}
