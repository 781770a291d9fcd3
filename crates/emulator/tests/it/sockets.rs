//! Real sockets: plain, TLS with ALPN, resets, and a server that stops.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use saros_emulator::{Accept, Action, After, Alpn, Emulator, Fault, Then, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::client::*;

async fn tls(
    emulator: &Emulator,
    addr: std::net::SocketAddr,
    alpn: &[&[u8]],
) -> TlsStream<TcpStream> {
    let pem = emulator.certificate_pem().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let stream = TcpStream::connect(addr).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test]
async fn tls_speaks_both_protocols() {
    let (emulator, key) = emulator();
    let listening = emulator.listen("127.0.0.1:0".parse().unwrap(), Transport::Tls).await.unwrap();
    assert!(listening.base_url().starts_with("https://127.0.0.1:"));
    let stream = tls(&emulator, listening.addr(), &[b"h2", b"http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let answer = Client::h2(stream).await.chat(&key, "glm-5.2").await;
    assert!(answer.text().contains("[DONE]"));
    let stream = tls(&emulator, listening.addr(), &[b"http/1.1"]).await;
    let answer = Client::h1(stream).await.chat(&key, "glm-5.2").await;
    assert!(answer.text().contains("[DONE]"));
    listening.stop().await;

    emulator.settings(|s| s.connection.alpn = Alpn::H1);
    let listening = emulator.listen("127.0.0.1:0".parse().unwrap(), Transport::Tls).await.unwrap();
    let stream = tls(&emulator, listening.addr(), &[b"h2", b"http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn new_connections_can_be_closed_or_left_hanging() {
    let (emulator, key) = emulator();
    let listening =
        emulator.listen("127.0.0.1:0".parse().unwrap(), Transport::Plain).await.unwrap();
    emulator.settings(|s| s.connection.accept = Accept::Close);
    let (seen, _) = raw(listening.addr(), &key).await;
    assert_eq!(seen, "");
    emulator.settings(|s| s.connection.accept = Accept::Hang);
    let stream = TcpStream::connect(listening.addr()).await.unwrap();
    emulator.until(|e| e.counters().connections == 2).await;
    let mut hanging = Client::h1(stream).await;
    let headers = headers(&key);
    let answer = hanging.send(Method::POST, CHAT, &headers, "{}");
    let stop = async {
        emulator.settings(|s| s.connection.accept = Accept::Serve);
        let stream = TcpStream::connect(listening.addr()).await.unwrap();
        let served = Client::h1(stream).await.chat(&key, "glm-5.2").await;
        assert_eq!(served.status, 200, "others are served");
        listening.close_connections();
    };
    let (answer, ()) = tokio::join!(answer, stop);
    assert!(answer.is_err());
    assert_eq!(emulator.log().len(), 1, "the hanging request was never read");
}

/// What the peer of a raw socket sees: everything that was sent, then how it ended.
async fn raw(
    addr: std::net::SocketAddr,
    key: &saros_emulator::Key,
) -> (String, std::io::Result<()>) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let body = ask("glm-5.2");
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         x-opencode-session: s\r\ncontent-length: {}\r\n\r\n{body}",
        key.secret,
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let end = tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut seen));
    let end = end.await.expect("the connection ends").map(|_| ());
    (String::from_utf8(seen).unwrap(), end)
}

#[tokio::test]
async fn fin_and_rst_are_what_they_say() {
    let (emulator, key) = emulator();
    let listening =
        emulator.listen("127.0.0.1:0".parse().unwrap(), Transport::Plain).await.unwrap();
    let addr = listening.addr();
    emulator.fault(Fault::new(Action::Close).times(1));
    let (seen, end) = raw(addr, &key).await;
    assert_eq!(seen, "");
    end.unwrap();
    emulator.fault(Fault::new(Action::Reset).times(1));
    let (seen, end) = raw(addr, &key).await;
    assert_eq!(seen, "");
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let broken = |then| Fault::new(Action::Stream { after: After::Events(3), then }).times(1);
    emulator.fault(broken(Then::Cut));
    let (seen, end) = raw(addr, &key).await;
    assert_eq!(seen.matches("data: ").count(), 3);
    assert!(!seen.ends_with("0\r\n\r\n"), "the last chunk is missing");
    end.unwrap();
    emulator.fault(broken(Then::Reset));
    let (seen, end) = raw(addr, &key).await;
    assert_eq!(seen.matches("data: ").count(), 3);
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn connections_can_be_closed_and_the_server_stopped() {
    let (emulator, key) = emulator();
    let listening =
        emulator.listen("127.0.0.1:0".parse().unwrap(), Transport::Plain).await.unwrap();
    let addr = listening.addr();
    let mut client = Client::h1(TcpStream::connect(addr).await.unwrap()).await;
    assert_eq!(client.chat(&key, "glm-5.2").await.status, 200);
    emulator.fault(Fault::new(Action::Hang).times(1));
    let headers = headers(&key);
    let hanging = client.send(Method::POST, CHAT, &headers, "{}");
    let close = async {
        emulator.until(|e| e.in_flight() == 1).await;
        listening.close_connections();
    };
    let (result, ()) = tokio::join!(hanging, close);
    assert!(result.is_err());
    let mut client = Client::h1(TcpStream::connect(addr).await.unwrap()).await;
    assert_eq!(client.chat(&key, "glm-5.2").await.status, 200);
    listening.stop().await;
    assert!(TcpStream::connect(addr).await.is_err());
    assert!(client.send(Method::POST, CHAT, &headers, "{}").await.is_err());
}
