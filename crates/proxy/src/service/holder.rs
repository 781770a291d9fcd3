//! Who has a port open.

/// A process that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its PID.
    pub pid: u32,
    /// Its name, as the system shows it.
    pub name: String,
}

/// Finds the process that listens on a port, if it is one of ours to look at.
#[cfg(target_os = "linux")]
pub fn of(port: u16) -> Option<Holder> {
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
pub fn of(_: u16) -> Option<Holder> {
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

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
}
