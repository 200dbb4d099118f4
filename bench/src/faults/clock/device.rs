//! A device whose clock jumps while somebody's change waits for its confirmation.

use super::{DRIFT, FakeClock, negative, now_s, of, second_of};
use crate::faults::controller::Controller;
use crate::faults::lone_broker::LoneBroker;
use crate::faults::relay::Relay;
use crate::faults::trials::Outcome;
use crate::keeper;
use crate::machine::Folder;
use crate::server::Process;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

const ID: &str = "keeper-1";
/// The change that nobody confirms is undone after this.
const DEADLINE: Duration = Duration::from_secs(4);
/// The command that hangs has so long.
const HANGS: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(8);

/// What a trial showed.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// By how much the deadline of the change was missed.
    pub drift: Duration,
    /// By how much the time of a command was missed.
    pub timeout_drift: Duration,
    /// Events that arrived, before, while and after the cable was cut.
    pub events: u64,
}

struct Story {
    controller: Controller,
    clock: FakeClock,
    data: std::path::PathBuf,
    asked: u64,
    broken: Vec<String>,
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
    let broker = LoneBroker::start()?;
    let cable = Relay::start(broker.addr)?;
    let controller = Controller::connect(broker.addr, "controller", &[format!("rtk/v1/home/bench/{ID}/#")])?;
    let mut story = Story { controller, clock: FakeClock::new(folder.path(), "device")?, data: folder.path().join("data"), asked: 0, broken: Vec::new() };
    let mut shown = Shown::default();
    let mut process = story.start(&cable, folder.path())?;
    story.online(0)?;
    story.change("first", 11, Duration::from_secs(60))?;
    story.manage("changeset.commit", "first")?;
    story.change("second", 12, Duration::from_secs(60))?;
    story.manage("changeset.commit", "second")?;

    story.change("silent", 3, DEADLINE)?;
    let armed = Instant::now();
    story.controller.order(ID, "hangs", "system.get_logs", &json!({}), HANGS)?;
    let ordered = Instant::now();
    std::thread::sleep(Duration::from_secs(1));
    story.clock.jump(jump)?;
    let jumped = Instant::now();
    let hung = story.controller.result(ID, "hangs", 0, PATIENCE)?;
    shown.timeout_drift = hung.at.saturating_duration_since(ordered).abs_diff(HANGS);
    if shown.timeout_drift > DRIFT || hung.body["error"]["code"] != "E_TIMEOUT" {
        story.broken.push(format!("a command of 2 s ended {} ms off with {}", shown.timeout_drift.as_millis(), hung.body["error"]));
    }
    let undone = story.controller.hear("the undoing", DEADLINE * 3, |heard| {
        (heard.topic.ends_with("/evt/changeset.rolled_back") && heard.body["data"]["changeset_id"] == "silent").then_some(heard.at)
    });
    match undone {
        Ok(at) => {
            shown.drift = at.saturating_duration_since(armed).abs_diff(DEADLINE);
            if shown.drift > DRIFT {
                story.broken.push(format!("the deadline of 4 s was missed by {} ms", shown.drift.as_millis()));
            }
        }
        Err(error) => story.broken.push(format!("{error:#}")),
    }
    story.runs(12, "what nobody confirmed is undone");
    story.believes(jumped)?;
    story.keeps_talking(jumped);

    // The cable is cut and mended: what was said meanwhile arrives.
    cable.cut_for(Duration::from_millis(700));
    shown.events = story.arrived(folder.path());

    // Killed with a change pending, and started with a clock that jumped again.
    story.change("pending", 5, Duration::from_secs(300))?;
    process.kill();
    story.runs(5, "nobody is there to undo it");
    story.clock.jump(second)?;
    let since = story.controller.count();
    let _process = story.start(&cable, folder.path())?;
    story.online(since)?;
    story.runs(12, "what was pending at the death is undone before it connects");
    let told = story.controller.hear("the undoing after the restart", PATIENCE, |heard| {
        (heard.topic.ends_with("/evt/changeset.rolled_back") && heard.body["data"]["changeset_id"] == "pending").then(|| heard.body["data"]["reason"].clone())
    });
    match told {
        Ok(reason) if reason == "restart" => {}
        Ok(reason) => story.broken.push(format!("the undoing after the restart has the reason {reason}")),
        Err(error) => story.broken.push(format!("{error:#}")),
    }
    // A command of before comes again: it is remembered, whatever the clock says.
    let again = story.ask("set-first", "wifi.set_channel", &json!({"channel": 11, "changeset_id": "first"}))?;
    if again["status"] != "completed" {
        story.broken.push(format!("a command that came again was answered with {}", again["error"]));
    }
    story.runs(12, "a command that came again is not run again");
    story.broken.iter_mut().for_each(|broken| *broken = format!("{name}, then {second_name}: {broken}"));
    Ok(Outcome { broken: story.broken, seen: shown })
}

impl Story {
    fn start(&self, cable: &Relay, folder: &Path) -> Result<Process> {
        std::fs::create_dir_all(&self.data)?;
        let mut command = self.clock.around(&std::env::current_exe()?);
        command.arg("play-keeper").arg(cable.addr.to_string()).arg(&self.data).arg(ID);
        Process::start(command, &folder.join("keeper.log"))
    }

    fn online(&self, since: usize) -> Result<()> {
        let began = Instant::now();
        while !self.controller.since(since).iter().any(|heard| heard.topic.ends_with("/lwt") && heard.body["status"] == "online") {
            ensure!(began.elapsed() < Duration::from_secs(15), "the device does not come online");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn ask(&mut self, id: &str, op: &str, args: &serde_json::Value) -> Result<serde_json::Value> {
        let answer = self.controller.ask(ID, id, op, args, PATIENCE)?;
        self.broken.extend(negative(&answer, op));
        Ok(answer)
    }

    fn change(&mut self, set: &str, channel: u64, timeout: Duration) -> Result<()> {
        let args = json!({"channel": channel, "changeset_id": set, "auto_rollback_timeout": timeout.as_secs(), "controller_loss_timeout": 60});
        let answer = self.ask(&format!("set-{set}"), "wifi.set_channel", &args)?;
        ensure!(answer["status"] == "completed", "{set} was not applied: {answer}");
        Ok(())
    }

    fn manage(&mut self, op: &str, set: &str) -> Result<()> {
        self.asked += 1;
        let answer = self.ask(&format!("manage-{}", self.asked), op, &json!({"changeset_id": set}))?;
        ensure!(answer["status"] == "completed", "{op} of {set} failed: {answer}");
        Ok(())
    }

    fn runs(&mut self, wanted: u64, why: &str) {
        match keeper::kept(&self.data) {
            Ok(found) if found == wanted => {}
            Ok(found) => self.broken.push(format!("{why}: channel {found} instead of {wanted}")),
            Err(error) => self.broken.push(format!("{error:#}")),
        }
    }

    /// Without this the trial would show nothing: the device tells the time of its false clock.
    fn believes(&self, jumped: Instant) -> Result<()> {
        let told = self.controller.hear("an event after the jump", PATIENCE, |heard| {
            (heard.topic.ends_with("/evt/tick") && heard.at > jumped + Duration::from_secs(1)).then(|| (heard.body["ts"].as_i64(), heard.at))
        })?;
        let (ts, at) = (told.0.context("an event has no time")? / 1_000, told.1);
        let since = if self.clock.is_stuck() { 0 } else { at.elapsed().as_secs() as i64 };
        let shows = self.clock.shows() - since;
        ensure!((ts - shows).abs() <= 3, "the device shows {ts}, its false clock {shows}, the true one {}", now_s());
        Ok(())
    }

    /// State every second, events all the time, nothing negative, and the connection stands.
    fn keeps_talking(&mut self, jumped: Instant) {
        let after: Vec<_> = self.controller.since(0).into_iter().filter(|heard| heard.at > jumped).collect();
        let states: Vec<_> = after.iter().filter(|heard| heard.topic.ends_with("/state")).collect();
        let span = jumped.elapsed();
        if (states.len() as u64) + 2 < span.as_secs() {
            self.broken.push(format!("{} states in {} ms", states.len(), span.as_millis()));
        }
        let uptimes: Vec<_> = states.iter().filter_map(|state| state.body["uptime_s"].as_u64()).collect();
        if uptimes.len() != states.len() || uptimes.windows(2).any(|pair| pair[1] < pair[0] || pair[1] > pair[0] + 3) {
            self.broken.push(format!("the uptime does not go on: {uptimes:?}"));
        }
        self.broken.extend(after.iter().find_map(|heard| negative(&heard.body, &heard.topic)));
        let ticks: Vec<_> = after.iter().filter(|heard| heard.topic.ends_with("/evt/tick")).map(|heard| heard.at).collect();
        let gap = ticks.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0])).max().unwrap_or(span);
        if gap > DRIFT {
            self.broken.push(format!("no event for {} ms after the jump", gap.as_millis()));
        }
        if after.iter().any(|heard| heard.topic.ends_with("/lwt")) {
            self.broken.push("the connection was lost over the jump".into());
        }
    }

    /// Every event that was kept so far is there, and came in order.
    fn arrived(&mut self, folder: &Path) -> u64 {
        let log = std::fs::read_to_string(folder.join("keeper.log")).unwrap_or_default();
        let last = log.lines().filter_map(|line| line.split(' ').next()?.parse::<u64>().ok()).max().unwrap_or_default();
        let began = Instant::now();
        loop {
            let mut first = Vec::new();
            for n in self.controller.all("/evt/tick").iter().filter_map(|heard| heard.body["data"]["n"].as_u64()) {
                if !first.contains(&n) {
                    first.push(n);
                }
            }
            if (1..=last).all(|n| first.contains(&n)) {
                if !first.is_sorted() {
                    self.broken.push("events came out of order".into());
                }
                return first.len() as u64;
            }
            if began.elapsed() > PATIENCE {
                self.broken.push(format!("{} of {last} events arrived after the cable was mended", first.len()));
                return first.len() as u64;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
