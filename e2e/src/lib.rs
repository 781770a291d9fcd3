//! Real clients, driven through `saros-proxy serve` against `saros-proxy emulator`.
//!
//! Everything is a process of its own, as it is at a user's: a [`sandbox::Sandbox`] with a home
//! folder and a small project, an [`emulator::Emulator`] whose model is scripted, a
//! [`proxy::Proxy`] in front of it, and a [`client::Client`] that is asked to mend the project.
//! [`task`] ties them together and looks at what happened on both sides.
//!
//! The clients are npm and pip packages, pinned in this folder and installed by `cargo xtask ci`.
//! A test whose client is missing is skipped loudly; with `CI` set that is a failure.
#![expect(clippy::indexing_slicing, reason = "serde_json's `value[name]` is null where nothing is")]

pub mod client;
pub mod curl;
pub mod emulator;
pub mod failure;
pub mod process;
pub mod proxy;
pub mod sandbox;
pub mod stage;
pub mod task;
