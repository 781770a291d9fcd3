//! Keys encrypted at rest, in the form that the original wrote:
//! `enc:scrypt:<salt>:<iv>:<ciphertext>:<tag>`, each part in base64.
//!
//! The AES-256 key is derived from the master key with scrypt (N = 16384, r = 8, p = 1) and the
//! 16 bytes of salt; the cipher is GCM with a nonce of 12 bytes and a tag of 16.

use std::num::NonZero;
use std::thread;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand;
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

/// Encrypts a text, with a salt and a nonce of its own. Takes tens of milliseconds.
pub fn encrypt(text: &Secret, master: &Secret) -> Result<String, NoRandom> {
    let (mut salt, mut iv) = ([0; 16], [0; 12]);
    rand::fill(&mut salt).and_then(|()| rand::fill(&mut iv)).map_err(|_| NoRandom)?;
    let key = derive(master, &salt).ok_or(NoRandom)?;
    let mut ciphertext = Zeroizing::new(text.expose().as_bytes().to_vec());
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(iv),
            Aad::empty(),
            ciphertext.as_mut_slice(),
        )
        .map_err(|_| NoRandom)?;
    let [salt, iv, ciphertext, tag] =
        [&salt[..], &iv[..], ciphertext.as_slice(), tag.as_ref()].map(|part| BASE64.encode(part));
    Ok(format!("{PREFIX}{salt}:{iv}:{ciphertext}:{tag}"))
}

/// The system gives no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoRandom;

fn derive(master: &Secret, salt: &[u8]) -> Option<LessSafeKey> {
    let params = scrypt::Params::new(LOG_N, R, P).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(master.expose().as_bytes(), salt, &params, key.as_mut()).ok()?;
    UnboundKey::new(&AES_256_GCM, key.as_ref()).ok().map(LessSafeKey::new)
}

/// Decrypts one value. Takes tens of milliseconds, on purpose of the key derivation.
pub fn decrypt(value: &str, master: &Secret) -> Result<Secret, Undecryptable> {
    let parts = value.strip_prefix(PREFIX).ok_or(Undecryptable)?;
    let parts: Vec<Vec<u8>> = parts
        .split(':')
        .map(|part| BASE64.decode(part).map_err(|_| Undecryptable))
        .collect::<Result<_, _>>()?;
    let [salt, iv, ciphertext, tag] = parts.as_slice() else { return Err(Undecryptable) };

    let key = derive(master, salt).ok_or(Undecryptable)?;
    let nonce = Nonce::try_assume_unique_for_key(iv).map_err(|_| Undecryptable)?;

    let mut text = Zeroizing::new([ciphertext.as_slice(), tag.as_slice()].concat());
    let text = key.open_in_place(nonce, Aad::empty(), &mut text).map_err(|_| Undecryptable)?;
    let text = std::str::from_utf8(text).map_err(|_| Undecryptable)?;
    Ok(Secret::new(text.to_owned()))
}

/// Decrypts many, on as many threads as the machine has processors; in the order given.
pub fn decrypt_all(values: &[&str], master: &Secret) -> Vec<Result<Secret, Undecryptable>> {
    in_parallel(values, |value| decrypt(value, master), || Err(Undecryptable))
}

/// Encrypts many in the same way.
pub fn encrypt_all(texts: &[Secret], master: &Secret) -> Vec<Result<String, NoRandom>> {
    in_parallel(texts, |text| encrypt(text, master), || Err(NoRandom))
}

fn in_parallel<T: Sync, R: Send>(
    values: &[T],
    work: impl Fn(&T) -> R + Sync,
    broken: fn() -> R,
) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = values.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let workers: Vec<_> = values
            .chunks(share)
            .map(|values| {
                let work = || values.iter().map(&work).collect::<Vec<_>>();
                (values.len(), scope.spawn(work))
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|(count, worker)| {
                worker.join().unwrap_or_else(|_| (0..count).map(|_| broken()).collect())
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

    #[test]
    fn encrypts_each_with_salt_and_nonce_of_its_own() {
        let master = Secret::new(MASTER.to_owned());
        let texts = ["sk-0123456789abcdefghij", "sk-0123456789abcdefghij", "ü", ""]
            .map(|text| Secret::new(text.to_owned()));
        let values: Vec<String> =
            encrypt_all(&texts, &master).into_iter().map(Result::unwrap).collect();
        for (value, text) in values.iter().zip(&texts) {
            assert_eq!(decrypt(value, &master).as_ref(), Ok(text));
            let lengths: Vec<usize> = value
                .trim_start_matches(PREFIX)
                .split(':')
                .map(|part| BASE64.decode(part).unwrap().len())
                .collect();
            assert_eq!(lengths, [16, 12, text.expose().len(), 16]);
        }
        let parts = |value: &str| value.split(':').map(str::to_owned).collect::<Vec<_>>();
        let (first, second) = (parts(&values[0]), parts(&values[1]));
        assert!(first[2..].iter().zip(&second[2..]).all(|(one, other)| one != other));
    }

    /// What the original did, in the words of its runtime; text and master key come in as JSON.
    const NODE: &str = r#"
        const { scryptSync, createCipheriv, createDecipheriv, randomBytes } = require("crypto");
        const { text, value, master } = JSON.parse(require("fs").readFileSync(0, "utf8"));
        const derive = (salt) => scryptSync(master, salt, 32, { N: 16384, r: 8, p: 1 });
        if (value === undefined) {
            const salt = randomBytes(16), iv = randomBytes(12);
            const cipher = createCipheriv("aes-256-gcm", derive(salt), iv);
            const body = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
            const parts = [salt, iv, body, cipher.getAuthTag()];
            process.stdout.write("enc:scrypt:" + parts.map((p) => p.toString("base64")).join(":"));
        } else {
            const [salt, iv, body, tag] =
                value.split(":").slice(2).map((part) => Buffer.from(part, "base64"));
            const decipher = createDecipheriv("aes-256-gcm", derive(salt), iv);
            decipher.setAuthTag(tag);
            process.stdout.write(Buffer.concat([decipher.update(body), decipher.final()]));
        }
    "#;

    /// What Node makes of it; `None` where there is no Node, which CI does not accept.
    fn node(input: &serde_json::Value) -> Option<String> {
        use std::io::Write;
        use std::process::{Command, Stdio};
        let spawned = Command::new("node")
            .args(["-e", NODE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = spawned else {
            assert!(std::env::var_os("CI").is_none(), "node is missing");
            eprintln!("SKIPPED: node is missing, so nothing was proven against it");
            return None;
        };
        child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        Some(String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn node_and_we_read_each_other() {
        for master in ["correct horse battery staple", "short", "мастер-ключ с пробелами"]
        {
            for text in ["sk-0123456789abcdefghijklmnop", "oc_sk_zyxwvutsrqponmlkjihg", "Fe26.2**x"]
            {
                let secret = |text: &str| Secret::new(text.to_owned());
                let ours = encrypt(&secret(text), &secret(master)).unwrap();
                let asked = serde_json::json!({ "value": ours, "master": master });
                let Some(read) = node(&asked) else { return };
                assert_eq!(read, text);
                let theirs = node(&serde_json::json!({ "text": text, "master": master })).unwrap();
                assert_eq!(decrypt(&theirs, &secret(master)), Ok(secret(text)), "{theirs}");
            }
        }
    }
}
