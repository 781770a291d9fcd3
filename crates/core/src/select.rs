//! Choosing one account among several: one file per strategy.
//!
//! A strategy sees nothing but the candidate rows and what the request needs. The rows keep the
//! reason of everyone who was passed over, so that an explanation renders them later and decides
//! nothing.

use crate::fault::FaultKind;
use crate::id::{AccountId, KeyId};
use crate::time::Millis;

pub mod predictive;
pub mod round_robin;

/// How an account is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// By what is known and foreseen; rotation while nothing is scarce or nothing is known.
    #[default]
    Predictive,
    /// The next account in order, past those over `usageThreshold`.
    RoundRobin,
}

impl Strategy {
    /// The word used in configuration, logs and figures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Predictive => "predictive",
            Self::RoundRobin => "round-robin",
        }
    }
}

/// One key and how it stands for the request at hand. Rows come in rotation order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The key.
    pub key: KeyId,
    /// Its account.
    pub account: AccountId,
    /// Attempts in flight on the account.
    pub in_flight: u32,
    /// Can it run the request?
    pub fit: Fit,
    /// What is known of its quota.
    pub quota: Quota,
}

/// What a strategy may weigh.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Quota {
    /// The highest percentage used among its windows, as last reported and metered since; `None`
    /// without any report.
    pub highest: Option<f32>,
    /// Quota-dollars per hour that would have to be used from now on, beside what is kept for next
    /// week, so that the month's reset takes nothing away; negative where less than that is left;
    /// 0 while nothing is reported.
    pub urgency: f32,
    /// By how much `urgency` can be wrong, either way.
    pub error: f32,
}

/// Whether a candidate can run the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Yes.
    Usable,
    /// Yes, as a half-open breaker's single trial.
    Trial,
    /// It may have quota left, and it costs nothing to find out: upstream refuses rather than
    /// charge the prepaid balance. Only when nobody else can.
    LastResort,
    /// Not before one of its attempts ends: `maxConcurrentPerKey`.
    Full,
    /// Not before it is known that what is in flight leaves something: a report is awaited.
    Unsure,
    /// Not before the trial of a half-open breaker ends, which is under way.
    Awaited(Block),
    /// The request has tried it.
    Tried,
    /// Another key of the same account stands for it.
    SharesAccount,
    /// Not before the block ends.
    Blocked(Block),
}

impl Fit {
    /// Can it run the request now?
    pub const fn runs(self) -> bool {
        matches!(self, Self::Usable | Self::Trial)
    }

    /// Will that change by itself, without any guard's end?
    pub const fn is_worth_waiting_for(self) -> bool {
        matches!(self, Self::Full | Self::Unsure | Self::Awaited(_))
    }
}

/// What keeps a candidate out, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Which of its guards.
    pub guard: Guard,
    /// The fault behind it.
    pub why: Option<FaultKind>,
    /// The earliest return.
    pub until: Millis,
}

/// The guards of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Dead: only a re-check, a new configuration or `reload` helps.
    Dead,
    /// Out of quota.
    Quota,
    /// Parked, because requests went on its prepaid balance.
    Balance,
    /// A cooldown or breaker of the account.
    Cooling,
    /// A cooldown of the account for this model.
    Model,
    /// The account may not use this model, and nothing else keeps it out.
    NotServed,
    /// The breaker of its upstream.
    Upstream,
}

/// What the request at hand brings along.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Need {
    /// The row that was used last, wherever it stands now.
    pub last: Option<usize>,
    /// `usageThreshold`, in percent: who is over it is passed over while anybody is not.
    pub threshold: Option<f32>,
    /// Is quota scarce, so that it matters who serves?
    pub scarce: bool,
    /// The account on which its session is warm, if it has one.
    pub seat: Option<AccountId>,
    /// What leaving that account costs, in quota-dollars.
    pub leaving: f32,
    /// What the request itself will probably cost, in quota-dollars.
    pub cost: f32,
}

/// Why a candidate was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It was its turn.
    Turn,
    /// Its session is warm there.
    Warm,
    /// Its quota is the first that a reset would take away.
    Urgency,
    /// Everybody is over the threshold; it is the least used.
    LeastUsed,
    /// Nobody is known to have quota left, and asking costs nothing.
    LastResort,
    /// No account may use the model; the client gets the service's own words.
    NothingToLose,
}

/// The candidates that can run the request; of those, the ones under the threshold if there are any.
fn eligible(rows: &[Candidate], threshold: Option<f32>) -> impl Fn(&Candidate) -> bool + use<> {
    let under = move |row: &Candidate| match (threshold, row.quota.highest) {
        (Some(threshold), Some(highest)) => highest < threshold,
        _ => true,
    };
    let some = rows.iter().any(|row| row.fit.runs() && under(row));
    move |row| row.fit.runs() && (under(row) || !some)
}

/// Where a row stands in the rotation after `last`.
fn turn(last: Option<usize>, index: usize) -> (u8, usize) {
    let start = last.map_or(0, |last| last.saturating_add(1));
    (u8::from(index < start), index)
}
