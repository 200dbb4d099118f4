//! `bench`, `crash` and `faults`: the measuring program, against the release binary.

use crate::{house, tree};
use anyhow::{Context, Result, bail};
use std::process::{Command, ExitCode};

/// Measures.
pub fn run(words: &[String]) -> Result<ExitCode> {
    if words.iter().all(|word| word.starts_with('-')) && !words.iter().any(|word| word == "--help") {
        bail!("say what to measure: cargo xtask bench all, or the name of one figure (cargo xtask bench --help lists them)");
    }
    hand_over(words)
}

/// Kills and counts.
pub fn crash(words: &[String]) -> Result<ExitCode> {
    hand_over_as("crash", words)
}

/// Brings faults about and judges what came of them.
pub fn faults(words: &[String]) -> Result<ExitCode> {
    hand_over_as("faults", words)
}

fn hand_over_as(task: &str, words: &[String]) -> Result<ExitCode> {
    let words: Vec<String> = std::iter::once(task.to_owned()).chain(words.iter().cloned()).collect();
    hand_over(&words)
}

fn hand_over(words: &[String]) -> Result<ExitCode> {
    house::build_with_bench()?;
    let program = tree::release("talkwire-bench");
    let status = Command::new(&program).args(words).status().with_context(|| format!("cannot start {}", program.display()))?;
    Ok(status.code().map_or(ExitCode::FAILURE, |code| ExitCode::from(u8::try_from(code).unwrap_or(1))))
}
