//! The emulator as its clients see it: over pipes with paused time, and over real sockets.

mod accounts;
mod cache;
mod client;
mod control;
mod endpoints;
mod faults;
mod h2;
mod order;
mod refusals;
mod scripts;
mod sockets;
mod streams;
mod windows;
