//! The proxy.

pub mod config;
pub mod secret;
pub mod catalogue;
pub mod clock;
pub mod runtime;
pub mod server;
pub mod upstream;
