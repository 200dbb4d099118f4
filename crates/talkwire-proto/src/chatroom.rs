//! `chatroom/…`: the chat room by MQTT (`spec/chatroom-mqtt.md`, `PROTOCOL.md` §6).

use crate::envelope::BadEnvelope;
use crate::fields::Fields;
use crate::json::parse_value;
use crate::limits;
use crate::text::shown;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::text::{plain_text, shown_name};

/// A client speaks, joins or leaves. Not JSON: the text is the message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct RoomInput {
    /// What the client calls itself. Never used as identity.
    pub client_id: Option<String>,
    /// The name to show.
    pub username: Option<String>,
    /// What is said (`messages/in` only).
    pub message: Option<String>,
    /// The message that this one answers.
    pub reply_to: Option<String>,
}

impl RoomInput {
    /// Reads a payload of `messages/in`, `users/join` or `users/leave`. Text that is not a JSON object is the message itself.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadEnvelope> {
        let text = std::str::from_utf8(bytes).map_err(|_| BadEnvelope::NotText)?;
        match parse_value(text) {
            Ok(Value::Object(object)) => {
                let fields = Fields(&object);
                Ok(Self {
                    client_id: fields.text(&["client_id"])?.map(|text| shown(&text, 256)).filter(|id| !id.is_empty()),
                    username: fields.text(&["username"])?.map(|text| shown_name(&text)).filter(|name| !name.is_empty()),
                    message: fields.text(&["message", "content", "text"])?,
                    reply_to: fields.name(&["reply_to", "in_reply_to"], limits::ID_BYTES)?,
                })
            }
            Ok(Value::String(text)) => Ok(Self { message: Some(text), ..Self::default() }),
            Err(reason @ (BadEnvelope::Duplicate(_) | BadEnvelope::TooDeep(_))) if text.trim_start().starts_with('{') => Err(reason),
            _ => Ok(Self { message: Some(text.trim_end_matches('\0').into()), ..Self::default() }),
        }
    }
}

/// What is said, made fit to be shown; or why a room or a conversation does not take it (blank, or over 4,000 characters).
pub fn checked_message(text: &str) -> Result<String, BadEnvelope> {
    let plain = plain_text(text);
    let length = plain.chars().count();
    if plain.trim().is_empty() {
        Err(BadEnvelope::Value("a message must not be blank".into()))
    } else if length > limits::CHAT_CHARS {
        Err(BadEnvelope::Value(format!("a message may have {} characters; this one has {length}", limits::CHAT_CHARS)))
    } else {
        Ok(plain)
    }
}

/// A message of the room, as the document prints it, with our `ts` and `seq` added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoomOutput {
    /// `user_message`, `ai_response` or `system_message`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who speaks (messages).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub username: Option<String>,
    /// What is said (messages).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content: Option<String>,
    /// What is said (notices of the system).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
    /// Local time, ISO-8601 with microseconds and no zone.
    pub timestamp: String,
    /// UUID of the message.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message_id: Option<String>,
    /// The client that a notice is for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_id: Option<String>,
    /// A stable error code, in a refusal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<String>,
    /// Unix milliseconds; 0 in a message of the document, which has none.
    #[serde(default)]
    pub ts: i64,
    /// Rises by one per message of a room.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seq: Option<u64>,
}

/// `GET /mqtt/status`, exactly as the document prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusAnswer {
    /// Whether the question could be answered.
    pub success: bool,
    /// The answer.
    pub mqtt_status: MqttStatus,
    /// Local time, ISO-8601 with microseconds and no zone.
    pub timestamp: String,
}

/// The chat room's MQTT service in true counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MqttStatus {
    /// Whether the room is connected to the broker.
    pub is_connected: bool,
    /// Whether the service runs.
    pub is_running: bool,
    /// Host and port of the broker.
    pub broker_info: String,
    /// How many users came by MQTT and are there.
    pub mqtt_users_count: u64,
    /// Messages that came in since the start.
    pub messages_received: u64,
    /// Messages that went out since the start.
    pub messages_sent: u64,
    /// Local time, ISO-8601; `null` while not connected.
    pub connect_time: Option<String>,
    /// Local time, ISO-8601; `null` before the first message.
    pub last_message_time: Option<String>,
    /// The topics served.
    pub active_topics: Vec<String>,
    /// Who is there.
    pub mqtt_users: Vec<MqttUser>,
}

/// A user who came by MQTT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MqttUser {
    /// What the client calls itself.
    pub client_id: String,
    /// The name shown.
    pub username: String,
    /// Local time, ISO-8601.
    pub join_time: String,
    /// How many messages it sent.
    pub message_count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> RoomInput {
        RoomInput::decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_document_s_message_is_read() {
        let input = read(r#"{"client_id": "mqtt_client_001", "username": "MQTT用户", "message": "Hello from MQTT!"}"#);
        let said = (input.client_id.as_deref(), input.username.as_deref(), input.message.as_deref());
        assert_eq!(said, (Some("mqtt_client_001"), Some("MQTT用户"), Some("Hello from MQTT!")));
    }

    #[test]
    fn what_is_not_a_json_object_is_the_message_itself() {
        for text in ["hello", "你好 @AI", "42", "[1, 2]", "{broken", "null", "[[[[[[[[[[[[[[[[[[[[", "gAAAAABnot-a-secret"] {
            assert_eq!(read(text).message.as_deref(), Some(text));
        }
        assert_eq!(read("\"quoted\"").message.as_deref(), Some("quoted"));
        assert_eq!(RoomInput::decode(&[0xff, 0xfe]), Err(BadEnvelope::NotText));
    }

    #[test]
    fn a_wrong_type_or_a_name_given_twice_is_refused() {
        assert_eq!(RoomInput::decode(br#"{"message": 5}"#).unwrap_err().to_string(), "field `message` must be a string, not a number");
        assert_eq!(RoomInput::decode(br#"{"username": "a", "username": "b"}"#), Err(BadEnvelope::Duplicate("username".into())));
        assert_eq!(RoomInput::decode(format!("{{\"a\":{}", "[".repeat(500)).as_bytes()), Err(BadEnvelope::TooDeep(limits::NESTING)));
    }

    #[test]
    fn names_are_made_fit_to_be_shown_and_blank_ones_are_none() {
        let input = read(r#"{"client_id": "\n", "username": " \u202e\u200b "}"#);
        assert_eq!((input.client_id, input.username), (None, None));
    }

    #[test]
    fn a_message_is_neither_blank_nor_over_4000_characters() {
        assert!(checked_message(&"長".repeat(4_000)).is_ok());
        assert_eq!(checked_message(&"長".repeat(4_001)).unwrap_err().to_string(), "a message may have 4000 characters; this one has 4001");
        for blank in ["", " \n\t", "\u{200b}\u{0}"] {
            assert!(checked_message(blank).is_err());
        }
    }

    #[test]
    fn what_the_room_says_has_the_document_s_fields_and_unescaped_text() {
        let said = RoomOutput {
            kind: "user_message".into(),
            username: Some("张三".into()),
            content: Some("你好世界".into()),
            message: None,
            timestamp: "2025-07-26T11:05:13.675321".into(),
            message_id: Some("f470d770-9cf5-44f1-a29d-fc6f38091823".into()),
            client_id: None,
            code: None,
            ts: 1_753_527_913_675,
            seq: Some(7),
        };
        let text = serde_json::to_string(&said).unwrap();
        assert!(
            text.starts_with(r#"{"type":"user_message","username":"张三","content":"你好世界","timestamp":"2025-07-26T11:05:13.675321","message_id":"#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<RoomOutput>(&text).unwrap(), said);
    }

    proptest! {
        #[test]
        fn any_text_that_is_no_json_comes_through_whole(text in "[^\\[{\"0-9\u{feff}\0-][^\0]{0,60}") {
            prop_assume!(serde_json::from_str::<Value>(&text).is_err());
            prop_assert_eq!(read(&text).message, Some(text));
        }
    }
}
