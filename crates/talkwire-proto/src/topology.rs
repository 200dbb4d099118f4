//! `topology/{update|discovery|connections|neighbors}`: what a device sees of the network (`spec/rtk-integration-guide.md`, advanced modes).

use crate::envelope::{BadEnvelope, Envelope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What the device sees. Items keep the device's own fields.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Topology {
    /// Devices seen.
    pub discovered_devices: Vec<Value>,
    /// Links between them.
    pub connections: Vec<Value>,
    /// What is new.
    pub changes: Vec<Value>,
}

impl Topology {
    /// The schema tag that we send.
    pub const SCHEMA: &'static str = "topology.update/1.0";

    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, BadEnvelope> {
        let fields = envelope.fields();
        let list = |names: &[&str]| fields.list(names).map(|list| list.cloned().unwrap_or_default());
        Ok(Self { discovered_devices: list(&["discovered_devices", "devices"])?, connections: list(&["connections"])?, changes: list(&["changes"])? })
    }

    /// The message for `topology/update`.
    pub fn encode(&self, ts_ms: i64) -> Value {
        json!({"schema": Self::SCHEMA, "ts": ts_ms, "discovered_devices": self.discovered_devices, "connections": self.connections, "changes": self.changes})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::DeviceBody;
    use crate::inbound::tests::{body, refusal};

    fn topology(tail: &str, text: &str) -> (String, Topology) {
        let DeviceBody::Topology(part, topology) = body(tail, text) else { panic!("not a topology") };
        (part, topology)
    }

    #[test]
    fn the_update_of_the_integration_guide_is_read() {
        let text = r#"{"schema": "topology.update/1.0", "ts": 1699123456789, "discovered_devices": [{"mac_address": "112233445566"}],
            "connections": [{"from_device": "aabbccddeeff", "to_device": "112233445566"}], "changes": []}"#;
        let (part, seen) = topology("topology/update", text);
        assert_eq!((part.as_str(), seen.discovered_devices.len(), seen.connections.len(), seen.changes.len()), ("update", 1, 1, 0));
    }

    #[test]
    fn the_other_topics_and_shapes_are_read() {
        for part in ["update", "discovery", "connections", "neighbors"] {
            let (word, seen) = topology(&format!("topology/{part}"), r#"{"payload": {"devices": [{"mac": "a"}]}}"#);
            assert_eq!((word.as_str(), seen.discovered_devices.len()), (part, 1));
        }
        assert_eq!(refusal("topology/update", r#"{"connections": {}}"#), "field `connections` must be a list, not an object");
    }

    #[test]
    fn what_is_sent_reads_back() {
        let sent = Topology { discovered_devices: vec![json!({"a": 1})], connections: vec![json!({})], changes: vec![json!("x")] };
        assert_eq!(topology("topology/update", &sent.encode(5).to_string()).1, sent);
    }
}
