//! The task that every client is given, and what must be true on both sides when it is done.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, is_installed};
use crate::emulator::{Emulator, Entry, Key, Transport};
use crate::failure::{Outcome, ensure, ensure_eq};
use crate::process::{self, Finished};
use crate::proxy::Proxy;
use crate::sandbox::Sandbox;
use crate::stage::Stage;

const PROMPT: &str = "The function add in calc.py is wrong. Please mend it.";
const BROKEN: &str = "def add(a, b):\n    return a - b\n";
const MENDED: &str = "def add(a, b):\n    return a + b\n";
const LAST_WORDS: &str = "The function adds now.";
const ACCOUNTS: [&str; 3] = ["a", "b", "c"];

/// What happens to the accounts while the client works, and how the service is reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Nothing; over HTTP/1.1.
    Calm,
    /// The account in use loses its key; then the next one in use runs out of quota. Over TLS with
    /// HTTP/2, as the real service is reached.
    Storm,
}

/// Has the client read a file, edit it and look at the result, each with a tool of its own, and
/// checks: the file on the disk, the client's last words, that each turn was asked for exactly
/// once and under one session id, which accounts were tried, and that no secret was written.
///
/// # Errors
/// When anything of that is not so, with the outputs of all three processes.
pub fn coding_turn(client: &dyn Client, weather: Weather) -> Outcome {
    if !is_installed(client)? {
        return Ok(());
    }
    let sandbox = Sandbox::new()?;
    let file = sandbox.write("project/calc.py", BROKEN)?;
    let strike = sandbox.bin().join("strike");
    let turns = turns(client, &file, &strike, weather);
    let transport = if weather == Weather::Storm { Transport::Tls } else { Transport::Plain };
    let emulator = Emulator::start(&sandbox, transport, &ACCOUNTS, &json!({"turns": turns}))?;
    sandbox.program("strike", &strike_program(&emulator))?;
    let proxy = Proxy::start(&sandbox, &emulator, "")?;
    let stage = Stage { proxy, emulator, sandbox };

    let command = client.command(&stage.sandbox, &stage.proxy.url(""), PROMPT)?;
    let finished = process::run(command, client.limit());
    let told = finished.as_ref().map(Finished::told).unwrap_or_default();
    finished
        .and_then(|finished| check(client, weather, &finished, &stage, turns.len()))
        .and_then(|()| check_proxy(client, weather, &stage, turns.len()))
        .map_err(|failure| stage.explained(failure.with("the client", &told)))
}

fn turns(client: &dyn Client, file: &Path, strike: &Path, weather: Weather) -> Vec<Value> {
    // With its path: a client's shell may be a login shell, which sets its own PATH.
    let strike = |how: &str| client.shell(&format!("'{}' {how}", strike.display()));
    let mut turns = vec![client.read(file).turn("I will read the file.")];
    if weather == Weather::Storm {
        turns.push(strike("dead").turn("Now the weather gets worse."));
        turns.push(strike("exhausted").turn("And worse."));
    }
    turns.push(client.edit(file, "    return a - b", "    return a + b").turn("I mend it."));
    turns.push(client.shell("cat calc.py > seen.txt").turn("I look at it."));
    turns.push(client.shell("echo twice >> seen.txt").turn("And again."));
    turns.push(json!({"text": LAST_WORDS}));
    turns
}

/// A program for the client's shell: strikes the account that served the latest request, which is
/// the turn that runs it. So it happens in the middle of the run, whatever the proxy's strategy.
fn strike_program(emulator: &Emulator) -> String {
    let control = format!("{}/__emulator", emulator.base_url());
    let case = |key: &Key| {
        let deleted = json!({"label": key.label, "secret": key.secret, "deleted": true});
        format!("  {}) dead='{}' ;;\n", key.label, json!({"keys": [deleted]}))
    };
    let cases: String = emulator.keys().iter().map(case).collect();
    let curl = format!("curl -sSf {}", emulator.trust().join(" "));
    format!(
        "#!/bin/sh\n\
         set -eu\n\
         label=$({curl} {control}/log | grep -o '\"account\":\"[a-z]*\"' | tail -n 1 | cut -d '\"' -f 4)\n\
         case $label in\n{cases}esac\n\
         exhausted='{{\"percent\":{{\"fiveHour\":100}}}}'\n\
         case $1 in dead) patch=$dead ;; exhausted) patch=$exhausted ;; esac\n\
         {curl} -X PATCH -H 'content-type: application/json' -d \"$patch\" {control}/accounts/$label\n"
    )
}

fn check(
    client: &dyn Client,
    weather: Weather,
    finished: &Finished,
    stage: &Stage,
    turns: usize,
) -> Outcome {
    let sandbox = &stage.sandbox;
    ensure(finished.status.success(), || format!("the client ended with {}", finished.status))?;
    ensure(finished.stdout.contains(LAST_WORDS), || {
        format!("the client did not say {LAST_WORDS:?} in the end")
    })?;
    ensure_eq("calc.py", &sandbox.read("project/calc.py")?.as_str(), &MENDED)?;
    let seen = format!("{MENDED}twice\n");
    ensure_eq("what the client's shell saw", &sandbox.read("project/seen.txt")?, &seen)?;

    let log = stage.emulator.log()?;
    let count = |status: u64| log.iter().filter(|entry| entry.status() == Some(status)).count();
    // Exactly: a client that noticed something would have asked again.
    let answered = count(200) + if client.hangs_up_early() { count(499) } else { 0 };
    ensure_eq("answered requests", &answered, &(turns + client.side_requests()))?;
    let struck = usize::from(weather == Weather::Storm);
    ensure_eq("tries with the dead key", &count(401), &struck)?;
    ensure_eq("tries with the exhausted account", &count(429), &struck)?;
    ensure_eq("requests upstream", &log.len(), &(turns + client.side_requests() + 2 * struck))?;
    let version = if weather == Weather::Storm { "HTTP/2.0" } else { "HTTP/1.1" };
    ensure(log.iter().all(|entry| entry.version() == version), || format!("not all {version}"))?;
    let models: BTreeSet<_> = log.iter().filter_map(Entry::model).collect();
    ensure_eq("models", &models, &BTreeSet::from([client.model()]))?;
    check_session(client, finished, &log)
}

/// One conversation, one session id upstream; the client's own where it tells one.
fn check_session(client: &dyn Client, finished: &Finished, log: &[Entry]) -> Outcome {
    ensure(log.iter().all(|entry| entry.header("x-opencode-session").len() == 1), || {
        "not every request had exactly one x-opencode-session".to_owned()
    })?;
    let sessions: BTreeSet<_> = log.iter().filter_map(Entry::session).collect();
    ensure(sessions.len() == 1, || format!("not one session id upstream: {sessions:?}"))?;
    match client.session(finished) {
        Some(own) => ensure_eq("session id", &sessions, &BTreeSet::from([own.as_str()])),
        None => Ok(()),
    }
}

/// The proxy knows what happened, told nobody the keys, and stops cleanly; each of the client's
/// requests was a success at the first go.
fn check_proxy(client: &dyn Client, weather: Weather, stage: &Stage, turns: usize) -> Outcome {
    let Stage { proxy, emulator, .. } = stage;
    let health = proxy.health()?;
    let finished = proxy.stop(Duration::from_secs(20))?;
    ensure(finished.status.success(), || format!("the proxy ended with {}", finished.status))?;
    proxy.ensure_silent_about(emulator)?;
    let requests = proxy.requests();
    ensure_eq("the client's requests", &requests.len(), &(turns + client.side_requests()))?;
    let good = |line: &&Value| line["status"] == 200 && line["end"] == "complete";
    let bad: Vec<_> = requests.iter().filter(|line| !good(line)).collect();
    ensure(bad.is_empty(), || format!("requests that did not go well: {bad:#?}"))?;
    let disabled = if weather == Weather::Storm { 2 } else { 0 };
    ensure_eq("disabled keys", &health["disabledCount"], &json!(disabled))?;
    for key in emulator.keys() {
        let told = health.to_string().contains(&key.secret);
        ensure(!told, || format!("key {} is in /health", key.label))?;
    }
    ensure_eq("running requests", &health["activeRequests"], &json!(0))
}
