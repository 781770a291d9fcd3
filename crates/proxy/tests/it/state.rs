//! The state folder of a running proxy.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::stage::Stage;

fn stage(folder: &Path) -> Stage {
    Stage::with(2, false, |config| config.state_dir = folder.join("saros"))
}

fn saved(folder: &Path) -> Option<Value> {
    let text = fs::read_to_string(folder.join("saros/state.json")).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_change_is_saved_within_a_second() {
    let folder = TempDir::new().unwrap();
    let stage = stage(folder.path());
    stage.seconds(5).await;
    for _ in 0..3 {
        fs::remove_file(folder.path().join("saros/state.json")).ok();
        assert_eq!(stage.chat("glm-5.2").await.status, 200);
        let at = stage.app.clock.now().0;
        stage.seconds(1).await;
        stage.settle().await;
        stage.app.state.flush();
        // Whatever kills the process now, this is what lies there.
        let saved = saved(folder.path()).unwrap();
        assert_eq!(saved["version"], 1);
        let delay = saved["savedAt"].as_i64().unwrap() - at;
        assert!((0..=1_000).contains(&delay), "{delay}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_file_stops_nothing() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("saros")).unwrap();
    fs::write(folder.path().join("saros/state.json"), "{\"version\":1,").unwrap();
    let stage = stage(folder.path());
    assert_eq!(stage.chat("glm-5.2").await.status, 200);
    stage.seconds(2).await;
    stage.app.state.flush();
    assert_eq!(saved(folder.path()).unwrap()["version"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_cannot_be_written_stops_nothing() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("saros"), "a file in its place").unwrap();
    let stage = stage(folder.path());
    for _ in 0..3 {
        assert_eq!(stage.chat("glm-5.2").await.status, 200);
        stage.seconds(2).await;
    }
    assert_eq!(stage.health().await["status"], "ok");
}

#[tokio::test(start_paused = true)]
async fn without_a_folder_nothing_is_written() {
    let before = fs::read_dir(".").unwrap().count();
    let stage = Stage::new(1);
    assert!(stage.app.setup().config.state_dir.as_os_str().is_empty());
    assert!(stage.app.setup().config.config_dir.as_os_str().is_empty());
    assert_eq!(stage.chat("glm-5.2").await.status, 200);
    stage.seconds(5).await;
    stage.app.save_and_sync();
    assert_eq!(fs::read_dir(".").unwrap().count(), before);
}
