//! One publish that arrived, as one value: topic and payload together, or the reason why not.

use crate::attr::Attr;
use crate::capability::CapabilityUpdate;
use crate::chat::{ChatSend, SessionAsk, WebInput};
use crate::chatroom::RoomInput;
use crate::code::Code;
use crate::command::{Ack, Answer};
use crate::envelope::{BadEnvelope, Envelope, parse_object};
use crate::event::DeviceEvent;
use crate::id::{DeviceKey, RoomName};
use crate::lwt::Lwt;
use crate::state::State;
use crate::system::SystemSend;
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
    /// Its schema has a major version that we do not know: kept and flagged, not read and not acted on.
    Newer(DeviceTail),
}

/// A publish that Talkwire understands.
#[expect(clippy::large_enum_variant, reason = "one value per message, matched once and taken apart")]
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
        let (text, topic) = (topic, topic.parse::<Topic>()?);
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
                WebTopic::SessionCreate => WebInput::Create(SessionAsk::decode(bytes, max_bytes)?),
                WebTopic::SessionDelete => WebInput::Delete(SessionAsk::decode(bytes, max_bytes)?),
                WebTopic::SessionList => WebInput::List(SessionAsk::decode(bytes, max_bytes)?),
                WebTopic::SystemSend => WebInput::System(SystemSend::decode(bytes, max_bytes)?),
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
        DeviceTail::CapabilityUpdate => ("capability.update".into(), &["capability_update", "payload", "data", "content"]),
        other => (other.to_string().replace('/', "."), WRAPPERS),
    };
    let envelope = Envelope::open(parse_object(bytes, max_bytes)?, &family, wrappers, now_ms)?;
    if envelope.schema_unknown {
        return Ok((envelope, DeviceBody::Newer(tail.clone())));
    }
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::limits::MESSAGE_BYTES;
    use proptest::prelude::*;

    const NOW_MS: i64 = 1_753_527_913_675;

    fn decode(topic: &str, text: &str) -> Result<Inbound, Malformed> {
        Inbound::decode(topic, text.as_bytes(), NOW_MS, MESSAGE_BYTES)
    }

    fn device(tail: &str, text: &str) -> Result<(Envelope, DeviceBody), Malformed> {
        match decode(&format!("rtk/v1/your-org/main-office/aabbccddeeff/{tail}"), text)? {
            Inbound::Device(_, envelope, body) => Ok((*envelope, body)),
            other => panic!("not from a device: {other:?}"),
        }
    }

    /// What a device's message on `tail` says.
    pub(crate) fn body(tail: &str, text: &str) -> DeviceBody {
        device(tail, text).unwrap_or_else(|reason| panic!("{tail} {text}: {reason}")).1
    }

    /// The envelope of a device's message on `tail`.
    pub(crate) fn envelope(tail: &str, text: &str) -> Envelope {
        device(tail, text).unwrap_or_else(|reason| panic!("{tail} {text}: {reason}")).0
    }

    /// Why a device's message on `tail` is refused.
    pub(crate) fn refusal(tail: &str, text: &str) -> String {
        match device(tail, text) {
            Ok((_, body)) => panic!("{tail} {text} was read as {body:?}"),
            Err(reason) => reason.to_string(),
        }
    }

    #[test]
    fn an_unknown_major_version_is_kept_and_never_acted_on() {
        let (envelope, body) = device("state", r#"{"schema": "state/2.0", "health": {"score": 7}}"#).unwrap();
        assert!(envelope.schema_unknown);
        assert_eq!(body, DeviceBody::Newer(DeviceTail::State));
        assert_eq!(envelope.raw["health"]["score"], 7);
        assert!(matches!(device("lwt", r#"{"schema": "lwt/9.1", "status": "offline"}"#).unwrap().1, DeviceBody::Newer(_)));
        assert!(matches!(device("state", r#"{"schema": "state/1.7", "health": "ok"}"#).unwrap().1, DeviceBody::State(_)));
    }

    #[test]
    fn unknown_fields_are_kept_with_the_message() {
        assert_eq!(envelope("state", r#"{"health": "ok", "fan": {"rpm": 900}}"#).raw["fan"]["rpm"], 900);
    }

    #[test]
    fn diagnostics_are_kept_as_they_came() {
        assert_eq!(body("diagnostics/speed_test", r#"{"down": 5}"#), DeviceBody::Diagnostics("speed_test".into()));
    }

    #[test]
    fn topics_of_the_server_and_of_the_controller_are_refused_to_clients() {
        let topics = [
            "rtk/v1/t/s/aabbccddeeff/cmd/req",
            "rtk/v1/t/s/group/g/cmd/req",
            "chatroom/messages/out",
            "chatroom/r/system",
            "chat/receive",
            "chat/session/listed",
            "chat/client/c/receive",
            "chat/client/c/send",
            "system/status",
            "connection/client",
        ];
        for topic in topics {
            let refused = decode(topic, "{}").unwrap_err();
            assert_eq!((refused.clone(), refused.code()), (Malformed::ServerTopic(topic.into()), Code::Forbidden));
        }
    }

    #[test]
    fn each_refusal_has_the_code_of_its_kind() {
        assert_eq!(Inbound::decode("chatroom/messages/in", &[b'x'; 11], NOW_MS, 10).unwrap_err().code(), Code::TooLarge);
        assert_eq!(decode("nowhere/at/all", "{}").unwrap_err().code(), Code::Malformed);
        assert_eq!(decode("rtk/v1/t/s/aabbccddeeff/state", "{").unwrap_err().code(), Code::Malformed);
    }

    #[test]
    fn an_encrypted_payload_without_a_key_is_named_as_such() {
        assert!(refusal("state", "gAAAAABmZ1x2Qm5vdCBhIHJlYWwgdG9rZW4sIGp1c3QgaXRzIHNoYXBl").contains("Fernet token"));
    }

    const POISON: [&[u8]; 16] = [
        b"",
        b"null",
        b"not json",
        b"{\"health\":",
        b"{\"value\":NaN}",
        b"{\"value\":1e999}",
        b"{\"value\":-1e999}",
        b"{\"id\":\"a\",\"id\":\"b\"}",
        b"{\"status\":\"\\ud800\"}",
        b"{\"status\":\"\xff\xfe\"}",
        b"{\"ts\":\"2024-01-01T00:00:00.ab\xe2\x82\xac\"}",
        b"{\"ts\":99999999999999999999999999}",
        b"{\"trace\":[]}",
        b"{\"payload\":[]}",
        b"{\"schema\":7}",
        b"{\"schema\":\"\"}",
    ];
    const TOPICS: [&str; 10] = ["lwt", "attr", "state", "telemetry/x", "evt/x", "cmd/ack", "cmd/res", "topology/update", "capability/update", "diagnostics/x"];

    #[test]
    fn poisoned_payloads_are_refused_on_every_topic_and_the_next_message_is_read() {
        for tail in TOPICS {
            for bytes in POISON {
                let topic = format!("rtk/v1/t/s/aabbccddeeff/{tail}");
                assert!(Inbound::decode(&topic, bytes, NOW_MS, MESSAGE_BYTES).is_err(), "{tail} {}", String::from_utf8_lossy(bytes));
            }
            assert!(matches!(body("lwt", r#"{"status": "online"}"#), DeviceBody::Lwt(_)));
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let keys = "status|health|ts|timestamp|schema|payload|data|content|metrics|trace|id|op|args|ok|error|err|progress|result|capabilities|tools|changes|capability_update|text|message|client_id|username|chunk|index|count|sha256|session_id|value|name|[a-z]{0,3}";
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            any::<f64>().prop_map(serde_json::Value::from),
            any::<String>().prop_map(serde_json::Value::from),
            "online|ok|completed|received|state/1.0|cmd.x/1.0|2024-08-20T08:00:00Z".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 48, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
                prop::collection::btree_map(keys, inner, 0..8).prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn any_topic() -> impl Strategy<Value = String> {
        let ours = "rtk/v1/t/s/aabbccddeeff/(lwt|attr|state|telemetry/x|evt/x|cmd/ack|cmd/res|cmd/req|topology/update|capability/update)|chatroom/(messages/in|users/join|users/leave)|chat/(send|session/(create|delete|list))|system/send";
        prop_oneof![4 => ours, 1 => any::<String>()]
    }

    proptest! {
        #[test]
        fn no_bytes_on_any_topic_are_too_strange(topic in any_topic(), bytes in prop::collection::vec(any::<u8>(), 0..600), now_ms in any::<i64>()) {
            let _ = Inbound::decode(&topic, &bytes, now_ms, MESSAGE_BYTES);
            let _ = crate::command::Request::decode(&bytes, now_ms);
        }

        #[test]
        fn no_json_on_any_topic_is_too_strange(topic in any_topic(), value in any_json(), now_ms in any::<i64>()) {
            let bytes = value.to_string().into_bytes();
            let _ = Inbound::decode(&topic, &bytes, now_ms, MESSAGE_BYTES);
            if let Ok(request) = crate::command::Request::decode(&bytes, now_ms) {
                let _ = crate::batch::commands(&request);
            }
        }

        #[test]
        fn a_message_over_the_limit_is_refused_on_every_topic(topic in "rtk/v1/t/s/aabbccddeeff/state|chatroom/messages/in|chat/send|system/send", limit in 20usize..200) {
            let bytes = vec![b' '; limit + 1];
            let refused = Inbound::decode(&topic, &bytes, NOW_MS, limit).unwrap_err();
            prop_assert_eq!(refused, Malformed::Payload(BadEnvelope::TooLarge(limit + 1, limit)));
        }
    }
}
