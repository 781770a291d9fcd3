//! What goes into the pool and what comes out.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::fault::{Fault, FaultKind};
use crate::format::Format;
use crate::id::{AccountId, KeyId, LeaseId, SessionKey, TicketId, UpstreamId};
use crate::meter::Bill;
use crate::price::{Plan, Prices};
use crate::select::{Candidate, Reason, Strategy};
use crate::time::{MINUTE, Millis, SECOND};
use crate::window::Window;

/// The keys and the rules, from the configuration; applied at the start and at each reload alike.
#[derive(Debug, Clone)]
pub struct Roster {
    /// In rotation order.
    pub keys: Vec<RosterKey>,
    /// The rules.
    pub rules: Rules,
}

/// One configured key. The secret itself stays at the edge.
#[derive(Debug, Clone)]
pub struct RosterKey {
    /// Fingerprint of the secret.
    pub id: KeyId,
    /// The owner's name for it.
    pub label: Arc<str>,
    /// Which upstream it belongs to.
    pub upstream: UpstreamId,
    /// Which subscription its account has; `None`: assumed to be Go, and learned.
    pub plan: Option<Plan>,
    /// May its account's prepaid balance be spent?
    pub allow_balance: AllowBalance,
}

/// May prepaid balance be spent when an account's quota is used up?
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum AllowBalance {
    /// Never: the account is left before that, and parked when it happens all the same.
    #[default]
    No,
    /// Without limit.
    Yes,
    /// Up to so many dollars.
    UpTo(f64),
}

/// Numbers from the configuration that steer decisions.
#[derive(Debug, Clone)]
pub struct Rules {
    /// `circuitBreakerThreshold`: consecutive failures that open a breaker.
    pub breaker_threshold: u32,
    /// `circuitBreakerCooldownMs`.
    pub breaker_cooldown: i64,
    /// `maxConcurrentPerKey` (per account), 0 = no limit.
    pub max_concurrent: u32,
    /// `queueTimeoutMs`.
    pub queue_timeout: i64,
    /// `replayAmbiguous`.
    pub replay_ambiguous: bool,
    /// `strategy`.
    pub strategy: Strategy,
    /// `usageThreshold`, in percent.
    pub usage_threshold: Option<u8>,
    /// What models cost.
    pub prices: Arc<Prices>,
}

impl Default for Rules {
    /// The defaults of the configuration.
    fn default() -> Self {
        Self {
            breaker_threshold: 3,
            breaker_cooldown: MINUTE,
            max_concurrent: 0,
            queue_timeout: 30 * SECOND,
            replay_ambiguous: true,
            strategy: Strategy::Predictive,
            usage_threshold: None,
            prices: Arc::default(),
        }
    }
}

/// What a request asks for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The model that upstream will read; `None`: forwarded, judged like any other.
    pub model: Option<Arc<str>>,
    /// The dialect; `None` for routes that are forwarded with one attempt and no blame.
    pub format: Option<Format>,
    /// The conversation.
    pub session: Option<SessionKey>,
    /// Whether the session's affinity may be read: an explicit id, or a body with an assistant turn.
    pub warm: bool,
    /// Body size, for cost prediction.
    pub body_bytes: u64,
}

/// What a request has tried, and what each try taught. Kept by the edge, extended by
/// [`Trail::record`], read by [`super::Pool::admit`].
#[derive(Debug, Clone)]
pub struct Trail {
    /// The request's place in the pool.
    pub ticket: TicketId,
    /// Keys tried, oldest first, with what each taught.
    pub tried: SmallVec<[(KeyId, FaultKind); 4]>,
    /// The last fault, whole.
    pub last: Option<Fault>,
    /// Ambiguous repeats so far, for the edge's records. The pool itself counts the ambiguous
    /// faults in `tried`.
    pub replays: u8,
    /// Since when it waits in the queue, for the edge's records. The pool itself remembers its
    /// waiters, because only that memory survives a clock that is set back.
    pub queued_since: Option<Millis>,
}

/// The answer to "may this request go?".
#[derive(Debug, Clone, PartialEq)]
pub enum Admission {
    /// Run one attempt with this grant.
    Go(Grant),
    /// Wait until woken (an [`Effects::wake`] with this ticket) or until `until`, then ask again.
    Wait {
        /// Ask again then at the latest; the queue's time is up.
        until: Millis,
    },
    /// Nothing to run.
    Refuse(Refusal),
}

/// A lease and whom it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// To be settled exactly once.
    pub lease: LeaseId,
    /// The key to use.
    pub key: KeyId,
    /// The half-open breaker's single trial.
    pub trial: bool,
    /// This attempt repeats one that may have been served (possibly paid twice).
    pub replay: bool,
    /// How it came about, to be explained.
    pub decision: Decision,
}

/// How an account was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Everybody who could have been, in rotation order.
    pub rows: Box<[Candidate]>,
    /// Which of them was.
    pub chosen: usize,
    /// Why it.
    pub reason: Reason,
    /// What the request will cost by what is known, in quota-dollars, and at most in nine cases of
    /// ten, which is what is held for it.
    pub cost: (f64, f64),
    /// The session was on that account before, and the chance that its prompt cache is still warm.
    pub seat: Option<(AccountId, f64)>,
    /// Was quota treated as scarce?
    pub scarce: bool,
}

/// Why nothing can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The last attempt's outcome is what the client gets (its answer unchanged, or 502/504).
    LastAttempt,
    /// Every key is dead.
    AllDead,
    /// Every living account is out of quota, or the one that returns first is.
    OutOfQuota {
        /// The earliest return.
        until: Millis,
        /// The window that binds the account that returns first, where known.
        window: Option<Window>,
        /// Its workspace, where known.
        workspace: Option<String>,
    },
    /// Cooldowns or breakers; the earliest return.
    Cooling {
        /// The earliest return.
        until: Millis,
    },
    /// The model's breaker is open.
    ModelOpen {
        /// When a trial will be let through.
        until: Millis,
    },
    /// A free model's limit per IP is reached.
    FreeLimit {
        /// When it resets.
        until: Millis,
    },
    /// The queue is full.
    QueueFull,
    /// Waited `queueTimeoutMs` in vain.
    QueueTimeout,
    /// Every account is so close to a limit that a report was awaited, and none came in time.
    NoReport,
    /// No keys are configured.
    NoKeys,
}

/// How a lease ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The last byte was relayed.
    Served(Bill),
    /// It began and broke.
    Cut(Bill, Fault),
    /// It failed before the first byte of a 2xx.
    Faulted(Fault),
    /// The client went away: judges nobody.
    Abandoned(Bill),
}

/// What the pool orders from the edges.
#[derive(Debug, Clone, Default)]
pub struct Effects {
    /// Waiters to wake.
    pub wake: SmallVec<[TicketId; 2]>,
    /// Keys with which the usage API should be asked now. Each order is answered by one
    /// [`super::Observation`].
    pub poll: SmallVec<[KeyId; 2]>,
    /// What the owner should be told.
    pub notices: SmallVec<[Notice; 2]>,
    /// State worth saving has changed.
    pub save: bool,
    /// [`super::Pool::due`] has moved forward, without a notice.
    pub rearm: bool,
}

/// A change of standing that is worth a line in the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// The key will not be used until a re-check, a configuration change or `reload`.
    Dead {
        /// Which key.
        key: KeyId,
        /// Why.
        why: FaultKind,
        /// The slow re-check.
        until: Millis,
    },
    /// The account is not used for a while.
    Cooling {
        /// Which key.
        key: KeyId,
        /// Only for this model.
        model: Option<Arc<str>>,
        /// Why.
        why: FaultKind,
        /// Until when.
        until: Millis,
    },
    /// A model's breaker opened.
    ModelOpen {
        /// Which model.
        model: Arc<str>,
        /// Why.
        why: FaultKind,
        /// Until when.
        until: Millis,
    },
    /// An upstream's breaker opened.
    UpstreamOpen {
        /// Which upstream.
        upstream: UpstreamId,
        /// Until when.
        until: Millis,
    },
    /// A trial succeeded, or a cooldown's end was confirmed by an answer.
    Back {
        /// Which key.
        key: KeyId,
    },
    /// Blame moved from accounts to the model or the service.
    Pardoned {
        /// The accounts' keys.
        keys: Vec<KeyId>,
        /// What they had been blamed for.
        what: FaultKind,
    },
    /// Requests on this key were paid from prepaid balance, which is not allowed: its account is not
    /// used until `until`.
    BalanceSpent {
        /// Which key.
        key: KeyId,
        /// Dollars, where the service named them.
        amount: Option<f64>,
        /// Until when.
        until: Millis,
    },
    /// Two keys turned out to share one account.
    Merged {
        /// Key that keeps the account.
        keeps: KeyId,
        /// Key that joined it.
        joins: KeyId,
    },
}

/// How a key stands, for `/health` and `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which key.
    pub key: KeyId,
    /// Its label.
    pub label: Arc<str>,
    /// Its account.
    pub account: AccountId,
    /// One word.
    pub state: State,
    /// Why, where it is not usable.
    pub why: Option<FaultKind>,
    /// Until when, where that is known.
    pub until: Option<Millis>,
    /// Attempts in flight.
    pub in_flight: u32,
    /// The last fault seen on it, and when.
    pub last_fault: Option<(FaultKind, Millis)>,
}

/// A model that is not asked for at the moment, of everybody or of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Which model.
    pub model: Arc<str>,
    /// At whom; `None`: at everybody.
    pub label: Option<Arc<str>>,
    /// Why.
    pub why: Option<FaultKind>,
    /// Until when.
    pub until: Millis,
}

/// One word on a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Usable.
    Ready,
    /// Half-open: the next request is its trial.
    Trial,
    /// Cooling as a whole, or its breaker is open.
    Cooling,
    /// Out of quota.
    OutOfQuota,
    /// Dead.
    Dead,
}

impl Trail {
    /// Writes down what the attempt on `key` taught.
    pub fn record(&mut self, key: KeyId, fault: Fault) {
        self.tried.push((key, fault.kind));
        self.last = Some(fault);
    }
}
