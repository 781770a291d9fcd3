//! What a process and its children have used, from `/proc`.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Fallible;

/// Nanoseconds in one clock tick of `/proc/<pid>/stat` (`CLK_TCK` is 100 on every Linux).
const TICK: u64 = 10_000_000;

/// The process and all that descend from it.
pub(crate) fn tree(root: u32) -> Fallible<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if let Some(parent) = stat_field(pid, 1) {
            parents.push((pid, u32::try_from(parent)?));
        }
    }
    let mut found = vec![root];
    let mut index = 0;
    while let Some(&parent) = found.get(index) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        index += 1;
    }
    Ok(found)
}

/// A field of `/proc/<pid>/stat`, counted from the state (0) that follows the command name.
fn stat_field(pid: u32, index: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(index)?.parse().ok()
}

/// Processor time so far, in ns, of the tree under `root`.
///
/// The scheduler's own account per thread (`schedstat`) is exact but forgets threads that ended;
/// utime + stime (with waited-for children) remember them in ticks of 10 ms. The larger counts, so
/// work cannot hide in short-lived threads.
pub(crate) fn cpu_ns(root: u32) -> Fallible<u64> {
    let mut total = 0;
    for pid in tree(root)? {
        let mut exact = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            exact += text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        }
        // utime, stime, cutime, cstime
        let ticks: u64 =
            [11, 12, 13, 14].into_iter().filter_map(|index| stat_field(pid, index)).sum();
        // Both are rounded down, by less than a tick each.
        total += exact.max((ticks * TICK).saturating_sub(2 * TICK));
    }
    Ok(total)
}

/// Resident memory of the tree under `root`, in kB; pages that two processes share count twice.
pub(crate) fn resident_kb(root: u32) -> Fallible<u64> {
    let mut total = 0;
    for pid in tree(root)? {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let resident = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).ok_or("no Rss")?;
        total += resident.trim().trim_end_matches("kB").trim().parse::<u64>()?;
    }
    Ok(total)
}

/// Keeps this process and what it starts on `core`.
pub(crate) fn pin_self(core: usize) -> Fallible<()> {
    let pid = std::process::id().to_string();
    let status = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", &core.to_string(), &pid])
        .stdout(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err("taskset failed".into()) }
}

/// Lets processes run before all others on their cores, until dropped. At a few hundred requests a
/// second it is whatever else the machine does that decides latency, not the proxy. Without the
/// right to do so, nothing changes.
pub(crate) struct Urgent(Vec<u32>);

impl Urgent {
    /// The trees under `roots`.
    pub(crate) fn new(roots: &[u32]) -> Fallible<Self> {
        let mut pids = Vec::new();
        for &root in roots {
            pids.extend(tree(root)?);
        }
        let urgent = Self(pids);
        urgent.schedule("--fifo", "1");
        Ok(urgent)
    }

    fn schedule(&self, policy: &str, priority: &str) {
        for pid in &self.0 {
            let args = [policy, "--all-tasks", "--pid", priority, &pid.to_string()];
            drop(Command::new("chrt").args(args).output());
        }
    }
}

impl Drop for Urgent {
    fn drop(&mut self) {
        self.schedule("--other", "0");
    }
}

/// `strace` on a running tree, counting the calls that write.
pub(crate) struct Strace(Child, std::path::PathBuf);

impl Strace {
    /// Attaches to every process under `root`.
    pub(crate) async fn attach(root: u32, folder: &Path) -> Fallible<Self> {
        let report = folder.join("strace.txt");
        let mut command = Command::new("strace");
        command.args([
            "-f",
            "-c",
            "-e",
            "trace=write,writev,sendto,sendmsg,sendmmsg,pwrite64,pwritev",
            "-o",
        ]);
        command.arg(&report);
        for pid in tree(root)? {
            command.arg("-p").arg(pid.to_string());
        }
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(Self(child, report))
    }

    /// Detaches and returns how many calls there were.
    pub(crate) fn detach(mut self) -> Fallible<u64> {
        signal(self.0.id(), "INT")?;
        let _status = self.0.wait()?;
        let report = fs::read_to_string(&self.1)?;
        let total = report
            .lines()
            .rev()
            .find(|line| line.trim_end().ends_with("total"))
            .ok_or("strace saw nothing")?;
        Ok(total.split_whitespace().nth(3).ok_or("no calls column")?.parse()?)
    }
}

/// Sends a signal to a process we started.
pub(crate) fn signal(pid: u32, name: &str) -> Fallible<()> {
    let status =
        Command::new("kill").args(["-s", name, &pid.to_string()]).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("cannot signal {pid}").into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_process_is_seen_busy_and_its_child_belongs_to_the_tree() {
        let me = std::process::id();
        let before = cpu_ns(me).unwrap();
        let mut child = Command::new("sleep").arg("30").spawn().unwrap();
        let mut waste = 0_u64;
        while cpu_ns(me).unwrap() < before + 30_000_000 {
            waste = std::hint::black_box(waste + 1);
        }
        assert!(tree(me).unwrap().contains(&child.id()));
        assert!(resident_kb(me).unwrap() > 500);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
