//! Small months whose figures can be worked out by hand.

use super::*;

const HOUR: u64 = 3_600_000;

/// One request a line: hours from the start, session, prompt tokens. glm-5.2 costs $1.40 a million
/// prompt tokens, $0.26 cached.
fn trace(requests: &[(u64, &str, u64)]) -> Trace {
    let lines = requests.iter().map(|(hour, session, tokens)| {
        format!(
            "{{\"timestamp\":{},\"session\":\"{session}\",\"model\":\"glm-5.2\",\
             \"input_tokens\":{tokens},\"output_tokens\":0}}\n",
            hour * HOUR
        )
    });
    let text: String = lines.collect();
    Trace::read(text.as_bytes(), FIRST_MONDAY, 10 * 3_600_000).unwrap()
}

fn play(settings: &Settings, trace: &Trace, strategy: Strategy) -> Outcome {
    run(trace, settings, &[strategy]).remove(0)
}

fn near(got: f64, want: f64) {
    assert!((got - want).abs() < 1e-6, "{got}, not {want}");
}

const FILL: Strategy = Strategy::Baseline(Baseline::FillFirst);
const M: u64 = 1_000_000;

#[test]
fn caches_taxes_and_switches() {
    let mut settings = Settings::new(2);
    settings.cache_ttl = 10 * 3_600_000;
    // One session, three requests: rotation moves it twice.
    let trace = trace(&[(0, "s", M), (1, "s", M), (2, "s", M)]);
    let moved = play(&settings, &trace, Strategy::RoundRobin);
    let stayed = play(&settings, &trace, FILL);
    near(stayed.list_cost, 1.40 + 2.0 * 0.26);
    near(stayed.warm_cost, stayed.list_cost);
    assert_eq!((stayed.switches, stayed.served, stayed.refused), (0, 3, 0));
    near(moved.list_cost, 3.0 * 1.40);
    near(moved.warm_cost, stayed.list_cost);
    near(moved.rotation_tax, 2.0 * (1.40 - 0.26));
    assert_eq!(moved.switches, 2);
    near(moved.bound_share, 1.0);
    settings.cache = Cache::Survives;
    let survived = play(&settings, &trace, Strategy::RoundRobin);
    near(survived.list_cost, stayed.list_cost);
    near(survived.rotation_tax, 0.0);
    assert_eq!(survived.switches, 2);
}

#[test]
fn a_wall_a_drought_and_what_is_forfeited() {
    let mut settings = Settings::new(1);
    settings.anniversaries = vec![1.0];
    // $14 in one request exhausts five hours of $12; the second finds no account; the third does.
    let trace = trace(&[(0, "a", 10 * M), (2, "b", M), (5, "c", M), (48, "d", M)]);
    for strategy in Strategy::ALL {
        let name = strategy.name();
        let outcome = play(&settings, &trace, strategy);
        assert_eq!((outcome.offered, outcome.served, outcome.refused), (4, 3, 1), "{name}");
        near(outcome.no_account_seconds, 5.0 * 3_600.0);
        // The month ended after a day with $15.40 of $60 used.
        near(outcome.forfeited, 60.0 - 15.4);
    }
}

#[test]
fn go_plus_holds_more() {
    let mut settings = Settings::new(1);
    let trace = trace(&[(0, "a", 10 * M), (1, "b", M)]);
    assert_eq!(play(&settings, &trace, FILL).refused, 1);
    settings.plan = Plan::GoPlus;
    assert_eq!(play(&settings, &trace, FILL).refused, 0);
}

#[test]
fn every_strategy_answers_every_request() {
    let settings = Settings::new(3);
    let trace = settings.generate(&LOADS[2], 10, 7);
    for outcome in run(&trace, &settings, &Strategy::ALL) {
        assert_eq!(outcome.offered, trace.requests.len() as u64, "{}", outcome.strategy);
        assert!(outcome.bound_share < 1.05 && outcome.served > 0, "{outcome:?}");
    }
}

#[test]
fn loads_ask_for_their_share() {
    let settings = Settings::new(3);
    for load in &LOADS {
        let trace = settings.generate(load, 30, 1);
        let end = FIRST_MONDAY + 30 * 86_400_000 - 1;
        let capacity = Bound::new(&settings.accounts(), FIRST_MONDAY, end).capacity();
        let cost = |it| trace.cost(it, 0, Plan::Go).1;
        let warm = |it: &trace::Request| trace.cost(it, it.prefix, Plan::Go).1.to_dollars();
        let asked: f64 = trace.requests.iter().map(warm).sum();
        let share = asked / capacity / load.share;
        assert!((0.8..1.2).contains(&share), "{}: {share}", load.name);
        assert!(
            trace.requests.iter().map(cost).sum::<saros_emulator::Money>().to_dollars() > asked
        );
    }
}

#[test]
fn tables_have_a_row_for_each() {
    let settings = Settings::new(2);
    let outcomes = run(&trace(&[(0, "s", M)]), &settings, &Strategy::ALL);
    let text = table(&outcomes);
    assert_eq!(text.lines().count(), 6, "{text}");
    let json = serde_json::to_value(&outcomes).unwrap();
    let names = [
        "strategy",
        "offered",
        "served",
        "refused",
        "list_cost",
        "warm_cost",
        "rotation_tax",
        "switches",
        "forfeited",
        "no_account_seconds",
        "bound_share",
    ];
    let row = json[0].as_object().unwrap();
    assert_eq!(row.len(), names.len());
    assert!(names.iter().all(|name| row.contains_key(*name)), "{json}");
}
