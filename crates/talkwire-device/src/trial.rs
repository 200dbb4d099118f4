//! Trials of the keeper: a power cut or a failing disk at every step, and random histories against a model.

mod boot;

use crate::act::{Act, AnyAct, Applied};
use crate::clock::{Clock, Now};
use crate::disk::Disk;
use crate::keeper::{Change, Keeper};
use crate::section::section_hash;
use crate::tool::{Args, ToolError};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use talkwire_proto::command::Answer;

/// What happens to the step at which the trouble begins, and to all after it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    /// Steps fail from there on; the process lives.
    Full,
    /// One step fails, the ones after it work.
    Once,
    /// The power goes: what was not synced is lost.
    CutLosing,
    /// The power goes: everything written had reached the disk, the last write only by half.
    CutTorn,
}

#[derive(Debug, Clone, Default)]
struct Files {
    now: BTreeMap<String, Vec<u8>>,
    /// Content that is synced, by name, and the names that are synced.
    durable: BTreeMap<String, Vec<u8>>,
    synced: BTreeSet<String>,
}

/// A disk in memory that can be in trouble at a chosen step.
#[derive(Default)]
struct TrialDisk {
    files: Mutex<Files>,
    steps: AtomicU64,
    trouble: Mutex<Option<(u64, Trouble)>>,
    dead: AtomicBool,
}

impl TrialDisk {
    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap()
    }

    /// Counts a step of writing. `Err`: it fails. `Ok(true)`: it happens by half, and then the power is gone.
    fn step(&self) -> io::Result<bool> {
        if self.dead.load(Ordering::SeqCst) {
            return Err(io::Error::other("no power"));
        }
        let step = self.steps.fetch_add(1, Ordering::SeqCst);
        match *self.trouble.lock().unwrap() {
            Some((at, Trouble::Full)) if step >= at => Err(io::Error::new(io::ErrorKind::StorageFull, "no space")),
            Some((at, Trouble::Once)) if step == at => Err(io::Error::other("a bad moment")),
            Some((at, Trouble::CutLosing)) if step == at => {
                self.dead.store(true, Ordering::SeqCst);
                Err(io::Error::other("power cut"))
            }
            Some((at, Trouble::CutTorn)) if step == at => {
                self.dead.store(true, Ordering::SeqCst);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The disk as the next start finds it.
    fn after_restart(&self) -> Arc<Self> {
        let files = self.files().clone();
        let losing = matches!(*self.trouble.lock().unwrap(), Some((_, Trouble::CutLosing)));
        let now = if losing && self.dead.load(Ordering::SeqCst) { files.durable.clone() } else { files.now };
        let synced = now.keys().cloned().collect();
        Arc::new(Self { files: Mutex::new(Files { durable: now.clone(), now, synced }), ..Self::default() })
    }
}

impl Disk for TrialDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files().now.keys().cloned().collect())
    }
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.files().now.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let torn = self.step()?;
        let kept = if torn { &bytes[..bytes.len() / 2] } else { bytes };
        let mut files = self.files();
        files.synced.remove(name);
        files.now.insert(name.into(), kept.to_vec());
        if torn { Err(io::Error::other("power cut")) } else { Ok(()) }
    }
    fn sync(&self, name: &str) -> io::Result<()> {
        let cut = self.step()?;
        self.files().synced.insert(name.into());
        if cut { Err(io::Error::other("power cut")) } else { Ok(()) }
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let cut = self.step()?;
        let mut files = self.files();
        let bytes = files.now.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.now.insert(to.into(), bytes);
        if files.synced.remove(from) {
            files.synced.insert(to.into());
        } else {
            files.synced.remove(to);
        }
        if cut { Err(io::Error::other("power cut")) } else { Ok(()) }
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        let cut = self.step()?;
        self.files().now.remove(name).ok_or(io::ErrorKind::NotFound)?;
        if cut { Err(io::Error::other("power cut")) } else { Ok(()) }
    }
    fn sync_folder(&self) -> io::Result<()> {
        let cut = self.step()?;
        let mut files = self.files();
        let synced = files.synced.clone();
        // A name that is synced while its content is not points to nothing useful: to a torn file.
        files.durable = files.now.iter().map(|(name, bytes)| (name.clone(), if synced.contains(name) { bytes.clone() } else { Vec::new() })).collect();
        if cut { Err(io::Error::other("power cut")) } else { Ok(()) }
    }
}

#[derive(Default)]
struct TrialClock(Mutex<Duration>, AtomicI64);

impl TrialClock {
    fn pass(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }

    /// The wall clock jumps by so many milliseconds.
    fn set_wall(&self, by_ms: i64) {
        self.1.store(by_ms, Ordering::SeqCst);
    }
}

impl Clock for TrialClock {
    fn now(&self) -> Now {
        let steady = *self.0.lock().unwrap();
        Now { steady, unix_ms: 1_700_000_000_000 + self.1.load(Ordering::SeqCst) + i64::try_from(steady.as_millis()).unwrap() }
    }
}

/// The device's configuration: it outlives the process, and knows what was done to it.
#[derive(Default)]
struct World {
    level: Mutex<i64>,
    applied: Mutex<BTreeMap<i64, u32>>,
    power: Mutex<Option<Arc<TrialDisk>>>,
    /// Whether a boot turns it back to 0, and how many there were.
    forgets: AtomicBool,
    boots: AtomicU64,
    /// Putting back fails.
    stuck: AtomicBool,
}

impl World {
    fn level(&self) -> i64 {
        *self.level.lock().unwrap()
    }
    fn has_power(&self) -> bool {
        !self.power.lock().unwrap().as_ref().is_some_and(|disk| disk.dead.load(Ordering::SeqCst))
    }
}

struct SetLevel(Arc<World>);

impl Act for SetLevel {
    fn op(&self) -> &str {
        "lamp.set_level"
    }
    async fn check(&self, args: &Args) -> Result<Value, ToolError> {
        Ok(json!({"level": args["level"]}))
    }
    async fn capture(&self, _: &Args) -> Result<Value, ToolError> {
        Ok(json!({"level": self.0.level()}))
    }
    async fn apply(&self, args: &Args) -> Result<Applied, ToolError> {
        assert!(self.0.has_power(), "nothing is applied after the power went");
        let level = args["level"].as_i64().unwrap();
        *self.0.level.lock().unwrap() = level;
        *self.0.applied.lock().unwrap().entry(level).or_default() += 1;
        Ok(Applied::section(json!({"level": level})))
    }
    async fn restore(&self, previous: &Value) -> Result<Value, ToolError> {
        if !self.0.has_power() {
            return Err(ToolError::failed("no power"));
        }
        *self.0.level.lock().unwrap() = previous["level"].as_i64().unwrap();
        Ok(previous.clone())
    }
    fn lasting(&self, _: &Value) -> Option<String> {
        self.0.forgets.load(Ordering::SeqCst).then(|| "lamp".into())
    }
    async fn put_back(&self, section: &Value) -> Result<Value, ToolError> {
        match self.0.stuck.load(Ordering::SeqCst) {
            true => Err(ToolError::failed("the lamp is not there yet")),
            false => self.restore(section).await,
        }
    }
}

struct House {
    world: Arc<World>,
    disk: Arc<TrialDisk>,
    clock: Arc<TrialClock>,
    keeper: Keeper,
}

impl House {
    async fn new() -> Self {
        Self::start(Arc::new(World::default()), Arc::new(TrialDisk::default())).await
    }

    async fn start(world: Arc<World>, disk: Arc<TrialDisk>) -> Self {
        *world.power.lock().unwrap() = Some(disk.clone());
        let clock = Arc::new(TrialClock::default());
        let act: Arc<dyn AnyAct> = Arc::new(SetLevel(world.clone()));
        let acts = BTreeMap::from([("lamp.set_level".to_owned(), act)]);
        let boot = format!("boot {}", world.boots.load(Ordering::SeqCst));
        let mut keeper = Keeper::open(acts, disk.clone(), clock.clone(), false, Some(boot)).unwrap();
        keeper.tick().await;
        keeper.put_back().await;
        Self { world, disk, clock, keeper }
    }

    async fn restart(self) -> Self {
        let disk = self.disk.after_restart();
        Self::start(self.world, disk).await
    }

    async fn set(&mut self, id: &str, set: &str, level: i64) -> Answer {
        let args = json!({"level": level, "changeset_id": set, "auto_rollback_timeout": 100, "controller_loss_timeout": 30});
        let args = Args(args.as_object().unwrap().clone());
        self.keeper.change(Change { id: id.into(), op: "lamp.set_level".into(), args, timeout: Duration::from_secs(5) }).await
    }

    async fn manage(&mut self, op: &str, set: &str) -> Result<Value, ToolError> {
        let args = json!({"changeset_id": set, "timeout_s": 100});
        self.keeper.manage(op, &Args(args.as_object().unwrap().clone())).await
    }

    async fn rehearse(&mut self, set: &str) -> Result<Value, ToolError> {
        let args = json!({"changeset_id": set, "op": "lamp.set_level", "args": {"level": 99}, "timeout_s": 100});
        self.keeper.manage("changeset.rehearse", &Args(args.as_object().unwrap().clone())).await
    }

    fn trouble(&self, after: u64, trouble: Trouble) {
        *self.disk.trouble.lock().unwrap() = Some((self.disk.steps.load(Ordering::SeqCst) + after, trouble));
    }

    async fn state(&mut self, set: &str) -> String {
        self.manage("changeset.status", set).await.unwrap()["state"].as_str().unwrap().to_owned()
    }
}

fn ok(answer: &Answer) -> bool {
    answer.error.is_none()
}

#[tokio::test]
async fn a_power_cut_at_any_step_of_a_change_leaves_what_was_there_after_the_restart() {
    let mut cuts = 0;
    for trouble in [Trouble::CutLosing, Trouble::CutTorn] {
        for after in 0..12 {
            let mut house = House::new().await;
            assert!(ok(&house.set("a", "first", 3).await));
            house.manage("changeset.commit", "first").await.unwrap();
            house.trouble(after, trouble);
            house.set("b", "second", 7).await;
            let cut = house.disk.dead.load(Ordering::SeqCst);
            cuts += usize::from(cut);
            let mut house = house.restart().await;
            assert_eq!(house.world.level(), 3, "{trouble:?} at step {after}");
            assert_ne!(house.state("second").await, "pending");
            let repeated = house.set("b", "second", 7).await;
            let times = house.world.applied.lock().unwrap().get(&7).copied().unwrap_or(0);
            // Cut between the entry and the change, it was written down and never ran: then the repeat says that it failed.
            assert!(times == 1 || (times == 0 && !ok(&repeated)), "never both before the cut and when repeated: {trouble:?} at step {after}");
            let held = house.state("second").await == "pending";
            assert_eq!(ok(&house.set("c", "third", 9).await), !held, "the device is usable");
        }
    }
    assert_eq!(cuts, 16, "a change has eight steps of writing, and the power went at each, in two ways");
}

#[tokio::test]
async fn a_power_cut_at_any_step_of_a_confirmation_leaves_the_old_or_the_new_and_the_journal_agrees() {
    let mut outcomes = BTreeSet::new();
    for trouble in [Trouble::CutLosing, Trouble::CutTorn] {
        for after in 0..4 {
            let mut house = House::new().await;
            assert!(ok(&house.set("a", "s", 7).await));
            house.trouble(after, trouble);
            assert!(house.manage("changeset.commit", "s").await.is_err(), "a cut confirmation is never said to be one");
            let mut house = house.restart().await;
            let state = house.state("s").await;
            let expected = if state == "committed" { 7 } else { 0 };
            assert_eq!(house.world.level(), expected, "{state}: {trouble:?} at step {after}");
            outcomes.insert(state);
        }
    }
    assert_eq!(outcomes, BTreeSet::from(["committed".to_owned(), "rolled_back".to_owned()]));
}

#[tokio::test]
async fn a_power_cut_at_any_step_of_undoing_ends_undone() {
    for trouble in [Trouble::CutLosing, Trouble::CutTorn] {
        for after in 0..4 {
            let mut house = House::new().await;
            assert!(ok(&house.set("a", "s", 7).await) && ok(&house.set("b", "s", 8).await));
            house.trouble(after, trouble);
            house.clock.pass(Duration::from_secs(101));
            house.keeper.tick().await;
            let mut house = house.restart().await;
            assert_eq!((house.world.level(), house.state("s").await.as_str()), (0, "rolled_back"), "{trouble:?} at step {after}");
            assert_eq!(house.keeper.reports().len(), 1, "and it is still reported");
        }
    }
}

#[tokio::test]
async fn a_clock_that_jumps_makes_the_device_forget_no_command() {
    let mut house = House::new().await;
    assert!(ok(&house.set("a", "first", 3).await));
    house.manage("changeset.commit", "first").await.unwrap();
    assert!(ok(&house.set("b", "second", 7).await));
    // Set by the network after a start in 1970: half a century at once, and only a second has passed.
    house.clock.set_wall(50 * 365 * 86_400_000);
    house.clock.pass(Duration::from_secs(101));
    house.keeper.tick().await;
    for report in house.keeper.reports() {
        house.keeper.reported(&report.key, true).await;
    }
    let mut house = house.restart().await;
    house.set("a", "first", 3).await;
    let times = house.world.applied.lock().unwrap().get(&3).copied();
    assert_eq!((times, house.state("first").await.as_str()), (Some(1), "committed"), "a command that comes again is not run again");
}

#[tokio::test]
async fn a_full_disk_refuses_the_change_and_changes_nothing() {
    for after in 0..4 {
        let mut house = House::new().await;
        house.trouble(after, Trouble::Full);
        let refused = house.set("a", "s", 7).await;
        assert_eq!(refused.error.unwrap().code, "E_JOURNAL_UNAVAILABLE", "step {after}");
        assert_eq!(house.world.level(), 0);
        *house.disk.trouble.lock().unwrap() = None;
        assert!(ok(&house.set("b", "other", 5).await), "when there is room again, it works");
        house.manage("changeset.commit", "other").await.unwrap();
        let house = house.restart().await;
        assert_eq!(house.world.level(), 5, "what was refused does not come back to undo what was confirmed");
    }
}

#[tokio::test]
async fn a_disk_that_fails_while_undoing_keeps_the_device_held_until_the_end_is_written() {
    let mut house = House::new().await;
    assert!(ok(&house.set("a", "s", 7).await));
    house.trouble(0, Trouble::Full);
    house.clock.pass(Duration::from_secs(101));
    house.keeper.tick().await;
    assert_eq!(house.world.level(), 0, "restored at once");
    let refused = house.set("b", "other", 5).await;
    assert_eq!(refused.error.unwrap().code, "E_LLM_CHANGESET_CONFLICT");
    *house.disk.trouble.lock().unwrap() = None;
    house.clock.pass(house.keeper.wake_in().unwrap());
    house.keeper.tick().await;
    assert_eq!(house.state("s").await, "rolled_back");
    assert!(ok(&house.set("c", "other", 5).await));
}

#[derive(Debug, Clone)]
enum Move {
    Apply { set: u8 },
    Repeat { nth: u8 },
    Rehearse { set: u8 },
    Extend { set: u8 },
    Commit { set: u8 },
    Rollback { set: u8 },
    Pass { seconds: u8 },
    LinkDown,
    LinkUp,
    Restart,
    BadMoment { after: u8 },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        5 => (0..4u8).prop_map(|set| Move::Apply { set }),
        2 => any::<u8>().prop_map(|nth| Move::Repeat { nth }),
        1 => (0..4u8).prop_map(|set| Move::Rehearse { set }),
        1 => (0..4u8).prop_map(|set| Move::Extend { set }),
        2 => (0..4u8).prop_map(|set| Move::Commit { set }),
        1 => (0..4u8).prop_map(|set| Move::Rollback { set }),
        2 => (1..60u8).prop_map(|seconds| Move::Pass { seconds }),
        1 => Just(Move::LinkDown),
        1 => Just(Move::LinkUp),
        1 => Just(Move::Restart),
        1 => (0..8u8).prop_map(|after| Move::BadMoment { after }),
    ];
    proptest::collection::vec(one, 1..40)
}

/// What must be true, said as simply as possible: the confirmed level, and the one set that may be on top of it.
#[derive(Debug, Default)]
struct Model {
    confirmed: i64,
    pending: Option<Pending>,
    ended: BTreeSet<u8>,
    now: u64,
    lost_at: Option<u64>,
}

#[derive(Debug)]
struct Pending {
    set: u8,
    level: i64,
    deadline: u64,
}

impl Model {
    fn level(&self) -> i64 {
        self.pending.as_ref().map_or(self.confirmed, |pending| pending.level)
    }
    fn undo(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.ended.insert(pending.set);
        }
    }
    fn settle(&mut self) {
        let late = |pending: &Pending| pending.deadline <= self.now || self.lost_at.is_some_and(|at| at + 30 <= self.now);
        if self.pending.as_ref().is_some_and(late) {
            self.undo();
        }
    }
}

async fn play(moves: Vec<Move>) {
    let (mut house, mut model) = (House::new().await, Model::default());
    let mut sent: Vec<(String, u8, i64)> = Vec::new();
    let mut reported = BTreeMap::<String, u32>::new();
    for (at, step) in moves.into_iter().enumerate() {
        *house.disk.trouble.lock().unwrap() = None;
        match &step {
            Move::Apply { set } => {
                let level = i64::try_from(at).unwrap() + 1;
                let id = format!("c{at}");
                let answer = house.set(&id, &format!("s{set}"), level).await;
                let may = !model.ended.contains(set) && model.pending.as_ref().is_none_or(|pending| pending.set == *set);
                assert_eq!(ok(&answer), may, "{step:?} {answer:?} {model:?}");
                if may {
                    let deadline = model.pending.as_ref().map_or(0, |pending| pending.deadline).max(model.now + 100);
                    model.pending = Some(Pending { set: *set, level, deadline });
                    sent.push((id, *set, level));
                }
            }
            Move::Repeat { nth } if !sent.is_empty() => {
                let (id, set, level) = sent[usize::from(*nth) % sent.len()].clone();
                assert!(ok(&house.set(&id, &format!("s{set}"), level).await), "answered as it was then");
            }
            Move::Repeat { .. } => {}
            // Holds the device as a change does, and changes nothing.
            Move::Rehearse { set } => {
                let number = 20 + set;
                let answer = house.rehearse(&format!("r{set}")).await;
                let may = !model.ended.contains(&number) && model.pending.as_ref().is_none_or(|pending| pending.set == number);
                assert_eq!(answer.is_ok(), may, "{step:?} {answer:?} {model:?}");
                if may && model.pending.is_none() {
                    model.pending = Some(Pending { set: number, level: model.confirmed, deadline: model.now + 100 });
                }
            }
            Move::Extend { set } => {
                let extended = house.manage("changeset.extend", &format!("s{set}")).await;
                let holding = model.pending.as_mut().filter(|pending| pending.set == *set);
                assert_eq!(extended.is_ok(), holding.is_some());
                if let Some(pending) = holding {
                    pending.deadline = model.now + 100;
                }
            }
            Move::Commit { set } => {
                let was_committed = house.state(&format!("s{set}")).await == "committed";
                let committed = house.manage("changeset.commit", &format!("s{set}")).await;
                let holding = model.pending.as_ref().is_some_and(|pending| pending.set == *set);
                assert_eq!(committed.is_ok(), holding || was_committed);
                if holding {
                    model.confirmed = model.level();
                    assert_eq!(committed.unwrap()["config_hash"], section_hash(&json!({"level": model.confirmed})));
                    model.undo();
                }
            }
            Move::Rollback { set } => {
                house.manage("changeset.rollback", &format!("s{set}")).await.ok();
                if model.pending.as_ref().is_some_and(|pending| pending.set == *set) {
                    model.undo();
                }
            }
            Move::Pass { seconds } => {
                for _ in 0..*seconds {
                    model.now += 1;
                    house.clock.pass(Duration::from_secs(1));
                    model.settle();
                    if house.keeper.wake_in() == Some(Duration::ZERO) {
                        house.keeper.tick().await;
                    }
                }
            }
            Move::LinkDown => {
                let since = *model.lost_at.get_or_insert(model.now);
                house.keeper.lost_since(Some(Duration::from_secs(since)));
                house.keeper.tick().await;
            }
            Move::LinkUp => {
                model.lost_at = None;
                house.keeper.lost_since(None);
            }
            Move::Restart => {
                house = house.restart().await;
                model.undo();
                (model.now, model.lost_at) = (0, None);
            }
            // One write of a change fails: either it was refused and nothing happened, or it happened.
            Move::BadMoment { after } => {
                let level = i64::try_from(at).unwrap() + 1;
                let id = format!("c{at}");
                house.trouble(u64::from(*after), Trouble::Once);
                let answer = house.set(&id, "s9", level).await;
                let refused = answer.error.as_ref().map(|error| error.code.clone());
                let free = model.pending.as_ref().is_none_or(|pending| pending.set == 9) && !model.ended.contains(&9);
                match refused.as_deref() {
                    None => {
                        assert!(free);
                        let deadline = model.pending.as_ref().map_or(0, |pending| pending.deadline).max(model.now + 100);
                        model.pending = Some(Pending { set: 9, level, deadline });
                        sent.push((id, 9, level));
                    }
                    Some("E_JOURNAL_UNAVAILABLE") => assert!(free),
                    Some(_) => assert!(!free, "{answer:?}"),
                }
            }
        }
        model.settle();
        house.keeper.tick().await;
        for report in house.keeper.reports() {
            *reported.entry(report.key.clone()).or_default() += 1;
            house.keeper.reported(&report.key, true).await;
        }
        assert_eq!(house.world.level(), model.level(), "after {step:?}: {model:?}");
    }
    assert!(house.world.applied.lock().unwrap().values().all(|times| *times == 1), "each command was applied once");
    assert!(reported.values().all(|times| *times == 1), "each end was reported once: {reported:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn in_any_history_the_configuration_is_what_was_confirmed_plus_what_is_pending(moves in moves()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(moves));
    }
}
