//! `evt/{event_type}`: something happened (`spec/rtk-integration-guide.md`, phase 5).

use crate::envelope::{BadEnvelope, Envelope};
use crate::fields::Fields;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth a line.
    Info,
    /// Odd. `medium` and `warn` are read as this.
    Warning,
    /// Broken. `high` is read as this.
    Error,
    /// Everybody is hurt.
    Critical,
}

/// One event. The full dotted name stands in the topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceEvent {
    /// How much it matters; `Info` when nothing is said.
    pub severity: Severity,
    /// What happened, in the device's fields.
    pub data: Map<String, Value>,
}

impl DeviceEvent {
    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, BadEnvelope> {
        let fields = envelope.fields();
        let data = fields.object(&["data", "details"])?.cloned().unwrap_or_else(|| {
            let outside = ["schema", "ts", "timestamp", "device_id", "event_type", "severity", "trace"];
            envelope.body.iter().filter(|(name, _)| !outside.contains(&name.as_str())).map(|(name, value)| (name.clone(), value.clone())).collect()
        });
        let severity = match fields.text(&["severity"])?.or(Fields(&data).text(&["severity"]).ok().flatten()).as_deref() {
            Some("critical" | "fatal") => Severity::Critical,
            Some("error" | "high") => Severity::Error,
            Some("warning" | "warn" | "medium") => Severity::Warning,
            _ => Severity::Info,
        };
        Ok(Self { severity, data })
    }
}
