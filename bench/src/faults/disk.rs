//! R8: each call with which a server or a device writes to its disk fails, once or from then on, one trial for each.
//!
//! A rehearsal tells which calls there are: by kind, file and number. Then the same story is played for each of them with that
//! call answered by EIO or ENOSPC (`strace`), and judged: what was acknowledged is there, what was refused was refused properly,
//! nothing is half applied, and it goes on within five seconds of the disk's recovery.

mod device;
mod server;

use super::Wish;
use super::grip::{self, Injection, Seen as Call};
use super::row::Row;
use super::trials::{self, Outcome};
use crate::chance::Chance;
use anyhow::{Result, ensure};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Trials that run at the same time.
const AT_ONCE: usize = 3;
/// After the disk's recovery everything works again within this.
const RECOVERY: Duration = Duration::from_secs(5);
/// Calls with which the disk is asked to make safe what was written; an error there is never taken as success later.
const SYNCS: [&str; 3] = ["fsync", "fdatasync", "sync_file_range"];

/// One call that fails in one trial.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Point {
    call: String,
    /// Relative to the data folder.
    path: String,
    n: u64,
    error: &'static str,
    lasting: bool,
}

impl Point {
    fn injection(&self, folder: &Path) -> Injection {
        let path = if self.path.is_empty() { folder.to_owned() } else { folder.join(&self.path) };
        Injection { call: self.call.clone(), path, n: self.n, error: self.error, lasting: self.lasting }
    }

    fn site(&self) -> String {
        format!("{} {}", self.call, if self.path.is_empty() { "." } else { &self.path })
    }

    fn told(&self) -> String {
        format!("{} #{}{} {}", self.site(), self.n, if self.lasting { " and after" } else { "" }, self.error)
    }
}

/// What a trial showed.
#[derive(Debug, Clone, Default)]
struct Shown {
    /// Whether the call came at all.
    reached: bool,
    /// The process ended at its start, with a reason.
    ended_at_start: bool,
    /// Requests that were refused properly.
    refused: u64,
    /// Messages and requests that were acknowledged.
    acknowledged: u64,
    /// From the disk's recovery until everything worked.
    recovered: Option<Duration>,
}

/// Every call of the rehearsal by kind and file, with the highest number that a thread reached.
fn sites(calls: &[Call]) -> BTreeMap<(String, String), u64> {
    let mut by_thread: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    for call in calls {
        *by_thread.entry((call.call.clone(), call.path.clone(), call.thread.clone())).or_default() += 1;
    }
    let mut sites = BTreeMap::new();
    for ((call, path, _), count) in by_thread {
        let most: &mut u64 = sites.entry((call, path)).or_default();
        *most = count.max(*most);
    }
    sites
}

/// Every call fails, once or for good in turn, and with the two errors in turn; the first of its kind and file in both ways. With a
/// wish for a number: all in both ways, and every kind and file is tried before any is tried twice, at numbers that chance draws.
fn plan(sites: &BTreeMap<(String, String), u64>, wish: &Wish) -> Vec<Point> {
    let mut chance = Chance::new(wish.seed);
    let mut draw = |most: usize| chance.between(Duration::ZERO, Duration::from_micros(most as u64)).as_micros() as usize;
    let mut ranked = Vec::new();
    for ((call, path), count) in sites {
        let mut points: Vec<Point> = Vec::new();
        for n in 1..=*count {
            for lasting in [false, true] {
                if wish.trials.is_none() && n > 1 && lasting != (n % 2 == 0) {
                    continue;
                }
                let error = if (n / 2 + u64::from(lasting)) % 2 == 0 { "EIO" } else { "ENOSPC" };
                points.push(Point { call: call.clone(), path: path.clone(), n, error, lasting });
            }
        }
        if wish.trials.is_some() {
            (1..points.len()).rev().for_each(|at| points.swap(at, draw(at + 1)));
        }
        // Of the same rank, chance says which comes first.
        ranked.extend(points.into_iter().enumerate().map(|(rank, point)| if wish.trials.is_some() { ((rank, draw(1 << 20)), point) } else { ((0, 0), point) }));
    }
    ranked.sort_by_key(|(order, _)| *order);
    let most = wish.trials.map_or(usize::MAX, |trials| usize::try_from(trials).unwrap_or(usize::MAX));
    ranked.into_iter().map(|(_, point)| point).take(most).collect()
}

/// Server and device, one row each.
pub fn run(wish: &Wish) -> Result<Vec<Row>> {
    grip::is_possible()?;
    let stage = device::Stage::start()?;
    let only = std::env::var("TALKWIRE_FAULTS_SITE").ok();
    let mut rows = vec![
        judge("talkwire serve: every write of the disk fails", wish, only.as_deref(), &server::trial)?,
        judge("a device of the SDK: every write of the disk fails", wish, only.as_deref(), &|point| stage.trial(point))?,
    ];
    if let Some(only) = only {
        rows.retain(|row| row.trials + row.not_judged > 0);
        ensure!(!rows.is_empty(), "no call of the stories is named like {only:?}");
    }
    Ok(rows)
}

type Trial<'a> = dyn Fn(Option<&Point>) -> Result<(Outcome<Shown>, Vec<Call>)> + Sync + 'a;

/// `only`: the calls whose names contain this.
fn judge(case: &str, wish: &Wish, only: Option<&str>, trial: &Trial<'_>) -> Result<Row> {
    let mut row = Row::new("R8", case);
    let (rehearsal, calls) = trial(None)?;
    ensure!(rehearsal.broken.is_empty(), "with a sound disk already: {}", rehearsal.broken.join("; "));
    let sites = sites(&calls);
    let points: Vec<_> = plan(&sites, wish).into_iter().filter(|point| only.is_none_or(|only| point.told().contains(only))).collect();
    let count = points.len() as u64;
    let point = |number: u64| &points[usize::try_from(number).unwrap_or(0)];
    let one = |number: u64| {
        let point = point(number);
        let (outcome, _) = trial(Some(point))?;
        let seen = &outcome.seen;
        let word = if outcome.broken.is_empty() { "ok" } else { "WRONG" };
        let what = match seen {
            Shown { reached: false, .. } => "the call did not come".to_owned(),
            Shown { ended_at_start: true, .. } => "refused to start, and started when the disk was sound".to_owned(),
            Shown { recovered: Some(after), refused, .. } => format!("{refused} refused, all well after {} ms", after.as_millis()),
            Shown { refused, .. } => format!("{refused} refused"),
        };
        eprintln!("  {word:<5} {}: {what}", point.told());
        Ok(Outcome { broken: outcome.broken, seen: (point.clone(), outcome.seen) })
    };
    let seen = trials::run(&mut row, count, AT_ONCE, one, |number| {
        format!("TALKWIRE_FAULTS_SITE='{}' cargo xtask faults --only disk --trials 9999", point(number).told())
    });
    let reached: Vec<_> = seen.iter().filter(|(_, shown)| shown.reached).collect();
    let sum = |of: &dyn Fn(&Shown) -> u64| seen.iter().map(|(_, shown)| of(shown)).sum::<u64>();
    let slowest = reached.iter().filter_map(|(_, shown)| shown.recovered).max().unwrap_or_default();
    let mut by_site: BTreeMap<String, u64> = BTreeMap::new();
    for (point, _) in &reached {
        *by_site.entry(point.site()).or_default() += 1;
    }
    let syncs = reached.iter().filter(|(point, _)| SYNCS.contains(&point.call.as_str())).count();
    // A call that did not come again was not tried: it counts neither as held nor as failed.
    let not_reached = row.trials - reached.len() as u64;
    row.trials -= not_reached;
    Ok(row
        .figure("write_sites", sites.values().sum::<u64>())
        .figure("kinds_and_files", sites.len())
        .figure("calls_that_did_not_come_again", not_reached)
        .figure("syncs_failed", syncs)
        .figure("refused_to_start", sum(&|shown| u64::from(shown.ended_at_start)))
        .figure("refused_properly", sum(&|shown| shown.refused))
        .figure("acknowledged", sum(&|shown| shown.acknowledged))
        .figure("slowest_recovery_ms", slowest.as_millis() as u64)
        .figure("trials_by_site", json!(by_site)))
}

/// What SQLite says of a database that nobody has open; empty: nothing wrong.
fn integrity(file: &Path) -> Vec<String> {
    if !file.exists() {
        return Vec::new();
    }
    let script = "import sqlite3, sys; print('\\n'.join(r[0] for r in sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check')))";
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match Command::new("python3").args(["-c", script]).arg(file).output() {
        Ok(output) if output.status.success() && output.stdout == b"ok\n" => Vec::new(),
        Ok(output) => vec![format!("{name} is damaged: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))],
        Err(error) => vec![format!("{name} could not be checked: {error}")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> BTreeMap<(String, String), u64> {
        let call = |thread: &str, call: &str, path: &str| Call { thread: thread.into(), call: call.into(), path: path.into() };
        let calls = [call("1", "fsync", "a"), call("1", "fsync", "a"), call("2", "fsync", "a"), call("1", "pwrite64", "b")];
        sites(&calls)
    }

    fn wish(trials: Option<u64>) -> Wish {
        Wish { trials, span: None, seed: 7 }
    }

    #[test]
    fn every_number_of_every_kind_and_file_fails() {
        let points = plan(&some(), &wish(None));
        assert_eq!(points.len(), 5, "two of fsync a (the most of one thread), one of pwrite64 b; the first of each in both ways");
        let fsync: Vec<_> = points.iter().filter(|point| point.call == "fsync").map(|point| (point.n, point.error, point.lasting)).collect();
        assert_eq!(fsync, [(1, "EIO", false), (1, "ENOSPC", true), (2, "EIO", true)]);
        assert_eq!(plan(&some(), &wish(Some(100))).len(), 6, "all in both ways");
    }

    #[test]
    fn fewer_trials_still_touch_every_kind_and_file() {
        let points = plan(&some(), &wish(Some(2)));
        let mut sites: Vec<_> = points.iter().map(Point::site).collect();
        sites.sort();
        assert_eq!(sites, ["fsync a", "pwrite64 b"]);
    }
}
