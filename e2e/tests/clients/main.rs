//! Real clients through the proxy against the emulator, all of them processes.

mod agents;
mod guard;
mod lifecycle;
mod own_answers;
mod relay;
mod requests;
mod sdks;
