use proptest::prelude::*;

use super::*;

fn model() -> Arc<str> {
    "glm".into()
}

const PREFIX: u64 = 100_000;

fn stays(warmth: &mut Warmth, idle_ms: i64, cached: u64, times: u32) {
    for _ in 0..times {
        warmth.learn_stay(Some(&model()), idle_ms, PREFIX, Some(cached));
    }
}

#[test]
fn warm_for_ten_minutes_until_something_is_known() {
    let mut warmth = Warmth::default();
    let check = |warmth: &Warmth, model: Option<&Arc<str>>| {
        assert!(warmth.warm(model, 0) > 0.8);
        assert!(warmth.warm(model, -5_000) > 0.8, "the clock was set back");
        assert!(warmth.warm(model, PRIOR_WARM - 1) > 0.8);
        assert!(warmth.warm(model, PRIOR_WARM) < 0.2);
        assert!(warmth.warm(model, i64::MAX) < 0.2);
        assert_eq!(warmth.warm_for(model), PRIOR_WARM);
        assert!((warmth.survives(model) - 0.5).abs() < 1e-9);
    };
    check(&warmth, None);
    check(&warmth, Some(&model()));
    // A first move creates the model's memory, which must say the same of idle time.
    warmth.learn_move(Some(&model()), 0, PREFIX, Some(PREFIX));
    assert_eq!(warmth.warm_for(Some(&model())), PRIOR_WARM);
    assert!((warmth.warm(Some(&model()), 0) - warmth.warm(None, 0)).abs() < 1e-9);
}

#[test]
fn a_shorter_life_is_learned() {
    let mut warmth = Warmth::default();
    stays(&mut warmth, 6 * MINUTE, 0, 6);
    assert_eq!(warmth.warm_for(Some(&model())), 5 * MINUTE);
    assert!(warmth.warm(Some(&model()), 9 * MINUTE) < 0.5, "what is colder earlier is cold later");
    assert!(warmth.warm(Some(&model()), MINUTE) > 0.8, "and says little of shorter rests");
}

#[test]
fn a_longer_life_is_learned() {
    let mut warmth = Warmth::default();
    stays(&mut warmth, 40 * MINUTE, PREFIX, 12);
    assert_eq!(warmth.warm_for(Some(&model())), HOUR);
    assert!(warmth.warm(Some(&model()), 12 * MINUTE) > 0.5, "what is warm later was warm earlier");
    stays(&mut warmth, 3 * DAY, PREFIX, 40);
    assert_eq!(warmth.warm_for(Some(&model())), DAY, "no end seen");
}

#[test]
fn a_model_without_a_cache_is_cold_at_once() {
    let mut warmth = Warmth::default();
    stays(&mut warmth, SECOND, 0, 30);
    assert_eq!(warmth.warm_for(Some(&model())), 0);
    assert_eq!(warmth.seen(Some(&model())), (30, 0));
}

#[test]
fn a_change_of_mind_is_noticed() {
    let mut warmth = Warmth::default();
    stays(&mut warmth, 2 * MINUTE, PREFIX, 100_000);
    stays(&mut warmth, 2 * MINUTE, 0, 60);
    assert!(warmth.warm(Some(&model()), 2 * MINUTE) < 0.5);
}

#[test]
fn half_of_the_prefix_counts_as_cached_and_silence_teaches_nothing() {
    assert_eq!(was_cached(10_000, Some(5_000)), Some(true));
    assert_eq!(was_cached(10_000, Some(4_999)), Some(false));
    assert_eq!(was_cached(10_000, None), None);
    assert_eq!(was_cached(LEAST_PREFIX - 1, Some(0)), None);
    let mut warmth = Warmth::default();
    warmth.learn_stay(Some(&model()), 0, PREFIX, None);
    warmth.learn_move(Some(&model()), 0, PREFIX, None);
    warmth.learn_stay(None, 0, PREFIX, Some(0));
    assert_eq!(warmth.seen(Some(&model())), (0, 0));
    assert_eq!(warmth.models().count(), 0);
}

#[test]
fn survival_is_learned_from_moves() {
    for (cached, expected) in [(PREFIX, 0.9..1.0), (0, 0.0..0.1)] {
        let mut warmth = Warmth::default();
        for _ in 0..30 {
            warmth.learn_move(Some(&model()), SECOND, PREFIX, Some(cached));
        }
        let survives = warmth.survives(Some(&model()));
        assert!(expected.contains(&survives), "{survives}");
        assert_eq!(warmth.seen(Some(&model())), (0, 30));
    }
}

#[test]
fn a_cold_session_says_little_about_moves() {
    let mut warmth = Warmth::default();
    for _ in 0..5 {
        warmth.learn_move(Some(&model()), 2 * HOUR, PREFIX, Some(0));
    }
    assert!(warmth.survives(Some(&model())) > 0.4, "it would have been cold anyway");
}

#[test]
fn memory_survives_a_restart() {
    let mut warmth = Warmth::default();
    stays(&mut warmth, 6 * MINUTE, 0, 9);
    warmth.learn_move(Some(&"other".into()), SECOND, PREFIX, Some(PREFIX));
    let image = warmth.image();
    let restored = Warmth::restore(image.clone());
    assert_eq!(restored.image(), image);
    let (before, after) = (warmth.warm_for(Some(&model())), restored.warm_for(Some(&model())));
    assert_eq!(before, after);
}

#[test]
fn a_damaged_image_is_ignored_where_it_is_damaged() {
    let broken = CacheImage {
        model: "glm".into(),
        found: vec![(f64::NAN, 1e300), (-4.0, 2.0), (f64::INFINITY, 0.0)],
        moves: (f64::NAN, -1.0),
        ..CacheImage::default()
    };
    let mut steps = broken.clone();
    steps.model = "steps".into();
    steps.found = vec![(f64::NAN, -1.0); STEPS];
    let warmth = Warmth::restore(WarmthImage { models: vec![broken, steps] });
    for model in ["glm", "steps"] {
        assert_eq!(warmth.warm_for(Some(&model.into())), PRIOR_WARM);
        assert!((warmth.survives(Some(&model.into())) - 0.5).abs() < 1e-9);
    }
}

#[test]
fn what_leaving_costs() {
    let check = |(warm, survives), expected: f64| {
        let cost = leaving_cost(1.4, 0.26, 100_000, warm, survives);
        assert!((cost - expected).abs() < 1e-9, "{cost} is not {expected}");
    };
    check((1.0, 0.0), 0.114);
    check((0.5, 0.0), 0.057);
    check((1.0, 0.5), 0.057);
    check((0.0, 0.0), 0.0);
    check((1.0, 1.0), 0.0);
    check((f64::NAN, 0.0), 0.0);
    assert!(leaving_cost(0.1, 0.2, 1_000, 1.0, 0.0).abs() < f64::EPSILON, "never a gain");
    assert!(leaving_cost(f64::INFINITY, 0.2, 1_000, 1.0, 0.0).is_finite());
    assert!(leaving_cost(1e9, 0.0, u64::MAX, 1.0, 0.0).is_finite());
}

#[test]
fn what_a_move_did_cost() {
    let check = |cached, warm, expected: f64| {
        let cost = tax(1.4, 0.4, 100_000, cached, warm, 0.5);
        assert!((cost - expected).abs() < 1e-9, "{cost} is not {expected}");
    };
    check(Some(0), 0.9, 0.1);
    check(Some(40_000), 0.9, 0.06);
    check(Some(200_000), 0.9, 0.0);
    check(None, 0.9, 0.05);
    check(Some(0), 0.1, 0.0);
    check(Some(0), f64::NAN, 0.0);
}

proptest! {
    #[test]
    fn chances_are_chances_and_fall_with_idle_time(
        lessons in prop::collection::vec(
            (any::<bool>(), any::<i64>(), any::<u64>(), prop::option::of(any::<u64>())),
            0..200,
        ),
        near in prop::collection::vec((0..STEPS, any::<bool>()), 0..200),
    ) {
        let mut warmth = Warmth::default();
        for (moved, idle, prefix, cached) in lessons {
            if moved {
                warmth.learn_move(Some(&model()), idle, prefix, cached);
            } else {
                warmth.learn_stay(Some(&model()), idle, prefix, cached);
            }
        }
        for (step, hit) in near {
            let cached = if hit { PREFIX } else { 0 };
            warmth.learn_stay(Some(&model()), ENDS[step] - 1, PREFIX, Some(cached));
        }
        let chances: Vec<f64> =
            ENDS.iter().map(|end| warmth.warm(Some(&model()), end - 1)).collect();
        prop_assert!(chances.iter().all(|chance| (0.0..=1.0).contains(chance)));
        prop_assert!(chances.is_sorted_by(|a, b| *a >= b - 1e-12), "{chances:?}");
        let survives = warmth.survives(Some(&model()));
        prop_assert!(0.0 < survives && survives < 1.0);
        let again = Warmth::restore(warmth.image());
        prop_assert_eq!(again.image(), warmth.image());
    }
}
