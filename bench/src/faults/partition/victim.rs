//! Clients whose connection goes dead: the server says their will in time, and nobody is said to be online twice.

use super::cable::{Cable, Death};
use super::{REAL_KEEP_ALIVE, keep_alive, percentile};
use crate::chance::Chance;
use crate::faults::collector::{Collector, Heard};
use crate::faults::row::Row;
use crate::faults::trials::{self, Outcome};
use crate::load::{device_id, now_ms, on_one_thread};
use crate::server::Server;
use crate::wire::{Hello, Packet, Road, Wire};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A will may come this long after one and a half keep-alives.
const GRACE: Duration = Duration::from_secs(1);
/// Whoever takes nothing of what is sent to it is given up after this, whatever its keep-alive (`Limits::stall_timeout` of the broker).
const STALL: Duration = Duration::from_secs(20);
/// A will that is later than this does not come any more.
const AT_MOST_LATE: Duration = Duration::from_secs(60);
/// Every so many clients one listens to messages so large that what it does not take piles up.
const LISTENS: u64 = 5;
const BULK_BYTES: usize = 250 * 1024;
const BULK_EVERY: Duration = Duration::from_millis(300);
const BULK_TOPIC: &str = "bulk/bench";

/// A will's delay and the keep-alive of its client.
#[derive(Debug, Clone, Copy)]
struct Seen {
    delay: Option<Duration>,
    keep_alive: Duration,
}

/// All connections at once; the first `real` of them with the guide's own keep-alive.
pub fn run(server: &Server, count: u64, longest: u16, real: u64, seed: u64) -> Result<Row> {
    let mut row = Row::new("R13", format!("server, half-open connections, keep-alive 2 to {longest} s, {real} with {REAL_KEEP_ALIVE} s"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let presence = Collector::open(server.ports.mqtt, "presence", "rtk/v1/home/bench/+/lwt")?;
    let bulk = Bulk::start(server.ports.mqtt);
    let trial = |number| {
        let mut chance = Chance::new(seed.wrapping_add(number));
        let keep_alive_s = if number < real { REAL_KEEP_ALIVE } else { keep_alive(&mut chance, longest) };
        let healthy = chance.between(Duration::from_secs(1), Duration::from_secs(4));
        one(number, keep_alive_s, healthy, server.ports.mqtt, &presence, runtime.handle())
    };
    let at_once = usize::try_from(count).unwrap_or(1);
    let again = |number| format!("talkwire-bench faults --only partition --trials {count} --seconds {longest} --seed {seed} (number {number})");
    let seen = trials::run(&mut row, count, at_once, trial, again);
    bulk.stop();
    let bound = |seen: &Seen| (seen.keep_alive * 3 / 2 + GRACE).as_secs_f64();
    let mut shares: Vec<f64> = seen.iter().filter_map(|seen| Some(seen.delay?.as_secs_f64() / bound(seen))).collect();
    let mut beyond: Vec<f64> = seen.iter().filter_map(|seen| Some(seen.delay?.as_secs_f64() - seen.keep_alive.as_secs_f64() * 1.5)).collect();
    Ok(row
        .figure("will_delay_of_bound_p50", percentile(&mut shares, 0.5))
        .figure("will_delay_of_bound_p99", percentile(&mut shares, 0.99))
        .figure("will_delay_of_bound_max", percentile(&mut shares, 1.0))
        .figure("beyond_1.5_keep_alives_s_max", percentile(&mut beyond, 1.0)))
}

fn one(number: u64, keep_alive_s: u16, healthy: Duration, server: SocketAddr, presence: &Collector, runtime: &tokio::runtime::Handle) -> Result<Outcome<Seen>> {
    let id = device_id(usize::try_from(number)?);
    let topic = format!("rtk/v1/home/bench/{id}/lwt");
    let keep_alive = Duration::from_secs(keep_alive_s.into());
    let is_mine = |heard: &&Heard| heard.topic == topic && !heard.retain;
    let cable = runtime.block_on(Cable::lay(server))?;
    let death = Death::of(number);
    let listens = number % LISTENS == 1;
    let client = runtime.spawn(talk(cable.addr, id.clone(), topic.clone(), keep_alive_s, listens));
    presence.wait_for(Duration::from_secs(60), |heard| heard.iter().any(|heard| is_mine(&heard)).then_some(())).context("a client was not let in")?;
    std::thread::sleep(healthy);
    cable.die(death);
    let bound = keep_alive * 3 / 2 + GRACE;
    let offline = presence.wait_for(bound + AT_MOST_LATE, |heard| heard.iter().filter(is_mine).find(|heard| status(heard) == "offline").map(|heard| heard.at));
    // What would be said a second time comes soon after.
    std::thread::sleep(Duration::from_millis(500));
    let last_up = cable.last_up().context("nothing was carried")?;
    client.abort();

    let mut broken = Vec::new();
    let delay = offline.map(|at| at.saturating_duration_since(last_up));
    let earliest = if listens && death == Death::Clogs { keep_alive.min(STALL) } else { keep_alive };
    let how = if listens { "listening to much" } else { "listening to nothing" };
    match delay {
        None => broken.push(format!("{id}: no will came ({death:?}, {how}, keep-alive {keep_alive_s} s)")),
        Some(delay) if delay > bound => {
            broken.push(format!("{id}: the will came {delay:.1?} after the last byte, keep-alive {keep_alive_s} s ({death:?}, {how})"))
        }
        Some(delay) if delay < earliest => {
            broken.push(format!("{id}: the will came after {delay:.1?} already, keep-alive {keep_alive_s} s ({death:?}, {how})"))
        }
        Some(_) => {}
    }
    let said = presence.look(|heard| heard.iter().filter(is_mine).map(status).collect::<Vec<_>>());
    if said != ["online", "offline"] && delay.is_some() {
        broken.push(format!("{id}: its presence was told as {said:?}"));
    }
    Ok(Outcome { broken, seen: Seen { delay, keep_alive } })
}

/// What a presence message says.
pub fn status(heard: &Heard) -> String {
    let said: Value = serde_json::from_slice(&heard.payload).unwrap_or_default();
    said["status"].as_str().unwrap_or("unreadable").to_owned()
}

/// The payload of a presence message.
pub fn presence(status: &str) -> String {
    json!({"schema": "lwt/1.0", "ts": now_ms(), "status": status}).to_string()
}

/// A client that says that it is online, and keeps its word about the keep-alive until its connection ends.
async fn talk(addr: SocketAddr, id: String, topic: String, keep_alive_s: u16, listens: bool) -> Result<()> {
    let (online, offline) = (presence("online"), presence("offline"));
    let hello = Hello { client_id: &id, keep_alive_s, will: Some((&topic, &offline)), ..Hello::default() };
    let mut wire = Wire::greet(addr, Road::Tcp, &hello).await?;
    if listens {
        wire.ask_for(BULK_TOPIC, 1);
    }
    wire.publish(&topic, online.as_bytes(), 1, true);
    wire.flush().await?;
    let mut beat = tokio::time::interval(Duration::from_secs(keep_alive_s.into()) / 2);
    loop {
        tokio::select! {
            packet = wire.next() => {
                if let Packet::Publish { id: id @ 1.., .. } = packet? {
                    wire.puback(id);
                }
            }
            _ = beat.tick() => wire.ping(),
        }
        wire.flush().await?;
    }
}

/// A publisher of large messages.
struct Bulk {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Result<()>>,
}

impl Bulk {
    fn start(addr: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let until = stop.clone();
        let thread = std::thread::spawn(move || {
            on_one_thread(async move {
                let mut wire = Wire::connect(addr, Road::Tcp, "bulk").await?;
                let payload = vec![b'x'; BULK_BYTES];
                let mut next = Instant::now();
                let mut id = 0u16;
                while !until.load(Ordering::Relaxed) {
                    id = id.checked_add(1).unwrap_or(1);
                    wire.publish(BULK_TOPIC, &payload, id, false);
                    wire.flush().await?;
                    while wire.next().await? != Packet::Puback(id) {}
                    next += BULK_EVERY;
                    tokio::time::sleep(next.saturating_duration_since(Instant::now())).await;
                }
                Ok(())
            })
        });
        Self { stop, thread }
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("  the publisher of large messages stopped: {error:#}"),
            Err(_) => eprintln!("  the publisher of large messages stopped"),
        }
    }
}
