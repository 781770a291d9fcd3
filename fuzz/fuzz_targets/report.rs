//! Usage reports and dashboard pages: whatever comes, percentages are percentages and resets near.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saros_core::report::Report;
use saros_core::time::{DAY, Millis};
use saros_wire::{page, report};

const NOW: Millis = Millis(1_795_089_600_000);

fn check(report: &Report) {
    assert!(report.windows.iter().any(Option::is_some));
    for window in report.windows.iter().flatten() {
        assert!(window.percent <= 100);
        assert!(window.resets_at.is_none_or(|at| at.since(NOW).abs() <= 62 * DAY));
    }
}

fuzz_target!(|body: &[u8]| {
    if let Some(report) = report::usage(body, NOW, NOW) {
        check(&report);
    }
    if let Ok(report) = page::dashboard(&String::from_utf8_lossy(body), NOW, NOW) {
        check(&report);
    }
});
