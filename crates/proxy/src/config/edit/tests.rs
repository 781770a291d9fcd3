use proptest::prelude::*;

use super::*;

const NEW: &str = "sk-nnnnnnnnnnnnnnnnnnnn";

fn new(label: &str) -> NewKey {
    let key = Secret::new(NEW.to_owned());
    NewKey { label: label.to_owned(), key, base: None, plan: None }
}

type Change = fn(&mut Document) -> Result<(), Refused>;

fn check(before: &str, change: Change, after: &str) {
    let mut document = Document::parse(before.to_owned()).unwrap();
    change(&mut document).unwrap_or_else(|why| panic!("{before}\n{why}"));
    assert_eq!(document.text(), after, "\nbefore:\n{before}");
    // The same where lines end as on Windows, and behind a byte order mark.
    let there = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let mut document = Document::parse(there(before)).unwrap();
    change(&mut document).unwrap();
    // A file without any line end tells of no other.
    if before.contains('\n') {
        assert_eq!(document.text(), there(after), "\nbefore:\n{before}");
    }
}

fn refused(before: &str, change: Change) {
    let mut document = Document::parse(before.to_owned()).unwrap();
    assert!(matches!(change(&mut document), Err(Refused::TooClever(_))), "{before}");
    assert_eq!(document.text(), before);
}

#[test]
fn an_entry_is_added_in_the_manner_of_the_others() {
    let add: Change = |document| document.add(&new("new"));
    let cases = [
        ("", "keys:\n  - label: new\n    key: NEW\n"),
        ("# mine", "# mine\nkeys:\n  - label: new\n    key: NEW"),
        ("# mine\n\n", "# mine\n\nkeys:\n  - label: new\n    key: NEW\n"),
        ("port: 1 # x\n\n# end\n", "port: 1 # x\nkeys:\n  - label: new\n    key: NEW\n\n# end\n"),
        ("---\nport: 1\n...\n", "---\nport: 1\nkeys:\n  - label: new\n    key: NEW\n...\n"),
        ("port: 1", "port: 1\nkeys:\n  - label: new\n    key: NEW"),
        ("keys:\nport: 1\n", "keys:\n  - label: new\n    key: NEW\nport: 1\n"),
        ("keys: # none\nport: 1\n", "keys: # none\n  - label: new\n    key: NEW\nport: 1\n"),
        ("keys: ~ # none\n", "keys:  # none\n  - label: new\n    key: NEW\n"),
        ("keys: []\n", "keys: [{label: new, key: NEW}]\n"),
        ("keys: [ ] # none\n", "keys: [{label: new, key: NEW} ] # none\n"),
        ("keys: [{label: a, key: b}]\n", "keys: [{label: a, key: b}, {label: new, key: NEW}]\n"),
        (
            "keys: [\n  {label: a, key: b}, # first\n]\n",
            "keys: [\n  {label: a, key: b}, {label: new, key: NEW}, # first\n]\n",
        ),
        ("{port: 1, keys: []}", "{port: 1, keys: [{label: new, key: NEW}]}"),
        (
            "keys:\n- label: a # first\n  key: b # its key\n# end\nport: 1\n",
            "keys:\n- label: a # first\n  key: b # its key\n- label: new\n  key: NEW\n# end\nport: 1\n",
        ),
        (
            "keys:\n    -   label: a\n        key: b\n",
            "keys:\n    -   label: a\n        key: b\n    -   label: new\n        key: NEW\n",
        ),
        (
            "keys:\n  -\n    label: a\n    key: b",
            "keys:\n  -\n    label: a\n    key: b\n  - label: new\n    key: NEW",
        ),
        (
            "keys:\n  - {label: a, key: b} # flow\n\n",
            "keys:\n  - {label: a, key: b} # flow\n  - label: new\n    key: NEW\n\n",
        ),
        (
            "keys:\n  - label: a\n    key: >-\n      b\n      c\n\nport: 1\n",
            "keys:\n  - label: a\n    key: >-\n      b\n      c\n  - label: new\n    key: NEW\n\nport: 1\n",
        ),
    ];
    for (before, after) in cases {
        check(before, add, &after.replace("NEW", NEW));
    }
    check(
        "keys:\n  - key: b\n",
        |document| {
            let base = Some("https://a.b/inference/go".to_owned());
            document.add(&NewKey { base, plan: Some("go-plus".to_owned()), ..new("it's: #1") })
        },
        &"keys:\n  - key: b\n  - label: \"it's: #1\"\n    key: NEW\n    upstreamBaseUrl: \"https://a.b/inference/go\"\n    plan: go-plus\n"
            .replace("NEW", NEW),
    );
    for before in ["keys: text\n", "keys: {a: b}\n", "{port: 1}", "a: &x [b]\nkeys: *x\n"] {
        refused(before, add);
    }
}

const THREE: &str = "\
# head
keys:
  # about a
  - label: a # a
    key: ka
    # inside a

  # about b
  - {label: b, key: kb}
  # about c
  -
    key: 'kc'
    label: c
# tail
port: 1
";

#[test]
fn an_entry_goes_with_what_is_inside_it_and_nothing_else() {
    check(
        THREE,
        |document| document.remove(0),
        "# head\nkeys:\n  # about a\n    # inside a\n\n  # about b\n  - {label: b, key: kb}\n  # about c\n  -\n    key: 'kc'\n    label: c\n# tail\nport: 1\n",
    );
    check(THREE, |document| document.remove(1), &THREE.replace("  - {label: b, key: kb}\n", ""));
    check(
        THREE,
        |document| document.remove(2),
        &THREE.replace("  -\n    key: 'kc'\n    label: c\n", ""),
    );
    check(
        "keys: # mine\n  - label: a\n    key: b\n# end\n",
        |document| document.remove(0),
        "keys: [] # mine\n# end\n",
    );
    check("keys: [{label: a, key: b}]\n", |document| document.remove(0), "keys: []\n");
    let flow = "keys: [{label: a, key: b}, {label: c, key: d}, {label: e, key: f}]\n";
    check(flow, |document| document.remove(0), "keys: [{label: c, key: d}, {label: e, key: f}]\n");
    check(flow, |document| document.remove(2), "keys: [{label: a, key: b}, {label: c, key: d}]\n");
    refused(flow, |document| document.remove(3));
    refused("keys:\n  - &x {label: a, key: b}\nother: *x\n", |document| document.remove(0));
}

#[test]
fn a_text_is_replaced_in_the_style_of_the_one_before() {
    let rename: Change = |document| document.rename(0, "o'b: 1");
    for (before, after) in [
        ("keys:\n  - label: a # x\n    key: b\n", "keys:\n  - label: \"o'b: 1\" # x\n    key: b\n"),
        ("keys:\n  - label: 'a'\n", "keys:\n  - label: 'o''b: 1'\n"),
        ("keys: [{label: \"a\", key: b}]", "keys: [{label: \"o'b: 1\", key: b}]"),
        ("keys:\n  - key: b\n", "keys:\n  - label: \"o'b: 1\"\n    key: b\n"),
        ("keys: [{key: b}]\n", "keys: [{label: \"o'b: 1\", key: b}]\n"),
    ] {
        check(before, rename, after);
    }
    check(
        "keys:\n  - key: sk-x\n    label: a\n",
        |document| document.set_key(0, "enc:scrypt:a=:b:c:d"),
        "keys:\n  - key: \"enc:scrypt:a=:b:c:d\"\n    label: a\n",
    );
    check(
        "scraping:\n  accounts:\n    - workspaceId: wrk_1\n      authCookie: 'x'\n",
        |document| document.set_cookie(0, "enc:scrypt:a=:b:c:d"),
        "scraping:\n  accounts:\n    - workspaceId: wrk_1\n      authCookie: 'enc:scrypt:a=:b:c:d'\n",
    );
    for before in [
        "keys:\n  - label: |\n      a\n",
        "x: &l a\nkeys:\n  - label: *l\n",
        "keys:\n  - sk-x\n",
        "keys:\n  - label: [a]\n",
        "keys: []",
    ] {
        refused(before, rename);
    }
    let mut document = Document::parse("keys: [{label: a, key: b}]".to_owned()).unwrap();
    assert_eq!(document.rename(0, "a\nb"), Err(Refused::Unwritable));
    assert_eq!(document.add(&new("a\tb")), Err(Refused::Unwritable));
}

#[test]
fn entries_have_names_to_speak_of_them() {
    let text = "keys:\n  - {label: a, key: ' k1 '}\n  - {key: enc:scrypt:x}\n  - {label: a, key: k3}\n  - {label: a-2}\n  - sk-x\n";
    let keys = Document::parse(text.to_owned()).unwrap().keys();
    let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    assert_eq!(names, ["a", "key-2", "a-3", "a-2", "key-5"]);
    let texts: Vec<_> = keys.iter().map(|key| key.key.as_ref().map(Secret::expose)).collect();
    assert_eq!(texts, [Some("k1"), Some("enc:scrypt:x"), Some("k3"), None, None]);
    assert!(keys[1].is_encrypted() && !keys[0].is_encrypted());
}

#[test]
fn what_is_no_configuration_is_left_alone() {
    for text in ["a: [", "- a\n", "text", "a: 1\na: 2\n"] {
        assert_eq!(Document::parse(text.to_owned()).unwrap_err(), Refused::Invalid, "{text}");
    }
}

/// Files that somebody could have written: entries in several styles, comments everywhere.
fn file() -> impl Strategy<Value = String> {
    let comment = prop_oneof![Just(""), Just(" # note: [x"), Just(" #\"'{")];
    let line =
        prop_oneof![Just(String::new()), Just("\n".to_owned()), "  *# [a-z:'\"{\\[-]{0,8}\n"];
    let value = prop_oneof!["[a-z]{1,6}", "'[a-z#: ]{1,6}'", "\"[a-z#: ]{1,6}\""];
    let entry = (0..4_usize, value.clone(), value, comment.clone(), comment, line.clone())
        .prop_map(|(style, label, key, one, two, after)| {
            let entry = match style {
                0 => format!("  - label: {label}{one}\n    key: {key}{two}\n"),
                1 => format!("  - {{label: {label}, key: {key}}}{one}\n"),
                2 => format!("  -{one}\n    key: {key}{two}\n    label: {label}\n"),
                _ => format!("  - key: {key}{one}\n"),
            };
            entry + &after
        });
    (line.clone(), prop::collection::vec(entry, 1..5), line, any::<bool>()).prop_map(
        |(head, entries, tail, crlf)| {
            let text = format!("{head}port: 1\nkeys:\n{}{tail}host: ::1\n", entries.concat());
            if crlf { text.replace('\n', "\r\n") } else { text }
        },
    )
}

proptest! {
    /// A change leaves every other byte as it was: the file before and after have all in common but
    /// one run of bytes, and undoing the change gives the first file again.
    #[test]
    fn all_else_stays(text in file(), pick in any::<prop::sample::Index>(), label in "[a-z: #']{1,8}") {
        let before = Document::parse(text.clone()).unwrap();
        let count = before.keys().len();
        let index = pick.index(count);

        let mut added = before.clone();
        added.add(&new(&label)).unwrap();
        prop_assert_eq!(added.keys().len(), count + 1);
        added.remove(count).unwrap();
        prop_assert_eq!(added.text(), &text);

        let mut removed = before.clone();
        removed.remove(index).unwrap();
        let (head, tail) = common(&text, removed.text());
        if count > 1 {
            prop_assert_eq!(head + tail, removed.text().len(), "nothing was put in");
        }
        let comments = |text: &str| text.matches('#').count();
        let inside = text.len() - head - tail;
        let gone = &text[head..head + inside];
        prop_assert_eq!(comments(removed.text()) + comments(gone), comments(&text));

        let mut renamed = before.clone();
        renamed.rename(index, "other").unwrap();
        let keys = renamed.keys();
        prop_assert_eq!(keys[index].name.as_str(), "other");
    }

    /// Whatever a file holds, changing it ends in a changed file or in words.
    #[test]
    fn nothing_panics(text in "([ \\-#:\\[\\]{}'\",\\n\\r&*|>a-z]|keys:|label:|key:|- ){0,40}") {
        if let Ok(document) = Document::parse(text) {
            for index in 0..=document.keys().len() {
                let _ = document.clone().remove(index);
                let _ = document.clone().rename(index, "x");
                let _ = document.clone().set_key(index, "x");
            }
            let _ = document.clone().add(&new("x"));
        }
    }
}

/// How many bytes two texts have in common at their beginnings, and then at their ends.
fn common(one: &str, other: &str) -> (usize, usize) {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let head = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let rest = one.len().min(other.len()) - head;
    let tail =
        one.iter().rev().zip(other.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    (head, tail)
}
