//! R10: the broker is killed with -9, stays away, and comes back with what it kept.

mod bridge;
mod device;
pub mod judge;

use super::Wish;
use super::row::Row;
use anyhow::{Result, anyhow};
use std::time::Duration;

/// How long the broker is away, when nothing else is said.
const AWAY: Duration = Duration::from_secs(60);
/// Trials with a device, when nothing else is said.
const TRIALS: u64 = 50;
/// Trials with a server on that broker, when nothing else is said: each needs the memory and the time of a whole house.
const BRIDGE_TRIALS: u64 = 8;

/// Runs all cases, at the same time: they mostly wait.
pub fn run(wish: &Wish) -> Result<Vec<Row>> {
    let away = wish.span.unwrap_or(AWAY);
    let bridges = wish.trials.map_or(BRIDGE_TRIALS, |trials| trials.min(BRIDGE_TRIALS));
    std::thread::scope(|scope| {
        let bridge = scope.spawn(|| bridge::run(bridges, away, wish.seed));
        let mut rows = device::run(wish.trials.unwrap_or(TRIALS), away, wish.seed)?;
        rows.push(bridge.join().map_err(|_| anyhow!("the trials with a server broke off"))??);
        Ok(rows)
    })
}
