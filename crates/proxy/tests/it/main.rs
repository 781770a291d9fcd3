//! The proxy against the emulator of the service.
//!
//! Most tests run both in one process over in-memory pipes on a paused clock, so that timeouts,
//! cooldowns and days take milliseconds and are the same every time ([`stage`]). What needs real
//! sockets has its own few tests ([`sockets`]); the two are never mixed.

mod faults;
mod guard;
mod relay;
mod rotation;
mod sessions;
mod stage;
