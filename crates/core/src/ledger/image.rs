//! What of a ledger survives a restart.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::belief::{Gauge, Seen, Span};
use super::{Ledger, Window};
use crate::price::{PerPlan, Plan};
use crate::report::Source;
use crate::time::Millis;
use crate::window::PerWindow;

/// A [`Ledger`] as plain data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LedgerImage {
    /// The windows, shortest first.
    pub windows: PerWindow<WindowImage>,
    /// The learned ratio of each window to the published dollars, at least and at most.
    pub ratios: PerWindow<(f64, f64)>,
    /// The plan that explains the reports.
    pub plan: Plan,
    /// What was learned of models' multipliers.
    pub multipliers: Vec<MultiplierImage>,
    /// Percent of each window that others used lately, per hour.
    pub foreign: PerWindow<f64>,
}

/// One window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WindowImage {
    /// Percent used, at least.
    pub low: f64,
    /// Percent used, at most.
    pub high: f64,
    /// Upstream has said something about it.
    pub reported: bool,
    /// Upstream refuses requests because of it.
    pub limited: bool,
    /// When a request found it exhausted.
    pub refused: Option<i64>,
    /// When it ends.
    pub resets: Option<i64>,
    /// Upstream said so.
    pub certain: bool,
    /// When it ends if a request was charged that may not have been.
    pub maybe: Option<i64>,
    /// When it began.
    pub start: Option<i64>,
    /// Until then, use by others is expected.
    pub over: Option<i64>,
    /// Until then, our own sums are not trusted as a lower bound.
    pub under: Option<i64>,
    /// The last report of it.
    pub last: Option<SeenImage>,
}

/// A report of one window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SeenImage {
    /// Percent.
    pub percent: u8,
    /// When it was asked for.
    pub sent: i64,
    /// When it was here.
    pub received: i64,
    /// By the dashboard page rather than the API.
    pub page: bool,
}

/// What was learned of one model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MultiplierImage {
    /// Which.
    pub model: String,
    /// As published when it was learned.
    pub published: PerPlan<Option<f64>>,
    /// Times that, or the multiplier itself where none was published.
    pub factor: f64,
}

const fn raw(at: Option<Millis>) -> Option<i64> {
    match at {
        Some(at) => Some(at.0),
        None => None,
    }
}

impl From<&Gauge> for WindowImage {
    fn from(gauge: &Gauge) -> Self {
        Self {
            low: gauge.now.low,
            high: gauge.now.high,
            reported: gauge.reported,
            limited: gauge.limited,
            refused: raw(gauge.refused),
            resets: raw(gauge.resets),
            certain: gauge.certain,
            maybe: raw(gauge.maybe),
            start: raw(gauge.start),
            over: raw(gauge.over),
            under: raw(gauge.under),
            last: gauge.last.map(|seen| SeenImage {
                percent: seen.percent,
                sent: seen.sent.0,
                received: seen.received.0,
                page: seen.source == Source::Page,
            }),
        }
    }
}

impl From<WindowImage> for Gauge {
    fn from(image: WindowImage) -> Self {
        let sane = (0.0..1e6).contains(&image.low) && (image.low..1e6).contains(&image.high);
        if !sane {
            return Self::default();
        }
        let span = Span { low: image.low, high: image.high };
        Self {
            own: span,
            said: None,
            now: span,
            before: None,
            over: image.over.map(Millis),
            under: image.under.map(Millis),
            reported: image.reported,
            limited: image.limited,
            refused: image.refused.map(Millis),
            resets: image.resets.map(Millis),
            certain: image.certain,
            relative: false,
            maybe: image.maybe.map(Millis),
            start: image.start.map(Millis),
            last: image.last.map(|seen| Seen {
                percent: seen.percent.min(100),
                sent: Millis(seen.sent),
                received: Millis(seen.received),
                source: if seen.page { Source::Page } else { Source::Api },
            }),
        }
    }
}

impl Ledger {
    /// What survives a restart.
    pub fn image(&self) -> LedgerImage {
        let learned = self.multipliers.learned();
        LedgerImage {
            windows: Window::ALL.map(|window| WindowImage::from(self.gauge(window))),
            ratios: self.scale.learned().map(|range| (range.lo, range.hi)),
            plan: self.multipliers.plan,
            multipliers: learned
                .map(|(model, published, factor)| MultiplierImage {
                    model: model.to_string(),
                    published,
                    factor,
                })
                .collect(),
            foreign: self.foreign.map(|foreign| foreign.rate),
        }
    }

    /// Goes on where an image ended; what makes no sense in it is forgotten.
    pub fn restore(image: LedgerImage) -> Self {
        let mut ledger = Self::new();
        ledger.gauges = image.windows.map(Gauge::from);
        ledger.scale.relearn(image.ratios);
        ledger.multipliers.plan = image.plan;
        for learned in image.multipliers {
            if (1.0 / 64.0..=64.0).contains(&learned.factor) {
                let model = Arc::from(learned.model.as_str());
                ledger.multipliers.relearn(model, learned.published, learned.factor);
            }
        }
        for (foreign, rate) in ledger.foreign.iter_mut().zip(image.foreign) {
            if (0.0..1e3).contains(&rate) {
                foreign.rate = rate;
            }
        }
        ledger.schedule();
        ledger
    }
}
