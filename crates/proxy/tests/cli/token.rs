//! The client token that is made.

use std::fs;

use rustix::process::Signal;

use crate::{Ended, KEY, Running, User, free_port};

#[test]
fn a_token_is_made_beyond_loopback_and_never_logged() {
    let port = free_port();
    let user = User::new();
    let command = || {
        let mut command = user.command(&format!("serve --host 0.0.0.0 --port {port}"));
        command
            .env("OPENCODE_GO_KEYS", format!("home:{KEY}"))
            .env("XDG_STATE_HOME", user.path("state"));
        command
    };
    let file = user.path("state/saros/client.token");
    let mut running = Running::start(command());
    running.address = format!("127.0.0.1:{port}");
    let token = fs::read_to_string(&file).unwrap().trim().to_owned();
    let refused = running.get("/v1/messages/count_tokens", "");
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    let let_in =
        running.get("/v1/messages/count_tokens", &format!("authorization: Bearer {token}\r\n"));
    assert!(!let_in.starts_with("HTTP/1.1 401"), "{let_in}");
    let ended = running.stop(Signal::TERM);
    assert!(ended.out.contains("not localhost"), "{}", ended.out);
    assert!(ended.out.contains(file.to_str().unwrap()), "{}", ended.out);
    assert!(!format!("{ended:?}").contains(&token));

    let ended = Running::start(command()).stop(Signal::TERM);
    assert_eq!(ended.code, Some(0));
    assert_eq!(fs::read_to_string(&file).unwrap().trim(), token);
}

#[test]
fn a_token_that_nobody_can_learn_stops_the_start() {
    let user = User::new();
    fs::write(user.path("file"), "").unwrap();
    let command = || {
        let mut command = user.command(&format!("--host 0.0.0.0 --port {}", free_port()));
        command.env("OPENCODE_GO_KEYS", format!("home:{KEY}"));
        command.env("XDG_STATE_HOME", user.path("file"));
        command
    };
    let ended = Ended::of(command().output().unwrap());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for wanted in ["CLIENT_TOKENS", "`clientTokens`", "writable", "file/saros"] {
        assert!(ended.err.contains(wanted), "{wanted}: {ended:?}");
    }
    assert!(!ended.out.contains("Proxy listening"), "{ended:?}");

    let mut own = command();
    own.env("CLIENT_TOKENS", "0123456789abcdef");
    assert_eq!(Running::start(own).stop(Signal::TERM).code, Some(0));
}

#[test]
fn what_is_no_token_in_its_place_stops_the_start() {
    let user = User::new();
    let folder = user.path("state/saros");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("client.token");
    fs::write(&file, "0123456789abcdef ".repeat(1_000)).unwrap();
    let mut command = user.command(&format!("--host 0.0.0.0 --port {}", free_port()));
    command.env("OPENCODE_GO_KEYS", format!("home:{KEY}"));
    command.env("XDG_STATE_HOME", user.path("state"));
    let ended = Ended::of(command.output().unwrap());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for wanted in [file.to_str().unwrap(), "larger than 4096 bytes", "delete it", "CLIENT_TOKENS"] {
        assert!(ended.err.contains(wanted), "{wanted}: {ended:?}");
    }
    assert!(!format!("{ended:?}").contains("0123456789abcdef"), "{ended:?}");
    assert_eq!(fs::metadata(&file).unwrap().len(), 17_000, "left alone");
}
