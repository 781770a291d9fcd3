//! What is known about models, whoever asks.
//!
//! Their names come from clients, so the memory is bounded in number and length; the model not heard
//! of for longest is forgotten first.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::upstream::count_on;
use crate::breaker::{Breaker, Growth, PATIENCE, Phase, Tally};
use crate::fault::FaultKind;
use crate::id::LeaseId;
use crate::time::{MINUTE, Millis};

/// Models remembered at once.
const MODELS: usize = 1_024;
/// Longer names are forwarded but not remembered.
const NAME: usize = 256;
/// Nothing happened for so long: forget how often the breaker had opened.
const FORGET: i64 = 10 * MINUTE;

/// The model's name, if it is short enough to be remembered.
pub(super) fn memorable(model: Option<&Arc<str>>) -> Option<&Arc<str>> {
    model.filter(|name| name.len() <= NAME)
}

#[derive(Debug, Default)]
pub(super) struct Models {
    map: BTreeMap<Arc<str>, Model>,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) tally: Tally,
    pub(super) breaker: Breaker,
    /// Its limit per IP address is reached until then.
    held: Option<Millis>,
    touched: Millis,
}

impl Models {
    pub(super) fn get(&self, name: Option<&Arc<str>>) -> Option<&Model> {
        if self.map.is_empty() { None } else { self.map.get(name?) }
    }

    pub(super) fn get_mut(&mut self, name: Option<&Arc<str>>) -> Option<&mut Model> {
        if self.map.is_empty() { None } else { self.map.get_mut(name?) }
    }

    /// The memory of a model that something happened to.
    pub(super) fn touch(&mut self, name: &Arc<str>, now: Millis) -> &mut Model {
        if self.map.len() >= MODELS && !self.map.contains_key(name) {
            let oldest = self.map.iter().min_by_key(|(_, model)| model.touched);
            if let Some(oldest) = oldest.map(|(name, _)| Arc::clone(name)) {
                self.map.remove(&oldest);
            }
        }
        let model = self.map.entry(Arc::clone(name)).or_default();
        model.touched = now;
        model
    }

    /// Those that nobody is asked for: why, and until when.
    pub(super) fn held_at(
        &self,
        now: Millis,
    ) -> impl Iterator<Item = (&Arc<str>, Option<FaultKind>, Millis)> {
        self.map.iter().filter_map(move |(name, model)| {
            if let Some(until) = model.held(now) {
                return Some((name, Some(FaultKind::FreeLimit), until));
            }
            let until = model.breaker.until().filter(|until| now < *until)?;
            Some((name, model.breaker.why(), until))
        })
    }

    /// Forgets what is over.
    pub(super) fn tidy(&mut self, now: Millis) {
        self.map.retain(|_, model| {
            let until = model.held.max(model.breaker.until());
            now.since(model.touched) < FORGET || until.is_some_and(|until| now < until)
        });
    }

    pub(super) fn ends(&self) -> impl Iterator<Item = Millis> {
        let ends =
            |model: &Model| [model.held, model.breaker.until(), model.breaker.patience_ends()];
        self.map.values().flat_map(ends).flatten()
    }

    #[cfg(test)]
    pub(super) fn breakers(&self) -> impl Iterator<Item = &Breaker> {
        self.map.values().map(|model| &model.breaker)
    }

    pub(super) fn shift(&mut self, span: i64) {
        for model in self.map.values_mut() {
            model.breaker.shift(span);
            model.touched = model.touched.plus(span);
            model.held = model.held.map(|held| held.plus(span));
        }
    }
}

impl Model {
    /// Until when its limit per IP address is reached.
    pub(super) fn held(&self, now: Millis) -> Option<Millis> {
        self.held.filter(|held| now < *held)
    }

    pub(super) fn hold(&mut self, until: Millis) {
        self.held = self.held.max(Some(until));
    }

    pub(super) fn phase(&self, now: Millis) -> Phase {
        self.breaker.phase(now, Some(PATIENCE))
    }

    /// Counts a fault; returns until when, if that opened its breaker.
    pub(super) fn blame(
        &mut self,
        kind: FaultKind,
        times: u32,
        threshold: u32,
        lease: LeaseId,
        now: Millis,
    ) -> Option<Millis> {
        self.tally.add(kind, times);
        count_on(&mut self.breaker, self.tally, kind, threshold, lease, now, Growth::MODEL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let mut models = Models::default();
        for n in 0..5_000 {
            models.touch(&format!("model-{n}").into(), Millis(n));
        }
        assert_eq!(models.map.len(), MODELS);
        assert!(models.get(Some(&"model-0".into())).is_none());
        assert!(models.get(Some(&"model-4999".into())).is_some());
        let long: Arc<str> = "m".repeat(NAME + 1).into();
        assert_eq!(memorable(Some(&long)), None);
    }

    #[test]
    fn tidying_keeps_what_is_held() {
        let mut models = Models::default();
        models.touch(&"free".into(), Millis(0)).hold(Millis(FORGET * 3));
        models.touch(&"idle".into(), Millis(0));
        models.tidy(Millis(FORGET));
        assert!(models.get(Some(&"free".into())).is_some());
        assert!(models.get(Some(&"idle".into())).is_none());
        models.tidy(Millis(FORGET * 3));
        assert!(models.map.is_empty());
    }
}
