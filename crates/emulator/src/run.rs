//! The emulator as a process, for the hidden command `saros-proxy emulator`.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account::{Account, Key};
use crate::clock::Clock;
use crate::control::{self, Refusal};
use crate::emulator::Emulator;
use crate::fault::Fault;
use crate::model::Model;
use crate::script::Script;
use crate::serve::Transport;
use crate::settings::{Pace, Settings};

/// What the command line says.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port; 0 chooses a free one.
    pub port: u16,
    /// TLS instead of plain HTTP.
    pub tls: bool,
    /// So many accounts in good standing, labelled `account-1` and so on, if the scenario has none.
    pub accounts: u32,
    /// A scenario, JSON.
    pub scenario: Option<PathBuf>,
    /// How fast virtual time runs.
    pub speed: f64,
    /// Answers come at once instead of at a realistic pace (unless the scenario sets one).
    pub instant: bool,
    /// Where to write the authority's certificate.
    pub certificate_file: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            tls: false,
            accounts: 3,
            scenario: None,
            speed: 1.0,
            instant: false,
            certificate_file: None,
        }
    }
}

/// What a started emulator tells its user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// `http://127.0.0.1:PORT`
    pub base_url: String,
    /// The same with `/__emulator`.
    pub control_url: String,
    /// Every key with its label.
    pub keys: Vec<Key>,
    /// The authority to trust, with TLS.
    pub certificate_pem: Option<String>,
    /// Where it was written, if asked for.
    pub certificate_file: Option<PathBuf>,
}

/// A scenario file; every part is optional.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// A merge patch of [`Settings`].
    pub settings: Option<Value>,
    /// Accounts, as for `POST /__emulator/accounts`.
    pub accounts: Vec<Value>,
    /// Merge patches of models by id; an unknown id adds a model.
    pub models: BTreeMap<String, Value>,
    /// Faults.
    pub faults: Vec<Fault>,
    /// Scripts by model or `*`.
    pub scripts: BTreeMap<String, Script>,
    /// Where the clock starts and how fast it runs.
    pub clock: ClockStart,
}

/// The clock of a scenario.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ClockStart {
    /// Virtual epoch milliseconds; the machine's time if absent.
    pub start_ms: Option<i64>,
    /// Speed; that of the options if absent.
    pub speed: Option<f64>,
}

impl Scenario {
    /// Applies the scenario to an emulator.
    pub fn apply(self, emulator: &Emulator) -> io::Result<()> {
        self.try_apply(emulator).map_err(|refusal| invalid(refusal.message()))
    }

    fn try_apply(self, emulator: &Emulator) -> Result<(), Refusal> {
        if let Some(start) = self.clock.start_ms {
            emulator.clock().set(start);
        }
        if let Some(speed) = self.clock.speed {
            emulator.clock().set_speed(speed);
        }
        if let Some(patch) = self.settings {
            emulator.settings(|settings| control::merged(settings, patch))?;
        }
        for (id, patch) in self.models {
            let known = emulator.model(&id, |model| control::merged(model, patch.clone()));
            if let Some(result) = known {
                result?;
                continue;
            }
            let mut model = Model { id, ..Model::default() };
            control::merged(&mut model, patch)?;
            emulator.add_model(model);
        }
        control::add_accounts(emulator, Value::from(self.accounts))?;
        for fault in self.faults {
            emulator.fault(fault);
        }
        for (model, script) in self.scripts {
            emulator.script(&model, script);
        }
        Ok(())
    }
}

/// Runs an emulator until `shutdown` completes.
pub async fn run(
    options: Options,
    on_ready: impl FnOnce(&Ready),
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let pace = if options.instant { Pace::default() } else { Pace::realistic() };
    let emulator = Emulator::new(Settings { pace, ..Settings::default() }, Clock::system());
    emulator.clock().set_speed(options.speed);
    if let Some(path) = &options.scenario {
        let text = tokio::task::spawn_blocking({
            let path = path.clone();
            move || std::fs::read(path)
        })
        .await
        .map_err(io::Error::other)?
        .map_err(|error| invalid(format!("{}: {error}", path.display())))?;
        let scenario: Scenario = serde_json::from_slice(&text)
            .map_err(|error| invalid(format!("{}: {error}", path.display())))?;
        scenario.apply(&emulator)?;
    }
    if emulator.accounts().is_empty() {
        for number in 1..=options.accounts {
            emulator.add_account(Account::new(&format!("account-{number}")));
        }
    }
    let transport = if options.tls { Transport::Tls } else { Transport::Plain };
    let listening = emulator.listen(SocketAddr::new(options.host, options.port), transport).await?;
    let certificate_pem = if options.tls { Some(emulator.certificate_pem()?) } else { None };
    if let (Some(pem), Some(path)) = (&certificate_pem, &options.certificate_file) {
        std::fs::write(path, pem)?;
    }
    let base_url = listening.base_url();
    on_ready(&Ready {
        control_url: format!("{base_url}/__emulator"),
        base_url,
        keys: emulator.keys(),
        certificate_file: options.certificate_file.filter(|_| certificate_pem.is_some()),
        certificate_pem,
    });
    shutdown.await;
    listening.stop().await;
    Ok(())
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
