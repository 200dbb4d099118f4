//! Commands under repeats, losses, other orders, restarts and liars: one end each, and it stays.

use crate::house::{House, key_of, olga};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use talkwire_core::Ask;
use talkwire_core::command::Status;

const DEVICES: [&str; 2] = ["ap-1", "ap-2"];

#[derive(Debug, Clone)]
enum Event {
    Submit {
        device: usize,
        timeout_ms: u64,
    },
    /// An acknowledgement for the n-th command, from a device.
    Ack {
        command: usize,
        from: usize,
        accepted: bool,
    },
    Progress {
        command: usize,
        from: usize,
    },
    Result {
        command: usize,
        from: usize,
        status: usize,
    },
    Cancel {
        command: usize,
    },
    Wait {
        ms: i64,
    },
    CutAndBack {
        device: usize,
    },
    Restart,
    Crash {
        command: usize,
    },
}

const RESULTS: [&str; 5] = ["completed", "failed", "partial", "timeout", "cancelled"];

fn any_event() -> impl Strategy<Value = Event> {
    let (command, from) = (0..6usize, 0..2usize);
    prop_oneof![
        3 => (from.clone(), 500..9_000u64).prop_map(|(device, timeout_ms)| Event::Submit { device, timeout_ms }),
        3 => (command.clone(), from.clone(), prop::bool::weighted(0.8)).prop_map(|(command, from, accepted)| Event::Ack { command, from, accepted }),
        1 => (command.clone(), from.clone()).prop_map(|(command, from)| Event::Progress { command, from }),
        4 => (command.clone(), from.clone(), 0..5usize).prop_map(|(command, from, status)| Event::Result { command, from, status }),
        1 => command.clone().prop_map(|command| Event::Cancel { command }),
        4 => (1..5_000i64).prop_map(|ms| Event::Wait { ms }),
        2 => from.prop_map(|device| Event::CutAndBack { device }),
        1 => Just(Event::Restart),
        1 => command.prop_map(|command| Event::Crash { command }),
    ]
}

#[derive(Default)]
struct Model {
    ids: Vec<(String, usize)>,
    ended: BTreeMap<String, Status>,
    published: BTreeMap<String, u32>,
    foreign: usize,
}

impl Model {
    fn look(&mut self, house: &mut House) {
        for (at, name) in DEVICES.iter().enumerate() {
            for request in house.requests_to(&key_of(name)) {
                let request: serde_json::Value = serde_json::from_slice(&request).unwrap();
                let id = request["id"].as_str().unwrap().to_owned();
                assert!(self.ids.iter().all(|(known, to)| *known != id || *to == at), "sent to another device than it was for");
                let count = self.published.entry(id).or_default();
                *count += 1;
                assert!(*count <= 8, "published again and again");
            }
        }
        for (id, _) in &self.ids {
            let status = house.core.command(id).expect("still known").status;
            let before = self.ended.get(id).copied();
            match before {
                None if status.has_ended() => drop(self.ended.insert(id.clone(), status)),
                Some(Status::TimedOut) if matches!(status, Status::CompletedLate | Status::FailedLate) => drop(self.ended.insert(id.clone(), status)),
                Some(before) => assert_eq!(before, status, "an end was changed"),
                None => {}
            }
        }
    }
}

fn play(events: Vec<Event>) {
    let (mut house, mut devices) = House::with(&DEVICES);
    let mut model = Model::default();
    for event in events {
        match event {
            Event::Submit { device, timeout_ms } => {
                let ask = Ask::Command { key: key_of(DEVICES[device]), op: "device.status".into(), args: Default::default(), timeout_ms: Some(timeout_ms) };
                let command = house.ask(&olga(), ask).unwrap();
                model.ids.push((command["id"].as_str().unwrap().to_owned(), device));
            }
            Event::Ack { command, from, accepted } => say(&mut house, &mut model, &mut devices, command, from, "cmd/ack", json!({"accepted": accepted})),
            Event::Progress { command, from } => say(&mut house, &mut model, &mut devices, command, from, "cmd/res", json!({"progress": 40})),
            Event::Result { command, from, status } => say(&mut house, &mut model, &mut devices, command, from, "cmd/res", json!({"status": RESULTS[status]})),
            Event::Cancel { command } => {
                if let Some((id, _)) = model.ids.get(command) {
                    house.ask(&olga(), Ask::CancelCommand(id.clone())).unwrap();
                }
            }
            Event::Wait { ms } => house.wait(ms),
            Event::CutAndBack { device } => {
                house.cut(&mut devices[device]);
                house.back(&mut devices[device]);
            }
            Event::Restart => {
                model.look(&mut house);
                house.restart();
                back_online(&mut house, &mut devices);
            }
            // A result arrives, and the server dies before it is committed: nothing was promised, the device says it again.
            Event::Crash { command } => {
                if let Some((id, device)) = model.ids.get(command).cloned() {
                    let topic = format!("rtk/v1/{}/cmd/res", key_of(DEVICES[device]));
                    let payload = json!({"id": id, "status": "completed"}).to_string();
                    let inbound = talkwire_proto::Inbound::decode(&topic, payload.as_bytes(), house.now, 9_999).unwrap();
                    house.input_lost(talkwire_core::Input::Message { from: devices[device].origin(), inbound, bytes: 9 });
                    house.restart();
                    back_online(&mut house, &mut devices);
                }
            }
        }
        model.look(&mut house);
    }
    house.wait(30_000);
    model.look(&mut house);
    assert_eq!(model.ended.len(), model.ids.len(), "every command ends");
    assert_eq!(house.audited("command.foreign_result").len(), model.foreign, "every foreign word is audited");
    assert!(house.core.next_deadline().is_none_or(|at| at > house.now));
}

fn back_online(house: &mut House, devices: &mut [crate::house::FakeDevice]) {
    for device in devices {
        house.device_says(device, "lwt", json!({"status": "online"}));
    }
}

fn say(
    house: &mut House,
    model: &mut Model,
    devices: &mut [crate::house::FakeDevice],
    command: usize,
    from: usize,
    tail: &str,
    mut payload: serde_json::Value,
) {
    let (id, device) = model.ids.get(command).cloned().unwrap_or(("01NOBODYSENTTHIS".into(), 9));
    payload["id"] = json!(id);
    model.foreign += usize::from(device != from);
    house.device_says(&mut devices[from], tail, payload);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: super::cases(256), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_command_ends_once_and_keeps_its_end(events in prop::collection::vec(any_event(), 1..50)) {
        play(events);
    }
}
