//! What a running proxy leaves in its state folder, and what it makes of it when it starts again.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

/// A user whose service cannot be reached, with a state folder apart.
fn user() -> User {
    User::with_config(&format!(
        "keys: [{{label: a, key: {KEY}}}]\nupstreamBaseUrl: http://127.0.0.1:1\nrequestLog: true\n"
    ))
}

fn start(user: &User, port: u16) -> Running {
    let mut command = user.command(&format!("serve --port {port}"));
    command.env("XDG_STATE_HOME", user.path("state"));
    Running::start(command)
}

fn file(user: &User, name: &str) -> PathBuf {
    user.path("state/saros").join(name)
}

/// Waits until the file is there.
fn appears(path: &Path) -> String {
    loop {
        match fs::read_to_string(path) {
            Ok(text) if !text.is_empty() => return text,
            _ => std::thread::yield_now(),
        }
    }
}

fn control(user: &User) -> String {
    format!("x-api-key: {}\r\n", appears(&file(user, "control.token")).trim())
}

#[test]
fn a_proxy_that_is_killed_finds_its_state_again() {
    let user = user();
    let port = free_port();
    let mut running = start(&user, port);
    let token = control(&user);
    assert!(running.get("/saros/v1/accounts", &token).starts_with("HTTP/1.1 200"));
    assert!(running.get("/saros/v1/accounts", "").starts_with("HTTP/1.1 401"));
    assert!(running.chat().starts_with("HTTP/1.1 502"));
    let saved: serde_json::Value =
        serde_json::from_str(&appears(&file(&user, "state.json"))).unwrap();
    assert_eq!(saved["version"], 1);
    running.child.kill().unwrap();
    running.child.wait().unwrap();

    let again = start(&user, port);
    assert_eq!(control(&user), token, "the token is the same");
    assert!(again.get("/saros/v1/accounts", &token).starts_with("HTTP/1.1 200"));
    let second_port = free_port();
    let second = start(&user, second_port);
    second.chat();
    appears(&file(&user, &format!("state-{second_port}.json")));
    assert_eq!(second.stop(Signal::TERM).code, Some(0));
    let ended = again.stop(Signal::TERM);
    assert_eq!(ended.code, Some(0));
    assert!(!ended.out.contains("cannot be used"), "{}", ended.out);

    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(user.path("state/saros")), 0o700);
    for entry in fs::read_dir(user.path("state/saros")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(path.clone()), 0o600, "{}", path.display());
        assert!(!fs::read_to_string(&path).unwrap().contains(KEY), "{}", path.display());
    }
    let mut home: Vec<_> = fs::read_dir(user.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    home.sort();
    assert_eq!(home, [".config", "state"], "nothing elsewhere");
    assert_eq!(fs::read_dir(user.path(".config/saros")).unwrap().count(), 1, "config.yaml");
}

#[test]
fn a_damaged_state_is_set_aside() {
    let user = user();
    fs::create_dir_all(user.path("state/saros")).unwrap();
    fs::write(file(&user, "state.json"), "{\"version\": 99}").unwrap();
    let mut running = start(&user, free_port());
    running.log_until("cannot be used");
    assert!(running.log.contains("newer"), "{}", running.log);
    assert_eq!(running.stop(Signal::TERM).code, Some(0));
    let aside = fs::read_dir(user.path("state/saros")).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
        name.starts_with("state.json.bad-")
    });
    assert_eq!(aside.count(), 1);
}

#[test]
fn requests_are_kept_as_lines_of_a_trace() {
    let user = user();
    let running = start(&user, free_port());
    running.chat();
    running.get("/health", "");
    assert_eq!(running.stop(Signal::TERM).code, Some(0));
    let lines = json_lines(&fs::read_to_string(file(&user, "requests.jsonl")).unwrap());
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(line["timestamp"].as_i64().is_some_and(|at| at > 1_700_000_000_000), "{line}");
    assert_eq!(line["session"].as_str().map(str::len), Some(16), "{line}");
    assert_eq!((&line["model"], &line["label"]), (&"glm-5.2".into(), &"a".into()), "{line}");
    assert_eq!((line["status"].as_u64(), line["attempts"].as_u64()), (Some(502), Some(1)));
    assert!(line.get("input_tokens").is_none(), "it was not served: {line}");
}

#[test]
fn a_folder_that_cannot_be_written_is_warned_about_once() {
    let user = user();
    fs::write(user.path("state"), "a file in its place").unwrap();
    let running = start(&user, free_port());
    assert!(running.chat().starts_with("HTTP/1.1 502"));
    let ended = running.stop(Signal::TERM);
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.out.matches("The state folder cannot be written").count(), 1, "{ended:?}");
}
