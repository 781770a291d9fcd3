//! Serving clients. A request's way, each step one module:
//!
//! `listen` → `answer` (`guard`, `route`) → `serve` (`receive`, `session`) → `app` (the pool) →
//! `attempt` → `relay`; what fails ends in `conclude`.

use std::future::Future;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::config::Config;
use crate::config::watch::Watch;
use crate::runtime::Tasks;
use crate::server::app::App;
use crate::server::shutdown::Ended;
use crate::upstream::connections::ROUND;
use crate::upstream::dial::Dial;

pub mod answer;
pub mod app;
pub mod attempt;
mod batch;
pub mod conclude;
pub mod cors;
pub mod guard;
pub mod health;
pub mod ids;
pub mod journal;
pub mod lease;
pub mod listen;
pub mod models;
pub mod receive;
pub mod relay;
pub mod reload;
pub mod reply;
pub mod route;
pub mod serve;
pub mod session;
pub mod shutdown;
pub mod timers;

/// Serves until `stop` resolves, then drains; `hurry` resolves when a second signal asks to end at
/// once. Takes over what `watch` brings in the meantime.
pub async fn run(
    config: Config,
    listener: TcpListener,
    dial: Arc<dyn Dial>,
    watch: Watch,
    stop: impl Future<Output = ()>,
    hurry: impl Future<Output = ()>,
) -> Ended {
    let app = App::new(config, Clock::system(), dial, Tasks::default());
    let keeping = keep_house(&app);
    let following = reload::follow(&app, watch);
    let accepting = listen::accept(Arc::clone(&app), listener);
    tokio::select! {
        () = accepting => {}
        () = keeping => {}
        () = following => {}
        () = stop => {}
    }
    shutdown::shutdown(&app, hurry).await
}

/// Ticks the pool when it is due, and watches the clock. Never ends.
pub async fn keep_house(app: &Arc<App>) {
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.due() => app.tick(),
            _ = rounds.tick() => round(app),
        }
    }
}

fn round(app: &App) {
    app.mind_the_clock(Instant::now());
    for key in app.keys() {
        key.connections.sweep();
    }
}
