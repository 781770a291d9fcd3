//! What the owner can see afterwards.

pub mod log;
pub mod recent;
pub mod record;
pub mod requests;
