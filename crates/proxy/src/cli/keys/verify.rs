//! What the service says of keys, before they are written down.

use saros_core::pool::NoUsage;
use saros_core::report::Report;
use saros_core::window::Window;

use crate::cli::process;
use crate::clock::Clock;
use crate::config::{Env, KeyConfig};
use crate::runtime::Tasks;
use crate::upstream::dial::Network;
use crate::upstream::exchange::Opener;
use crate::upstream::key::Key;
use crate::upstream::tls::Tls;
use crate::upstream::tunnel::Tunnels;
use crate::upstream::usage;

/// Who knows about keys.
pub trait Verify {
    /// What is said of each; `None` where nobody is to be asked.
    fn ask(&self, keys: &[KeyConfig]) -> Option<Vec<Result<Report, NoUsage>>>;
}

/// The service itself, unless it is not to be asked.
pub struct Service<'a> {
    env: &'a dyn Env,
    silent: bool,
}

impl<'a> Service<'a> {
    /// Asks, unless `silent`.
    pub fn unless(silent: bool, env: &'a dyn Env) -> Self {
        Self { env, silent }
    }
}

impl Verify for Service<'_> {
    fn ask(&self, keys: &[KeyConfig]) -> Option<Vec<Result<Report, NoUsage>>> {
        const TROUBLE: NoUsage = NoUsage::Trouble { retry_after: None };
        if self.silent {
            return None;
        }
        let asked = process::block_on(async {
            let tunnels = Tunnels::from_environment(|name| self.env.var(name)).unwrap_or_default();
            let timeout = crate::config::Config::default().connect_timeout;
            let network = Network::new(Tls::default(), tunnels);
            let opener = Opener::new(network, Tasks::default(), timeout);
            let clock = Clock::system();
            let mut reports = Vec::with_capacity(keys.len());
            for key in keys {
                reports.push(match Key::new(key) {
                    Some(key) => usage::ask(&opener, &key.into(), &clock).await,
                    None => Err(TROUBLE),
                });
            }
            reports
        });
        Some(asked.unwrap_or_else(|_| keys.iter().map(|_| Err(TROUBLE)).collect()))
    }
}

/// Why a key is not to be added.
pub fn refusal(said: &Result<Report, NoUsage>) -> Option<&'static str> {
    match said {
        Ok(_) | Err(NoUsage::Absent) => None,
        Err(NoUsage::Refused) => Some("the service does not know it"),
        Err(NoUsage::NotSubscribed) => Some("its account has no OpenCode Go subscription"),
        Err(NoUsage::Trouble { .. }) => Some("the service could not be asked about it"),
    }
}

/// How an account's windows stand, in a few words.
pub fn standing(report: &Report) -> String {
    let names = Window::ALL.map(|window| match window {
        Window::FiveHour => "five hours",
        Window::Weekly => "week",
        Window::Monthly => "month",
    });
    let parts: Vec<String> = names
        .iter()
        .zip(&report.windows)
        .filter_map(|(name, reading)| Some(format!("{name} {} %", (*reading)?.percent)))
        .collect();
    parts.join(", ")
}

/// Whether two reports are of one account; only where both say whose they are.
pub fn same_account(one: &Report, other: &Report) -> bool {
    one.workspace.is_some() && one.workspace == other.workspace && one.user == other.user
}
