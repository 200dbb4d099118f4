//! Chat rooms: who speaks, what is accepted, and when the assistant answers (`PROTOCOL.md` §6–§7).

mod speech;

pub use speech::{Refused, check_text, folded_name, mentions_assistant, speaker, without_mention};

use serde::{Deserialize, Serialize};

/// The assistant's names in the chat document.
pub const ASSISTANT: &str = "智能助手";

/// A room, which is also a conversation of the web chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Its name on the wire; `main` for the plain topics.
    pub room: String,
    /// Its name for people.
    pub name: String,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Whether everybody may read it. A room that is not belongs to `owner`.
    pub is_public: bool,
    /// Who made it, as the audit names it.
    pub owner: String,
    /// Whether the assistant answers every message, or only when spoken to.
    pub assistant_always: bool,
    /// Tenant and site that its complaints are about, when that was settled.
    #[serde(default)]
    pub place: Option<(String, String)>,
    /// Sequence number of the last message.
    pub last_seq: u64,
    /// Number of the last change (a message, or a newer form of one).
    pub last_change: u64,
    /// How many messages it has.
    pub message_count: u64,
}

/// Somebody in a room by MQTT, as `GET /mqtt/status` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The room.
    pub room: String,
    /// What the client calls itself.
    pub client_id: String,
    /// The name shown.
    pub username: String,
    /// Unix milliseconds.
    pub join_ms: i64,
    /// Messages sent.
    pub message_count: u64,
    /// Whether it is still there.
    pub present: bool,
}
