//! What became of a trace, for people and for programs.

use std::fmt::Write;

use serde::Serialize;

use super::strategy::Strategy;
use super::world::Sums;

/// One strategy's figures; the names are those of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Who chose.
    pub strategy: &'static str,
    /// Requests in the trace.
    pub offered: u64,
    /// Requests that got an answer.
    pub served: u64,
    /// Requests that got none, because no account was open.
    pub refused: u64,
    /// What the served ones cost at list price, in dollars.
    pub list_cost: f64,
    /// What they would have taken from the quotas if every cacheable prefix had been cached, in
    /// quota-dollars (list price × the model's multiplier).
    pub warm_cost: f64,
    /// List dollars that were paid again because a warm session moved to another account.
    pub rotation_tax: f64,
    /// How many warm sessions moved.
    pub switches: u64,
    /// Quota-dollars that monthly resets took away unused.
    pub forfeited: f64,
    /// Seconds in which no account was open, until the last request.
    pub no_account_seconds: f64,
    /// `warm_cost` as a share of the most that anybody could have served (five-hour windows left
    /// out).
    pub bound_share: f64,
}

impl Outcome {
    pub(super) fn new(strategy: Strategy, sums: Sums, bound: f64) -> Self {
        let warm_cost = sums.warm.to_dollars();
        Self {
            strategy: strategy.name(),
            offered: sums.served + sums.refused,
            served: sums.served,
            refused: sums.refused,
            list_cost: sums.list.to_dollars(),
            warm_cost,
            rotation_tax: sums.tax.to_dollars(),
            switches: sums.switches,
            forfeited: sums.forfeited.to_dollars(),
            no_account_seconds: seconds(sums.dry),
            bound_share: if bound > 0.0 { warm_cost / bound } else { 1.0 },
        }
    }
}

/// Side by side.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "{:<15}{:>8}{:>8}{:>8}{:>10}{:>10}{:>8}{:>9}{:>10}{:>11}{:>8}\n",
        "strategy",
        "offered",
        "served",
        "refused",
        "list $",
        "warm $",
        "tax $",
        "switches",
        "unused $",
        "no account",
        "bound"
    );
    for it in outcomes {
        // Writing to a string cannot fail.
        let _written = writeln!(
            text,
            "{:<15}{:>8}{:>8}{:>8}{:>10.2}{:>10.2}{:>8.2}{:>9}{:>10.2}{:>11}{:>7.1}%",
            it.strategy,
            it.offered,
            it.served,
            it.refused,
            it.list_cost,
            it.warm_cost,
            it.rotation_tax,
            it.switches,
            it.forfeited,
            span(it.no_account_seconds),
            100.0 * it.bound_share,
        );
    }
    text
}

/// Days and hours, or hours and minutes.
fn span(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round();
    let (days, rest) = ((minutes / 1_440.0).floor(), minutes % 1_440.0);
    let (hours, minutes) = ((rest / 60.0).floor(), rest % 60.0);
    if days > 0.0 { format!("{days} d {hours} h") } else { format!("{hours} h {minutes} m") }
}

#[expect(clippy::cast_precision_loss, reason = "spans far below 2^52 milliseconds")]
fn seconds(span: i64) -> f64 {
    span as f64 / 1_000.0
}
