//! Moments for people and programs.

use jiff::Timestamp;
use saros_core::time::Millis;

/// `2026-11-24T14:20:00.000Z`.
pub(super) fn iso(at: Millis) -> String {
    let at = Timestamp::from_millisecond(at.0).unwrap_or_default();
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn always_with_milliseconds() {
        assert_eq!(iso(Millis(1_795_996_800_000)), "2026-11-30T00:00:00.000Z");
        assert_eq!(iso(Millis(1_795_996_800_287)), "2026-11-30T00:00:00.287Z");
        assert_eq!(iso(Millis(i64::MAX)), "1970-01-01T00:00:00.000Z", "no such time");
    }
}
