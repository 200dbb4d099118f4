//! `cmd/req`, `cmd/ack`, `cmd/res`: a command, its acknowledgement, its progress and its result (`PROTOCOL.md` §3).

use crate::code::Code;
use crate::envelope::{BadEnvelope, Envelope, Trace};
use crate::fields::{Fields, WrongType, type_name, unknown_word};
use crate::limits;
use crate::text::shown;
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
    ///
    /// # Errors
    /// Also when the flat fields and those of `payload` do not say the same: two readers would do different things.
    pub fn decode(bytes: &[u8], now_ms: i64) -> Result<Self, BadEnvelope> {
        let object = crate::envelope::parse_object(bytes, limits::MESSAGE_BYTES)?;
        let envelope = Envelope::open(object, "cmd", &["payload"], now_ms)?;
        if let (Value::Object(outer), true) = (&envelope.raw, envelope.wrapped) {
            let differs = |name: &str| outer.get(name).is_some_and(|flat| envelope.body.get(name) != Some(flat));
            if let Some(name) = ["id", "op", "args"].into_iter().find(|name| differs(name)) {
                return Err(BadEnvelope::Value(format!("field `{name}` and `payload.{name}` differ")));
            }
        }
        let fields = envelope.fields();
        let missing = |name: &str| BadEnvelope::Missing(name.into());
        Ok(Self {
            id: fields.name(&["id"], limits::ID_BYTES)?.ok_or_else(|| missing("id"))?,
            op: fields.name(&["op"], limits::WORD_CHARS)?.ok_or_else(|| missing("op"))?,
            args: fields.object(&["args"])?.cloned().unwrap_or_default(),
            timeout_ms: match fields.count(&["timeout_ms"])? {
                Some(0) => return Err(BadEnvelope::Value("field `timeout_ms` must be more than 0".into())),
                Some(ms) if ms > limits::TIMEOUT_MS => return Err(BadEnvelope::Value(format!("field `timeout_ms` must be at most {}", limits::TIMEOUT_MS))),
                timeout => timeout,
            },
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
    /// The schema tag that we send.
    pub const SCHEMA: &'static str = "cmd.ack/1.0";

    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, BadEnvelope> {
        let fields = envelope.fields();
        let id = fields.name(&["id"], limits::ID_BYTES)?.ok_or_else(|| BadEnvelope::Missing("id".into()))?;
        let status = fields.text(&["status"])?;
        let flag = fields.flag(&["accepted"])?;
        let accepted = match (status.as_deref(), flag) {
            (Some("received" | "accepted"), flag) => flag != Some(false),
            (Some("rejected"), _) => false,
            (_, Some(flag)) => flag,
            (other, None) => return Err(unknown_word("status", "received, accepted or rejected", other)),
        };
        let reason = match fields.any(&["reason", "error", "err"]) {
            None => None,
            Some((_, Value::String(text))) => Some(shown(text, limits::REASON_CHARS)),
            Some((_, other)) => Some(shown(&other.to_string(), limits::REASON_CHARS)),
        };
        Ok(Self { id, accepted, reason })
    }

    /// The message for the wire (`spec/rtk-integration-guide.md`, phase 4).
    pub fn encode(&self, ts_ms: i64) -> Value {
        let mut message = json!({"schema": Self::SCHEMA, "ts": ts_ms, "id": self.id, "status": if self.accepted { "received" } else { "rejected" }});
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

impl Outcome {
    /// Reads the words of every dialect. `None`: not an end, or not a word that we know.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "completed" | "success" | "ok" => Some(Self::Completed),
            "partial" => Some(Self::Partial),
            "failed" | "error" => Some(Self::Failed),
            "timeout" => Some(Self::Timeout),
            "cancelled" | "canceled" => Some(Self::Cancelled),
            _ => None,
        }
    }
}

/// Words in `status` that say that a command still runs.
const UNDER_WAY: [&str; 8] = ["running", "in_progress", "progress", "executing", "started", "pending", "received", "accepted"];

impl Answer {
    /// The schema tag of a result that we send.
    pub const SCHEMA: &'static str = "cmd.result/1.0";
    /// The schema tag of an error that we send.
    pub const ERROR_SCHEMA: &'static str = "cmd.error/1.0";

    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, BadEnvelope> {
        let fields = envelope.fields();
        let id = fields.name(&["id"], limits::ID_BYTES)?.ok_or_else(|| BadEnvelope::Missing("id".into()))?;
        let (progress_percent, progress_text) = read_progress(fields)?;
        let error = fields.any(&["error", "err"]).map(|(name, value)| read_error(name, value)).transpose()?;
        let (status, ok) = (fields.text(&["status"])?, fields.flag(&["ok"])?);
        let outcome = match (status.as_deref(), ok) {
            (Some(word), _) if UNDER_WAY.contains(&word) => None,
            (Some(word), _) => {
                let known = "completed, failed, partial, timeout, cancelled or error";
                Some(Outcome::parse(word).ok_or_else(|| unknown_word("status", known, Some(word)))?)
            }
            (None, Some(ok)) => Some(if ok { Outcome::Completed } else { Outcome::Failed }),
            (None, None) if error.is_some() => Some(Outcome::Failed),
            (None, None) if progress_percent.is_some() || progress_text.is_some() => None,
            (None, None) => return Err(BadEnvelope::Value("a result needs `status`, `ok`, `error` or `progress`".into())),
        };
        Ok(Self {
            id,
            outcome,
            progress_percent,
            progress_text,
            result: fields.any(&["result"]).map(|(_, value)| value.clone()),
            error,
            recovery_action: fields.object(&["recovery_action"])?.cloned(),
        })
    }

    /// The message for the wire: `cmd.result/1.0`, or `cmd.error/1.0` when it failed.
    pub fn encode(&self, ts_ms: i64) -> Value {
        let schema = if self.error.is_some() { Self::ERROR_SCHEMA } else { Self::SCHEMA };
        let mut message = json!({"schema": schema, "ts": ts_ms, "id": self.id});
        match self.outcome {
            Some(outcome) => message["status"] = json!(outcome),
            None => message["status"] = json!("running"),
        }
        match (self.progress_percent, &self.progress_text) {
            (Some(percent), None) => message["progress"] = json!(percent),
            (None, Some(text)) => message["progress"] = json!(text),
            (Some(percent), Some(text)) => {
                message["progress"] = json!(percent);
                message["progress_text"] = json!(text);
            }
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

/// `progress` as a number or as text, and `progress_text` beside a number.
fn read_progress(fields: Fields<'_>) -> Result<(Option<f64>, Option<String>), BadEnvelope> {
    let beside = fields.text(&["progress_text"])?.map(|text| shown(&text, limits::REASON_CHARS));
    let percent = |n: f64| n.is_finite().then(|| n.clamp(0.0, 100.0));
    match fields.any(&["progress"]) {
        None => Ok((None, beside)),
        Some((_, Value::Number(number))) => Ok((number.as_f64().and_then(percent), beside)),
        Some((_, Value::String(text))) => {
            let number = text.trim().trim_end_matches('%').trim_end().parse().ok().and_then(percent);
            Ok((number, beside.or_else(|| Some(shown(text, limits::REASON_CHARS)))))
        }
        Some((_, other)) => Err(WrongType { field: "progress".into(), expected: "a number or a string", found: type_name(other) }.into()),
    }
}

/// An error as a string, or as an object with `code` and `message`.
pub(crate) fn read_error(name: &str, value: &Value) -> Result<CommandError, WrongType> {
    match value {
        Value::String(text) => Ok(CommandError { code: Code::Device.as_str().into(), message: shown(text, limits::REASON_CHARS), details: Map::new() }),
        Value::Object(object) => {
            let fields = Fields(object);
            let code = match fields.any(&["code"]) {
                Some((_, Value::String(code))) => shown(code, limits::LABEL_CHARS),
                Some((_, Value::Number(number))) => number.to_string(),
                _ => Code::Device.as_str().into(),
            };
            let message = fields.text(&["message", "msg"]).map_err(|wrong| wrong.under(name))?.unwrap_or_default();
            let details = fields.object(&["details"]).map_err(|wrong| wrong.under(name))?.cloned().unwrap_or_default();
            Ok(CommandError { code, message: shown(&message, limits::REASON_CHARS), details })
        }
        other => Err(WrongType { field: name.into(), expected: "a string or an object", found: type_name(other) }),
    }
}

#[cfg(test)]
mod tests;
