//! The proxy as a service of one user: running in the background, and started with the machine.
//!
//! Nothing here prints. What is generated for the systems' own service managers is a pure function
//! of [`autostart::Entry`], compiled and tested everywhere; what has to be done with it is a
//! [`autostart::Step`], carried out by the command.

pub mod autostart;
pub mod daemon;
pub mod holder;
pub mod life;
pub mod logfile;
pub mod probe;
pub mod record;
pub mod tail;
