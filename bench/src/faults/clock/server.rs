//! A server whose clock jumps under commands and proposals, with a device whose clock was wrong from its start.

use super::{DRIFT, FakeClock, Jump, negative, of, second_of};
use crate::api::Api;
use crate::faults::controller::Controller;
use crate::faults::trials::Outcome;
use crate::keeper;
use crate::load;
use crate::machine::Folder;
use crate::server::{Ports, Process, Server, binary};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const DEVICE: &str = "keeper-1";
const PLACE: &str = "/devices/home/bench/keeper-1";
/// The command that the device never answers.
const HANGS: Duration = Duration::from_secs(3);
/// Its end is seen later than it was when the disk is busy with other things; by a clock's fault it would come at once, or never.
const SEEN_WITHIN: Duration = Duration::from_secs(5);
/// Every set is over within this.
const ENDED: Duration = Duration::from_secs(60);

/// What a trial showed.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// By how much the time of a command was missed.
    pub timeout_drift: Duration,
    /// Messages that were acknowledged.
    pub acknowledged: u64,
    /// Samples of a device with a wrong clock that are there.
    pub samples: u64,
}

/// Plays one jump.
pub fn trial(number: u64) -> Result<Outcome<Shown>> {
    let mut folder = Folder::new("clock")?;
    let outcome = story(number, &folder);
    if !outcome.as_ref().is_ok_and(|outcome| outcome.broken.is_empty()) {
        folder.keep();
        eprintln!("      everything is kept in {}", folder.path().display());
    }
    outcome
}

fn story(number: u64, folder: &Folder) -> Result<Outcome<Shown>> {
    let ((name, jump), (second_name, second)) = (of(number), second_of(number));
    let (ports, mut shown, mut broken) = (Ports::free()?, Shown::default(), Vec::new());
    let clock = FakeClock::new(folder.path(), "server")?;
    let mut server = Server::start_with(folder, ports, clock.around(&binary()?), &["serve"])?;
    let mut api = server.api()?;
    // The device has no battery for its clock, or one that somebody set wrongly.
    let is_ahead = number % 2 == 1;
    let own = FakeClock::new(folder.path(), "device")?;
    own.jump(if is_ahead { Jump::To(4_070_908_800) } else { Jump::To(3_600) })?;
    let _device = start_device(folder, ports, &own)?;
    joined(&api)?;

    let mut acked = publish(ports, 0, &mut broken)?;
    let before = propose(&api, 11)?;
    let timed = std::thread::spawn({
        let api = api.clone();
        move || hang(&api)
    });
    std::thread::sleep(Duration::from_secs(1));
    clock.jump(jump)?;
    acked.extend(publish(ports, 6, &mut broken)?);
    let (hung, early, late) = timed.join().map_err(|_| anyhow::anyhow!("the command's thread broke"))??;
    shown.timeout_drift = early.max(late);
    let took = hung["timings"]["ended_ms"].as_i64().zip(hung["timings"]["created_ms"].as_i64()).map(|(ended, created)| ended - created);
    // The device gives up at the same time, and its word may come after the end.
    let over = matches!(hung["status"].as_str(), Some("timed_out" | "failed_late"));
    if !over || early > DRIFT || late > SEEN_WITHIN || took.is_none_or(|took| (took - HANGS.as_millis() as i64).abs() > 1_000) {
        broken.push(format!(
            "a command of 3 s ended {} ms off as {}, and took {took:?} ms by the server's clock",
            shown.timeout_drift.as_millis(),
            hung["status"]
        ));
    }
    // A proposal of before the jump is neither expired nor eternal.
    approve(&api, &before).context("a proposal of before the jump cannot be approved")?;
    let status = ended(&api, &before.0)?;
    if status != "committed" || keeper::kept(&folder.path().join("keeper"))? != 11 {
        broken.push(format!("a change approved after the jump ended as {status}"));
    }
    shown.samples = samples(&api, is_ahead, &mut broken)?;
    in_order(&api, &mut broken)?;

    // Killed with a proposal and a change under way, and started when the clock has jumped again.
    let running = propose(&api, 3)?;
    approve(&api, &running)?;
    acked.extend(publish(ports, 12, &mut broken)?);
    server.kill();
    clock.jump(second)?;
    drop(server);
    server = Server::start_with(folder, ports, clock.around(&binary()?), &["serve"]).context("it does not start with the clock that jumped")?;
    api = server.api()?;
    let shows = api.get("/system")?["now_ms"].as_i64().unwrap_or_default() / 1_000;
    ensure!((shows - clock.shows()).abs() <= 5, "the server shows {shows}, its false clock {}", clock.shows());
    joined(&api)?;
    let status = ended(&api, &running.0)?;
    let (found, wanted) = (keeper::kept(&folder.path().join("keeper"))?, if status == "committed" { 3 } else { 11 });
    if found != wanted {
        broken.push(format!("after the restart the set is {status} and the device runs channel {found}"));
    }
    let after = propose(&api, 8)?;
    acked.extend(publish(ports, 18, &mut broken)?);

    // And with the right one at last: what the wrong one left behind expires in time.
    server.kill();
    drop(server);
    let server = Server::start_at(folder, None, ports, &["serve"]).context("it does not start with the right clock")?;
    api = server.api()?;
    let set = api.get(&format!("/changesets/{}", after.0))?;
    let (latest, now) = (set["approve_before_ms"].as_i64().unwrap_or(i64::MAX), api.get("/system")?["now_ms"].as_i64().unwrap_or_default());
    if set["status"] == "proposed" && latest > now + 301_000 {
        broken.push(format!("a proposal counts for {} s more", (latest - now) / 1_000));
    }
    let mut kept = BTreeSet::new();
    api.each(&format!("/devices/home/bench/{}/events", load::device_id(0)), |event| kept.extend(event["data"]["n"].as_u64()))?;
    let lost: Vec<_> = acked.iter().filter(|n| !kept.contains(n)).collect();
    if !lost.is_empty() {
        broken.push(format!("acknowledged and lost: {lost:?}"));
    }
    in_order(&api, &mut broken)?;
    shown.acknowledged = acked.len() as u64;
    for path in ["/system", "/commands?limit=50", "/changesets?limit=50", PLACE] {
        broken.extend(negative(&api.get(path)?, path));
    }
    let audit = api.get("/audit?limit=1")?;
    if audit["chain"]["ok"] != true {
        broken.push(format!("the audit's chain is broken: {}", audit["chain"]));
    }
    broken.iter_mut().for_each(|broken| *broken = format!("{name}, then {second_name}: {broken}"));
    Ok(Outcome { broken, seen: shown })
}

fn start_device(folder: &Folder, ports: Ports, clock: &FakeClock) -> Result<Process> {
    let data = folder.path().join("keeper");
    std::fs::create_dir_all(&data)?;
    let mut command = clock.around(&std::env::current_exe()?);
    command.arg("play-keeper").arg(ports.mqtt.to_string()).arg(data).arg(DEVICE);
    Process::start(command, &folder.path().join("keeper.log"))
}

fn joined(api: &Api) -> Result<()> {
    api.wait_for(PLACE, Duration::from_secs(15), |device| {
        (device["online"] == true && device["capabilities"].as_array().is_some_and(|ops| ops.iter().any(|op| op == "wifi.set_channel"))).then_some(())
    })
}

/// Six events from a number on; those that were acknowledged.
fn publish(ports: Ports, from: u64, broken: &mut Vec<String>) -> Result<Vec<u64>> {
    let controller = Controller::connect(ports.mqtt, &format!("numbers-{from}"), &[])?;
    let mut acked = Vec::new();
    for n in from..from + 6 {
        let body: Value = serde_json::from_str(&load::event(0, n))?;
        match controller.publish(&load::event_topic(0), &body, Duration::from_secs(5)) {
            Some(Ok(())) => acked.push(n),
            other => broken.push(format!("a message was answered with {other:?}")),
        }
    }
    Ok(acked)
}

/// The command at its end, and by how much it was too early or too late: it began between the asking and the answer.
fn hang(api: &Api) -> Result<(Value, Duration, Duration)> {
    let body = json!({"tenant": "home", "site": "bench", "device_id": DEVICE, "op": "system.get_logs", "args": {}, "timeout_ms": HANGS.as_millis() as u64});
    let asked = Instant::now();
    let (_, command) = api.answer("/commands", Some(&body))?;
    let answered = Instant::now();
    let id = command["id"].as_str().with_context(|| format!("a command has no id: {command}"))?.to_owned();
    let ended =
        api.wait_for(&format!("/commands/{id}"), Duration::from_secs(15), |command| (!command["timings"]["ended_ms"].is_null()).then(|| command.clone()))?;
    let (longest, shortest) = (asked.elapsed(), answered.elapsed());
    Ok((ended, HANGS.saturating_sub(longest), shortest.saturating_sub(HANGS)))
}

fn propose(api: &Api, channel: u64) -> Result<(String, String)> {
    let operation = json!({"tenant": "home", "site": "bench", "device_id": DEVICE, "op": "wifi.set_channel", "args": {"channel": channel}});
    let set = api.post("/changesets", &json!({"reason": "clock trial", "operations": [operation]}))?;
    let text = |name: &str| set[name].as_str().map(str::to_owned).with_context(|| format!("a proposed set has no {name}"));
    Ok((text("changeset_id")?, text("plan_hash")?))
}

fn approve(api: &Api, (id, plan_hash): &(String, String)) -> Result<()> {
    api.post(&format!("/changesets/{id}/approve"), &json!({"plan_hash": plan_hash})).map(drop)
}

fn ended(api: &Api, id: &str) -> Result<String> {
    api.wait_for(&format!("/changesets/{id}"), ENDED, |set| {
        let status = set["status"].as_str()?;
        matches!(status, "committed" | "rolled_back").then(|| status.to_owned())
    })
}

/// Samples of the wrong clock are kept where one looks for those of today, and the device is known to have a wrong clock.
fn samples(api: &Api, is_ahead: bool, broken: &mut Vec<String>) -> Result<u64> {
    let field = if is_ahead { "clock_ahead" } else { "clock_unset" };
    let flagged = api.get(PLACE)?["diagnostics"][field].as_u64().unwrap_or_default();
    if flagged == 0 {
        broken.push(format!("a device with a wrong clock is not flagged ({field})"));
    }
    let (mut count, mut misplaced) = (0, 0);
    api.each(&format!("{PLACE}/telemetry/beat"), |sample| {
        count += 1;
        misplaced += u64::from(sample["ts_ms"] != sample["received_ms"]);
    })?;
    if count == 0 || misplaced > 0 {
        broken.push(format!("{count} samples of a wrong clock are there, {misplaced} of them under its time"));
    }
    Ok(count)
}

/// Events of a device stand in the order in which the server took them, whatever any clock said.
fn in_order(api: &Api, broken: &mut Vec<String>) -> Result<()> {
    let mut numbers = Vec::new();
    api.each(&format!("/devices/home/bench/{}/events", load::device_id(0)), |event| numbers.extend(event["data"]["n"].as_u64()))?;
    if !numbers.is_sorted() && !numbers.iter().rev().is_sorted() {
        broken.push(format!("events do not stand in the order of arrival: {numbers:?}"));
    }
    Ok(())
}
