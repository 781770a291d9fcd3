//! Processes of this machine: whether one lives, since when, and how it is ended.
//!
//! A PID alone names nobody: the system gives it away again. A PID with the moment of its birth
//! does.

use std::io;

/// The moment of a process's birth, as the system says it: only good for comparing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Birth(pub String);

/// What the system says of a PID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Life {
    /// There is no such process, or only its remains.
    Gone,
    /// It lives.
    Alive(Option<Birth>),
}

/// What is known of a PID.
#[cfg(target_os = "linux")]
pub fn of(pid: u32) -> Life {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return Life::Gone };
    // Ticks begin anew at every boot.
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    read_stat(&stat, boot.trim())
}

/// proc(5): the name stands in parentheses and may hold any character; the state follows it, the
/// start time in ticks is the 22nd field.
#[cfg(target_os = "linux")]
fn read_stat(stat: &str, boot: &str) -> Life {
    let Some((_, fields)) = stat.rsplit_once(')') else { return Life::Alive(None) };
    let fields: Vec<&str> = fields.split_whitespace().collect();
    match fields.first() {
        Some(&"Z" | &"X") => Life::Gone,
        _ => Life::Alive(fields.get(19).map(|ticks| Birth(format!("{boot}:{ticks}")))),
    }
}

/// What is known of a PID.
#[cfg(all(unix, not(target_os = "linux")))]
pub fn of(pid: u32) -> Life {
    let mut ps = std::process::Command::new("ps");
    ps.env("LC_ALL", "C").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]);
    let Ok(output) = ps.output() else { return Life::Alive(None) };
    match String::from_utf8_lossy(&output.stdout).trim().split_once(char::is_whitespace) {
        Some((state, _)) if state.starts_with('Z') => Life::Gone,
        Some((_, birth)) => Life::Alive(Some(Birth(birth.trim().to_owned()))),
        None => Life::Gone,
    }
}

/// What is known of a PID. Its birth is not: a proxy is recognised by its answer instead.
#[cfg(windows)]
pub fn of(pid: u32) -> Life {
    let mut tasklist = std::process::Command::new("tasklist");
    tasklist.args(["/FI", &format!("PID eq {pid}"), "/FO", "CSV", "/NH"]);
    let Ok(output) = tasklist.output() else { return Life::Alive(None) };
    let listed = String::from_utf8_lossy(&output.stdout).contains(&format!("\"{pid}\""));
    if listed { Life::Alive(None) } else { Life::Gone }
}

/// How a process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Asked to stop; it drains. Windows has no such thing for a process without a window, so there
    /// it is the same as [`End::Kill`].
    Ask,
    /// At once.
    Kill,
}

/// Ends a process. Whoever calls this has made sure whose it is.
#[cfg(unix)]
pub fn end(pid: u32, end: End) -> io::Result<()> {
    use rustix::process::{Pid, Signal, kill_process};
    let signal = match end {
        End::Ask => Signal::TERM,
        End::Kill => Signal::KILL,
    };
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok(kill_process(pid, signal)?)
}

/// Ends a process. Whoever calls this has made sure whose it is.
#[cfg(windows)]
pub fn end(pid: u32, _: End) -> io::Result<()> {
    let mut taskkill = std::process::Command::new("taskkill");
    let output = taskkill.args(["/F", "/PID", &pid.to_string()]).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let rest = "1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        let born = Life::Alive(Some(Birth("b:4711".to_owned())));
        assert_eq!(read_stat(&format!("7 (a) Z (b c) S {rest}"), "b"), born);
        assert_eq!(read_stat(&format!("7 (saros-proxy) Z {rest}"), "b"), Life::Gone);
    }

    #[test]
    fn lives_and_is_gone() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let Life::Alive(Some(birth)) = of(child.id()) else { panic!() };
        assert_eq!(of(child.id()), Life::Alive(Some(birth)));
        end(child.id(), End::Kill).unwrap();
        child.wait().unwrap();
        assert_eq!(of(child.id()), Life::Gone);
    }
}
