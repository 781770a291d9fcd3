//! Sums since the beginning, for the owner.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::meter::Tokens;
use crate::time::Millis;

/// Models counted by name; their names come from clients. Those above are counted together.
const MODELS: usize = 256;
/// The name of the rest.
const REST: &str = "(others)";

#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Since when.
    pub(super) since: Option<Millis>,
    pub(super) models: BTreeMap<Arc<str>, Use>,
    /// List dollars paid again because a warm session moved.
    pub(super) rotation_tax: f64,
    /// Warm sessions that moved.
    pub(super) switches: u64,
    /// Quota-dollars lost at resets.
    pub(super) forfeited: f64,
}

/// What one model consumed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Use {
    pub(super) requests: u64,
    /// Prompt tokens, cached ones included.
    pub(super) input: u64,
    pub(super) cached: u64,
    pub(super) output: u64,
    pub(super) list_cost: f64,
}

impl Totals {
    /// An answer was metered.
    pub(super) fn count(
        &mut self,
        model: Option<&Arc<str>>,
        tokens: &Tokens,
        list_cost: f64,
        now: Millis,
    ) {
        self.since.get_or_insert(now);
        let Some(entry) = self.entry(model) else { return };
        let cached = tokens.cached.unwrap_or(0);
        let prompt = tokens.input.saturating_add(cached).saturating_add(tokens.cache_write);
        entry.requests = entry.requests.saturating_add(1);
        entry.input = entry.input.saturating_add(prompt);
        entry.cached = entry.cached.saturating_add(cached);
        entry.output = entry.output.saturating_add(tokens.output);
        entry.list_cost += list_cost;
    }

    fn entry(&mut self, model: Option<&Arc<str>>) -> Option<&mut Use> {
        let model = model?;
        if !self.models.contains_key(model) {
            let full = self.models.len() >= MODELS;
            let name = if full { Arc::from(REST) } else { Arc::clone(model) };
            return Some(self.models.entry(name).or_default());
        }
        self.models.get_mut(model)
    }

    /// A warm session moved.
    pub(super) fn moved(&mut self, tax: f64) {
        self.switches = self.switches.saturating_add(1);
        self.rotation_tax += tax;
    }

    pub(super) fn shift(&mut self, span: i64) {
        self.since = self.since.map(|since| since.plus(span));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_nothing_is_lost() {
        let mut totals = Totals::default();
        let tokens = Tokens { input: 1, cached: Some(2), output: 3, ..Tokens::default() };
        for n in 0..1_000 {
            totals.count(Some(&format!("m{n}").into()), &tokens, 0.5, Millis(n));
        }
        assert_eq!(totals.models.len(), MODELS + 1);
        let sum: u64 = totals.models.values().map(|used| used.requests).sum();
        assert_eq!((sum, totals.since), (1_000, Some(Millis(0))));
        assert_eq!(totals.models.get("m0").map(|used| used.input), Some(3));
    }
}
