//! What the clients of the fault day do, and what they get.

use http_body_util::BodyExt;

use super::schedule::time;
use crate::sse;
use crate::stage::{Answer, Dialect, Stage, request};

/// The models of the day.
pub(crate) const MODELS: [(Dialect, &str); 5] = [
    (Dialect::Chat, "glm-5.2"),
    (Dialect::Chat, "kimi-k2.7-code"),
    (Dialect::Messages, "minimax-m3"),
    (Dialect::Responses, "gpt-6-luna"),
    (Dialect::Chat, "beam-free"),
];

/// Chance, the same in every run.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }

    pub(crate) fn among<T: Copy>(&mut self, choices: &[T]) -> T {
        let index = self.below(choices.len() as u64);
        choices[usize::try_from(index).unwrap()]
    }

    /// When in a minute requests come, in milliseconds: away from its edges, where troubles change.
    pub(crate) fn seconds(&mut self) -> Vec<u64> {
        let mut seconds: Vec<_> = (0..=self.below(3)).map(|_| 5_000 + self.below(45_000)).collect();
        seconds.sort_unstable();
        seconds
    }
}

/// What is wrong with a request, if something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    UnknownModel,
    WrongFormat,
    NoJson,
}

/// A request to be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) dialect: Dialect,
    pub(crate) model: &'static str,
    pub(crate) stream: bool,
    /// The client goes away in the middle of the answer.
    pub(crate) leaves: bool,
    h2: bool,
    flaw: Flaw,
}

impl Wish {
    pub(crate) fn next(rng: &mut Rng) -> Self {
        let (dialect, model) = rng.among(&MODELS);
        let flaw = match rng.below(40) {
            0 => Flaw::UnknownModel,
            1 => Flaw::WrongFormat,
            2 => Flaw::NoJson,
            _ => Flaw::None,
        };
        let stream = rng.below(10) < 7;
        let leaves = stream && rng.below(30) == 0;
        Self { dialect, model, stream, leaves, h2: rng.below(4) == 0, flaw }
    }

    /// The status that the request must get while the service is well.
    pub(crate) fn refusal(&self) -> Option<u16> {
        match self.flaw {
            Flaw::None => None,
            Flaw::UnknownModel => Some(401),
            Flaw::WrongFormat | Flaw::NoJson => Some(400),
        }
    }

    pub(crate) async fn run(self, stage: &Stage, servable: bool) -> Result {
        let at = stage.emulator.clock().now_ms();
        let request = match self.flaw {
            Flaw::None => self.dialect.of(self.model, "hello", self.stream),
            Flaw::UnknownModel => self.dialect.of("no-such-model", "hello", self.stream),
            Flaw::WrongFormat => match self.dialect {
                Dialect::Chat => Dialect::Messages.of("glm-5.2", "hello", self.stream),
                _ => Dialect::Chat.of("minimax-m3", "hello", self.stream),
            },
            Flaw::NoJson => {
                let path = "/v1/chat/completions";
                request(http::Method::POST, path, r#"{"model":"glm-5.2","messages":"#)
            }
        };
        let mut response =
            if self.h2 { stage.send_h2(request).await } else { stage.send(request).await };
        let answer = if self.leaves && response.status() == 200 {
            let status = response.status();
            response.body_mut().frame().await;
            drop(response);
            Answer { status, ..Answer::nothing() }
        } else {
            Answer::read(response).await
        };
        Result { wish: self, at, servable, status: answer.status.as_u16(), answer }
    }
}

/// What a request got.
#[derive(Debug)]
pub(crate) struct Result {
    pub(crate) wish: Wish,
    pub(crate) at: i64,
    /// Some account could serve it when it was sent.
    pub(crate) servable: bool,
    pub(crate) status: u16,
    answer: Answer,
}

impl Result {
    /// A whole answer.
    pub(crate) fn is_served(&self) -> bool {
        if self.status != 200 || self.wish.leaves || !self.answer.complete {
            return false;
        }
        if !self.wish.stream {
            return serde_json::from_slice::<serde_json::Value>(&self.answer.body).is_ok();
        }
        let events = sse::parse(&self.answer.body);
        !events.iter().any(sse::Event::is_error) && sse::ended(self.wish.dialect, &events)
    }

    /// A broken answer that nobody can take for a whole one.
    pub(crate) fn is_cut(&self) -> bool {
        if self.status != 200 {
            return false;
        }
        if !self.wish.stream {
            return serde_json::from_slice::<serde_json::Value>(&self.answer.body).is_err();
        }
        let events = sse::parse(&self.answer.body);
        let errors = events.iter().filter(|event| event.is_error()).count();
        errors == 1 && events.last().is_some_and(sse::Event::is_error)
    }

    pub(crate) fn is_own_or_upstreams_error(&self) -> bool {
        self.status >= 400 && self.answer.complete && !self.answer.message().is_empty()
            || self.is_cut()
    }

    pub(crate) fn tell(&self) -> String {
        format!(
            "{} servable {}: {:?} -> {} {} {}",
            time(self.at),
            self.servable,
            self.wish,
            self.status,
            self.answer.label(),
            self.answer.text().chars().take(300).collect::<String>()
        )
    }
}
