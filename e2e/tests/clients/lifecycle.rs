//! Stopping.

use std::process::Command;
use std::time::Duration;

use saros_e2e::failure::{Failure, Outcome, ensure, ensure_eq};
use saros_e2e::process::Running;
use saros_e2e::stage::play;
use serde_json::json;

use crate::requests::CHAT;

const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_running_stream_is_finished_before_the_end() -> Outcome {
    play("", |stage| {
        let slow = json!({"pace": {"gapMs": 300}});
        stage.emulator.control("PATCH", "settings", Some(&slow))?;
        let mut client = Command::new("curl");
        client.args(["--silent", "--no-buffer", "--max-time", "25", "--data-binary"]);
        client.args([&CHAT.body(true), &stage.proxy.url(CHAT.path)]);
        let client = Running::start(&mut client)?;
        client.line(LONG, |line| line.starts_with("data:").then_some(()))?;

        let finished = stage.proxy.stop(LONG)?;
        ensure_eq("exit code", &finished.status.code(), &Some(0))?;
        let ended = client.wait(LONG).ok_or_else(|| Failure::new("the client still waits"))?;
        ensure(ended.success(), || format!("the client ended with {ended}"))?;
        let told = client.stdout();
        ensure(told.contains("[DONE]"), || format!("cut off: {told}"))
    })
}

#[test]
fn a_stream_beyond_the_grace_is_ended_with_an_error() -> Outcome {
    play("shutdownTimeoutMs: 500", |stage| {
        let slow = json!({"pace": {"gapMs": 5_000}});
        stage.emulator.control("PATCH", "settings", Some(&slow))?;
        let mut client = Command::new("curl");
        client.args(["--silent", "--no-buffer", "--max-time", "25", "--data-binary"]);
        client.args([&CHAT.body(true), &stage.proxy.url(CHAT.path)]);
        let client = Running::start(&mut client)?;
        client.line(LONG, |line| line.starts_with("data:").then_some(()))?;

        let finished = stage.proxy.stop(LONG)?;
        ensure_eq("exit code", &finished.status.code(), &Some(1))?;
        client.wait(LONG).ok_or_else(|| Failure::new("the client still waits"))?;
        let told = client.stdout();
        ensure(told.contains("\"error\""), || format!("no error event: {told}"))
    })
}
