//! `usage`: what every account has left, and what is foreseen.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use crate::cli::args::figures::UsageArgs;
use crate::cli::control::{self, Answer};
use crate::cli::process::{self, Asked};
use crate::cli::screen::Look;
use crate::cli::screen::moment::Times;
use crate::cli::target::Target;
use crate::cli::usage::document::Document;
use crate::cli::usage::redraw::Redraw;
use crate::cli::{Exit, say};
use crate::config::problem::{Problem, Severity};
use crate::config::{Config, Env, Overrides, Paths, load};
use crate::upstream::dial::Network;
use crate::upstream::tls::Tls;
use crate::upstream::tunnel::Tunnels;

pub mod document;
pub mod redraw;
pub mod render;
pub mod service;

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(5);
/// How often it asks the service, where no proxy runs: as often as a proxy would.
const SERVICE_EVERY: Duration = Duration::from_secs(60);

/// Shows it.
pub fn run(args: &UsageArgs, env: &dyn Env) -> Exit {
    let target = Target::find(args.port.as_ref(), args.config.as_deref(), env);
    let looking = Looking { args, env, target: Arc::new(target), service: None };
    let shown = if args.watch {
        process::block_on(watch(looking))
    } else {
        process::block_on(once(looking))
    };
    shown.unwrap_or_else(|error| {
        say::failure(format!("There is no runtime: {error}"), "the system is out of something")
    })
}

async fn once(mut looking: Looking<'_>) -> Exit {
    match looking.look().await {
        Ok(seen) => {
            // Whoever read it has seen enough.
            drop(write(&(seen.text(looking.args, looking.env) + "\n")));
            seen.exit
        }
        Err(none) => none.tell(),
    }
}

async fn watch(mut looking: Looking<'_>) -> Exit {
    let (asked, pump) = match Asked::listen() {
        Ok(listening) => listening,
        Err(error) => return say::failure(format!("No signals: {error}"), "try without --watch"),
    };
    tokio::select! {
        () = pump => Exit::Done,
        () = asked.times(1) => Exit::Done,
        exit = rounds(&mut looking) => exit,
    }
}

/// One look after the other, until nobody reads them.
async fn rounds(looking: &mut Looking<'_>) -> Exit {
    let mut seen = match looking.look().await {
        Ok(seen) => seen,
        Err(none) => return none.tell(),
    };
    let redraws = !looking.args.json && Look::of_stdout(looking.env).unicode;
    let mut redraw = redraws.then(Redraw::begin);
    let mut gone = false;
    loop {
        let mut text = seen.text(looking.args, looking.env);
        if gone && !looking.args.json {
            text.push_str("\nThe proxy does not answer any more; this is what it said last.\n");
        }
        let drawn = match &mut redraw {
            Some(redraw) => redraw.draw(&text),
            None => write(&(text + "\n")),
        };
        if drawn.is_err() {
            return Exit::Done;
        }
        tokio::time::sleep(EVERY).await;
        let now = looking.look().await;
        gone = now.is_err();
        if let Ok(now) = now {
            seen = now;
        }
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// What was seen.
#[derive(Clone)]
struct Seen {
    value: serde_json::Value,
    document: Document,
    from: String,
    exit: Exit,
}

impl Seen {
    fn text(&self, args: &UsageArgs, env: &dyn Env) -> String {
        if args.json {
            // One line each, where one comes after the other.
            let json =
                if args.watch { serde_json::to_string } else { serde_json::to_string_pretty };
            return json(&self.value).unwrap_or_default();
        }
        let times = Times::here(self.document.at);
        let page = render::page(&self.document, &self.from, &times, Look::of_stdout(env));
        page.trim_end().to_owned()
    }
}

/// Why there is nothing to see.
struct Unseen {
    problems: Vec<Problem>,
    exit: Exit,
}

impl Unseen {
    fn new(exit: Exit, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { problems: vec![Problem::new(Severity::Error, what).hint(hint)], exit }
    }

    fn tell(self) -> Exit {
        say::problems(&self.problems);
        self.exit
    }
}

struct Looking<'a> {
    args: &'a UsageArgs,
    env: &'a dyn Env,
    target: Arc<Target>,
    /// What the service said last, and when.
    service: Option<(Instant, Seen)>,
}

impl Looking<'_> {
    async fn look(&mut self) -> Result<Seen, Unseen> {
        let target = Arc::clone(&self.target);
        // On a thread of its own, so that Ctrl-C need not wait for it.
        let asked = tokio::task::spawn_blocking(move || control::get(&target, "accounts"));
        let Ok((address, answer)) = asked.await else {
            return Err(Unseen::new(Exit::Failed, "The proxy cannot be asked", "try again"));
        };
        let unknown =
            |problem: Box<Problem>| Unseen { problems: vec![*problem], exit: Exit::Failed };
        match answer {
            Answer::Found(value) => match Document::deserialize(&value) {
                Ok(document) => {
                    self.service = None;
                    Ok(seen(document, &format!("Proxy at {address}"), value, "proxy", Exit::Done))
                }
                Err(_) => Err(unknown(control::unknown_form(&address))),
            },
            Answer::Missing => Err(unknown(control::unknown_form(&address))),
            Answer::Failed(problem) => Err(unknown(problem)),
            Answer::Nobody { stranger } => self.ask_service(&address.to_string(), stranger).await,
        }
    }

    async fn ask_service(&mut self, address: &str, stranger: bool) -> Result<Seen, Unseen> {
        if let Some((at, seen)) = &self.service
            && at.elapsed() < SERVICE_EVERY
        {
            return Ok(seen.clone());
        }
        let nobody = if stranger {
            format!("What answers at {address} is no proxy")
        } else {
            format!("No proxy runs at {address}")
        };
        let config = self.config()?;
        if config.keys.is_empty() {
            let place = Paths::of_this_process(self.env).config_file();
            let place = self.args.config.clone().unwrap_or(place);
            let hint = format!("put keys under `keys:` in {}, or start a proxy", place.display());
            let what = format!("{nobody}, and there are no keys to ask the service with");
            return Err(Unseen::new(Exit::NotRunning, what, hint));
        }
        if self.service.is_none() {
            say::aside(&format!("{nobody}: asking the service itself, once with each key."));
        }
        let tunnels = Tunnels::from_environment(|name| self.env.var(name)).map_err(|why| {
            Unseen::new(Exit::Failed, why, "set HTTPS_PROXY to http://host:port, or unset it")
        })?;
        let document = service::ask(&config, Network::new(Tls::default(), tunnels)).await;
        let exit = if service::told_anything(&document) { Exit::Done } else { Exit::Failed };
        let value = serde_json::to_value(&document).unwrap_or_default();
        let seen = seen(document, "The service, asked directly", value, "service", exit);
        self.service = Some((Instant::now(), seen.clone()));
        Ok(seen)
    }

    /// With keys; what is wrong with it is said once.
    fn config(&self) -> Result<Config, Unseen> {
        let overrides = Overrides { config: self.args.config.clone(), values: Vec::new() };
        match load(&overrides, self.env, Paths::of_this_process(self.env)) {
            Ok(loaded) => {
                if self.service.is_none() {
                    say::problems(&loaded.warnings);
                }
                Ok(loaded.config)
            }
            Err(error) => Err(Unseen { problems: error.problems, exit: Exit::Failed }),
        }
    }
}

fn seen(
    document: Document,
    from: &str,
    mut value: serde_json::Value,
    asked: &str,
    exit: Exit,
) -> Seen {
    if let Some(object) = value.as_object_mut() {
        object.insert("asked".to_owned(), asked.into());
    }
    Seen { value, document, from: from.to_owned(), exit }
}
