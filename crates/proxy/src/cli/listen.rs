//! Opening the port, and saying what is wrong when it cannot be opened.

use std::io::{self, ErrorKind};

use tokio::net::TcpListener;

use crate::config::problem::{Problem, Severity};

/// Opens the port.
pub async fn listen(host: &str, port: u16) -> Result<TcpListener, Box<Problem>> {
    match TcpListener::bind((host, port)).await {
        Ok(listener) => Ok(listener),
        Err(error) => Err(Box::new(explain(host, port, &error, holder(port).as_ref()))),
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

/// Who has a port open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux tells"))]
struct Holder {
    pid: u32,
    name: String,
}

/// Finds the process that listens on a port, if it is one of ours to look at.
#[cfg(target_os = "linux")]
fn holder(port: u16) -> Option<Holder> {
    use std::fs;

    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let sockets: Vec<String> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if sockets.is_empty() {
        return None;
    }
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        let open = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
        if open
            .into_iter()
            .any(|target| sockets.iter().any(|socket| target.as_os_str() == &**socket))
        {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            let name = name.trim().chars().filter(|c| !c.is_control()).collect();
            return Some(Holder { pid, name });
        }
    }
    None
}

/// Not known here.
#[cfg(not(target_os = "linux"))]
fn holder(_: u16) -> Option<Holder> {
    None
}

/// The inodes of sockets that listen on a port, out of `/proc/net/tcp` (proc(5)): the second column
/// is the local address and port in hexadecimal, the fourth the state (0A is LISTEN), the tenth the
/// inode.
#[cfg(target_os = "linux")]
fn listening(table: &str, port: u16) -> Vec<u64> {
    let inode = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (_, hex) = columns.get(1)?.rsplit_once(':')?;
        let listens = *columns.get(3)? == "0A" && u16::from_str_radix(hex, 16) == Ok(port);
        listens.then(|| columns.get(9)?.parse().ok())?
    };
    table.lines().filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn reads_the_table_of_sockets() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0\n   \
            1: 0100007F:0BB8 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0 20 4 30 10 -1\n   \
            2: 00000000:0BB9 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4713 1 0 100 0 0 10 0\n";
        assert_eq!(listening(table, 3000), [4711]);
        assert_eq!(listening(table, 3001), [4713]);
        assert_eq!(listening(table, 3002), [0; 0]);
    }

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
