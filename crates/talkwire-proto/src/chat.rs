//! `chat/…`: the web chat (`spec/mqtt-websocket.md`, payloads of `PROTOCOL.md` §7).

use crate::envelope::{BadEnvelope, parse_object, read_time};
use crate::fields::Fields;
use crate::limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use crate::piece::{Chunk, Piece, PiecesWanted};
pub use crate::system::{ConnectionState, Parameter, SystemAnswer, SystemSend, SystemStatus};

/// `chat/send`: a message, or a piece of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatSend {
    /// UUID given by the client, so that a resend is recognised.
    pub id: String,
    /// The conversation; `main` when missing.
    #[serde(default = "main_session")]
    pub session_id: String,
    /// What is said.
    pub text: String,
    /// Unix milliseconds on the client's clock.
    #[serde(default)]
    pub ts: Option<i64>,
    /// What the client calls itself. Never used as identity.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The message that this one answers.
    #[serde(default)]
    pub reply_to: Option<String>,
    /// Which piece it is, when the message was split.
    #[serde(default)]
    pub chunk: Option<Chunk>,
}

fn main_session() -> String {
    "main".into()
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A signed-in person.
    User,
    /// Somebody without an account.
    Guest,
    /// A device.
    Device,
    /// The assistant.
    Assistant,
    /// Talkwire itself.
    System,
}

/// `chat/receive`: a message, or its newer form (same `id`, higher `rev`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatMessage {
    /// UUID.
    pub id: String,
    /// The message that it answers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub in_reply_to: Option<String>,
    /// The conversation.
    pub session_id: String,
    /// Who speaks; decided by the server.
    pub role: Role,
    /// The name shown.
    pub username: String,
    /// The words.
    pub text: String,
    /// Steps, evidence, charts and cards.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub parts: Vec<Part>,
    /// Unix milliseconds of its first form.
    pub ts: i64,
    /// Its place in the conversation: rises by one per message.
    pub seq: u64,
    /// Which form of it: 0 first. A higher one replaces the lower.
    #[serde(default)]
    pub rev: u64,
    /// Rises with every message and every newer form of the conversation: what a client asks after to catch up.
    #[serde(default)]
    pub change: u64,
}

/// A piece of an assistant's message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Part {
    /// How the sentence was understood.
    Understanding {
        /// The flow's name, or `other`.
        intent: String,
        /// 0–1.
        confidence: f64,
    },
    /// The steps of a diagnosis, as they stand now.
    Steps {
        /// The diagnosis session.
        diagnosis_id: String,
        /// In order.
        steps: Vec<StepView>,
    },
    /// What was found.
    Cause {
        /// `fault`, `healthy` or `inconclusive`.
        verdict: String,
        /// A stable word, for example `wifi_cochannel_busy`.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        cause: Option<String>,
        /// One or two sentences.
        text: String,
        /// 0–1.
        confidence: f64,
        /// What it rests on.
        evidence: Vec<EvidenceView>,
        /// What else was considered.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        rivals: Vec<RivalView>,
    },
    /// A small bar chart with its table behind it.
    Chart {
        /// What it shows.
        title: String,
        /// Unit of the values.
        unit: String,
        /// The bars.
        points: Vec<ChartPoint>,
    },
    /// A small table.
    Table {
        /// What it shows.
        title: String,
        /// Heads.
        columns: Vec<String>,
        /// Rows of as many cells.
        rows: Vec<Vec<String>>,
    },
    /// The approval card, alive until the change has ended.
    Changeset(Box<ChangesetView>),
    /// A question with answers to tap.
    Choices {
        /// The answers; tapping one sends it as a message.
        options: Vec<String>,
    },
}

/// A step as people see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    /// The step's trace id.
    pub trace_id: String,
    /// The tool.
    pub tool: String,
    /// What it does, in the reader's language.
    pub title: String,
    /// The device that is asked.
    pub device_id: String,
    /// Its name.
    pub device_name: String,
    /// `waiting`, `running`, `completed`, `failed` or `skipped`.
    pub status: String,
    /// Percent, while running.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub progress: Option<f64>,
    /// Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started_at: Option<i64>,
    /// Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub completed_at: Option<i64>,
    /// The result in a few words, for example `18 ↓ 9 ↑ Mbps`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub summary: Option<String>,
    /// Why it failed or was skipped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}

/// One thing that a verdict rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceView {
    /// Its name, for example `env.util_ext`.
    pub name: String,
    /// In words, for example `channel 6: 81 % busy`.
    pub text: String,
    /// The figure or word measured.
    pub value: Value,
    /// The step that measured it.
    pub trace_id: String,
    /// The device that measured it.
    pub device_id: String,
}

/// A cause that was considered and not chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RivalView {
    /// A stable word.
    pub cause: String,
    /// Its name in the reader's language.
    pub text: String,
    /// 0–1.
    pub confidence: f64,
}

/// A bar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChartPoint {
    /// Under the bar.
    pub label: String,
    /// Its height.
    pub value: f64,
    /// Whether it is the one spoken of.
    #[serde(default)]
    pub marked: bool,
}

/// One change of a set as people see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperationView {
    /// The device.
    pub device_id: String,
    /// Its name.
    pub device_name: String,
    /// The tool.
    pub op: String,
    /// What changes, in the reader's language, for example `2.4 GHz channel`.
    pub label: String,
    /// The value now.
    pub before: String,
    /// The value wanted.
    pub after: String,
    /// Whether the device can undo it by itself.
    pub undoes_itself: bool,
}

/// The approval card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChangesetView {
    /// The set.
    pub changeset_id: String,
    /// Its state: `proposed`, `approved`, `preparing`, `applied`, `verifying`, `committed`, `rolled_back`, `rollback_failed`, `rejected`, `expired`.
    pub status: String,
    /// Hash of the exact plan: what an approval is bound to.
    pub plan_hash: String,
    /// The changes.
    pub operations: Vec<OperationView>,
    /// What is expected, in words.
    pub expect: String,
    /// What people will feel, in words.
    pub impact: String,
    /// When and how it goes back by itself, in words.
    pub undo: String,
    /// `low`, `medium` or `high`.
    pub risk: String,
    /// Whether an administrator must approve.
    pub needs_admin: bool,
    /// Unix milliseconds: until when it may be approved, or when the devices go back by themselves.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deadline_ms: Option<i64>,
    /// The measurement before, in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<String>,
    /// The measurement after, in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<String>,
    /// How it ended and why, in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outcome: Option<String>,
    /// Whether there is a receipt to fetch.
    #[serde(default)]
    pub has_receipt: bool,
}

/// `chat/status`: where a message stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatStatus {
    /// The client's message id.
    pub id: String,
    /// `sending`, `sent`, `processing` or `failed`.
    pub status: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<ChatError>,
}

/// `chat/error`: a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatError {
    /// The message that is refused, when it had an id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
    /// A stable code.
    pub code: String,
    /// What to do, in one sentence.
    pub message: String,
}

/// `chat/session/{create|delete|list}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct SessionAsk {
    /// Comes back in the answer.
    #[serde(default)]
    pub request_id: Option<String>,
    /// What the client calls itself: the answer goes to its private topics.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The conversation to delete, or whose messages to list.
    #[serde(default)]
    pub session_id: Option<String>,
    /// The name of a new conversation.
    #[serde(default)]
    pub name: Option<String>,
    /// List messages with a higher `change` than this (catching up).
    #[serde(default)]
    pub after: Option<u64>,
    /// List messages with a lower `seq` than this (older history).
    #[serde(default)]
    pub before: Option<u64>,
    /// At most this many, 1–200.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// A conversation in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionView {
    /// The conversation.
    pub session_id: String,
    /// Its name.
    pub name: String,
    /// Unix milliseconds.
    pub created_at: i64,
    /// How many messages it has.
    pub message_count: u64,
}

/// `chat/session/{created|deleted|listed}`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct SessionAnswer {
    /// From the request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
    /// The conversation spoken of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session: Option<SessionView>,
    /// All conversations, when none was named.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sessions: Option<Vec<SessionView>>,
    /// Messages of the named one, oldest first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub messages: Option<Vec<ChatMessage>>,
    /// Whether there are older ones.
    #[serde(default)]
    pub more: bool,
}

/// A message of a client on one of the web chat's topics.
#[derive(Debug, Clone, PartialEq)]
pub enum WebInput {
    /// `chat/send`
    Send(ChatSend),
    /// `chat/session/create`
    Create(SessionAsk),
    /// `chat/session/delete`
    Delete(SessionAsk),
    /// `chat/session/list`
    List(SessionAsk),
    /// `system/send`
    System(SystemSend),
}

impl ChatSend {
    /// Reads a message; names the field that is wrong. Without an `id` a resend cannot be recognised, so the id is then empty.
    pub fn decode(bytes: &[u8], max_bytes: usize) -> Result<Self, BadEnvelope> {
        let object = parse_object(bytes, max_bytes)?;
        let fields = Fields(&object);
        Ok(Self {
            id: fields.name(&["id", "message_id"], limits::MESSAGE_ID_BYTES)?.unwrap_or_default(),
            session_id: session_id(fields)?.unwrap_or_else(main_session),
            text: fields.text(&["text", "message", "content"])?.ok_or_else(|| BadEnvelope::Missing("text".into()))?,
            ts: read_time(fields)?,
            client_id: client_id(fields)?,
            reply_to: fields.name(&["reply_to", "in_reply_to"], limits::ID_BYTES)?,
            chunk: fields.object(&["chunk"])?.map(Chunk::read).transpose()?,
        })
    }
}

impl SessionAsk {
    /// Reads a request; names the field that is wrong. No payload asks for everything.
    pub fn decode(bytes: &[u8], max_bytes: usize) -> Result<Self, BadEnvelope> {
        let object = if bytes.is_empty() { Map::new() } else { parse_object(bytes, max_bytes)? };
        let fields = Fields(&object);
        Ok(Self {
            request_id: fields.name(&["request_id", "id"], limits::ID_BYTES)?,
            client_id: client_id(fields)?,
            session_id: session_id(fields)?,
            name: fields.label(&["name", "title"])?,
            after: fields.count(&["after"])?,
            before: fields.count(&["before"])?,
            limit: fields.count(&["limit"])?.map(|n| u32::try_from(n.clamp(1, 200)).unwrap_or(200)),
        })
    }
}

fn session_id(fields: Fields<'_>) -> Result<Option<String>, BadEnvelope> {
    match fields.text(&["session_id"])?.as_deref() {
        Some("") => Ok(None),
        _ => fields.name(&["session_id"], limits::ID_BYTES),
    }
}

/// What a client calls itself: it must fit into the topic of its private copies.
pub(crate) fn client_id(fields: Fields<'_>) -> Result<Option<String>, BadEnvelope> {
    match fields.name(&["client_id"], limits::WORD_CHARS)? {
        Some(id) if id.contains(['/', '+', '#']) => Err(BadEnvelope::Value("field `client_id` must not contain `/`, `+` or `#`".into())),
        id => Ok(id),
    }
}

#[cfg(test)]
mod tests;
