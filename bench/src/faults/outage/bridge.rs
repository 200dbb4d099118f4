//! The server on Mosquitto, which is killed and stays away: nothing that it kept is lost, each thing is stored once, and what is asked
//! meanwhile is answered as it is.

use super::judge;
use crate::api::{Api, readiness};
use crate::chance::Chance;
use crate::faults::collector::{Collector, Heard};
use crate::faults::player::{Manner, Player};
use crate::faults::row::Row;
use crate::faults::trials::{self, Outcome};
use crate::machine::Folder;
use crate::peer::Mosquitto;
use crate::server::{Ports, Server};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const DEVICE: &str = "0200be0b0001";
const EVERY: Duration = Duration::from_millis(250);
const WITHIN: Duration = Duration::from_secs(60);
/// The longest rest of the SDK between two attempts, and more for a machine that is busy.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(120 + 60);
/// The longest rest of the server between two attempts, and more for a machine that is busy.
const READY_AGAIN_WITHIN: Duration = Duration::from_secs(30 + 30);

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    said: u64,
    recognised: u64,
    not_ready_after: Duration,
    ready_after: Duration,
}

/// As many trials at once as the memory carries.
pub fn run(count: u64, away: Duration, seed: u64) -> Result<Row> {
    let mut row = Row::new("R10", format!("server on Mosquitto, killed and away {} s", away.as_secs()));
    let again = |number| format!("talkwire-bench faults --only outage --trials 1 --seconds {} --seed {}", away.as_secs(), seed.wrapping_add(number));
    let trial = |number| {
        let mut folder = Folder::new("bridge")?;
        let outcome = one(away, &mut Chance::new(seed.wrapping_add(number)), &folder);
        if !outcome.as_ref().is_ok_and(|outcome| outcome.broken.is_empty()) {
            folder.keep();
            eprintln!("  what server and device kept and printed is in {}", folder.path().display());
        }
        outcome
    };
    let seen = trials::run(&mut row, count, usize::try_from(count).unwrap_or(1), trial, again);
    let longest = |figure: fn(&Seen) -> Duration| seen.iter().map(figure).max().unwrap_or_default().as_millis() as u64;
    Ok(row
        .figure("numbers_said", seen.iter().map(|seen| seen.said).sum::<u64>())
        .figure("came_again_and_recognised", seen.iter().map(|seen| seen.recognised).sum::<u64>())
        .figure("not_ready_after_ms_max", longest(|seen| seen.not_ready_after))
        .figure("ready_again_after_ms_max", longest(|seen| seen.ready_after)))
}

fn command(timeout: Duration) -> Value {
    json!({"tenant": "home", "site": "bench", "device_id": DEVICE, "op": "device.status", "args": {}, "timeout_ms": timeout.as_millis() as u64})
}

fn one(away: Duration, chance: &mut Chance, folder: &Folder) -> Result<Outcome<Seen>> {
    let mut broker = Mosquitto::start_keeping()?.context("Mosquitto is not installed (Debian and Ubuntu: apt install mosquitto)")?;
    let url = format!("mqtt://{}", broker.addr);
    let server = Server::start_at(folder, None, Ports::free()?, &["serve", "--broker", &url])?;
    let (api, http) = (server.api()?, server.ports.http);
    let room = Collector::open(broker.addr, "listener", "chatroom/messages/out")?;
    let manner = Manner { device_id: DEVICE.into(), every: EVERY, outbox: 10_000, keep_alive_s: 60, telemetry: Duration::ZERO };
    let player = Player::start(broker.addr, folder.path(), &manner)?;
    let path = format!("/devices/home/bench/{DEVICE}");
    api.wait_for(&path, WITHIN, |device| (device["online"] == true).then_some(()))?;
    let mut broken = Vec::new();
    let before = api.post("/commands?wait=true", &command(Duration::from_secs(20)))?;
    if before["status"] != "completed" {
        broken.push(format!("before the outage a command ended as {}", before["status"]));
    }

    std::thread::sleep(chance.between(Duration::ZERO, Duration::from_secs(1)));
    broker.kill();
    let killed = Instant::now();
    let not_ready = wait_for_readiness(http, 503, WITHIN);
    // What is asked now cannot be done now, and nobody may say that it is.
    let short = api.post("/commands?wait=true", &command(Duration::from_secs(2)))?;
    if !matches!(short["status"].as_str(), Some("timed_out" | "failed" | "rejected")) {
        broken.push(format!("a command of 2 s ended as {} while the broker was away", short["status"]));
    }
    let long = api.post("/commands", &command(away + COMES_BACK_WITHIN))?;
    let long = long["id"].as_str().context("a command has an id")?.to_owned();
    let said = format!("while the broker was away {}", long);
    api.post("/rooms/main/messages", &json!({"id": format!("said-{long}"), "text": said})).context("a message to the room was not taken")?;
    std::thread::sleep(away.saturating_sub(killed.elapsed()));
    let meanwhile = api.get(&format!("/commands/{long}"))?;
    if !matches!(meanwhile["status"].as_str(), Some("created" | "sent")) {
        broken.push(format!("a command stood as {} while the broker was away", meanwhile["status"]));
    }
    if not_ready.is_none() || readiness(http) != Some(503) {
        broken.push("/readyz did not say 503 while the broker was away".to_owned());
    }

    broker.restart()?;
    let ready = wait_for_readiness(http, 200, READY_AGAIN_WITHIN);
    if ready.is_none() {
        broken.push(format!("/readyz did not say 200 within {} s after the broker's return", READY_AGAIN_WITHIN.as_secs()));
    }
    let last_offline = player.lines().last().map_or(0, |line| line.n);
    player.wait_for("the device's return", COMES_BACK_WITHIN, |line| line.online && line.n > last_offline)?;
    let last = player.enough()?;
    if let Err(error) = api.wait_for(&format!("/commands/{long}"), WITHIN, |command| (command["status"] == "completed").then_some(())) {
        broken.push(format!("a command with time enough did not complete after the return: {error:#}"));
    }
    let heard = |heard: &[Heard]| heard.iter().any(|heard| String::from_utf8_lossy(&heard.payload).contains(&said)).then_some(());
    if room.wait_for(WITHIN, heard).is_none() {
        broken.push("what was said in the room did not reach the broker".to_owned());
    }
    let until = Instant::now() + WITHIN;
    while !stored(&api, &path)?.contains(&last) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(100));
    }
    // What would be stored a second time comes soon after.
    std::thread::sleep(Duration::from_millis(1_000));
    let numbers = stored(&api, &path)?;
    let arrival = judge::arrival(&numbers, last);
    if !arrival.missing.is_empty() || arrival.again > 0 {
        broken.push(format!("of {last} events {} were lost and {} stored twice", arrival.missing.len(), arrival.again));
    }
    let messages = api.get("/rooms/main/messages?limit=200")?;
    let kept = messages["items"].as_array().map_or(0, |items| items.iter().filter(|item| item["text"] == said.as_str()).count());
    if kept != 1 {
        broken.push(format!("what was said in the room is stored {kept} times"));
    }
    crate::crash::audit_holds(&server)?;
    let recognised = api.get("/system")?["broker"]["recognised"].as_u64().unwrap_or(0);
    let seen = Seen { said: last, recognised, not_ready_after: not_ready.unwrap_or_default(), ready_after: ready.unwrap_or_default() };
    Ok(Outcome { broken, seen })
}

/// The numbers of all stored events of the device.
fn stored(api: &Api, device: &str) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    api.each(&format!("{device}/events"), |event| numbers.extend(event["data"]["n"].as_u64()))?;
    Ok(numbers)
}

/// How long it took until `/readyz` said this.
fn wait_for_readiness(http: std::net::SocketAddr, status: u16, within: Duration) -> Option<Duration> {
    let began = Instant::now();
    while readiness(http) != Some(status) {
        if began.elapsed() > within {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Some(began.elapsed())
}
