//! The proxy against the emulator of the service.
//!
//! Most tests run both in one process over in-memory pipes on a paused clock, so that timeouts,
//! cooldowns and days take milliseconds and are the same every time ([`stage`]). What needs real
//! sockets has its own few tests ([`sockets`]); the two are never mixed.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests: a failure here is a failed test"
)]

mod bodies;
mod captured;
mod control;
mod cors;
mod endpoints;
mod fault_day;
mod faults;
mod guard;
mod headers;
mod ledger;
mod network;
mod own_answers;
mod pages;
mod records;
mod relay;
mod reload;
mod replay;
mod rotation;
mod secrets;
mod sessions;
mod shutdown;
mod sockets;
mod sse;
mod stage;
mod state;
mod turns;
mod usage;
mod wall;
