//! `autostart`: the proxy starts whenever the user logs in.

use std::path::Path;

use serde::Serialize;

use crate::cli::args::service::{AutostartAction, AutostartArgs, AutostartOptions};
use crate::cli::target::Target;
use crate::cli::{Exit, say};
use crate::config::envelope::PREFIX;
use crate::config::master::{MASTER_KEY, MASTER_KEY_FILE};
use crate::config::options::SETTINGS;
use crate::config::{Env, Paths};
use crate::service::autostart::{
    self, Entry, Installed, Machine, Method, Places, Step, ThisMachine, launchd, systemd, windows,
};
use crate::service::probe::Who;

/// What stopping may take beyond the time that running requests have, in seconds.
const GRACE: u64 = 10;

/// Does it.
pub fn run(args: &AutostartArgs, env: &dyn Env) -> Exit {
    let (AutostartAction::Install(options)
    | AutostartAction::Uninstall(options)
    | AutostartAction::Status(options)) = &args.action;
    let own = Method::of_this_system();
    if let Some(method) = options.method.method().filter(|method| !own.contains(method)) {
        let names: Vec<&str> = own.iter().map(|method| method.name()).collect();
        say::failure(
            format!("--method: `{}` does not exist on this system", method.name()),
            format!("allowed here: auto, {}", names.join(", ")),
        );
        return Exit::Usage;
    }
    let desk = match Desk::open(options, env) {
        Ok(desk) => desk,
        Err(exit) => return exit,
    };
    match &args.action {
        AutostartAction::Install(_) => desk.install(options),
        AutostartAction::Uninstall(_) => desk.uninstall(options),
        AutostartAction::Status(_) => desk.status(options),
    }
}

/// What all three need.
struct Desk {
    target: Target,
    places: Places,
    entry: Entry,
    /// What the service will not see.
    unseen: Vec<Unseen>,
}

/// Something that is set here and will not be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Unseen {
    what: String,
    fix: String,
}

impl Desk {
    fn open(options: &AutostartOptions, env: &dyn Env) -> Result<Self, Exit> {
        let target = Target::find(options.port.as_ref(), options.config.as_deref(), env);
        if let Some(port) = &options.port
            && !port.parse::<u16>().is_ok_and(|port| port > 0)
        {
            say::failure(
                format!("--port: `port` cannot be `{port}`"),
                "allowed: a whole number from 1 to 65535",
            );
            return Err(Exit::Usage);
        }
        let program = std::env::current_exe().map_err(|error| {
            say::failure(
                format!("This program cannot be found: {error}"),
                "start it with its full path",
            )
        })?;
        let mut arguments = Vec::new();
        if let Some(port) = &options.port {
            arguments.extend(["--port".to_owned(), port.clone()]);
        }
        // A file that is found only from here has to be named.
        let file = options.config.clone().or_else(|| {
            target.source.clone().filter(|source| !source.starts_with(&target.config.config_dir))
        });
        if let Some(file) = file {
            let file = std::path::absolute(&file).unwrap_or(file);
            arguments.extend(["--config".to_owned(), file.display().to_string()]);
        }
        let config = &target.config;
        let mut folders = vec![config.config_dir.display().to_string()];
        if config.state_dir != config.config_dir {
            folders.push(config.state_dir.display().to_string());
        }
        let entry = Entry {
            program: program.display().to_string(),
            arguments,
            folders,
            log: target.files.log.display().to_string(),
            stop_seconds: config.shutdown_timeout.as_secs() + GRACE,
            key_file: env.filled(MASTER_KEY_FILE).map(|file| {
                std::path::absolute(&file).map_or(file, |file| file.display().to_string())
            }),
            sandbox: true,
        };
        let places = Places::find(env, &Paths::of_this_process(env));
        let text = target.source.as_deref().and_then(|file| std::fs::read_to_string(file).ok());
        let unseen = unseen(text.as_deref(), target.source.as_deref(), env);
        Ok(Self { target, places, entry, unseen })
    }

    fn install(mut self, options: &AutostartOptions) -> Exit {
        let mut machine = ThisMachine;
        let method = match options.method.method() {
            Some(method) => method,
            None => best(&mut machine),
        };
        if method == Method::Systemd
            && let Err(exit) = self.fit_systemd(&mut machine)
        {
            return exit;
        }
        let before = autostart::installed(method, &self.places, &mut machine);
        let mut steps = autostart::install(method, &self.entry, &self.places);
        // Two entries would start two proxies, of which the second finds its port taken.
        let others = Method::of_this_system().iter().filter(|other| **other != method);
        let mut replaced = Vec::new();
        for other in others {
            if autostart::installed(*other, &self.places, &mut machine).is_some() {
                replaced.push(other.name());
                steps.extend(autostart::uninstall(*other, &self.places));
            }
        }
        if let Err(error) = autostart::carry_out(&steps, &mut machine) {
            return say::failure(format!("Autostart was not installed: {error}"), hint_of(method));
        }
        let started = self.start_now(method, &mut machine);
        self.tell_installed(method, before.as_ref(), &replaced, started, options.json)
    }

    /// Whether systemd can be used, and how much of it.
    fn fit_systemd(&mut self, machine: &mut dyn Machine) -> Result<(), Exit> {
        if !systemd::accepts(&self.entry.program) {
            return Err(say::failure(
                format!(
                    "systemd cannot start {}: quotes or backslashes in its path",
                    self.entry.program
                ),
                "move the program, or use --method xdg",
            ));
        }
        match machine.run(&systemd::reach()) {
            Ok(ran) if ran.success => {}
            Ok(ran) => {
                return Err(say::failure(
                    format!("Your systemd cannot be reached: {}", ran.said.trim()),
                    "log in directly instead of through su or sudo, or use --method xdg",
                ));
            }
            Err(error) => {
                return Err(say::failure(format!("`systemctl`: {error}"), "use --method xdg"));
            }
        }
        self.entry.sandbox = machine.run(&systemd::try_sandbox()).is_ok_and(|ran| ran.success);
        Ok(())
    }

    /// Starts the service where nothing serves yet; else it begins at the next login.
    fn start_now(&self, method: Method, machine: &mut dyn Machine) -> Result<bool, String> {
        if !matches!(self.target.address.who(), Who::Nobody) {
            return Ok(false);
        }
        let step = match method {
            Method::Systemd => systemd::start(),
            Method::Launchd => launchd::start(user(), &self.places.agent.display().to_string()),
            Method::Xdg | Method::Registry | Method::Vbs | Method::Task => return Ok(false),
        };
        autostart::carry_out(&[Step::Run(step)], machine).map(|()| true)
    }

    fn tell_installed(
        &self,
        method: Method,
        before: Option<&Installed>,
        replaced: &[&str],
        started: Result<bool, String>,
        json: bool,
    ) -> Exit {
        let place =
            autostart::installed(method, &self.places, &mut ThisMachine).map(|found| found.place);
        let place = place.unwrap_or_default();
        if json {
            say::json(&serde_json::json!({
                "installed": true,
                "method": method.name(),
                "place": place,
                "started": started.as_ref().copied().unwrap_or(false),
                "replaced": replaced,
                "unseen": self.unseen,
            }));
        } else {
            let how = match before {
                Some(found) if found.is_of_the_original() => {
                    "replaced the entry of the older saros-proxy"
                }
                Some(found) if found.is_current(&self.entry) => "was there already",
                Some(_) => "renewed",
                None => "installed",
            };
            say::line(&format!("Autostart {how}: {} ({place})", method.name()));
            for other in replaced {
                say::line(&format!("  removed: {other}"));
            }
            match &started {
                Ok(true) => say::line("  the proxy runs now"),
                Ok(false) => say::line("  takes effect at the next login"),
                Err(_) => {}
            }
            if method == Method::Systemd {
                say::line(
                    "  it starts at login; for a start with the machine: loginctl enable-linger",
                );
                if !self.entry.sandbox {
                    say::line(
                        "  this system gives user services no file system view of their own: left out",
                    );
                }
            }
        }
        for unseen in &self.unseen {
            say::warning(unseen.what.clone(), unseen.fix.clone());
        }
        if self.entry.key_file.is_some() && !matches!(method, Method::Systemd | Method::Launchd) {
            say::warning(
                format!("{MASTER_KEY_FILE} is set here, and {} has no place for it", method.name()),
                "set it for your whole session",
            );
        }
        match started {
            Ok(_) => Exit::Done,
            Err(error) => {
                say::failure(format!("The service does not start: {error}"), hint_of(method))
            }
        }
    }

    fn uninstall(&self, options: &AutostartOptions) -> Exit {
        let mut machine = ThisMachine;
        let mut removed = Vec::new();
        for method in chosen(options) {
            let was = autostart::installed(method, &self.places, &mut machine);
            // What cannot be seen may still be half there.
            let steps = autostart::uninstall(method, &self.places);
            if let Err(error) = autostart::carry_out(&steps, &mut machine) {
                return say::failure(error, "remove it by hand");
            }
            removed.extend(was);
        }
        if options.json {
            let removed: Vec<&str> = removed.iter().map(|found| found.method.name()).collect();
            say::json(&serde_json::json!({ "removed": removed }));
        } else if removed.is_empty() {
            say::line("Autostart was not installed.");
        } else {
            for found in removed {
                say::line(&format!("Autostart removed: {} ({})", found.method.name(), found.place));
            }
            if !matches!(self.target.address.who(), Who::Nobody) {
                say::line("  the proxy that runs goes on");
            }
        }
        Exit::Done
    }

    fn status(&self, options: &AutostartOptions) -> Exit {
        let mut machine = ThisMachine;
        let mut found = Vec::new();
        for method in chosen(options) {
            let installed = autostart::installed(method, &self.places, &mut machine);
            found.push((method, installed.map(|installed| State::of(installed, self))));
        }
        let any = found.iter().any(|(_, state)| state.is_some());
        if options.json {
            let states: Vec<&State> =
                found.iter().filter_map(|(_, state)| state.as_ref()).collect();
            say::json(&serde_json::json!({ "installed": any, "entries": states }));
            return Exit::Done;
        }
        for (method, state) in &found {
            match state {
                None => say::line(&format!("{}: not installed", method.name())),
                Some(state) => {
                    let works = if state.works { "would work" } else { "would not work" };
                    say::line(&format!("{}: installed, {works} ({})", method.name(), state.place));
                    for remark in &state.remarks {
                        say::line(&format!("  {remark}"));
                    }
                }
            }
        }
        if any {
            for unseen in &self.unseen {
                say::warning(unseen.what.clone(), unseen.fix.clone());
            }
        }
        Exit::Done
    }
}

/// What `status` says of an entry.
#[derive(Serialize)]
struct State {
    method: &'static str,
    place: String,
    program: Option<String>,
    works: bool,
    remarks: Vec<String>,
}

impl State {
    fn of(found: Installed, desk: &Desk) -> Self {
        let mut remarks = Vec::new();
        let exists = found.program.as_deref().is_some_and(|program| Path::new(program).exists());
        let original = found.is_of_the_original();
        if original {
            remarks.push(
                "written by the older saros-proxy; `autostart install` replaces it".to_owned(),
            );
        }
        match &found.program {
            None => {
                let remark = "it names no program; `autostart install` writes it anew";
                remarks.push(remark.to_owned());
            }
            Some(program) if !exists => {
                remarks.push(format!(
                    "{program} does not exist any more; `autostart install` writes it anew"
                ));
            }
            Some(program) if !original && *program != desk.entry.program => {
                remarks.push(format!("starts {program}, another program than this one"));
            }
            Some(_) => {}
        }
        if !found.enabled {
            remarks.push("not enabled; `autostart install` enables it".to_owned());
        }
        let keys = !desk.unseen.iter().any(|unseen| unseen.what.contains("key"));
        Self {
            method: found.method.name(),
            works: exists && found.enabled && keys,
            place: found.place,
            program: found.program,
            remarks,
        }
    }
}

fn chosen(options: &AutostartOptions) -> Vec<Method> {
    options.method.method().map_or_else(|| Method::of_this_system().to_vec(), |method| vec![method])
}

/// The best that this system has.
fn best(machine: &mut dyn Machine) -> Method {
    if cfg!(windows) {
        let said = machine.run(&windows::antivirus_query()).map(|ran| ran.said).unwrap_or_default();
        return if windows::is_third_party(&said) { Method::Registry } else { Method::Vbs };
    }
    if cfg!(target_os = "macos") {
        return Method::Launchd;
    }
    // sd_booted(3).
    if Path::new("/run/systemd/system").exists() { Method::Systemd } else { Method::Xdg }
}

fn hint_of(method: Method) -> &'static str {
    match method {
        Method::Systemd => {
            "`journalctl --user -u saros-proxy` and `systemctl --user status saros-proxy` say more"
        }
        Method::Launchd => "`launchctl print gui/$(id -u)/saros-proxy` says more",
        Method::Registry => "another method may be allowed: --method vbs",
        Method::Vbs => "an antivirus program may forbid it: --method registry",
        Method::Task => "another method may be allowed: --method registry",
        Method::Xdg => "see that the folder can be written",
    }
}

#[cfg(unix)]
fn user() -> u32 {
    rustix::process::getuid().as_raw()
}

#[cfg(not(unix))]
fn user() -> u32 {
    0
}

/// What is set in this environment and will be missing where the service starts.
fn unseen(text: Option<&str>, file: Option<&Path>, env: &dyn Env) -> Vec<Unseen> {
    let mut found = Vec::new();
    let encrypted = text.is_some_and(|text| text.contains(PREFIX));
    if encrypted && env.filled(MASTER_KEY).is_some() {
        found.push(Unseen {
            what: format!("The keys are encrypted, and the master key is only in {MASTER_KEY}, which a service does not see"),
            fix: format!(
                "put it into a file that only you can read and install again with {MASTER_KEY_FILE} naming it, or decrypt \
                 the keys: `saros-proxy keys decrypt`"
            ),
        });
    }
    let place = file.map_or_else(|| "config.yaml".to_owned(), |file| file.display().to_string());
    for setting in SETTINGS {
        let Some(name) = setting.env.filter(|name| env.filled(name).is_some()) else { continue };
        let written = text.is_some_and(|text| {
            text.lines().any(|line| {
                line.trim_start()
                    .strip_prefix(setting.name)
                    .is_some_and(|rest| rest.trim_start().starts_with(':'))
            })
        });
        if !written {
            found.push(Unseen {
                what: format!("{name} is set here, and a service does not see it"),
                fix: format!("write `{}:` into {place}", setting.name),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_a_service_does_not_see() {
        let env: BTreeMap<&str, &str> = [
            (MASTER_KEY, "0123456789abcdef"),
            ("OPENCODE_GO_KEYS", "a:sk-x"),
            ("PROXY_PORT", "4000"),
        ]
        .into();
        let file = Some(Path::new("/c/config.yaml"));
        let found = unseen(Some("port: 4000\nkeys:\n  - key: enc:scrypt:x\n"), file, &env);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].what.contains(MASTER_KEY) && found[0].fix.contains(MASTER_KEY_FILE));
        let found = unseen(Some("host: ::1\n"), file, &env);
        let names: Vec<&str> = found.iter().map(|unseen| unseen.fix.as_str()).collect();
        assert_eq!(
            names,
            ["write `port:` into /c/config.yaml", "write `keys:` into /c/config.yaml"]
        );
        assert_eq!(unseen(None, None, &BTreeMap::new()), []);
    }
}
