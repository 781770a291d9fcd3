//! How many quota-dollars a list dollar of each model counts on one account.
//!
//! Published multipliers hold until the reports contradict them. The plan, where the configuration
//! does not say it, and a factor for each model are then chosen among a few candidates
//! (`fit`).

use std::sync::Arc;

use smallvec::SmallVec;

use super::scale::{OTHERS, SLOTS};
use crate::cost::{self, Charge, Cost, UNKNOWN_MULTIPLIER};
use crate::price::{PerPlan, Plan};

/// At least and at most, by slot.
pub(super) type Weights = [(f64, f64); SLOTS];

/// What a published multiplier may have become.
const CHANGES: [f64; 4] = [0.25, 0.5, 2.0, 4.0];
/// What an unknown one may be.
const UNKNOWN: [f64; 3] = [1.0, 2.0, 4.0];

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slot {
    pub(super) model: Arc<str>,
    published: PerPlan<Option<f64>>,
    /// Learned: times the published multiplier, or the multiplier where none is published.
    pub(super) factor: Option<f64>,
}

/// The models of one account, and its plan.
#[derive(Debug, Clone, Default)]
pub(super) struct Multipliers {
    pub(super) slots: SmallVec<[Slot; OTHERS]>,
    pub(super) plan: Plan,
    /// The configuration said which.
    pub(super) told: bool,
}

/// Another way to see the account: one change to its [`Multipliers`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Change {
    Plan(Plan),
    Factor(usize, Option<f64>),
}

impl Slot {
    fn range(&self, plan: Plan) -> (f64, f64) {
        let (least, most) = cost::multiplier(self.published, plan);
        match self.factor {
            None => (least, most),
            Some(factor) if self.known(plan) => (least * factor, most * factor),
            Some(multiplier) => (multiplier, multiplier),
        }
    }

    fn known(&self, plan: Plan) -> bool {
        plan.of(self.published).is_some()
    }
}

impl Multipliers {
    /// The slot of the charge's model, and how many dollars in that slot's unit its list dollar
    /// is. Models that find no slot share the last one, which is in quota-dollars.
    pub(super) fn enter(&mut self, charge: &Charge) -> (usize, (f64, f64)) {
        let Some(model) = &charge.model else { return (OTHERS, UNKNOWN_MULTIPLIER) };
        if let Some(index) = self.find(model) {
            if let Some(slot) = self.slots.get_mut(index)
                && slot.published != charge.multipliers
            {
                slot.published = charge.multipliers;
                slot.factor = None;
            }
            return (index, (1.0, 1.0));
        }
        if self.slots.len() < OTHERS {
            let (model, published) = (Arc::clone(model), charge.multipliers);
            self.slots.push(Slot { model, published, factor: None });
            return (self.slots.len() - 1, (1.0, 1.0));
        }
        (OTHERS, cost::multiplier(charge.multipliers, self.plan))
    }

    /// What the charge takes from this account's quota.
    pub(super) fn cost(&self, charge: &Charge) -> Cost {
        let slot = charge.model.as_ref().and_then(|model| self.slots.get(self.find(model)?));
        let (least, most) = match slot {
            Some(slot) if slot.published == charge.multipliers => slot.range(self.plan),
            _ => cost::multiplier(charge.multipliers, self.plan),
        };
        Cost { low: charge.low * least, high: charge.high * most }
    }

    fn find(&self, model: &Arc<str>) -> Option<usize> {
        let same = |slot: &Slot| Arc::ptr_eq(&slot.model, model) || slot.model == *model;
        self.slots.iter().position(same)
    }

    /// The multiplier of one slot.
    pub(super) fn weight(&self, slot: usize) -> (f64, f64) {
        self.slots.get(slot).map_or((1.0, 1.0), |slot| slot.range(self.plan))
    }

    /// The multipliers of all slots.
    pub(super) fn weights(&self) -> Weights {
        std::array::from_fn(|slot| self.weight(slot))
    }

    /// Would the change go against what is published of a single model? While one ratio explains
    /// everything, that needs no doubt.
    pub(super) fn doubts(&self, change: Change) -> bool {
        match change {
            Change::Plan(_) | Change::Factor(_, None) => false,
            Change::Factor(slot, _) => {
                self.slots.get(slot).is_some_and(|slot| slot.known(self.plan))
            }
        }
    }

    /// What a change would make of it.
    pub(super) fn with(&self, change: Change) -> Self {
        let mut other = self.clone();
        other.make(change);
        other
    }

    pub(super) fn make(&mut self, change: Change) {
        match change {
            Change::Plan(plan) => self.plan = plan,
            Change::Factor(index, factor) => {
                if let Some(slot) = self.slots.get_mut(index) {
                    slot.factor = factor;
                }
            }
        }
    }

    /// Every single change that can be thought of.
    pub(super) fn changes(&self) -> impl Iterator<Item = Change> {
        let plan = if self.plan == Plan::Go { Plan::GoPlus } else { Plan::Go };
        let plan = (!self.told).then_some(Change::Plan(plan));
        let factors = self.slots.iter().enumerate().flat_map(move |(index, slot)| {
            let known = slot.known(self.plan);
            let some: &[f64] = if known { &CHANGES } else { &UNKNOWN };
            let none = (known && slot.factor.is_some()).then_some(None);
            let some = some.iter().map(|factor| Some(*factor));
            some.chain(none)
                .filter(move |factor| *factor != slot.factor)
                .map(move |factor| Change::Factor(index, factor))
        });
        plan.into_iter().chain(factors)
    }

    /// How far this is from what is published, in the unit of a logarithm: what a better fit must
    /// be worth. A plan explains every model at once and comes before a change of one of them.
    pub(super) fn strain(&self) -> f64 {
        let plan = if self.plan == Plan::Go || self.told { 0.0 } else { 0.2 };
        let factors = self.slots.iter().map(|slot| match slot.factor {
            Some(_) if slot.known(self.plan) => 0.3,
            Some(_) => 0.0,
            None if slot.known(self.plan) => 0.0,
            None => 0.2,
        });
        plan + factors.sum::<f64>()
    }

    /// What was learned: the model, what was published then, and the factor.
    pub(super) fn learned(&self) -> impl Iterator<Item = (&Arc<str>, PerPlan<Option<f64>>, f64)> {
        self.slots.iter().filter_map(|slot| Some((&slot.model, slot.published, slot.factor?)))
    }

    /// Restores what was learned of one model.
    pub(super) fn relearn(
        &mut self,
        model: Arc<str>,
        published: PerPlan<Option<f64>>,
        factor: f64,
    ) {
        if self.slots.len() < OTHERS && self.find(&model).is_none() {
            self.slots.push(Slot { model, published, factor: Some(factor) });
        }
    }

    /// Are there multipliers to be learned?
    pub(super) fn unknown(&self) -> bool {
        self.slots.iter().any(|slot| slot.factor.is_none() && !slot.known(self.plan))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(model: &str, multipliers: PerPlan<Option<f64>>) -> Charge {
        Charge { low: 1.0, high: 1.0, model: Some(model.into()), multipliers }
    }

    #[test]
    fn published_until_learned_otherwise() {
        let mut all = Multipliers::default();
        let known = charge("known", [Some(4.0), Some(0.5)]);
        let unknown = charge("unknown", [None, None]);
        assert_eq!(all.enter(&known), (0, (1.0, 1.0)));
        assert_eq!(all.enter(&unknown), (1, (1.0, 1.0)));
        assert_eq!(all.cost(&known), Cost { low: 4.0, high: 4.0 });
        assert_eq!(all.cost(&unknown), Cost { low: 1.0, high: 4.0 });
        all.make(Change::Plan(Plan::GoPlus));
        all.make(Change::Factor(0, Some(2.0)));
        all.make(Change::Factor(1, Some(2.0)));
        assert_eq!(all.cost(&known), Cost { low: 1.0, high: 1.0 });
        assert_eq!(all.cost(&unknown), Cost { low: 2.0, high: 2.0 });
        let published_anew = charge("known", [Some(1.0), Some(1.0)]);
        assert_eq!(all.enter(&published_anew), (0, (1.0, 1.0)));
        assert_eq!(
            all.cost(&published_anew),
            Cost { low: 1.0, high: 1.0 },
            "what was learned ends"
        );
    }

    #[test]
    fn models_beyond_the_slots_count_as_published() {
        let mut all = Multipliers::default();
        for n in 0..OTHERS {
            assert_eq!(all.enter(&charge(&format!("m{n}"), [Some(1.0); 2])).0, n);
        }
        let last = charge("last", [Some(4.0), Some(0.5)]);
        assert_eq!(all.enter(&last), (OTHERS, (4.0, 4.0)));
        assert_eq!(all.cost(&last), Cost { low: 4.0, high: 4.0 });
        assert_eq!(all.enter(&charge("m3", [Some(1.0); 2])).0, 3);
    }

    #[test]
    fn a_told_plan_is_not_doubted() {
        let mut all = Multipliers::default();
        assert!(all.changes().any(|change| change == Change::Plan(Plan::GoPlus)));
        all.told = true;
        assert!(all.changes().next().is_none());
    }
}
