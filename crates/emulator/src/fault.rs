//! Faults on demand: whom they strike, when, and what they do.

use serde::{Deserialize, Serialize};

use crate::refusal::Row;

/// Names a fault so that it can be cleared.
pub type FaultId = u64;

/// A fault waiting to strike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// Only this key (label or secret).
    #[serde(default)]
    pub key: Option<String>,
    /// Only this account (label).
    #[serde(default)]
    pub account: Option<String>,
    /// Only this model (as the request names it).
    #[serde(default)]
    pub model: Option<String>,
    /// Only paths that end in this, e.g. `/usage`; without it, only inference requests.
    #[serde(default)]
    pub path: Option<String>,
    /// Only this session id.
    #[serde(default)]
    pub session: Option<String>,
    /// Lets so many matching requests through first.
    #[serde(default)]
    pub skip: u64,
    /// Strikes so many times, then is gone; without it until cleared.
    #[serde(default)]
    pub times: Option<u64>,
    /// Where in the order of checks it strikes.
    #[serde(default)]
    pub stage: Stage,
    /// Answers before the request body was read. Then `model` cannot match.
    #[serde(default)]
    pub before_body: bool,
    /// Virtual milliseconds before anything else happens.
    #[serde(default)]
    pub delay_ms: u64,
    /// What it does.
    pub action: Action,
}

/// Where in the order of checks (upstream.md §2.1) a fault strikes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// Before every check, as Cloudflare would.
    #[default]
    Edge,
    /// After every check, as the provider would. An unlucky key still gets its own error first.
    Provider,
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    /// Only the delay; then the normal answer.
    Pass,
    /// Any answer.
    Answer {
        /// Status code.
        status: u16,
        /// Headers.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// Body.
        #[serde(default)]
        body: String,
    },
    /// An HTML page, as Cloudflare sends (upstream.md §2.2, last line).
    Html {
        /// Status code.
        status: u16,
    },
    /// A row of upstream.md §2.2.
    Row(Row),
    /// No headers, ever.
    Hang,
    /// The connection is closed before any header.
    Close,
    /// The connection is reset before any header.
    Reset,
    /// h2: `RST_STREAM(REFUSED_STREAM)`. HTTP/1.1: as `Close`.
    RefuseStream,
    /// h2: `GOAWAY`. HTTP/1.1: `connection: close`.
    GoAway {
        /// The last id is below this request, which is therefore not served; the connection then
        /// closes. Otherwise it and all others are served to their end.
        #[serde(default)]
        refuse: bool,
    },
    /// The normal answer up to a point.
    Stream {
        /// The point.
        after: After,
        /// What happens there.
        then: Then,
    },
    /// The normal answer in small pieces.
    Drip {
        /// Bytes a piece.
        bytes: usize,
        /// Virtual milliseconds between pieces.
        gap_ms: u64,
    },
}

/// A point within an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum After {
    /// So many events (comments included) were sent.
    Events(usize),
    /// So many bytes of the body were sent.
    Bytes(usize),
    /// Everything before the format's terminal event was sent: chat `finish_reason` and `[DONE]`,
    /// `message_stop`, `response.completed`.
    Terminal,
}

/// What happens at that point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Then {
    /// HTTP/1.1: the connection closes without the body's end. h2: `RST_STREAM(INTERNAL_ERROR)`.
    Cut,
    /// The whole connection is reset.
    Reset,
    /// The body ends as if all were well.
    End,
    /// The format's own error event (upstream.md §6.1), then a clean end.
    Error,
    /// Nothing more comes, nothing ends.
    Stall,
}

impl Fault {
    /// A fault that strikes every inference request until cleared.
    pub const fn new(action: Action) -> Self {
        Self {
            key: None,
            account: None,
            model: None,
            path: None,
            session: None,
            skip: 0,
            times: None,
            stage: Stage::Edge,
            before_body: false,
            delay_ms: 0,
            action,
        }
    }

    /// Only this key.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Only this account.
    #[must_use]
    pub fn account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// Only this model.
    #[must_use]
    pub fn model(mut self, model: &str) -> Self {
        self.model = Some(model.to_owned());
        self
    }

    /// Only paths that end in this.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Only this session.
    #[must_use]
    pub fn session(mut self, session: &str) -> Self {
        self.session = Some(session.to_owned());
        self
    }

    /// Lets so many matching requests through first.
    #[must_use]
    pub const fn skip(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// Strikes so many times.
    #[must_use]
    pub const fn times(mut self, count: u64) -> Self {
        self.times = Some(count);
        self
    }

    /// Strikes at this stage.
    #[must_use]
    pub const fn stage(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }

    /// Answers before the request body was read.
    #[must_use]
    pub const fn before_body(mut self) -> Self {
        self.before_body = true;
        self
    }

    /// Waits before it does anything.
    #[must_use]
    pub const fn delay_ms(mut self, ms: u64) -> Self {
        self.delay_ms = ms;
        self
    }
}

/// Who is asking, as far as faults care.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Victim<'a> {
    pub(crate) key_label: Option<&'a str>,
    pub(crate) secret: Option<&'a str>,
    pub(crate) account: Option<&'a str>,
    pub(crate) model: Option<&'a str>,
    pub(crate) session: Option<&'a str>,
    pub(crate) path: &'a str,
    pub(crate) inference: bool,
}

/// The faults that wait.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    next: FaultId,
    waiting: Vec<(FaultId, Fault)>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) -> FaultId {
        self.next += 1;
        self.waiting.push((self.next, fault));
        self.next
    }

    pub(crate) fn clear(&mut self, id: FaultId) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|(at, _)| *at != id);
        self.waiting.len() != before
    }

    pub(crate) fn clear_all(&mut self) {
        self.waiting.clear();
    }

    pub(crate) fn list(&self) -> &[(FaultId, Fault)] {
        &self.waiting
    }

    /// The first fault that strikes this request here, counted down.
    pub(crate) fn strike(
        &mut self,
        stage: Stage,
        before_body: bool,
        victim: &Victim<'_>,
    ) -> Option<Fault> {
        let at = self.waiting.iter_mut().position(|(_, fault)| {
            let here = fault.stage == stage && fault.before_body == before_body;
            if !here || !fault.strikes(victim) {
                return false;
            }
            let skipped = fault.skip > 0;
            fault.skip = fault.skip.saturating_sub(1);
            !skipped
        })?;
        let (id, fault) = self.waiting.get_mut(at)?;
        let (id, struck) = (*id, fault.clone());
        if let Some(times) = fault.times.as_mut() {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.clear(id);
            }
        }
        Some(struck)
    }
}

impl Fault {
    fn strikes(&self, victim: &Victim<'_>) -> bool {
        let is = |want: &Option<String>, have: Option<&str>| {
            want.as_deref().is_none_or(|want| have == Some(want))
        };
        let key = is(&self.key, victim.key_label) || is(&self.key, victim.secret);
        let path = match &self.path {
            Some(end) => victim.path.ends_with(end.as_str()),
            None => victim.inference,
        };
        key && path
            && is(&self.account, victim.account)
            && is(&self.model, victim.model)
            && is(&self.session, victim.session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_counts_and_goes() {
        let mut faults = Faults::default();
        faults.add(Fault::new(Action::Close).key("a").skip(1).times(2));
        let victim = Victim { key_label: Some("a"), inference: true, ..Victim::default() };
        let other = Victim { key_label: Some("b"), inference: true, ..Victim::default() };
        let mut strike = |victim| faults.strike(Stage::Edge, false, victim).is_some();
        assert!(!strike(&victim), "skipped");
        assert!(!strike(&other));
        assert!(strike(&victim));
        assert!(strike(&victim));
        assert!(!strike(&victim), "used up");
    }

    #[test]
    fn json_as_documented() {
        let fault: Fault = serde_json::from_str(
            r#"{"model":"glm-5.2","action":{"type":"stream","after":{"events":3},"then":"cut"}}"#,
        )
        .unwrap();
        let action = Action::Stream { after: After::Events(3), then: Then::Cut };
        assert_eq!(fault, Fault::new(action).model("glm-5.2"));
        let fault: Fault = serde_json::from_str(
            r#"{"action":{"type":"row","row":"goUsage","window":"weekly","retryAfter":60}}"#,
        )
        .unwrap();
        assert!(matches!(fault.action, Action::Row(Row::GoUsage { retry_after: 60, .. })));
        let fault: Fault =
            serde_json::from_str(r#"{"action":{"type":"row","row":"rateLimit"}}"#).unwrap();
        assert_eq!(fault.action, Action::Row(Row::RateLimit));
        assert_eq!(
            serde_json::to_value(&fault).unwrap()["action"],
            serde_json::json!({"type": "row", "row": "rateLimit"})
        );
    }
}
