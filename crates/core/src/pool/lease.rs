//! Attempts in flight.
//!
//! A slab: places are used again, and each use has a number of its own in the upper half of the id,
//! so that a lease settled late never meets its successor.

use std::sync::Arc;

use crate::appetite::Known;
use crate::id::{KeyId, LeaseId, SessionKey, UpstreamId};
use crate::time::Millis;

/// One attempt in flight.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    /// The key it runs on; the account is looked up when needed.
    pub(super) key: KeyId,
    /// Where the attempt went, even if a reload sends the key elsewhere meanwhile.
    pub(super) upstream: UpstreamId,
    /// The model it asks for, unless the name is too long to be remembered.
    pub(super) model: Option<Arc<str>>,
    /// Unknown routes blame nobody.
    pub(super) blameless: bool,
    /// It is the trial of some breaker.
    pub(super) trial: bool,
    /// Headers of a 2xx arrived.
    pub(super) answered: bool,
    /// When it was granted.
    pub(super) begun: Millis,
    /// Held of its account's quota, in millionths of a quota-dollar.
    pub(super) reserved: u64,
    /// The list price behind that, in dollars.
    pub(super) list: f64,
    /// Whose conversation, and how long its body was.
    pub(super) session: Option<SessionKey>,
    pub(super) body_bytes: u64,
    /// What was known of the conversation before.
    pub(super) known: Known,
}

#[derive(Debug, Default)]
pub(super) struct Leases {
    places: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place {
    uses: u32,
    lease: Option<Lease>,
}

impl Leases {
    pub(super) fn open(&mut self, lease: Lease) -> LeaseId {
        if let Some(index) = self.free.pop()
            && let Some(place) = self.places.get_mut(index as usize)
        {
            place.lease = Some(lease);
            return id(place.uses, index);
        }
        let index = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(Place { uses: 0, lease: Some(lease) });
        id(0, index)
    }

    pub(super) fn get_mut(&mut self, id: LeaseId) -> Option<&mut Lease> {
        self.place(id)?.lease.as_mut()
    }

    pub(super) fn close(&mut self, id: LeaseId) -> Option<Lease> {
        let place = self.place(id)?;
        let lease = place.lease.take()?;
        place.uses = place.uses.wrapping_add(1);
        self.free.push(index(id));
        Some(lease)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (LeaseId, &Lease)> {
        (0..).zip(&self.places).filter_map(|(index, place)| {
            place.lease.as_ref().map(|lease| (id(place.uses, index), lease))
        })
    }

    pub(super) fn shift(&mut self, span: i64) {
        for lease in self.places.iter_mut().filter_map(|place| place.lease.as_mut()) {
            lease.begun = lease.begun.plus(span);
        }
    }

    fn place(&mut self, id: LeaseId) -> Option<&mut Place> {
        let uses = u32::try_from(id.0 >> 32).ok()?;
        self.places.get_mut(index(id) as usize).filter(|place| place.uses == uses)
    }
}

fn id(uses: u32, index: u32) -> LeaseId {
    LeaseId(u64::from(uses) << 32 | u64::from(index))
}

fn index(id: LeaseId) -> u32 {
    u32::try_from(id.0 & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_under_another_id() {
        let lease = Lease {
            key: KeyId(1),
            upstream: UpstreamId(0),
            model: None,
            blameless: false,
            trial: false,
            answered: false,
            begun: Millis(0),
            reserved: 0,
            list: 0.0,
            session: None,
            body_bytes: 0,
            known: Known::default(),
        };
        let mut leases = Leases::default();
        let first = leases.open(lease.clone());
        assert!(leases.close(first).is_some());
        let second = leases.open(lease);
        assert_ne!(first, second);
        assert!(leases.close(first).is_none(), "settled twice");
        assert!(leases.get_mut(LeaseId(u64::MAX)).is_none(), "unknown");
        assert_eq!((leases.len(), leases.places.len()), (1, 1));
    }
}
