//! Serving clients. A request's way, each step one module:
//!
//! `listen` → `answer` (`guard`, `route`) → `serve` (`receive`, `session`) → `app` (the pool) →
//! `attempt` → `relay`; what fails ends in `conclude`.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::config::Config;
use crate::config::watch::Watch;
use crate::runtime::Tasks;
use crate::server::app::App;
use crate::server::shutdown::Ended;
use crate::upstream::connections::ROUND;
use crate::upstream::dial::Dial;

pub mod accounts;
pub mod answer;
pub mod app;
pub mod attempt;
mod batch;
pub mod conclude;
pub mod control;
pub mod cors;
pub mod ear;
pub mod guard;
pub mod health;
pub mod ids;
pub mod journal;
pub mod lease;
pub mod listen;
pub mod models;
pub mod pages;
pub mod poll;
pub mod receive;
pub mod relay;
pub mod reload;
pub mod reply;
pub mod route;
pub mod serve;
pub mod session;
pub mod shutdown;
mod time;
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
    let mut keeping = pin!(house(&app));
    let following = reload::follow(&app, watch);
    let accepting = listen::accept(Arc::clone(&app), listener);
    tokio::select! {
        () = accepting => {}
        () = &mut keeping => {}
        () = following => {}
        () = stop => {}
    }
    app.state.yield_place();
    let ended = tokio::select! {
        ended = shutdown::shutdown(&app, hurry) => ended,
        () = keeping => Ended::Cut,
    };
    app.save_and_sync();
    ended
}

/// Keeps house in a task of its own, so that what happens there wakes nobody else. Never ends: a bug
/// there, which the log tells, must not end the proxy.
async fn house(app: &Arc<App>) {
    loop {
        let mut keeper = JoinSet::new();
        let app = Arc::clone(app);
        keeper.spawn(async move { keep_house(&app).await });
        drop(keeper.join_next().await);
        tokio::time::sleep(ROUND).await;
    }
}

/// All that is done beside the traffic: the pool's housekeeping, watching the clock, asking for
/// usage, reading pages, saving. Never ends.
pub async fn keep_house(app: &Arc<App>) {
    tokio::join!(tick(app), poll::obey(app), pages::read(app), save(app));
}

/// Lets the pool do what is due, and watches the clock. Never ends.
pub async fn tick(app: &Arc<App>) {
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.due() => app.tick(),
            _ = rounds.tick() => round(app),
        }
    }
}

/// Saves what has changed, once a second at most. Never ends.
pub async fn save(app: &Arc<App>) {
    loop {
        app.state.changed().await;
        app.save();
    }
}

fn round(app: &App) {
    app.mind_the_clock(Instant::now());
    for key in app.keys() {
        key.connections.sweep();
    }
}
