//! One record per request.

use std::sync::Arc;
use std::time::Duration;

use saros_core::fault::FaultKind;
use saros_core::format::Format;
use saros_core::id::SessionKey;
use saros_core::meter::Tokens;
use saros_core::pool::Decision;
use saros_core::time::Millis;
use smallvec::SmallVec;
use uuid::Uuid;

use crate::observe::log::line::{Line, field_name};

/// What is known of a request when it has ended. No content, ever.
#[derive(Debug, Clone)]
pub struct RequestRecord {
    /// The request id that the client saw.
    pub id: Uuid,
    /// The conversation, as a digest.
    pub session: Option<SessionKey>,
    /// The dialect.
    pub format: Option<Format>,
    /// The model.
    pub model: Option<Arc<str>>,
    /// The account that served, or was tried last.
    pub label: Option<Arc<str>>,
    /// Attempts made.
    pub attempts: u32,
    /// How the account of each attempt was chosen.
    pub decisions: SmallVec<[Decision; 1]>,
    /// Those that failed, in order: at whom, and how.
    pub failed: Vec<(Arc<str>, FaultKind)>,
    /// What the client got.
    pub status: Option<u16>,
    /// Until the head of the answer.
    pub ttfb: Option<Duration>,
    /// Until the end.
    pub duration: Duration,
    /// Request body.
    pub bytes_in: u64,
    /// Answer body.
    pub bytes_out: u64,
    /// What the answer said that it consumed.
    pub tokens: Option<Tokens>,
    /// List price in dollars, where the answer named it.
    pub list_cost: Option<f64>,
    /// What was taken from prepaid balance in dollars, where the answer named it.
    pub balance_cost: Option<f64>,
    /// An attempt was repeated that may have been served: possibly paid twice.
    pub replayed: bool,
    /// The last fault.
    pub fault: Option<FaultKind>,
    /// How it ended.
    pub end: End,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// To its last byte.
    Complete,
    /// Upstream broke off.
    Cut,
    /// The client left.
    ClientGone,
    /// The proxy was stopped.
    Stopped,
}

impl End {
    /// The word for logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Cut => "cut",
            Self::ClientGone => "client-gone",
            Self::Stopped => "stopped",
        }
    }
}

impl RequestRecord {
    /// A record that knows only its id.
    pub fn new(id: Uuid) -> Self {
        Self {
            id,
            session: None,
            format: None,
            model: None,
            label: None,
            attempts: 0,
            decisions: SmallVec::new(),
            failed: Vec::new(),
            status: None,
            ttfb: None,
            duration: Duration::ZERO,
            bytes_in: 0,
            bytes_out: 0,
            tokens: None,
            list_cost: None,
            balance_cost: None,
            replayed: false,
            fault: None,
            end: End::Complete,
        }
    }

    /// When it began: a UUID of version 7 begins with its milliseconds (RFC 9562 §5.7).
    pub fn began(&self) -> Millis {
        Millis(i64::try_from(self.id.as_u128() >> 80).unwrap_or_default())
    }

    /// Whether it was for the service, and not for one of the proxy's own pages.
    pub fn is_for_service(&self) -> bool {
        self.format.is_some() || self.attempts > 0
    }

    /// Adds everything that is known to a line.
    pub fn fields(&self, line: &mut Line<'_>) {
        let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
        line.word(field_name!("id"), self.id.hyphenated().encode_lower(&mut id));
        if let Some(status) = self.status {
            line.count(field_name!("status"), status.into());
        }
        if let Some(format) = self.format {
            line.word(field_name!("format"), format.name());
        }
        if let Some(model) = &self.model {
            line.own_text(field_name!("model"), model);
        }
        if let Some(label) = &self.label {
            line.own_text(field_name!("label"), label);
        }
        line.count(field_name!("attempts"), self.attempts.into());
        if let Some(ttfb) = self.ttfb {
            line.tenths(field_name!("ttfbMs"), tenths(ttfb));
        }
        line.tenths(field_name!("durationMs"), tenths(self.duration));
        line.count(field_name!("bytesIn"), self.bytes_in);
        line.count(field_name!("bytesOut"), self.bytes_out);
        if let Some(tokens) = self.tokens {
            line.count(field_name!("inputTokens"), tokens.input);
            if let Some(cached) = tokens.cached {
                line.count(field_name!("cachedTokens"), cached);
            }
            if tokens.cache_write > 0 {
                line.count(field_name!("cacheWriteTokens"), tokens.cache_write);
            }
            line.count(field_name!("outputTokens"), tokens.output);
            if tokens.reasoning > 0 {
                line.count(field_name!("reasoningTokens"), tokens.reasoning);
            }
        }
        if let Some(fault) = self.fault {
            line.word(field_name!("fault"), fault.name());
        }
        if self.replayed {
            line.plain("replayed", true);
        }
        line.word(field_name!("end"), self.end.name());
    }
}

/// Tenths of a millisecond.
fn tenths(span: Duration) -> u64 {
    u64::try_from(span.as_micros() / 100).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::log::Level;
    use crate::observe::log::line::Form;

    fn shown(record: &RequestRecord, form: Form) -> String {
        let mut out = String::new();
        let mut line = Line::begin(&mut out, form, Level::Info, Millis(0), "Request");
        record.fields(&mut line);
        line.end();
        out
    }

    #[test]
    fn shows_what_is_known_and_leaves_out_the_rest() {
        let mut record = RequestRecord::new(Uuid::from_u128(1));
        assert_eq!(
            shown(&record, Form::Json),
            "{\"level\":30,\"time\":0,\"msg\":\"Request\",\"id\":\"00000000-0000-0000-0000-000000000001\",\"attempts\":0,\
             \"durationMs\":0.0,\"bytesIn\":0,\"bytesOut\":0,\"end\":\"complete\"}\n"
        );
        record.status = Some(200);
        record.format = Some(Format::Messages);
        record.model = Some("glm-5.2 \"x\"".into());
        record.label = Some("home".into());
        record.attempts = 2;
        record.ttfb = Some(Duration::from_micros(12_345));
        record.duration = Duration::from_millis(1_234_567);
        record.tokens =
            Some(Tokens { input: 1, cached: Some(2), cache_write: 3, output: 4, reasoning: 5 });
        record.fault = Some(FaultKind::Reset);
        record.replayed = true;
        record.end = End::Cut;
        let value: serde_json::Value = serde_json::from_str(&shown(&record, Form::Json)).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "level": 30, "time": 0, "msg": "Request", "id": "00000000-0000-0000-0000-000000000001", "status": 200,
                "format": "messages", "model": "glm-5.2 \"x\"", "label": "home", "attempts": 2,
                "ttfbMs": 12.3, "durationMs": 1_234_567.0, "bytesIn": 0, "bytesOut": 0,
                "inputTokens": 1, "cachedTokens": 2, "cacheWriteTokens": 3, "outputTokens": 4,
                "reasoningTokens": 5, "fault": "reset", "replayed": true, "end": "cut",
            })
        );
        let readable = shown(&record, Form::Readable { colors: false });
        assert!(
            readable.contains(
                "Request id=00000000-0000-0000-0000-000000000001 status=200 format=messages \
                 model=\"glm-5.2"
            ),
            "{readable}"
        );
    }
}
