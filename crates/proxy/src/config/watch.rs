//! Noticing that the configuration has changed, and loading it anew.
//!
//! A thread of its own looks at the file every two seconds, so that a slow disk or the decryption
//! of keys never holds up traffic. Looking works for every editor and every kind of mount: those
//! that write in place, those that put a new file in the old one's place, and links whose target is
//! exchanged, as container runtimes do.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::sync::{mpsc as tokio_mpsc, oneshot};

use crate::config::{Loaded, Problem};

/// How often files are looked at.
const EVERY: Duration = Duration::from_secs(2);
/// A file that has changed is read when it has stayed the same for so long: whoever writes it may
/// not be done.
const QUIET: Duration = Duration::from_millis(150);
/// A file that never stays the same is read after so many looks all the same.
const LOOKS: u32 = 20;

/// What was loaded, or all that is wrong with it.
pub type Result = std::result::Result<Loaded, Vec<Problem>>;

/// Loads whenever it is asked to, and whenever a file has changed.
pub struct Watch {
    asker: Asker,
    loads: tokio_mpsc::UnboundedReceiver<Load>,
}

/// Asks for the configuration to be loaded anew; clones ask the same [`Watch`].
#[derive(Clone)]
pub struct Asker(mpsc::Sender<oneshot::Sender<Report>>);

/// A configuration that was loaded anew.
pub struct Load {
    /// What came of it.
    pub result: Result,
    /// Who wants to know what becomes of it; nobody where the file was seen to change.
    pub reply: Option<oneshot::Sender<Report>>,
}

/// What has become of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whether the new configuration is in use. If not, the one before still is.
    pub applied: bool,
    /// What is different now.
    pub changes: Changes,
    /// What is wrong with the new configuration.
    pub problems: Vec<Problem>,
}

/// What a reload has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Labels of keys that are new, or that are used elsewhere or under another label than before.
    pub added: Vec<Arc<str>>,
    /// Labels of keys that are not used any more.
    pub removed: Vec<Arc<str>>,
    /// The options that have another value now, by name.
    pub options: Vec<&'static str>,
    /// Options that were changed, but take effect with the next start.
    pub at_restart: Vec<&'static str>,
}

impl Report {
    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({
            "applied": self.applied,
            "added": self.changes.added.iter().map(|label| &**label).collect::<Vec<_>>(),
            "removed": self.changes.removed.iter().map(|label| &**label).collect::<Vec<_>>(),
            "changed": self.changes.options,
            "needRestart": self.changes.at_restart,
            "problems": self.problems.iter().map(Problem::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Asker {
    /// Asks, and waits for what becomes of it. `None` when nobody loads any more.
    pub async fn ask(&self) -> Option<Report> {
        let (reply, report) = oneshot::channel();
        self.0.send(reply).ok()?;
        report.await.ok()
    }

    /// Asks, and leaves it at that.
    pub fn request(&self) {
        let (reply, _) = oneshot::channel();
        // Nobody loads any more when the process ends.
        let _ended = self.0.send(reply);
    }
}

impl Watch {
    /// Begins to watch `files`, of which any may be missing. `load` is called on a thread of its
    /// own.
    pub fn start(
        files: Vec<PathBuf>,
        load: impl FnMut() -> Result + Send + 'static,
    ) -> io::Result<Self> {
        let (ask, asked) = mpsc::channel();
        let (found, loads) = tokio_mpsc::unbounded_channel();
        let seen = look(&files);
        thread::Builder::new()
            .name("config".to_owned())
            .spawn(move || watch(&files, seen, &asked, &found, load))?;
        Ok(Self { asker: Asker(ask), loads })
    }

    /// A watch that never brings anything.
    pub fn nothing() -> Self {
        let (ask, _) = mpsc::channel();
        let (_, loads) = tokio_mpsc::unbounded_channel();
        Self { asker: Asker(ask), loads }
    }

    /// How to ask it.
    pub fn asker(&self) -> Asker {
        self.asker.clone()
    }

    /// The next configuration. Never comes when nothing is watched.
    pub async fn next(&mut self) -> Load {
        match self.loads.recv().await {
            Some(load) => load,
            None => std::future::pending().await,
        }
    }
}

fn watch(
    files: &[PathBuf],
    mut seen: Vec<Look>,
    asked: &mpsc::Receiver<oneshot::Sender<Report>>,
    found: &tokio_mpsc::UnboundedSender<Load>,
    mut load: impl FnMut() -> Result,
) {
    loop {
        let reply = match asked.recv_timeout(EVERY) {
            Ok(reply) => {
                seen = look(files);
                Some(reply)
            }
            Err(RecvTimeoutError::Timeout) => {
                let now = look(files);
                if now == seen {
                    continue;
                }
                seen = quiet(files, now);
                None
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if found.send(Load { result: load(), reply }).is_err() {
            return;
        }
    }
}

/// Waits until the files stay the same.
fn quiet(files: &[PathBuf], mut now: Vec<Look>) -> Vec<Look> {
    for _ in 0..LOOKS {
        thread::sleep(QUIET);
        let later = look(files);
        if later == now {
            break;
        }
        now = later;
    }
    now
}

/// What is seen of a file without reading it: `None` where there is none.
type Look = Option<(Option<SystemTime>, u64, u64, u64)>;

fn look(files: &[PathBuf]) -> Vec<Look> {
    files.iter().map(|file| look_at(file)).collect()
}

/// Follows links, so that an exchanged target is seen by its inode.
fn look_at(file: &Path) -> Look {
    let metadata = fs::metadata(file).ok()?;
    let (device, inode) = identity(&metadata);
    Some((metadata.modified().ok(), metadata.len(), device, inode))
}

#[cfg(unix)]
fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> (u64, u64) {
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a change is seen by a look.
    #[cfg(unix)]
    fn check(name: &str, change: impl FnOnce(&Path)) {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        for (data, port) in [("..a", "1"), ("..b", "2")] {
            fs::create_dir(folder.path().join(data)).unwrap();
            fs::write(folder.path().join(data).join("config.yaml"), format!("port: {port}"))
                .unwrap();
        }
        symlink("..a", folder.path().join("..data")).unwrap();
        symlink("..data/config.yaml", &file).unwrap();
        let files = [file.clone(), folder.path().join("other.yaml")];
        let before = look(&files);
        assert_eq!(look(&files), before, "{name}");
        change(folder.path());
        assert_ne!(look(&files), before, "{name}");
    }

    #[cfg(unix)]
    #[test]
    fn every_way_to_change_a_file_is_seen() {
        use std::os::unix::fs::symlink;
        check("written in place", |folder| {
            fs::write(folder.join("config.yaml"), "port: 33").unwrap();
        });
        check("put in its place", |folder| {
            fs::write(folder.join("new"), "port: 1").unwrap();
            fs::rename(folder.join("new"), folder.join("config.yaml")).unwrap();
        });
        check("the link of a mounted volume exchanged", |folder| {
            symlink("..b", folder.join("..tmp")).unwrap();
            fs::rename(folder.join("..tmp"), folder.join("..data")).unwrap();
        });
        check("removed", |folder| fs::remove_file(folder.join("config.yaml")).unwrap());
        check("another appears", |folder| fs::write(folder.join("other.yaml"), "").unwrap());
    }

    fn failed(what: &str) -> Result {
        Err(vec![Problem::new(crate::config::problem::Severity::Error, what)])
    }

    #[tokio::test]
    async fn loads_when_asked_and_answers_who_asked() {
        let mut watch = Watch::start(Vec::new(), || failed("no")).unwrap();
        let asker = watch.asker();
        let asking = tokio::spawn(async move { asker.ask().await });
        let load = watch.next().await;
        let report = Report {
            applied: false,
            changes: Changes::default(),
            problems: load.result.unwrap_err(),
        };
        assert_eq!(report.to_json()["problems"][0]["what"], "no");
        load.reply.unwrap().send(report.clone()).unwrap();
        assert_eq!(asking.await.unwrap(), Some(report));
        let asker = watch.asker();
        drop(watch);
        assert_eq!(asker.ask().await, None);
        assert_eq!(Watch::nothing().asker().ask().await, None);
    }

    #[tokio::test]
    async fn loads_when_a_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        let read = file.clone();
        let load = move || failed(&fs::read_to_string(&read).unwrap());
        let mut watch = Watch::start(vec![file.clone()], load).unwrap();
        fs::write(&file, "now").unwrap();
        let load = watch.next().await;
        assert!(load.reply.is_none());
        assert_eq!(load.result.unwrap_err()[0].what, "now");
    }
}
