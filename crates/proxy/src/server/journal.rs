//! What is written down of a request: one record, logged once, however the request ends.

use http::StatusCode;
use saros_core::fault::FaultKind;
use saros_wire::usage::Reading;
use tokio::time::Instant;

use crate::observe::record::RequestRecord;
use crate::server::app::Active;

/// A request's record in the making; writes it when finished or dropped.
pub struct Journal {
    /// The record so far.
    pub record: RequestRecord,
    started: Instant,
    written: bool,
    _active: Active,
}

impl Journal {
    /// Begins with what is known at the start.
    pub fn new(record: RequestRecord, active: Active) -> Self {
        Self { record, started: Instant::now(), written: false, _active: active }
    }

    /// A journal that writes nothing: its request is written down already.
    pub fn silent(active: Active) -> Self {
        let record = RequestRecord::new("");
        Self { record, started: Instant::now(), written: true, _active: active }
    }

    /// The head of the answer goes to the client now.
    pub fn answering(&mut self, status: StatusCode) {
        self.record.status = Some(status.as_u16());
        self.record.ttfb = Some(self.started.elapsed_saturating());
    }

    /// What the answer said that it cost.
    pub fn metered(&mut self, reading: &Reading) {
        self.record.tokens = reading.tokens;
    }

    /// Upstream broke off after it had begun.
    pub fn cut(&mut self, kind: FaultKind) {
        self.record.fault = Some(kind);
        self.record.end = crate::observe::record::End::Cut;
    }

    /// We broke off, shutting down.
    pub fn stopped(&mut self) {
        self.record.end = crate::observe::record::End::Stopped;
    }

    /// The client broke off.
    pub fn client_gone(&mut self) {
        self.record.end = crate::observe::record::End::ClientGone;
        self.finish();
    }

    /// Writes the record.
    pub fn finish(&mut self) {
        if !std::mem::replace(&mut self.written, true) {
            self.record.duration = self.started.elapsed_saturating();
            self.record.log();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if !self.written {
            self.client_gone();
        }
    }
}

trait ElapsedSaturating {
    fn elapsed_saturating(self) -> std::time::Duration;
}

impl ElapsedSaturating for Instant {
    fn elapsed_saturating(self) -> std::time::Duration {
        Instant::now().saturating_duration_since(self)
    }
}
