//! Opening the port, and saying what is wrong when it cannot be opened.

use std::io::{self, ErrorKind};

use tokio::net::TcpListener;

use crate::config::problem::{Problem, Severity};
use crate::service::holder::{self, Holder};

/// Opens the port.
pub async fn listen(host: &str, port: u16) -> Result<TcpListener, Box<Problem>> {
    match TcpListener::bind((host, port)).await {
        Ok(listener) => Ok(listener),
        Err(error) => Err(Box::new(explain(host, port, &error, holder::of(port).as_ref()))),
    }
}

fn explain(host: &str, port: u16, error: &io::Error, holder: Option<&Holder>) -> Problem {
    let problem = |what: String| Problem::new(Severity::Error, what);
    match error.kind() {
        ErrorKind::AddrInUse => {
            let by =
                holder.as_ref().map(|holder| format!(" by {} (PID {})", holder.name, holder.pid));
            let by = by.unwrap_or_default();
            let what = format!("Port {port} on {host} is already in use{by} (EADDRINUSE)");
            let stop = match holder {
                Some(Holder { pid, .. }) => format!("stop process {pid}"),
                None => "stop the process that uses it".to_owned(),
            };
            problem(what).hint(format!("{stop}, or choose another port with --port or PROXY_PORT"))
        }
        ErrorKind::PermissionDenied => {
            problem(format!("Port {port} on {host} may not be opened by this user (EACCES)"))
                .hint("ports below 1024 are often reserved; choose another with --port")
        }
        ErrorKind::AddrNotAvailable => {
            problem(format!("{host} is no address of this machine (EADDRNOTAVAIL)"))
                .hint("use 127.0.0.1 for this machine only, or 0.0.0.0 for every network it is in")
        }
        _ => problem(format!("Cannot listen on {host}, port {port}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn names_who_holds_the_port() {
        let listener = listen("127.0.0.1", 0).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let problem = listen("127.0.0.1", port).await.unwrap_err();
        let pid = std::process::id();
        let what = format!("Port {port} on 127.0.0.1 is already in use by ");
        assert!(problem.what.starts_with(&what), "{problem}");
        assert!(problem.what.ends_with(&format!("(PID {pid}) (EADDRINUSE)")), "{problem}");
        let hint = format!("stop process {pid}, or choose another port with --port or PROXY_PORT");
        assert_eq!(problem.hint, Some(hint));
    }

    #[test]
    fn says_what_to_do() {
        for (kind, what, hint) in [
            (ErrorKind::AddrInUse, "Port 80 on h is already in use (EADDRINUSE)", "--port"),
            (ErrorKind::PermissionDenied, "may not be opened", "below 1024"),
            (ErrorKind::AddrNotAvailable, "h is no address of this machine", "0.0.0.0"),
        ] {
            let problem = explain("h", 80, &kind.into(), None);
            assert!(problem.what.contains(what), "{problem}");
            assert!(problem.hint.as_ref().unwrap().contains(hint), "{problem}");
        }
        let other = explain("h", 80, &io::Error::other("no such host"), None);
        assert_eq!(other.to_string(), "Cannot listen on h, port 80: no such host");
    }
}
