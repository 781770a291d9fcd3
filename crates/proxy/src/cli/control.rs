//! Asking the running proxy what only its owner may know.

use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

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

/// How often a token is looked for that is not there yet, and how long apart.
const LOOKS: u32 = 10;
const APART: Duration = Duration::from_millis(100);

/// Asks for what lies at a path below `/saros/v1/`, and says where.
///
/// The token is that in the owner's state folder. A proxy that has only just begun to listen may
/// not have written it yet.
pub fn get(target: &Target, below: &str) -> (Address, Answer) {
    let address = target.running().map_or_else(|| target.address.clone(), |found| found.address);
    let file = target.config.state_dir.join(CONTROL_TOKEN);
    let mut looks = 0;
    loop {
        let token = token::read(&file).ok().flatten();
        let found = token.is_some();
        // A client token of the configuration opens the same.
        let asked = if found { address.clone().with_token(token) } else { address.clone() };
        let answer = ask(&asked, below);
        looks += 1;
        if matches!(answer, Answer::Failed(_)) && !found && looks < LOOKS {
            thread::sleep(APART);
        } else {
            return (address, answer);
        }
    }
}

fn ask(address: &Address, below: &str) -> Answer {
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
            Who::Saros(_) => {
                failed(format!("The proxy at {address} does not answer: {error}"), "try again")
            }
            Who::Stranger if error.kind() != ErrorKind::ConnectionRefused => {
                Answer::Nobody { stranger: true }
            }
            Who::Nobody | Who::Stranger => Answer::Nobody { stranger: false },
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
