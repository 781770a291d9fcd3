//! What the service says of an account's quota.

use crate::time::Millis;
use crate::window::PerWindow;

/// One window as reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Percent used, floored by the service: 0 to 100, and 100 only at the limit.
    pub percent: u8,
    /// `rate-limited` rather than `ok`.
    pub limited: bool,
    /// When it resets; of an idle five-hour window this slides along with the clock.
    pub resets_at: Option<Millis>,
}

/// Where a report comes from. What the usage API says counts before the dashboard page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The dashboard page (`scraping` in the configuration).
    Page,
    /// `GET …/usage`.
    Api,
}

/// A report of an account's windows. A window that it does not name stays as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Who says so.
    pub source: Source,
    /// When the question was sent.
    pub sent: Millis,
    /// When the answer was here.
    pub received: Millis,
    /// The windows.
    pub windows: PerWindow<Option<Reading>>,
    /// Its workspace, where the answer names it.
    pub workspace: Option<String>,
    /// Its user, where the answer names it.
    pub user: Option<String>,
    /// "Use balance", where the answer names it (the page does).
    pub use_balance: Option<bool>,
}
