//! Linux: a unit of the user's systemd.

use std::fmt::Write as _;

use crate::config::master::MASTER_KEY_FILE;
use crate::service::autostart::{Entry, Places, Step, words};

/// The unit's name.
pub const UNIT: &str = "saros-proxy.service";

/// The unit.
///
/// What needs a mount namespace stands apart: a user's systemd can only have one inside a user
/// namespace (systemd.exec(5), `PrivateUsers=`), which some systems do not allow; there the unit
/// would not start at all.
pub fn unit(entry: &Entry) -> String {
    // Variables are not looked for in the program's own name.
    let mut command = quoted(&entry.program, false);
    for word in std::iter::once("serve").chain(entry.arguments.iter().map(String::as_str)) {
        command.push(' ');
        command.push_str(&quoted(word, true));
    }
    let stop = entry.stop_seconds;
    let mut environment = "Environment=NODE_ENV=production".to_owned();
    if let Some(file) = &entry.key_file {
        let variable = quoted(&format!("{MASTER_KEY_FILE}={file}"), false);
        let _ = write!(environment, "\nEnvironment={variable}");
    }
    let mut text = format!(
        "\
# Written by `saros-proxy autostart install`; `saros-proxy autostart uninstall` removes it.
[Unit]
Description=Saros, one endpoint in front of several OpenCode Go accounts
StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
Type=exec
ExecStart={command}
{environment}
Restart=on-failure
RestartSec=5
# Wrong usage does not get better by trying again.
RestartPreventExitStatus=2
# Running requests may finish.
TimeoutStopSec={stop}
KillMode=mixed
UMask=0077
LimitCORE=0

NoNewPrivileges=yes
MemoryDenyWriteExecute=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
"
    );
    if entry.sandbox {
        text.push_str("\nPrivateUsers=yes\nProtectSystem=strict\nProtectHome=read-only\n");
        text.push_str("PrivateTmp=yes\nProtectKernelTunables=yes\nProtectControlGroups=yes\n");
        for folder in &entry.folders {
            // The hyphen: it may be missing still.
            let _ = writeln!(text, "ReadWritePaths={}", quoted(&format!("-{folder}"), false));
        }
    }
    text.push_str("\n[Install]\nWantedBy=default.target\n");
    text
}

/// Whether systemd accepts this as a program's path: it takes none with quotes, backslashes or
/// control characters.
pub fn accepts(program: &str) -> bool {
    !program.contains(['"', '\'', '\\']) && !program.contains(char::is_control)
}

/// Writes the unit and enables it.
pub fn install(entry: &Entry, places: &Places) -> Vec<Step> {
    vec![
        Step::Write(places.unit.clone(), unit(entry).into_bytes()),
        Step::Run(systemctl(&["daemon-reload"])),
        Step::Run(systemctl(&["enable", UNIT])),
    ]
}

/// Disables the unit and removes it. What runs goes on.
pub fn uninstall(places: &Places) -> Vec<Step> {
    let wanted = places.unit.parent().map(|folder| folder.join("default.target.wants").join(UNIT));
    vec![
        Step::Try(systemctl(&["disable", UNIT])),
        // For a systemd that cannot be reached.
        Step::Remove(wanted.unwrap_or_default()),
        Step::Remove(places.unit.clone()),
        Step::Try(systemctl(&["daemon-reload"])),
    ]
}

/// Asks whether it will be started.
pub fn is_enabled() -> Vec<String> {
    systemctl(&["is-enabled", UNIT])
}

/// Starts it now.
pub fn start() -> Vec<String> {
    systemctl(&["start", UNIT])
}

/// Asks whether the user's systemd can be reached.
pub fn reach() -> Vec<String> {
    systemctl(&["show-environment"])
}

/// Tries whether a user's service may have a file system view of its own here.
pub fn try_sandbox() -> Vec<String> {
    let options = ["PrivateUsers=yes", "ProtectSystem=strict", "PrivateTmp=yes"];
    let options = options.iter().flat_map(|option| ["-p", option]);
    let line: Vec<&str> = ["systemd-run", "--user", "--wait", "--quiet", "--collect"]
        .into_iter()
        .chain(options)
        .chain(["true"])
        .collect();
    words(&line)
}

fn systemctl(line: &[&str]) -> Vec<String> {
    words(&[&["systemctl", "--user"], line].concat())
}

/// The program of a unit.
pub fn program(unit: &str) -> Option<String> {
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart="))?;
    let word = match line.trim_start().strip_prefix('"') {
        Some(rest) => rest.split('"').next()?,
        None => line.split_whitespace().next()?,
    };
    (!word.is_empty()).then(|| word.replace("%%", "%"))
}

/// A word as systemd reads it (systemd.syntax(7), systemd.service(5) "Command lines"): `%` begins a
/// specifier everywhere, `$` a variable in commands.
fn quoted(word: &str, command: bool) -> String {
    let mut text = String::with_capacity(word.len() + 2);
    for letter in word.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            '%' => text.push_str("%%"),
            '$' if command => text.push_str("$$"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            _ => text.push(letter),
        }
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=@%$+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { text } else { format!("\"{text}\"") }
}

/// Whether a process belongs to the unit: its control group says so (cgroups(7)).
pub fn runs(pid: u32) -> bool {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    groups.lines().any(|line| line.split('/').any(|part| part == UNIT))
}
