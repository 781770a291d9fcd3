//! Which file is read, what is no configuration file, and what no complaint about one may show.

use super::keys::encrypted;
use super::*;
use crate::config::problem::Place;

#[test]
fn no_file_or_a_folder_in_its_place_is_none() {
    let world = World::new();
    assert_eq!((world.loaded().source, world.complaints()), (None, vec![]));
    fs::create_dir(world.path("config/config.yaml")).unwrap();
    assert_eq!((world.loaded().source, world.complaints()), (None, vec![]));
}

#[test]
fn a_file_in_the_current_folder_is_the_second_choice() {
    let world = World::new();
    fs::write(world.path("work/config.yaml"), "port: 5").unwrap();
    let loaded = world.loaded();
    assert_eq!((loaded.config.port, loaded.source), (5, Some(world.path("work/config.yaml"))));
    let hint = loaded.warnings[0].hint.as_deref().unwrap();
    assert!(hint.ends_with("config/config.yaml"), "{hint}");
    fs::write(world.path("config/config.yaml"), "port: 6").unwrap();
    let loaded = world.loaded();
    assert_eq!((loaded.config.port, loaded.warnings.len()), (6, 0));
}

#[test]
fn a_named_file_is_the_only_one() {
    let mut world = World::yaml("port: 6");
    world.cli.config = Some(world.path("other.yaml"));
    let loaded = world.loaded();
    assert_eq!((loaded.config.port, loaded.source), (3000, None));
    assert!(loaded.warnings[0].what.contains("does not exist"), "{:?}", loaded.warnings);
    fs::write(world.path("other.yaml"), "\u{feff}port: 7").unwrap();
    let loaded = world.loaded();
    assert_eq!((loaded.config.port, loaded.warnings.len()), (7, 0));
    world.cli.config = Some(world.path("work"));
    assert!(world.loaded().warnings[0].what.contains("is a folder"));
}

#[cfg(unix)]
#[test]
fn only_regular_files_of_a_sane_size_are_read() {
    use std::os::unix::fs::symlink;
    let pipe = |path: &PathBuf| {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    // None of these may be opened: they have no end, or no beginning.
    let endless = |path: &PathBuf| symlink("/dev/zero", path).unwrap();
    let large = |path: &PathBuf| fs::write(path, "#".repeat(1024 * 1024 + 1)).unwrap();
    let cases = [
        (endless as fn(&PathBuf), "it is not a regular file"),
        (pipe, "it is not a regular file"),
        (large, "it is larger than 1048576 bytes"),
    ];
    for (make, why) in cases {
        let world = World::new();
        let path = world.path("config/config.yaml");
        make(&path);
        let text = world.load().unwrap_err().to_string();
        assert_eq!(text, format!("{}: the file cannot be read: {why}", path.display()));

        let named =
            World { cli: Overrides { config: Some(path), ..Overrides::default() }, ..world };
        assert_eq!(named.load().unwrap_err().to_string(), text);

        let mut world = encrypted();
        let path = world.path("master");
        make(&path);
        let path: &'static str = Box::leak(path.to_str().unwrap().to_owned().into_boxed_str());
        world = world.var("OPENCODE_GO_ENCRYPTION_KEY_FILE", path);
        let text = world.load().unwrap_err().to_string();
        let wanted = format!("the master key cannot be read from {path}: {why}");
        assert!(text.contains(&wanted), "{text}");
    }
    // What is exactly as large as allowed, and a link to a regular file, are read.
    let world = World::new();
    fs::write(world.path("work/real"), format!("port: 7\n{}", "#".repeat(1024 * 1024 - 8)))
        .unwrap();
    symlink(world.path("work/real"), world.path("config/config.yaml")).unwrap();
    assert_eq!(world.loaded().config.port, 7);
}

#[test]
fn what_is_no_yaml_stops() {
    for text in ["port: [1", "a: b: c", "just text", "- a list", "port: 1\nport: 2"] {
        let error = World::yaml(text).load().expect_err(text);
        let [problem] = error.problems.as_slice() else { panic!("{text}: {error}") };
        assert!(problem.what.starts_with("the file is no YAML: "), "{text}: {error}");
        assert!(matches!(problem.place, Place::File { line: 1.., .. }), "{text}: {error}");
    }
    for (text, complaint) in [
        ("port: 1\nhost: a\nport: 2", "config.yaml:3:1: the file is no YAML: `port` stands twice;"),
        (
            "requestTimeoutMs: 1\nrequestTimeoutMs: 2",
            "config.yaml:2:1: the file is no YAML: `requestTimeoutMs` stands twice;",
        ),
        (
            "keys: [{label: a, label: b}]",
            "config.yaml:1:19: the file is no YAML: `label` stands twice;",
        ),
        (
            "0123456789abcdefwxyz: 1\n0123456789abcdefwxyz: 2",
            "config.yaml:2:1: the file is no YAML: `0123...wxyz` stands twice;",
        ),
    ] {
        let complaints = World::yaml(text).complaints();
        assert!(complaints[0].starts_with(complaint), "{text}: {complaints:?}");
        assert!(!complaints[0].contains("Options"), "{text}: {complaints:?}");
    }
    let world = World::new();
    fs::write(world.path("config/config.yaml"), [0x70, 0xff, 0xfe]).unwrap();
    assert!(world.load().unwrap_err().to_string().ends_with("it is not UTF-8"));
}

#[test]
fn no_rendering_of_any_problem_shows_a_secret() {
    let secrets = [
        "0123456789abcdefwxyz",
        "sk-secretsecretsecretsecret",
        "token-token-token-token",
        "cookie-cookie-cookie",
        "short-secret",
    ];
    let files = [
        "keys:\n  - key: SECRET\n    label: a\nport: [1",
        "{keys: [{label: a, key: SECRET}], port: 0}",
        "{port: 0, keys: [{label: a, key: SECRET}], prot: 1}",
        "keys: SECRET",
        "keys: [SECRET]",
        "key: SECRET",
        "clientTokens: [SECRET, ü]",
        "clientTokens:\n  - SECRET x",
        "clientToken: SECRET",
        "port: SECRET-is-too-long-for-a-port",
        "keys:\n  - {label: a, key: SECRET, upstreamBaseUrl: http://evil.example}",
        "keys:\n  - {key: SECRET, lable: a}",
        "upstreamBaseUrl: https://user:SECRET@a.b",
        "scraping: {accounts: [{authCookie: SECRET, x: 1}]}",
        "scraping:\n  accounts:\n    - authCookie: SECRET\n     bad: indent",
        "keys: [{label: a, key: 'SECRET",
        "SECRET-as-the-whole-file: x\n  y",
        "\tkey: SECRET",
        "keys:\n  - label: a\n    key: SECRET\n    key: SECRET",
        "SECRET-as-a-name: 1\nSECRET-as-a-name: 2",
    ];
    for file in files {
        for secret in secrets {
            let world = World::yaml(&file.replace("SECRET", secret));
            let problems = match world.load() {
                Ok(loaded) => loaded.warnings,
                Err(error) => error.problems,
            };
            assert!(!problems.is_empty(), "{file}");
            for problem in problems {
                for text in [problem.to_string(), problem.render(false), format!("{problem:?}")] {
                    assert!(!text.contains(secret), "{file}\n{text}");
                }
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn secrets_that_others_can_read_are_warned_about_with_the_fix() {
    let plain = "keys: [{label: a, key: sk-aaaaaaaaaaaaaaaaaaaaAAAA}]";
    for (text, mode, warned) in [
        (plain, 0o600, false),
        (plain, 0o644, true),
        (plain, 0o640, true),
        ("clientTokens: [0123456789abcdef]", 0o644, true),
        ("scraping: {accounts: [{workspaceId: wrk_1, authCookie: x}]}", 0o644, true),
        ("port: 1", 0o644, false),
        ("keys: []", 0o666, false),
    ] {
        let world = World::yaml(text);
        world.mode("config/config.yaml", mode);
        let complaints = world.complaints();
        let path = world.path("config/config.yaml");
        let expected = format!(
            "the configuration, with secrets, in {0} can be read by others (mode {mode:04o}); chmod 600 {0}",
            path.display()
        );
        let folder = format!("{}/", world.path("config").display());
        let expected = expected.replace(&folder, "");
        assert_eq!(complaints.contains(&expected), warned, "{text}: {complaints:?}");
    }
    // Encrypted keys may be read; what opens them may not.
    let mut world = encrypted();
    world.mode("config/config.yaml", 0o644);
    let file = world.path("master");
    fs::write(&file, "correct horse battery staple").unwrap();
    world.mode("master", 0o644);
    let file: &'static str = Box::leak(file.to_str().unwrap().to_owned().into_boxed_str());
    world = world.var("OPENCODE_GO_ENCRYPTION_KEY_FILE", file);
    let complaints = world.complaints();
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].contains("the master key in"), "{complaints:?}");
    assert!(complaints[0].ends_with(&format!("chmod 600 {file}")), "{complaints:?}");
}
