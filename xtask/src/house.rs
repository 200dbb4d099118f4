//! `build`: the console, and the release binary that carries it.

use crate::process::{self, timed};
use crate::{console, tools, tree};
use anyhow::{Result, anyhow};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// The binary's build script waits while the file that this variable names is there.
const PENDING: &str = "TALKWIRE_CONSOLE_PENDING";

/// What `build` makes.
const HOUSE: &[&str] = &["talkwire"];

/// The task.
pub fn run(_: &[String]) -> Result<ExitCode> {
    build()?;
    eprintln!("{}", tree::binary().display());
    Ok(ExitCode::SUCCESS)
}

/// Builds both. In a fresh clone at the same time: the binary's dependencies are compiled while the console is made.
pub fn build() -> Result<()> {
    packages(HOUSE)
}

/// Builds both, and the measuring program in the same call: two calls would choose other features of the same libraries and compile these again.
pub fn build_with_bench() -> Result<()> {
    packages(&["talkwire", "talkwire-bench"])
}

fn packages(names: &'static [&'static str]) -> Result<()> {
    tools::c_compiler()?;
    if console::is_built() {
        // Cargo looks at the page once, at its start: a page that is already there must be the right one by then.
        console::build()?;
        return binary("binary: target/release/talkwire", names, None);
    }
    tools::node()?;
    let pending = Pending::new()?;
    std::thread::scope(|scope| {
        let path = pending.0.clone();
        let compiling = scope.spawn(move || binary("binary: compile (the first time takes some minutes)", names, Some(path)));
        let console = console::build();
        drop(pending);
        let compiled = compiling.join().unwrap_or_else(|_| Err(anyhow!("the build of the binary broke off")));
        console.and(compiled)
    })
}

fn binary(name: &str, packages: &[&str], pending: Option<PathBuf>) -> Result<()> {
    timed(name, || {
        let mut cargo = process::cargo();
        cargo.args(["build", "--release"]);
        for package in packages {
            cargo.args(["--package", package]);
        }
        if let Some(path) = pending {
            cargo.env(PENDING, path);
        }
        process::show(&mut cargo)
    })
}

/// A file that is there while the console is being made.
struct Pending(PathBuf);

impl Pending {
    fn new() -> Result<Self> {
        fs::create_dir_all(tree::target())?;
        let path = tree::target().join(format!("console-pending-{}", std::process::id()));
        fs::write(&path, "")?;
        Ok(Self(path))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
