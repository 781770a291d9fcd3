//! The proxy.

pub mod config;
pub mod secret;
