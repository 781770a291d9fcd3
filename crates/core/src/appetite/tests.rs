use proptest::prelude::*;

use super::figures::PROMPT_MOST;
use super::*;
use crate::by_model::MODELS;

fn model() -> Arc<str> {
    "glm".into()
}

fn tokens(input: u64, output: u64) -> Tokens {
    Tokens { input, output, ..Tokens::default() }
}

fn guess(appetite: &Appetite, body_bytes: u64) -> Guess {
    appetite.guess(Some(&model()), body_bytes, Known::default(), 0.0)
}

/// Evenly spread numbers in 0..1, the same in every run.
fn spread(n: u64) -> f64 {
    (f64::from(u32::try_from(n % 100_000).unwrap()) * 0.618_033_988_749).fract()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
fn rounded(tokens: f64) -> u64 {
    tokens.round() as u64
}

#[test]
fn four_bytes_a_token_and_four_thousand_tokens_until_something_is_known() {
    let first = guess(&Appetite::default(), 40_000);
    assert_eq!(first.likely.input, 10_000);
    assert!(first.most.input > first.likely.input);
    assert_eq!(first.most.output, 4_000);
    assert!(first.likely.output < first.most.output);
    assert_eq!(first.likely.cached, Some(0));
}

#[test]
fn the_size_of_a_token_is_learned() {
    for ratio in [2, 3, 7, 30] {
        let mut appetite = Appetite::default();
        for n in 0..80 {
            let prompt = 5_000 + n * 100;
            appetite.learn(Some(&model()), prompt * ratio, Known::default(), &tokens(prompt, 100));
        }
        let guess = guess(&appetite, 10_000 * ratio);
        assert!((9_500..=10_500).contains(&guess.likely.input), "{ratio}: {guess:?}");
    }
}

#[test]
fn the_output_of_half_and_of_nine_in_ten_is_learned() {
    let mut appetite = Appetite::default();
    let (mut below_half, mut below_most) = (0, 0);
    for n in 0..4_000 {
        // Long tail: the median is 1,000 tokens, the ninth tenth 16,000.
        let output = rounded(1_000.0 * 1_000_f64.powf(spread(n) - 0.5));
        if n >= 1_000 {
            let guess = guess(&appetite, 4_000);
            below_half += i32::from(output <= guess.likely.output);
            below_most += i32::from(output <= guess.most.output);
        }
        appetite.learn(Some(&model()), 4_000, Known::default(), &tokens(1_000, output));
    }
    assert!((1_400..=1_600).contains(&below_half), "{below_half} of 3000");
    assert!((2_600..=2_800).contains(&below_most), "{below_most} of 3000");
}

#[test]
fn one_absurd_answer_changes_little() {
    let absurd = [
        (u64::MAX, tokens(1, u64::MAX)),
        (1, tokens(u64::MAX, 0)),
        (0, tokens(50, 50)),
        (100_000, Tokens { cached: Some(u64::MAX), cache_write: u64::MAX, ..tokens(u64::MAX, 1) }),
    ];
    for (body, absurd) in absurd {
        let mut appetite = Appetite::default();
        for _ in 0..100 {
            appetite.learn(Some(&model()), 40_000, Known::default(), &tokens(10_000, 800));
        }
        let before = guess(&appetite, 40_000);
        appetite.learn(Some(&model()), body, Known::default(), &absurd);
        let after = guess(&appetite, 40_000);
        for (before, after) in [
            (before.likely.input, after.likely.input),
            (before.likely.output, after.likely.output),
            (before.most.output, after.most.output),
        ] {
            assert!(before.abs_diff(after) * 10 <= before, "{body}: {before} became {after}");
        }
    }
}

#[test]
fn a_conversation_that_goes_on_is_guessed_from_its_last_turn() {
    let appetite = Appetite::default();
    // A picture: 2 MB that were 1,500 tokens, after 20,000 tokens of text.
    let known = Known { prompt: 21_500, prefix: 22_000, body_bytes: 2_080_000 };
    let next = appetite.guess(Some(&model()), 2_084_000, known, 1.0);
    assert_eq!(next.likely.cached, Some(22_000));
    assert_eq!(next.likely.input, 22_500 - 22_000);
    assert_eq!(next.most.cached, Some(21_500), "the last answer may be missing");
    // An old tool result was left out: never more cached than there is.
    let less = appetite.guess(Some(&model()), 1_040_000, known, 1.0);
    assert_eq!((less.likely.input, less.likely.cached), (0, Some(10_750)));
}

#[test]
fn a_picture_in_every_turn_teaches_once() {
    let mut appetite = Appetite::default();
    let (mut known, mut body, mut prompt) = (Known::default(), 2_080_000, 21_500);
    for _ in 0..200 {
        appetite.learn(Some(&model()), body, known, &tokens(prompt, 100));
        known = Known { prompt, prefix: prompt + 100, body_bytes: body };
        (body, prompt) = (body + 4_000, prompt + 1_000);
    }
    let new = guess(&appetite, 40_000);
    assert!((9_000..=11_000).contains(&new.likely.input), "{new:?}");
    // Nor does a conversation that shrinks or stands still, nor a count that makes no sense.
    let before = appetite.image();
    for (body, prompt) in [(body - 90_000, prompt), (body, 5), (body + 3, prompt + 3_000)] {
        let known = Known { prompt, prefix: prompt, body_bytes: body };
        appetite.learn(Some(&model()), body, known, &tokens(prompt, 100));
    }
    let after = appetite.image();
    let same = (before.models[0].bytes_per_token - after.models[0].bytes_per_token).abs();
    assert!(same < 1e-9);
}

#[test]
fn only_what_is_certain_is_counted_on_as_cached() {
    let appetite = Appetite::default();
    let known = Known { prompt: 9_000, prefix: 10_000, body_bytes: 36_000 };
    let check = |p_cached: f64, likely: u64, most: u64| {
        let guess = appetite.guess(Some(&model()), 40_000, known, p_cached);
        assert_eq!(guess.likely.cached, Some(likely), "{p_cached}");
        assert_eq!(guess.most.cached, Some(most), "{p_cached}");
        assert_eq!(prompt_of(&guess.likely), 10_000);
    };
    check(1.0, 10_000, 9_000);
    check(0.9, 9_000, 0);
    check(0.5, 5_000, 0);
    check(0.0, 0, 0);
    check(f64::NAN, 0, 0);
    check(7.0, 10_000, 9_000);
}

#[test]
fn cache_writes_are_learned() {
    let mut appetite = Appetite::default();
    for _ in 0..100 {
        let answer = Tokens { cache_write: 9_000, ..tokens(1_000, 10) };
        appetite.learn(Some(&model()), 40_000, Known::default(), &answer);
    }
    let guess = guess(&appetite, 40_000).likely;
    assert!(guess.cache_write > 8_500 && guess.input < 1_500, "{guess:?}");
}

#[test]
fn nothing_is_learned_from_an_answer_without_figures() {
    let mut appetite = Appetite::default();
    appetite.learn(Some(&model()), 1_000, Known::default(), &Tokens::default());
    appetite.learn(None, 1_000, Known::default(), &tokens(100, 100));
    assert_eq!(appetite.seen(Some(&model())), 0);
    assert_eq!(appetite.models.len(), 0);
}

#[test]
fn memory_survives_a_restart_and_damage() {
    let mut appetite = Appetite::default();
    for name in ["a", "b"] {
        appetite.learn(Some(&name.into()), 40_000, Known::default(), &tokens(9_000, 700));
    }
    let image = appetite.image();
    assert_eq!(Appetite::restore(image.clone()).image(), image);

    let broken = ModelAppetite {
        model: "glm".into(),
        bytes_per_token: f64::NAN,
        spread: f64::INFINITY,
        written: -1.0,
        half: 0.0,
        nine_of_ten: 1e300,
        seen: 3,
    };
    let odd = ModelAppetite { half: 900.0, nine_of_ten: 20.0, ..image.models[0].clone() };
    let odd = Appetite::restore(AppetiteImage { models: vec![odd] });
    let odd = odd.guess(Some(&"a".into()), 40_000, Known::default(), 0.0);
    assert_eq!((odd.likely.output, odd.most.output), (900, 900));
    let restored = Appetite::restore(AppetiteImage { models: vec![broken] });
    assert_eq!(guess(&restored, 40_000), guess(&Appetite::default(), 40_000));
    let many = (0..1_000).map(|n| ModelAppetite { model: n.to_string(), ..Default::default() });
    let restored = Appetite::restore(AppetiteImage { models: many.collect() });
    assert_eq!(restored.models.len(), MODELS);
}

fn size() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(u64::MAX), 0..1_000_000_u64, any::<u64>()]
}

prop_compose! {
    fn any_tokens()(
        input in size(), cached in prop::option::of(size()), cache_write in size(),
        output in size(), reasoning in size(),
    ) -> Tokens {
        Tokens { input, cached, cache_write, output, reasoning }
    }
}

proptest! {
    #[test]
    fn guesses_are_possible_whatever_was_seen(
        lessons in prop::collection::vec((size(), size(), size(), any_tokens()), 0..60),
        body in size(), prompt in size(), prefix in size(), before in size(),
        p_cached in prop_oneof![0.0..1.0, Just(f64::NAN), any::<f64>()],
    ) {
        let mut appetite = Appetite::default();
        for (body, prompt, body_bytes, tokens) in lessons {
            let known = Known { prompt, prefix: prompt, body_bytes };
            appetite.learn(Some(&model()), body, known, &tokens);
        }
        let known = Known { prompt, prefix, body_bytes: before };
        let guess = appetite.guess(Some(&model()), body, known, p_cached);
        for tokens in [guess.likely, guess.most] {
            prop_assert!(prompt_of(&tokens) <= rounded(PROMPT_MOST) + 2);
            prop_assert!(tokens.output <= 1_000_000);
            prop_assert!(tokens.cached.is_some_and(|cached| cached <= prefix));
        }
        prop_assert!(guess.likely.output <= guess.most.output);
        prop_assert!(prompt_of(&guess.likely) <= prompt_of(&guess.most) + 2);
        prop_assert_eq!(Appetite::restore(appetite.image()).image(), appetite.image());

        // And it recovers: honest answers bring it back.
        for _ in 0..1_000 {
            appetite.learn(Some(&model()), 40_000, Known::default(), &tokens(10_000, 800));
        }
        let guess = appetite.guess(Some(&model()), 40_000, Known::default(), 0.0);
        let prompt = prompt_of(&guess.likely);
        prop_assert!((9_000..=11_000).contains(&prompt), "{}", prompt);
        prop_assert!((600..=1_000).contains(&guess.likely.output), "{}", guess.likely.output);
    }
}
