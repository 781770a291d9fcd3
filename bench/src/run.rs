//! The rounds: every row with every contender in turn, then again.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::contenders::{self, Contender, LOAD_CORE, PROXY_CORE, Placement, Running, Site};
use crate::load::Target;
use crate::report::Report;
use crate::rows::{self, Effort, Row};
use crate::tls::{self, Identity};
use crate::{Fallible, decide, measure};

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// One round and short spans, for the development loop; nothing is saved.
    #[arg(long)]
    quick: bool,
    /// Only these rows: idle, held, request, steady, paced, burst, split, body, latency, writes, start,
    /// core, binary.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only these contenders: nginx, haproxy, bare, saros.
    #[arg(long, value_delimiter = ',')]
    with: Vec<String>,
    /// How many rounds.
    #[arg(long)]
    rounds: Option<usize>,
    /// nginx and HAProxy write one line per request to a file.
    #[arg(long)]
    access_log: bool,
    /// Skip the rows over HTTP/2.
    #[arg(long)]
    no_h2: bool,
    /// Save the result here, as two files named by the day: one for people, one for programs.
    #[arg(long)]
    save: Option<PathBuf>,
}

impl Options {
    fn results(&self) -> Option<PathBuf> {
        let whole = !self.quick && self.only.is_empty() && self.with.is_empty() && !self.no_h2;
        let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/results"));
        self.save.clone().or_else(|| whole.then(default))
    }

    fn wants(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == row)
    }
}

struct Bench<'a> {
    options: &'a Options,
    effort: Effort,
    root: &'a Path,
    identity: &'a Identity,
    contenders: Vec<Box<dyn Contender>>,
    report: Report,
}

/// Runs the whole benchmark.
pub(crate) async fn run(options: &Options) -> Fallible<()> {
    check_names(options)?;
    let _alone = only_one()?;
    measure::pin_self(LOAD_CORE)?;
    // The load generator competes with whatever else the machine does; where it may, it goes first.
    let me = std::process::id().to_string();
    drop(Command::new("renice").args(["-n", "-10", "-p", &me]).output());
    let root = tempfile::tempdir()?;
    let identity = tls::make_identity(root.path())?;
    let mut effort = if options.quick { Effort::QUICK } else { Effort::FULL };
    effort.rounds = options.rounds.unwrap_or(effort.rounds).clamp(1, 20);
    let mut bench = Bench {
        options,
        effort,
        root: root.path(),
        identity: &identity,
        contenders: Vec::new(),
        report: Report::new(effort, options.access_log),
    };
    bench.choose().await?;
    for round in 1..=effort.rounds {
        eprintln!("round {round} of {}", effort.rounds);
        bench.round(false).await?;
        if !options.no_h2 {
            bench.round(true).await?;
        }
        if options.wants("start") {
            bench.starts()?;
        }
        if options.wants("core") {
            let _urgent = measure::Urgent::new(&[std::process::id()])?;
            for _ in 0..effort.starts {
                bench.report.record_one("saros", "core", decide::measure());
            }
        }
    }
    if options.wants("binary") {
        bench.binaries();
    }
    println!("{}", bench.report.table());
    if let Some(folder) = options.results() {
        let saved = bench.report.save(&folder)?;
        println!("saved as {}", saved.display());
    }
    Ok(())
}

/// Two measurements at once would measure each other: the second waits.
fn only_one() -> Fallible<std::fs::File> {
    let lock = std::fs::File::create(std::env::temp_dir().join("saros-bench.lock"))?;
    if lock.try_lock().is_err() {
        eprintln!("another measurement is running; waiting for its end");
        lock.lock()?;
    }
    Ok(lock)
}

fn check_names(options: &Options) -> Fallible<()> {
    let known = |name: &String| {
        Row::ALL.iter().any(|row| row.name() == name)
            || ["start", "core", "binary"].contains(&name.as_str())
    };
    if let Some(unknown) = options.only.iter().find(|name| !known(name)) {
        return Err(format!("no row is called {unknown}; see --help").into());
    }
    let all = contenders::all();
    if let Some(unknown) =
        options.with.iter().find(|name| all.iter().all(|contender| contender.name() != *name))
    {
        return Err(format!("no contender is called {unknown}; see --help").into());
    }
    Ok(())
}

impl Bench<'_> {
    /// Keeps those that can be started and answer one request; says loudly who cannot.
    async fn choose(&mut self) -> Fallible<()> {
        let stub = self.stub(false)?;
        for contender in contenders::all() {
            let name = contender.name();
            if !self.options.with.is_empty()
                && !self.options.with.iter().any(|wanted| wanted == name)
            {
                continue;
            }
            let probe = async {
                let running =
                    self.launch(contender.as_ref(), stub.port, false, Placement::Core(PROXY_CORE))?;
                let shot = crate::load::Shot::new(crate::answers::Case::Json, 2048);
                crate::load::send(&Target::proxy(running.port), &shot, 2).await?;
                contender.version()
            };
            match probe.await {
                Ok(version) => {
                    self.report.add_contender(name, &version, &contender.binary());
                    self.contenders.push(contender);
                }
                Err(error) => {
                    eprintln!("**** SKIPPING {name} ({}): {error}", contender.binary().display());
                    self.report.skip(name, &error.to_string());
                }
            }
        }
        if self.contenders.is_empty() { Err("nobody to measure".into()) } else { Ok(()) }
    }

    /// Every row that is measured on running proxies, contender by contender.
    async fn round(&mut self, h2: bool) -> Fallible<()> {
        let rows: Vec<Row> = Row::ALL
            .into_iter()
            .filter(|row| self.options.wants(row.name()) && (!h2 || row.has_h2()))
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let stub = self.stub(h2)?;
        let launch = |bench: &Self, index: usize| -> Fallible<Running> {
            let contender = bench.contenders.get(index).ok_or("no such contender")?;
            bench.launch(contender.as_ref(), stub.port, h2, Placement::Core(PROXY_CORE))
        };
        let mut running = Vec::new();
        for (index, contender) in self.contenders.iter().enumerate() {
            if !h2 || contender.speaks_h2() {
                running.push((index, contender.name(), launch(self, index)?));
            }
        }
        for row in rows {
            // The stub and the contenders descend from this process.
            let me = [std::process::id()];
            let _urgent = if row == Row::Latency { Some(measure::Urgent::new(&me)?) } else { None };
            for _ in 0..if row == Row::Latency { self.effort.latency_slices } else { 1 } {
                if row == Row::Latency {
                    let target = Target::direct(stub.port, &self.identity.ca)?;
                    self.report.record(
                        "direct",
                        row,
                        h2,
                        rows::latency(&target, &self.effort).await,
                    );
                }
                for (index, name, running) in &mut running {
                    let mut figures = rows::measure(row, running, &self.effort).await;
                    if let Some(how) = running.ended() {
                        figures = Err(format!("it ended while being measured: {how}").into());
                        *running = launch(self, *index)?;
                    }
                    self.report.record(name, row, h2, figures);
                }
            }
        }
        Ok(())
    }

    fn starts(&mut self) -> Fallible<()> {
        let stub = self.stub(false)?;
        let _urgent = measure::Urgent::new(&[std::process::id()])?;
        for _ in 0..self.effort.starts {
            for contender in &self.contenders {
                let started =
                    self.launch(contender.as_ref(), stub.port, false, Placement::Inherited);
                let figure = started.map(|running| running.started_in.as_secs_f64() * 1e3);
                self.report.record_one(contender.name(), "start", figure);
            }
        }
        Ok(())
    }

    fn binaries(&mut self) {
        for contender in &self.contenders {
            #[expect(clippy::cast_precision_loss, reason = "well below 2^52")]
            let size = std::fs::metadata(contender.binary()).map(|file| file.len() as f64 / 1e6);
            self.report.record_one(contender.name(), "binary", size.map_err(Into::into));
        }
    }

    fn stub(&self, h2: bool) -> Fallible<Running> {
        let port = contenders::free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["upstream", "--port", &port.to_string()]);
        command
            .arg("--certificate")
            .arg(&self.identity.certificate)
            .arg("--key")
            .arg(&self.identity.key);
        if h2 {
            command.arg("--h2");
        }
        contenders::start(&command, Placement::Core(LOAD_CORE), port, &self.folder("stub")?)
    }

    fn launch(
        &self,
        contender: &dyn Contender,
        upstream: u16,
        h2: bool,
        placement: Placement,
    ) -> Fallible<Running> {
        let site = Site {
            folder: self.folder(contender.name())?,
            port: contenders::free_port()?,
            upstream,
            h2,
            identity: self.identity,
            access_log: self.options.access_log,
        };
        contenders::start(&contender.command(&site)?, placement, site.port, &site.folder)
    }

    /// A new folder for one process.
    fn folder(&self, name: &str) -> Fallible<PathBuf> {
        Ok(tempfile::Builder::new().prefix(name).tempdir_in(self.root)?.keep())
    }
}
