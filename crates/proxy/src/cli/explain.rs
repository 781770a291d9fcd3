//! `explain`: why a request went the way it did.

use serde::Deserialize;

use crate::cli::args::figures::ExplainArgs;
use crate::cli::control::{self, Answer};
use crate::cli::explain::document::Document;
use crate::cli::screen::Look;
use crate::cli::screen::moment::Times;
use crate::cli::target::Target;
use crate::cli::{Exit, say};
use crate::config::Env;

pub mod document;
pub mod render;

/// Asks the running proxy and shows what it says.
pub fn run(args: &ExplainArgs, env: &dyn Env) -> Exit {
    let target = Target::find(args.port.as_ref(), args.config.as_deref(), env);
    let which = args.id.map_or_else(|| "last".to_owned(), |id| id.to_string());
    let (address, answer) = control::get(&target, &format!("requests/{which}"));
    let value = match answer {
        Answer::Found(value) => value,
        Answer::Missing => return unknown(args, &address.to_string()),
        Answer::Failed(problem) => return say::problems(&[*problem]),
        Answer::Nobody { stranger } => {
            let what = if stranger {
                format!("What answers at {address} is no proxy")
            } else {
                format!("No proxy runs at {address}")
            };
            say::failure(
                what,
                "only the proxy that took a request can explain it: name its --port, or start one with \
                 `saros-proxy`",
            );
            return Exit::NotRunning;
        }
    };
    if args.json {
        say::json(&value);
        return Exit::Done;
    }
    match Document::deserialize(&value) {
        Ok(document) => {
            let times = Times::here(document.at);
            let page = render::page(&document, &times, Look::of_stdout(env));
            say::line(page.trim_end());
            Exit::Done
        }
        Err(_) => say::problems(&[*control::unknown_form(&address)]),
    }
}

fn unknown(args: &ExplainArgs, address: &str) -> Exit {
    match args.id {
        Some(id) => say::failure(
            format!("The proxy at {address} knows no request {id}"),
            "it keeps the last few thousand that have ended since its start; `--last` shows the newest",
        ),
        None => say::failure(
            format!("The proxy at {address} has served no request yet"),
            "send one, then ask again",
        ),
    }
}
