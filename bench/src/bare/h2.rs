//! HTTP/2 upstream: a task per connection, as many connections as the peer's stream limit asks.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::BufWriter;

use super::Dial;
use super::meter::Meter;
use super::relay::{Answer, Batch};
use crate::Fallible;

/// A connection that many requests share.
struct Trunk {
    sender: http2::SendRequest<Full<Bytes>>,
    in_flight: Arc<AtomicUsize>,
    /// What the peer allows now. Only the connection itself knows, so its task notes it here.
    limit: Arc<AtomicUsize>,
}

/// The open connections.
#[derive(Default)]
pub(super) struct Shared {
    trunks: Mutex<Vec<Trunk>>,
    dialling: tokio::sync::Mutex<()>,
}

/// One stream's place on its connection.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    fn take(&self) -> Option<(http2::SendRequest<Full<Bytes>>, Place)> {
        let mut trunks = self.trunks.lock().unwrap_or_else(PoisonError::into_inner);
        trunks.retain(|trunk| !trunk.sender.is_closed());
        let trunk = trunks.iter().find(|trunk| {
            trunk.in_flight.load(Ordering::Relaxed) < trunk.limit.load(Ordering::Relaxed)
        })?;
        trunk.in_flight.fetch_add(1, Ordering::Relaxed);
        Some((trunk.sender.clone(), Place(Arc::clone(&trunk.in_flight))))
    }

    async fn place(&self, dial: &Dial) -> Fallible<(http2::SendRequest<Full<Bytes>>, Place)> {
        if let Some(found) = self.take() {
            return Ok(found);
        }
        let _one_at_a_time = self.dialling.lock().await;
        loop {
            if let Some(found) = self.take() {
                return Ok(found);
            }
            let (sender, mut connection) = http2::Builder::new(TokioExecutor::new())
                .initial_stream_window_size(1 << 20)
                .initial_connection_window_size(4 << 20)
                // hyper writes each frame for itself; gathered, a request is one TLS record.
                .handshake(TokioIo::new(BufWriter::with_capacity(8 * 1024, dial.open().await?)))
                .await?;
            let limit = Arc::new(AtomicUsize::new(connection.current_max_send_streams()));
            let noted = Arc::clone(&limit);
            tokio::spawn(poll_fn(move |cx| {
                let ended = Pin::new(&mut connection).poll(cx);
                noted.store(connection.current_max_send_streams(), Ordering::Relaxed);
                ended.map(drop)
            }));
            let mut trunks = self.trunks.lock().unwrap_or_else(PoisonError::into_inner);
            trunks.push(Trunk { sender, in_flight: Arc::default(), limit });
        }
    }
}

/// Sends the request and waits for the head of the answer.
pub(super) async fn exchange(
    shared: &Shared,
    dial: &Dial,
    request: Request<Full<Bytes>>,
) -> Fallible<Response<Answer>> {
    let (mut sender, place) = shared.place(dial).await?;
    let response = pin!(sender.send_request(request)).await?;
    Ok(response.map(|body| {
        Answer::Http2(Stream { body, _place: place, meter: Meter::default(), over: false })
    }))
}

/// An answer over HTTP/2.
pub(super) struct Stream {
    body: Incoming,
    _place: Place,
    meter: Meter,
    over: bool,
}

impl Stream {
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let mut batch = Batch::default();
        while !batch.is_full() {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => {
                    return match batch.take() {
                        Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
                        None => Poll::Pending,
                    };
                }
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.meter.read(&data);
                        batch.push(data);
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => {
                    self.over = true;
                    break;
                }
            }
        }
        Poll::Ready(batch.take().map(|data| Ok(Frame::data(data))))
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.over || self.body.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
