//! `lab`: a small real network in network namespaces, broken for real, and what the assistant says about it.

mod break_it;
mod case;
mod house;
mod janitor;
mod needs;
mod network;
mod provider;
mod relay;
mod router;
mod row;
mod space;
mod watch;
mod web;

use crate::{process, tree};
use anyhow::{Context, Result, bail};
use case::{CASES, Case};
use network::Network;
use row::{Row, Rows};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

pub use needs::missing;

/// Most repetitions of one call.
const TRIES: usize = 100;

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    cases: Vec<String>,
    json: bool,
    times: usize,
}

/// The task. It ends with 0 when every case was judged right, 1 when one was not, 2 when the lab could not run.
pub fn run(words: &[String]) -> Result<ExitCode> {
    match words {
        // The lab's own helpers, which it starts inside its network.
        [first, rest @ ..] if first == "relay" => return relay::run(rest),
        [first, rest @ ..] if first == "web" => return web::run(rest),
        _ => {}
    }
    let wish = match parse(words) {
        Ok(wish) => wish,
        Err(error) => {
            eprintln!("lab: {error:#}");
            return Ok(ExitCode::from(2));
        }
    };
    if let Some(missing) = missing() {
        eprintln!("lab: {}", missing.why);
        return Ok(ExitCode::from(2));
    }
    match all(&wish) {
        Ok(rows) => {
            if wish.json {
                println!("{}", rows.json());
            } else {
                print!("{}", rows.table());
            }
            Ok(if rows.all_right() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(error) => {
            eprintln!("lab: {error:#}");
            Ok(ExitCode::from(2))
        }
    }
}

/// Runs every case once, for `cargo xtask test`.
pub fn every_case() -> Result<()> {
    let rows = all(&Wish { times: 1, ..Wish::default() })?;
    eprint!("{}", rows.table());
    if !rows.all_right() {
        bail!("{} (docs/lab.md says what each case means)", rows.sum());
    }
    Ok(())
}

fn parse(words: &[String]) -> Result<Wish> {
    let mut wish = Wish { times: 1, ..Wish::default() };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => wish.json = true,
            "--case" => {
                let name = words.next().context("--case wants the name of a case")?;
                if !CASES.iter().any(|case| case.name == name) {
                    bail!("there is no case {name:?}; these there are: {}", CASES.map(|case| case.name).join(", "));
                }
                wish.cases.push(name.clone());
            }
            "--times" => {
                let times = words.next().and_then(|word| word.parse().ok()).filter(|times| (1..=TRIES).contains(times));
                wish.times = times.with_context(|| format!("--times wants a number from 1 to {TRIES}"))?;
            }
            other => bail!("lab takes --case NAME, --times N and --json, not {other:?}"),
        }
    }
    Ok(wish)
}

fn all(wish: &Wish) -> Result<Rows> {
    let binary = binary()?;
    let janitor = janitor::Janitor::start()?;
    let mut rows = Rows::default();
    for _ in 0..wish.times {
        for case in CASES.iter().filter(|case| wish.cases.is_empty() || wish.cases.iter().any(|name| name == case.name)) {
            eprintln!("▸ {}: {}", case.name, case.broken);
            let row = one(case, &binary, &janitor).with_context(|| format!("the case {} could not be run", case.name));
            // The next case finds nothing of this one, however it ended.
            janitor.sweep()?;
            let row = row?;
            eprintln!("{}", row.line());
            rows.push(row);
        }
    }
    Ok(rows)
}

fn one(case: &Case, binary: &std::path::Path, janitor: &janitor::Janitor) -> Result<Row> {
    let folder = tree::target().join("lab").join(case.name);
    let began = Instant::now();
    let mut network = Network::build(&folder, binary, janitor.prefix())?;
    let built = began.elapsed();
    (case.act)(&mut network).with_context(|| format!("breaking it: {}", case.broken))?;
    let asked = Instant::now();
    let answer = network.ask(case.complaint)?;
    Ok(Row::judge(case, &answer, asked.elapsed(), built))
}

/// The program under test, as `cargo test` builds it.
fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("TALKWIRE_LAB_BINARY") {
        return Ok(path.into());
    }
    process::timed("binary: target/debug/talkwire", || process::show(process::cargo().args(["build", "--quiet", "--package", "talkwire"])))?;
    Ok(tree::target().join("debug/talkwire"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn wishes_are_read_and_wrong_ones_named() {
        assert_eq!(parse(&words("--case dns_dead --json --times 3")).unwrap(), Wish { cases: vec!["dns_dead".into()], json: true, times: 3 });
        let error = parse(&words("--case dns_undead")).unwrap_err().to_string();
        assert!(error.contains("dns_undead") && error.contains("dns_dead"), "{error}");
        assert!(parse(&words("--times 0")).is_err() && parse(&words("--case")).is_err() && parse(&words("--keep")).is_err());
    }
}
