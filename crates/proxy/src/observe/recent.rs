//! The last few thousand requests, for whoever asks why one went the way it did.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::observe::record::RequestRecord;

/// How many are kept: about a megabyte.
const KEPT: usize = 4096;

/// See the module documentation. Takes memory as it fills.
#[derive(Debug, Default)]
pub struct Recent(Mutex<VecDeque<Arc<RequestRecord>>>);

impl Recent {
    /// Adds one; the oldest makes room.
    pub fn add(&self, record: Arc<RequestRecord>) {
        let mut kept = self.kept();
        let oldest = if kept.len() == KEPT { kept.pop_front() } else { None };
        kept.push_back(record);
        drop(kept);
        // Freed outside the lock.
        drop(oldest);
    }

    /// The one with this id.
    pub fn find(&self, id: Uuid) -> Option<Arc<RequestRecord>> {
        self.kept().iter().rev().find(|record| record.id == id).cloned()
    }

    /// The one that ended last.
    pub fn last(&self) -> Option<Arc<RequestRecord>> {
        self.kept().back().cloned()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Arc<RequestRecord>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let recent = Recent::default();
        assert!(recent.last().is_none());
        let count = KEPT as u128 + 10;
        for id in 0..count {
            recent.add(Arc::new(RequestRecord::new(Uuid::from_u128(id))));
        }
        let has = |id| recent.find(Uuid::from_u128(id)).is_some();
        assert!(!has(9) && has(10) && has(count - 1) && !has(count));
        assert_eq!(recent.last().unwrap().id, Uuid::from_u128(count - 1));
    }
}
