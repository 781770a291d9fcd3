//! Asking the running proxy what only its owner may know.

use crate::cli::target::Target;
use crate::config::problem::{Problem, Severity};
use crate::service::probe::{Address, Who};
use crate::state::{CONTROL_TOKEN, token};

/// What came of it.
#[derive(Debug)]
pub enum Answer {
    /// Found, as JSON.
    Found(serde_json::Value),
    /// The proxy knows of nothing like it.
    Missing,
    /// No proxy listens there; something else may.
    Nobody {
        /// Something else does.
        stranger: bool,
    },
    /// The proxy does not say, or not so that we understand.
    Failed(Box<Problem>),
}

/// Where the proxy is asked, with the token that its owner's state folder holds.
pub fn address(target: &Target) -> Address {
    let address = target.running().map_or_else(|| target.address.clone(), |found| found.address);
    match token::read(&target.config.state_dir.join(CONTROL_TOKEN)) {
        Ok(Some(token)) => address.with_token(Some(token)),
        // A client token of the configuration opens the same.
        _ => address,
    }
}

/// Asks for what lies at a path below `/saros/v1/`.
pub fn get(address: &Address, below: &str) -> Answer {
    let failed = |what: String, hint: &str| {
        Answer::Failed(Box::new(Problem::new(Severity::Error, what).hint(hint)))
    };
    match address.get(&format!("/saros/v1/{below}")) {
        Ok((200, body)) => match serde_json::from_slice(&body) {
            Ok(value) => Answer::Found(value),
            Err(_) => unless_stranger(address, || Answer::Failed(unknown_form(address))),
        },
        Ok((404, _)) => unless_stranger(address, || Answer::Missing),
        Ok((401 | 403 | 421, _)) => unless_stranger(address, || {
            failed(
                format!("The proxy at {address} does not take our token"),
                "run this as the user who started it, with the same --config and XDG_STATE_HOME",
            )
        }),
        Ok((status, _)) => unless_stranger(address, || {
            failed(format!("The proxy at {address} answers {status}"), "its log says why")
        }),
        Err(error) => match address.who() {
            Who::Nobody => Answer::Nobody { stranger: false },
            Who::Stranger if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                Answer::Nobody { stranger: false }
            }
            Who::Stranger => Answer::Nobody { stranger: true },
            Who::Saros(_) => {
                failed(format!("The proxy at {address} does not answer: {error}"), "try again")
            }
        },
    }
}

/// The proxy is of another version.
pub fn unknown_form(address: &Address) -> Box<Problem> {
    let what = format!("The proxy at {address} answers in a form that this version does not know");
    let hint = "it is of another version: restart it";
    Box::new(Problem::new(Severity::Error, what).hint(hint))
}

fn unless_stranger(address: &Address, answer: impl FnOnce() -> Answer) -> Answer {
    if let Who::Saros(_) = address.who() { answer() } else { Answer::Nobody { stranger: true } }
}
