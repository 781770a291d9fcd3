//! What a request takes from an account's quota.
//!
//! A bill says tokens; a [`Charge`] says list dollars and whose; a [`Cost`] says quota-dollars:
//! list dollars times the model's multiplier. Which multiplier holds is a matter of the account
//! ([`crate::ledger::Ledger::cost`]), because plans differ and because it can be learned.

use std::sync::Arc;

use crate::meter::Bill;
use crate::price::{PerPlan, Plan, Prices};
use crate::time::Millis;

/// Quota-dollars, at least and at most.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// The least it can have been.
    pub low: f64,
    /// The most.
    pub high: f64,
}

/// List dollars of one request, at least and at most, and the model's published multipliers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Charge {
    /// The least it can have cost at list price.
    pub low: f64,
    /// The most.
    pub high: f64,
    /// The model, where one was named.
    pub model: Option<Arc<str>>,
    /// Quota-dollars per list dollar under each plan, where published.
    pub multipliers: PerPlan<Option<f64>>,
}

/// What a model whose allowance is not known may count: allowances of the full month, a half and
/// a quarter of it are published.
pub const UNKNOWN_MULTIPLIER: (f64, f64) = (1.0, 4.0);

/// Dollars. No request costs more; what claims to is a mistake on the wire.
const MOST: f64 = 1_000.0;

impl Cost {
    /// What the bill took from a quota, by the published figures alone.
    pub fn of(
        bill: &Bill,
        model: Option<&Arc<str>>,
        plan: Plan,
        prices: &Prices,
        at: Millis,
    ) -> Self {
        let charge = Charge::of(bill, model, prices, at);
        let (least, most) = multiplier(charge.multipliers, plan);
        Self { low: charge.low * least, high: charge.high * most }
    }

    /// The middle: for sums where errors even out.
    pub fn middle(self) -> f64 {
        f64::midpoint(self.low, self.high)
    }
}

/// The published multiplier, or the range of an unknown one.
pub(crate) fn multiplier(published: PerPlan<Option<f64>>, plan: Plan) -> (f64, f64) {
    plan.of(published).map_or(UNKNOWN_MULTIPLIER, |known| (known, known))
}

impl Charge {
    /// What the bill says in list dollars: as the service said on the wire, else by the table,
    /// else anything up to what the dearest model would have cost. `at` is when it ended.
    pub fn of(bill: &Bill, model: Option<&Arc<str>>, prices: &Prices, at: Millis) -> Self {
        let name = model.map_or("", |model| model);
        let multipliers = prices.multipliers(name);
        let (low, high) = match bill.list_cost {
            Some(cost) if (0.0..=MOST).contains(&cost) => (cost, cost),
            _ => {
                let high = prices.list_cost(name, &bill.high, at);
                let low = high.and_then(|_| prices.list_cost(name, &bill.low, at));
                (low.unwrap_or(0.0), high.unwrap_or_else(|| prices.dearest_cost(&bill.high)))
            }
        };
        let high = high.clamp(0.0, MOST);
        Self { low: low.clamp(0.0, high), high, model: model.cloned(), multipliers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Tokens;
    use crate::price::{Price, Rate};

    fn prices() -> Prices {
        let mut prices = Prices::default();
        let rate = Rate { input: 1.0, output: 1.0, cache_read: 1.0, cache_write: 1.0 };
        prices.insert(
            "m",
            Price { rate: Some(rate), monthly: [Some(15.0), None], ..Price::default() },
        );
        prices
    }

    const MILLION: Tokens =
        Tokens { input: 1_000_000, cached: None, cache_write: 0, output: 0, reasoning: 0 };

    fn check(bill: Bill, model: &str, plan: Plan, (low, high): (f64, f64)) {
        let cost = Cost::of(&bill, Some(&model.into()), plan, &prices(), Millis(0));
        assert_eq!(cost, Cost { low, high }, "{bill:?} {model} {plan:?}");
    }

    #[test]
    fn what_is_known_of_the_price_decides_how_wide_it_is() {
        let exact = Bill::exact(MILLION);
        check(exact, "m", Plan::Go, (4.0, 4.0));
        check(exact, "m", Plan::GoPlus, (1.0, 4.0));
        check(exact, "unheard-of", Plan::Go, (0.0, 4.0));
        check(Bill::at_most(MILLION), "m", Plan::Go, (0.0, 4.0));
        check(Bill::NOTHING, "m", Plan::Go, (0.0, 0.0));
    }

    #[test]
    fn the_wire_knows_better_than_the_table_unless_it_is_absurd() {
        let said = |cost| Bill { list_cost: Some(cost), ..Bill::exact(MILLION) };
        check(said(0.5), "m", Plan::Go, (2.0, 2.0));
        check(said(0.5), "unheard-of", Plan::Go, (0.5, 2.0));
        for absurd in [f64::NAN, f64::INFINITY, -1.0, 1e9] {
            check(said(absurd), "m", Plan::Go, (4.0, 4.0));
        }
    }
}
