//! The thread that writes snapshots, so that a slow disk holds nobody up. Only the newest waits.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use saros_core::image::Image;
use saros_core::time::Millis;

use crate::state::snapshot;

/// How long the end of the process waits for the disk.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// A handle on the thread; dropping it lets the thread finish.
#[derive(Debug)]
pub(super) struct Writer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    desk: Mutex<Desk>,
    work: Condvar,
    idle: Condvar,
}

#[derive(Debug, Default)]
struct Desk {
    next: Option<Job>,
    writing: bool,
    closed: bool,
}

#[derive(Debug)]
struct Job {
    image: Image,
    now: Millis,
    sync: bool,
}

impl Writer {
    /// Starts the thread; `None` where there can be no more threads.
    pub(super) fn start(path: PathBuf) -> Option<Self> {
        let shared =
            Arc::new(Shared { desk: Mutex::default(), work: Condvar::new(), idle: Condvar::new() });
        let far = Arc::clone(&shared);
        let thread = thread::Builder::new().name("state".to_owned());
        thread.spawn(move || run(&far, &path)).ok()?;
        Some(Self(shared))
    }

    /// Hands a snapshot over.
    pub(super) fn save(&self, image: Image, now: Millis) {
        self.put(Job { image, now, sync: false });
    }

    /// Hands the last one over and waits until it is on the disk, but not long.
    pub(super) fn save_and_sync(&self, image: Image, now: Millis) {
        self.put(Job { image, now, sync: true });
        self.flush();
    }

    /// Waits until everything handed over is written, but not long.
    pub(super) fn flush(&self) {
        let busy = |desk: &mut Desk| desk.next.is_some() || desk.writing;
        drop(self.0.idle.wait_timeout_while(self.0.desk(), LAST_WORDS, busy));
    }

    fn put(&self, job: Job) {
        self.0.desk().next = Some(job);
        self.0.work.notify_one();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.desk().closed = true;
        self.0.work.notify_one();
    }
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job; `None`: there will be no more.
    fn next(&self) -> Option<Job> {
        let mut desk = self.desk();
        desk.writing = false;
        loop {
            if let Some(job) = desk.next.take() {
                desk.writing = true;
                return Some(job);
            }
            self.idle.notify_all();
            if desk.closed {
                return None;
            }
            desk = self.work.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn run(shared: &Shared, path: &std::path::Path) {
    let mut failing = false;
    while let Some(job) = shared.next() {
        match snapshot::write(path, &job.image, job.now, job.sync) {
            Ok(()) if failing => {
                failing = false;
                tracing::info!("The state can be saved again");
            }
            Ok(()) => {}
            Err(error) => {
                // Once, not every second.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(
                        file = %path.display(),
                        %error,
                        "The state cannot be saved: what is learned is lost at a restart"
                    );
                }
            }
        }
    }
}
