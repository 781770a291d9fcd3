//! `doctor`: what is wrong, and what to do about it.

use std::sync::Arc;

use crate::cli::args::service::DoctorArgs;
use crate::cli::doctor::finding::{Finding, Level, check};
use crate::cli::target::Target;
use crate::cli::{Exit, process, say};
use crate::clock::Clock;
use crate::config::{Config, Env, Overrides, Paths, load};
use crate::runtime::Tasks;
use crate::upstream::dial::Network;
use crate::upstream::exchange::Opener;
use crate::upstream::key::Key;
use crate::upstream::tls::Tls;
use crate::upstream::tunnel::Tunnels;

pub mod finding;
pub mod harness;
pub mod keys;
pub mod live;
pub mod local;
pub mod service;

/// Looks at everything.
pub fn run(args: &DoctorArgs, env: &dyn Env) -> Exit {
    let mut report = Report { findings: Vec::new(), json: args.json };
    let target = Target::find(args.port.as_ref(), args.config.as_deref(), env);
    let values = args.port.iter().map(|port| ("port", port.clone())).collect();
    let overrides = Overrides { config: args.config.clone(), values };
    let paths = Paths::of_this_process(env);
    let place = args.config.clone().unwrap_or_else(|| paths.config_file());
    let loaded = load(&overrides, env, paths);
    report.add_all(local::configuration(&loaded, &place));
    report.add_all(local::modes(&target, env));
    report.add(local::port(&target));
    // Without keys that can be read, the service can be looked at all the same.
    let config = loaded.map_or_else(|_| target.config.clone(), |loaded| loaded.config);
    match Tunnels::from_environment(|name| env.var(name)) {
        Err(why) => {
            let fix = "set HTTPS_PROXY to http://host:port, or unset it";
            report.add(Finding::broken(check::UPSTREAM, why).fix(fix));
        }
        Ok(tunnels) => {
            let network = Network::new(Tls::default(), tunnels);
            let looked = process::block_on(ask(&config, network, args.live, &mut report));
            if let Err(error) = looked {
                report.add(Finding::broken(check::UPSTREAM, format!("no network: {error}")));
            }
        }
    }
    report.add_all(harness::look(env, config.port));
    report.end()
}

/// What only the service can say.
async fn ask(config: &Config, network: Arc<Network>, live: bool, report: &mut Report) {
    let opener = Opener::new(network, Tasks::default(), config.connect_timeout);
    let clock = Clock::system();
    let reachable = service::reach(config, &opener, report).await;
    let keys: Vec<Arc<Key>> = config.keys.iter().filter_map(Key::new).map(Arc::new).collect();
    let usable: Vec<Arc<Key>> =
        keys.into_iter().filter(|key| reachable.contains(&key.base.origin)).collect();
    service::clock(&usable, config, &opener, &clock, report).await;
    let open = keys::look(&usable, config, &opener, &clock, report).await;
    if live {
        live::send_all(&open, &opener, report).await;
    }
}

/// The findings so far; people see each as it is made.
#[derive(Debug)]
pub struct Report {
    findings: Vec<Finding>,
    json: bool,
}

impl Report {
    /// Adds a finding.
    pub fn add(&mut self, finding: Finding) {
        if !self.json {
            say::line(&finding.text());
        }
        self.findings.push(finding);
    }

    /// Adds some.
    pub fn add_all(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            self.add(finding);
        }
    }

    /// Says something that is no finding, to people.
    pub fn announce(&self, text: &str) {
        if self.json {
            say::aside(text);
        } else {
            say::line(text);
        }
    }

    fn end(self) -> Exit {
        let count = |level| self.findings.iter().filter(|finding| finding.level == level).count();
        let (broken, warnings) = (count(Level::Broken), count(Level::Warning));
        if self.json {
            say::json(&serde_json::json!({ "ok": broken == 0, "findings": self.findings }));
        } else {
            let many = |count: usize, one: &str, more: &str| {
                format!("{count} {}", if count == 1 { one } else { more })
            };
            let warnings = many(warnings, "warning", "warnings");
            say::line("");
            if broken == 0 {
                say::line(&format!("Nothing is broken, {warnings}."));
            } else {
                let broken = many(broken, "thing is", "things are");
                say::line(&format!("{broken} broken, {warnings}."));
            }
        }
        if broken == 0 { Exit::Done } else { Exit::Failed }
    }
}
