//! What the rules want done: saved first, then published, then told to whoever watches.

use crate::audit::{AuditHead, AuditRow};
use crate::changeset::Changeset;
use crate::chat::{Member, Room};
use crate::command::Command;
use crate::delivery::Delivered;
use crate::device::Device;
use crate::refusal::Refusal;
use crate::session::Session;
use serde::Serialize;
use serde_json::Value;
use talkwire_proto::DeviceKey;
use talkwire_proto::chat::ChatMessage;
use talkwire_proto::event::Severity;

/// One sample of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The device.
    pub key: DeviceKey,
    /// The metric; a figure of a set is `metric.figure`.
    pub metric: String,
    /// The device's time, or that of arrival when it gave none, in Unix milliseconds.
    pub ts_ms: i64,
    /// Arrival, in Unix milliseconds.
    pub received_ms: i64,
    /// The figure. `None`: the sample is a structure, kept in `body`.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: Option<String>,
    /// The message, when it is more than one figure.
    pub body: Option<Value>,
}

/// Something that a device told: an event, what it sees of the network, a test that ran by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRow {
    /// The device.
    pub key: DeviceKey,
    /// Its dotted name; `topology.update` and `diagnostics.{test}` for the other two.
    pub event_type: String,
    /// How much it matters.
    pub severity: Severity,
    /// The device's fields.
    pub data: Value,
    /// The device's time, in Unix milliseconds.
    pub ts_ms: i64,
    /// Arrival, in Unix milliseconds.
    pub received_ms: i64,
    /// What is odd about it, if anything.
    pub flag: Option<Flag>,
}

/// Why what a device told does not speak of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// The device's clock was more than five minutes ahead.
    Ahead,
    /// The device's clock was never set: it counts from 1970.
    Unset,
    /// It was told more than five minutes after its time: from an outbox, or again.
    Late,
    /// It is older than what the device said before, or its time cannot be true: kept, and not taken.
    Stale,
    /// Its words are of a newer protocol than ours.
    Newer,
}

/// A message that could not be read.
#[derive(Debug, Clone, PartialEq)]
pub struct QuarantineRow {
    /// Where it was published.
    pub topic: String,
    /// Why it could not be read.
    pub reason: String,
    /// Its first 4 KiB.
    pub payload: Vec<u8>,
    /// Arrival, in Unix milliseconds.
    pub received_ms: i64,
}

/// A row to be committed.
#[derive(Debug, Clone, PartialEq)]
pub enum Save {
    /// A device as it is now.
    Device(Box<Device>),
    /// A sample.
    Sample(Sample),
    /// An event.
    Event(EventRow),
    /// A command as it is now.
    Command(Box<Command>),
    /// A session as it is now.
    Session(Box<Session>),
    /// A change set as it is now.
    Changeset(Box<Changeset>),
    /// The receipt of a change set.
    Receipt {
        /// The set.
        changeset_id: String,
        /// The signed object.
        receipt: Value,
    },
    /// A chat message as it is now.
    Message(Box<ChatMessage>),
    /// A room as it is now.
    Room(Box<Room>),
    /// A room is gone, with its messages.
    RoomGone(String),
    /// A member of a room, as `GET /mqtt/status` counts them.
    Member(Member),
    /// A row of the audit.
    Audit(AuditRow),
    /// A signed head of the audit.
    AuditHead(AuditHead),
    /// A message that could not be read.
    Quarantine(QuarantineRow),
    /// A setting.
    Setting(String, Value),
    /// A delivery of a broker that is not ours is stored, together with what came of it.
    Delivered(Delivered),
    /// Such a broker began a new session: the packet identifiers of before mean nothing.
    SessionBegun,
    /// A message on its way to such a broker, kept until it has acknowledged it.
    Outgoing(Box<Outgoing>),
    /// Such a broker has these messages, by their numbers, or they were given up.
    OutgoingGone(Vec<u64>),
}

/// A message on its way to a broker that is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Counts up in the order of sending.
    pub n: u64,
    /// The message, with QoS 1.
    pub publish: Publish,
}

/// A publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
    /// 0 or 1.
    pub qos: u8,
    /// Whether it stays for later subscribers.
    pub retain: bool,
    /// For how many milliseconds it is of use: later it is not delivered any more. None: for ever.
    pub useful_ms: Option<u64>,
}

impl Publish {
    /// A JSON message, QoS 1, not retained.
    pub fn json(topic: impl ToString, value: &impl serde::Serialize) -> Self {
        // Values built by us have string keys and finite numbers only, which always serialise.
        Self { topic: topic.to_string(), payload: serde_json::to_vec(value).unwrap_or_default(), qos: 1, retain: false, useful_ms: None }
    }

    /// The same, of use only for a time.
    pub fn useful_for(mut self, ms: u64) -> Self {
        self.useful_ms = Some(ms);
        self
    }

    /// The same, retained.
    pub fn retained(mut self) -> Self {
        self.retain = true;
        self
    }
}

/// Something that watchers are told after it was saved.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// A device changed.
    Device(Box<Device>),
    /// A command changed.
    Command(Box<Command>),
    /// A session changed.
    Session(Box<Session>),
    /// A change set changed.
    Changeset(Box<Changeset>),
    /// A chat message came, or has a newer form.
    Message(Box<ChatMessage>),
    /// An event came.
    Event(EventRow),
}

/// Which request an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Messages of a room that a client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Where the answer goes.
    pub topic: String,
    /// From the request.
    pub request_id: Option<String>,
    /// The room.
    pub session: talkwire_proto::chat::SessionView,
    /// Messages with a higher `change`.
    pub after: Option<u64>,
    /// Messages with a lower `seq`.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: u32,
}

/// What is to be done, in the order given within each kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Commit this.
    Save(Save),
    /// Publish this after the commit.
    Publish(Publish),
    /// Tell watchers after the commit.
    Notify(Notice),
    /// Answer a door's request after the commit.
    Reply(RequestId, Result<Value, Refusal>),
    /// Read messages of a room from the store and publish them as a `SessionAnswer`.
    History(History),
    /// Ask the mind how a sentence is meant, and hand in [`crate::Input::Understood`].
    Understand {
        /// The message that is waiting.
        message_id: String,
        /// The sentence.
        text: String,
    },
    /// Ask the mind for its next moves, and hand in [`crate::Input::Moves`].
    Think(String),
    /// The message just taken does not say how things stand: it is acknowledged, but neither retained nor passed on.
    Withhold,
}
