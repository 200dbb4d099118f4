//! R13: connections that stay open and carry nothing any more, and clients of a server that was killed.

mod cable;
mod killed;
mod sdk;
mod victim;

use super::Wish;
use super::row::Row;
use crate::machine::Folder;
use crate::server::Server;
use anyhow::Result;

/// Connections that go dead, when nothing else is said.
const TRIALS: u64 = 200;
/// Longest keep-alive that is drawn, in seconds, when nothing else is said.
const KEEP_ALIVE: u16 = 10;
const SHORTEST_KEEP_ALIVE: u16 = 2;
/// So many of the connections have the guide's own keep-alive when nothing else is said.
const REAL: u64 = 5;
const REAL_KEEP_ALIVE: u16 = 60;

/// Runs all cases.
pub fn run(wish: &Wish) -> Result<Vec<Row>> {
    let count = wish.trials.unwrap_or(TRIALS);
    let longest = wish.span.map_or(KEEP_ALIVE, |span| u16::try_from(span.as_secs()).unwrap_or(u16::MAX).clamp(SHORTEST_KEEP_ALIVE, 600));
    let real = if wish.span.is_none() && count > REAL * 4 { REAL } else { 0 };
    let mut folder = Folder::new("partition")?;
    let server = Server::start(&folder, None)?;
    let dead = victim::run(&server, count, longest, real, wish.seed)?;
    let devices = sdk::run(&server, &folder, (count / 4).max(1), longest, wish.seed)?;
    drop(server);
    let killed = killed::run(count)?;
    let rows = vec![dead, devices, killed];
    if !rows.iter().all(Row::is_good) {
        folder.keep();
        eprintln!("  what server and devices kept and printed is in {}", folder.path().display());
    }
    Ok(rows)
}

/// A keep-alive from the shortest to the longest, in seconds.
fn keep_alive(chance: &mut crate::chance::Chance, longest: u16) -> u16 {
    let seconds = |seconds: u16| std::time::Duration::from_secs(seconds.into());
    u16::try_from(chance.between(seconds(SHORTEST_KEEP_ALIVE), seconds(longest + 1)).as_secs()).unwrap_or(longest)
}

/// The value below which this share of the values lies.
fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len().max(1)) - 1;
    values.get(at).map_or(0.0, |value| (value * 1_000.0).round() / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_hundred_values_are_these_values() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!((percentile(&mut values, 0.5), percentile(&mut values, 0.99), percentile(&mut values, 1.0)), (50.0, 99.0, 100.0));
        assert_eq!(percentile(&mut [], 0.5), 0.0);
    }

    #[test]
    fn keep_alives_reach_both_ends() {
        let mut chance = crate::chance::Chance::new(1);
        let drawn: std::collections::BTreeSet<_> = (0..500).map(|_| keep_alive(&mut chance, 10)).collect();
        assert_eq!(drawn, (2..=10).collect());
    }
}
