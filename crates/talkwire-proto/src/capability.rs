//! What a device can do: the tools that it declares, and changes of them (`spec/rtk-diagnostics-protocol.md`, capabilities).

use crate::envelope::{BadEnvelope, Envelope};
use crate::fields::{Fields, WrongType, read_texts, type_name};
use crate::limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
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

    /// Reads a tool's entry: an object, or just whether it is there.
    pub(crate) fn read(op: &str, value: &Value) -> Result<Self, BadEnvelope> {
        let object = match value {
            Value::Object(object) => object,
            Value::Bool(supported) => return Ok(Self { supported: *supported, ..Self::plain() }),
            Value::Null => return Ok(Self { supported: false, ..Self::plain() }),
            other => return Err(WrongType { field: op.into(), expected: "an object or a boolean", found: type_name(other) }.under("tools").into()),
        };
        let fields = Fields(object);
        let read = || {
            Ok(Self {
                supported: fields.flag(&["supported"])?.unwrap_or(true) && fields.flag(&["available"])?.unwrap_or(true),
                version: fields.label(&["version"])?,
                response_time_ms: fields.count(&["response_time_ms"])?,
                resource_usage: fields.label(&["resource_usage"])?,
                limitations: fields.object(&["limitations"])?.cloned().unwrap_or_default(),
                permissions: fields.texts(&["permissions"])?.unwrap_or_default(),
                rollback_supported: fields.flag(&["rollback_supported"])?,
                reason: fields.label(&["reason"])?,
            })
        };
        read().map_err(|wrong: WrongType| wrong.under(op).under("tools").into())
    }
}

/// Reads `tools`: an object by op, or a list of ops.
pub(crate) fn read_tools(value: &Value) -> Result<BTreeMap<String, ToolSupport>, BadEnvelope> {
    let tools: BTreeMap<_, _> = match value {
        Value::Object(object) => object.iter().map(|(op, value)| Ok((op.clone(), ToolSupport::read(op, value)?))).collect::<Result<_, BadEnvelope>>()?,
        Value::Array(list) => read_texts("tools", list)?.into_iter().map(|op| (op, ToolSupport::plain())).collect(),
        other => return Err(WrongType { field: "tools".into(), expected: "an object or a list", found: type_name(other) }.into()),
    };
    match tools.keys().find(|op| op.is_empty() || op.len() > limits::WORD_CHARS || op.chars().any(char::is_control)) {
        None => Ok(tools),
        Some(_) => Err(BadEnvelope::Value(format!("each name in `tools` must have 1-{} bytes and no control characters", limits::WORD_CHARS))),
    }
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
    /// The schema tag that we send.
    pub const SCHEMA: &'static str = "capability.update/1.0";

    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, BadEnvelope> {
        match envelope.fields().object(&["capability_update"])? {
            Some(inner) => Self::read_inner(inner),
            None => Self::read(envelope.fields()),
        }
    }

    /// Reads the object under `capability_update`.
    pub(crate) fn read_inner(object: &Map<String, Value>) -> Result<Self, BadEnvelope> {
        Self::read(Fields(object)).map_err(|error| match error {
            BadEnvelope::Field(wrong) => wrong.under("capability_update").into(),
            other => other,
        })
    }

    fn read(fields: Fields<'_>) -> Result<Self, BadEnvelope> {
        let list = fields.list(&["changes"])?.ok_or_else(|| BadEnvelope::Missing("changes".into()))?;
        let changes = list.iter().enumerate().map(|(index, item)| {
            let at = format!("changes[{index}]");
            let wrong = || WrongType { field: at.clone(), expected: "an object", found: type_name(item) };
            let fields = Fields(item.as_object().ok_or_else(wrong)?);
            let text = |name: &str| fields.label(&[name]).map_err(|wrong| wrong.under(&at));
            let value = |name: &str| fields.any(&[name]).map_or(Value::Null, |(_, value)| value.clone());
            Ok(CapabilityChange {
                tool: text("tool")?.ok_or_else(|| BadEnvelope::Missing(format!("{at}.tool")))?,
                change_type: text("change_type")?.unwrap_or_else(|| "availability".into()),
                old_value: value("old_value"),
                new_value: value("new_value"),
                reason: text("reason")?,
            })
        });
        Ok(Self { changes: changes.collect::<Result<_, BadEnvelope>>()? })
    }

    /// The message for `capability/update`, with the diagnostics document's object inside.
    pub fn encode(&self, device_id: &str, ts_ms: i64) -> Value {
        let inner = json!({"device_id": device_id, "timestamp": ts_ms, "changes": self.changes});
        json!({"schema": Self::SCHEMA, "ts": ts_ms, "capability_update": inner})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::DeviceBody;
    use crate::inbound::tests::{body, envelope, refusal};

    const SAMPLE: &str = r#"{"capability_update": {"device_id": "aabbccddeeff", "timestamp": 1699123456789, "changes": [
        {"tool": "network.speedtest_full", "change_type": "availability", "old_value": true, "new_value": false, "reason": "high_cpu_load"}]}}"#;

    #[test]
    fn the_update_of_the_diagnostics_document_is_read_on_its_topic_and_inside_attr() {
        let change = CapabilityChange {
            tool: "network.speedtest_full".into(),
            change_type: "availability".into(),
            old_value: json!(true),
            new_value: json!(false),
            reason: Some("high_cpu_load".into()),
        };
        let wanted = CapabilityUpdate { changes: vec![change] };
        assert_eq!(body("capability/update", SAMPLE), DeviceBody::Capability(wanted.clone()));
        assert_eq!(envelope("capability/update", SAMPLE).ts_ms, Some(1_699_123_456_789));
        let DeviceBody::Attr(attr) = body("attr", SAMPLE) else { panic!("not attr") };
        assert_eq!(attr.update, Some(wanted));
    }

    #[test]
    fn flat_and_wrapped_changes_are_read() {
        for text in [
            r#"{"changes": [{"tool": "a", "new_value": false}]}"#,
            r#"{"payload": {"changes": [{"tool": "a", "new_value": false}]}}"#,
            r#"{"payload": {"capability_update": {"changes": [{"tool": "a", "new_value": false}]}}}"#,
        ] {
            let DeviceBody::Capability(update) = body("capability/update", text) else { panic!("not an update") };
            assert_eq!((update.changes[0].tool.as_str(), &update.changes[0].new_value), ("a", &json!(false)), "{text}");
        }
    }

    #[test]
    fn a_change_that_is_not_one_is_named_by_its_place() {
        assert_eq!(refusal("capability/update", "{}"), "field `changes` is missing");
        assert_eq!(refusal("capability/update", r#"{"changes": [{"tool": "a"}, 5]}"#), "field `changes[1]` must be an object, not a number");
        assert_eq!(refusal("capability/update", r#"{"changes": [{}]}"#), "field `changes[0].tool` is missing");
        assert_eq!(refusal("attr", r#"{"capability_update": {"changes": 1}}"#), "field `capability_update.changes` must be a list, not a number");
    }

    #[test]
    fn a_tool_that_is_supported_but_not_available_is_not_there_now() {
        assert!(!ToolSupport::read("x", &json!({"supported": true, "available": false})).unwrap().supported);
        assert!(!ToolSupport::read("x", &json!(false)).unwrap().supported);
        assert!(!ToolSupport::read("x", &Value::Null).unwrap().supported);
        assert!(ToolSupport::read("x", &json!({})).unwrap().supported);
        assert!(ToolSupport::read("x", &json!("yes")).is_err());
    }

    #[test]
    fn what_is_sent_reads_back() {
        let change = CapabilityChange { tool: "a".into(), change_type: "limit".into(), old_value: json!(1), new_value: Value::Null, reason: None };
        let sent = CapabilityUpdate { changes: vec![change] };
        assert_eq!(body("capability/update", &sent.encode("aabbccddeeff", 5).to_string()), DeviceBody::Capability(sent));
    }
}
