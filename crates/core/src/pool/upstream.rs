//! What is known about upstreams: is the way there open, and does the service as a whole answer?

use crate::breaker::{Breaker, Growth, PATIENCE, Phase, Tally};
use crate::fault::FaultKind;
use crate::id::{LeaseId, UpstreamId};
use crate::time::Millis;

#[derive(Debug, Default)]
pub(super) struct Upstreams {
    list: Vec<Upstream>,
}

#[derive(Debug)]
pub(super) struct Upstream {
    id: UpstreamId,
    pub(super) tally: Tally,
    pub(super) breaker: Breaker,
}

impl Upstreams {
    /// Knows exactly these from now on.
    pub(super) fn keep(&mut self, ids: impl Iterator<Item = UpstreamId> + Clone) {
        self.list.retain(|upstream| ids.clone().any(|id| id == upstream.id));
        for id in ids {
            if self.get_mut(id).is_none() {
                let (tally, breaker) = (Tally::default(), Breaker::default());
                self.list.push(Upstream { id, tally, breaker });
            }
        }
    }

    pub(super) fn get_mut(&mut self, id: UpstreamId) -> Option<&mut Upstream> {
        self.list.iter_mut().find(|upstream| upstream.id == id)
    }

    pub(super) fn phase(&self, id: UpstreamId, now: Millis) -> Phase {
        self.list
            .iter()
            .find(|upstream| upstream.id == id)
            .map_or(Phase::Closed, |upstream| upstream.breaker.phase(now, Some(PATIENCE)))
    }

    pub(super) fn ends(&self) -> impl Iterator<Item = Millis> {
        let ends = |breaker: &Breaker| [breaker.until(), breaker.patience_ends()];
        self.list.iter().flat_map(move |upstream| ends(&upstream.breaker)).flatten()
    }

    #[cfg(test)]
    pub(super) fn breakers(&self) -> impl Iterator<Item = &Breaker> {
        self.list.iter().map(|upstream| &upstream.breaker)
    }

    pub(super) fn shift(&mut self, span: i64) {
        for upstream in &mut self.list {
            upstream.breaker.shift(span);
        }
    }
}

impl Upstream {
    /// Counts a fault; returns until when, if that opened its breaker.
    pub(super) fn blame(
        &mut self,
        kind: FaultKind,
        times: u32,
        threshold: u32,
        lease: LeaseId,
        now: Millis,
    ) -> Option<Millis> {
        self.tally.add(kind, times);
        count_on(&mut self.breaker, self.tally, kind, threshold, lease, now, Growth::UPSTREAM)
    }
}

/// A failed trial opens it for longer; a row that is long enough opens it.
pub(super) fn count_on(
    breaker: &mut Breaker,
    tally: Tally,
    kind: FaultKind,
    threshold: u32,
    lease: LeaseId,
    now: Millis,
    growth: Growth,
) -> Option<Millis> {
    if let Some(until) = breaker.fail(lease, kind, None, now, growth) {
        return Some(until);
    }
    if tally.sum() < threshold { None } else { breaker.open(kind, None, now, growth) }
}
