//! `state`: health and figures of a device (`spec/rtk-integration-guide.md`, phase 3).

use crate::envelope::{BadEnvelope, Envelope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nothing to report.
    Ok,
    /// It works, but not as it should. `warn` is read as this.
    Warning,
    /// Something is broken. `critical` is read as this.
    Error,
    /// The device says that it does not know.
    Unknown,
}

impl Health {
    /// Reads the words of every dialect seen in the field.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "ok" | "good" | "healthy" => Some(Self::Ok),
            "warning" | "warn" => Some(Self::Warning),
            "error" | "critical" => Some(Self::Error),
            "unknown" => Some(Self::Unknown),
            _ => None,
        }
    }
}

/// The known figures of a state; all others stay in the raw message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct State {
    /// How the device is.
    pub health: Health,
    /// Seconds since it started.
    pub uptime_s: Option<f64>,
    /// Percent of its processors in use.
    pub cpu_usage: Option<f64>,
    /// Percent of its memory in use.
    pub memory_usage: Option<f64>,
    /// Degrees Celsius.
    pub temperature_c: Option<f64>,
}

impl State {
    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, BadEnvelope> {
        let fields = envelope.fields();
        let health = match fields.text(&["health"])? {
            None => Health::Unknown,
            Some(word) => Health::parse(&word).ok_or_else(|| BadEnvelope::Schema(format!("field `health` must be ok, warning or error, not {word:?}")))?,
        };
        Ok(Self {
            health,
            uptime_s: fields.number(&["uptime_s", "uptime"])?,
            cpu_usage: fields.number(&["cpu_usage"])?,
            memory_usage: fields.number(&["memory_usage"])?,
            temperature_c: fields.number(&["temperature_c"])?,
        })
    }
}
