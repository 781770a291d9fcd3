//! Pieces that are ready at the same moment, passed on as one.

use bytes::{Bytes, BytesMut};

/// More than this is not gathered: it bounds the memory that a fast upstream takes.
const ENOUGH: usize = 64 * 1024;

/// Gathers pieces. A single one is not copied.
#[derive(Default)]
pub(crate) struct Batch {
    first: Bytes,
    joined: BytesMut,
}

impl Batch {
    /// Adds a piece.
    pub(crate) fn push(&mut self, piece: Bytes) {
        if self.first.is_empty() && self.joined.is_empty() {
            self.first = piece;
            return;
        }
        if self.joined.is_empty() {
            let length = self.first.len() + piece.len();
            self.joined.reserve(length.next_power_of_two().max(4096));
            self.joined.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.joined.extend_from_slice(&piece);
    }

    /// Whether it is time to pass them on.
    pub(crate) fn is_full(&self) -> bool {
        self.first.len() + self.joined.len() >= ENOUGH
    }

    /// All pieces as one; `None` where there are none.
    pub(crate) fn take(self) -> Option<Bytes> {
        let all = if self.joined.is_empty() { self.first } else { self.joined.freeze() };
        (!all.is_empty()).then_some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_stay_in_order_and_a_single_one_is_not_copied() {
        assert!(Batch::default().take().is_none());
        let piece = Bytes::from(vec![1; 10]);
        let mut batch = Batch::default();
        batch.push(piece.clone());
        assert_eq!(batch.take().unwrap().as_ptr(), piece.as_ptr());
        let mut batch = Batch::default();
        for piece in ["a", "bc", "", "d"] {
            batch.push(Bytes::from(piece));
        }
        assert_eq!(batch.take().unwrap(), "abcd");
    }
}
