//! Faults that nobody chooses: a broker that is away, cables that go dead, a disk that fails, a clock that is wrong. Each is brought about for real, many times, and judged.

mod clock;
mod collector;
mod controller;
mod disk;
mod grip;
mod lone_broker;
mod outage;
mod partition;
mod player;
mod relay;
mod row;
mod trials;

use anyhow::{Result, bail};
use clap::ValueEnum;
use row::Row;
use serde_json::json;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What can be brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// The broker is killed and stays away (R10).
    Outage,
    /// Connections that stay open and carry nothing any more (R13).
    Partition,
    /// The clock jumps, stands still, or is wrong from the start (R7).
    Clock,
    /// A call of the disk fails, once or from then on (R8).
    Disk,
}

impl Fault {
    /// In the order in which they are run.
    const ALL: &'static [Self] = &[Self::Outage, Self::Partition, Self::Clock, Self::Disk];

    fn run(self, wish: &Wish) -> Result<Vec<Row>> {
        match self {
            Self::Outage => outage::run(wish),
            Self::Partition => partition::run(wish),
            Self::Clock => clock::run(wish),
            Self::Disk => disk::run(wish),
        }
    }

    fn word(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// How many trials of each case; `None`: as many as the fault itself finds right.
    pub trials: Option<u64>,
    /// How long the fault lasts; `None`: as long as the fault itself finds right.
    pub span: Option<Duration>,
    /// Where chance begins.
    pub seed: u64,
}

/// Runs the faults (all of them when `only` is empty). The exit code is 1 when anything did not hold or could not be judged.
pub fn run(only: &[Fault], trials: Option<u64>, seconds: Option<u64>, seed: Option<u64>, as_json: bool) -> Result<ExitCode> {
    if trials == Some(0) || seconds == Some(0) {
        bail!("--trials and --seconds want a number from 1 on");
    }
    let wish = Wish { trials, span: seconds.map(Duration::from_secs), seed: seed.unwrap_or_else(random_seed) };
    eprintln!("chance begins at {}: --seed {0} draws the same again", wish.seed);
    let mut rows = Vec::new();
    for fault in Fault::ALL.iter().filter(|fault| only.is_empty() || only.contains(fault)) {
        let began = Instant::now();
        eprintln!("▸ {}", fault.word());
        let found = fault.run(&wish)?;
        eprintln!("  {} took {} s", fault.word(), began.elapsed().as_secs());
        rows.extend(found);
    }
    let good = rows.iter().all(Row::is_good);
    if as_json {
        println!("{}", json!({"ok": good, "seed": wish.seed, "rows": rows.iter().map(Row::json).collect::<Vec<_>>()}));
    } else {
        rows.iter().for_each(|row| println!("{row}"));
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn random_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64 % 1_000_000_000
}
