//! What a failed attempt teaches.
//!
//! [`table`] holds one row per kind of answer the service is known to give, in order; the first row
//! that matches speaks. Status, `error.type`, `error.code`, the body's shape and `retry-after`
//! decide. Message texts never do: the service translates them into 21 languages.

use crate::time::{DAY, MINUTE, Millis};
use crate::window::Window;

pub mod table;

#[cfg(test)]
mod tests;

/// Facts of an upstream answer that is not a 2xx, read by `saros_wire::error`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `retry-after` in whole seconds from now (dates are converted at the edge).
    pub retry_after: Option<u64>,
    /// What the body is.
    pub body: Body,
    /// `error.type`, or `type` where there is no `error` object.
    pub kind: Option<String>,
    /// `error.code`, where it is a string.
    pub code: Option<String>,
    /// `error.message`, scrubbed of keys; for logs and for answers, never for classification.
    pub message: Option<String>,
    /// `metadata.workspace`.
    pub workspace: Option<String>,
    /// `metadata.limitName`.
    pub limit: Option<Window>,
    /// The body mentions `GoUsageLimit`, `usage limit` or `limitName`: how the new inference service
    /// words an exhausted quota is not confirmed.
    pub speaks_of_quota: bool,
}

/// The shape of an error body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Body {
    /// JSON with an `error` object in the service's own form `{"type":"error","error":{…}}` or a
    /// provider's `{"error":{…}}`.
    Error,
    /// The bare `{"model":"<id>"}` : not served to this workspace.
    BareModel,
    /// Other JSON.
    Json,
    /// HTML, text or nothing.
    #[default]
    Opaque,
}

/// What went wrong when there is no answer to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Name resolution or TCP connect failed.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The request came back unstarted twice (idle connection closed, `REFUSED_STREAM`, GOAWAY).
    Unstarted,
    /// Reset or end after sending and before any byte of the answer.
    Reset,
    /// No response headers in time.
    HeaderTimeout,
    /// After the first byte of a 2xx: reset.
    CutReset,
    /// After the first byte of a 2xx: clean end without the format's terminal event.
    CutShort,
    /// After the first byte of a 2xx: no byte for `streamIdleTimeoutMs`.
    CutIdle,
}

/// Was the request served upstream? That decides whether it may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Provably not: another account may be tried.
    No,
    /// Unknown: repeated at most once, elsewhere, within the replay budget.
    Maybe,
    /// Yes: never repeated.
    Yes,
}

/// Whom a fault speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Only this request.
    Request,
    /// The key (and the account it belongs to).
    Account,
    /// The account for this model only.
    AccountModel,
    /// The model, whoever asks.
    Model,
    /// The service as a whole.
    Upstream,
    /// The way to the service.
    Network,
}

/// What the attempt ran into, one word per row of the table; the word stands in logs and `/health`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// 401 `AuthError`: key unknown, deleted, or workspace blocked.
    KeyRefused,
    /// 401 `INFERENCE_ACCESS_BLOCKED`: workspace blocked at the inference service.
    Blocked,
    /// 401 `CreditsError`, 402: no subscription, or quota used up and balance empty.
    Credits,
    /// 403 `EntitlementError`, `Account.Disabled`: no Go subscription for this key.
    Entitlement,
    /// 401 `MonthlyLimitError` / `UserLimitError`: spending limit while on balance.
    SpendingLimit,
    /// 429 `GoUsageLimitError` and its relatives: a window is exhausted.
    Quota,
    /// 429 `RateLimitError`: per key and model, one clock minute.
    RateLimit,
    /// 429 `FreeUsageLimitError`: per IP, other keys do not help.
    FreeLimit,
    /// 429/529 of the provider without `retry-after`: the model is saturated for everybody.
    Saturated,
    /// 401 `ModelError`: a model problem, not a key problem.
    Model,
    /// The model speaks another format than the one asked in.
    WrongFormat,
    /// 403 `RegionError`, `DataPolicyError`, bare `{"model":…}`: not for this workspace.
    NotForAccount,
    /// Any other 4xx: the request itself.
    Request,
    /// 401/403 that matches no row.
    Refused,
    /// 500 of the service.
    ServerError,
    /// 503 of the service as a whole.
    Unavailable,
    /// 5xx whose origin is unclear (HTML, gateway).
    Gateway,
    /// 521–523, 525, 526: the edge could not reach the origin; certainly not served.
    OriginDown,
    /// Name, TCP or TLS.
    Connect,
    /// Given back unstarted twice.
    Unstarted,
    /// Reset or end before any byte of the answer.
    Reset,
    /// 408, or no response headers in time.
    Timeout,
    /// The stream broke, ended early or went silent after it had begun.
    Cut,
}

/// Whether a request goes on to another account after this fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// The client gets this answer.
    Never,
    /// Every other usable account may be tried.
    Freely,
    /// At most this many attempts of the request in all may end in this kind of fault.
    Tries(u8),
}

/// A classified fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which row.
    pub kind: FaultKind,
    /// Whom it speaks of.
    pub scope: Scope,
    /// Was the request served?
    pub verdict: Verdict,
    /// May another account be tried?
    pub rotation: Rotation,
    /// Upstream's own word on when to come back, in milliseconds from the answer.
    pub retry_after: Option<i64>,
    /// Row names key, subscription or workspace: never pardoned.
    pub certain: bool,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The workspace that the answer named.
    pub workspace: Option<String>,
    /// The window that the answer named.
    pub window: Option<Window>,
}

/// How a fault penalises its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Penalty {
    /// Not at all.
    Nothing,
    /// Out at once, with a slow re-check: 10 min, doubling up to 24 h.
    Recheck,
    /// Out until `retry-after`; without one, until this.
    Until(Unsaid),
    /// Out for a span that doubles each time: 1 h up to 24 h.
    Growing,
    /// Out for `circuitBreakerCooldownMs`.
    Cooldown,
    /// One more in a row: `circuitBreakerThreshold` of them open the scope's breaker.
    Counts,
}

/// How long, when upstream does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsaid {
    /// This many milliseconds.
    Span(i64),
    /// Until the next midnight UTC.
    Midnight,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::KeyRefused,
        Self::Blocked,
        Self::Credits,
        Self::Entitlement,
        Self::SpendingLimit,
        Self::Quota,
        Self::RateLimit,
        Self::FreeLimit,
        Self::Saturated,
        Self::Model,
        Self::WrongFormat,
        Self::NotForAccount,
        Self::Request,
        Self::Refused,
        Self::ServerError,
        Self::Unavailable,
        Self::Gateway,
        Self::OriginDown,
        Self::Connect,
        Self::Unstarted,
        Self::Reset,
        Self::Timeout,
        Self::Cut,
    ];

    /// The fault of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The word for logs and `/health`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeyRefused => "key-refused",
            Self::Blocked => "blocked",
            Self::Credits => "credits",
            Self::Entitlement => "entitlement",
            Self::SpendingLimit => "spending-limit",
            Self::Quota => "quota",
            Self::RateLimit => "rate-limit",
            Self::FreeLimit => "free-limit",
            Self::Saturated => "saturated",
            Self::Model => "model",
            Self::WrongFormat => "wrong-format",
            Self::NotForAccount => "not-for-account",
            Self::Request => "request",
            Self::Refused => "refused",
            Self::ServerError => "server-error",
            Self::Unavailable => "unavailable",
            Self::Gateway => "gateway",
            Self::OriginDown => "origin-down",
            Self::Connect => "connect",
            Self::Unstarted => "unstarted",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Cut => "cut",
        }
    }

    /// What it does to its scope.
    pub const fn penalty(self) -> Penalty {
        match self {
            Self::KeyRefused
            | Self::Blocked
            | Self::Credits
            | Self::Entitlement
            | Self::SpendingLimit => Penalty::Recheck,
            Self::Quota => Penalty::Until(Unsaid::Span(10 * MINUTE)),
            // Counted per clock minute.
            Self::RateLimit => Penalty::Until(Unsaid::Span(MINUTE)),
            // Counted per day, UTC.
            Self::FreeLimit => Penalty::Until(Unsaid::Midnight),
            Self::NotForAccount => Penalty::Growing,
            Self::Refused => Penalty::Cooldown,
            Self::Model | Self::WrongFormat | Self::Request => Penalty::Nothing,
            Self::Saturated
            | Self::ServerError
            | Self::Unavailable
            | Self::Gateway
            | Self::OriginDown
            | Self::Connect
            | Self::Unstarted
            | Self::Reset
            | Self::Timeout
            | Self::Cut => Penalty::Counts,
        }
    }

    /// May the request have been served all the same? (The kinds whose verdict is `Maybe`.)
    pub const fn ambiguous(self) -> bool {
        matches!(self, Self::Gateway | Self::Reset | Self::Timeout)
    }

    /// Is it about what the owner holds at this account: credentials, subscription, quota? After
    /// such a fault the state of all accounts says more than the last answer.
    pub const fn speaks_of_account(self) -> bool {
        matches!(
            self,
            Self::KeyRefused
                | Self::Blocked
                | Self::Credits
                | Self::Entitlement
                | Self::SpendingLimit
                | Self::Quota
        )
    }
}

/// No window is longer than a month, so no `retry-after` is believed beyond it.
const LONGEST: i64 = 32 * DAY;

/// Classifies an answer. Total: every status has a row.
pub fn of_answer(answer: &Answer) -> Fault {
    let row = table::row_of(answer);
    Fault {
        retry_after: answer.retry_after.map(milliseconds),
        status: Some(answer.status),
        workspace: answer.workspace.clone(),
        window: answer.limit,
        ..row.lesson.fault()
    }
}

/// Classifies a failure without an answer.
pub fn of_trouble(trouble: Trouble) -> Fault {
    table::of_trouble(trouble).fault()
}

/// The answer refused a model because it was asked in a format that the model does not speak. Only
/// the catalogue knows that: the service answers as for an unknown model, or with a plain 500.
pub fn wrong_format(answer: &Answer) -> Fault {
    Fault { status: Some(answer.status), ..table::WRONG_FORMAT.fault() }
}

/// Until when upstream asked to wait.
pub fn cooldown_until(fault: &Fault, now: Millis) -> Option<Millis> {
    fault.retry_after.map(|span| now.plus(span))
}

impl Unsaid {
    /// The moment it means, seen from `now`.
    pub const fn ends(self, now: Millis) -> Millis {
        match self {
            Self::Span(span) => now.plus(span),
            Self::Midnight => Millis(now.0 - now.0.rem_euclid(DAY)).plus(DAY),
        }
    }
}

fn milliseconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(LONGEST).saturating_mul(1_000).min(LONGEST)
}
