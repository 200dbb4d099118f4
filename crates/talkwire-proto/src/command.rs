//! `cmd/req`, `cmd/ack`, `cmd/res`: a command, its acknowledgement, its progress and its result (`PROTOCOL.md` §3).

use crate::envelope::{BadEnvelope, Envelope, Trace};
use crate::fields::{Fields, WrongType, type_name};
use crate::limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How a device wants to read commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommandEnvelope {
    /// Flat fields and `payload:{id, op, args}` in one message.
    #[default]
    Both,
    /// Flat fields only.
    Flat,
    /// `payload` only.
    Payload,
}

impl CommandEnvelope {
    /// Reads a device's declaration; anything else is `Both`.
    pub fn from_word(word: Option<&str>) -> Self {
        match word {
            Some("flat") => Self::Flat,
            Some("payload") => Self::Payload,
            _ => Self::Both,
        }
    }
}

/// What the controller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Only the acknowledgement.
    Ack,
    /// The result.
    #[default]
    Result,
    /// Nothing.
    None,
}

/// A command as the controller sends it and as a device reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// The command's id. A retry keeps it; a device runs an id once.
    pub id: String,
    /// The tool, for example `wifi.set_channel`.
    pub op: String,
    /// Its arguments.
    pub args: Map<String, Value>,
    /// How long the controller waits for the result, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// What the controller waits for.
    pub expect: Expect,
    /// The step that it belongs to.
    pub trace: Option<Trace>,
    /// Who allowed it, for Act tools. Says nothing to a device that trusts its controller's identity.
    pub authorization: Option<Map<String, Value>>,
    /// Version in the schema tag, for example `1.0`.
    pub version: String,
}

impl Request {
    /// Reads a command in any of the known shapes.
    pub fn decode(bytes: &[u8], now_ms: i64) -> Result<Self, BadEnvelope> {
        let object = crate::envelope::parse_object(bytes, limits::MESSAGE_BYTES)?;
        let envelope = Envelope::open(object, "cmd", &["payload"], now_ms)?;
        let fields = envelope.fields();
        let missing = |name: &str| BadEnvelope::Schema(format!("field `{name}` is missing"));
        Ok(Self {
            id: bounded(fields, "id", 128)?.ok_or_else(|| missing("id"))?,
            op: bounded(fields, "op", limits::WORD_CHARS)?.ok_or_else(|| missing("op"))?,
            args: fields.object(&["args"])?.cloned().unwrap_or_default(),
            timeout_ms: fields.count(&["timeout_ms"])?,
            expect: match fields.text(&["expect"])?.as_deref() {
                Some("ack") => Expect::Ack,
                Some("none") => Expect::None,
                _ => Expect::Result,
            },
            trace: envelope.trace.clone(),
            authorization: fields.object(&["authorization"])?.cloned(),
            version: if envelope.schema_inferred { "1.0".into() } else { format!("{}.{}", envelope.schema.major, envelope.schema.minor) },
        })
    }

    /// The message for the wire, in the shape that the device reads.
    pub fn encode(&self, shape: CommandEnvelope, ts_ms: i64) -> Value {
        let mut message = Map::new();
        message.insert("schema".into(), json!(format!("cmd.{}/{}", self.op, self.version)));
        message.insert("ts".into(), json!(ts_ms));
        if shape != CommandEnvelope::Payload {
            message.insert("id".into(), json!(self.id));
            message.insert("op".into(), json!(self.op));
            message.insert("args".into(), json!(self.args));
        }
        if let Some(timeout_ms) = self.timeout_ms {
            message.insert("timeout_ms".into(), json!(timeout_ms));
        }
        message.insert("expect".into(), json!(self.expect));
        if let Some(trace) = &self.trace {
            message.insert("trace".into(), json!(trace));
        }
        if let Some(authorization) = &self.authorization {
            message.insert("authorization".into(), json!(authorization));
        }
        if shape != CommandEnvelope::Flat {
            message.insert("payload".into(), json!({"id": self.id, "op": self.op, "args": self.args}));
        }
        Value::Object(message)
    }
}

/// A device took a command, or did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ack {
    /// The command.
    pub id: String,
    /// Whether the device will run it.
    pub accepted: bool,
    /// Why not.
    pub reason: Option<String>,
}

impl Ack {
    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, BadEnvelope> {
        let fields = envelope.fields();
        let id = bounded(fields, "id", 128)?.ok_or_else(|| BadEnvelope::Schema("field `id` is missing".into()))?;
        let accepted = match (fields.text(&["status"])?.as_deref(), fields.flag(&["accepted"])?) {
            (_, Some(flag)) => flag,
            (Some("received" | "accepted"), None) => true,
            (Some("rejected"), None) => false,
            (other, None) => return Err(BadEnvelope::Schema(format!("field `status` must be received, accepted or rejected, not {other:?}"))),
        };
        let reason = match fields.any(&["reason", "error", "err"]) {
            None => None,
            Some((_, Value::String(text))) => Some(text.clone()),
            Some((_, other)) => Some(other.to_string()),
        };
        Ok(Self { id, accepted, reason })
    }

    /// The message for the wire (`spec/rtk-integration-guide.md`, phase 4).
    pub fn encode(&self, ts_ms: i64) -> Value {
        let mut message = json!({"schema": "cmd.ack/1.0", "ts": ts_ms, "id": self.id, "status": if self.accepted { "received" } else { "rejected" }});
        if let Some(reason) = &self.reason {
            message["reason"] = json!(reason);
        }
        message
    }
}

/// What went wrong on a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandError {
    /// A stable code, for example `E_LLM_TOOL_NOT_AVAILABLE`.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// Particulars such as `alternative_tools` and `retry_after_ms`.
    #[serde(skip_serializing_if = "Map::is_empty", default)]
    pub details: Map<String, Value>,
}

/// How a command ended on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done.
    Completed,
    /// Done in part; the result says which.
    Partial,
    /// Not done.
    Failed,
    /// The device gave up waiting.
    Timeout,
    /// Stopped on demand.
    Cancelled,
}

/// A result, or progress towards one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The command.
    pub id: String,
    /// `None`: only progress.
    pub outcome: Option<Outcome>,
    /// Percent done, 0–100, when it is a number.
    pub progress_percent: Option<f64>,
    /// Progress in words.
    pub progress_text: Option<String>,
    /// What came out.
    pub result: Option<Value>,
    /// What went wrong.
    pub error: Option<CommandError>,
    /// What the device suggests instead (`spec/rtk-diagnostics-protocol.md`, errors).
    pub recovery_action: Option<Map<String, Value>>,
}

impl Answer {
    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, BadEnvelope> {
        let fields = envelope.fields();
        let id = bounded(fields, "id", 128)?.ok_or_else(|| BadEnvelope::Schema("field `id` is missing".into()))?;
        let (progress_percent, progress_text) = match fields.any(&["progress"]) {
            None => (None, None),
            Some((_, Value::Number(number))) => (number.as_f64().map(|n| n.clamp(0.0, 100.0)), None),
            Some((_, Value::String(text))) => {
                (text.trim_end_matches('%').parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n.clamp(0.0, 100.0)), Some(text.clone()))
            }
            Some((_, other)) => return Err(WrongType { field: "progress".into(), expected: "a number or a string", found: type_name(other) }.into()),
        };
        let outcome = match (fields.text(&["status"])?.as_deref(), fields.flag(&["ok"])?) {
            (Some("completed" | "success" | "ok"), _) => Some(Outcome::Completed),
            (Some("partial"), _) => Some(Outcome::Partial),
            (Some("failed" | "error"), _) => Some(Outcome::Failed),
            (Some("timeout"), _) => Some(Outcome::Timeout),
            (Some("cancelled" | "canceled"), _) => Some(Outcome::Cancelled),
            (Some("running" | "in_progress" | "progress" | "executing"), _) => None,
            (Some(other), _) => {
                return Err(BadEnvelope::Schema(format!("field `status` must be completed, failed, partial, timeout or cancelled, not {other:?}")));
            }
            (None, Some(ok)) => Some(if ok { Outcome::Completed } else { Outcome::Failed }),
            (None, None) if progress_percent.is_some() || progress_text.is_some() => None,
            (None, None) => return Err(BadEnvelope::Schema("a result needs `status`, `ok` or `progress`".into())),
        };
        Ok(Self {
            id,
            outcome,
            progress_percent,
            progress_text,
            result: fields.any(&["result"]).map(|(_, value)| value.clone()),
            error: fields.any(&["error", "err"]).map(|(_, value)| read_error(value)).transpose()?,
            recovery_action: fields.object(&["recovery_action"])?.cloned(),
        })
    }

    /// The message for the wire: `cmd.result/1.0`, or `cmd.error/1.0` when it failed.
    pub fn encode(&self, ts_ms: i64) -> Value {
        let schema = if self.error.is_some() { "cmd.error/1.0" } else { "cmd.result/1.0" };
        let mut message = json!({"schema": schema, "ts": ts_ms, "id": self.id});
        if let Some(outcome) = self.outcome {
            message["status"] = json!(outcome);
        }
        match (self.progress_percent, &self.progress_text) {
            (Some(percent), _) => message["progress"] = json!(percent),
            (None, Some(text)) => message["progress"] = json!(text),
            (None, None) => {}
        }
        if let Some(result) = &self.result {
            message["result"] = result.clone();
        }
        if let Some(error) = &self.error {
            message["error"] = json!(error);
        }
        if let Some(action) = &self.recovery_action {
            message["recovery_action"] = json!(action);
        }
        message
    }
}

fn read_error(value: &Value) -> Result<CommandError, BadEnvelope> {
    match value {
        Value::String(text) => Ok(CommandError { code: "E_DEVICE".into(), message: text.clone(), details: Map::new() }),
        Value::Object(object) => {
            let fields = Fields(object);
            let code = match fields.any(&["code"]) {
                Some((_, Value::String(code))) => code.clone(),
                Some((_, Value::Number(number))) => number.to_string(),
                _ => "E_DEVICE".into(),
            };
            Ok(CommandError {
                code,
                message: fields.text(&["message", "msg"])?.unwrap_or_default(),
                details: fields.object(&["details"])?.cloned().unwrap_or_default(),
            })
        }
        other => Err(WrongType { field: "error".into(), expected: "a string or an object", found: type_name(other) }.into()),
    }
}

fn bounded(fields: Fields<'_>, name: &'static str, most: usize) -> Result<Option<String>, BadEnvelope> {
    match fields.text(&[name])? {
        Some(text) if text.is_empty() || text.len() > most || text.chars().any(char::is_control) => {
            Err(BadEnvelope::Schema(format!("field `{name}` must have 1-{most} characters and no control characters")))
        }
        other => Ok(other),
    }
}
