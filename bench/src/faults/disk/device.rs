//! One story with a device of the SDK whose disk fails: events through its outbox, changes through its journal.

use super::{Call, Outcome, Point, RECOVERY, Shown, integrity};
use crate::faults::controller::Controller;
use crate::faults::grip::{Grip, held};
use crate::faults::lone_broker::LoneBroker;
use crate::keeper;
use crate::machine::Folder;
use crate::server::Process;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Every command is answered within this.
const PATIENCE: Duration = Duration::from_secs(8);
/// Codes with which a device may say that its disk does not let it.
const REFUSALS: [&str; 4] = ["E_JOURNAL_UNAVAILABLE", "E_DEVICE", "E_LLM_ROLLBACK_FAILED", "E_LLM_CHANGESET_CONFLICT"];

/// The broker of all trials, which has no disk of its own.
pub struct Stage {
    broker: LoneBroker,
    next: AtomicU64,
}

impl Stage {
    /// Starts the broker.
    pub fn start() -> Result<Self> {
        Ok(Self { broker: LoneBroker::start()?, next: AtomicU64::new(1) })
    }

    /// Plays the story; with a point, that call fails.
    pub fn trial(&self, point: Option<&Point>) -> Result<(Outcome<Shown>, Vec<Call>)> {
        let id = format!("keeper-{}", self.next.fetch_add(1, Ordering::Relaxed));
        let mut folder = Folder::new("disk")?;
        let controller = Controller::connect(self.broker.addr, &format!("controller-of-{id}"), &[format!("rtk/v1/home/bench/{id}/#")])?;
        let mut story = Story { id, addr: self.broker.addr, controller, asked: 0, first_done: false, book: Book::default() };
        let outcome = story.play(point, &folder);
        if !outcome.as_ref().is_ok_and(|(outcome, _)| outcome.broken.is_empty()) {
            folder.keep();
            eprintln!("      everything is kept in {}", folder.path().display());
        }
        outcome
    }
}

#[derive(Default)]
struct Book {
    refused: u64,
    acknowledged: u64,
    broken: Vec<String>,
}

struct Story {
    id: String,
    addr: SocketAddr,
    controller: Controller,
    asked: u64,
    /// Whether the very first command was carried out.
    first_done: bool,
    book: Book,
}

impl Story {
    fn start(&self, program: Command, folder: &Folder) -> Result<Process> {
        let mut command = program;
        command.arg("play-keeper").arg(self.addr.to_string()).arg(folder.path().join("data")).arg(&self.id);
        Process::start(command, &folder.path().join("keeper.log"))
    }

    fn play(&mut self, point: Option<&Point>, folder: &Folder) -> Result<(Outcome<Shown>, Vec<Call>)> {
        let data = folder.path().join("data");
        std::fs::create_dir(&data)?;
        let mut shown = Shown::default();
        let mut process = self.start(held(&std::env::current_exe()?), folder)?;
        let injection = point.map(|point| point.injection(&data));
        let mut grip = Grip::take(&process, injection.as_ref(), folder.path().join("strace.log"))?;
        let (since, mut calls) = (Instant::now(), Vec::new());
        if self.is_online(&mut process, since, folder)? {
            let trouble = point.is_some();
            let first_done = self.changes("first", 11, &data, trouble);
            if trouble && grip.injected() == 0 {
                // Until the deadline of what nobody confirmed.
                std::thread::sleep(Duration::from_millis(1_500));
            }
            if grip.injected() == 0 {
                self.changes("other", 12, &data, trouble);
            }
            shown.reached = grip.injected() > 0;
            calls = grip.calls(&data);
            // Calls are counted in each thread: another one would fail later.
            grip.release();
            self.first_done = first_done;
            shown.recovered = Some(self.recovery(&data));
            if !process.is_alive() {
                self.book.broken.push("the device ended by itself".into());
            }
            self.arrived(folder, "while it runs");
        } else {
            shown.ended_at_start = true;
            if point.is_none() {
                self.book.broken.push("it did not start".into());
            }
        }
        shown.reached |= grip.injected() > 0;
        process.kill();
        grip.release();
        self.book.broken.extend(integrity(&data.join("outbox.db")));
        self.afterwards(folder, &data, shown.ended_at_start)?;
        let book = std::mem::take(&mut self.book);
        (shown.refused, shown.acknowledged) = (book.refused, book.acknowledged);
        Ok((Outcome { broken: book.broken, seen: shown }, calls))
    }

    /// `false`: it ended instead, and said why.
    fn is_online(&self, process: &mut Process, since: Instant, folder: &Folder) -> Result<bool> {
        let began = Instant::now();
        loop {
            if self.controller.all("/lwt").iter().any(|lwt| lwt.at >= since && lwt.body["status"] == "online") {
                return Ok(true);
            }
            if !process.is_alive() {
                let log = std::fs::read_to_string(folder.path().join("keeper.log")).unwrap_or_default();
                if log.contains("panicked") || !log.contains("talkwire-bench: ") {
                    bail!("it ended without a proper reason: {log}");
                }
                return Ok(false);
            }
            if began.elapsed() > Duration::from_secs(15) {
                bail!("it neither came online nor ended");
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    fn ask(&mut self, op: &str, args: &Value) -> Result<Value> {
        self.asked += 1;
        let id = format!("{}-{}", self.id, self.asked);
        self.controller.ask(&self.id, &id, op, args, PATIENCE)
    }

    /// `true`: done. A no must be one of the disk.
    fn order(&mut self, op: &str, args: &Value, trouble: bool) -> bool {
        match self.ask(op, args) {
            Ok(answer) if answer["status"] == "completed" => {
                self.book.acknowledged += 1;
                return true;
            }
            Ok(answer) if trouble && REFUSALS.iter().any(|code| answer["error"]["code"] == *code) => self.book.refused += 1,
            // A change that could not be made holds nothing: there is nothing to confirm or to undo.
            Ok(answer) if trouble && matches!(answer["error"]["code"].as_str(), Some("E_NOT_FOUND" | "E_CHANGESET_STATE")) => {}
            Ok(answer) => self.book.broken.push(format!("{op} was answered with {}", answer["error"])),
            Err(error) => self.book.broken.push(format!("{error:#}")),
        }
        false
    }

    fn set(&mut self, set: &str, channel: u64, timeout_s: f64, trouble: bool) -> bool {
        let args = json!({"channel": channel, "changeset_id": set, "auto_rollback_timeout": timeout_s, "controller_loss_timeout": 60});
        let before = self.book.refused;
        let done = self.order("wifi.set_channel", &args, trouble);
        if self.book.refused > before
            && let Ok(answer) = self.ask("changeset.status", &json!({"changeset_id": set}))
            && answer["result"]["state"] == "committed"
        {
            self.book.broken.push(format!("{set} was refused and is committed"));
        }
        done
    }

    /// One change that is confirmed, one that is taken back, one that nobody confirms.
    /// Whether the first of them was carried out.
    fn changes(&mut self, name: &str, channel: u64, data: &Path, trouble: bool) -> bool {
        let id = |kind: &str| format!("{name}-{kind}");
        let done = self.set(&id("kept"), channel, 60.0, trouble);
        if done && self.order("changeset.commit", &json!({"changeset_id": id("kept")}), trouble) {
            self.runs(data, channel, "confirmed");
        }
        // A commit that the journal refused leaves the change unconfirmed: it is taken back before the next.
        if trouble {
            self.free(&id("kept"));
        }
        let before = keeper::kept(data).unwrap_or_default();
        if self.set(&id("undone"), 3, 60.0, trouble) && self.order("changeset.rollback", &json!({"changeset_id": id("undone")}), trouble) {
            self.runs(data, before, "taken back");
        }
        self.set(&id("silent"), 9, 1.0, trouble);
        if !trouble {
            // Its deadline, and a moment to write it down.
            std::thread::sleep(Duration::from_millis(1_500));
            self.runs(data, before, "what nobody confirmed");
        }
        done
    }

    fn free(&mut self, set: &str) {
        if let Ok(status) = self.ask("changeset.status", &json!({"changeset_id": set}))
            && status["result"]["state"] == "pending"
        {
            self.order("changeset.rollback", &json!({"changeset_id": set}), true);
        }
    }

    fn runs(&mut self, data: &Path, wanted: u64, why: &str) {
        match keeper::kept(data) {
            Ok(found) if found == wanted => {}
            Ok(found) => self.book.broken.push(format!("{why}: channel {found} instead of {wanted}")),
            Err(error) => self.book.broken.push(format!("{error:#}")),
        }
    }

    /// From now until nothing holds the device, what nobody confirmed is undone and the disk takes the outbox again.
    fn recovery(&mut self, data: &Path) -> Duration {
        let began = Instant::now();
        let mut last = String::new();
        loop {
            let mut open = Vec::new();
            for id in ["first-kept", "first-undone", "first-silent", "other-kept", "other-undone", "other-silent"] {
                match self.ask("changeset.status", &json!({"changeset_id": id})) {
                    Ok(answer) if answer["result"]["state"] == "pending" => open.push(id),
                    Ok(_) => {}
                    Err(error) => self.book.broken.push(format!("{error:#}")),
                }
            }
            if open.is_empty() || began.elapsed() > RECOVERY * 3 {
                break;
            }
            last = open.join(", ");
            std::thread::sleep(Duration::from_millis(100));
        }
        let took = began.elapsed();
        if took > RECOVERY {
            self.book.broken.push(format!("{last} was open for {} ms after the disk had recovered", took.as_millis()));
        }
        // What the device says of each set is what runs.
        let mut wanted = keeper::FIRST;
        for (id, channel) in [("first-kept", 11), ("other-kept", 12)] {
            if let Ok(answer) = self.ask("changeset.status", &json!({"changeset_id": id}))
                && answer["result"]["state"] == "committed"
            {
                wanted = channel;
            }
        }
        self.runs(data, wanted, "after the disk had recovered");
        if self.set("second-kept", 1, 60.0, false) && self.order("changeset.commit", &json!({"changeset_id": "second-kept"}), false) {
            self.runs(data, 1, "confirmed after the disk had recovered");
        }
        took
    }

    /// Every event that was said so far arrives.
    fn arrived(&mut self, folder: &Folder, when: &str) {
        let log = std::fs::read_to_string(folder.path().join("keeper.log")).unwrap_or_default();
        let last = said(&log).map(|(n, ..)| n).max().unwrap_or_default();
        let dropped = said(&log).map(|(.., dropped)| dropped).max().unwrap_or_default();
        if dropped > 0 {
            self.book.broken.push(format!("{when}: the outbox dropped {dropped} messages"));
        }
        let began = Instant::now();
        loop {
            let there: BTreeSet<_> = self.controller.all("/evt/tick").iter().filter_map(|heard| heard.body["data"]["n"].as_u64()).collect();
            let missing = (1..=last).filter(|n| !there.contains(n)).count();
            if missing == 0 {
                return;
            }
            if began.elapsed() > RECOVERY {
                self.book.broken.push(format!("{when}: {missing} of {last} events did not arrive"));
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Killed and started again on a sound disk.
    fn afterwards(&mut self, folder: &Folder, data: &Path, never_ran: bool) -> Result<()> {
        let since = Instant::now();
        // The numbers of its events begin anew; what the first run kept is in the outbox.
        let log = folder.path().join("keeper.log");
        let first_run = std::fs::read_to_string(&log).unwrap_or_default();
        if first_run.contains("panicked") {
            self.book.broken.push("something panicked; see keeper.log".into());
        }
        std::fs::rename(&log, folder.path().join("keeper-1.log")).context("no log")?;
        let mut process = self.start(Command::new(std::env::current_exe()?), folder)?;
        if !self.is_online(&mut process, since, folder)? {
            self.book.broken.push("it does not start again on a sound disk".into());
            return Ok(());
        }
        if never_ran {
            self.runs(data, keeper::FIRST, "never ran");
            self.changes("again", 11, data, false);
        } else {
            self.runs(data, 1, "after a kill");
        }
        if self.first_done {
            // A command that comes again is answered as it was, and not run again.
            let args = json!({"channel": 11, "changeset_id": "first-kept", "auto_rollback_timeout": 60});
            let _ = self.controller.ask(&self.id, &format!("{}-1", self.id), "wifi.set_channel", &args, PATIENCE);
            self.runs(data, 1, "a command that came again");
        }
        Ok(())
    }
}

/// The lines of a keeper: number, errors, dropped.
fn said(log: &str) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
    log.lines().filter_map(|line| {
        let mut numbers = line.split(' ').map(str::parse::<u64>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?))
    })
}
