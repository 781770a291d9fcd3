//! `HTTPS_PROXY` and `NO_PROXY`.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::{fs, thread};

use rustix::process::Signal;
use saros_emulator::Transport;

use crate::service::Service;
use crate::{Ended, Running, User, free_port};

/// What an owner would write, with credentials that may appear nowhere.
const USER: &str = "me:p%40ssword";
/// `me:p@ssword`.
const BASIC: &str = "bWU6cEBzc3dvcmQ=";

/// A forward proxy that sends every tunnel to one place, or refuses all.
struct Forward {
    address: SocketAddr,
    /// The heads of the requests it got.
    heads: Receiver<String>,
}

impl Forward {
    fn start(to: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, heads) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(head) = head(&mut stream) else { continue };
                if tell.send(head).is_err() {
                    return;
                }
                let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
                match to {
                    Some(to) => join(&stream, &TcpStream::connect(to).unwrap()),
                    None => drop(stream.write_all(refusal)),
                }
            }
        });
        Self { address, heads }
    }
}

/// Up to the empty line, if it comes.
fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.extend_from_slice(&byte);
    }
    String::from_utf8(head).ok()
}

fn join(mut client: &TcpStream, server: &TcpStream) {
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
    let ends = [(client, server), (server, client)];
    for (from, to) in ends.map(|(from, to)| (from.try_clone().unwrap(), to.try_clone().unwrap())) {
        thread::spawn(move || {
            let _broken: io::Result<u64> = io::copy(&mut &from, &mut &to);
            let _gone: io::Result<()> = to.shutdown(Shutdown::Write);
        });
    }
}

fn command(user: &User, key: &str, forward: &Forward) -> Command {
    let mut command = user.command(&format!("--port {}", free_port()));
    command.env("OPENCODE_GO_KEYS", format!("home:{key}"));
    command.env("HTTPS_PROXY", format!("http://{USER}@{}/", forward.address));
    command
}

fn assert_discreet(ended: &Ended) {
    for secret in ["p%40ssword", "p@ssword", BASIC] {
        assert!(!format!("{ended:?}").contains(secret), "{secret}: {ended:?}");
    }
}

#[test]
fn the_service_is_reached_through_it_and_the_start_says_so() {
    let service = Service::start(Transport::Tls);
    let forward = Forward::start(Some(service.address));
    let user = User::new();
    let authority = user.path("authority.pem");
    fs::write(&authority, service.emulator.certificate_pem().unwrap()).unwrap();
    let mut command = command(&user, &service.key, &forward);
    command.env("SSL_CERT_FILE", authority).env("NO_PROXY", "example.org, localhost");
    let running = Running::start(command);
    let answer = running.chat();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let head = forward.heads.recv().unwrap();
    assert!(head.starts_with("CONNECT opencode.ai:443 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("Proxy-Authorization: Basic {BASIC}\r\n")), "{head}");
    let ended = running.stop(Signal::TERM);
    let place = forward.address;
    let line = format!("HTTPS_PROXY: https://opencode.ai is reached through {place}\"");
    assert!(ended.out.contains(&line), "{}", ended.out);
    assert_discreet(&ended);
    let log = service.emulator.log();
    assert_eq!(log.iter().filter(|entry| !entry.path.ends_with("/usage")).count(), 1);
}

#[test]
fn what_it_refuses_is_told_with_its_name() {
    let forward = Forward::start(None);
    let user = User::new();
    let mut command = command(&user, crate::KEY, &forward);
    command.env("LOG_LEVEL", "debug");
    let running = Running::start(command);
    let answer = running.chat();
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    let ended = running.stop(Signal::TERM);
    let place = forward.address;
    let why =
        format!("opencode.ai:443 through the HTTPS_PROXY {place}: the HTTPS proxy answered 407");
    for told in [&answer, &ended.out] {
        assert!(told.contains(&why), "{told}");
    }
    assert!(!answer.contains("p@ssword") && !answer.contains(BASIC), "{answer}");
    assert_discreet(&ended);
}

#[test]
fn what_no_proxy_names_is_reached_directly_and_the_start_says_so() {
    let forward = Forward::start(None);
    // A name that exists nowhere (RFC 6761).
    let user = User::with_config("upstreamBaseUrl: https://go.invalid\nconnectTimeoutMs: 100\n");
    let mut command = command(&user, crate::KEY, &forward);
    command.env("NO_PROXY", "example.org,.invalid");
    let running = Running::start(command);
    let answer = running.chat();
    assert!(answer.starts_with("HTTP/1.1 50"), "{answer}");
    let ended = running.stop(Signal::TERM);
    let line = "HTTPS_PROXY: https://go.invalid is reached directly (NO_PROXY, or this machine)";
    assert!(ended.out.contains(line), "{}", ended.out);
    assert!(forward.heads.try_recv().is_err(), "nothing went through it");
}

#[test]
fn one_that_is_not_understood_stops_the_start() {
    let user = User::new();
    let mut command = user.command(&format!("--port {}", free_port()));
    command.env("OPENCODE_GO_KEYS", format!("home:{}", crate::KEY));
    command.env("HTTPS_PROXY", format!("socks5://{USER}@127.0.0.1:1080"));
    let ended = Ended::of(command.output().unwrap());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("HTTPS_PROXY") && ended.err.contains("http://"), "{ended:?}");
    assert_discreet(&ended);
}
