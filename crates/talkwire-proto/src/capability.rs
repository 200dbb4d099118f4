//! What a device can do: the tools that it declares, and changes of them (`spec/rtk-diagnostics-protocol.md`, capabilities).

use crate::envelope::{BadEnvelope, Envelope};
use crate::fields::Fields;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// One declared tool. A device can only narrow what the catalogue says of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolSupport {
    /// Whether the device has it.
    pub supported: bool,
    /// The version that the device speaks, for example `2.0`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// Typical time to answer, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub response_time_ms: Option<u64>,
    /// `low`, `medium` or `high`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resource_usage: Option<String>,
    /// Limits such as `max_duration` (s) and `concurrent_limit`.
    #[serde(skip_serializing_if = "Map::is_empty", default)]
    pub limitations: Map<String, Value>,
    /// Permissions that the device names.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub permissions: Vec<String>,
    /// Whether the device keeps a change journal for this tool.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rollback_supported: Option<bool>,
    /// Why it is not supported or not available now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

impl ToolSupport {
    /// A tool that is there, with nothing more said.
    pub fn plain() -> Self {
        Self {
            supported: true,
            version: None,
            response_time_ms: None,
            resource_usage: None,
            limitations: Map::new(),
            permissions: Vec::new(),
            rollback_supported: None,
            reason: None,
        }
    }

    pub(crate) fn read(value: &Value) -> Result<Self, BadEnvelope> {
        let Some(object) = value.as_object() else {
            return Ok(Self { supported: value.as_bool().unwrap_or(true), ..Self::plain() });
        };
        let fields = Fields(object);
        Ok(Self {
            supported: fields.flag(&["supported", "available"])?.unwrap_or(true),
            version: fields.text(&["version"])?,
            response_time_ms: fields.count(&["response_time_ms"])?,
            resource_usage: fields.text(&["resource_usage"])?,
            limitations: fields.object(&["limitations"])?.cloned().unwrap_or_default(),
            permissions: fields.list(&["permissions"])?.map(|list| list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()).unwrap_or_default(),
            rollback_supported: fields.flag(&["rollback_supported"])?,
            reason: fields.text(&["reason"])?,
        })
    }
}

/// Reads a `tools` object.
pub(crate) fn read_tools(object: &Map<String, Value>) -> Result<BTreeMap<String, ToolSupport>, BadEnvelope> {
    object.iter().map(|(op, value)| Ok((op.clone(), ToolSupport::read(value)?))).collect()
}

/// One change of what a device can do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapabilityChange {
    /// The tool.
    pub tool: String,
    /// What changed, for example `availability`.
    pub change_type: String,
    /// Before.
    pub old_value: Value,
    /// Now.
    pub new_value: Value,
    /// Why, for example `high_cpu_load`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// The body of `capability/update`, also accepted inside `attr`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapabilityUpdate {
    /// The changes, in order.
    pub changes: Vec<CapabilityChange>,
}

impl CapabilityUpdate {
    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, BadEnvelope> {
        match envelope.fields().object(&["capability_update"])? {
            Some(inner) => Self::read(Fields(inner)),
            None => Self::read(envelope.fields()),
        }
    }

    pub(crate) fn read(fields: Fields<'_>) -> Result<Self, BadEnvelope> {
        let list = fields.list(&["changes"])?.ok_or_else(|| BadEnvelope::Schema("field `changes` is missing".into()))?;
        let changes = list.iter().map(|item| {
            let fields = Fields(item.as_object().ok_or_else(|| BadEnvelope::Schema("each item of `changes` must be an object".into()))?);
            let tool = fields.text(&["tool"])?.ok_or_else(|| BadEnvelope::Schema("field `changes[].tool` is missing".into()))?;
            let value = |name| fields.any(&[name]).map_or(Value::Null, |(_, value)| value.clone());
            Ok(CapabilityChange {
                tool,
                change_type: fields.text(&["change_type"])?.unwrap_or_else(|| "availability".into()),
                old_value: value("old_value"),
                new_value: value("new_value"),
                reason: fields.text(&["reason"])?,
            })
        });
        Ok(Self { changes: changes.collect::<Result<_, BadEnvelope>>()? })
    }
}
