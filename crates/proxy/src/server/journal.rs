//! What is written down of a request: one record, logged once, however the request ends.

use std::sync::Arc;

use http::StatusCode;
use saros_core::fault::FaultKind;
use saros_wire::usage::Reading;
use tokio::time::Instant;
use uuid::Uuid;

use crate::observe::log;
use crate::observe::record::{End, RequestRecord};
use crate::server::lease::Active;

/// A request's record in the making; writes it when finished or dropped.
pub struct Journal {
    /// Made once and shared when it is finished, so that it never moves.
    record: Arc<RequestRecord>,
    started: Instant,
    written: bool,
    active: Active,
}

impl Journal {
    /// Begins with what is known at the start.
    pub fn new(record: RequestRecord, started: Instant, active: Active) -> Self {
        Self { record: Arc::new(record), started, written: false, active }
    }

    /// What is known so far.
    pub fn record(&self) -> &RequestRecord {
        &self.record
    }

    /// Adds to it.
    pub fn add(&mut self) -> &mut RequestRecord {
        // Nobody else has it before it is finished, so this never copies.
        Arc::make_mut(&mut self.record)
    }

    /// A journal that writes nothing, for a request that is written down already.
    pub fn silent(active: Active) -> Self {
        Self::new(RequestRecord::new(Uuid::nil()), Instant::now(), active).silence()
    }

    /// Writes nothing.
    #[must_use]
    pub fn silence(mut self) -> Self {
        self.written = true;
        self
    }

    /// The head of the answer goes to the client now.
    pub fn answering(&mut self, status: StatusCode, moment: Instant) {
        let ttfb = moment.saturating_duration_since(self.started);
        let record = self.add();
        record.status = Some(status.as_u16());
        record.ttfb = Some(ttfb);
    }

    /// What the answer said that it cost.
    pub fn metered(&mut self, reading: &Reading) {
        let record = self.add();
        record.tokens = reading.tokens;
        record.list_cost = reading.list_cost;
        record.balance_cost = reading.balance_cost;
    }

    /// Upstream broke off after it had begun.
    pub fn cut(&mut self, kind: FaultKind) {
        let record = self.add();
        record.fault = Some(kind);
        record.end = End::Cut;
    }

    /// We broke off, shutting down.
    pub fn stopped(&mut self) {
        self.add().end = End::Stopped;
    }

    /// The client broke off.
    pub fn left(&mut self) {
        self.add().end = End::ClientGone;
    }

    /// Writes the record.
    pub fn finish(&mut self, moment: Instant) {
        if !std::mem::replace(&mut self.written, true) {
            self.add().duration = moment.saturating_duration_since(self.started);
            if self.record.is_for_service() {
                self.active.app().recent.add(Arc::clone(&self.record));
            }
            log::request(Arc::clone(&self.record));
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if !self.written {
            self.left();
            self.finish(Instant::now());
        }
    }
}
