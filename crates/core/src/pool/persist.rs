//! To a file and back.

use super::{Effects, Pool};
use crate::image::Image;
use crate::time::Millis;
use crate::view::View;

impl Pool {
    /// What should survive a restart.
    pub fn image(&self) -> Image {
        Image::default()
    }

    /// Takes over what survived, for keys that the roster applied before still has. Times that lie
    /// in the past by now have passed.
    pub fn restore(&mut self, _image: Image, now: Millis) -> Effects {
        self.sync(now);
        Effects::default()
    }

    /// What is known and foreseen.
    pub fn view(&self, now: Millis) -> View {
        View {
            at: now,
            accounts: Vec::new(),
            pool: crate::view::PoolView::default(),
            models: Vec::new(),
            caches: Vec::new(),
            since: now,
            rotation_tax: 0.0,
            switches: 0,
            forfeited: 0.0,
            balance_spent: 0.0,
        }
    }
}
