//! How long a decision takes. Ignored by default: it prints a figure and proves nothing.

use super::*;

#[test]
#[ignore = "a measurement: run with --release --ignored --nocapture"]
fn admit_and_settle_with_sixteen_accounts() {
    let mut desk = Desk::new(keys(16));
    let ask = ask("deepseek-v4-pro");
    let busy: Vec<_> = (0..40).map(|_| desk.go("m")).collect();
    let rounds = 1_000_000_i64;
    for round in 0..rounds {
        let now = START.plus(round / 100);
        let trail = desk.pool.enter(now);
        let (admission, _) = desk.pool.admit(&ask, &trail, now);
        let Admission::Go(grant) = admission else { panic!("refused") };
        let _answered = desk.pool.answered(grant.lease, now);
        let _settled = desk.pool.settle(grant.lease, Outcome::Served(Bill::NOTHING), now);
    }
    println!("{rounds} rounds, {} in flight", busy.len());
}
