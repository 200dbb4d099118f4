//! The envelope around every RTK payload: schema, time, trace, and a body that is flat or wrapped (`PROTOCOL.md` §2).

use crate::fields::{Fields, WrongType};
use crate::limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;

pub use crate::json::{is_fernet, parse_object};
pub use crate::time::{iso_millis, iso_text};

/// `<type>[.<sub>…]/<major>.<minor>`, for example `cmd.wifi.set_channel/1.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaTag {
    /// What stands before the slash.
    pub name: String,
    /// A change of it breaks readers.
    pub major: u32,
    /// A change of it adds fields only.
    pub minor: u32,
}

impl FromStr for SchemaTag {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("schema {:?} must look like state/1.0", text.chars().take(80).collect::<String>());
        let (name, version) = text.rsplit_once('/').ok_or_else(wrong)?;
        let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
        let number = |part: &str| part.parse::<u32>().ok().filter(|_| part.bytes().all(|b| b.is_ascii_digit()));
        match (number(major), number(minor)) {
            (Some(major), Some(minor)) if !name.is_empty() && name.len() <= limits::SCHEMA_BYTES && !name.chars().any(char::is_control) => {
                Ok(Self { name: name.into(), major, minor })
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for SchemaTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.name, self.major, self.minor)
    }
}

/// Which step of which session a message belongs to (`spec/rtk-diagnostics-protocol.md`, tracing).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Trace {
    /// The diagnosis session.
    pub session_id: String,
    /// The step.
    pub trace_id: String,
    /// The step that led to it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent_trace_id: Option<String>,
    /// What the step is for, in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub step_description: Option<String>,
}

/// What a reader should know about a message besides its body.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The schema as sent, or inferred from the topic when missing.
    pub schema: SchemaTag,
    /// Whether the schema was missing.
    pub schema_inferred: bool,
    /// Whether the major version is one that we do not know: kept, flagged, not acted on.
    pub schema_unknown: bool,
    /// The sender's clock, in Unix milliseconds, when given.
    pub ts_ms: Option<i64>,
    /// Whether the sender's clock is more than five minutes ahead of arrival.
    pub ts_ahead: bool,
    /// Whether the sender's clock, if it was ever set, is more than five minutes behind arrival: told late, or told again.
    pub ts_behind: bool,
    /// Whether the sender's clock was never set: it counts from 1970, as that of a device without a battery does.
    pub ts_unset: bool,
    /// The step that the message belongs to.
    pub trace: Option<Trace>,
    /// The body's fields: the flat ones, and over them those of `payload`, `data` or `content`.
    pub body: Map<String, Value>,
    /// Whether the body was wrapped in `payload`.
    pub wrapped: bool,
    /// The message as it came, unknown fields included.
    pub raw: Value,
}

/// Why an envelope or its body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEnvelope {
    /// Over the limit of bytes.
    #[error("message has {0} bytes; at most {1} are allowed")]
    TooLarge(usize, usize),
    /// Not UTF-8.
    #[error("message is not UTF-8 text")]
    NotText,
    /// Not JSON.
    #[error("message is not JSON: {0}")]
    NotJson(String),
    /// A Fernet token where JSON is expected: the receiver knows no key for the device, or the key does not fit.
    #[error("message is encrypted (a Fernet token, gAAAA…); give Talkwire this device's key, or send plain JSON over TLS")]
    Encrypted,
    /// Not a valid token of a device that has a key; the text says why.
    #[error("this device's messages are encrypted, and this one was not taken: {0}")]
    Sealed(String),
    /// Deeper than the limit.
    #[error("message is nested deeper than {0} levels")]
    TooDeep(usize),
    /// JSON, but not an object.
    #[error("message must be a JSON object, not {0}")]
    NotObject(&'static str),
    /// A key that occurs twice in one object: two readers could understand it differently.
    #[error("field `{0}` occurs twice in one object")]
    Duplicate(String),
    /// A field of the wrong type.
    #[error(transparent)]
    Field(#[from] WrongType),
    /// A field that the family cannot do without.
    #[error("field `{0}` is missing")]
    Missing(String),
    /// A field of the right type with a value that has no meaning; the text names it.
    #[error("{0}")]
    Value(String),
    /// A schema that is not `<type>/<major>.<minor>`.
    #[error("{0}")]
    Schema(String),
    /// A time that is neither milliseconds nor ISO-8601.
    #[error("field `{0}` must be Unix milliseconds or an ISO-8601 time from 1970 on")]
    Time(&'static str),
}

impl Envelope {
    /// Reads the envelope of a message of `family` (for example `state`), which arrived at `now_ms`.
    ///
    /// A missing schema is inferred as `{family}/1.0`. `wrappers` are the names under which the body may be nested; a
    /// `payload` must then be an object, while the other names may also be ordinary fields of a device.
    pub fn open(object: Map<String, Value>, family: &str, wrappers: &[&str], now_ms: i64) -> Result<Self, BadEnvelope> {
        let fields = Fields(&object);
        let stated = fields.text(&["schema"])?.map(|text| text.parse::<SchemaTag>().map_err(BadEnvelope::Schema)).transpose()?;
        let schema_inferred = stated.is_none();
        let schema = stated.unwrap_or(SchemaTag { name: family.into(), major: 1, minor: 0 });
        let mut body = object.clone();
        let mut wrapped = false;
        for name in wrappers {
            let inner = if *name == "payload" { fields.object(&[name])? } else { fields.object(&[name]).ok().flatten() };
            if let Some(inner) = inner {
                wrapped = *name == "payload";
                body.remove(*name);
                body.extend(inner.iter().map(|(key, value)| (key.clone(), value.clone())));
                break;
            }
        }
        let ts_ms = match read_time(fields)? {
            None => read_time(Fields(&body))?,
            stated => stated,
        };
        let trace = fields.object(&["trace"])?.or(Fields(&body).object(&["trace"])?).map(read_trace).transpose()?;
        Ok(Self {
            schema_unknown: schema.major == 0 || schema.major > known_major(&schema.name),
            schema,
            schema_inferred,
            ts_unset: ts_ms.is_some_and(|ts| ts < limits::TS_FIRST_MS),
            ts_ahead: ts_ms.is_some_and(|ts| ts > now_ms.saturating_add(limits::TS_AHEAD_MS)),
            ts_behind: ts_ms.is_some_and(|ts| ts >= limits::TS_FIRST_MS && ts < now_ms.saturating_sub(limits::TS_BEHIND_MS)),
            ts_ms,
            trace,
            body,
            wrapped,
            raw: Value::Object(object),
        })
    }

    /// The body's fields.
    pub fn fields(&self) -> Fields<'_> {
        Fields(&self.body)
    }
}

/// The newest major version that we understand. Commands are versioned per tool: the catalogue decides there.
fn known_major(name: &str) -> u32 {
    let of_a_tool = name.starts_with("cmd.") && !matches!(name, "cmd.ack" | "cmd.result" | "cmd.error");
    if of_a_tool { u32::MAX } else { 1 }
}

fn read_trace(object: &Map<String, Value>) -> Result<Trace, BadEnvelope> {
    let fields = Fields(object);
    let name = |field: &str| {
        let text = fields.text(&[field]).map_err(|wrong| wrong.under("trace"))?;
        match text {
            Some(text) if text.len() > limits::ID_BYTES || text.chars().any(char::is_control) => {
                Err(BadEnvelope::Value(format!("field `trace.{field}` must have at most {} bytes and no control characters", limits::ID_BYTES)))
            }
            text => Ok(text),
        }
    };
    Ok(Trace {
        session_id: name("session_id")?.unwrap_or_default(),
        trace_id: name("trace_id")?.unwrap_or_default(),
        parent_trace_id: name("parent_trace_id")?,
        step_description: fields.text(&["step_description"]).map_err(|wrong| wrong.under("trace"))?,
    })
}

/// The sender's clock: `ts`, or `timestamp`, as whole milliseconds or ISO-8601.
pub(crate) fn read_time(fields: Fields<'_>) -> Result<Option<i64>, BadEnvelope> {
    let Some((name, value)) = fields.any(&["ts", "timestamp"]) else { return Ok(None) };
    let millis = match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().filter(|n| n.abs() < 9.0e15).map(|n| n as i64)),
        Value::String(text) => iso_millis(text),
        _ => None,
    };
    match millis.filter(|ms| (0..9_000_000_000_000_000).contains(ms)) {
        None => Err(BadEnvelope::Time(if name == "ts" { "ts" } else { "timestamp" })),
        millis => Ok(millis),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MESSAGE_BYTES;

    const NOW_MS: i64 = 1_699_123_456_789;

    fn open(text: &str, wrappers: &[&str]) -> Result<Envelope, BadEnvelope> {
        Envelope::open(parse_object(text.as_bytes(), MESSAGE_BYTES)?, "state", wrappers, NOW_MS)
    }

    #[test]
    fn the_trace_of_the_diagnostics_document_is_read() {
        let text = r#"{"trace": {
            "session_id": "llm-diag-session-20241104-001",
            "trace_id": "wifi-environment-scan-step-03",
            "parent_trace_id": "speed-analysis-step-02",
            "step_description": "掃描週圍 WiFi 環境以檢查頻道干擾"}}"#;
        let trace = open(text, &[]).unwrap().trace.unwrap();
        assert_eq!(trace.trace_id, "wifi-environment-scan-step-03");
        assert_eq!(trace.parent_trace_id.as_deref(), Some("speed-analysis-step-02"));
        assert_eq!(trace.step_description.as_deref(), Some("掃描週圍 WiFi 環境以檢查頻道干擾"));
    }

    #[test]
    fn flat_and_wrapped_bodies_read_the_same() {
        let wrappers = &["payload", "data", "content"];
        for text in [r#"{"health": "ok"}"#, r#"{"payload": {"health": "ok"}}"#, r#"{"data": {"health": "ok"}}"#, r#"{"content": {"health": "ok"}}"#] {
            let envelope = open(text, wrappers).unwrap();
            assert_eq!(Value::Object(envelope.body.clone()), serde_json::json!({"health": "ok"}), "{text}");
            assert_eq!(envelope.wrapped, text.contains("payload"));
            assert_eq!(envelope.raw, serde_json::from_str::<Value>(text).unwrap());
        }
        assert!(matches!(open(r#"{"payload": "x"}"#, wrappers), Err(BadEnvelope::Field(WrongType { field, .. })) if field == "payload"));
        assert_eq!(open(r#"{"data": "x"}"#, wrappers).unwrap().body["data"], "x");
    }

    #[test]
    fn time_comes_as_milliseconds_as_a_fraction_of_them_or_as_iso_8601() {
        for text in [
            r#"{"ts": 1724140800000}"#,
            r#"{"ts": 1724140800000.7}"#,
            r#"{"timestamp": "2024-08-20T08:00:00Z"}"#,
            r#"{"ts": null, "timestamp": 1724140800000}"#,
            r#"{"payload": {"ts": 1724140800000}}"#,
        ] {
            assert_eq!(open(text, &["payload"]).unwrap().ts_ms, Some(1_724_140_800_000), "{text}");
        }
        for text in [r#"{"ts": "soon"}"#, r#"{"ts": true}"#, r#"{"ts": -1}"#, r#"{"ts": 9223372036854775807}"#, r#"{"ts": 1e300}"#] {
            assert_eq!(open(text, &[]), Err(BadEnvelope::Time("ts")), "{text}");
        }
    }

    #[test]
    fn a_clock_over_five_minutes_ahead_is_flagged_and_kept() {
        let at = |ts: i64| open(&format!(r#"{{"ts": {ts}}}"#), &[]).unwrap();
        assert!(!at(NOW_MS + limits::TS_AHEAD_MS).ts_ahead);
        assert!(at(NOW_MS + limits::TS_AHEAD_MS + 1).ts_ahead);
        assert_eq!(at(NOW_MS + limits::TS_AHEAD_MS + 1).ts_ms, Some(NOW_MS + limits::TS_AHEAD_MS + 1));
    }

    #[test]
    fn a_message_told_more_than_five_minutes_later_is_flagged_and_a_clock_that_was_never_set_is_not() {
        let at = |ts: i64| open(&format!(r#"{{"ts": {ts}}}"#), &[]).unwrap();
        assert!(!at(NOW_MS - limits::TS_BEHIND_MS).ts_behind);
        assert!(at(NOW_MS - limits::TS_BEHIND_MS - 1).ts_behind);
        assert!(at(limits::TS_FIRST_MS).ts_behind && !at(limits::TS_FIRST_MS - 1).ts_behind && !at(90_000).ts_behind);
        assert!(!open("{}", &[]).unwrap().ts_behind);
    }

    #[test]
    fn a_clock_that_was_never_set_is_flagged_and_kept() {
        let at = |ts: i64| open(&format!(r#"{{"ts": {ts}}}"#), &[]).unwrap();
        assert!(at(0).ts_unset && at(86_400_000).ts_unset && !at(limits::TS_FIRST_MS).ts_unset);
        assert_eq!(at(86_400_000).ts_ms, Some(86_400_000));
        assert!(!open("{}", &[]).unwrap().ts_unset, "no clock is not a wrong one");
    }

    #[test]
    fn a_missing_schema_is_inferred_an_unknown_minor_accepted_and_an_unknown_major_flagged() {
        let unknown = |schema: &str| open(&format!(r#"{{"schema": "{schema}"}}"#), &[]).unwrap().schema_unknown;
        assert!(open("{}", &[]).unwrap().schema_inferred);
        assert!(!unknown("state/1.0") && !unknown("state/1.99") && !unknown("state/1"));
        assert!(unknown("state/2.0") && unknown("state/0.9") && unknown("cmd.ack/2.0") && unknown("cmd.result/3.0"));
        assert!(!unknown("cmd.wifi.get_environment/2.0"));
    }

    #[test]
    fn a_schema_that_is_not_one_is_refused_and_the_longest_words_fit() {
        for schema in ["state", "/1.0", "state/", "state/x", "state/1.x", "state/+1.0", "state/1.0.0", "state/99999999999.0"] {
            assert!(matches!(open(&format!(r#"{{"schema": "{schema}"}}"#), &[]), Err(BadEnvelope::Schema(_))), "{schema}");
        }
        let longest = format!("cmd.{}.result/1.0", "x".repeat(limits::WORD_CHARS));
        assert_eq!(longest.parse::<SchemaTag>().unwrap().to_string(), longest);
    }

    #[test]
    fn a_trace_of_the_wrong_shape_names_its_field() {
        let text = |text: &str| open(text, &[]).unwrap_err().to_string();
        assert_eq!(text(r#"{"trace": 5}"#), "field `trace` must be an object, not a number");
        assert_eq!(text(r#"{"trace": {"trace_id": 5}}"#), "field `trace.trace_id` must be a string, not a number");
        assert!(text(r#"{"trace": {"session_id": "a\nb"}}"#).contains("trace.session_id"));
    }
}
