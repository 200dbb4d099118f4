//! `telemetry/{metric}`: one figure, or a set of them, at one moment (`spec/rtk-integration-guide.md`, phase 3).

use crate::envelope::{BadEnvelope, Envelope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One sample of a metric. The metric's name stands in the topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Telemetry {
    /// The figure, when the sample has a single one.
    pub value: Option<f64>,
    /// Its unit, for example `%`, `celsius`, `mbps`.
    pub unit: Option<String>,
    /// Named figures, when the sample has several (a list, text or object sample keeps its whole body here).
    pub figures: Vec<(String, f64)>,
}

const NOT_FIGURES: [&str; 7] = ["schema", "ts", "timestamp", "device_id", "trace", "unit", "value"];

impl Telemetry {
    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, BadEnvelope> {
        let fields = envelope.fields();
        let value = match fields.any(&["value"]).map(|(_, value)| value) {
            Some(Value::Bool(flag)) => Some(f64::from(u8::from(*flag))),
            _ => fields.number(&["value"])?,
        };
        let figures = envelope.body.iter().filter(|(name, _)| !NOT_FIGURES.contains(&name.as_str()));
        let figures: Vec<_> = figures.filter_map(|(name, value)| value.as_f64().filter(|n| n.is_finite()).map(|n| (name.clone(), n))).collect();
        let says_nothing = value.is_none() && figures.is_empty() && !envelope.body.values().any(|v| v.is_object() || v.is_array());
        if says_nothing {
            return Err(BadEnvelope::Schema("telemetry needs a number in `value`, or named figures".into()));
        }
        Ok(Self { value, unit: fields.text(&["unit"])?, figures })
    }
}
