//! Whatever a file holds, loading it ends in a configuration or in a problem with a place, and
//! never in a panic, and no secret is shown.

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

use super::*;
use crate::config::problem::{Place, Severity};

const SECRET: &str = "sk-aaaaaaaaaaaaaaaaaaaaAAAA";

/// A file with everything in it.
const ALL: &str = "\
# everything
port: 3000
host: '::1'
upstreamBaseUrl: https://opencode.ai/inference/go
keys:
  - label: primary # first
    key: sk-aaaaaaaaaaaaaaaaaaaaAAAA
    allowBalance: 2.5
    plan: go-plus
  - {label: \"second\", key: 'oc_sk_bbbbbbbbbbbbbbbbbbBBBB', upstreamBaseUrl: http://127.0.0.1:1}
strategy: round-robin
usageThreshold: 70
allowBalance: &dollars 5
prices:
  glm-5.2: {input: 0.6, output: *dollars}
allowedOrigins: ['http://localhost:*', \"https://a.b\"]
clientTokens: [0123456789abcdef]
requireClientToken: auto
scraping:
  enabled: true
  accounts:
    - workspaceId: wrk_1
      authCookie: Fe26.2**abcdefghijklmnop
maxBodyBytes: 1024
requestLog: yes
";

/// What is put in, taken out or doubled somewhere.
#[derive(Debug, Clone)]
enum Mutation {
    Insert(prop::sample::Index, String),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let piece = prop_oneof![
        "[ \\-#:\\[\\]{}'\"&*!|>%@`,?\\n\\t\\r]{1,3}",
        "[a-z0-9ü\\u{0}\\u{7f}\\u{85}\\u{2028}]{1,4}",
        Just("\n".to_owned()),
        Just(": ".to_owned()),
        Just("\n---\n".to_owned()),
        Just("<<: *dollars".to_owned()),
        Just("!!binary ".to_owned()),
        Just("1e999".to_owned()),
    ];
    prop_oneof![
        (any::<prop::sample::Index>(), piece).prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        (any::<prop::sample::Index>(), 1..40_usize).prop_map(|(at, n)| Mutation::Remove(at, n)),
        (any::<prop::sample::Index>(), any::<prop::sample::Index>())
            .prop_map(|(from, to)| Mutation::Repeat(from, to)),
    ]
}

fn mutated(mutations: &[Mutation]) -> String {
    let mut chars: Vec<char> = ALL.chars().collect();
    for mutation in mutations {
        let size = chars.len() + 1;
        match mutation {
            Mutation::Insert(at, piece) => {
                let at = at.index(size);
                chars.splice(at..at, piece.chars());
            }
            Mutation::Remove(at, count) => {
                let at = at.index(size);
                let end = (at + count).min(chars.len());
                chars.drain(at..end);
            }
            Mutation::Repeat(from, to) => {
                let (from, to) = (from.index(size), to.index(size));
                let piece: Vec<char> = chars.iter().skip(from).take(30).copied().collect();
                chars.splice(to..to, piece);
            }
        }
    }
    chars.into_iter().collect()
}

/// Loads a text, and looks at every problem.
fn check(text: &str) {
    let path = PathBuf::from("/nowhere/config.yaml");
    let files = Paths {
        config_dir: PathBuf::from("/nowhere"),
        state_dir: PathBuf::from("/nowhere"),
        work_dir: PathBuf::from("/nowhere"),
    };
    let env = BTreeMap::new();
    let problems = match load_text(text, path, &env, files) {
        Ok(loaded) => {
            assert!(loaded.warnings.iter().all(|problem| problem.severity == Severity::Warning));
            loaded.warnings
        }
        Err(error) => {
            let fatal = |problem: &&Problem| problem.severity == Severity::Error;
            let first = error.problems.iter().find(fatal).expect("a reason to stop");
            // What can be pointed at is pointed at; of the rest the words say where.
            let located = match &first.place {
                Place::File { line, column, .. } => *line > 0 && *column > 0,
                _ => first.what.contains("encrypted"),
            };
            assert!(located, "{first:?}\n{text}");
            error.problems
        }
    };
    for problem in &problems {
        for shown in [problem.to_string(), problem.render(false), problem.to_json().to_string()] {
            assert!(!shown.contains(SECRET), "{shown}\n{text}");
            assert!(!shown.contains("abcdefghijklmnop"), "{shown}\n{text}");
        }
        assert!(!problem.to_string().contains(['\n', '\0']), "{problem:?}");
    }
}

#[test]
fn the_whole_file_is_right() {
    assert_eq!(World::yaml(ALL).complaints(), [""; 0]);
}

#[test]
fn half_a_cookie_in_the_place_of_an_address_is_not_shown() {
    for place in ["upstreamBaseUrl: ", "host: ", "allowedOrigins: [", "allowedHosts: ["] {
        let end = if place.ends_with('[') { "]" } else { "" };
        check(&format!("{place}http://127.0.0.1:126.2**abcdefghijklmnop{end}\n"));
    }
}

proptest! {
    #[test]
    fn mutated_files(mutations in prop::collection::vec(mutation(), 1..6)) {
        check(&mutated(&mutations));
    }

    #[test]
    fn any_text(text in "\\PC{0,60}") {
        check(&text);
    }
}
