//! One story with a server whose disk fails: messages, chat, a command, a change on a device.

use super::{Call, Outcome, Point, RECOVERY, Shown, integrity};
use crate::api::{Api, is_ready};
use crate::faults::controller::Controller;
use crate::faults::grip::{Grip, held, signal};
use crate::keeper;
use crate::load;
use crate::machine::Folder;
use crate::server::{Ports, Process, Server, binary};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use talkwire_link::LinkError;

const DEVICE: &str = "keeper-1";
const PLACE: &str = "/devices/home/bench/keeper-1";
/// Nothing is left unanswered for longer.
const PATIENCE: Duration = Duration::from_secs(12);
/// A change set is over within this: it may have to wait for its device's deadline.
const ENDED: Duration = Duration::from_secs(60);
/// Messages of one part of the story.
const MESSAGES: u64 = 6;

/// What was promised, and what was wrong.
#[derive(Default)]
struct Book {
    next: u64,
    acked: Vec<u64>,
    said: Vec<String>,
    /// Change sets that were put forward, with the channel that they set; approved or perhaps approved.
    sets: Vec<(String, u64)>,
    refused: u64,
    broken: Vec<String>,
}

impl Book {
    fn acknowledged(&self) -> u64 {
        (self.acked.len() + self.said.len() + self.sets.len()) as u64
    }

    /// An answer of the API: what it says when it is a yes. A no must be the store's.
    fn take(&mut self, what: &str, answer: Result<(u16, Value)>, other_no: bool) -> Option<Value> {
        match answer {
            Ok((200..=299, body)) => Some(body),
            Ok((503 | 507, body)) if body["code"] == "E_STORE_UNAVAILABLE" => {
                self.refused += 1;
                None
            }
            Ok((400..=499, body)) if other_no && body["code"].is_string() => None,
            // A device whose answer is not taken has not answered.
            Ok((504, body)) if other_no && body["code"] == "E_TIMEOUT" => None,
            Ok((status, body)) => {
                self.broken.push(format!("{what} was answered with {status} {} ({})", body["code"], body["detail"]));
                None
            }
            Err(error) => {
                self.broken.push(format!("{what}: {error:#}"));
                None
            }
        }
    }
}

/// Plays the story; with a point, that call fails.
pub fn trial(point: Option<&Point>) -> Result<(Outcome<Shown>, Vec<Call>)> {
    let mut folder = Folder::new("disk")?;
    let outcome = story(point, &folder);
    if !outcome.as_ref().is_ok_and(|(outcome, _)| outcome.broken.is_empty()) {
        folder.keep();
        eprintln!("      everything is kept in {}", folder.path().display());
    }
    outcome
}

fn story(point: Option<&Point>, folder: &Folder) -> Result<(Outcome<Shown>, Vec<Call>)> {
    let (ports, data) = (Ports::free()?, folder.path().join("data"));
    let (mut book, mut shown) = (Book::default(), Shown::default());
    let mut process = Server::spawn(folder, ports, held(&binary()?), &["serve"])?;
    let injection = point.map(|point| point.injection(&data));
    let mut grip = Grip::take(&process, injection.as_ref(), folder.path().join("strace.log"))?;
    let keeper_folder = folder.path().join("keeper");
    std::fs::create_dir(&keeper_folder)?;

    let mut actor = None;
    let up = wait_ready(&mut process, ports, folder)?;
    if up {
        actor = Some(start_keeper(folder, ports)?);
        let api = api(&data, ports)?;
        let mut parts = [11, 3].into_iter();
        while let Some(channel) = parts.next().filter(|_| grip.injected() == 0) {
            play(&api, ports, &mut book, channel, point.is_some());
            if grip.injected() == 0 {
                settle(&api, &|| grip.injected() > 0, &mut book);
            }
        }
        shown.reached = grip.injected() > 0;
        if shown.reached {
            let lasting = point.is_some_and(|point| point.lasting);
            if lasting && book.refused > 0 {
                says_so(ports, &mut book);
            }
            // Calls are counted in each thread: another one would fail later.
            grip.release();
            shown.recovered = Some(recovery(&mut process, &api, ports, &mut book)?);
            settle(&api, &|| false, &mut book);
            let refused = std::mem::take(&mut book.refused);
            play(&api, ports, &mut book, 8, false);
            if book.refused > 0 {
                book.broken.push(format!("{} refused after the disk had recovered", book.refused));
            }
            settle(&api, &|| false, &mut book);
            book.refused = refused;
        }
        stop(&mut process, shown.reached, &mut book)?;
    } else {
        shown.ended_at_start = true;
        if point.is_none() {
            book.broken.push("it did not start".into());
        }
    }
    let calls = grip.calls(&data);
    shown.reached |= grip.injected() > 0;
    grip.release();
    afterwards(folder, ports, actor, &mut book)?;
    (shown.refused, shown.acknowledged) = (book.refused, book.acknowledged());
    Ok((Outcome { broken: book.broken, seen: shown }, calls))
}

/// A server that refuses says so to whoever supervises it.
fn says_so(ports: Ports, book: &mut Book) {
    if is_ready(ports.http) {
        book.broken.push("it refuses, and /readyz says that it is ready".into());
    }
    let health = ureq::get(format!("http://{}/healthz", ports.http)).call().ok().and_then(|mut answer| answer.body_mut().read_json::<Value>().ok());
    if health.as_ref().is_none_or(|health| health["status"] != "degraded") {
        book.broken.push(format!("it refuses, and /healthz says {}", health.unwrap_or_default()));
    }
}

/// Killed, or asked to stop, so that the calls of the stop are tried as well.
fn stop(process: &mut Process, killed: bool, book: &mut Book) -> Result<()> {
    if !process.is_alive() {
        book.broken.push("the server ended by itself".into());
    } else if !killed {
        signal(process.id(), "TERM")?;
        let began = Instant::now();
        while process.is_alive() && began.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if process.is_alive() {
            book.broken.push("it did not stop within 10 s".into());
        }
    }
    process.kill();
    Ok(())
}

/// `false`: it ended instead, and said why.
fn wait_ready(process: &mut Process, ports: Ports, folder: &Folder) -> Result<bool> {
    let began = Instant::now();
    loop {
        if is_ready(ports.http) {
            return Ok(true);
        }
        if !process.is_alive() {
            let log = std::fs::read_to_string(folder.path().join("server.log")).unwrap_or_default();
            if log.contains("panicked") || !log.contains("talkwire: ") {
                bail!("it ended without a proper reason: {log}");
            }
            return Ok(false);
        }
        if began.elapsed() > Duration::from_secs(4) {
            // Up, but not ready: its disk refuses.
            if ureq::get(format!("http://{}/healthz", ports.http)).call().is_ok() {
                return Ok(true);
            }
            if began.elapsed() > Duration::from_secs(15) {
                bail!("it neither became ready nor ended");
            }
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

fn start_keeper(folder: &Folder, ports: Ports) -> Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("play-keeper").arg(ports.mqtt.to_string()).arg(folder.path().join("keeper")).arg(DEVICE);
    Process::start(command, &folder.path().join("keeper.log"))
}

fn api(data: &Path, ports: Ports) -> Result<Api> {
    let token = std::fs::read_to_string(data.join("owner.token")).with_context(|| format!("no token in {}", data.display()))?;
    Ok(Api::new(ports.http, token.trim()))
}

/// One part of the story. `trouble`: the disk may fail meanwhile.
fn play(api: &Api, ports: Ports, book: &mut Book, channel: u64, trouble: bool) {
    // The device joins; it cannot while nothing can be stored.
    let _ = api.wait_for(PLACE, Duration::from_secs(if trouble { 2 } else { 20 }), |device| {
        (device["online"] == true && device["capabilities"].as_array().is_some_and(|ops| ops.iter().any(|op| op == "wifi.set_channel"))).then_some(())
    });
    match Controller::connect(ports.mqtt, &format!("numbers-{channel}"), &[]) {
        Err(error) => book.broken.push(format!("{error:#}")),
        Ok(controller) => {
            for _ in 0..MESSAGES {
                let n = book.next;
                book.next += 1;
                let body: Value = serde_json::from_str(&load::event(0, n)).unwrap_or_default();
                match controller.publish(&load::event_topic(0), &body, PATIENCE) {
                    Some(Ok(())) => book.acked.push(n),
                    Some(Err(LinkError::NoRoom)) => book.refused += 1,
                    Some(Err(other)) => book.broken.push(format!("a message was answered with: {other}")),
                    None => book.broken.push("a message was not answered".into()),
                }
            }
        }
    }
    let text = format!("number {} of channel {channel}", book.next);
    let answer = api.answer("/rooms/main/messages", Some(&json!({"text": text})));
    if book.take("a chat message", answer, false).is_some() {
        book.said.push(text);
    }
    let key = json!({"tenant": "home", "site": "bench", "device_id": DEVICE});
    let mut command = json!({"op": "device.status", "args": {}, "timeout_ms": 3_000});
    merge(&mut command, &key);
    let answer = api.answer("/commands?wait=true", Some(&command));
    if let Some(done) = book.take("a command", answer, trouble)
        && done["status"] != "completed"
        && !trouble
    {
        book.broken.push(format!("a command ended as {}", done["status"]));
    }
    let mut operation = json!({"op": "wifi.set_channel", "args": {"channel": channel}});
    merge(&mut operation, &key);
    let answer = api.answer("/changesets", Some(&json!({"reason": "disk trial", "operations": [operation]})));
    if let Some(set) = book.take("a proposal", answer, trouble)
        && let (Some(id), Some(hash)) = (set["changeset_id"].as_str(), set["plan_hash"].as_str())
    {
        book.sets.push((id.to_owned(), channel));
        let answer = api.answer(&format!("/changesets/{id}/approve"), Some(&json!({"plan_hash": hash})));
        book.take("an approval", answer, trouble);
    }
}

fn merge(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        into.extend(from.clone());
    }
}

/// From now until it is ready, acknowledges, and the device answers a command.
fn recovery(process: &mut Process, api: &Api, ports: Ports, book: &mut Book) -> Result<Duration> {
    let began = Instant::now();
    let controller = Controller::connect(ports.mqtt, "recovery", &[])?;
    let mut command = json!({"op": "device.status", "args": {}, "timeout_ms": 1_000});
    merge(&mut command, &json!({"tenant": "home", "site": "bench", "device_id": DEVICE}));
    loop {
        if is_ready(ports.http) {
            let n = book.next;
            book.next += 1;
            let body: Value = serde_json::from_str(&load::event(0, n)).unwrap_or_default();
            if controller.publish(&load::event_topic(0), &body, PATIENCE) == Some(Ok(())) {
                book.acked.push(n);
                if api.answer("/commands?wait=true", Some(&command)).is_ok_and(|(_, done)| done["status"] == "completed") {
                    break;
                }
            }
        }
        if !process.is_alive() || began.elapsed() > RECOVERY * 3 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    if began.elapsed() > RECOVERY {
        book.broken.push(format!("it took {} ms to recover", began.elapsed().as_millis()));
    }
    Ok(began.elapsed())
}

/// Waits until every set is over, or until `over` says that there is no use in waiting; one that nobody approved is taken away, also one whose proposal was answered with "not stored yet".
fn settle(api: &Api, over: &dyn Fn() -> bool, book: &mut Book) {
    let mut sets = Vec::new();
    if let Err(error) = api.each("/changesets", |set| sets.extend(set["changeset_id"].as_str().map(str::to_owned))) {
        return book.broken.push(format!("{error:#}"));
    }
    for id in sets {
        let ended = api.wait_for(&format!("/changesets/{id}"), ENDED, |set| {
            let status = set["status"].as_str()?;
            (over() || matches!(status, "committed" | "rolled_back" | "proposed" | "rejected" | "expired"))
                .then(|| (status.to_owned(), set["operations"][0]["args"]["channel"].as_u64()))
        });
        match ended {
            Ok((status, channel)) => {
                if let Some(channel) = channel.filter(|_| !book.sets.iter().any(|(known, _)| *known == id)) {
                    book.sets.push((id.clone(), channel));
                }
                if !over()
                    && status == "proposed"
                    && let Err(error) = api.post(&format!("/changesets/{id}/reject"), &json!({}))
                {
                    book.broken.push(format!("a proposal could not be taken away: {error:#}"));
                }
            }
            Err(error) => book.broken.push(format!("{error:#}")),
        }
    }
}

/// Started again on a sound disk: what was promised is there, the database is whole, the device and its set agree.
fn afterwards(folder: &Folder, ports: Ports, actor: Option<Process>, book: &mut Book) -> Result<()> {
    book.broken.extend(integrity(&copy_of_database(folder)?));
    let server = match Server::start_at(folder, None, ports, &["serve"]) {
        Ok(server) => server,
        Err(error) => {
            book.broken.push(format!("on a sound disk again: {error:#}"));
            return Ok(());
        }
    };
    let api = server.api()?;
    // It runs until the end of this.
    let late = if actor.is_none() { Some(start_keeper(folder, ports)?) } else { None };
    if late.is_some() {
        play(&api, ports, book, 3, false);
        if std::mem::take(&mut book.refused) > 0 {
            book.broken.push("it refuses on a sound disk".into());
        }
        settle(&api, &|| false, book);
    }
    let mut kept = BTreeSet::new();
    api.each(&format!("/devices/home/bench/{}/events", load::device_id(0)), |event| kept.extend(event["data"]["n"].as_u64()))?;
    let lost: Vec<_> = book.acked.iter().filter(|n| !kept.contains(n)).collect();
    if !lost.is_empty() {
        book.broken.push(format!("acknowledged and lost: {lost:?}"));
    }
    let said = api.get("/rooms/main/messages?limit=200")?.to_string();
    for text in book.said.iter().filter(|text| !said.contains(text.as_str())) {
        book.broken.push(format!("sent in the chat and lost: {text}"));
    }
    // The last set that was kept is what runs.
    let mut wanted = keeper::FIRST;
    for (id, channel) in &book.sets {
        let status = api.get(&format!("/changesets/{id}")).map(|set| set["status"].as_str().unwrap_or_default().to_owned());
        match status.as_deref() {
            Ok("committed") => wanted = *channel,
            Ok("rolled_back" | "rejected" | "expired") => {}
            Ok(other) => book.broken.push(format!("a change set ended as {other:?}")),
            Err(error) => book.broken.push(format!("a change set that was acknowledged is lost: {error:#}")),
        }
    }
    let found = keeper::kept(&folder.path().join("keeper"))?;
    if found != wanted {
        book.broken.push(format!("the device runs channel {found}, its sets say {wanted}"));
    }
    let audit = api.get("/audit?limit=1")?;
    if audit["chain"]["ok"] != true {
        book.broken.push(format!("the audit's chain is broken: {}", audit["chain"]));
    }
    let log = std::fs::read_to_string(folder.path().join("server.log")).unwrap_or_default();
    if log.contains("panicked") {
        book.broken.push("something panicked; see server.log".into());
    }
    events_of_keeper(folder, &api, book)
}

/// What the device kept arrived, whatever the server's disk did.
fn events_of_keeper(folder: &Folder, api: &Api, book: &mut Book) -> Result<()> {
    let log = std::fs::read_to_string(folder.path().join("keeper.log"))?;
    let last = log.lines().filter_map(|line| line.split(' ').next()?.parse::<u64>().ok()).max().unwrap_or_default();
    let began = Instant::now();
    loop {
        let mut there = BTreeSet::new();
        let _ = api.each(&format!("{PLACE}/events"), |event| there.extend(event["data"]["n"].as_u64()));
        let missing = (1..=last).filter(|n| !there.contains(n)).count();
        if missing == 0 {
            return Ok(());
        }
        if began.elapsed() > RECOVERY * 2 {
            book.broken.push(format!("{missing} of {last} events that the device kept did not arrive"));
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A copy, so that the check itself changes nothing.
fn copy_of_database(folder: &Folder) -> Result<PathBuf> {
    let to = folder.path().join("copy");
    std::fs::create_dir(&to)?;
    for name in ["talkwire.db", "talkwire.db-wal", "talkwire.db-journal"] {
        let from = folder.path().join("data").join(name);
        if from.exists() {
            std::fs::copy(&from, to.join(name))?;
        }
    }
    Ok(to.join("talkwire.db"))
}
