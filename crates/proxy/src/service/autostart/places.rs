//! Where each mechanism looks.

use std::path::{Path, PathBuf};

use crate::config::{Env, Paths};

/// The files of every mechanism, for one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The systemd unit.
    pub unit: PathBuf,
    /// The desktop entry.
    pub desktop: PathBuf,
    /// The launchd agent.
    pub agent: PathBuf,
    /// The script in the Startup folder.
    pub script: PathBuf,
    /// The description of a task, for the moment in which the scheduler reads it.
    pub task: PathBuf,
}

impl Places {
    /// Of this user.
    pub fn find(env: &dyn Env, paths: &Paths) -> Self {
        let variable = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        let home = env.filled(variable).map(PathBuf::from).or_else(std::env::home_dir);
        let home = home.unwrap_or_else(|| PathBuf::from("/"));
        let roaming = env.filled("APPDATA").map(PathBuf::from);
        let roaming = roaming.unwrap_or_else(|| home.join("AppData").join("Roaming"));
        let base = paths.config_dir.parent().unwrap_or(&paths.config_dir);
        Self::below(&home, base, &roaming, &paths.config_dir)
    }

    /// `base` is `~/.config` or what stands for it, `roaming` is `%APPDATA%`.
    pub fn below(home: &Path, base: &Path, roaming: &Path, config_dir: &Path) -> Self {
        let startup = ["Microsoft", "Windows", "Start Menu", "Programs", "Startup"];
        let startup = startup.iter().fold(roaming.to_owned(), |path, part| path.join(part));
        Self {
            unit: base.join("systemd/user").join(super::systemd::UNIT),
            desktop: base.join("autostart/saros-proxy.desktop"),
            agent: home.join("Library/LaunchAgents").join(super::launchd::FILE),
            // The name that the tool that this one replaces gave it.
            script: startup.join("saros-proxy-daemon.vbs"),
            task: config_dir.join("autostart-task.xml"),
        }
    }
}
