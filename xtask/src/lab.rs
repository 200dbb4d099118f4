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
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

pub use needs::missing;

/// Most repetitions of one call.
const TRIES: usize = 100;
/// Most cases at the same time.
const JOBS: usize = 4;

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    cases: Vec<String>,
    json: bool,
    times: usize,
    jobs: usize,
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
    let rows = all(&Wish { times: 1, jobs: usual_jobs(), ..Wish::default() })?;
    eprint!("{}", rows.table());
    if !rows.all_right() {
        bail!("{} (docs/lab.md says what each case means)", rows.sum());
    }
    Ok(())
}

fn parse(words: &[String]) -> Result<Wish> {
    let mut wish = Wish { times: 1, jobs: usual_jobs(), ..Wish::default() };
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
            "--jobs" => {
                let jobs = words.next().and_then(|word| word.parse().ok()).filter(|jobs| (1..=JOBS).contains(jobs));
                wish.jobs = jobs.with_context(|| format!("--jobs wants a number from 1 to {JOBS}"))?;
            }
            other => bail!("lab takes --case NAME, --times N, --jobs N and --json, not {other:?}"),
        }
    }
    Ok(wish)
}

/// Two cases share two processors: one of them may fill its line, the other one mostly waits.
fn usual_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(2)
}

fn all(wish: &Wish) -> Result<Rows> {
    let binary = binary()?;
    let janitor = janitor::Janitor::start()?;
    let mut rows = Rows::default();
    for _ in 0..wish.times {
        let is_wanted = |case: &&Case| if wish.cases.is_empty() { !case.on_request } else { wish.cases.iter().any(|name| name == case.name) };
        let wanted = CASES.iter().filter(is_wanted);
        let queue = Mutex::new(Queue::of(wanted));
        let lanes = std::thread::scope(|scope| {
            let lanes: Vec<_> = (0..wish.jobs)
                .map(|number| {
                    scope.spawn({
                        let (queue, binary, janitor) = (&queue, &binary, &janitor);
                        move || lane(number, queue, binary, janitor)
                    })
                })
                .collect();
            lanes.into_iter().map(|lane| lane.join().unwrap_or_else(|_| bail!("a lane of the lab panicked"))).collect::<Vec<_>>()
        });
        let mut done = Vec::new();
        for lane in lanes {
            done.extend(lane?);
        }
        done.sort_by_key(|(place, _)| *place);
        done.into_iter().for_each(|(_, row)| rows.push(row));
    }
    Ok(rows)
}

/// The cases that wait. Only the first lane takes those that fill their line, so that two of them never meet.
struct Queue {
    filling: VecDeque<&'static Case>,
    others: VecDeque<&'static Case>,
}

impl Queue {
    fn of(cases: impl Iterator<Item = &'static Case>) -> Self {
        let (filling, others) = cases.partition(|case| case.fills_the_line);
        Self { filling, others }
    }

    fn next(&mut self, lane: usize) -> Option<&'static Case> {
        let filling = if lane == 0 { self.filling.pop_front() } else { None };
        filling.or_else(|| self.others.pop_front())
    }
}

/// Runs cases until none is left; each row with its place in the list of all cases.
fn lane(number: usize, queue: &Mutex<Queue>, binary: &Path, janitor: &janitor::Janitor) -> Result<Vec<(usize, Row)>> {
    let prefix = janitor.prefix(number);
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next(number);
    let mut rows = Vec::new();
    while let Some(case) = next() {
        eprintln!("▸ {}: {}", case.name, case.broken);
        let row = one(case, binary, &prefix).with_context(|| format!("the case {} could not be run", case.name));
        // The next case finds nothing of this one, however it ended.
        janitor::sweep(&prefix)?;
        let row = row?;
        eprintln!("{}", row.line());
        rows.push((CASES.iter().position(|known| known.name == case.name).unwrap_or_default(), row));
    }
    Ok(rows)
}

fn one(case: &Case, binary: &Path, prefix: &str) -> Result<Row> {
    let folder = tree::target().join("lab").join(case.name);
    let began = Instant::now();
    let mut network = Network::build(&folder, binary, prefix)?;
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
        let wish = parse(&words("--case dns_dead --json --times 3 --jobs 1")).unwrap();
        assert_eq!(wish, Wish { cases: vec!["dns_dead".into()], json: true, times: 3, jobs: 1 });
        let error = parse(&words("--case dns_undead")).unwrap_err().to_string();
        assert!(error.contains("dns_undead") && error.contains("dns_dead"), "{error}");
        assert!(parse(&words("--times 0")).is_err() && parse(&words("--case")).is_err() && parse(&words("--keep")).is_err());
        assert!(parse(&words("--jobs 0")).is_err());
    }

    #[test]
    fn two_cases_that_fill_their_line_never_meet() {
        let mut queue = Queue::of(CASES.iter());
        let second: Vec<_> = std::iter::from_fn(|| queue.next(1)).collect();
        let first: Vec<_> = std::iter::from_fn(|| queue.next(0)).collect();
        assert!(second.iter().all(|case| !case.fills_the_line) && first.iter().all(|case| case.fills_the_line));
        assert_eq!((first.len() + second.len(), first.is_empty(), second.is_empty()), (CASES.len(), false, false));
    }
}
