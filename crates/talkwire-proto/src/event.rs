//! `evt/{event_type}`: something happened (`spec/rtk-integration-guide.md`, phase 5).

use crate::envelope::{BadEnvelope, Envelope};
use crate::fields::Fields;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

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
    /// The schema tag that we send for an event.
    pub fn schema(name: &str) -> String {
        format!("evt.{name}/1.0")
    }

    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, BadEnvelope> {
        let fields = envelope.fields();
        let data = fields.object(&["data", "details"])?.cloned().unwrap_or_else(|| {
            let outside = ["schema", "ts", "timestamp", "device_id", "event_type", "severity", "trace"];
            envelope.body.iter().filter(|(name, _)| !outside.contains(&name.as_str())).map(|(name, value)| (name.clone(), value.clone())).collect()
        });
        let stated = fields.text(&["severity"])?.or(Fields(&data).text(&["severity"]).ok().flatten());
        let severity = match stated.map(|word| word.to_ascii_lowercase()).as_deref() {
            Some("critical" | "fatal" | "emergency") => Severity::Critical,
            Some("error" | "high") => Severity::Error,
            Some("warning" | "warn" | "medium") => Severity::Warning,
            _ => Severity::Info,
        };
        Ok(Self { severity, data })
    }

    /// The message for the wire, of the event `name` at `device_id`.
    pub fn encode(&self, device_id: &str, name: &str, ts_ms: i64) -> Value {
        json!({"schema": Self::schema(name), "ts": ts_ms, "device_id": device_id, "event_type": name, "severity": self.severity, "data": self.data})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::DeviceBody;
    use crate::inbound::tests::{body, refusal};

    fn event(tail: &str, text: &str) -> (String, DeviceEvent) {
        let DeviceBody::Event(name, event) = body(tail, text) else { panic!("not an event") };
        (name, event)
    }

    #[test]
    fn the_events_of_the_integration_guide_are_read() {
        let text = r#"{"schema": "evt.network.link_change/1.0", "ts": 1699123456789, "device_id": "aabbccddeeff",
            "event_type": "network.link_change", "data": {"interface": "eth0", "status": "up", "timestamp": 1699123456789}}"#;
        let (name, link) = event("evt/network.link_change", text);
        assert_eq!((name.as_str(), link.severity), ("network.link_change", Severity::Info));
        assert_eq!(link.data["interface"], "eth0");
        let text = r#"{"schema": "evt.system.error/1.0", "ts": 1699123456789, "device_id": "aabbccddeeff", "event_type": "system.error",
            "data": {"error_type": "memory", "description": "low", "severity": "high"}}"#;
        assert_eq!(event("evt/system.error", text).1.severity, Severity::Error);
    }

    #[test]
    fn a_slashed_name_is_the_dotted_one() {
        assert_eq!(event("evt/wifi/roam", "{}").0, "wifi.roam");
        assert_eq!(event("evt/wifi/roam/failed", "{}").0, "wifi.roam.failed");
    }

    #[test]
    fn the_facts_are_found_under_data_under_details_flat_and_wrapped() {
        for text in [
            r#"{"data": {"a": 1}}"#,
            r#"{"details": {"a": 1}}"#,
            r#"{"a": 1, "severity": "info", "ts": 5}"#,
            r#"{"payload": {"a": 1}}"#,
            r#"{"payload": {"data": {"a": 1}}}"#,
        ] {
            assert_eq!(Value::Object(event("evt/x", text).1.data), json!({"a": 1}), "{text}");
        }
        assert_eq!(refusal("evt/x", r#"{"data": [1]}"#), "field `data` must be an object, not a list");
    }

    #[test]
    fn severities_of_every_dialect_are_understood_and_new_ones_do_no_harm() {
        let severity = |word: &str| event("evt/x", &format!(r#"{{"severity": "{word}"}}"#)).1.severity;
        assert_eq!(severity("warn"), Severity::Warning);
        assert_eq!(severity("medium"), Severity::Warning);
        assert_eq!(severity("Critical"), Severity::Critical);
        assert_eq!(severity("purple"), Severity::Info);
    }

    #[test]
    fn what_is_sent_reads_back() {
        let sent = DeviceEvent { severity: Severity::Critical, data: json!({"a": [1, null]}).as_object().unwrap().clone() };
        assert_eq!(event("evt/a.b", &sent.encode("aabbccddeeff", "a.b", 5).to_string()), ("a.b".into(), sent));
    }
}
