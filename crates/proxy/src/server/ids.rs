//! Request ids: `UUIDv7`, which sort by time and can be looked up in logs.

use std::sync::{Mutex, PoisonError};

use saros_core::time::Millis;
use uuid::Uuid;

/// Random bytes of one id (RFC 9562 §5.7: 74 random bits).
const BYTES: usize = 10;
/// Ids per visit to the random generator, which costs a system call.
const BATCH: usize = 64;

/// Makes ids.
#[derive(Debug, Default)]
pub struct Ids(Mutex<Reserve>);

#[derive(Debug, Default)]
struct Reserve {
    random: Vec<[u8; BYTES]>,
}

impl Ids {
    /// A new id.
    pub fn next(&self, now: Millis) -> Uuid {
        let random = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let millis = u64::try_from(now.0).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

impl Reserve {
    fn take(&mut self) -> [u8; BYTES] {
        if let Some(random) = self.random.pop() {
            return random;
        }
        let mut fresh = [0; BYTES * BATCH];
        // It fails only where the system has no randomness at all; ids then differ by time alone.
        let _filled = aws_lc_rs::rand::fill(&mut fresh);
        self.random.extend(fresh.as_chunks::<BYTES>().0);
        self.random.pop().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_of_version_seven_and_carry_the_time() {
        let ids = Ids::default();
        let now = Millis(1_795_089_600_000);
        let made: BTreeSet<Uuid> = (0..1_000).map(|_| ids.next(now)).collect();
        assert_eq!(made.len(), 1_000);
        for id in made {
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.as_u128() >> 80, 1_795_089_600_000);
        }
    }
}
