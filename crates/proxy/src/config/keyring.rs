//! The operating system's keyring, through the program that comes with it: `secret-tool` of
//! libsecret on Linux, `security` on macOS.
//!
//! A library for it would speak D-Bus and bring some sixty crates; this is asked once at a start,
//! and only where keys are encrypted and neither variable says with what. The master key travels
//! through pipes, never in arguments, which other users can see.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::config::env::Env;
use crate::secret::Secret;

/// What the entry is filed under.
const SERVICE: &str = "saros-proxy";
const ACCOUNT: &str = "master-key";
/// How long the keyring may take: it may ask its owner to unlock it.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(10);

/// The master key in the keyring; `None` where there is no keyring, or none in it.
pub fn get(env: &dyn Env) -> Result<Option<Secret>, String> {
    if !within_reach(env) {
        return Ok(None);
    }
    let mut command = match tool() {
        Some(Tool::SecretTool) => {
            let mut command = Command::new("secret-tool");
            command.args(["lookup", "service", SERVICE, "account", ACCOUNT]);
            command
        }
        Some(Tool::Security) => {
            let mut command = Command::new("/usr/bin/security");
            command.args(["find-generic-password", "-s", SERVICE, "-a", ACCOUNT, "-w"]);
            command
        }
        None => return Ok(None),
    };
    let ended = match run(&mut command, "") {
        Ok(ended) => ended,
        // No program, no keyring.
        Err(Failed::Missing) => return Ok(None),
        Err(Failed::Because(why)) => return Err(why),
    };
    // Not found is an exit code of its own at neither, so what was said counts.
    let found = ended.out.trim_end_matches(['\r', '\n']);
    Ok((ended.good && !found.is_empty()).then(|| Secret::new(found.to_owned())))
}

/// Puts a master key into the keyring, in the place of one that is there.
pub fn set(env: &dyn Env, master: &Secret) -> Result<(), String> {
    let nowhere = || {
        "there is no keyring here: it needs a desktop session and, on Linux, secret-tool \
         (Debian: libsecret-tools)"
            .to_owned()
    };
    if !within_reach(env) {
        return Err(nowhere());
    }
    let master = master.expose();
    let (mut command, input) = match tool() {
        Some(Tool::SecretTool) => {
            let mut command = Command::new("secret-tool");
            command.args(["store", "--label=Saros master key"]);
            command.args(["service", SERVICE, "account", ACCOUNT]);
            (command, Zeroizing::new(master.to_owned()))
        }
        Some(Tool::Security) => {
            // Its own command line, because arguments can be seen by others.
            let quoted = master.replace('\\', "\\\\").replace('"', "\\\"");
            let line =
                format!("add-generic-password -U -s {SERVICE} -a {ACCOUNT} -w \"{quoted}\"\n");
            let mut command = Command::new("/usr/bin/security");
            command.arg("-i");
            (command, Zeroizing::new(line))
        }
        None => return Err(nowhere()),
    };
    match run(&mut command, &input) {
        Ok(ended) if ended.good => {}
        Ok(ended) => return Err(format!("it refused: {}", ended.err.trim())),
        Err(Failed::Missing) => return Err(nowhere()),
        Err(Failed::Because(why)) => return Err(why),
    }
    // What cannot be read again would lock its owner out.
    match get(env)? {
        Some(kept) if kept.matches(master.as_bytes()) => Ok(()),
        _ => Err("it did not keep the master key".to_owned()),
    }
}

#[derive(Clone, Copy)]
enum Tool {
    SecretTool,
    Security,
}

fn tool() -> Option<Tool> {
    if cfg!(target_os = "macos") {
        Some(Tool::Security)
    } else if cfg!(unix) {
        Some(Tool::SecretTool)
    } else {
        None
    }
}

/// Whether there is a session whose keyring could be asked: without its bus, `secret-tool` would
/// try to start one.
fn within_reach(env: &dyn Env) -> bool {
    cfg!(target_os = "macos")
        || env.filled("DBUS_SESSION_BUS_ADDRESS").is_some()
        || env
            .filled("XDG_RUNTIME_DIR")
            .is_some_and(|folder| Path::new(&folder).join("bus").exists())
}

struct Ended {
    good: bool,
    out: Zeroizing<String>,
    err: String,
}

enum Failed {
    /// The program is not installed.
    Missing,
    Because(String),
}

fn run(command: &mut Command, input: &str) -> Result<Ended, Failed> {
    let failed = |error: &std::io::Error| Failed::Because(error.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Failed::Missing),
        child => child.map_err(|error| failed(&error))?,
    };
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read its input says why in its own way.
        drop(stdin.write_all(input.as_bytes()));
    }
    let good = wait(&mut child)?;
    let mut out = Zeroizing::new(String::new());
    let mut err = String::new();
    // Both are a line, which a pipe holds.
    if let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) {
        stdout.read_to_string(&mut out).map_err(|error| failed(&error))?;
        drop(stderr.read_to_string(&mut err));
    }
    Ok(Ended { good, out, err })
}

fn wait(child: &mut Child) -> Result<bool, Failed> {
    let until = Instant::now() + PATIENCE;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) if Instant::now() < until => thread::sleep(LOOK),
            Ok(None) => {
                drop(child.kill());
                drop(child.wait());
                return Err(Failed::Because("it did not answer within a minute".to_owned()));
            }
            Err(error) => return Err(Failed::Because(error.to_string())),
        }
    }
}
