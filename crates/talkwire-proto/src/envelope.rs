//! The envelope around every RTK payload: schema, time, trace, and a body that is flat or wrapped (`PROTOCOL.md` §2).

use crate::fields::{Fields, WrongType, type_name};
use crate::limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;

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
            (Some(major), Some(minor)) if !name.is_empty() && name.len() <= limits::WORD_CHARS => Ok(Self { name: name.into(), major, minor }),
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
    /// The step that the message belongs to.
    pub trace: Option<Trace>,
    /// The body's fields: the flat ones, and over them those of `payload`, `data` or `content`.
    pub body: Map<String, Value>,
    /// Whether the body was wrapped in `payload`.
    pub wrapped: bool,
    /// The message as it came, unknown fields included.
    pub raw: Value,
}

/// Why an envelope cannot be read.
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
    /// Deeper than the limit.
    #[error("message is nested deeper than {0} levels")]
    TooDeep(usize),
    /// JSON, but not an object.
    #[error("message must be a JSON object, not {0}")]
    NotObject(&'static str),
    /// A field of the wrong type.
    #[error(transparent)]
    Field(#[from] WrongType),
    /// A schema that is not `<type>/<major>.<minor>`, or of another family than the topic.
    #[error("{0}")]
    Schema(String),
    /// A time that is neither milliseconds nor ISO-8601.
    #[error("field `{0}` must be Unix milliseconds or an ISO-8601 time")]
    Time(&'static str),
}

/// Parses bytes as one JSON object within the limits of size and depth.
pub fn parse_object(bytes: &[u8], max_bytes: usize) -> Result<Map<String, Value>, BadEnvelope> {
    if bytes.len() > max_bytes {
        return Err(BadEnvelope::TooLarge(bytes.len(), max_bytes));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| BadEnvelope::NotText)?;
    if depth(text) > limits::NESTING {
        return Err(BadEnvelope::TooDeep(limits::NESTING));
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(BadEnvelope::NotObject(type_name(&other))),
        Err(error) => Err(BadEnvelope::NotJson(error.to_string())),
    }
}

/// Deepest bracket level of a JSON text, brackets inside strings left out.
fn depth(text: &str) -> usize {
    let (mut level, mut deepest, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                level += 1;
                deepest = deepest.max(level);
            }
            b'}' | b']' if !in_string => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl Envelope {
    /// Reads the envelope of a message of `family` (for example `state`), which arrived at `now_ms`.
    ///
    /// A missing schema is inferred as `{family}/1.0`. `wrappers` are the names under which the body may be nested.
    pub fn open(object: Map<String, Value>, family: &str, wrappers: &[&str], now_ms: i64) -> Result<Self, BadEnvelope> {
        let fields = Fields(&object);
        let stated = fields.text(&["schema"])?.map(|text| text.parse::<SchemaTag>().map_err(BadEnvelope::Schema)).transpose()?;
        let schema_inferred = stated.is_none();
        let schema = stated.unwrap_or(SchemaTag { name: family.into(), major: 1, minor: 0 });
        let ts_ms = read_time(fields)?;
        let trace = fields.object(&["trace"])?.map(read_trace).transpose()?;
        let mut body = object.clone();
        let mut wrapped = false;
        for name in wrappers {
            if let Some(inner) = fields.object(&[name]).ok().flatten() {
                wrapped |= *name == "payload";
                body.remove(*name);
                body.extend(inner.iter().map(|(key, value)| (key.clone(), value.clone())));
                break;
            }
        }
        Ok(Self {
            schema_unknown: schema.major == 0 || schema.major > known_major(&schema.name),
            schema,
            schema_inferred,
            ts_ahead: ts_ms.is_some_and(|ts| ts > now_ms + limits::TS_AHEAD_MS),
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
    if name.starts_with("cmd.") { u32::MAX } else { 1 }
}

fn read_trace(object: &Map<String, Value>) -> Result<Trace, WrongType> {
    let fields = Fields(object);
    Ok(Trace {
        session_id: fields.text(&["session_id"])?.unwrap_or_default(),
        trace_id: fields.text(&["trace_id"])?.unwrap_or_default(),
        parent_trace_id: fields.text(&["parent_trace_id"])?,
        step_description: fields.text(&["step_description"])?,
    })
}

fn read_time(fields: Fields<'_>) -> Result<Option<i64>, BadEnvelope> {
    let Some((name, value)) = fields.any(&["ts", "timestamp"]) else { return Ok(None) };
    let name = if name == "ts" { "ts" } else { "timestamp" };
    match value {
        Value::Number(number) => {
            number.as_i64().or_else(|| number.as_f64().filter(|n| n.abs() < 9.0e15).map(|n| n as i64)).map(Some).ok_or(BadEnvelope::Time(name))
        }
        Value::String(text) => iso_millis(text).map(Some).ok_or(BadEnvelope::Time(name)),
        _ => Err(BadEnvelope::Time(name)),
    }
}

/// Unix milliseconds of an ISO-8601 date and time. Without a zone it is taken as UTC.
pub fn iso_millis(text: &str) -> Option<i64> {
    let digits = |part: &str| (!part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<i64>().ok()).flatten();
    let (date, rest) = text.split_once(['T', ' '])?;
    let mut parts = date.split('-');
    let (year, month, day) = (digits(parts.next()?)?, digits(parts.next()?)?, digits(parts.next()?)?);
    let (clock, offset_minutes) = match rest.find(['Z', 'z', '+', '-']) {
        None => (rest, 0),
        Some(at) => match rest.as_bytes()[at] {
            b'Z' | b'z' => (&rest[..at], 0),
            sign => {
                let zone = rest[at + 1..].replace(':', "");
                let hours = digits(zone.get(..2)?)?;
                let minutes = zone.get(2..4).map_or(Some(0), digits)?;
                (&rest[..at], (hours * 60 + minutes) * if sign == b'-' { -1 } else { 1 })
            }
        },
    };
    let mut parts = clock.split(':');
    let (hour, minute) = (digits(parts.next()?)?, digits(parts.next()?)?);
    let (second, fraction) = match parts.next() {
        None => (0, "0"),
        Some(text) => {
            text.split_once('.').map_or((text, "0"), |(whole, fraction)| (whole, fraction)).pipe(|(whole, fraction)| Some((digits(whole)?, fraction)))?
        }
    };
    let millis = digits(&format!("{fraction:0<3}")[..3])?;
    let in_range = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 25 && minute < 60 && second < 61;
    in_range.then(|| ((days_from_civil(year, month, day) * 24 + hour) * 60 + minute - offset_minutes) * 60_000 + second * 1000 + millis)
}

trait Pipe: Sized {
    fn pipe<T>(self, then: impl FnOnce(Self) -> T) -> T {
        then(self)
    }
}
impl<T> Pipe for T {}

/// Days since 1970-01-01 of a date of the Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Unix milliseconds as ISO-8601 with microseconds and without a zone, as the chat document prints it; `offset_minutes` is local time's.
pub fn iso_text(ts_ms: i64, offset_minutes: i64) -> String {
    let local = ts_ms + offset_minutes * 60_000;
    let (days, millis) = (local.div_euclid(86_400_000), local.rem_euclid(86_400_000));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted - era * 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (seconds, micros) = (millis / 1000, millis % 1000 * 1000);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{micros:06}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
