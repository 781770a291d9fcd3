//! What an edge can do, and how often it does.

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::super::*;
use crate::time::{DAY, HOUR, MINUTE};

pub(super) const MODELS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// A new request.
    Enter { model: usize, route: bool },
    /// A request that is not in flight asks.
    Ask { pick: usize },
    /// Headers of a 2xx arrive.
    Answer { pick: usize },
    /// An attempt ends.
    Settle { pick: usize, end: usize },
    /// An attempt that has ended ends again.
    SettleAgain { pick: usize },
    /// A client goes away.
    Leave { pick: usize },
    /// The configuration is applied.
    Apply { keys: u8, fresh: bool, limit: u32, moved: bool },
    /// The clock jumps.
    Jump { span: i64 },
    /// The edge's timer fires.
    Tick,
    /// A report that was ordered comes, or fails.
    Hear { pick: usize, percents: [u8; 3], hours: i64 },
}

pub(super) fn end(end: usize, key: KeyId) -> Outcome {
    let workspace = format!("w{}", key.0 % 3);
    let fault = match end {
        0 => return Outcome::Served(Bill::NOTHING),
        1 => return Outcome::Abandoned(Bill::NOTHING),
        2 => return Outcome::Cut(Bill::NOTHING, of_trouble(Trouble::CutReset)),
        3 => error(401, "AuthError"),
        4 => error(401, "CreditsError"),
        5 => quota(1_800, &workspace),
        6 => after(429, "RateLimitError", 60),
        7 => after(429, "FreeUsageLimitError", 600),
        8 => error(429, "provider"),
        9 => error(403, "RegionError"),
        10 => error(403, "never seen"),
        11 => error(503, "api_error"),
        12 => of_trouble(Trouble::Connect),
        13 => of_trouble(Trouble::Reset),
        14 => of_trouble(Trouble::HeaderTimeout),
        15 => error(400, "invalid_request_error"),
        _ => server_error(),
    };
    Outcome::Faulted(fault)
}

pub(super) struct Reference;

impl ReferenceStateMachine for Reference {
    type State = ();
    type Transition = Step;

    fn init_state() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn transitions((): &()) -> BoxedStrategy<Step> {
        let pick = any::<prop::sample::Index>().prop_map(|index| index.index(1_000));
        prop_oneof![
            6 => (0..MODELS.len(), prop::bool::weighted(0.1))
                .prop_map(|(model, route)| Step::Enter { model, route }),
            12 => pick.clone().prop_map(|pick| Step::Ask { pick }),
            5 => pick.clone().prop_map(|pick| Step::Answer { pick }),
            9 => (pick.clone(), 0_usize..20).prop_map(|(pick, end)| Step::Settle { pick, end }),
            1 => pick.clone().prop_map(|pick| Step::SettleAgain { pick }),
            1 => pick.prop_map(|pick| Step::Leave { pick }),
            1 => (1_u8..64, any::<bool>(), 0_u32..3, prop::bool::weighted(0.2))
                .prop_map(|(keys, fresh, limit, moved)| Step::Apply { keys, fresh, limit, moved }),
            2 => prop_oneof![-HOUR..HOUR, 0..MINUTE, 0..DAY].prop_map(|span| Step::Jump { span }),
            2 => Just(Step::Tick),
            2 => (any::<prop::sample::Index>(), [0_u8..=104, 0_u8..=100, 0_u8..=100], 1_i64..40)
                .prop_map(|(pick, percents, hours)| {
                    Step::Hear { pick: pick.index(1_000), percents, hours }
                }),
        ]
        .boxed()
    }

    fn apply((): (), _: &Step) {}
}
