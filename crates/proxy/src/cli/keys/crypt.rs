//! `keys encrypt` and `keys decrypt`, and what a key that comes to encrypted ones becomes.

use std::fs;

use serde_json::json;

use crate::cli::keys::store::{Store, error};
use crate::cli::keys::{Outcome, Said, ask};
use crate::config::envelope::{self, PREFIX};
use crate::config::master::{self, Found, MASTER_KEY, MASTER_KEY_FILE, too_weak};
use crate::config::{Env, Problem, keyring, write};
use crate::secret::Secret;
use crate::state::token;

/// A secret of the file, by what it is.
#[derive(Debug, Clone, Copy)]
enum Spot {
    Key(usize),
    Cookie(usize),
}

/// Every secret of the file.
fn secrets(store: &Store) -> Vec<(Spot, Secret)> {
    let keys = store.document.keys().into_iter().enumerate();
    let keys = keys.filter_map(|(index, key)| Some((Spot::Key(index), key.key?)));
    let cookies = store.document.cookies().into_iter().enumerate();
    let cookies = cookies.filter_map(|(index, cookie)| Some((Spot::Cookie(index), cookie?)));
    keys.chain(cookies).filter(|(_, text)| !text.expose().is_empty()).collect()
}

fn is_encrypted(secret: &Secret) -> bool {
    secret.expose().starts_with(PREFIX)
}

fn put(store: &mut Store, spot: Spot, text: &str) -> Result<(), Box<Problem>> {
    store.edit(|document| match spot {
        Spot::Key(index) => document.set_key(index, text),
        Spot::Cookie(index) => document.set_cookie(index, text),
    })
}

/// The master key of the values that are encrypted already: from where the proxy finds it, else it
/// is asked for. It must open them.
fn master_of(encrypted: &[Secret], env: &dyn Env) -> Result<Secret, Box<Problem>> {
    let master = match master::find(env)? {
        Some((master, _)) => master,
        None => ask::secret("Master key")?,
    };
    let opens =
        encrypted.first().is_none_or(|value| envelope::decrypt(value.expose(), &master).is_ok());
    if opens {
        return Ok(master);
    }
    Err(error(
        "the master key does not open the keys in this file",
        format!("check {MASTER_KEY}; nothing was changed"),
    ))
}

/// The form in which a new key goes into the file: encrypted where others are.
pub fn like_the_others(store: &Store, key: &Secret, env: &dyn Env) -> Result<Secret, Box<Problem>> {
    let encrypted: Vec<Secret> =
        secrets(store).into_iter().map(|(_, text)| text).filter(is_encrypted).collect();
    if encrypted.is_empty() {
        return Ok(key.clone());
    }
    let master = master_of(&encrypted, env)?;
    let value =
        envelope::encrypt(key, &master).map_err(|why| error(why.to_string(), "try again"))?;
    Ok(Secret::new(value))
}

/// Encrypts what is plain.
pub fn encrypt(mut store: Store, keyring: bool, env: &dyn Env) -> Outcome {
    let (encrypted, plain): (Vec<_>, Vec<_>) =
        secrets(&store).into_iter().partition(|(_, text)| is_encrypted(text));
    if plain.is_empty() {
        let what = format!("Nothing in {} is left to encrypt.", store.path.display());
        return Ok(Said::new(what, json!({ "encrypted": 0 })));
    }
    let encrypted: Vec<Secret> = encrypted.into_iter().map(|(_, text)| text).collect();
    let (master, advice) = if encrypted.is_empty() {
        new_master(keyring, env)?
    } else {
        (master_of(&encrypted, env)?, None)
    };
    let texts: Vec<Secret> = plain.iter().map(|(_, text)| text.clone()).collect();
    let values: Vec<String> = envelope::encrypt_all(&texts, &master)
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|why| error(why.to_string(), "nothing was changed"))?;
    // What could not be opened again would be lost.
    let opened =
        envelope::decrypt_all(&values.iter().map(String::as_str).collect::<Vec<_>>(), &master);
    if opened.iter().zip(&texts).any(|(opened, text)| opened.as_ref() != Ok(text)) {
        return Err(error("what was encrypted could not be opened again", "nothing was changed"));
    }
    for ((spot, _), value) in plain.iter().zip(&values) {
        put(&mut store, *spot, value)?;
    }
    let path = store.save()?;
    let mut said = Said::new(
        format!("Encrypted {} in {}.", count(plain.len()), path.display()),
        json!({ "encrypted": plain.len() }),
    );
    let target = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
    let backup = write::backup_of(&target);
    // It is what the file was before: every key in plain text.
    match fs::remove_file(&backup) {
        Ok(()) => {
            said.lines.push("No backup was kept: it would hold them in plain text.".to_owned());
        }
        Err(why) => said
            .lines
            .push(format!("Remove {}: it holds them in plain text ({why}).", backup.display())),
    }
    said.lines.extend(advice);
    Ok(said)
}

/// A master key for values of which none is encrypted yet, and what its owner has to do.
fn new_master(keyring: bool, env: &dyn Env) -> Result<(Secret, Option<String>), Box<Problem>> {
    let strong = |master: Secret| match too_weak(&master) {
        Some(why) => Err(error(why, "choose a longer one; nothing was changed")),
        None => Ok(master),
    };
    if let Some((master, found)) = master::find(env)? {
        let master = strong(master)?;
        if keyring && found != Found::Keyring {
            keep(&master, env)?;
        }
        return Ok((master, None));
    }
    if keyring {
        let master = token::generate("").map_err(|why| error(why.to_string(), "try again"))?;
        keep(&master, env)?;
        let advice = "The master key was made and is in the keyring of this user; on another \
                      machine, or without a desktop session, these keys cannot be read.";
        return Ok((master, Some(advice.to_owned())));
    }
    let master = strong(ask::new_secret("New master key, at least 16 characters")?)?;
    let advice = format!(
        "The proxy needs the master key at every start: put it into a file that only you can read \
         and set {MASTER_KEY_FILE} to its path, or set {MASTER_KEY}. Nobody can recover it."
    );
    Ok((master, Some(advice)))
}

fn keep(master: &Secret, env: &dyn Env) -> Result<(), Box<Problem>> {
    keyring::set(env, master).map_err(|why| {
        error(
            format!("the master key cannot be kept in the keyring: {why}"),
            format!("use {MASTER_KEY_FILE} instead; nothing was changed"),
        )
    })
}

/// Decrypts everything.
pub fn decrypt(mut store: Store, env: &dyn Env) -> Outcome {
    let encrypted: Vec<(Spot, Secret)> =
        secrets(&store).into_iter().filter(|(_, text)| is_encrypted(text)).collect();
    if encrypted.is_empty() {
        let what = format!("Nothing in {} is encrypted.", store.path.display());
        return Ok(Said::new(what, json!({ "decrypted": 0 })));
    }
    let values: Vec<Secret> = encrypted.iter().map(|(_, text)| text.clone()).collect();
    let master = master_of(&values, env)?;
    let texts: Vec<&str> = values.iter().map(Secret::expose).collect();
    for ((spot, _), opened) in encrypted.iter().zip(envelope::decrypt_all(&texts, &master)) {
        let opened = opened.map_err(|_| {
            error(
                "one value in this file is damaged, or has another master key",
                "nothing was changed",
            )
        })?;
        put(&mut store, *spot, opened.expose())?;
    }
    let path = store.save()?;
    Ok(Said::new(
        format!(
            "Decrypted {} in {}: whoever can read the file can use them.",
            count(encrypted.len()),
            path.display()
        ),
        json!({ "decrypted": encrypted.len() }),
    ))
}

fn count(number: usize) -> String {
    if number == 1 { "1 secret".to_owned() } else { format!("{number} secrets") }
}
