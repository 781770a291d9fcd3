//! What is learned per model, in bounded memory.
//!
//! Models' names come from clients: at most [`MODELS`] of at most [`NAME`] bytes are kept, and the
//! one from which nothing was learned for longest goes first.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Models remembered at once.
pub(crate) const MODELS: usize = 256;
/// Longer names are served but nothing is kept of them.
pub(crate) const NAME: usize = 256;

/// The model's name, if it is short enough to be remembered.
pub(crate) fn memorable(name: &str) -> bool {
    name.len() <= NAME
}

/// One `T` for each model.
#[derive(Debug, Clone)]
pub(crate) struct ByModel<T> {
    map: BTreeMap<Arc<str>, (u64, T)>,
    /// How often something was learned: orders the models by when that was last.
    lessons: u64,
}

impl<T> Default for ByModel<T> {
    fn default() -> Self {
        Self { map: BTreeMap::new(), lessons: 0 }
    }
}

impl<T> ByModel<T> {
    pub(crate) fn get(&self, model: Option<&Arc<str>>) -> Option<&T> {
        if self.map.is_empty() {
            return None;
        }
        self.map.get::<str>(model?).map(|(_, known)| known)
    }

    /// What is known of a model from which something is learned now; `None`: its name is too long.
    pub(crate) fn learn(&mut self, model: &Arc<str>) -> Option<&mut T>
    where
        T: Default,
    {
        if !memorable(model) {
            return None;
        }
        self.lessons += 1;
        // Two look-ups only for a new model: `entry` would have every call clone the name.
        if !self.map.contains_key::<str>(model) {
            self.make_room();
            self.map.insert(Arc::clone(model), (0, T::default()));
        }
        let (last, known) = self.map.get_mut::<str>(model)?;
        *last = self.lessons;
        Some(known)
    }

    fn make_room(&mut self) {
        while self.map.len() >= MODELS {
            let oldest = self.map.iter().min_by_key(|(_, (last, _))| *last);
            let Some(name) = oldest.map(|(name, _)| Arc::clone(name)) else { return };
            self.map.remove(&name);
        }
    }

    /// All of them, the one that learned last at the end.
    pub(crate) fn in_order(&self) -> Vec<(&Arc<str>, &T)> {
        let mut all: Vec<_> = self.map.iter().collect();
        all.sort_unstable_by_key(|(_, (last, _))| *last);
        all.into_iter().map(|(name, (_, known))| (name, known)).collect()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(known: &mut ByModel<u32>, name: &str) {
        if let Some(count) = known.learn(&name.into()) {
            *count += 1;
        }
    }

    #[test]
    fn memory_is_bounded_and_who_learned_longest_ago_goes_first() {
        let mut known = ByModel::default();
        learn(&mut known, "steady");
        for n in 0..5_000 {
            learn(&mut known, &format!("model-{n}"));
            learn(&mut known, "steady");
        }
        assert_eq!(known.len(), MODELS);
        assert_eq!(known.get(Some(&"steady".into())), Some(&5_001));
        assert_eq!(known.get(Some(&"model-0".into())), None);
        let last = known.in_order().last().map(|(name, _)| name.to_string());
        assert_eq!(last.as_deref(), Some("steady"));
    }

    #[test]
    fn long_names_and_none_are_not_kept() {
        let mut known = ByModel::default();
        learn(&mut known, &"m".repeat(NAME + 1));
        assert_eq!(known.len(), 0);
        assert_eq!(known.get(None), None);
        learn(&mut known, &"m".repeat(NAME));
        assert_eq!(known.len(), 1);
        assert_eq!(known.get(None), None);
    }
}
