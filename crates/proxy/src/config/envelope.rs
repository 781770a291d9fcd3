//! Keys encrypted at rest, in the form that the original wrote:
//! `enc:scrypt:<salt>:<iv>:<ciphertext>:<tag>`, each part in base64.
//!
//! The AES-256 key is derived from the master key with scrypt (N = 16384, r = 8, p = 1) and the
//! 16 bytes of salt; the cipher is GCM with a nonce of 12 bytes and a tag of 16.

use std::num::NonZero;
use std::thread;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// What every encrypted value begins with.
pub const PREFIX: &str = "enc:scrypt:";

/// log2 of scrypt's N.
const LOG_N: u8 = 14;
const R: u32 = 8;
const P: u32 = 1;

/// Node's decoder, which read these before, does not insist on padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The value cannot be decrypted: another master key, or damaged. The two cannot be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("wrong master key or damaged value")]
pub struct Undecryptable;

/// Decrypts one value. Takes tens of milliseconds, on purpose of the key derivation.
pub fn decrypt(value: &str, master: &Secret) -> Result<Secret, Undecryptable> {
    let parts = value.strip_prefix(PREFIX).ok_or(Undecryptable)?;
    let parts: Vec<Vec<u8>> = parts
        .split(':')
        .map(|part| BASE64.decode(part).map_err(|_| Undecryptable))
        .collect::<Result<_, _>>()?;
    let [salt, iv, ciphertext, tag] = parts.as_slice() else { return Err(Undecryptable) };

    let params = scrypt::Params::new(LOG_N, R, P).map_err(|_| Undecryptable)?;
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(master.expose().as_bytes(), salt, &params, key.as_mut())
        .map_err(|_| Undecryptable)?;
    let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).map_err(|_| Undecryptable)?;
    let nonce = Nonce::try_assume_unique_for_key(iv).map_err(|_| Undecryptable)?;

    let mut text = Zeroizing::new([ciphertext.as_slice(), tag.as_slice()].concat());
    let text = LessSafeKey::new(key)
        .open_in_place(nonce, Aad::empty(), &mut text)
        .map_err(|_| Undecryptable)?;
    let text = std::str::from_utf8(text).map_err(|_| Undecryptable)?;
    Ok(Secret::new(text.to_owned()))
}

/// Decrypts many, on as many threads as the machine has processors; in the order given.
pub fn decrypt_all(values: &[&str], master: &Secret) -> Vec<Result<Secret, Undecryptable>> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = values.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let workers: Vec<_> = values
            .chunks(share)
            .map(|values| {
                let work = || values.iter().map(|value| decrypt(value, master)).collect::<Vec<_>>();
                (values.len(), scope.spawn(work))
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|(count, worker)| {
                worker.join().unwrap_or_else(|_| vec![Err(Undecryptable); count])
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made by Node 20: `scryptSync(master, salt, 32, {N: 16384, r: 8, p: 1})`, then
    // `createCipheriv("aes-256-gcm", …)`; the parts in base64.
    const MASTER: &str = "correct horse battery staple";
    const FIRST: &str = "enc:scrypt:3JDPB96QfMxkY2zt2zjlUg==:1XnxZdbjZprNDgdc:\
        cytYa4tdaxjXfYzfK7hRkDdZ3Sf/WjRHpOj8AanEPj0OMmwUdUJL:pRBvPVbggbQQlX2ygk2sXw==";
    const SECOND: &str = "enc:scrypt:28RXmuKzqykyE/QruFJwbg==:wThnW9N8fkkxgmSr:\
        qD6vz7vYJjITQlYzI6WWdrmRg357gN832jztsi+Fzxg=:2jaDTj+ETno+vDAqeWeaCQ==";

    #[test]
    fn decrypts_what_node_encrypted() {
        let master = Secret::new(MASTER.to_owned());
        let unpadded = FIRST.replace('=', "");
        let keys = decrypt_all(&[FIRST, SECOND, &unpadded], &master);
        let keys: Vec<&str> = keys.iter().map(|key| key.as_ref().unwrap().expose()).collect();
        let first = "sk-0123456789abcdefghijklmnopqrstuvwxyz";
        assert_eq!(keys, [first, "oc_sk_zyxwvutsrqponmlkjihgfedcba", first]);
    }

    #[test]
    fn refuses_another_master_key_and_damaged_values() {
        let master = Secret::new(MASTER.to_owned());
        let other = Secret::new("correct horse battery stapl".to_owned());
        assert_eq!(decrypt(FIRST, &other), Err(Undecryptable));
        for damaged in [
            FIRST.replace("cytY", "cytZ"),
            FIRST.replace("pRBv", "pRBw"),
            FIRST.replace("1XnxZdbjZprNDgdc", "1XnxZdbjZprNDg=="),
            FIRST.replace("cytY", "????"),
            FIRST.replace(":pRBvPVbggbQQlX2ygk2sXw==", ""),
            format!("{FIRST}:"),
            PREFIX.to_owned(),
            String::new(),
        ] {
            assert_eq!(decrypt(&damaged, &master), Err(Undecryptable), "{damaged}");
        }
        assert!(decrypt_all(&[], &master).is_empty());
    }
}
