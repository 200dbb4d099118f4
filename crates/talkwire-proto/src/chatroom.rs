//! `chatroom/…`: the chat room by MQTT (`spec/chatroom-mqtt.md`, `PROTOCOL.md` §6).

use crate::fields::Fields;
use crate::limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    pub fn decode(bytes: &[u8]) -> Result<Self, crate::envelope::BadEnvelope> {
        let text = std::str::from_utf8(bytes).map_err(|_| crate::envelope::BadEnvelope::NotText)?;
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(object)) => {
                let fields = Fields(&object);
                Ok(Self {
                    client_id: fields.text(&["client_id"])?.map(|text| text.chars().take(256).collect()),
                    username: fields.text(&["username"])?.map(|text| shown_name(&text)).filter(|name| !name.is_empty()),
                    message: fields.text(&["message", "content", "text"])?,
                    reply_to: fields.text(&["reply_to", "in_reply_to"])?,
                })
            }
            Ok(Value::String(text)) => Ok(Self { message: Some(text), ..Self::default() }),
            _ => Ok(Self { message: Some(text.into()), ..Self::default() }),
        }
    }
}

/// A name fit to be shown: trimmed, bounded, without control or direction-changing characters.
pub fn shown_name(text: &str) -> String {
    plain_text(text).trim().chars().take(limits::USERNAME_CHARS).collect()
}

/// Text without control characters (line breaks and tabs stay) and without characters that change the reading direction.
pub fn plain_text(text: &str) -> String {
    let hidden = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().filter(|c| !hidden(*c)).collect()
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
    /// Unix milliseconds.
    pub ts: i64,
    /// Rises by one per message of a room.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seq: Option<u64>,
}
