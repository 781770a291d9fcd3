//! What the owner can see afterwards.

pub mod record;
