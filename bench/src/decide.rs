//! What one decision costs: the core called directly, with 16 accounts and a few requests in
//! flight.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use saros_core::format::Format;
use saros_core::id::{KeyId, LeaseId, SessionKey, UpstreamId};
use saros_core::meter::{Bill, Tokens};
use saros_core::pool::{Admission, AllowBalance, Ask, Outcome, Pool, Roster, RosterKey, Rules};
use saros_core::time::Millis;

use crate::Fallible;

const ACCOUNTS: u64 = 16;
const DECISIONS: i64 = 100_000;
/// Attempts under way at any moment.
const IN_FLIGHT: usize = 8;

/// µs for one request's enter, admit, answered and settle.
pub(crate) fn measure() -> Fallible<f64> {
    let mut pool = Pool::new();
    let mut now = Millis(1_770_000_000_000);
    let keys = (0..ACCOUNTS).map(|index| RosterKey {
        id: KeyId(index * 0x9e37_79b9),
        label: Arc::from(format!("account-{index}")),
        upstream: UpstreamId(0),
        plan: None,
        allow_balance: AllowBalance::No,
    });
    drop(pool.apply(Roster { keys: keys.collect(), rules: Rules::default() }, false, now));
    let model: Arc<str> = Arc::from("glm-5.2");
    let bill = Bill {
        list_cost: Some(0.0),
        ..Bill::exact(Tokens {
            input: 128,
            cached: Some(384),
            cache_write: 0,
            output: 50,
            reasoning: 0,
        })
    };
    let mut open: VecDeque<LeaseId> = VecDeque::with_capacity(IN_FLIGHT + 1);
    let mut decide = |index: i64| -> Fallible<()> {
        now = now.plus(3);
        let ask = Ask {
            model: Some(Arc::clone(&model)),
            format: Some(Format::Chat),
            // A hundred conversations, as warm as they can be.
            session: Some(SessionKey(index.unsigned_abs() % 100)),
            warm: true,
            body_bytes: 2048,
        };
        let trail = pool.enter(now);
        let (admission, effects) = pool.admit(black_box(&ask), &trail, now);
        black_box(effects);
        let Admission::Go(grant) = admission else { return Err("the pool refused".into()) };
        black_box(pool.answered(grant.lease, now));
        open.push_back(grant.lease);
        if open.len() > IN_FLIGHT
            && let Some(lease) = open.pop_front()
        {
            black_box(pool.settle(lease, Outcome::Served(bill), now));
        }
        Ok(())
    };
    for index in 0..DECISIONS / 10 {
        decide(index)?;
    }
    let begin = Instant::now();
    for index in 0..DECISIONS {
        decide(index)?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a small constant")]
    let each = begin.elapsed().as_secs_f64() * 1e6 / DECISIONS as f64;
    Ok(each)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_pool_serves_every_request_of_the_measurement() {
        assert!(super::measure().unwrap() > 0.0);
    }
}
