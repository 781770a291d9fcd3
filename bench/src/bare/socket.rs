//! A TCP stream that writes small things with `send`.
//!
//! A call of `writev` costs the kernel noticeably more than one of `send`, and nearly all that a proxy
//! writes is small: a TLS record in one piece, or a head and a short body in two or three.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Pieces of up to this size in all are gathered before they are written.
const SMALL: usize = 2048;

pub(super) struct Socket(pub(super) TcpStream);

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.0);
        if let [whole] = pieces {
            return stream.poll_write(cx, whole);
        }
        let mut gathered = [0; SMALL];
        let mut filled = 0;
        for piece in pieces {
            match gathered.get_mut(filled..filled + piece.len()) {
                Some(room) => room.copy_from_slice(piece),
                None => return stream.poll_write_vectored(cx, pieces),
            }
            filled += piece.len();
        }
        stream.poll_write(cx, gathered.get(..filled).unwrap_or_default())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The kernel holds nothing back: TCP_NODELAY is set.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
