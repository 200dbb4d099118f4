//! Installs what the console needs and builds it, each only when something changed.

use crate::process::{self, timed};
use crate::{tools, tree};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// What a build of the console reads.
const SOURCES: [&str; 7] = ["src", "public", "index.html", "package.json", "package-lock.json", "vite.config.ts", "tsconfig.json"];

/// Whether the page in `dist` is older than its sources, or missing.
pub fn is_stale() -> bool {
    let sources: Vec<PathBuf> = SOURCES.iter().map(|name| tree::console().join(name)).collect();
    let built = fs::metadata(tree::console().join("dist/index.html")).and_then(|meta| meta.modified()).ok();
    built.is_none() || built < tree::newest(&sources)
}

/// Whether there is a page, new or old.
pub fn is_built() -> bool {
    tree::console().join("dist/index.html").is_file()
}

/// Runs `npm ci` when the lock file differs from what was installed last.
pub fn install() -> Result<()> {
    tools::node()?;
    let lock = tree::console().join("package-lock.json");
    let wanted = fs::read(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let installed = tree::console().join("node_modules/.talkwire-lock");
    if fs::read(&installed).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    timed("console: install packages (npm ci)", || process::quiet(npm().args(["ci", "--no-audit", "--no-fund"])))?;
    fs::write(&installed, wanted).with_context(|| format!("cannot write {}", installed.display()))
}

/// Builds `dist` when it is stale.
pub fn build() -> Result<()> {
    if !is_stale() {
        return Ok(());
    }
    install()?;
    timed("console: build (npm run build)", || process::quiet(npm().args(["run", "build"])))?;
    ensure!(!is_stale(), "npm run build ended well, but dist/index.html is not newer than the sources; is the clock of this machine right?");
    Ok(())
}

/// npm in the console's folder.
pub fn npm() -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(tree::console());
    npm
}
