//! A small document of the service, read whole: what the proxy asks for itself.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{HOST, HeaderMap};
use http::{Request, StatusCode, Version};

use crate::upstream::body::OutBody;
use crate::upstream::connections::Ready;
use crate::upstream::exchange::{Answer, Opener, SendError, send};
use crate::upstream::key::Key;

/// What came.
#[derive(Debug)]
pub struct Fetched {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

/// Why nothing came. Its text holds no secrets.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address is none.
    #[error("the path is not a valid URL")]
    Address,
    /// There was no answer.
    #[error("no answer: {}", reason(.0))]
    Send(SendError),
    /// The answer broke off.
    #[error("the answer broke off: {0}")]
    Broken(hyper::Error),
    /// The answer is longer than such a document can be.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

fn reason(error: &SendError) -> String {
    match error {
        SendError::Dial(error) => error.to_string(),
        SendError::DialTimeout => "no connection in time".to_owned(),
        SendError::Unstarted(error) | SendError::Reset(error) | SendError::Handshake(error) => {
            error.to_string()
        }
        SendError::Ended => "the connection ended".to_owned(),
    }
}

/// Fetches `path` from a key's origin, over the key's connections, with just these headers. Reads
/// at most `most` bytes. How long it takes is up to the caller.
pub async fn get(
    opener: &Opener,
    key: &Arc<Key>,
    path: &str,
    headers: &HeaderMap,
    most: usize,
) -> Result<Fetched, FetchError> {
    let (parts, answer) = match exchange(opener, key, path, headers, false).await {
        // An open connection may turn out to have ended; asking again costs nothing (RFC 9110
        // §9.2.2).
        Err(FetchError::Send(SendError::Unstarted(_) | SendError::Reset(_) | SendError::Ended)) => {
            exchange(opener, key, path, headers, true).await?
        }
        answered => answered?,
    };
    let body = read(answer, most).await?;
    Ok(Fetched { status: parts.status, headers: parts.headers, body })
}

async fn exchange(
    opener: &Opener,
    key: &Arc<Key>,
    path: &str,
    headers: &HeaderMap,
    fresh: bool,
) -> Result<(http::response::Parts, Answer), FetchError> {
    let ready = opener.connection(key, fresh).await.map_err(FetchError::Send)?;
    let h2 = matches!(ready, Ready::Http2(_));
    let (body, _) = OutBody::new(Bytes::new());
    let mut request = Request::new(body);
    *request.uri_mut() = key.uri_at(path.to_owned(), h2).ok_or(FetchError::Address)?;
    *request.headers_mut() = headers.clone();
    if h2 {
        *request.version_mut() = Version::HTTP_2;
    } else {
        request.headers_mut().insert(HOST, key.authority.clone());
    }
    send(ready, key, request).await.map_err(FetchError::Send)
}

async fn read(mut answer: Answer, most: usize) -> Result<Bytes, FetchError> {
    let mut body = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| answer.poll_frame(cx)).await {
        if let Ok(data) = frame.map_err(FetchError::Broken)?.into_data() {
            body.extend_from_slice(&data);
        }
        if body.len() > most {
            return Err(FetchError::TooLong(most));
        }
    }
    answer.finish();
    Ok(body.freeze())
}
