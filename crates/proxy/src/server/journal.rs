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
    /// The record so far.
    pub record: RequestRecord,
    started: Instant,
    written: bool,
    active: Active,
}

impl Journal {
    /// Begins with what is known at the start.
    pub fn new(record: RequestRecord, started: Instant, active: Active) -> Self {
        Self { record, started, written: false, active }
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
        self.record.status = Some(status.as_u16());
        self.record.ttfb = Some(moment.saturating_duration_since(self.started));
    }

    /// What the answer said that it cost.
    pub fn metered(&mut self, reading: &Reading) {
        self.record.tokens = reading.tokens;
        self.record.list_cost = reading.list_cost;
        self.record.balance_cost = reading.balance_cost;
    }

    /// Upstream broke off after it had begun.
    pub fn cut(&mut self, kind: FaultKind) {
        self.record.fault = Some(kind);
        self.record.end = End::Cut;
    }

    /// We broke off, shutting down.
    pub fn stopped(&mut self) {
        self.record.end = End::Stopped;
    }

    /// The client broke off.
    pub fn left(&mut self) {
        self.record.end = End::ClientGone;
    }

    /// Writes the record.
    pub fn finish(&mut self, moment: Instant) {
        if !std::mem::replace(&mut self.written, true) {
            self.record.duration = moment.saturating_duration_since(self.started);
            let record = std::mem::replace(&mut self.record, RequestRecord::new(Uuid::nil()));
            let record = Arc::new(record);
            if record.is_for_service() {
                self.active.app().recent.add(Arc::clone(&record));
            }
            log::request(record);
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
