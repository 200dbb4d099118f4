//! `topology/{update|discovery|connections|neighbors}`: what a device sees of the network (`spec/rtk-integration-guide.md`, advanced modes).

use crate::envelope::{BadEnvelope, Envelope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, BadEnvelope> {
        let fields = envelope.fields();
        let list = |names: &[&str]| fields.list(names).map(|list| list.cloned().unwrap_or_default());
        Ok(Self { discovered_devices: list(&["discovered_devices", "devices"])?, connections: list(&["connections"])?, changes: list(&["changes"])? })
    }
}
