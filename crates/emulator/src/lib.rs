//! A faithful OpenCode Go to test against, written from `upstream.md` alone.
//!
//! [`Emulator`] holds the state of the service: accounts with keys and quota, models, faults,
//! scripts, a request log. It serves any number of connections, over in-memory pipes
//! ([`Emulator::serve_io`], for tests on tokio's paused clock) or sockets ([`Emulator::listen`]),
//! or runs as a process ([`run()`]). `API.md` beside this crate shows each use.
//!
//! It imports neither `saros-core` nor `saros-wire` and has its own tables of prices and windows:
//! a misunderstanding must not be able to hide on both sides. Each module names the paragraph of
//! `upstream.md` that it plays.
//!
//! ```no_run
//! # async fn example() {
//! use saros_emulator::{Account, Action, Clock, Emulator, Fault, Settings};
//!
//! let emulator = Emulator::new(Settings::default(), Clock::starting_at(1_795_000_000_000));
//! let key = emulator.add_account(Account::new("a"));
//! emulator.fault(Fault::new(Action::Html { status: 502 }).key("a").times(1));
//! let (client, server) = tokio::io::duplex(64 * 1024);
//! tokio::spawn(emulator.serve_io(server));
//! # drop((client, key)); }
//! ```

mod account;
mod admission;
mod answer;
mod body;
mod cache;
mod calendar;
mod catalogue;
mod clock;
mod control;
mod conversation;
mod dashboard;
mod emulator;
mod exchange;
mod fault;
mod inference;
mod json;
mod limits;
mod line;
mod listing;
mod locale;
mod log;
mod model;
pub mod price;
pub mod quota;
mod refusal;
mod request;
mod route;
mod run;
mod schedule;
mod script;
mod serve;
mod service;
mod settings;
mod sse;
mod tls;
mod tools;
mod usage;
mod wording;
mod world;

pub use account::{Account, Key};
pub use catalogue::models;
pub use clock::Clock;
pub use emulator::Emulator;
pub use fault::{Action, After, Fault, FaultId, Stage, Then};
pub use locale::Locale;
pub use log::{Count, Counters, Entry};
pub use model::{Format, Model, Separator, Style};
pub use price::{Money, Price, Rate, Tier, Tokens};
pub use quota::{Exhausted, Limits, Plan, Quota, Reported, Usage, Window};
pub use refusal::{Reply, Row, Scene};
pub use run::{Options, Ready, Scenario, run};
pub use script::{CallOption, Script, Turn};
pub use serve::{Listening, Transport};
pub use settings::{Accept, Alpn, Cache, Chunk, Connection, LogSettings, Pace, Settings, Speech};
