//! `check`: what CI runs, in the order in which it fails fastest.

use crate::stage::Stages;
use crate::{process, suite, tidy};
use anyhow::{Result, ensure};
use std::process::ExitCode;

/// The task.
pub fn run(_: &[String]) -> Result<ExitCode> {
    let mut stages = Stages::default();
    stages.run("format: cargo fmt --check", || process::show(process::cargo().args(["fmt", "--all", "--check"])));
    stages.run("tidy", || {
        let found = tidy::report();
        ensure!(found == 0, "{found} places break a rule of this repository");
        Ok(())
    });
    stages
        .run("lints: cargo clippy", || process::show(process::cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"])));
    stages.run("the device SDK without its features", || {
        process::show(process::cargo().args(["check", "--quiet", "--package", "talkwire-device", "--no-default-features", "--lib"]))
    });
    licences(&mut stages);
    suite::all(&mut stages, false);
    Ok(stages.finish())
}

fn licences(stages: &mut Stages) {
    let name = "licences and sources: cargo deny";
    if process::find("cargo-deny").is_none() {
        return stages.skip(name, "cargo-deny is not installed (`cargo install cargo-deny`)");
    }
    stages.run(name, || process::show(process::cargo().args(["deny", "check", "licenses", "bans", "sources"])));
}
