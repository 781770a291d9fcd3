//! Reading bytes without changing them.
//!
//! Bodies pass through Saros byte for byte; this crate looks at them in passing and says what they
//! hold: who is asked for ([`head`]), how a stream is going and what it consumed ([`sse`],
//! [`tap`], [`usage`]), what an error body teaches ([`error`]), and what the service reports of an
//! account's quota ([`report`], [`page`]). The few bodies that Saros writes
//! itself are here too ([`reply`]), because they must have the client's dialect.
//!
//! No I/O, no async, no clock: slices go in, facts come out.

pub mod error;
pub mod head;
mod instant;
mod json;
pub mod page;
pub mod reply;
pub mod report;
pub mod scrub;
pub mod sse;
pub mod tap;
pub mod usage;

#[cfg(test)]
mod tests;
