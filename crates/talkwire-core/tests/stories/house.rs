//! The house of the stories: a core, a store that applies what is saved, and whatever was published, answered and asked of the mind.

pub mod device;
mod people;
mod shelf;

pub use device::FakeDevice;
pub use people::{ann, at as people_at, guest, olga, understood, victor};
pub use shelf::Shelf;

use ed25519_dalek::SigningKey;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use talkwire_core::audit::AuditRow;
use talkwire_core::changeset::{Changeset, Status};
use talkwire_core::effect::{History, RequestId};
use talkwire_core::input::Origin;
use talkwire_core::wayback::WayBack;
use talkwire_core::{Ask, Catalogue, Core, Effect, Input, Principal, Publish, Refusal, Save};
use talkwire_proto::{Code, DeviceKey, Inbound, limits};

/// When all stories begin.
pub const BEGIN: i64 = 1_800_000_000_000;

pub fn key_of(device: &str) -> DeviceKey {
    format!("home/flat/{device}").parse().unwrap()
}

pub fn args(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

pub fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

pub fn catalogue() -> Arc<Catalogue> {
    Arc::new(Catalogue::parse([("test.toml", include_str!("house/catalogue.toml"))]).unwrap())
}

pub struct House {
    pub core: Core,
    pub shelf: Shelf,
    pub now: i64,
    /// Everything published, in order.
    pub out: Vec<Publish>,
    /// What waits to be understood: message id and sentence.
    pub asked: Vec<(String, String)>,
    pub thoughts: Vec<String>,
    pub histories: Vec<History>,
    /// Messages that were not to be passed on.
    pub withheld: u32,
    catalogue: Arc<Catalogue>,
    starts: u8,
    requests: u64,
    replies: BTreeMap<RequestId, Result<Value, Refusal>>,
}

impl House {
    pub fn new() -> Self {
        let catalogue = catalogue();
        let core = Core::new(catalogue.clone(), [1; 32], signing_key(), Default::default(), BEGIN);
        let mut house = Self {
            core,
            shelf: Shelf::default(),
            now: BEGIN,
            out: Vec::new(),
            asked: Vec::new(),
            thoughts: Vec::new(),
            histories: Vec::new(),
            withheld: 0,
            catalogue,
            starts: 1,
            requests: 0,
            replies: BTreeMap::new(),
        };
        let effects = house.core.start(BEGIN);
        house.apply(effects);
        house
    }

    /// A house in which these devices are online; each keeps a journal, and was seen to go back by itself.
    pub fn with(devices: &[&str]) -> (Self, Vec<FakeDevice>) {
        let (mut house, mut made) = Self::unproven(devices);
        for device in house.shelf.devices.values_mut() {
            device.ways_back.clone_from(proofs());
        }
        house.restart();
        for device in &mut made {
            house.device_says(device, "lwt", json!({"status": "online"}));
        }
        (house, made)
    }

    /// A house in which these devices are online; each says that it keeps a journal, and was never seen to go back.
    pub fn unproven(devices: &[&str]) -> (Self, Vec<FakeDevice>) {
        let mut house = Self::new();
        let mut made = Vec::new();
        for name in devices {
            let mut device = FakeDevice::new(name);
            house.device_says(&mut device, "lwt", json!({"status": "online"}));
            let attr = device.attr();
            house.device_says(&mut device, "attr", attr);
            made.push(device);
        }
        (house, made)
    }

    /// Hands an input in and applies all effects.
    pub fn input(&mut self, input: Input) {
        let ticked = input == Input::Tick;
        let effects = self.core.handle(self.now, input);
        if ticked {
            assert!(self.core.next_deadline().is_none_or(|at| at > self.now), "after a tick something is still due: the loop would spin");
        }
        self.apply(effects);
    }

    /// Hands an input in and throws everything away, as a crash before the commit does.
    pub fn input_lost(&mut self, input: Input) {
        let _ = self.core.handle(self.now, input);
    }

    fn apply(&mut self, effects: Vec<Effect>) {
        check_acts_are_audited(&effects, &self.shelf.audit);
        for effect in effects {
            match effect {
                Effect::Save(save) => self.shelf.save(save),
                Effect::Publish(publish) => self.out.push(publish),
                Effect::Reply(request, answer) => {
                    self.replies.insert(request, answer);
                }
                Effect::Understand { message_id, text } => self.asked.push((message_id, text)),
                Effect::Think(session_id) => self.thoughts.push(session_id),
                Effect::History(history) => self.histories.push(history),
                Effect::Notify(_) => {}
                Effect::Withhold => self.withheld += 1,
            }
        }
    }

    /// A publish arrives.
    pub fn publish(&mut self, from: &Origin, topic: &str, payload: &[u8]) {
        let input = match Inbound::decode(topic, payload, self.now, limits::MESSAGE_BYTES) {
            Ok(inbound) => Input::Message { from: from.clone(), inbound, bytes: payload.len() },
            Err(why) => Input::Unreadable { from: from.clone(), topic: topic.into(), payload: payload.into(), why },
        };
        self.input(input);
    }

    pub fn publish_json(&mut self, from: &Origin, topic: &str, payload: Value) {
        self.publish(from, topic, payload.to_string().as_bytes());
    }

    /// A device publishes under its own topics.
    pub fn device_says(&mut self, device: &mut FakeDevice, tail: &str, payload: Value) {
        let from = device.origin();
        let topic = format!("rtk/v1/{}/{tail}", device.key);
        self.publish_json(&from, &topic, payload);
    }

    /// Somebody asks at a door.
    pub fn ask(&mut self, who: &Principal, ask: Ask) -> Result<Value, Refusal> {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.input(Input::Ask { request, who: who.clone(), ask });
        self.replies.remove(&request).expect("every request is answered at once")
    }

    pub fn tick(&mut self) {
        self.input(Input::Tick);
    }

    /// Time passes, with a tick whenever something is due.
    pub fn wait(&mut self, ms: i64) {
        let until = self.now + ms;
        while let Some(at) = self.core.next_deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.tick();
        }
        self.now = until;
        self.tick();
    }

    /// What was published since the last call.
    pub fn taken(&mut self) -> Vec<Publish> {
        std::mem::take(&mut self.out)
    }

    /// What was published on a topic, as JSON, since the last [`House::taken`].
    pub fn said_on(&self, topic: &str) -> Vec<Value> {
        self.out.iter().filter(|publish| publish.topic == topic).map(|publish| serde_json::from_slice(&publish.payload).unwrap()).collect()
    }

    /// Commands on their way to a device, oldest first; they are taken away.
    pub fn requests_to(&mut self, key: &DeviceKey) -> Vec<Vec<u8>> {
        let topic = format!("rtk/v1/{key}/cmd/req");
        let (mine, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.out).into_iter().partition(|publish| publish.topic == topic);
        self.out = others;
        mine.into_iter().map(|publish| publish.payload).collect()
    }

    /// Lets devices and server talk until both are silent.
    pub fn talk(&mut self, devices: &mut [FakeDevice]) {
        for _ in 0..100 {
            let mut silent = true;
            for device in devices.iter_mut() {
                for request in self.requests_to(&device.key) {
                    silent = false;
                    self.now += 1;
                    for (tail, payload) in device.take(self.now, &request) {
                        self.device_says(device, &tail, payload);
                    }
                }
            }
            if silent {
                return;
            }
        }
        panic!("devices and server do not stop talking");
    }

    /// Time passes in seconds, while devices and server talk.
    pub fn live(&mut self, seconds: i64, devices: &mut [FakeDevice]) {
        for _ in 0..seconds {
            self.wait(1_000);
            for device in devices.iter_mut() {
                for (tail, payload) in device.tick(self.now) {
                    self.device_says(device, &tail, payload);
                }
            }
            self.talk(devices);
        }
    }

    /// The device's connection breaks; its will is published.
    pub fn cut(&mut self, device: &mut FakeDevice) {
        device.cut(self.now);
        self.device_says(device, "lwt", json!({"status": "offline", "reason": "unexpected_disconnect"}));
    }

    /// The device is back and says so.
    pub fn back(&mut self, device: &mut FakeDevice) {
        let waiting = device.back(self.now);
        self.device_says(device, "lwt", json!({"status": "online"}));
        for (tail, payload) in waiting {
            self.device_says(device, &tail, payload);
        }
    }

    /// The server stops at once and starts again with what was saved. What was published and not delivered is lost.
    pub fn restart(&mut self) {
        self.starts += 1;
        self.out.clear();
        self.core = Core::new(self.catalogue.clone(), [self.starts; 32], signing_key(), self.shelf.memory(), self.now);
        let effects = self.core.start(self.now);
        self.apply(effects);
    }

    /// The last rows of the audit with this action.
    pub fn audited(&self, action: &str) -> Vec<&AuditRow> {
        self.shelf.audit.iter().filter(|row| row.action == action).collect()
    }

    /// Puts forward `wifi.set_channel` on devices, as somebody who may.
    pub fn propose(&mut self, devices: &[&FakeDevice], channel: u64) -> Changeset {
        let operations = devices.iter().map(|device| (device.key.clone(), "wifi.set_channel".into(), args(json!({"channel": channel})))).collect();
        let set = self.ask(&olga(), Ask::Propose { operations, reason: "less noise".into() }).unwrap();
        serde_json::from_value(set).unwrap()
    }

    pub fn approve(&mut self, set: &Changeset) -> Result<Value, Refusal> {
        self.ask(&olga(), Ask::Approve { changeset_id: set.changeset_id.clone(), plan_hash: set.plan_hash.clone() })
    }

    pub fn set(&self, id: &str) -> Changeset {
        self.core.changeset(id).cloned().expect("the set is in memory")
    }

    pub fn status(&self, set: &Changeset) -> Status {
        self.set(&set.changeset_id).status
    }
}

/// What is known of a device that rehearsed both of its tools, told by the rules themselves.
fn proofs() -> &'static BTreeMap<String, WayBack> {
    static PROOFS: OnceLock<BTreeMap<String, WayBack>> = OnceLock::new();
    PROOFS.get_or_init(|| {
        let (mut house, mut devices) = House::unproven(&["ap-1"]);
        let operation = |op: &str, wanted: Value| (devices[0].key.clone(), op.to_owned(), args(wanted));
        let operations = vec![operation("wifi.set_channel", json!({"channel": 11})), operation("wifi.set_power", json!({"power_dbm": 10}))];
        let set: Changeset = serde_json::from_value(house.ask(&olga(), Ask::Propose { operations, reason: "x".into() }).unwrap()).unwrap();
        house.approve(&set).unwrap();
        house.talk(&mut devices);
        house.live(6, &mut devices);
        assert_eq!(house.status(&set), Status::Committed);
        house.shelf.devices["home/flat/ap-1"].ways_back.clone()
    })
}

/// The code of a refusal.
pub fn code(answer: Result<Value, Refusal>) -> Code {
    answer.expect_err("it is refused").code
}

/// An Act goes out only after an audit row that names it, in the same list of effects or before.
fn check_acts_are_audited(effects: &[Effect], before: &[AuditRow]) {
    let mut audited: Vec<&str> = Vec::new();
    for effect in effects {
        match effect {
            Effect::Save(Save::Audit(row)) if row.action == "command.act" => audited.push(&row.subject),
            Effect::Publish(publish) if publish.topic.ends_with("/cmd/req") => {
                let request: Value = serde_json::from_slice(&publish.payload).unwrap();
                let id = request["id"].as_str().or(request["payload"]["id"].as_str()).unwrap();
                let is_act = request.get("authorization").is_some();
                assert!(!is_act || audited.contains(&id) || before.iter().any(|row| row.subject == id), "act {id} was sent without an audit row");
            }
            _ => {}
        }
    }
}
