//! Taking over a configuration that was loaded anew, while requests go on.

use std::sync::Arc;

use crate::config::problem::Severity;
use crate::config::watch::{Changes, Load, Report, Watch};
use crate::server::app::App;

/// Takes over what the watch brings. Never ends.
pub async fn follow(app: &Arc<App>, mut watch: Watch) {
    // Set twice only if two watches were given to one application, and then the first serves.
    let _first = app.reloads.set(watch.asker());
    loop {
        let Load { result, reply } = watch.next().await;
        let report = take(app, result);
        tell(app, &report);
        if let Some(reply) = reply {
            // Whoever asked may have gone.
            drop(reply.send(report));
        }
    }
}

fn take(app: &App, result: crate::config::watch::Result) -> Report {
    match result {
        Ok(loaded) => {
            Report { applied: true, changes: app.reload(loaded.config), problems: loaded.warnings }
        }
        Err(problems) => Report { applied: false, changes: Changes::default(), problems },
    }
}

/// In the log, because nobody may have asked.
fn tell(app: &App, report: &Report) {
    for problem in &report.problems {
        match problem.severity {
            Severity::Error => tracing::error!("{problem}"),
            Severity::Warning => tracing::warn!("{problem}"),
        }
    }
    if !report.applied {
        tracing::error!("Configuration not reloaded: the one before stays in use");
        return;
    }
    let Changes { added, removed, options, at_restart } = &report.changes;
    tracing::info!(
        keys = app.setup().keys.len(),
        added = added.join(", "),
        removed = removed.join(", "),
        changed = options.join(", "),
        "Configuration reloaded"
    );
    if !at_restart.is_empty() {
        let names = at_restart.join(", ");
        tracing::warn!("Changed, but in effect only after a restart: {names}");
    }
}
