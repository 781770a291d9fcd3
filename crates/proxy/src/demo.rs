//! The product in half a minute, without an account: an emulated service with three accounts, the
//! real proxy in front of it, and a client that says what it sees.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use saros_emulator::{Account, Clock as VirtualClock, Emulator, Settings, Transport, Window};
use tokio::net::TcpListener;

use crate::clock::Clock;
use crate::config::{BaseUrl, Config, KeyConfig};
use crate::demo::client::Client;
use crate::demo::narrator::Narrator;
use crate::runtime::Tasks;
use crate::secret::Secret;
use crate::server::app::App;
use crate::server::{keep_house, listen};
use crate::upstream::dial::Network;
use crate::upstream::tls::Tls;
use crate::upstream::tunnel::Tunnels;

mod client;
mod narrator;
mod scenario;

/// The accounts and how full their windows are (five hours, week, month) when the demo begins.
const ACCOUNTS: [(&str, [f64; 3]); 3] =
    [("alpha", [12.0, 20.0, 31.0]), ("bravo", [55.0, 48.0, 40.0]), ("charlie", [3.0, 74.0, 62.0])];
/// Short, so that an account's return can be watched.
const COOLDOWN: Duration = Duration::from_secs(3);

/// Why the demo could not be played.
#[derive(Debug, thiserror::Error)]
#[error("The demo needs a free port on 127.0.0.1: {0}")]
pub struct DemoError(#[from] io::Error);

/// The stage: everything the scenario acts on.
pub(crate) struct Stage {
    emulator: Emulator,
    app: Arc<App>,
    client: Client,
}

/// Plays the scenario. True if every step came out as stated. Unless `once`, goes on serving until
/// `stop` resolves.
///
/// # Errors
/// When no port can be opened on 127.0.0.1.
pub async fn run(once: bool, stop: impl Future<Output = ()>) -> Result<bool, DemoError> {
    let mut narrator = Narrator::new();
    let emulator = service();
    let upstream = emulator.listen(SocketAddr::from(([127, 0, 0, 1], 0)), Transport::Plain).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let config = configuration(&emulator, &upstream.base_url(), address);
    let dial = Network::new(Tls::default(), Tunnels::default());
    let app = App::new(config, Clock::system(), dial, Tasks::default());
    let keeper = Arc::clone(&app);
    app.tasks.spawn(async move { keep_house(&keeper).await });
    app.tasks.spawn(listen::accept(Arc::clone(&app), listener));

    let stage = Stage { emulator, app, client: Client::new(address) };
    narrator.opening(address, &upstream.base_url(), &stage);
    tokio::pin!(stop);
    let good = tokio::select! {
        good = scenario::play(&stage, &mut narrator) => good,
        () = &mut stop => return Ok(false),
    };
    narrator.closing(good, &stage);
    if !once {
        narrator.serving(address);
        stop.await;
    }
    Ok(good)
}

fn service() -> Emulator {
    let emulator = Emulator::new(Settings::default(), VirtualClock::system());
    let now = emulator.clock().now_ms();
    for (label, [five_hour, weekly, monthly]) in ACCOUNTS {
        emulator.add_account(Account::new(label));
        emulator.account(label, |account| {
            account.quota.set_percent(Window::FiveHour, five_hour, now);
            account.quota.set_percent(Window::Weekly, weekly, now);
            account.quota.set_percent(Window::Monthly, monthly, now);
        });
    }
    emulator.settings(|settings| {
        settings.pace.headers_ms = 60;
        settings.pace.gap_ms = 25;
        "An eclipse returns after eighteen years: that is a saros."
            .clone_into(&mut settings.speech.text);
    });
    emulator
}

fn configuration(emulator: &Emulator, upstream: &str, address: SocketAddr) -> Config {
    let base = BaseUrl::parse(upstream).unwrap_or_default();
    let keys = emulator
        .keys()
        .into_iter()
        .map(|key| KeyConfig::new(key.label, Secret::new(key.secret), base.clone()))
        .collect();
    Config {
        port: address.port(),
        keys,
        upstream: base,
        breaker_cooldown: COOLDOWN,
        ..Config::default()
    }
}
