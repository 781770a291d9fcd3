//! Quota: what reports keep out, what is held for requests in flight, and the prepaid balance.

use super::*;
use crate::meter::Tokens;
use crate::pool::{NoUsage, Observation};
use crate::price::{Price, Prices, Rate};
use crate::report::{Reading, Report, Source};
use crate::select::{Fit, Reason, Strategy};
use crate::time::{DAY, HOUR, MINUTE, SECOND};
use crate::window::{PerWindow, next_monday};

/// One dollar a request of a million bytes or so: dear enough to matter.
fn prices() -> Arc<Prices> {
    let rate = Rate { input: 1.0, output: 4.0, cache_read: 0.1, cache_write: 1.0 };
    let mut prices = Prices::default();
    let price =
        Price { rate: Some(rate), long: None, peak: false, monthly: [Some(60.0), Some(60.0)] };
    prices.insert("m", price);
    Arc::new(prices)
}

fn rules() -> Rules {
    Rules { prices: prices(), ..Rules::default() }
}

fn report(desk: &Desk, percents: PerWindow<u8>) -> Report {
    let resets = [desk.now.plus(2 * HOUR), next_monday(desk.now), desk.now.plus(20 * DAY)];
    let one = |index: usize| {
        let percent = percents[index];
        Some(Reading { percent, limited: percent == 100, resets_at: Some(resets[index]) })
    };
    Report {
        source: Source::Api,
        sent: desk.now,
        received: desk.now,
        windows: [one(0), one(1), one(2)],
        workspace: None,
        user: None,
        use_balance: None,
    }
}

fn hear(desk: &mut Desk, key: u64, percents: PerWindow<u8>) -> Effects {
    desk.pass(SECOND);
    // The service never says twice the same moment of reset by chance.
    let mut report = report(desk, percents);
    for reading in report.windows.iter_mut().flatten() {
        let reset = reading.resets_at.map(|at| at.plus(i64::try_from(key).unwrap() * MINUTE));
        reading.resets_at = reset;
    }
    let observation = Observation::Usage(report);
    let effects = desk.pool.observe(KeyId(key), observation, desk.now);
    desk.note(effects)
}

fn big(session: Option<u64>) -> Ask {
    let session = session.map(crate::id::SessionKey);
    Ask { session, warm: session.is_some(), body_bytes: 400_000, ..ask("m") }
}

fn bill(dollars: f64) -> Bill {
    let tokens = Tokens { input: 100_000, cached: Some(0), output: 100, ..Tokens::default() };
    Bill { list_cost: Some(dollars), ..Bill::exact(tokens) }
}

/// The key that serves this request, and why.
fn serve(desk: &mut Desk, ask: &Ask, bill: Bill) -> (u64, Reason) {
    let trail = desk.enter();
    let Admission::Go(grant) = desk.admit(ask, &trail) else { panic!("not admitted") };
    desk.answered(grant.lease);
    desk.settle(grant.lease, Outcome::Served(bill));
    (grant.key.0, grant.decision.reason)
}

#[test]
fn a_rate_limited_account_is_not_used_until_its_reset() {
    let mut desk = Desk::with(keys(2), rules());
    hear(&mut desk, 1, [10, 100, 50]);
    hear(&mut desk, 2, [10, 10, 10]);
    assert_eq!(desk.states(), [State::OutOfQuota, State::Ready]);
    assert_eq!([desk.served("m"), desk.served("m")], [2, 2]);
    let told = |desk: &Desk| {
        let cooling = |notice: &&Notice| matches!(notice, Notice::Cooling { .. });
        desk.notices.iter().filter(cooling).count()
    };
    assert_eq!(told(&desk), 1);
    hear(&mut desk, 1, [10, 100, 50]);
    assert_eq!(told(&desk), 1, "said once");
    hear(&mut desk, 2, [100, 10, 10]);
    let until = desk.now.plus(2 * HOUR + 2 * MINUTE);
    let window = Some(crate::window::Window::FiveHour);
    assert_eq!(desk.refused("m"), Refusal::OutOfQuota { until, window, workspace: None });
    desk.pass(2 * HOUR + 3 * MINUTE);
    let effects = desk.pool.tick(desk.now);
    desk.note(effects);
    assert_eq!(desk.served("m"), 2, "its window has begun anew");
}

#[test]
fn a_report_never_shortens_what_a_refused_request_was_told() {
    let mut desk = Desk::with(keys(1), rules());
    let grant = desk.go("m");
    desk.settle(grant.lease, Outcome::Faulted(quota(600, "")));
    hear(&mut desk, 1, [10, 10, 10]);
    assert!(matches!(desk.refused("m"), Refusal::OutOfQuota { .. }));
    desk.pass(601 * SECOND);
    assert_eq!(desk.served("m"), 1);
}

#[test]
fn what_is_in_flight_is_held_and_a_report_frees_those_who_wait() {
    let mut desk = Desk::with(keys(1), rules());
    desk.pass(2 * SECOND);
    assert_eq!(desk.pool.tick(desk.now).poll.as_slice(), [KeyId(1)]);
    hear(&mut desk, 1, [98, 10, 10]);
    let first = desk.enter();
    let Admission::Go(grant) = desk.admit(&big(None), &first) else { panic!("98 is not full") };
    assert!(grant.decision.cost.1 > 0.1, "held: {:?}", grant.decision.cost);
    let second = desk.enter();
    let Admission::Wait { .. } = desk.admit(&big(None), &second) else {
        panic!("what is in flight may use up the rest")
    };
    desk.settle(grant.lease, Outcome::Served(bill(0.2)));
    desk.pass(6 * SECOND);
    let effects = desk.pool.tick(desk.now);
    assert_eq!(effects.poll.as_slice(), [KeyId(1)], "asked, because somebody waits");
    let effects = hear(&mut desk, 1, [99, 10, 10]);
    assert_eq!(effects.wake.as_slice(), [second.ticket], "less than 100, and nothing in flight");
    let Admission::Go(grant) = desk.admit(&big(None), &second) else { panic!("proven") };
    let third = desk.enter();
    assert!(matches!(desk.admit(&big(None), &third), Admission::Wait { .. }), "one at a time");
    desk.settle(grant.lease, Outcome::Served(bill(0.2)));
    hear(&mut desk, 1, [100, 10, 10]);
    assert!(matches!(desk.admit(&big(None), &third), Admission::Refuse(_)));
}

#[test]
fn what_a_refused_request_said_ends_without_any_report() {
    let mut desk = Desk::with(keys(1), rules());
    let grant = desk.go("m");
    let refused = Fault { window: Some(crate::window::Window::FiveHour), ..quota(600, "") };
    desk.settle(grant.lease, Outcome::Faulted(refused));
    desk.pass(599 * SECOND);
    assert!(matches!(desk.refused("m"), Refusal::OutOfQuota { .. }));
    desk.pass(SECOND);
    assert_eq!(desk.served("m"), 1);
}

#[test]
fn after_a_refusal_alone_the_rotation_goes_on() {
    for window in crate::window::Window::ALL {
        let mut desk = Desk::with(keys(2), rules());
        let grant = desk.go("m");
        let refused = Fault { window: Some(window), ..quota(1_000_000, "") };
        desk.settle(grant.lease, Outcome::Faulted(refused));
        assert_eq!([desk.served("m"), desk.served("m")], [2, 2]);
        desk.pass(1_000_000 * SECOND);
        let order = [desk.served("m"), desk.served("m"), desk.served("m")];
        let trail = desk.enter();
        assert_eq!(order, [1, 2, 1], "{window:?} {:?}", desk.pool.candidates(&ask("m"), &trail));
    }
}

#[test]
fn with_balance_off_nothing_is_left_unused() {
    let mut desk = Desk::with(keys(1), rules());
    let grant = desk.go("m");
    desk.settle(grant.lease, Outcome::Faulted(quota(60, "")));
    desk.pass(61 * SECOND);
    hear(&mut desk, 1, [98, 10, 10]);
    for _ in 0..3 {
        let trail = desk.enter();
        let Admission::Go(grant) = desk.admit(&big(None), &trail) else { panic!("try it") };
        assert_ne!(grant.decision.reason, Reason::Warm);
    }
    let trail = desk.enter();
    let Admission::Go(grant) = desk.admit(&big(None), &trail) else { panic!("try it") };
    assert_eq!(grant.decision.reason, Reason::LastResort);
    desk.settle(grant.lease, Outcome::Faulted(quota(600, "")));
    assert!(matches!(desk.refused("m"), Refusal::OutOfQuota { .. }), "after the first 429 no more");
}

#[test]
fn what_ended_before_a_report_is_in_it_however_late_it_is_settled() {
    let belief = |ended_early: bool| {
        let mut desk = Desk::with(keys(1), rules());
        hear(&mut desk, 1, [10, 10, 10]);
        let slow = desk.go("m");
        let ended = ended_early.then_some(desk.now);
        desk.pass(MINUTE);
        hear(&mut desk, 1, [20, 10, 10]);
        desk.settle(slow.lease, Outcome::Served(Bill { ended, ..bill(1.2) }));
        desk.pool.accounts[0].funds.ledger.belief(crate::window::Window::FiveHour)
    };
    assert!(belief(true).high <= 21.0, "counted once");
    assert!(belief(false).high > 29.0, "it came on top");
}

#[test]
fn reservations_end_with_their_leases_and_never_go_negative() {
    let mut desk = Desk::with(keys(1), rules());
    hear(&mut desk, 1, [10, 10, 10]);
    let reserved = |desk: &Desk| desk.pool.accounts[0].funds.reserved;
    let trails = [desk.enter(), desk.enter()];
    let leases = trails.each_ref().map(|trail| match desk.admit(&big(None), trail) {
        Admission::Go(grant) => grant.lease,
        other => panic!("{other:?}"),
    });
    assert!(reserved(&desk) > 0);
    desk.settle(leases[0], Outcome::Abandoned(Bill::NOTHING));
    desk.settle(leases[0], Outcome::Abandoned(Bill::NOTHING));
    assert!(reserved(&desk) > 0, "the other one's");
    desk.settle(leases[1], Outcome::Faulted(server_error()));
    assert_eq!(reserved(&desk), 0);
}

#[test]
fn a_charge_on_the_balance_parks_the_account_and_is_told_once() {
    let mut desk = Desk::with(keys(2), rules());
    hear(&mut desk, 1, [50, 50, 50]);
    hear(&mut desk, 2, [50, 50, 50]);
    let paid = Bill { balance_cost: Some(0.25), ..bill(0.25) };
    let grants = [desk.go("m"), desk.go("m"), desk.go("m")];
    let on_one: Vec<_> = grants.iter().filter(|grant| grant.key == KeyId(1)).collect();
    for grant in &on_one {
        desk.settle(grant.lease, Outcome::Served(paid));
    }
    let spent = |notice: &&Notice| matches!(notice, Notice::BalanceSpent { .. });
    assert_eq!(desk.notices.iter().filter(spent).count(), 1);
    assert_eq!(desk.states(), [State::OutOfQuota, State::Ready]);
    assert_eq!([desk.served("m"), desk.served("m")], [2, 2]);
    let sum = desk.pool.view(desk.now).balance_spent;
    let want: f64 = on_one.iter().map(|_| 0.25).sum();
    assert!((sum - want).abs() < 1e-9, "{sum}");
    let roster = Roster { keys: keys(2), rules: rules() };
    let effects = desk.pool.apply(roster, true, desk.now);
    desk.note(effects);
    assert_eq!(desk.states(), [State::Ready, State::Ready], "`reload` unparks");
}

fn paid(desk: &Desk) -> bool {
    desk.notices.iter().any(|notice| matches!(notice, Notice::BalanceSpent { .. }))
}

#[test]
fn a_request_served_while_limited_is_taken_for_paid() {
    let mut desk = Desk::with(keys(1), rules());
    hear(&mut desk, 1, [50, 50, 50]);
    desk.pass(SECOND);
    // The answer to this question is slow; meanwhile a request begins and is served.
    let slow = report(&desk, [100, 50, 50]);
    desk.pass(SECOND);
    let meanwhile = desk.go("m");
    desk.pass(SECOND);
    let slow = Report { received: desk.now, ..slow };
    let effects = desk.pool.observe(KeyId(1), Observation::Usage(slow), desk.now);
    desk.note(effects);
    assert!(!paid(&desk));
    desk.settle(meanwhile.lease, Outcome::Served(bill(0.1)));
    assert!(paid(&desk), "the window was used up when it began");
}

#[test]
fn a_request_served_before_the_limit_was_reached_is_not_taken_for_paid() {
    let mut desk = Desk::with(keys(1), rules());
    hear(&mut desk, 1, [50, 50, 50]);
    let before = [desk.go("m"), desk.go("m"), desk.go("m")];
    hear(&mut desk, 1, [100, 50, 50]);
    desk.settle(before[0].lease, Outcome::Served(bill(0.1)));
    assert!(!paid(&desk), "it may have used up the window");
    let refused = Fault { window: Some(crate::window::Window::FiveHour), ..quota(7_200, "") };
    desk.settle(before[1].lease, Outcome::Faulted(refused));
    desk.settle(before[2].lease, Outcome::Served(bill(0.1)));
    assert!(!paid(&desk), "who refuses does not charge the balance");
}

#[test]
fn a_limit_without_an_end_lasts_as_long_as_its_window_can() {
    let mut desk = Desk::with(keys(1), rules());
    let mut endless = report(&desk, [100, 50, 50]);
    endless.windows[0].as_mut().expect("named").resets_at = None;
    let effects = desk.pool.observe(KeyId(1), Observation::Usage(endless), desk.now);
    desk.note(effects);
    desk.pass(5 * HOUR - SECOND);
    assert!(matches!(desk.refused("m"), Refusal::OutOfQuota { .. }), "nobody said otherwise");
    desk.pass(2 * SECOND);
    let waiter = desk.waits("m");
    let effects = hear(&mut desk, 1, [0, 50, 50]);
    assert_eq!(effects.wake.as_slice(), [waiter.ticket], "only a report can say that it is over");
}

#[test]
fn allowed_balance_is_used_up_to_its_cap() {
    let allowing = |allow_balance| vec![RosterKey { allow_balance, ..key(1, 0) }];
    let mut desk = Desk::with(allowing(AllowBalance::UpTo(1.0)), rules());
    hear(&mut desk, 1, [100, 50, 50]);
    let paid = Bill { balance_cost: Some(0.6), ..bill(0.6) };
    assert_eq!(serve(&mut desk, &big(None), paid).0, 1, "a limit does not stop it");
    assert_eq!(serve(&mut desk, &big(None), paid).0, 1);
    assert!(matches!(desk.refused("m"), Refusal::OutOfQuota { .. }), "1.20 of 1.00 are spent");
    let mut desk = Desk::with(allowing(AllowBalance::Yes), rules());
    hear(&mut desk, 1, [100, 100, 100]);
    for _ in 0..10 {
        assert_eq!(serve(&mut desk, &big(None), paid).0, 1);
    }
}

#[test]
fn round_robin_obeys_its_threshold_and_nothing_else() {
    let strict = Rules { strategy: Strategy::RoundRobin, usage_threshold: Some(70), ..rules() };
    let mut desk = Desk::with(keys(3), strict);
    assert_eq!([desk.served("m"), desk.served("m"), desk.served("m")], [1, 2, 3], "no data");
    hear(&mut desk, 1, [10, 20, 75]);
    assert_eq!([desk.served("m"), desk.served("m"), desk.served("m")], [2, 3, 2]);
    hear(&mut desk, 2, [99, 20, 20]);
    hear(&mut desk, 3, [71, 20, 20]);
    assert_eq!([desk.served("m"), desk.served("m")], [3, 3], "all over: the least used");
    let session = big(Some(7));
    hear(&mut desk, 1, [0, 0, 0]);
    hear(&mut desk, 2, [0, 0, 0]);
    hear(&mut desk, 3, [0, 0, 0]);
    desk.pass(30 * DAY);
    let first = serve(&mut desk, &session, bill(0.0)).0;
    assert_ne!(serve(&mut desk, &session, bill(0.0)).0, first, "no affinity");
}

#[test]
fn accounts_with_one_workspace_and_user_are_one() {
    let mut desk = Desk::with(keys(2), rules());
    for id in 1..=2 {
        let mut report = report(&desk, [5, 5, 5]);
        report.workspace = Some("wrk_a".into());
        report.user = Some("usr_a".into());
        let effects = desk.pool.observe(KeyId(id), Observation::Usage(report), desk.now);
        desk.note(effects);
    }
    assert!(desk.notices.iter().any(|notice| matches!(notice, Notice::Merged { .. })));
    let trail = desk.enter();
    let rows = desk.pool.candidates(&ask("m"), &trail);
    assert_eq!(rows.iter().filter(|row| row.fit == Fit::SharesAccount).count(), 1);
}

#[test]
fn reports_are_ordered_one_at_a_time() {
    let mut desk = Desk::with(keys(2), rules());
    desk.pass(2 * SECOND);
    let effects = desk.pool.tick(desk.now);
    assert_eq!(effects.poll.len(), 2, "within two seconds of the start, one an account");
    assert!(desk.pool.tick(desk.now.plus(SECOND)).poll.is_empty(), "under way");
    desk.pass(SECOND);
    hear(&mut desk, 1, [5, 5, 5]);
    let failed = Observation::NoUsage(NoUsage::Absent);
    let effects = desk.pool.observe(KeyId(2), failed, desk.now);
    assert!(effects.poll.is_empty());
    desk.pass(11 * MINUTE + SECOND);
    assert_eq!(desk.pool.tick(desk.now).poll.as_slice(), [KeyId(1)], "the other has no such API");
}

#[test]
fn a_quota_429_orders_a_report_at_once() {
    let mut desk = Desk::with(keys(1), rules());
    desk.pass(2 * SECOND);
    assert_eq!(desk.pool.tick(desk.now).poll.len(), 1);
    hear(&mut desk, 1, [5, 5, 5]);
    let grant = desk.go("m");
    desk.pass(2 * SECOND);
    let effects = desk.settle(grant.lease, Outcome::Faulted(quota(600, "")));
    assert_eq!(effects.poll.as_slice(), [KeyId(1)]);
}
