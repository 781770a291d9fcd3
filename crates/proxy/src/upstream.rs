//! Talking to the service: connections, TLS, headers, one attempt's exchange.
//!
//! The pool of connections is our own: hyper-util's client cannot open a second HTTP/2 connection
//! when the first is full, and it drives every connection in a task of its own, which costs a wake
//! per frame. Here an HTTP/1.1 connection is driven by whoever waits for its answer.

pub mod body;
pub mod connections;
pub mod dial;
pub mod exchange;
pub mod fetch;
mod gate;
pub mod headers;
pub mod io;
pub mod key;
pub mod page;
pub mod tls;
pub mod tunnel;
pub mod usage;
