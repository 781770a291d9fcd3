//! The proxy.

pub mod catalogue;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod observe;
pub mod private;
pub mod runtime;
pub mod secret;
pub mod server;
pub mod service;
pub mod simulate;
pub mod socket;
pub mod state;
pub mod upstream;
