//! The table of faults, as data.
//!
//! Sources: the public code of the service's gateway (its error classes, statuses and headers), its
//! documentation, and answers reported by users of the new inference service.

use super::{Answer, Body, Fault, FaultKind, Rotation, Scope, Trouble, Verdict};

/// One row: which answers, and what they teach.
#[derive(Debug)]
pub struct Row {
    /// For tests and for talking about it.
    pub name: &'static str,
    /// Which answers.
    pub pattern: Pattern,
    /// What they teach.
    pub lesson: Lesson,
}

/// Which answers a row is about. Everything in it must hold.
#[derive(Debug)]
pub struct Pattern {
    /// Statuses, as ranges with both ends included.
    pub status: &'static [(u16, u16)],
    /// `error.type`, or `error.code`, is one of these; empty: whatever they are.
    pub words: Words,
    /// The body has one of these shapes; empty: whatever it is.
    pub body: &'static [Body],
    /// What `retry-after` says.
    pub retry: Retry,
    /// The body must speak of quota.
    pub quota: bool,
}

/// What `error.type` and `error.code` must say.
#[derive(Debug)]
pub enum Words {
    /// Anything.
    Any,
    /// `error.type` is one of these.
    Type(&'static [&'static str]),
    /// `error.type` or `error.code` is one of these.
    Either(&'static [&'static str]),
}

/// What `retry-after` must say.
#[derive(Debug)]
pub enum Retry {
    /// Anything, or nothing.
    Any,
    /// Something.
    Present,
    /// More than this many seconds.
    Over(u64),
}

/// What a fault of a row is.
#[derive(Debug, Clone, Copy)]
pub struct Lesson {
    /// Its word.
    pub kind: FaultKind,
    /// Whom it speaks of.
    pub scope: Scope,
    /// Was the request served?
    pub verdict: Verdict,
    /// May another account be tried?
    pub rotation: Rotation,
    /// Names key, subscription or workspace: never pardoned.
    pub certain: bool,
}

impl Lesson {
    pub(super) const fn fault(self) -> Fault {
        Fault {
            kind: self.kind,
            scope: self.scope,
            verdict: self.verdict,
            rotation: self.rotation,
            retry_after: None,
            certain: self.certain,
            status: None,
            workspace: None,
            window: None,
        }
    }
}

/// The service resets its per-minute limits within 60 s; what asks for more than twice that is about
/// a quota.
const LONG: u64 = 120;

const ANY: Pattern = Pattern {
    status: &[(0, u16::MAX)],
    words: Words::Any,
    body: &[],
    retry: Retry::Any,
    quota: false,
};
const CLIENT_ERRORS: &[(u16, u16)] = &[(400, 407), (409, 499)];
const JSON: &[Body] = &[Body::Error, Body::Json, Body::BareModel];

const fn typed(status: &'static [(u16, u16)], names: &'static [&'static str]) -> Pattern {
    Pattern { status, words: Words::Type(names), ..ANY }
}

const fn status(status: &'static [(u16, u16)]) -> Pattern {
    Pattern { status, ..ANY }
}

const fn certain(kind: FaultKind, scope: Scope, rotation: Rotation) -> Lesson {
    Lesson { kind, scope, verdict: Verdict::No, rotation, certain: true }
}

const fn open(kind: FaultKind, scope: Scope, verdict: Verdict, rotation: Rotation) -> Lesson {
    Lesson { kind, scope, verdict, rotation, certain: false }
}

const fn account(kind: FaultKind) -> Lesson {
    certain(kind, Scope::Account, Rotation::Freely)
}

const QUOTA: Lesson = account(FaultKind::Quota);
const REQUEST: Lesson = open(FaultKind::Request, Scope::Request, Verdict::No, Rotation::Never);
const SATURATED: Lesson = open(FaultKind::Saturated, Scope::Model, Verdict::No, Rotation::Never);
const GATEWAY: Lesson =
    open(FaultKind::Gateway, Scope::Account, Verdict::Maybe, Rotation::Tries(2));

/// See [`super::wrong_format`].
pub(super) const WRONG_FORMAT: Lesson =
    open(FaultKind::WrongFormat, Scope::Request, Verdict::No, Rotation::Never);

/// The rows, most specific first. The last one matches everything.
pub static ROWS: &[Row] = &[
    Row {
        // Counted per IP address: other keys do not help.
        name: "free limit",
        pattern: typed(&[(429, 429)], &["FreeUsageLimitError"]),
        lesson: certain(FaultKind::FreeLimit, Scope::Model, Rotation::Never),
    },
    Row {
        name: "rate limit",
        pattern: typed(&[(429, 429)], &["RateLimitError"]),
        lesson: certain(FaultKind::RateLimit, Scope::AccountModel, Rotation::Freely),
    },
    Row {
        name: "quota",
        pattern: Pattern {
            status: CLIENT_ERRORS,
            words: Words::Either(&["GoUsageLimitError", "BlackUsageLimitError"]),
            ..ANY
        },
        lesson: QUOTA,
    },
    Row {
        name: "model refused",
        pattern: typed(&[(400, 404)], &["ModelError"]),
        lesson: certain(FaultKind::Model, Scope::Model, Rotation::Never),
    },
    Row {
        name: "blocked",
        pattern: Pattern {
            status: &[(401, 401), (403, 403)],
            words: Words::Either(&["INFERENCE_ACCESS_BLOCKED"]),
            ..ANY
        },
        lesson: account(FaultKind::Blocked),
    },
    Row {
        name: "key refused",
        pattern: typed(&[(401, 401)], &["AuthError"]),
        lesson: account(FaultKind::KeyRefused),
    },
    Row {
        name: "credits",
        pattern: typed(&[(401, 403)], &["CreditsError"]),
        lesson: account(FaultKind::Credits),
    },
    Row {
        name: "spending limit",
        pattern: typed(&[(401, 403)], &["MonthlyLimitError", "UserLimitError"]),
        lesson: account(FaultKind::SpendingLimit),
    },
    Row {
        name: "entitlement",
        pattern: Pattern {
            status: &[(401, 403)],
            words: Words::Either(&["EntitlementError", "Account.Disabled"]),
            ..ANY
        },
        lesson: account(FaultKind::Entitlement),
    },
    Row {
        name: "region or data policy",
        pattern: typed(&[(403, 403)], &["RegionError", "DataPolicyError"]),
        lesson: certain(FaultKind::NotForAccount, Scope::AccountModel, Rotation::Freely),
    },
    Row {
        name: "bare model",
        pattern: Pattern { status: &[(400, 400), (403, 403)], body: &[Body::BareModel], ..ANY },
        lesson: certain(FaultKind::NotForAccount, Scope::AccountModel, Rotation::Freely),
    },
    Row {
        name: "session id missing",
        pattern: Pattern {
            status: &[(400, 400)],
            words: Words::Either(&["MissingSessionID"]),
            ..ANY
        },
        lesson: REQUEST,
    },
    Row {
        name: "speaks of quota",
        pattern: Pattern { quota: true, ..status(&[(401, 403), (429, 429)]) },
        lesson: QUOTA,
    },
    Row {
        // Providers quote the prompt in their 400s, and a prompt may speak of anything, so the
        // other client errors need a second sign.
        name: "speaks of quota, with retry-after",
        pattern: Pattern { quota: true, retry: Retry::Present, ..status(CLIENT_ERRORS) },
        lesson: QUOTA,
    },
    Row {
        name: "long retry-after",
        pattern: Pattern { retry: Retry::Over(LONG), ..status(CLIENT_ERRORS) },
        lesson: QUOTA,
    },
    Row {
        // A provider's headers do not survive the gateway, so this one is the service's own.
        name: "429 with retry-after",
        pattern: Pattern { retry: Retry::Present, ..status(&[(429, 429)]) },
        lesson: open(FaultKind::RateLimit, Scope::AccountModel, Verdict::No, Rotation::Freely),
    },
    Row { name: "provider's 429", pattern: status(&[(429, 429)]), lesson: SATURATED },
    Row {
        name: "provider's 529",
        pattern: Pattern { body: JSON, ..status(&[(529, 529)]) },
        lesson: SATURATED,
    },
    Row { name: "402", pattern: status(&[(402, 402)]), lesson: account(FaultKind::Credits) },
    Row {
        name: "401 or 403 of no known kind",
        pattern: status(&[(401, 401), (403, 403)]),
        lesson: open(FaultKind::Refused, Scope::Account, Verdict::No, Rotation::Freely),
    },
    Row {
        name: "408",
        pattern: status(&[(408, 408)]),
        lesson: open(FaultKind::Timeout, Scope::Account, Verdict::Maybe, Rotation::Tries(2)),
    },
    Row { name: "client error", pattern: status(&[(400, 499)]), lesson: REQUEST },
    Row {
        name: "origin down",
        pattern: status(&[(521, 523), (525, 526)]),
        lesson: open(FaultKind::OriginDown, Scope::Upstream, Verdict::No, Rotation::Tries(2)),
    },
    Row {
        name: "service unavailable",
        pattern: Pattern { body: JSON, ..status(&[(503, 503)]) },
        lesson: open(FaultKind::Unavailable, Scope::Upstream, Verdict::No, Rotation::Never),
    },
    Row {
        name: "the service's own server error",
        pattern: Pattern { body: &[Body::Error], ..status(&[(500, 599)]) },
        lesson: open(FaultKind::ServerError, Scope::Account, Verdict::No, Rotation::Tries(2)),
    },
    Row { name: "gateway", pattern: status(&[(500, 599)]), lesson: GATEWAY },
    // Redirects are not followed and nothing else is expected: the client sees it as it came.
    Row { name: "anything else", pattern: ANY, lesson: REQUEST },
];

static LAST: Row = Row { name: "anything else", pattern: ANY, lesson: REQUEST };

/// The first row that matches.
pub fn row_of(answer: &Answer) -> &'static Row {
    ROWS.iter().find(|row| row.pattern.matches(answer)).unwrap_or(&LAST)
}

impl Pattern {
    fn matches(&self, answer: &Answer) -> bool {
        let kind = answer.kind.as_deref();
        let code = answer.code.as_deref();
        let among = |names: &[&str], word: Option<&str>| word.is_some_and(|w| names.contains(&w));
        self.status.iter().any(|(low, high)| (*low..=*high).contains(&answer.status))
            && match self.words {
                Words::Any => true,
                Words::Type(names) => among(names, kind),
                Words::Either(names) => among(names, kind) || among(names, code),
            }
            && (self.body.is_empty() || self.body.contains(&answer.body))
            && match self.retry {
                Retry::Any => true,
                Retry::Present => answer.retry_after.is_some(),
                Retry::Over(seconds) => answer.retry_after.is_some_and(|given| given > seconds),
            }
            && (!self.quota || answer.speaks_of_quota)
    }
}

/// What a failure without an answer teaches.
pub fn of_trouble(trouble: Trouble) -> Lesson {
    use Rotation::{Never, Tries};
    use Verdict::{Maybe, No, Yes};
    match trouble {
        Trouble::Connect | Trouble::Tls => open(FaultKind::Connect, Scope::Network, No, Tries(2)),
        Trouble::Unstarted => open(FaultKind::Unstarted, Scope::Network, No, Tries(2)),
        Trouble::Reset => open(FaultKind::Reset, Scope::Account, Maybe, Tries(2)),
        Trouble::HeaderTimeout => open(FaultKind::Timeout, Scope::Account, Maybe, Never),
        Trouble::CutReset | Trouble::CutShort | Trouble::CutIdle => {
            open(FaultKind::Cut, Scope::Account, Yes, Never)
        }
    }
}
