//! What an answer says that it consumed.

use saros_core::meter::Tokens;

/// What an answer said about its consumption.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reading {
    /// Tokens, once a usage object was seen.
    pub tokens: Option<Tokens>,
    /// List price in dollars, if the service named it (`usage.opencode.list_cost`).
    pub list_cost: Option<f64>,
    /// What was charged to the prepaid balance in dollars, if the service named it.
    pub balance_cost: Option<f64>,
    /// Bytes of payload seen (`data:` of a stream, or the whole JSON), to estimate the cost of an
    /// answer that was cut before its usage.
    pub output_bytes: u64,
}
