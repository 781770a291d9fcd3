//! Demand as plain data, for the file that survives a restart.

use serde::{Deserialize, Serialize};

use super::calibration::{Calibration, Promise};
use super::presence::Presence;
use super::profile::{Profile, Seen};
use super::recent::Recent;
use super::{Demand, sane};
use crate::time::Millis;

/// What is known of demand.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DemandImage {
    /// The last minute of `recent`, in minutes since the epoch.
    pub minute: i64,
    /// Dollars of the last minutes, oldest first.
    pub recent: Vec<f64>,
    /// When the present activity began, epoch milliseconds.
    pub since: Option<i64>,
    /// When the last request was, epoch milliseconds.
    pub last: i64,
    /// Dollars spent in activities, and their minutes.
    pub active: [f64; 2],
    /// Dollars and hours by class of day (Monday to Friday, Saturday and Sunday) and quarter hour.
    pub usual: Vec<[f64; 2]>,
    /// The start of the quarter hour that is not over, in epoch milliseconds.
    pub slot: Option<i64>,
    /// Its dollars.
    pub open: f64,
    /// Σ cost and Σ cost² of requests.
    pub costs: [f64; 2],
    /// ln k for each horizon.
    pub widths: [f64; 4],
    /// Due (epoch milliseconds), low, high, spent.
    pub promises: [Option<(i64, f64, f64, f64)>; 4],
    /// How many promises were judged.
    pub outcomes: u32,
    /// The share of them that was right lately.
    pub right: f64,
}

impl Demand {
    /// What should survive a restart.
    pub fn image(&self) -> DemandImage {
        let (minute, recent) = self.recent.image();
        let promise =
            |promise: Option<Promise>| promise.map(|it| (it.due.0, it.low, it.high, it.spent));
        DemandImage {
            minute,
            recent,
            since: self.presence.since.map(|since| since.0),
            last: self.presence.last.0,
            active: [self.presence.dollars, self.presence.minutes],
            usual: self.profile.seen.iter().flatten().map(|it| [it.dollars, it.hours]).collect(),
            slot: self.profile.slot.map(|slot| slot.0),
            open: self.profile.open,
            costs: [self.cost, self.square],
            widths: self.calibration.widths,
            promises: self.calibration.promises.map(promise),
            outcomes: self.calibration.outcomes,
            right: self.calibration.right,
        }
    }

    /// Takes over what survived. Figures that make no sense count as nothing.
    pub fn restore(image: &DemandImage) -> Self {
        let mut profile = Profile::default();
        profile.slot = image.slot.map(Millis).map(super::profile::floor);
        profile.open = sane(image.open);
        for (place, [dollars, hours]) in profile.seen.iter_mut().flatten().zip(&image.usual) {
            *place = Seen { dollars: sane(*dollars), hours: sane(*hours) };
        }
        profile.rebuild();
        let promise = |(due, low, high, spent): (i64, f64, f64, f64)| Promise {
            due: Millis(due),
            low: sane(low),
            high: sane(high),
            spent: sane(spent),
        };
        let [cost, square] = image.costs.map(sane);
        let [dollars, minutes] = image.active.map(sane);
        Self {
            recent: Recent::restore(image.minute, &image.recent),
            presence: Presence {
                since: image.since.map(Millis),
                last: Millis(image.last),
                dollars,
                minutes,
            },
            profile,
            cost,
            square,
            calibration: Calibration {
                promises: image.promises.map(|it| it.map(promise)),
                widths: image.widths.map(Calibration::bounded),
                outcomes: image.outcomes,
                right: sane(image.right).min(1.0),
            },
        }
    }

    /// The clock was set back by `-span` milliseconds, and all that is stored moves with it.
    pub fn shift(&mut self, span: i64) {
        self.recent.shift(span);
        self.presence.shift(span);
        self.profile.shift(span);
        self.calibration.shift(span);
    }

    /// Two accounts turned out to be one: their demands add.
    pub fn absorb(&mut self, other: &Self) {
        self.recent.absorb(&other.recent);
        self.presence.absorb(&other.presence);
        self.profile.absorb(&other.profile);
        self.cost += other.cost;
        self.square += other.square;
        self.calibration.absorb(&other.calibration);
    }
}
