//! `demo`: the whole house with a simulated home. `picture`: the console as the browser test sees it there.

use crate::server::Demo;
use crate::{browser, console, house, process, tree};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::process::{Command, ExitCode};

/// Which of the browser test's pictures stands in the README.
const PICTURE: &str = "chat-cause.png";

/// Builds, then becomes `talkwire demo`.
pub fn run(words: &[String]) -> Result<ExitCode> {
    house::build()?;
    let mut demo = Command::new(tree::binary());
    demo.arg("demo").args(words);
    become_it(demo)
}

#[cfg(unix)]
fn become_it(mut command: Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    // Only returns when it could not be started. Signals then reach the server itself, which stops in order.
    Err(command.exec()).with_context(|| format!("cannot start {}", command.get_program().display()))
}

#[cfg(not(unix))]
fn become_it(mut command: Command) -> Result<ExitCode> {
    let status = command.status().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Draws the README's picture.
pub fn picture(_: &[String]) -> Result<ExitCode> {
    let chromium = browser::find().context(browser::MISSING)?;
    console::install()?;
    house::build()?;
    let shots = tree::target().join("pictures");
    let demo = Demo::start("picture")?;
    let tried = process::show(browser::main_job(&demo.url, &chromium).env("SHOTS", &shots));
    drop(demo);
    let drawn = shots.join(PICTURE);
    ensure!(drawn.is_file(), "the browser test ended before {PICTURE} was drawn: {tried:?}");
    let folder = tree::root().join("docs/images");
    fs::create_dir_all(&folder)?;
    let kept = folder.join("console.png");
    fs::copy(&drawn, &kept).with_context(|| format!("cannot write {}", kept.display()))?;
    eprintln!("{} (look at it; all pictures are in {})", kept.display(), shots.display());
    Ok(ExitCode::SUCCESS)
}
