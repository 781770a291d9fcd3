//! The dependency policy: cargo-deny with `deny.toml`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{Failed, output_of, run};
use crate::report::Outcome;
use crate::workspace::Workspace;

/// Pinned: a newer one may judge the same tree differently.
const VERSION: &str = "0.20.2";
/// A snapshot of rustsec/advisory-db as cargo-deny wants to find it: one folder of its own naming,
/// a git clone. Developers of the project have it beside the checkout, others need not.
const ARCHIVE: &str = "../shared/advisory-db.tar.gz";
/// Where to look for the archive instead.
const ARCHIVE_VARIABLE: &str = "SAROS_ADVISORY_DB";
/// The folder inside the archive, named by cargo-deny after the database's address.
const SNAPSHOT: &str = "advisory-db-3157b0e258782691";

/// Installs the pinned cargo-deny into the ignored tools folder, if it is not there already.
pub(crate) fn install(workspace: &Workspace) -> Result<Outcome, Failed> {
    if installed_version(workspace).as_deref() == Some(VERSION) {
        eprintln!("cargo-deny {VERSION} is already in .tools");
    } else {
        // Unoptimised: it runs for a second, and compiles a minute faster.
        let mut command = workspace.cargo("install --quiet --locked --debug --force --root .tools");
        run(command.arg(format!("cargo-deny@{VERSION}")))?;
    }
    run(&mut workspace.cargo("fetch --quiet --locked"))?;
    Ok(Outcome::Done(Vec::new()))
}

/// Licences, banned crates and sources.
pub(crate) fn check_policy(workspace: &Workspace) -> Result<Outcome, Failed> {
    check(workspace, "bans licenses sources")
}

/// Known vulnerabilities, from the snapshot.
pub(crate) fn check_advisories(workspace: &Workspace) -> Result<Outcome, Failed> {
    let named = std::env::var_os(ARCHIVE_VARIABLE);
    let archive = archive(workspace.root(), named);
    if !archive.is_file() {
        return Ok(Outcome::Skipped(format!(
            "no advisory database at {} (nor in ${ARCHIVE_VARIABLE}); \
             with access to github.com: .tools/bin/cargo-deny check advisories",
            archive.display(),
        )));
    }
    unpack(workspace, &archive)?;
    check(workspace, "advisories")
}

fn archive(root: &Path, named: Option<OsString>) -> PathBuf {
    named.map_or_else(|| root.join(ARCHIVE), |name| root.join(name))
}

fn unpack(workspace: &Workspace, archive: &Path) -> Result<(), Failed> {
    let databases = workspace.tools().join("advisory-dbs");
    let replaced = databases.join(SNAPSHOT);
    let io = |error| Failed::new(format!("{}: {error}", databases.display()));
    if replaced.exists() {
        fs::remove_dir_all(&replaced).map_err(io)?;
    }
    fs::create_dir_all(&databases).map_err(io)?;
    run(workspace.program("tar").arg("-xzf").arg(archive).arg("-C").arg(&databases))?;
    // Without the clone's own data cargo-deny fails in words that lead nowhere.
    if replaced.join(".git").is_dir() {
        Ok(())
    } else {
        Err(Failed::new(format!("{} holds no {SNAPSHOT}/.git", archive.display())))
    }
}

fn check(workspace: &Workspace, what: &str) -> Result<Outcome, Failed> {
    let mut command = workspace.program(program(workspace));
    command.args(["--offline", "check", "--hide-inclusion-graph"]).args(what.split(' '));
    run(&mut command).map(|()| Outcome::Done(Vec::new()))
}

fn program(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("bin/cargo-deny")
}

fn installed_version(workspace: &Workspace) -> Option<String> {
    let said = output_of(workspace.program(program(workspace)).arg("--version")).ok()?;
    said.split_whitespace().last().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_beside_the_checkout_unless_named() {
        let root = Path::new("/checkout");
        assert_eq!(archive(root, None), Path::new("/checkout/../shared/advisory-db.tar.gz"));
        assert_eq!(archive(root, Some("/tmp/a.tar.gz".into())), Path::new("/tmp/a.tar.gz"));
    }
}
