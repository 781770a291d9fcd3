//! Rules of the repository that no lint knows: who may import whom, sizes, names, pins.

use std::fs;
use std::path::{Path, PathBuf};

/// What each of our crates may depend on, apart from its dev-dependencies. `None`: anything.
///
/// The emulator knows neither `core` nor `wire`: it is written from the service's behaviour alone,
/// so that a misunderstanding cannot hide by being on both sides of a test.
const CRATES: &[(&str, Option<&[&str]>)] = &[
    ("crates/core", Some(&["serde", "smallvec"])),
    ("crates/wire", Some(&["saros-core", "memchr", "serde", "serde_json", "xxhash-rust"])),
    ("crates/emulator", None),
    ("crates/proxy", None),
    ("xtask", Some(&[])),
];

/// Crates of ours that a crate must not know.
const STRANGERS: &[(&str, &[&str])] = &[
    ("crates/core", &["saros-wire", "saros-emulator", "saros-proxy"]),
    ("crates/wire", &["saros-emulator", "saros-proxy"]),
    ("crates/emulator", &["saros-core", "saros-wire", "saros-proxy"]),
];

/// Which folders of the proxy a folder of it may import. The command line is above all of them.
const PROXY_FOLDERS: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("observe", &["config"]),
    ("upstream", &["config", "observe"]),
    ("state", &["config", "observe"]),
    ("server", &["config", "observe", "state", "upstream"]),
    ("harness", &["config"]),
    ("service", &["config"]),
];

/// The only parts of the proxy that may know the emulator (besides tests).
const EMULATOR_COMMANDS: &[&str] =
    &["demo", "simulate", "cli/demo", "cli/emulator", "cli/simulate"];

/// More lines of code than this (tests beside it not counted) belong into two files.
const MOST_LINES: usize = 500;
/// The same for a file that holds nothing but tests.
const MOST_LINES_OF_TESTS: usize = 800;

/// Names that say nothing.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "manager", "misc", "common"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the checkout")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file with this ending, as a path from the root, without what is built or installed.
fn files(ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let ignored = ["target", "node_modules", ".git", ".tools", ".venv", ".work", "corpus"];
            if path.is_dir() {
                if !ignored.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path.strip_prefix(root()).expect("inside the root").to_path_buf());
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no {ending} files: is {} the checkout?", root().display());
    found
}

/// The names under these headings of a manifest.
fn names_under(manifest: &str, headings: &[&str]) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            // `[target.'cfg(unix)'.dependencies]` counts as `[dependencies]`.
            let for_target = line.strip_prefix("[target.").and_then(|rest| rest.rsplit_once('.'));
            let heading = for_target.map_or(line.to_owned(), |(_, last)| format!("[{last}"));
            inside = headings.contains(&heading.as_str());
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            names.push(name.to_owned());
        }
    }
    names
}

const RUNTIME: &[&str] = &["[dependencies]", "[build-dependencies]"];
const ANY: &[&str] = &["[dependencies]", "[build-dependencies]", "[dev-dependencies]"];

/// A source file without its test module and without comments.
fn code(source: &str) -> String {
    let before_tests = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let without_comment =
        |line: &str| line.split("//").next().unwrap_or_default().to_owned() + "\n";
    before_tests.lines().map(without_comment).collect()
}

fn is_test(path: &Path) -> bool {
    let in_tests = path.components().any(|part| part.as_os_str() == "tests");
    in_tests || path.file_stem().is_some_and(|stem| stem == "tests" || stem == "tidy")
}

fn report(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn crates_depend_only_on_what_they_may() {
    let mut broken = Vec::new();
    for (folder, allowed) in CRATES {
        let manifest = read(format!("{folder}/Cargo.toml"));
        for name in names_under(&manifest, RUNTIME) {
            if allowed.is_some_and(|allowed| !allowed.contains(&name.as_str())) {
                broken.push(format!("{folder} must not depend on {name}"));
            }
        }
    }
    for (folder, strangers) in STRANGERS {
        let manifest = read(format!("{folder}/Cargo.toml"));
        for name in names_under(&manifest, ANY) {
            if strangers.contains(&name.as_str()) {
                broken.push(format!("{folder} must not know {name}, not even in tests"));
            }
        }
    }
    report(&broken);
}

#[test]
fn folders_of_the_proxy_import_one_way() {
    let mut broken = Vec::new();
    let source = Path::new("crates/proxy/src");
    for path in files(".rs").iter().filter(|path| path.starts_with(source) && !is_test(path)) {
        let inside = path.strip_prefix(source).expect("just filtered");
        let folder = inside.components().next().expect("not empty").as_os_str().to_string_lossy();
        let folder = folder.trim_end_matches(".rs");
        let text = code(&read(path));
        let Some((_, allowed)) = PROXY_FOLDERS.iter().find(|(name, _)| *name == folder) else {
            continue;
        };
        for (other, _) in PROXY_FOLDERS.iter().chain(&[("cli", &[] as &[&str])]) {
            let named = text.contains(&format!("crate::{other}::"))
                || text.contains(&format!("crate::{other};"));
            if named && *other != folder && !allowed.contains(other) {
                broken.push(format!("{}: {folder} must not import {other}", path.display()));
            }
        }
    }
    report(&broken);
}

#[test]
fn only_the_commands_that_play_know_the_emulator() {
    let mut broken = Vec::new();
    let source = Path::new("crates/proxy/src");
    for path in files(".rs").iter().filter(|path| path.starts_with(source) && !is_test(path)) {
        let inside = path.strip_prefix(source).expect("just filtered").to_string_lossy();
        let may = EMULATOR_COMMANDS.iter().any(|command| inside.starts_with(command));
        if !may && code(&read(path)).contains("saros_emulator") {
            broken.push(format!("{} must not import the emulator", path.display()));
        }
    }
    report(&broken);
}

#[test]
fn files_are_short_and_named_for_what_they_hold() {
    let mut broken = Vec::new();
    for path in files(".rs") {
        let most = if is_test(&path) { MOST_LINES_OF_TESTS } else { MOST_LINES };
        let lines = code(&read(&path)).lines().count();
        if lines > most {
            broken.push(format!("{}: {lines} lines of code, more than {most}", path.display()));
        }
        if path.ends_with("mod.rs") {
            broken.push(format!("{}: foo.rs beside foo/, not foo/mod.rs", path.display()));
        }
        for part in &path {
            let name = part.to_string_lossy();
            let name = name.trim_end_matches(".rs");
            if name.split('_').any(|word| EMPTY_NAMES.contains(&word)) {
                broken.push(format!("{}: `{name}` says nothing", path.display()));
            }
        }
    }
    report(&broken);
}

#[test]
fn no_test_is_switched_off_without_a_reason() {
    let mark = concat!("#[", "ignore]");
    let off = files(".rs").into_iter().filter(|path| read(path).contains(mark));
    report(&off.map(|path| format!("{}: an ignored test", path.display())).collect::<Vec<_>>());
}

#[test]
fn crates_share_one_set_of_lints_and_versions() {
    let mut broken = Vec::new();
    for path in files("Cargo.toml") {
        let manifest = read(&path);
        if path == Path::new("Cargo.toml") || path.starts_with("fuzz") {
            continue;
        }
        if !manifest.contains("[lints]\nworkspace = true") {
            broken.push(format!("{}: without the workspace's lints", path.display()));
        }
        let mut inside = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                inside = ANY.contains(&line);
            } else if inside && line.contains('=') && !line.starts_with('#') {
                let shared = line.contains("workspace = true") || line.contains("path = ");
                if !shared {
                    broken.push(format!("{}: `{line}` is not the workspace's", path.display()));
                }
            }
        }
    }
    report(&broken);
}

#[test]
fn every_dependency_has_its_reason_and_its_user() {
    let manifest = read("Cargo.toml");
    let used: Vec<String> = files("Cargo.toml")
        .iter()
        .filter(|path| *path != Path::new("Cargo.toml"))
        .flat_map(|path| names_under(&read(path), ANY))
        .collect();
    let mut broken = Vec::new();
    let (mut inside, mut explained) = (false, false);
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
        } else if line.is_empty() {
            explained = false;
        } else if line.starts_with('#') {
            explained = true;
        } else if inside {
            let name = line.split(['=', ' ']).next().unwrap_or_default();
            if line.contains("path = ") {
                continue;
            }
            if !explained && !line.contains(" # ") {
                broken.push(format!("{name}: no comment says what it is for"));
            }
            if !used.iter().any(|used| used == name) {
                broken.push(format!("{name}: no crate uses it"));
            }
        }
    }
    report(&broken);
}

#[test]
fn clients_are_pinned() {
    let mut broken = Vec::new();
    let package = read("e2e/package.json");
    let pins = package.split_once("ependencies\"").expect("dependencies").1;
    for line in pins.lines().filter(|line| line.contains("\": \"")) {
        if line.contains("\"^") || line.contains("\"~") || line.contains('*') {
            broken.push(format!("e2e/package.json: {} is a range", line.trim()));
        }
    }
    let lock = read("e2e/package-lock.json");
    for line in lock.lines().filter(|line| line.contains("\"resolved\"")) {
        if !line.contains("\"https://registry.npmjs.org/") {
            broken.push(format!("e2e/package-lock.json: {}", line.trim()));
        }
    }
    let requirements = read("e2e/requirements.txt");
    for line in requirements.lines().filter(|line| line.contains("==")) {
        if !line.ends_with('\\') {
            broken.push(format!("e2e/requirements.txt: {line} without a hash"));
        }
    }
    report(&broken);
}
