//! `usage` and `explain`: of a proxy that runs, and without one.

use std::io::{BufRead, BufReader};

use rustix::process::{Pid, Signal, kill_process};
use saros_emulator::{Account, Row, Transport, Window};
use saros_emulator::{Action, Fault};
use serde_json::Value;

use crate::service::Service;
use crate::{KEY, Running, User, free_port};

/// A service with two accounts, and a user who has a key of each.
fn two() -> (Service, User, u16) {
    let service = Service::start(Transport::Plain);
    let work = service.emulator.add_account(Account::new("work")).secret;
    let now = service.emulator.clock().now_ms();
    let filled = |label: &str, percent: f64| {
        service
            .emulator
            .account(label, |account| account.quota.set_percent(Window::Weekly, percent, now))
            .unwrap();
    };
    filled("home", 41.5);
    filled("work", 12.5);
    let port = free_port();
    let user = User::with_config(&format!(
        "port: {port}\nupstreamBaseUrl: http://{}\nkeys:\n  - {{label: home, key: {}}}\n  \
         - {{label: work, key: {work}}}\n",
        service.address, service.key
    ));
    (service, user, port)
}

/// Asks until every account has reported.
fn reported(user: &User) -> Value {
    loop {
        let ended = user.run("usage --json");
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{}", ended.out);
        let value: Value = serde_json::from_str(&ended.out).unwrap();
        let accounts = value["accounts"].as_array().unwrap();
        if accounts.iter().all(|account| account["reportedAt"].is_string()) {
            return value;
        }
    }
}

#[test]
fn usage_of_a_running_proxy() {
    let (service, user, port) = two();
    let running = Running::start(user.command(""));
    assert!(running.chat().starts_with("HTTP/1.1 200"));
    let value = reported(&user);
    assert_eq!(value["asked"], "proxy");
    assert_eq!(value["accounts"][0]["label"], "home");
    let asked =
        service.emulator.log().iter().filter(|entry| entry.path.ends_with("/usage")).count();
    assert!(asked <= 4, "the commands ask the proxy, not the service: {asked}");

    let ended = user.run("usage");
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let first = ended.out.lines().next().unwrap();
    assert!(first.starts_with(&format!("Proxy at http://127.0.0.1:{port}, ")), "{first}");
    assert!(ended.out.contains("\nhome  ready, ") && ended.out.contains("\nwork  ready, "));
    assert!(ended.out.contains("week     #####.......      41 %"), "{}", ended.out);
    assert!(ended.out.contains("week     #...........      12 %"), "{}", ended.out);
    assert!(ended.out.contains("glm-5.2"), "{}", ended.out);
    assert!(ended.out.is_ascii() && ended.out.lines().all(|line| line.len() <= 80));

    // Another port than the configured one can be named.
    let nowhere = free_port();
    let ended = user.run(&format!("explain --last --port {nowhere}"));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    running.stop(Signal::TERM);
}

#[test]
fn usage_without_a_proxy_asks_the_service() {
    let (service, user, port) = two();
    let ended = user.run("usage");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said = format!(
        "No proxy runs at http://127.0.0.1:{port}: asking the service itself, once with each key.\n"
    );
    assert_eq!(ended.err, said);
    assert!(ended.out.contains("week     #####.......      41 %"), "{}", ended.out);
    assert!(ended.out.contains("No forecast"), "{}", ended.out);
    let log = service.emulator.log();
    assert_eq!(log.iter().filter(|entry| entry.path.ends_with("/usage")).count(), 2);
    assert_eq!(log.len(), 2, "nothing else");

    let ended = user.run("usage --json");
    let value: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&value["asked"], &value["totals"]), (&"service".into(), &Value::Null));
    assert_eq!(
        value["accounts"][1]["windows"]["weekly"]["percent"],
        serde_json::json!([12.0, 13.0])
    );
    assert!(!format!("{ended:?}").contains(&service.key));

    service.emulator.remove_account("work");
    let ended = user.run("usage");
    assert_eq!(ended.code, Some(0), "one of two answered: {ended:?}");
    assert!(ended.out.contains("work  not usable: the service does not know the key"), "{ended:?}");
}

#[test]
fn usage_where_there_is_nothing_to_ask() {
    let port = free_port();
    let user = User::with_config(&format!("port: {port}\n"));
    let ended = user.run("usage");
    assert_eq!((ended.code, ended.out.as_str()), (Some(3), ""));
    assert!(ended.err.contains("and there are no keys to ask the service with"), "{}", ended.err);
    assert!(ended.err.contains("config.yaml, or start a proxy"), "{}", ended.err);

    let silent = User::with_config(&format!(
        "port: {port}\nupstreamBaseUrl: http://127.0.0.1:1\nkeys: [{{label: a, key: {KEY}}}]\n"
    ));
    let ended = silent.run("usage");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("could not be asked for"), "{}", ended.out);

    for line in ["usage --prot 1", "usage x", "explain", "explain x", "explain --last x"] {
        let ended = user.run(line);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{line}: {ended:?}");
    }
    for line in ["usage --help", "explain --help"] {
        let ended = user.run(line);
        assert_eq!(ended.code, Some(0), "{line}");
        assert!(ended.out.contains("Examples:\n  saros-proxy "), "{}", ended.out);
    }
}

#[test]
fn what_answers_there_may_be_something_else() {
    let (service, user, port) = two();
    // The emulator answers HTTP, but is no proxy.
    let other = service.address.port();
    for line in [format!("usage --port {other}"), format!("explain --last --port {other}")] {
        let ended = user.run(&line);
        let said = format!("What answers at http://127.0.0.1:{other} is no proxy");
        assert!(ended.err.contains(&said), "{ended:?}");
        assert_eq!(ended.code, Some(if line.starts_with("usage") { 0 } else { 3 }), "{ended:?}");
    }
    // One that runs for somebody else does not tell.
    let running = Running::start(user.command(""));
    let stranger = User::with_config(&format!("port: {port}\n"));
    for line in ["usage", "explain --last"] {
        let ended = stranger.run(line);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.err.contains("does not take our token"), "{ended:?}");
        assert!(ended.err.contains("run this as the user who started it"), "{ended:?}");
    }
    running.stop(Signal::TERM);
}

#[test]
fn usage_is_watched() {
    let (_service, user, _) = two();
    let running = Running::start(user.command(""));
    let watching = |line: &str| {
        let mut child = user.command(line).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        (child, out)
    };
    let (mut unread, mut out) = watching("usage --watch");
    assert_ne!(out.read_line(&mut String::new()).unwrap(), 0);
    drop(out);
    let lines = [("usage --watch", "Proxy at "), ("usage --watch --json", "{\"accounts\":")];
    for ((mut child, mut out), first) in lines.map(|(line, first)| (watching(line), first)) {
        let mut seen = 0;
        // One after the other, whole each time.
        while seen < 2 {
            let mut text = String::new();
            assert_ne!(out.read_line(&mut text).unwrap(), 0, "{first}: ended");
            seen += u32::from(text.starts_with(first));
            assert!(!text.contains('\u{1b}'), "{text}");
        }
        let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{first}");
    }
    assert_eq!(unread.wait().unwrap().code(), Some(0), "whoever read it has gone");
    running.stop(Signal::TERM);
}

#[test]
fn a_request_is_explained() {
    let (service, user, _) = two();
    let quota = Row::GoUsage { window: Window::Weekly, retry_after: 500 };
    service.emulator.fault(Fault::new(Action::Row(quota)).key("home"));
    let running = Running::start(user.command(""));
    let ended = user.run("explain --last");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("has served no request yet"), "{ended:?}");

    // One of them goes to home first, and from there to work.
    let (one, two) = (running.chat(), running.chat());
    let ids = [one, two].map(|answer| {
        let (_, rest) = answer.split_once("x-proxy-request-id: ").expect("an id");
        rest.split("\r\n").next().unwrap().to_owned()
    });
    let texts = ids.clone().map(|id| {
        let ended = user.run(&format!("explain {id}"));
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
        assert!(ended.out.starts_with(&format!("Request  {id}, ")), "{}", ended.out);
        assert!(ended.out.is_ascii() && ended.out.lines().all(|line| line.len() <= 80));
        ended.out
    });
    let moved = texts.iter().find(|text| text.contains("Attempt 2  work, because ")).expect("one");
    assert!(moved.contains("Attempt 1  home, because "), "{moved}");
    assert!(moved.contains("It failed: its quota is used up."), "{moved}");
    assert!(moved.contains("    home             0"), "{moved}");
    assert!(moved.contains("out of quota, until "), "{moved}");
    assert!(moved.contains("served by work, 2 attempts"), "{moved}");
    assert!(moved.trim_end().ends_with("It served the request."), "{moved}");
    let last = user.run("explain --last");
    assert_eq!(last.out, texts[1], "the newest");

    let ended = user.run(&format!("explain {} --json", ids[0]));
    let value: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(
        (value["id"].as_str(), value["status"].as_u64()),
        (Some(ids[0].as_str()), Some(200))
    );
    assert!(!value["decisions"][0]["candidates"].as_array().unwrap().is_empty(), "{value}");

    let unknown = "019ab2f4-0c51-7d3e-9a44-5b1f6e0c7a21";
    let ended = user.run(&format!("explain {unknown}"));
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    assert!(ended.err.contains(&format!("knows no request {unknown}")), "{ended:?}");
    assert!(ended.err.contains("the last few thousand"), "{ended:?}");

    running.stop(Signal::TERM);
    let ended = user.run("explain --last");
    assert_eq!((ended.code, ended.out.as_str()), (Some(3), ""));
    assert!(ended.err.contains("No proxy runs at http://127.0.0.1:"), "{ended:?}");
}
