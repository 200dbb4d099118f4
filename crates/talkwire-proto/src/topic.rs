//! Topics: `rtk/v1/…`, `chatroom/…`, `chat/…`, `system/…` and `connection/…` (`PROTOCOL.md` §1, §6, §7).

use crate::id::{BadId, DeviceKey, GroupId, RoomName, Site, Tenant};
use crate::limits;
use crate::text::is_plain_char;
use std::fmt;
use std::str::FromStr;

/// A topic that Talkwire speaks. `parse` and `Display` are inverse.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// `rtk/v1/{tenant}/{site}/{device_id}/…`
    Device(DeviceKey, DeviceTail),
    /// `rtk/v1/{tenant}/{site}/group/{group_id}/cmd/req`
    Group(Tenant, Site, GroupId),
    /// `chatroom/…` (room `main`) or `chatroom/{room}/…`
    Room(RoomName, RoomTail),
    /// `chat/…`, `system/…`, `connection/…`
    Web(WebTopic),
    /// `chat/client/{client_id}/…`: the private copy of a server → client topic.
    Client(String, WebTopic),
}

/// What follows the device in a device's topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DeviceTail {
    /// Presence: the will, and what is said at connect. QoS 1, retained.
    Lwt,
    /// Identity and capabilities. QoS 1, retained.
    Attr,
    /// Health and figures. QoS 1, retained.
    State,
    /// One metric. QoS 0 or 1.
    Telemetry(String),
    /// One event, its dotted name in one level (`evt/wifi/roam` is read as `wifi.roam`). QoS 1.
    Event(String),
    /// A command of the controller. QoS 1.
    CmdReq,
    /// The device took a command, within a second. QoS 1.
    CmdAck,
    /// Result or progress of a command. QoS 1.
    CmdRes,
    /// What the device sees of the network: `update`, `discovery`, `connections`, `neighbors`. QoS 1.
    Topology(String),
    /// Result of a test that ran by itself. QoS 1.
    Diagnostics(String),
    /// What the device can do has changed. QoS 1.
    CapabilityUpdate,
}

/// What follows the room in a chat room's topic (`spec/chatroom-mqtt.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoomTail {
    /// A client speaks.
    MessagesIn,
    /// The room speaks.
    MessagesOut,
    /// A client joins.
    UsersJoin,
    /// A client leaves.
    UsersLeave,
    /// Notices of the room.
    System,
}

/// The topics of the web chat (`spec/mqtt-websocket.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WebTopic {
    /// Client → server: a chat message.
    ChatSend,
    /// Server → client: a chat message, or its newer form.
    ChatReceive,
    /// Server → client: where a message stands.
    ChatStatus,
    /// Client → server.
    SessionCreate,
    /// Client → server.
    SessionDelete,
    /// Client → server: list sessions, or the messages of one after a `seq`.
    SessionList,
    /// Server → client.
    SessionCreated,
    /// Server → client.
    SessionDeleted,
    /// Server → client.
    SessionListed,
    /// Server → client.
    ChatError,
    /// Client → server: a system parameter is set or asked for.
    SystemSend,
    /// Server → client: the answer.
    SystemReceive,
    /// Server → client: which parameters hold now.
    SystemStatus,
    /// Server → client, retained: the clients' connection.
    ConnectionClient,
    /// Server → client, retained: the assistant.
    ConnectionAiCore,
    /// Server → client, retained: the whole.
    ConnectionSystem,
}

const ROOM_TAILS: [(RoomTail, &str); 5] = [
    (RoomTail::MessagesIn, "messages/in"),
    (RoomTail::MessagesOut, "messages/out"),
    (RoomTail::UsersJoin, "users/join"),
    (RoomTail::UsersLeave, "users/leave"),
    (RoomTail::System, "system"),
];

const WEB_TOPICS: [(WebTopic, &str); 16] = [
    (WebTopic::ChatSend, "chat/send"),
    (WebTopic::ChatReceive, "chat/receive"),
    (WebTopic::ChatStatus, "chat/status"),
    (WebTopic::SessionCreate, "chat/session/create"),
    (WebTopic::SessionDelete, "chat/session/delete"),
    (WebTopic::SessionList, "chat/session/list"),
    (WebTopic::SessionCreated, "chat/session/created"),
    (WebTopic::SessionDeleted, "chat/session/deleted"),
    (WebTopic::SessionListed, "chat/session/listed"),
    (WebTopic::ChatError, "chat/error"),
    (WebTopic::SystemSend, "system/send"),
    (WebTopic::SystemReceive, "system/receive"),
    (WebTopic::SystemStatus, "system/status"),
    (WebTopic::ConnectionClient, "connection/client"),
    (WebTopic::ConnectionAiCore, "connection/ai-core"),
    (WebTopic::ConnectionSystem, "connection/system"),
];

/// Why a topic is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTopic {
    /// Longer than 200 bytes or deeper than 32 levels.
    #[error("topic has {bytes} bytes and {levels} levels; at most 200 bytes and 32 levels are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// Its levels.
        levels: usize,
    },
    /// A name inside the topic is not valid.
    #[error(transparent)]
    Name(#[from] BadId),
    /// A metric, event, test or client id that is empty, too long or has a wildcard.
    #[error("topic has a name {0:?} that is empty, too long, or contains a wildcard, control or invisible character")]
    Word(String),
    /// None of our topics.
    #[error("topic {0:?} is not one that Talkwire knows")]
    Unknown(String),
}

impl RoomTail {
    fn parse(text: &str) -> Option<Self> {
        ROOM_TAILS.iter().find(|(_, word)| *word == text).map(|(tail, _)| *tail)
    }
    /// The tail's text, for example `messages/in`.
    pub fn as_str(self) -> &'static str {
        ROOM_TAILS.iter().find(|(tail, _)| *tail == self).map_or("", |(_, word)| word)
    }
}

impl WebTopic {
    fn parse(text: &str) -> Option<Self> {
        WEB_TOPICS.iter().find(|(_, word)| *word == text).map(|(topic, _)| *topic)
    }
    /// The topic's text, for example `chat/send`.
    pub fn as_str(self) -> &'static str {
        WEB_TOPICS.iter().find(|(topic, _)| *topic == self).map_or("", |(_, word)| word)
    }
    /// Whether a client may publish to it; the others are the server's.
    pub fn is_from_client(self) -> bool {
        matches!(self, Self::ChatSend | Self::SessionCreate | Self::SessionDelete | Self::SessionList | Self::SystemSend)
    }
}

impl DeviceTail {
    fn parse(levels: &[&str]) -> Result<Option<Self>, BadTopic> {
        Ok(Some(match levels {
            ["lwt"] => Self::Lwt,
            ["attr"] => Self::Attr,
            ["state"] => Self::State,
            ["telemetry", metric] => Self::Telemetry(word(metric)?),
            ["evt", name] => Self::Event(word(name)?),
            ["evt", parts @ ..] if parts.len() > 1 && parts.iter().all(|part| !part.is_empty()) => Self::Event(word(&parts.join("."))?),
            ["cmd", "req"] => Self::CmdReq,
            ["cmd", "ack"] => Self::CmdAck,
            ["cmd", "res"] => Self::CmdRes,
            ["topology", part @ ("update" | "discovery" | "connections" | "neighbors")] => Self::Topology((*part).into()),
            ["diagnostics", test] => Self::Diagnostics(word(test)?),
            ["capability", "update"] => Self::CapabilityUpdate,
            _ => return Ok(None),
        }))
    }

    /// Whether the device, not the controller, publishes it.
    pub fn is_from_device(&self) -> bool {
        !matches!(self, Self::CmdReq)
    }

    /// Whether a message stays for later subscribers.
    pub fn is_retained(&self) -> bool {
        matches!(self, Self::Lwt | Self::Attr | Self::State)
    }
}

impl fmt::Display for DeviceTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lwt => f.write_str("lwt"),
            Self::Attr => f.write_str("attr"),
            Self::State => f.write_str("state"),
            Self::Telemetry(metric) => write!(f, "telemetry/{metric}"),
            Self::Event(name) => write!(f, "evt/{name}"),
            Self::CmdReq => f.write_str("cmd/req"),
            Self::CmdAck => f.write_str("cmd/ack"),
            Self::CmdRes => f.write_str("cmd/res"),
            Self::Topology(part) => write!(f, "topology/{part}"),
            Self::Diagnostics(test) => write!(f, "diagnostics/{test}"),
            Self::CapabilityUpdate => f.write_str("capability/update"),
        }
    }
}

fn word(text: &str) -> Result<String, BadTopic> {
    let fits = !text.is_empty() && text.len() <= limits::WORD_CHARS && text.chars().all(|c| is_plain_char(c) && !matches!(c, '+' | '#' | '/'));
    if fits { Ok(text.into()) } else { Err(BadTopic::Word(text.chars().take(80).collect())) }
}

impl FromStr for Topic {
    type Err = BadTopic;

    fn from_str(text: &str) -> Result<Self, BadTopic> {
        let levels: Vec<&str> = text.split('/').collect();
        if text.len() > limits::TOPIC_BYTES || levels.len() > limits::TOPIC_LEVELS {
            return Err(BadTopic::TooLong { bytes: text.len(), levels: levels.len() });
        }
        let unknown = || BadTopic::Unknown(text.chars().take(limits::TOPIC_BYTES).collect());
        match levels.as_slice() {
            ["rtk", "v1", tenant, site, "group", group, "cmd", "req"] => Ok(Self::Group(tenant.parse()?, site.parse()?, group.parse()?)),
            ["rtk", "v1", tenant, site, device_id, tail @ ..] => {
                let tail = DeviceTail::parse(tail)?.ok_or_else(unknown)?;
                let key = DeviceKey { tenant: tenant.parse()?, site: site.parse()?, device_id: device_id.parse()? };
                Ok(Self::Device(key, tail))
            }
            ["chatroom", tail @ ..] if RoomTail::parse(&tail.join("/")).is_some() => {
                let tail = RoomTail::parse(&tail.join("/")).ok_or_else(unknown)?;
                Ok(Self::Room(RoomName::main(), tail))
            }
            ["chatroom", room, tail @ ..] => {
                let tail = RoomTail::parse(&tail.join("/")).ok_or_else(unknown)?;
                Ok(Self::Room(room.parse()?, tail))
            }
            ["chat", "client", client_id, tail @ ..] => {
                let tail = tail.join("/");
                let topic = WebTopic::parse(&tail).or_else(|| WebTopic::parse(&format!("chat/{tail}"))).ok_or_else(unknown)?;
                Ok(Self::Client(word(client_id)?, topic))
            }
            _ => WebTopic::parse(text).map(Self::Web).ok_or_else(unknown),
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(key, tail) => write!(f, "rtk/v1/{key}/{tail}"),
            Self::Group(tenant, site, group) => write!(f, "rtk/v1/{tenant}/{site}/group/{group}/cmd/req"),
            Self::Room(room, tail) if room.as_str() == "main" => write!(f, "chatroom/{}", tail.as_str()),
            Self::Room(room, tail) => write!(f, "chatroom/{room}/{}", tail.as_str()),
            Self::Web(topic) => f.write_str(topic.as_str()),
            Self::Client(client_id, topic) => {
                let text = topic.as_str();
                write!(f, "chat/client/{client_id}/{}", text.strip_prefix("chat/").unwrap_or(text))
            }
        }
    }
}

#[cfg(test)]
mod tests;
