//! Stopping: no new requests, a while for the running ones, then an end.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::server::app::App;

/// After the time is up, error events and last bytes get this long to reach the clients.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The same after a second signal.
const LAST_GASP: Duration = Duration::from_millis(200);

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every request was finished.
    Drained,
    /// Something had to be cut.
    Cut,
}

/// Ends everything; `hurry` resolves when a second signal asks to stop at once.
pub async fn shutdown(app: &Arc<App>, hurry: impl Future<Output = ()>) -> Ended {
    let running = app.active.load(Ordering::Relaxed);
    let seconds = app.setup().config.shutdown_timeout.as_secs();
    tracing::info!(
        running,
        seconds,
        "Stopping: running requests may finish; a second signal ends them at once"
    );
    app.draining.store(true, Ordering::Relaxed);
    app.bell.notify_waiters();
    for key in app.keys() {
        key.connections.drop_all();
    }
    tokio::pin!(hurry);
    let in_time = tokio::select! {
        () = app.tasks.finished() => true,
        () = tokio::time::sleep(app.setup().config.shutdown_timeout) => false,
        () = &mut hurry => return end_at_once(app).await,
    };
    if !in_time {
        app.cutting.store(true, Ordering::Relaxed);
        app.bell.notify_waiters();
        tokio::select! {
            () = app.tasks.finished() => {}
            () = tokio::time::sleep(LAST_WORDS) => {}
            () = &mut hurry => return end_at_once(app).await,
        }
    }
    let cut = app.was_cut.load(Ordering::Relaxed) || app.active.load(Ordering::Relaxed) > 0;
    if cut { Ended::Cut } else { Ended::Drained }
}

/// Streams still get their error event, if their clients read it at once.
async fn end_at_once(app: &App) -> Ended {
    let running = app.active.load(Ordering::Relaxed);
    tracing::warn!(running, "Stopping at once");
    app.cutting.store(true, Ordering::Relaxed);
    app.bell.notify_waiters();
    drop(tokio::time::timeout(LAST_GASP, app.tasks.finished()).await);
    if running > 0 { Ended::Cut } else { Ended::Drained }
}
