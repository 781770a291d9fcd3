//! Asks the service for accounts' usage when the pool orders it, beside the traffic.
//!
//! The pool says when; this obeys. Each order is answered by exactly one observation, whatever
//! becomes of it, and no key is asked twice at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use saros_core::id::KeyId;
use saros_core::pool::{NoUsage, Observation};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::server::app::App;
use crate::upstream::usage;

/// What the pool has ordered and nobody has answered yet.
#[derive(Debug, Default)]
pub struct Orders {
    book: Mutex<Book>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Book {
    waiting: Vec<KeyId>,
    running: Vec<KeyId>,
}

impl Orders {
    /// Takes orders.
    pub fn add(&self, keys: &[KeyId]) {
        self.book().waiting.extend_from_slice(keys);
        self.bell.notify_one();
    }

    /// Those that can be carried out now: one that is for a key just being asked waits for that.
    fn take(&self) -> Vec<KeyId> {
        let mut book = self.book();
        let Book { waiting, running } = &mut *book;
        let mut taken = Vec::new();
        waiting.retain(|key| {
            let free = !running.contains(key);
            if free {
                running.push(*key);
                taken.push(*key);
            }
            !free
        });
        taken
    }

    /// Whether everything has been answered.
    pub fn are_idle(&self) -> bool {
        let book = self.book();
        book.waiting.is_empty() && book.running.is_empty()
    }

    fn done(&self, key: KeyId) {
        self.book().running.retain(|running| *running != key);
        self.bell.notify_one();
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries out orders as they come. Never ends; what runs ends with it.
pub async fn obey(app: &Arc<App>) {
    let mut running = JoinSet::new();
    loop {
        // While the proxy drains nobody needs to know any more.
        if app.stage() == 0 {
            for key in app.orders.take() {
                let order = Order { app: Arc::clone(app), key, answer: None };
                running.spawn(order.carry_out());
            }
        }
        tokio::select! {
            () = app.orders.bell.notified() => {}
            Some(_) = running.join_next() => {}
        }
    }
}

/// One order; answered when it is dropped, so also if its task is cancelled or panics.
struct Order {
    app: Arc<App>,
    key: KeyId,
    answer: Option<Observation>,
}

impl Order {
    async fn carry_out(mut self) {
        // A key that a reload has removed is not asked.
        let Some(key) = self.app.key(self.key) else { return };
        self.answer = Some(match usage::ask(&self.app.opener, &key, &self.app.clock).await {
            Ok(report) => Observation::Usage(report),
            Err(none) => Observation::NoUsage(none),
        });
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        let unanswered = Observation::NoUsage(NoUsage::Trouble { retry_after: None });
        let answer = self.answer.take().unwrap_or(unanswered);
        self.app.observe(self.key, answer);
        self.app.orders.done(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_asked_twice_at_a_time_and_no_order_is_lost() {
        let orders = Orders::default();
        let (a, b) = (KeyId(1), KeyId(2));
        orders.add(&[a, b, a]);
        assert_eq!(orders.take(), [a, b]);
        assert_eq!(orders.take(), []);
        orders.done(b);
        assert_eq!(orders.take(), []);
        orders.add(&[b]);
        assert_eq!(orders.take(), [b]);
        orders.done(a);
        assert_eq!(orders.take(), [a], "the third order");
        orders.done(a);
        assert_eq!(orders.take(), []);
    }
}
