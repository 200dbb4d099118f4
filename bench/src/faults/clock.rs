//! R7: the wall clock of a running server and of a running device jumps, stands still, or is wrong from the start (`libfaketime`).
//!
//! What waits, waits by the clock that only goes forward: deadlines, time-outs, pauses. What is told carries whatever the wall clock
//! says, and nobody's order or memory depends on it.

mod device;
mod server;

use super::Wish;
use super::row::Row;
use super::trials;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Trials of each case, two of each jump.
const TRIALS: u64 = 20;
/// Trials that run at the same time.
const AT_ONCE: usize = 4;
/// How far a deadline may drift.
const DRIFT: Duration = Duration::from_secs(1);
/// Where the library lies.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
];
/// A zone with summer time, in which every faked process lives.
const ZONE: &str = "America/New_York";

/// What the clock does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Jump {
    /// By so many seconds.
    By(i64),
    /// To that Unix second, from which it goes on.
    To(i64),
    /// It stands still.
    Stuck,
}

/// The names and what they stand for.
const JUMPS: [(&str, Jump); 10] = [
    ("an hour ahead", Jump::By(3_600)),
    ("an hour back", Jump::By(-3_600)),
    ("a year ahead", Jump::By(31_536_000)),
    ("a year back", Jump::By(-31_536_000)),
    ("stands still", Jump::Stuck),
    // 2026-03-08 07:00 and 2026-11-01 06:00 UTC, two seconds before.
    ("summer time begins", Jump::To(1_772_953_198)),
    ("summer time ends", Jump::To(1_793_512_798)),
    ("a second comes twice", Jump::By(-1)),
    ("1970", Jump::To(3_600)),
    ("2099", Jump::To(4_070_908_800)),
];

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// A clock that a process believes.
struct FakeClock {
    library: PathBuf,
    file: PathBuf,
    /// Seconds beside the true time; `None`: it stands still at the second moment.
    offset: std::sync::Mutex<(Option<i64>, i64)>,
}

impl FakeClock {
    /// A right one, told in a file of the folder.
    fn new(folder: &Path, name: &str) -> Result<Self> {
        let clock = Self { library: library()?, file: folder.join(format!("{name}.clock")), offset: std::sync::Mutex::new((Some(0), 0)) };
        clock.put(Some(0), 0)?;
        Ok(clock)
    }

    /// A command that lives by it.
    fn around(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("LD_PRELOAD", &self.library).env("FAKETIME_TIMESTAMP_FILE", &self.file).env("TZ", ZONE);
        command.envs([("FAKETIME_NO_CACHE", "1"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1"), ("DONT_FAKE_MONOTONIC", "1")]);
        command
    }

    fn put(&self, offset: Option<i64>, at: i64) -> Result<()> {
        let beside = self.file.with_extension("new");
        // A moment is read in the zone of whoever believes it; seconds of a running clock are added.
        let text = match offset {
            Some(offset) => format!("{offset:+}\n"),
            None => stopped_at(at)?,
        };
        std::fs::write(&beside, text)?;
        std::fs::rename(&beside, &self.file)?;
        *self.offset.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = (offset, at);
        Ok(())
    }

    fn jump(&self, jump: Jump) -> Result<()> {
        match jump {
            Jump::By(seconds) => self.put(Some(seconds), 0),
            Jump::To(second) => self.put(Some(second - now_s()), 0),
            Jump::Stuck => self.put(None, now_s()),
        }
    }

    fn is_stuck(&self) -> bool {
        self.offset.lock().unwrap_or_else(std::sync::PoisonError::into_inner).0.is_none()
    }

    /// What it shows now, in Unix seconds.
    fn shows(&self) -> i64 {
        match *self.offset.lock().unwrap_or_else(std::sync::PoisonError::into_inner) {
            (Some(offset), _) => now_s() + offset,
            (None, at) => at,
        }
    }
}

/// The line with which the library stops its clock: local time, as `date` tells it.
fn stopped_at(second: i64) -> Result<String> {
    let output = Command::new("date").args(["-d", &format!("@{second}"), "+%Y-%m-%d %H:%M:%S"]).env("TZ", ZONE).output().context("date cannot be started")?;
    ensure!(output.status.success(), "date does not know {second}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn library() -> Result<PathBuf> {
    let named = std::env::var_os("TALKWIRE_FAKETIME").map(PathBuf::from);
    let found = named.into_iter().chain(LIBRARIES.iter().map(PathBuf::from)).find(|path| path.exists());
    found.context("the faults of the clock need libfaketime: apt-get install faketime, or name libfaketimeMT.so.1 in TALKWIRE_FAKETIME")
}

/// Whether the library works here: a process believes another year.
fn is_possible() -> Result<()> {
    let folder = crate::machine::Folder::new("clock")?;
    let clock = FakeClock::new(folder.path(), "probe")?;
    clock.jump(Jump::By(31_536_000))?;
    let output = clock.around(Path::new("date")).arg("+%s").output().context("date cannot be started")?;
    let shown: i64 = String::from_utf8_lossy(&output.stdout).trim().parse().context("date tells no time under libfaketime")?;
    ensure!((shown - clock.shows()).abs() < 5, "libfaketime does not work here: a process that should be a year ahead shows {shown}");
    Ok(())
}

/// Device and server, one row each.
pub fn run(wish: &Wish) -> Result<Vec<Row>> {
    is_possible()?;
    let count = wish.trials.unwrap_or(TRIALS);
    let again = |number: u64| format!("cargo xtask faults --only clock --trials {} (the trial of {:?})", number + 1, of(number).0);
    let mut device = Row::new("R7", "a device of the SDK: the clock jumps while a change is pending, and again before a restart");
    let seen = trials::run(&mut device, count, AT_ONCE, device::trial, again);
    let drift = seen.iter().map(|seen| seen.drift).max().unwrap_or_default();
    let device = device
        .figure("deadline_drift_max_ms", drift.as_millis() as u64)
        .figure("command_timeout_drift_max_ms", seen.iter().map(|seen| seen.timeout_drift).max().unwrap_or_default().as_millis() as u64)
        .figure("events_arrived", seen.iter().map(|seen| seen.events).sum::<u64>());
    let mut server =
        Row::new("R7", "talkwire serve: the clock jumps under commands and proposals, and again before a restart; the device's is wrong from the start");
    let seen = trials::run(&mut server, count, AT_ONCE, server::trial, again);
    let server = server
        .figure("command_timeout_drift_max_ms", seen.iter().map(|seen| seen.timeout_drift).max().unwrap_or_default().as_millis() as u64)
        .figure("acknowledged", seen.iter().map(|seen| seen.acknowledged).sum::<u64>())
        .figure("samples_of_wrong_clocks_kept", seen.iter().map(|seen| seen.samples).sum::<u64>());
    Ok(vec![device, server])
}

fn of(number: u64) -> (&'static str, Jump) {
    JUMPS[usize::try_from(number).unwrap_or(0) % JUMPS.len()]
}

/// The jump between death and restart: another one each time that the first comes again.
fn second_of(number: u64) -> (&'static str, Jump) {
    of(number * 7 + number / 10 * 3 + 8)
}

/// The first negative number within, with its place. Nothing that is told of a time or a count is negative.
fn negative(value: &Value, place: &str) -> Option<String> {
    match value {
        Value::Number(number) => number.as_f64().filter(|number| *number < 0.0).map(|number| format!("{place} is {number}")),
        Value::Array(items) => items.iter().find_map(|item| negative(item, place)),
        Value::Object(fields) => fields.iter().find_map(|(name, field)| negative(field, &format!("{place}.{name}"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_negative_number_is_found_wherever_it_stands() {
        assert_eq!(negative(&json!({"a": [{"uptime_s": -3}]}), "state"), Some("state.a.uptime_s is -3".into()));
        assert_eq!(negative(&json!({"a": [0, 1.5], "b": "-3"}), "state"), None);
    }

    #[test]
    fn in_twenty_trials_every_jump_comes_twice_with_another_second_one() {
        for at in 0..10 {
            assert_eq!(of(at), of(at + 10));
            assert_ne!(second_of(at), second_of(at + 10));
        }
    }
}
