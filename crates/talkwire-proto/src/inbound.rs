//! One publish that arrived, as one value: topic and payload together, or the reason why not.

use crate::attr::Attr;
use crate::capability::CapabilityUpdate;
use crate::chat::{ChatSend, WebInput, decode_ask};
use crate::chatroom::RoomInput;
use crate::code::Code;
use crate::command::{Ack, Answer};
use crate::envelope::{BadEnvelope, Envelope, parse_object};
use crate::event::DeviceEvent;
use crate::id::{DeviceKey, RoomName};
use crate::lwt::Lwt;
use crate::state::State;
use crate::telemetry::Telemetry;
use crate::topic::{BadTopic, DeviceTail, RoomTail, Topic, WebTopic};
use crate::topology::Topology;

/// What a device said.
#[derive(Debug, Clone, PartialEq)]
pub enum DeviceBody {
    /// It is here, or not.
    Lwt(Lwt),
    /// Who it is.
    Attr(Attr),
    /// How it is.
    State(State),
    /// One sample of the named metric.
    Telemetry(String, Telemetry),
    /// The named event happened.
    Event(String, DeviceEvent),
    /// It took a command.
    Ack(Ack),
    /// Result or progress of a command.
    Answer(Answer),
    /// What it sees of the network; the word is the topic's last level.
    Topology(String, Topology),
    /// Result of a test that ran by itself; kept as it came.
    Diagnostics(String),
    /// What it can do has changed.
    Capability(CapabilityUpdate),
}

/// A publish that Talkwire understands.
#[derive(Debug, Clone, PartialEq)]
pub enum Inbound {
    /// From a device.
    Device(DeviceKey, Box<Envelope>, DeviceBody),
    /// From a client of a chat room.
    Room(RoomName, RoomTail, RoomInput),
    /// From a client of the web chat.
    Web(WebInput),
}

/// Why a publish is not understood. It goes to quarantine and stops nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The topic is not one of ours, or a name in it is not valid.
    #[error(transparent)]
    Topic(#[from] BadTopic),
    /// The payload.
    #[error(transparent)]
    Payload(#[from] BadEnvelope),
    /// The topic is one that only the server may publish to.
    #[error("topic {0:?} belongs to the server; clients may only subscribe to it")]
    ServerTopic(String),
}

impl Malformed {
    /// The code that a peer sees.
    pub fn code(&self) -> Code {
        match self {
            Self::Payload(BadEnvelope::TooLarge(..)) => Code::TooLarge,
            Self::ServerTopic(_) => Code::Forbidden,
            _ => Code::Malformed,
        }
    }
}

const WRAPPERS: &[&str] = &["payload", "data", "content"];

impl Inbound {
    /// Reads a publish that arrived at `now_ms` (Unix milliseconds).
    ///
    /// # Errors
    /// [`Malformed`] says what is wrong and names the field.
    pub fn decode(topic: &str, bytes: &[u8], now_ms: i64, max_bytes: usize) -> Result<Self, Malformed> {
        Self::read(topic.parse()?, topic, bytes, now_ms, max_bytes)
    }

    fn read(topic: Topic, text: &str, bytes: &[u8], now_ms: i64, max_bytes: usize) -> Result<Self, Malformed> {
        if bytes.len() > max_bytes {
            return Err(BadEnvelope::TooLarge(bytes.len(), max_bytes).into());
        }
        let server_topic = || Malformed::ServerTopic(text.into());
        match topic {
            Topic::Device(key, tail) if tail.is_from_device() => {
                let (envelope, body) = decode_device(&tail, bytes, now_ms, max_bytes)?;
                Ok(Self::Device(key, Box::new(envelope), body))
            }
            Topic::Room(_, RoomTail::MessagesOut | RoomTail::System) | Topic::Device(..) | Topic::Group(..) | Topic::Client(..) => Err(server_topic()),
            Topic::Room(room, tail) => Ok(Self::Room(room, tail, RoomInput::decode(bytes)?)),
            Topic::Web(topic) => Ok(Self::Web(match topic {
                WebTopic::ChatSend => WebInput::Send(ChatSend::decode(bytes, max_bytes)?),
                WebTopic::SessionCreate => WebInput::Create(decode_ask(bytes, max_bytes)?),
                WebTopic::SessionDelete => WebInput::Delete(decode_ask(bytes, max_bytes)?),
                WebTopic::SessionList => WebInput::List(decode_ask(bytes, max_bytes)?),
                WebTopic::SystemSend => WebInput::System(decode_ask(bytes, max_bytes)?),
                _ => return Err(server_topic()),
            })),
        }
    }
}

fn decode_device(tail: &DeviceTail, bytes: &[u8], now_ms: i64, max_bytes: usize) -> Result<(Envelope, DeviceBody), BadEnvelope> {
    let (family, wrappers): (String, &[&str]) = match tail {
        DeviceTail::Telemetry(metric) => (format!("telemetry.{metric}"), &["payload", "data", "content", "metrics"]),
        DeviceTail::Event(name) => (format!("evt.{name}"), &["payload", "content"]),
        DeviceTail::CmdAck => ("cmd.ack".into(), WRAPPERS),
        DeviceTail::CmdRes => ("cmd.result".into(), &["payload", "content"]),
        DeviceTail::Topology(part) => (format!("topology.{part}"), WRAPPERS),
        other => (other.to_string().replace('/', "."), WRAPPERS),
    };
    let envelope = Envelope::open(parse_object(bytes, max_bytes)?, &family, wrappers, now_ms)?;
    let body = match tail {
        DeviceTail::Lwt => DeviceBody::Lwt(Lwt::decode(&envelope)?),
        DeviceTail::Attr => DeviceBody::Attr(Attr::decode(&envelope)?),
        DeviceTail::State => DeviceBody::State(State::decode(&envelope)?),
        DeviceTail::Telemetry(metric) => DeviceBody::Telemetry(metric.clone(), Telemetry::decode(&envelope)?),
        DeviceTail::Event(name) => DeviceBody::Event(name.clone(), DeviceEvent::decode(&envelope)?),
        DeviceTail::CmdAck => DeviceBody::Ack(Ack::decode(&envelope)?),
        DeviceTail::CmdRes | DeviceTail::CmdReq => DeviceBody::Answer(Answer::decode(&envelope)?),
        DeviceTail::Topology(part) => DeviceBody::Topology(part.clone(), Topology::decode(&envelope)?),
        DeviceTail::Diagnostics(test) => DeviceBody::Diagnostics(test.clone()),
        DeviceTail::CapabilityUpdate => DeviceBody::Capability(CapabilityUpdate::decode(&envelope)?),
    };
    Ok((envelope, body))
}
