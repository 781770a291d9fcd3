//! A proxy in front of an emulator, for tests that need no agent.

use serde_json::{Value, json};

use crate::emulator::{Emulator, Transport};
use crate::failure::Outcome;
use crate::proxy::Proxy;
use crate::sandbox::Sandbox;

/// What a model says when it is not asked to do anything.
const WORDS: &str = "Hello from the emulator.";

/// Both processes, and the folders they live in.
pub struct Stage {
    /// The proxy.
    pub proxy: Proxy,
    /// What is behind it.
    pub emulator: Emulator,
    /// Where both live.
    pub sandbox: Sandbox,
}

/// Plays a scene on a stage with three accounts and further lines of the proxy's configuration.
///
/// # Errors
/// The scene's own failure, followed by what proxy and emulator had to say.
pub fn play(options: &str, scene: impl FnOnce(&Stage) -> Outcome) -> Outcome {
    play_over(Transport::Plain, options, scene)
}

/// The same with the emulator behind this transport.
///
/// # Errors
/// As [`play`].
pub fn play_over(
    transport: Transport,
    options: &str,
    scene: impl FnOnce(&Stage) -> Outcome,
) -> Outcome {
    let script: Value = json!({"turns": [{"text": WORDS}]});
    let sandbox = Sandbox::new()?;
    let emulator = Emulator::start(&sandbox, transport, &["a", "b", "c"], &script)?;
    let proxy = Proxy::start(&sandbox, &emulator, options)?;
    let stage = Stage { proxy, emulator, sandbox };
    scene(&stage)
        .and_then(|()| stage.proxy.ensure_silent_about(&stage.emulator))
        .map_err(|failure| stage.explained(failure))
}

impl Stage {
    /// The failure with what both processes had to say.
    pub fn explained(&self, failure: crate::failure::Failure) -> crate::failure::Failure {
        failure.with("the proxy", &self.proxy.told()).with("the emulator", &self.emulator.told())
    }
}
