use std::fs;

use super::*;

const NOW: Millis = Millis(1_795_089_600_000);

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("xdg/saros");
    (folder, state)
}

fn files(state: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(state)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn saved_and_found_again() {
    let (_folder, path) = folder();
    let (state, image) = State::open(&path, 3000, NOW);
    assert!(image.is_none());
    assert_eq!(files(&path), ["control.token", "state.lock"]);
    state.save(Image::default(), NOW);
    state.flush();
    assert_eq!(files(&path), ["control.token", "state.json", "state.lock"]);
    let control = state.control.clone();
    drop(state);
    let (state, image) = State::open(&path, 3000, NOW);
    assert_eq!(image, Some(Image::default()));
    assert_eq!(state.control, control, "the token is reused");
    assert!(state.control.as_ref().unwrap().expose().len() >= 32);
    let text = fs::read_to_string(path.join("state.json")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["version"], snapshot::VERSION);
    assert_eq!(value["savedAt"], NOW.0);
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = folder();
    let (state, _) = State::open(&path, 3000, NOW);
    state.save_and_sync(Image::default(), NOW);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for name in files(&path) {
        assert_eq!(mode(&path.join(&name)), 0o600, "{name}");
    }
}

#[test]
fn what_cannot_be_used_is_set_aside() {
    let newer = format!(r#"{{"version":{},"pool":"in another form"}}"#, snapshot::VERSION + 1);
    let damaged = [
        "",
        "{",
        "null",
        "[]",
        "{}",
        r#"{"version":1}"#,
        r#"{"version":1,"pool":7}"#,
        r#"{"version":"1","pool":{}}"#,
        "\0\0\0\0",
        &newer,
    ];
    for text in damaged {
        let (_folder, path) = folder();
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("state.json"), text).unwrap();
        let (state, image) = State::open(&path, 3000, NOW);
        assert!(image.is_none(), "{text}");
        let aside = format!("state.json.bad-{}", NOW.0);
        assert_eq!(fs::read_to_string(path.join(&aside)).unwrap(), text);
        state.save(Image::default(), NOW);
        state.flush();
        assert_eq!(files(&path), ["control.token", "state.json", aside.as_str(), "state.lock"]);
    }
}

#[test]
fn an_unknown_field_is_no_reason_and_few_files_are_kept_aside() {
    let (_folder, path) = folder();
    fs::create_dir_all(&path).unwrap();
    for at in 0..9 {
        fs::write(path.join("state.json"), "damaged").unwrap();
        drop(State::open(&path, 3000, Millis(NOW.0 + at)));
    }
    let aside: Vec<String> = files(&path).into_iter().filter(|name| name.contains("bad")).collect();
    let last = |at: i64| format!("state.json.bad-{}", NOW.0 + at);
    assert_eq!(aside, [last(6), last(7), last(8)]);
    fs::write(path.join("state.json"), r#"{"version":1,"new":1,"pool":{"new":[]}}"#).unwrap();
    assert!(State::open(&path, 3000, NOW).1.is_some());
}

#[test]
fn a_killed_writer_leaves_the_last_whole_file() {
    let (_folder, path) = folder();
    let (state, _) = State::open(&path, 3000, NOW);
    state.save_and_sync(Image::default(), NOW);
    drop(state);
    fs::write(path.join("state.json.new-4711"), "{\"version\":1,\"po").unwrap();
    let (_state, image) = State::open(&path, 3000, NOW);
    assert!(image.is_some());
    assert_eq!(files(&path), ["control.token", "state.json", "state.lock"], "nothing is left over");
}

#[test]
fn a_second_instance_has_a_file_of_its_own() {
    let (_folder, path) = folder();
    let saved = |state: &State| {
        state.save_and_sync(Image::default(), NOW);
        let mut names = files(&path);
        names.retain(|name| name.starts_with("state-") || name == "state.json");
        names
    };
    let (first, _) = State::open(&path, 3000, NOW);
    let (second, _) = State::open(&path, 3001, NOW);
    assert_eq!(first.control, second.control);
    assert_eq!(saved(&second), ["state-3001.json"]);
    assert_eq!(saved(&first), ["state-3001.json", "state.json"]);
    drop((first, second));
    // Whoever starts first, each finds its own again.
    fs::remove_file(path.join("state.json")).unwrap();
    let (second, image) = State::open(&path, 3001, NOW);
    assert!(image.is_some());
    let (first, image) = State::open(&path, 3000, NOW);
    assert!(image.is_none());
    assert_eq!(saved(&first), ["state-3001.json", "state.json"]);
    // One that drains makes room for its successor.
    first.yield_place();
    let (successor, image) = State::open(&path, 3000, NOW);
    assert!(image.is_some());
    assert_eq!(saved(&successor), ["state-3001.json", "state.json"]);
    drop(second);
}

#[test]
fn where_nothing_can_be_written_everything_else_works() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let (state, image) = State::open(&file.join("state"), 3000, NOW);
    assert!(image.is_none() && state.control.is_none());
    state.mark();
    state.save(Image::default(), NOW);
    state.save_and_sync(Image::default(), NOW);
    let (state, _) = State::open(Path::new(""), 3000, NOW);
    assert!(state.control.is_none());
    state.save(Image::default(), NOW);
}
