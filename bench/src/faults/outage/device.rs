//! A device of the SDK on Mosquitto: what it says while the broker is away arrives, up to what its outbox holds.

use super::judge;
use crate::chance::Chance;
use crate::faults::collector::{Collector, Heard};
use crate::faults::player::{Manner, Player};
use crate::faults::row::Row;
use crate::faults::trials::{self, Outcome};
use crate::machine::Folder;
use crate::peer::Mosquitto;
use anyhow::{Context, Result};
use serde_json::Value;
use std::time::{Duration, Instant};

const FAULT: &str = "R10";
const DEVICE: &str = "0200be0a0001";
/// So many run at the same time: each is three processes that mostly wait.
const AT_ONCE: usize = 25;
/// So many numbers are said while the broker is away, at most four a second.
const NUMBERS: u32 = 240;
/// The longest rest of the SDK between two attempts, and more for a machine that is busy.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(120 + 60);
const READY_WITHIN: Duration = Duration::from_secs(60);

/// What a trial showed.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    said: u64,
    came_again: u64,
    dropped: u64,
    back_after: Duration,
}

/// Half of the trials have an outbox that holds everything, the other half one that is too small.
pub fn run(count: u64, away: Duration, seed: u64) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let small = count / 2;
    for (is_small, count) in [(false, count - small), (true, small)] {
        let what = if is_small { "the outbox is too small" } else { "the outbox holds all" };
        rows.push((is_small, count, Row::new(FAULT, format!("device, broker killed and away {} s, {what}", away.as_secs()))));
    }
    std::thread::scope(|scope| {
        for (is_small, count, row) in &mut rows {
            scope.spawn(move || all(row, *count, *is_small, away, seed));
        }
    });
    Ok(rows.into_iter().filter(|(_, count, _)| *count > 0).map(|(.., row)| row).collect())
}

fn all(row: &mut Row, count: u64, is_small: bool, away: Duration, seed: u64) {
    let again = |number| format!("talkwire-bench faults --only outage --trials 2 --seconds {} --seed {}", away.as_secs(), seed.wrapping_add(number));
    let trial = |number| one(is_small, away, &mut Chance::new(seed.wrapping_add(number)));
    let seen = trials::run(row, count, AT_ONCE, trial, again);
    let sum = |figure: fn(&Seen) -> u64| seen.iter().map(figure).sum::<u64>();
    let slowest = seen.iter().map(|seen| seen.back_after).max().unwrap_or_default();
    let figures = [("numbers_said", sum(|seen| seen.said)), ("dropped_and_counted", sum(|seen| seen.dropped)), ("came_again", sum(|seen| seen.came_again))];
    for (name, value) in figures {
        row.figures.insert(name.into(), value.into());
    }
    row.figures.insert("back_after_s_max".into(), slowest.as_secs().into());
}

fn one(is_small: bool, away: Duration, chance: &mut Chance) -> Result<Outcome<Seen>> {
    let mut folder = Folder::new("outage")?;
    let outcome = trial(is_small, away, chance, &folder);
    if !outcome.as_ref().is_ok_and(|outcome| outcome.broken.is_empty()) {
        folder.keep();
        eprintln!("  what the device kept and printed is in {}", folder.path().display());
    }
    outcome
}

fn trial(is_small: bool, away: Duration, chance: &mut Chance, folder: &Folder) -> Result<Outcome<Seen>> {
    let mut broker = Mosquitto::start_keeping()?.context("Mosquitto is not installed (Debian and Ubuntu: apt install mosquitto)")?;
    let every = (away / NUMBERS).clamp(Duration::from_millis(50), Duration::from_millis(250));
    let numbers = (away.as_millis() / every.as_millis()) as usize;
    let outbox = if is_small { (numbers / 3).max(10) } else { 10_000 };
    let collector = Collector::open(broker.addr, "collector", "rtk/v1/home/bench/#")?;
    let manner = Manner { device_id: DEVICE.into(), every, outbox, keep_alive_s: 60, telemetry: Duration::ZERO };
    let player = Player::start(broker.addr, folder.path(), &manner)?;
    collector.wait_for(READY_WITHIN, |heard| (numbers_of(heard).len() >= 5).then_some(())).context("nothing of the device arrived")?;

    std::thread::sleep(chance.between(Duration::ZERO, Duration::from_secs(1)));
    broker.kill();
    let killed = Instant::now();
    player.wait_for("the loss being noticed", READY_WITHIN, |line| !line.online && line.waiting > 0)?;
    std::thread::sleep(away.saturating_sub(killed.elapsed()));
    broker.restart()?;
    let returned = Instant::now();
    let last_offline = player.lines().last().map_or(0, |line| line.n);
    player.wait_for("the device's return", COMES_BACK_WITHIN, |line| line.online && line.n > last_offline)?;
    let back_after = returned.elapsed();
    // A little more is said, so that what is said after the return is seen to come after what waited.
    std::thread::sleep(every * 4);
    let last = player.enough()?;
    let is_done = |heard: &[Heard]| {
        let drained = heard.iter().rev().find_map(diagnostics).is_some_and(|told| told["outbox_waiting"] == 0);
        (drained && numbers_of(heard).contains(&last)).then_some(())
    };
    let done = collector.wait_for(READY_WITHIN, is_done).is_some();
    // What would come a second time comes soon after, and the state that counts it is said every second.
    std::thread::sleep(Duration::from_millis(2_500));

    let (came, told) = collector.look(|heard| (numbers_of(heard), heard.iter().rev().find_map(diagnostics)));
    let dropped = told.as_ref().and_then(|told| told["outbox_dropped"].as_u64()).context("the device published no diagnostics")?;
    let arrival = judge::arrival(&came, last);
    let mut broken = judge::wrong(&arrival, &player.lines(), outbox as u64, dropped);
    if !done {
        broken.push(format!("not everything arrived within {} s", READY_WITHIN.as_secs()));
    }
    if is_small == (dropped == 0) {
        broken.push(format!("an outbox for {outbox} of {numbers} messages dropped {dropped}"));
    }
    Ok(Outcome { broken, seen: Seen { said: last, came_again: arrival.again, dropped, back_after } })
}

/// The numbers of the events, in the order in which they came.
pub fn numbers_of(heard: &[Heard]) -> Vec<u64> {
    let number = |heard: &Heard| serde_json::from_slice::<Value>(&heard.payload).ok()?["data"]["n"].as_u64();
    heard.iter().filter(|heard| heard.topic.contains("/evt/")).filter_map(number).collect()
}

/// The diagnostics of a state that was not kept from before.
fn diagnostics(heard: &Heard) -> Option<Value> {
    let is_news = heard.topic.ends_with("/state") && !heard.retain;
    is_news.then(|| serde_json::from_slice::<Value>(&heard.payload).ok()).flatten().map(|state| state["diagnostics"].clone())
}
