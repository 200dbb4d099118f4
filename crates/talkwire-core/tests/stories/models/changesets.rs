//! Change sets over a channel that loses, repeats and reorders, with devices and a server that fall over: all new, or all old.

use crate::house::{FakeDevice, House, ann, args, guest, key_of, olga, understood};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use talkwire_core::changeset::{Changeset, Expectation, Measurement, Status, set_of};
use talkwire_core::moves::{Move, Proposal, ProposedOperation};
use talkwire_core::wayback::Known;
use talkwire_core::{Ask, Input};

const DEVICES: [&str; 3] = ["ap-1", "ap-2", "ap-3"];

#[derive(Debug, Clone)]
enum Event {
    Propose {
        devices: u8,
        channel: u64,
        measured: bool,
    },
    Approve {
        set: usize,
        honest: bool,
    },
    RollBack {
        set: usize,
    },
    Reject {
        set: usize,
    },
    Judge {
        set: usize,
        after: Option<u8>,
    },
    Deliver {
        at: usize,
    },
    DeliverAll,
    Repeat {
        at: usize,
    },
    Lose {
        at: usize,
    },
    Wait {
        ms: i64,
    },
    Cut {
        device: usize,
    },
    Back {
        device: usize,
    },
    Reboot {
        device: usize,
    },
    Stuck {
        device: usize,
    },
    Restart,
    /// The server takes a message and dies before the commit.
    Crash {
        at: usize,
    },
    /// The server commits and dies before it publishes.
    CrashAfter {
        at: usize,
    },
}

/// A change is put forward and approved; then things happen.
fn any_scene() -> impl Strategy<Value = Vec<Event>> {
    let propose = (1..8u8, 1..13u64, any::<bool>()).prop_map(|(devices, channel, measured)| Event::Propose { devices, channel, measured });
    let approve = prop::bool::weighted(0.9).prop_map(|honest| Event::Approve { set: 0, honest });
    (propose, prop::collection::vec(any_event(), 0..2), approve, prop::collection::vec(any_event(), 2..20)).prop_map(|(propose, before, approve, after)| {
        let mut scene = vec![propose];
        scene.extend(before);
        scene.push(approve);
        scene.extend(after);
        scene
    })
}

fn any_story() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(any_scene(), 1..5).prop_map(|scenes| scenes.concat())
}

fn any_event() -> impl Strategy<Value = Event> {
    // Counted from the newest.
    let set = || prop_oneof![4 => Just(0usize), 1 => 0..4usize];
    prop_oneof![
        2 => (set(), prop::bool::weighted(0.85)).prop_map(|(set, honest)| Event::Approve { set, honest }),
        1 => set().prop_map(|set| Event::RollBack { set }),
        1 => prop::bool::weighted(0.3).prop_map(|yes| if yes { Event::Reject { set: 0 } } else { Event::DeliverAll }),
        4 => (set(), prop::option::weighted(0.8, 40..90u8)).prop_map(|(set, after)| Event::Judge { set, after }),
        8 => (0..4usize).prop_map(|at| Event::Deliver { at }),
        12 => Just(Event::DeliverAll),
        2 => (0..4usize).prop_map(|at| Event::Repeat { at }),
        2 => (0..4usize).prop_map(|at| Event::Lose { at }),
        4 => (100..25_000i64).prop_map(|ms| Event::Wait { ms }),
        1 => prop::bool::weighted(0.3).prop_map(|long| Event::Wait { ms: if long { 200_000 } else { 900 } }),
        1 => (0..3usize).prop_map(|device| Event::Cut { device }),
        2 => (0..3usize).prop_map(|device| Event::Back { device }),
        1 => (0..3usize, any::<bool>()).prop_map(|(device, reboot)| if reboot { Event::Reboot { device } } else { Event::Back { device } }),
        1 => (0..3usize).prop_map(|device| Event::Stuck { device }),
        1 => Just(Event::Restart),
        1 => (0..4usize).prop_map(|at| Event::Crash { at }),
        1 => (0..4usize).prop_map(|at| Event::CrashAfter { at }),
    ]
}

/// A message on its way: to a device, or from it.
#[derive(Clone)]
struct Flight {
    device: usize,
    tail: String,
    payload: Vec<u8>,
}

struct World {
    house: House,
    devices: Vec<FakeDevice>,
    flights: Vec<Flight>,
    sets: Vec<Changeset>,
    sent: BTreeMap<String, u32>,
}

impl World {
    fn new(third_without_journal: bool, proven: bool) -> Self {
        let (mut house, mut devices) = if proven { House::with(&DEVICES) } else { House::unproven(&DEVICES) };
        // One of them is another's make, which must be given its own values.
        devices[1].rehearses = proven;
        if third_without_journal {
            devices[2].journal = false;
            let attr = devices[2].attr();
            house.device_says(&mut devices[2], "attr", attr);
        }
        house.taken();
        Self { house, devices, flights: Vec::new(), sets: Vec::new(), sent: BTreeMap::new() }
    }

    /// What the server published goes on its way; every Act is one of an approved set, in time.
    fn collect(&mut self) {
        for (at, name) in DEVICES.iter().enumerate() {
            for payload in self.house.requests_to(&key_of(name)) {
                let request: Value = serde_json::from_slice(&payload).unwrap();
                let id = request["id"].as_str().unwrap().to_owned();
                if let Some(set) = request["authorization"]["changeset_id"].as_str() {
                    let set = self.house.set(set_of(set).0);
                    assert!(set.approved_by.is_some(), "an act outside an approved set");
                    assert!(set.approved_ms.unwrap() < set.approve_before_ms, "an act of a set that was approved too late");
                }
                // A change itself, and not a rehearsal or an undo of it, goes to a device that was seen to go back, or past an administrator.
                if let Some(set) = request["args"]["changeset_id"].as_str().filter(|id| !id.contains('.') && self.house.core.changeset(id).is_some())
                    && request["op"] == "wifi.set_channel"
                    && !self.sent.contains_key(&id)
                {
                    let device = self.house.core.device(&key_of(name)).unwrap();
                    let seen = matches!(device.way_back("wifi.set_channel"), Some(Known::Proven { .. }));
                    assert!(seen || self.house.set(set).overrides(), "applied on the device's word alone");
                }
                let count = self.sent.entry(id).or_default();
                *count += 1;
                assert!(*count <= 8, "published again and again");
                self.flights.push(Flight { device: at, tail: "cmd/req".into(), payload });
            }
        }
        self.house.taken();
    }

    fn said(&mut self, device: usize, said: Vec<(String, Value)>) {
        self.flights.extend(said.into_iter().map(|(tail, payload)| Flight { device, tail, payload: payload.to_string().into_bytes() }));
    }

    fn deliver(&mut self, flight: Flight) {
        let device = &mut self.devices[flight.device];
        if flight.tail == "cmd/req" {
            let said = device.take(self.house.now, &flight.payload);
            self.said(flight.device, said);
        } else {
            let (from, topic) = (device.origin(), format!("rtk/v1/{}/{}", device.key, flight.tail));
            self.house.publish(&from, &topic, &flight.payload);
        }
        self.collect();
    }

    fn deliver_all(&mut self) {
        let mut left = 2_000;
        while !self.flights.is_empty() {
            let flight = self.flights.remove(0);
            self.deliver(flight);
            left -= 1;
            assert!(left > 0, "devices and server do not stop talking");
        }
    }

    fn tick_devices(&mut self) {
        for at in 0..self.devices.len() {
            let said = self.devices[at].tick(self.house.now);
            self.said(at, said);
        }
    }

    fn wait(&mut self, ms: i64) {
        let until = self.house.now + ms;
        while self.house.now < until {
            let devices = self.devices.iter().filter_map(|device| device.pending.as_ref()).map(|pending| pending.deadline);
            let next = devices.chain(self.house.core.next_deadline()).filter(|at| *at > self.house.now).min().unwrap_or(until);
            let step = next.min(until).min(self.house.now + 15_000) - self.house.now;
            self.tick_devices();
            self.house.wait(step.max(1));
            self.collect();
        }
        self.tick_devices();
    }

    fn back(&mut self, device: usize) {
        let fake = &mut self.devices[device];
        if !fake.connected {
            fake.stuck = false;
            let said = fake.back(self.house.now);
            self.house.device_says(&mut self.devices[device], "lwt", json!({"status": "online"}));
            self.said(device, said);
            self.collect();
        }
    }

    fn cut(&mut self, device: usize) {
        if self.devices[device].connected {
            self.house.cut(&mut self.devices[device]);
            self.collect();
        }
    }

    fn restart(&mut self) {
        self.house.restart();
        for device in 0..self.devices.len() {
            // The broker stopped with the server; devices that can come back at once.
            if self.devices[device].connected {
                self.house.device_says(&mut self.devices[device], "lwt", json!({"status": "online"}));
            }
        }
        self.collect();
    }

    fn propose(&mut self, devices: u8, channel: u64, measured: bool) {
        // What a device without a journal ran before is known from the plan or not at all.
        let devices = if measured || self.devices[2].journal { devices } else { devices & 3 };
        let chosen: Vec<_> = DEVICES.iter().enumerate().filter(|(at, _)| devices & (1 << at) != 0).map(|(_, name)| key_of(name)).collect();
        let before = self.house.shelf.sets.len();
        if measured {
            let place = Some(("home".to_owned(), "flat".to_owned()));
            let Ok(session) = self.house.ask(&olga(), Ask::OpenSession { text: "slow".into(), place, understood: understood("slow_speed") }) else { return };
            let runs: BTreeMap<_, _> = self.devices.iter().map(|device| (device.key.clone(), device.config["channel"].clone())).collect();
            let operation = |device| ProposedOperation {
                undo_args: Some(args(json!({"channel": runs[&device]}))),
                device,
                op: "wifi.set_channel".into(),
                args: args(json!({"channel": channel})),
                label: "channel".into(),
                before_text: "6".into(),
                after_text: channel.to_string(),
            };
            let expect = Expectation {
                metric: "speed".into(),
                unit: "Mbps".into(),
                direction: "up".into(),
                min_gain_percent: Some(10.0),
                min_gain: None,
                text: "more".into(),
            };
            let proposal = Proposal {
                title: "change".into(),
                reason: "noise".into(),
                operations: chosen.into_iter().map(operation).collect(),
                expect: Some(expect),
                before: Some(measurement(50.0)),
            };
            let session_id = session["session_id"].as_str().unwrap().to_owned();
            self.house.input(Input::Moves { session_id, moves: vec![Move::Propose(proposal)] });
        } else {
            let operations = chosen.into_iter().map(|key| (key, "wifi.set_channel".to_owned(), args(json!({"channel": channel})))).collect();
            let _ = self.house.ask(&ann(), Ask::Propose { operations, reason: "try".into() });
        }
        if self.house.shelf.sets.len() > before {
            let known: Vec<_> = self.sets.iter().map(|set| set.changeset_id.clone()).collect();
            self.sets.extend(self.house.shelf.sets.values().filter(|set| !known.contains(&set.changeset_id)).cloned());
        }
        self.collect();
    }

    fn play(&mut self, event: Event) {
        // No two things happen at the same instant.
        self.house.now += 1;
        let pick = |at: usize, flights: &Vec<Flight>| (!flights.is_empty()).then(|| at % flights.len());
        let set = |set: usize, world: &Self| world.sets.iter().rev().nth(set).cloned();
        match event {
            Event::Propose { devices, channel, measured } => self.propose(devices, channel, measured),
            Event::Approve { set: at, honest } => {
                if let Some(set) = set(at, self) {
                    let (who, plan_hash) = if honest { (ann(), set.plan_hash.clone()) } else { (guest("ann"), set.plan_hash.clone()) };
                    let answer = self.house.ask(&who, Ask::Approve { changeset_id: set.changeset_id, plan_hash });
                    assert!(honest || answer.is_err());
                }
            }
            Event::RollBack { set: at } => drop(set(at, self).map(|set| self.house.ask(&ann(), Ask::Rollback(set.changeset_id)))),
            Event::Reject { set: at } => drop(set(at, self).map(|set| self.house.ask(&ann(), Ask::Reject(set.changeset_id)))),
            Event::Judge { set: at, after } => {
                if let Some(session_id) = set(at, self).and_then(|set| set.session_id) {
                    let after = after.map(|value| measurement(f64::from(value)));
                    self.house.input(Input::Moves { session_id, moves: vec![Move::Judge { after }] });
                }
            }
            Event::Deliver { at } => {
                if let Some(at) = pick(at, &self.flights) {
                    let flight = self.flights.remove(at);
                    self.deliver(flight);
                }
            }
            Event::DeliverAll => self.deliver_all(),
            Event::Repeat { at } => {
                if let Some(at) = pick(at, &self.flights) {
                    self.deliver(self.flights[at].clone());
                }
            }
            Event::Lose { at } => {
                // What a device must get across it says until it is heard.
                if let Some(at) = pick(at, &self.flights).filter(|at| !self.flights[*at].tail.starts_with("evt/")) {
                    self.flights.remove(at);
                }
            }
            Event::Wait { ms } => self.wait(ms),
            Event::Cut { device } => self.cut(device),
            Event::Back { device } => self.back(device),
            Event::Reboot { device } => {
                if self.devices[device].journal {
                    let now = self.house.now;
                    self.cut(device);
                    self.devices[device].reboot(now);
                    self.back(device);
                }
            }
            Event::Stuck { device } => self.devices[device].stuck = true,
            Event::Restart => self.restart(),
            Event::Crash { at } | Event::CrashAfter { at } => {
                if let Some(at) = pick(at, &self.flights).filter(|at| self.flights[*at].tail != "cmd/req") {
                    let flight = self.flights[at].clone();
                    let device = &self.devices[flight.device];
                    let (from, topic) = (device.origin(), format!("rtk/v1/{}/{}", device.key, flight.tail));
                    if matches!(event, Event::Crash { .. }) {
                        let inbound = talkwire_proto::Inbound::decode(&topic, &flight.payload, self.house.now, 99_999).unwrap();
                        self.house.input_lost(Input::Message { from, inbound, bytes: flight.payload.len() });
                    } else {
                        self.house.publish(&from, &topic, &flight.payload);
                        self.house.taken();
                    }
                    self.restart();
                }
            }
        }
        self.collect();
        self.check_histories();
    }

    fn check_histories(&self) {
        for set in self.house.shelf.sets.values() {
            let states: Vec<_> = set.history.iter().map(|line| line.state).collect();
            assert_eq!(states.first(), Some(&Status::Proposed));
            for pair in states.windows(2) {
                assert!(may_follow(pair[0], pair[1]), "{:?} → {:?} in {states:?}", pair[0], pair[1]);
            }
        }
    }

    /// All links work again, nobody acts any more, and time passes.
    fn settle(&mut self) {
        for device in 0..self.devices.len() {
            self.devices[device].stuck = false;
            self.back(device);
        }
        let until = self.house.now + 4_000_000;
        loop {
            self.deliver_all();
            let devices = self.devices.iter().filter_map(|device| device.pending.as_ref()).map(|pending| pending.deadline);
            let next = devices.chain(self.house.core.next_deadline()).min();
            let Some(at) = next.filter(|at| *at <= until) else { break };
            self.house.now = (self.house.now + 1).max(at);
            self.tick_devices();
            self.house.tick();
            self.collect();
        }
    }

    fn check_end(&self) {
        self.check_histories();
        let sets: Vec<_> = self.house.shelf.sets.values().collect();
        for set in &sets {
            assert!(set.status.has_ended(), "{} is still {:?}: {:#?}", set.changeset_id, set.status, set.history);
            let commands: Vec<_> = self.house.shelf.commands.values().filter(|command| command.changeset_id.as_deref() == Some(&set.changeset_id)).collect();
            assert!(commands.len() <= 150, "{} commands for one set", commands.len());
            let forward = |key: &talkwire_proto::DeviceKey| {
                commands
                    .iter()
                    .filter(|command| command.is_act && command.key == *key && command.args.get("changeset_id") == Some(&json!(set.changeset_id)))
                    .count()
            };
            for operation in &set.operations {
                let device = self.devices.iter().find(|device| device.key == operation.key).unwrap();
                assert!(forward(&device.key) <= 1, "applied by more than one command");
                if set.status == Status::Committed && device.journal {
                    assert_eq!(device.ended.get(&set.changeset_id), Some(&"committed"), "shown as kept, but the device did not keep it");
                }
            }
            if set.approved_by.is_some() {
                assert!(self.house.shelf.receipts.contains_key(&set.changeset_id), "an approved set that ended has a receipt");
            }
        }
        // What each device must run: the kept changes in the order of keeping, less those undone on demand.
        let mut turns: Vec<(i64, usize, u64, &talkwire_proto::DeviceKey)> = Vec::new();
        for set in &sets {
            let mut kept = false;
            for (n, line) in set.history.iter().enumerate() {
                for operation in &set.operations {
                    match line.state {
                        Status::Committed => turns.push((line.at_ms, n, operation.args["channel"].as_u64().unwrap(), &operation.key)),
                        Status::RolledBack if kept => turns.push((line.at_ms, n, operation.previous["channel"].as_u64().unwrap(), &operation.key)),
                        _ => {}
                    }
                }
                kept |= line.state == Status::Committed;
            }
        }
        turns.sort_by_key(|(at, n, ..)| (*at, *n));
        for device in &self.devices {
            assert!(device.pending.is_none(), "a change is still unconfirmed on a device");
            assert!(device.runs.values().all(|runs| *runs == 1), "an Act id ran more than once");
            let expected = turns.iter().rev().find(|(.., key)| **key == device.key).map_or(6, |(_, _, channel, _)| *channel);
            let told: Vec<_> = sets.iter().map(|set| (set.changeset_id.as_str(), set.status, &set.history)).collect();
            assert_eq!(device.config["channel"], json!(expected), "{} runs something that was neither kept nor there before: {told:#?}", device.key);
        }
    }
}

fn measurement(value: f64) -> Measurement {
    Measurement { metric: "speed".into(), value, unit: "Mbps".into(), samples: vec![value], trace_ids: Vec::new() }
}

fn may_follow(before: Status, after: Status) -> bool {
    use Status::*;
    match before {
        Proposed => matches!(after, Approved | Rejected | Expired),
        Approved => after == Preparing,
        Preparing => matches!(after, Applied | RolledBack | RollbackFailed),
        Applied => matches!(after, Verifying | Committed | RolledBack | RollbackFailed),
        Verifying => matches!(after, Committed | RolledBack | RollbackFailed),
        RollbackFailed => after == RolledBack,
        Committed => after == Applied,
        Draft | RolledBack | Rejected | Expired => false,
    }
}

fn play(third_without_journal: bool, proven: bool, events: Vec<Event>) {
    let mut world = World::new(third_without_journal, proven);
    for event in events {
        // Without a journal nothing tells a late change from a new one: only order protects such a device.
        let event = match event {
            Event::Deliver { .. } | Event::Repeat { .. } | Event::Lose { .. } if third_without_journal => Event::Deliver { at: 0 },
            event => event,
        };
        world.play(event);
    }
    world.settle();
    world.check_end();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: super::cases(256), failure_persistence: None, max_shrink_iters: 3_000, ..ProptestConfig::default() })]
    #[test]
    fn every_change_is_all_new_or_all_old(events in any_story()) {
        play(false, true, events);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: super::cases(64), failure_persistence: None, max_shrink_iters: 3_000, ..ProptestConfig::default() })]
    #[test]
    fn a_device_without_a_journal_is_brought_back_by_the_server(events in any_story()) {
        play(true, true, events);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: super::cases(192), failure_persistence: None, max_shrink_iters: 3_000, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_applied_on_a_device_that_was_never_seen_to_go_back(events in any_story()) {
        play(false, false, events);
    }
}
