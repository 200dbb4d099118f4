//! `test`: every test there is, in stages, and a loud word about each that could not run.

use crate::server::Demo;
use crate::stage::Stages;
use crate::{browser, console, house, lab, libraries, process, tools, tree};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Tests that cannot run here append a line with the reason to the file that this variable names.
const SKIPPED: &str = "TALKWIRE_SKIPPED";

/// The task.
pub fn run(words: &[String]) -> Result<ExitCode> {
    let quick = match words {
        [] => false,
        [word] if word == "--quick" => true,
        other => bail!("test takes --quick or nothing, not {other:?}"),
    };
    let mut stages = Stages::default();
    all(&mut stages, quick);
    Ok(stages.finish())
}

/// Runs all stages.
pub fn all(stages: &mut Stages, quick: bool) {
    let has_console = match tools::node() {
        Ok(()) => stages.run("console: install and build", || console::install().and_then(|()| console::build())),
        Err(error) => stages.run("console: install and build", || Err(error)),
    };
    let python = if quick { None } else { python(stages) };
    workspace(stages, python, quick);
    fuzz(stages);
    if has_console {
        stages.run("console: types (npm run lint)", || process::show(console::npm().args(["run", "lint"])));
        stages.run("console: tests (npm test)", || process::show(console::npm().arg("test").env("CI", "true")));
    } else {
        stages.skip("console: types and tests", "the console's packages are not there (see above)");
    }
    browser(stages, has_console, quick);
    lab(stages, quick);
}

/// A small real network, broken for real.
fn lab(stages: &mut Stages, quick: bool) {
    let name = "lab: the assistant finds what is broken in a real network";
    if quick {
        return stages.skip(name, "--quick leaves it out");
    }
    match lab::missing() {
        None => drop(stages.run(name, lab::every_case)),
        Some(missing) if missing.can_be_installed && browser::is_required() => drop(stages.run(name, || bail!("{} (it is required here)", missing.why))),
        Some(missing) => stages.skip(name, &missing.why),
    }
}

fn python(stages: &mut Stages) -> Option<PathBuf> {
    let mut found = None;
    let made = stages.run("python: paho-mqtt for the documents' programs", || {
        found = libraries::python()?;
        found.is_some().then_some(()).context("there is no python3; install it (`apt install python3-venv`)")
    });
    found.filter(|_| made)
}

/// All of `cargo test`; what single tests had to leave out counts as skipped.
fn workspace(stages: &mut Stages, python: Option<PathBuf>, quick: bool) {
    let notes = tree::target().join("skipped-tests");
    stages.run("workspace: cargo test", || {
        fs::create_dir_all(tree::target())?;
        fs::write(&notes, "")?;
        let mut cargo = process::cargo();
        cargo.args(["test", "--workspace", "--no-fail-fast"]).env(SKIPPED, &notes).env("NODE_PATH", libraries::node_modules());
        if let Some(python) = python {
            cargo.env("TALKWIRE_TEST_PYTHON", python);
        }
        if quick {
            cargo.env("TALKWIRE_QUICK", "1");
        }
        process::show(&mut cargo)
    });
    for line in noted(&notes) {
        let (name, why) = line.split_once(": ").unwrap_or((line.as_str(), "no reason given"));
        stages.skip(name, why);
    }
}

fn noted(notes: &Path) -> Vec<String> {
    fs::read_to_string(notes).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// The fuzz targets still compile. They are a workspace of their own.
fn fuzz(stages: &mut Stages) {
    let name = "fuzz targets: cargo check";
    let compilers = std::env::var("CXX").ok().into_iter().chain(["c++".into(), "g++".into(), "clang++".into()]);
    if !compilers.into_iter().any(|program| process::says(&program, "--version").is_some()) {
        return stages.skip(name, "libFuzzer needs a C++ compiler; install one (`apt install g++`)");
    }
    stages.run(name, || process::show(process::cargo().args(["check", "--quiet", "--manifest-path", "fuzz/Cargo.toml"])));
}

/// The main job in a real browser, against a real demo.
fn browser(stages: &mut Stages, has_console: bool, quick: bool) {
    let name = "browser: the main job by clicking and typing";
    if quick {
        return stages.skip(name, "--quick leaves it out");
    }
    if !has_console {
        return stages.skip(name, "the console could not be built");
    }
    let Some(chromium) = browser::find() else {
        if browser::is_required() {
            stages.run(name, || bail!("{} (it is required here)", browser::MISSING));
        } else {
            stages.skip(name, browser::MISSING);
        }
        return;
    };
    stages.run(name, || {
        house::build()?;
        let demo = Demo::start("browser")?;
        process::show(&mut browser::main_job(&demo.url, &chromium))
    });
}
