//! What happens in the demo, step by step, each with what must come out.

use std::time::Duration;

use saros_core::pool::State;
use saros_emulator::{Action, Fault, Window};

use crate::demo::client::Seen;
use crate::demo::narrator::Narrator;
use crate::demo::{COOLDOWN, Stage};

const MODEL: &str = "glm-5.2";

/// Plays all steps, also when one comes out otherwise than stated.
pub(crate) async fn play(stage: &Stage, narrator: &mut Narrator) -> bool {
    let steps = [
        rotation(stage, narrator).await,
        stream(stage, narrator).await,
        server_error(stage, narrator).await,
        wrong_model(stage, narrator).await,
        cooling(stage, narrator).await,
        quota(stage, narrator).await,
        invalid_key(stage, narrator).await,
    ];
    steps.into_iter().all(|good| good)
}

async fn rotation(stage: &Stage, narrator: &mut Narrator) -> bool {
    narrator.step("Rotation", "four unrelated requests: every account gets its turn");
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(stage.ask(narrator).await.label);
    }
    let good = order == ["alpha", "bravo", "charlie", "alpha"];
    narrator.verdict(good, "alpha, bravo, charlie, alpha");
    good
}

async fn stream(stage: &Stage, narrator: &mut Narrator) -> bool {
    narrator.step("A stream", "passed on event by event, as it comes");
    let mut first = true;
    let seen = stage
        .client
        .chat(MODEL, true, |word| narrator.word(std::mem::take(&mut first), word))
        .await;
    narrator.word(false, "\n");
    narrator.saw(&seen);
    let good = seen.status == 200 && seen.done && seen.events > 5;
    narrator.verdict(good, &format!("{} events, the last one [DONE]", seen.events));
    good
}

async fn server_error(stage: &Stage, narrator: &mut Narrator) -> bool {
    narrator.step("A server error", "the next account's answer will be a 500");
    stage.emulator.fault(internal_error().times(1));
    narrator.event("500 Internal server error, once");
    let seen = stage.ask(narrator).await;
    let good = seen.status == 200 && stage.ready_accounts() == 3;
    narrator.verdict(good, "another account answered; the client saw nothing of it");
    good
}

async fn wrong_model(stage: &Stage, narrator: &mut Narrator) -> bool {
    narrator.step("A wrong model name", "the service answers 401, as if the key were bad");
    let seen = stage.client.chat("no-such-model", false, |_| {}).await;
    narrator.saw(&seen);
    let good = seen.status == 401 && stage.ready_accounts() == 3;
    narrator.verdict(good, "the client is told, and no account is blamed for it");
    good
}

async fn cooling(stage: &Stage, narrator: &mut Narrator) -> bool {
    narrator.step("An account cools down and comes back", "bravo fails three times in a row");
    let fault = stage.emulator.fault(internal_error().key("bravo"));
    narrator.event("bravo answers 500 from now on");
    let mut good = true;
    for _ in 0..20 {
        good &= stage.ask(narrator).await.status == 200;
        if stage.state("bravo") == Some(State::Cooling) {
            break;
        }
    }
    good &= stage.state("bravo") == Some(State::Cooling);
    narrator.verdict(good, "its breaker opened; every request was answered by the others");
    stage.emulator.clear_fault(fault);
    narrator.event(&format!("bravo is healthy again; it is left alone for {COOLDOWN:?}"));
    tokio::time::sleep(COOLDOWN + Duration::from_millis(200)).await;
    let mut back = false;
    for _ in 0..3 {
        let seen = stage.ask(narrator).await;
        back |= seen.status == 200 && seen.label == "bravo";
    }
    back &= stage.state("bravo") == Some(State::Ready);
    narrator.verdict(back, "one request was its trial, and it is back");
    good && back
}

async fn quota(stage: &Stage, narrator: &mut Narrator) -> bool {
    narrator.step("A quota runs out", "bravo's five hours are used up");
    let now = stage.emulator.clock().now_ms();
    stage.emulator.account("bravo", |account| {
        account.quota.set_percent(Window::FiveHour, 100.0, now);
    });
    narrator.event("bravo answers 429 GoUsageLimitError until its window resets");
    let mut good = true;
    for _ in 0..3 {
        let seen = stage.ask(narrator).await;
        good &= seen.status == 200 && seen.label != "bravo";
    }
    good &= stage.state("bravo") == Some(State::OutOfQuota);
    narrator.verdict(good, "the others took over; bravo is not asked again before the reset");
    good
}

async fn invalid_key(stage: &Stage, narrator: &mut Narrator) -> bool {
    narrator.step("A key is revoked", "alpha's key is deleted at the service");
    stage.emulator.account("alpha", |account| {
        for key in &mut account.keys {
            key.deleted = true;
        }
    });
    narrator.event("alpha answers 401 Invalid API key");
    let mut good = true;
    for _ in 0..3 {
        let seen = stage.ask(narrator).await;
        good &= seen.status == 200 && seen.label == "charlie";
    }
    good &= stage.state("alpha") == Some(State::Dead);
    narrator.verdict(good, "charlie answered; alpha is out until its key is mended");
    good
}

fn internal_error() -> Fault {
    let body = r#"{"type":"error","error":{"type":"error","message":"Internal server error"}}"#;
    Fault::new(Action::Answer {
        status: 500,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.to_owned(),
    })
}

impl Stage {
    async fn ask(&self, narrator: &mut Narrator) -> Seen {
        let seen = self.client.chat(MODEL, false, |_| {}).await;
        narrator.saw(&seen);
        seen
    }

    fn state(&self, label: &str) -> Option<State> {
        let standings = self.app.pool().standings(self.app.clock.now());
        standings.into_iter().find(|standing| &*standing.label == label).map(|found| found.state)
    }

    fn ready_accounts(&self) -> usize {
        let standings = self.app.pool().standings(self.app.clock.now());
        standings.iter().filter(|standing| standing.state == State::Ready).count()
    }
}
