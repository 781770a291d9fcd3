//! Which of a fixed set of places was used last, and which first: a doubly linked list in a vector.

#[derive(Debug, Clone, Default)]
pub(super) struct Recency {
    links: Vec<Link>,
    newest: Option<u32>,
    oldest: Option<u32>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Link {
    newer: Option<u32>,
    older: Option<u32>,
    listed: bool,
}

impl Recency {
    pub(super) fn oldest(&self) -> Option<u32> {
        self.oldest
    }

    /// The place used next after this one.
    pub(super) fn newer(&self, place: u32) -> Option<u32> {
        self.links.get(place as usize)?.newer
    }

    /// Makes a place the newest, whether it was listed before or not.
    pub(super) fn touch(&mut self, place: u32) {
        if self.newest == Some(place) {
            return;
        }
        self.remove(place);
        if self.links.len() <= place as usize {
            self.links.resize(place as usize + 1, Link::default());
        }
        let link = Link { newer: None, older: self.newest, listed: true };
        self.set(place, link);
        match self.newest.replace(place) {
            Some(before) => self.edit(before, |link| link.newer = Some(place)),
            None => self.oldest = Some(place),
        }
    }

    pub(super) fn remove(&mut self, place: u32) {
        let Some(link) = self.links.get(place as usize).copied().filter(|link| link.listed) else {
            return;
        };
        match link.newer {
            Some(newer) => self.edit(newer, |other| other.older = link.older),
            None => self.newest = link.older,
        }
        match link.older {
            Some(older) => self.edit(older, |other| other.newer = link.newer),
            None => self.oldest = link.newer,
        }
        self.set(place, Link::default());
    }

    fn set(&mut self, place: u32, link: Link) {
        self.edit(place, |old| *old = link);
    }

    fn edit(&mut self, place: u32, change: impl FnOnce(&mut Link)) {
        if let Some(link) = self.links.get_mut(place as usize) {
            change(link);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn listed(recency: &Recency) -> Vec<u32> {
        let mut places = Vec::new();
        let mut next = recency.oldest();
        while let Some(place) = next {
            places.push(place);
            next = recency.newer(place);
        }
        assert_eq!(recency.newest, places.last().copied());
        places
    }

    proptest! {
        #[test]
        fn it_is_the_order_of_use(uses in prop::collection::vec((0..9_u32, any::<bool>()), 0..80)) {
            let (mut recency, mut plain) = (Recency::default(), Vec::new());
            for (place, touch) in uses {
                plain.retain(|other| *other != place);
                if touch {
                    plain.push(place);
                    recency.touch(place);
                } else {
                    recency.remove(place);
                }
                prop_assert_eq!(listed(&recency), plain.clone());
            }
        }
    }
}
