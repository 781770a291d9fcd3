//! Signals.

use std::io::Read;
use std::net::TcpStream;

use rustix::process::Signal;
use saros_emulator::Transport;

use crate::service::Service;
use crate::{KEY, Running, User, free_port, json_lines};

#[test]
fn serves_until_it_is_asked_to_stop() {
    for signal in [Signal::TERM, Signal::INT] {
        let port = free_port();
        let user = User::with_config(&format!(
            "port: {port}\nprot: 1\nusageThreshold: 50\nallowedOrigins: []\nkeys:\n  - label: home\n    key: {KEY}\n"
        ));
        let running = Running::start(user.command(""));
        assert_eq!(running.address, format!("127.0.0.1:{port}"));
        let health = running.get("/health", "");
        assert!(health.starts_with("HTTP/1.1 200"), "{health}");
        let ended = running.stop(signal);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
        let lines = json_lines(&ended.out);
        let messages: Vec<&str> = lines.iter().map(|line| line["msg"].as_str().unwrap()).collect();
        for wanted in [
            &format!("Proxy listening on http://127.0.0.1:{port}"),
            "Upstream: https://opencode.ai",
            "API keys loaded: 1",
            "  - home: sk-a...AAAA",
            "CORS allows all origins",
            "did you mean `port`?",
        ] {
            assert!(messages.iter().any(|line| line.contains(wanted)), "{wanted}: {messages:#?}");
        }
        assert!(!ended.out.contains(KEY));
    }
}

/// Reads until an event has come.
fn first_event(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains("data:") {
        let length = stream.read(&mut buffer).unwrap();
        assert_ne!(length, 0, "{text}");
        text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    text
}

#[test]
fn a_second_signal_ends_at_once_and_streams_hear_of_it() {
    let service = Service::start(Transport::Plain);
    // One event at once, and the next in an hour.
    service.emulator.settings(|settings| settings.pace.gap_ms = 3_600_000);
    let user = User::with_config(&format!(
        "port: {}\nupstreamBaseUrl: http://{}\nshutdownTimeoutMs: 600000\nkeys:\n  - {{label: home, key: {}}}\n",
        free_port(),
        service.address,
        service.key
    ));
    for signals in [[Signal::TERM, Signal::TERM], [Signal::TERM, Signal::INT]] {
        let mut running = Running::start(user.command(""));
        let messages = r#""messages":[{"role":"user","content":"hello"}]"#;
        let input = r#""input":"hello""#;
        let mut streams = [
            ("/v1/chat/completions", "glm-5.2", messages, r#"data: {"error":"#),
            ("/v1/messages", "minimax-m3", messages, "event: error\n"),
            ("/v1/responses", "gpt-6-luna", input, "event: response.failed\n"),
        ]
        .map(|(path, model, content, error)| {
            let body = format!(r#"{{"model":"{model}","stream":true,"max_tokens":100,{content}}}"#);
            let mut stream = running.send("POST", path, "", &body);
            let text = first_event(&mut stream);
            assert!(text.starts_with("HTTP/1.1 200") && !text.contains(error), "{text}");
            (stream, error)
        });
        running.signal(signals[0]);
        running.log_until("a second signal ends them at once");
        let ended = running.stop(signals[1]);
        assert_eq!(ended.code, Some(1), "something was cut: {ended:?}");
        assert!(ended.out.contains("Stopping at once"), "{}", ended.out);
        for (stream, error) in &mut streams {
            let mut rest = String::new();
            stream.read_to_string(&mut rest).unwrap();
            assert_eq!(rest.matches(*error).count(), 1, "{rest}");
            assert!(rest.contains("shutting down"), "{rest}");
            assert!(rest.ends_with("\n\n\r\n0\r\n\r\n"), "and the answer ends whole: {rest}");
        }
    }
}
