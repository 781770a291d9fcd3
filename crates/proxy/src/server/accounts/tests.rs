use saros_core::fault::FaultKind;
use saros_core::pool::State;
use serde_json::{Value, json};

use super::*;

const NOW: Millis = Millis(1_795_089_600_000);

fn standing(key: u64, label: &str, account: u32, state: State) -> Standing {
    Standing {
        key: KeyId(key),
        label: label.into(),
        account: AccountId(account),
        state,
        why: (state != State::Ready).then_some(FaultKind::Quota),
        until: (state != State::Ready).then(|| NOW.plus(60_000)),
        in_flight: 2,
        last_fault: None,
    }
}

fn empty() -> View {
    View {
        at: NOW,
        accounts: Vec::new(),
        pool: PoolView::default(),
        models: Vec::new(),
        caches: Vec::new(),
        since: NOW,
        rotation_tax: 0.0,
        switches: 0,
        forfeited: 0.0,
        balance_spent: 0.0,
    }
}

fn known() -> AccountView {
    let weekly = WindowView {
        percent: Some((41.005, 43.999)),
        limited: true,
        resets_at: Some(NOW.plus(1_000)),
        burn: 1.234_567_8,
        forecast: Some(Foreseen { p10: Some(NOW), p50: Some(NOW.plus(1)), p90: None }),
        forfeits: Some(0.5),
    };
    AccountView {
        account: AccountId(7),
        keys: vec![(KeyId(1), "a".into()), (KeyId(2), "a2".into())],
        windows: [WindowView::default(), weekly, WindowView::default()],
        binds: Some(1),
        reported: Some((NOW, Source::Page)),
        balance_spent: 0.25,
        parked: Some(NOW.plus(2_000)),
    }
}

fn shown(standings: &[Standing], view: &View) -> Vec<Value> {
    let accounts = in_order(standings).map(|id| account(id, standings, view));
    accounts.map(|account| serde_json::to_value(account).unwrap()).collect()
}

#[test]
fn keys_that_share_an_account_are_one() {
    let standings = [
        standing(1, "a", 7, State::OutOfQuota),
        standing(3, "b", 8, State::Ready),
        standing(2, "a2", 7, State::Cooling),
    ];
    let view = View { accounts: vec![known()], ..empty() };
    let accounts = shown(&standings, &view);
    let [a, b] = accounts.as_slice() else { panic!("{accounts:?}") };
    assert_eq!(a["labels"], json!(["a", "a2"]));
    assert_eq!((&a["state"], &a["inFlight"]), (&json!("cooling"), &json!(4)), "the better one's");
    assert_eq!(a["until"], "2026-11-19T12:01:00.000Z");
    assert_eq!(a["keys"][0]["state"], "outOfQuota");
    assert_eq!((&a["binds"], &a["source"]), (&json!("weekly"), &json!("page")));
    assert_eq!(a["reportedAt"], "2026-11-19T12:00:00.000Z");
    assert_eq!(a["parkedUntil"], "2026-11-19T12:00:02.000Z");
    assert_eq!(a["balanceSpent"], 0.25);
    assert_eq!(
        a["windows"]["weekly"],
        json!({
            "percent": [41.01, 44.0], "limited": true, "resetsAt": "2026-11-19T12:00:01.000Z",
            "burnPerHour": 1.234_568, "forfeits": 0.5,
            "forecast": { "p10": "2026-11-19T12:00:00.000Z", "p50": "2026-11-19T12:00:00.001Z",
                          "p90": null },
        })
    );
    assert_eq!((&b["label"], &b["state"], &b["why"]), (&json!("b"), &json!("ready"), &Value::Null));
    assert_eq!(b["windows"]["weekly"]["percent"], Value::Null, "nothing is known of it");
    assert_eq!((&b["binds"], &b["reportedAt"]), (&Value::Null, &Value::Null));
}

#[test]
fn the_usage_of_a_key_is_its_accounts() {
    let view = View { accounts: vec![known()], ..empty() };
    let usage = |key| usage_of(KeyId(key), &view).map(|usage| serde_json::to_value(usage).unwrap());
    assert_eq!(usage(2).unwrap()["weekly"]["limited"], true);
    assert_eq!(usage(2), usage(1));
    assert_eq!(usage(3), None);
    let unknown = AccountView { windows: <PerWindow<WindowView>>::default(), ..known() };
    let view = View { accounts: vec![unknown], ..empty() };
    assert!(usage_of(KeyId(1), &view).is_none(), "nothing was ever reported");
}

#[test]
fn what_is_no_number_is_not_shown() {
    for (shown, expected) in
        [(dollars(f64::NAN), 0.0), (dollars(f64::INFINITY), 0.0), (hundredths(99.999), 100.0)]
    {
        assert!((shown - expected).abs() < 1e-9, "{shown}");
    }
}
