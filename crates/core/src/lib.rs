//! What Saros decides: which account serves a request, what a failure teaches, and when an account
//! comes back.
//!
//! Everything here is a pure function of its arguments and of the state inside [`pool::Pool`]. No
//! I/O, no async, no clock, no randomness: facts and `now` go in, decisions come out. That is what
//! lets the very same code serve in production and run a month in seconds in a simulator.
//!
//! The words are those of ARCHITECTURE.md's vocabulary: account, window, attempt, fault, verdict,
//! breaker, cooldown, lease, trail.

pub mod affinity;
pub mod appetite;
pub mod breaker;
mod by_model;
pub mod cost;
pub mod evidence;
pub mod fault;
pub mod forecast;
pub mod format;
pub mod id;
pub mod image;
pub mod ledger;
pub mod meter;
pub mod pool;
pub mod price;
pub mod report;
pub mod select;
pub mod time;
pub mod twins;
pub mod view;
pub mod warmth;
pub mod window;
