//! HTTP/1.1 by hand: as little work as a correct answer allows.

use std::io;
use std::sync::LazyLock;
use std::time::Duration;

use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::server::TlsStream;

use crate::answers::{self, Case, chunk};

const STREAM_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";

/// Everything that can be rendered before the first request.
struct Rendered {
    json: Vec<u8>,
    not_found: Vec<u8>,
    event: Vec<u8>,
    burst: Vec<u8>,
    split: Vec<Vec<u8>>,
}

static RENDERED: LazyLock<Rendered> = LazyLock::new(|| {
    let mut split: Vec<Vec<u8>> = answers::burst().iter().map(|event| chunk(event)).collect();
    split.push(b"0\r\n\r\n".to_vec());
    let mut burst = STREAM_HEAD.to_vec();
    burst.extend(split.iter().flatten());
    Rendered {
        json: whole("200 OK", &answers::JSON),
        not_found: whole("404 Not Found", answers::NOT_FOUND.as_bytes()),
        event: chunk(&answers::EVENT),
        burst,
        split,
    }
});

fn whole(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Answers one connection's requests until it closes.
pub(super) async fn serve(mut stream: TlsStream<TcpStream>) -> io::Result<()> {
    let rendered = &*RENDERED;
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let Some(case) = read_request(&mut stream, &mut buffer).await? else { return Ok(()) };
        match case {
            None => stream.write_all(&rendered.not_found).await?,
            Some(Case::Json) => stream.write_all(&rendered.json).await?,
            Some(Case::Burst) => stream.write_all(&rendered.burst).await?,
            Some(Case::Split) => {
                stream.write_all(STREAM_HEAD).await?;
                for event in &rendered.split {
                    stream.write_all(event).await?;
                    stream.flush().await?;
                }
            }
            Some(Case::Held) => {
                stream.write_all(STREAM_HEAD).await?;
                stream.write_all(&rendered.event).await?;
                stream.flush().await?;
                // Ends when the proxy closes the connection.
                stream.read_u8().await?;
                return Ok(());
            }
            Some(Case::Paced) => return paced(stream, &rendered.event).await,
        }
        stream.flush().await?;
    }
}

async fn paced(mut stream: TlsStream<TcpStream>, event: &[u8]) -> io::Result<()> {
    stream.write_all(STREAM_HEAD).await?;
    let mut ticks = interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        stream.write_all(event).await?;
        stream.flush().await?;
    }
}

/// Reads one request to its last byte. `None`: the connection is closed; `Some(None)`: no case of
/// ours.
async fn read_request(
    stream: &mut TlsStream<TcpStream>,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Option<Case>>> {
    let head = loop {
        if let Some(end) = memmem::find(buffer, b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let text =
        buffer.get(..head).and_then(|head| std::str::from_utf8(head).ok()).unwrap_or_default();
    let mut words = text.split(' ');
    let case = words.nth(1).and_then(Case::of_target);
    let length = text
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .unwrap_or(0);
    let total = head + length;
    let held = buffer.len();
    if held >= total {
        buffer.drain(..total);
        return Ok(Some(case));
    }
    // The body itself is of no interest.
    let mut missing = total - held;
    while missing > 0 {
        buffer.clear();
        // A reader that takes no more than what belongs to this request.
        let read = (&mut *stream).take(missing as u64).read_buf(buffer).await?;
        if read == 0 {
            return Ok(None);
        }
        missing -= read;
    }
    buffer.clear();
    Ok(Some(case))
}
