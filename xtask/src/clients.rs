//! The real clients of the end-to-end tests: npm and pip packages, pinned by lock files with
//! hashes, installed into ignored folders of `e2e/`.

use std::fs;
use std::path::Path;

use crate::process::{Failed, output_of, run};
use crate::report::Outcome;
use crate::workspace::Workspace;

/// Node packages, from `e2e/package-lock.json` into `e2e/node_modules`.
///
/// The native clients are taken as their platform packages, so no package has to run a script.
pub(crate) fn install_node_packages(workspace: &Workspace) -> Result<Outcome, Failed> {
    let folder = workspace.root().join("e2e");
    let lock = folder.join("package-lock.json");
    let installed = folder.join("node_modules/.installed-from");
    if same_content(&lock, &installed) {
        eprintln!("e2e/node_modules is already what e2e/package-lock.json says");
        return Ok(Outcome::Done(Vec::new()));
    }
    wanted(workspace, "npm", "Node.js 20 or newer with npm (Debian: apt-get install npm)")?;
    let mut npm = workspace.program("npm");
    npm.current_dir(&folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    // The packages that mind the machine's own Node run on the pinned one.
    npm.arg("--loglevel=error");
    run(&mut npm)?;
    copy(&lock, &installed)
}

/// Python packages, from `e2e/requirements.txt` into `e2e/.venv`.
pub(crate) fn install_python_packages(workspace: &Workspace) -> Result<Outcome, Failed> {
    let folder = workspace.root().join("e2e");
    let lock = folder.join("requirements.txt");
    let installed = folder.join(".venv/.installed-from");
    if same_content(&lock, &installed) {
        eprintln!("e2e/.venv is already what e2e/requirements.txt says");
        return Ok(Outcome::Done(Vec::new()));
    }
    let name = "Python 3.11 or newer with venv (Debian: apt-get install python3-venv)";
    wanted(workspace, "python3", name)?;
    let mut venv = workspace.program("python3");
    run(venv.current_dir(&folder).args(["-m", "venv", "--clear", ".venv"]))
        .map_err(|Failed(why)| Failed::new(format!("{why}; needed: {name}")))?;
    let mut pip = workspace.program(folder.join(".venv/bin/python"));
    pip.current_dir(&folder).args(["-m", "pip", "install", "--quiet"]);
    pip.args(["--disable-pip-version-check", "--no-input", "--require-hashes"]);
    run(pip.args(["--only-binary", ":all:", "--requirement", "requirements.txt"]))?;
    copy(&lock, &installed)
}

/// curl is the machine's own.
pub(crate) fn curl(workspace: &Workspace) -> Result<(), Failed> {
    wanted(workspace, "curl", "curl (Debian: apt-get install curl)")
}

fn wanted(workspace: &Workspace, program: &str, name: &str) -> Result<(), Failed> {
    output_of(workspace.program(program).arg("--version"))
        .map(drop)
        .map_err(|Failed(why)| Failed::new(format!("{why}; needed: {name}")))
}

fn same_content(one: &Path, other: &Path) -> bool {
    matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other)
}

fn copy(from: &Path, to: &Path) -> Result<Outcome, Failed> {
    fs::copy(from, to)
        .map(|_| Outcome::Done(Vec::new()))
        .map_err(|error| Failed::new(format!("{}: {error}", to.display())))
}
