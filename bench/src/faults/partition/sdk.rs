//! Devices of the SDK whose cable goes dead and is mended: they notice it, come back, are said to be online once, and lose nothing.

use super::cable::{Cable, Death};
use super::victim::status;
use super::{keep_alive, percentile};
use crate::chance::Chance;
use crate::faults::collector::{Collector, Heard};
use crate::faults::outage::judge;
use crate::faults::player::{Manner, Player};
use crate::faults::row::Row;
use crate::faults::trials::{self, Outcome};
use crate::load::device_id;
use crate::machine::Folder;
use crate::server::Server;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// A device that heard nothing for one and a half keep-alives may take this long to begin a new connection: its first rest is at most
/// two seconds, and the machine is busy.
const GRACE: Duration = Duration::from_secs(3);
const WITHIN: Duration = Duration::from_secs(60);
/// So many run at the same time, each a process.
const AT_ONCE: usize = 50;
/// Their numbers begin here, so that they are not those of other cases.
const FIRST: u64 = 0x1_0000;

#[derive(Debug, Clone, Copy)]
struct Seen {
    noticed_after: Duration,
    bound: Duration,
    came_again: u64,
    said: u64,
}

struct Place<'a> {
    server: &'a Server,
    folder: &'a Path,
    presence: Collector,
    events: Collector,
    runtime: tokio::runtime::Runtime,
}

/// Every second device also says telemetry all the time, which nobody acknowledges.
pub fn run(server: &Server, folder: &Folder, count: u64, longest: u16, seed: u64) -> Result<Row> {
    let mut row = Row::new("R13", format!("device, half-open connection that is mended, keep-alive 2 to {longest} s"));
    let place = Place {
        server,
        folder: folder.path(),
        presence: Collector::open(server.ports.mqtt, "presence-devices", "rtk/v1/home/bench/+/lwt")?,
        events: Collector::open(server.ports.mqtt, "events-devices", "rtk/v1/home/bench/+/evt/count")?,
        runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?,
    };
    let again = |number| format!("talkwire-bench faults --only partition --trials {} --seconds {longest} --seed {seed} (device {number})", count * 4);
    let trial = |number| one(number, longest, &mut Chance::new(seed.wrapping_add(FIRST + number)), &place);
    let seen = trials::run(&mut row, count, AT_ONCE, trial, again);
    let mut shares: Vec<f64> = seen.iter().map(|seen| seen.noticed_after.as_secs_f64() / seen.bound.as_secs_f64()).collect();
    Ok(row
        .figure("new_connection_of_bound_p50", percentile(&mut shares, 0.5))
        .figure("new_connection_of_bound_p99", percentile(&mut shares, 0.99))
        .figure("new_connection_of_bound_max", percentile(&mut shares, 1.0))
        .figure("numbers_said", seen.iter().map(|seen| seen.said).sum::<u64>())
        .figure("came_again", seen.iter().map(|seen| seen.came_again).sum::<u64>()))
}

fn one(number: u64, longest: u16, chance: &mut Chance, place: &Place) -> Result<Outcome<Seen>> {
    let id = device_id(usize::try_from(FIRST + number)?);
    let keep_alive_s = keep_alive(chance, longest);
    let talkative = number % 4 >= 2;
    let cable = place.runtime.block_on(Cable::lay(place.server.ports.mqtt))?;
    let manner = Manner {
        device_id: id.clone(),
        every: Duration::from_millis(500),
        outbox: 10_000,
        keep_alive_s,
        telemetry: if talkative { Duration::from_millis(100) } else { Duration::ZERO },
    };
    let player = Player::start(cable.addr, place.folder, &manner)?;
    let topic = format!("rtk/v1/home/bench/{id}/evt/count");
    let numbers = |heard: &[Heard]| -> Vec<u64> {
        let number = |heard: &Heard| serde_json::from_slice::<Value>(&heard.payload).ok()?["data"]["n"].as_u64();
        heard.iter().filter(|heard| heard.topic == topic).filter_map(number).collect()
    };
    place.events.wait_for(WITHIN, |heard| (numbers(heard).len() >= 3).then_some(())).context("nothing of the device arrived")?;
    std::thread::sleep(chance.between(Duration::ZERO, Duration::from_secs(2)));
    let death = Death::of(number);
    cable.die(death);
    let last_down = cable.last_down().context("nothing was carried")?;
    let bound = Duration::from_secs(keep_alive_s.into()) * 3 / 2 + GRACE;
    let mut noticed_after = None;
    let began = std::time::Instant::now();
    while noticed_after.is_none() && began.elapsed() < bound + WITHIN {
        std::thread::sleep(Duration::from_millis(50));
        noticed_after = cable.began(1).map(|at| at.saturating_duration_since(last_down));
    }
    let how = format!("{id}, keep-alive {keep_alive_s} s, {death:?}, {}", if talkative { "talking all the time" } else { "quiet" });
    let noticed_after = noticed_after.with_context(|| format!("{how}: the dead connection was not noticed"))?;
    let mut broken = Vec::new();
    if noticed_after > bound {
        broken.push(format!("{how}: the dead connection was noticed after {noticed_after:.1?}"));
    }
    let mine = |heard: &[Heard]| heard.iter().filter(|heard| heard.topic.contains(&id) && !heard.retain).map(status).collect::<Vec<_>>();
    place.presence.wait_for(WITHIN, |heard| (mine(heard).len() >= 3).then_some(()));
    // Long enough that the old connection's silence is noticed too, and a little more.
    std::thread::sleep(bound.saturating_sub(began.elapsed()) + Duration::from_secs(1));
    let last = player.enough()?;
    place.events.wait_for(WITHIN, |heard| numbers(heard).contains(&last).then_some(()));
    std::thread::sleep(Duration::from_millis(500));
    let arrival = judge::arrival(&place.events.look(numbers), last);
    if !arrival.missing.is_empty() || !arrival.in_order {
        broken.push(format!("{how}: of {last} numbers {:?} never came, in order: {}", arrival.missing, arrival.in_order));
    }
    let said = place.presence.look(mine);
    if said != ["online", "offline", "online"] {
        broken.push(format!("{how}: its presence was told as {said:?}"));
    }
    let late = Collector::open(place.server.ports.mqtt, &format!("late-{id}"), &format!("rtk/v1/home/bench/{id}/lwt"))?;
    let kept = late.wait_for(WITHIN, |heard| heard.iter().find(|heard| heard.retain).map(status));
    if kept.as_deref() != Some("online") {
        broken.push(format!("{how}: its kept presence says {kept:?}"));
    }
    Ok(Outcome { broken, seen: Seen { noticed_after, bound, came_again: arrival.again, said: last } })
}
