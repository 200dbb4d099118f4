//! `attr`: who the device is and what it can do (`spec/rtk-integration-guide.md` phase 2, `spec/rtk-diagnostics-protocol.md` capabilities).

use crate::capability::{CapabilityUpdate, ToolSupport, read_tools};
use crate::envelope::{BadEnvelope, Envelope};
use crate::fields::Fields;
use crate::id::mac_digits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Identity and capabilities of a device.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Attr {
    /// For example `router`, `access_point`, `sensor`.
    pub device_type: Option<String>,
    /// The name that people use, when the device knows one.
    pub name: Option<String>,
    /// Who made it.
    pub manufacturer: Option<String>,
    /// Which one it is.
    pub model: Option<String>,
    /// Version of its software.
    pub firmware_version: Option<String>,
    /// Version of its hardware.
    pub hardware_version: Option<String>,
    /// Number on the label.
    pub serial_number: Option<String>,
    /// Twelve lower-case hex digits.
    pub mac_address: Option<String>,
    /// Plain words such as `wifi`, when capabilities are a list.
    pub features: Vec<String>,
    /// Declared tools by op, when capabilities are an object. `None`: the device did not declare any.
    pub tools: Option<BTreeMap<String, ToolSupport>>,
    /// Which command envelope the device declared: `flat`, `payload` or `both`.
    pub command_envelope: Option<String>,
    /// A capability update carried along.
    pub update: Option<CapabilityUpdate>,
}

impl Attr {
    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, BadEnvelope> {
        let fields = envelope.fields();
        let mut attr = Self {
            device_type: fields.text(&["device_type"])?,
            name: fields.text(&["name", "friendly_name"])?,
            manufacturer: fields.text(&["manufacturer"])?,
            model: fields.text(&["model"])?,
            firmware_version: fields.text(&["firmware_version", "fw_version"])?,
            hardware_version: fields.text(&["hardware_version", "hw_version", "hw"])?,
            serial_number: fields.text(&["serial_number", "sn"])?,
            mac_address: fields.text(&["mac_address"])?.map(|mac| mac_digits(&mac).unwrap_or(mac)),
            command_envelope: fields.text(&["command_envelope"])?,
            update: fields.object(&["capability_update"])?.map(|inner| CapabilityUpdate::read(Fields(inner))).transpose()?,
            ..Self::default()
        };
        match fields.any(&["capabilities"]).map(|(_, value)| value) {
            None => {}
            Some(Value::Array(list)) => attr.features = list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
            Some(Value::Object(object)) => {
                let inner = Fields(object);
                attr.device_type = attr.device_type.or(inner.text(&["device_type"])?);
                attr.tools = inner.object(&["tools"])?.map(read_tools).transpose()?;
                attr.command_envelope = attr.command_envelope.or(inner.text(&["command_envelope"])?);
                attr.features = inner.list(&["features"])?.map(|list| list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()).unwrap_or_default();
            }
            Some(other) => {
                return Err(
                    crate::fields::WrongType { field: "capabilities".into(), expected: "a list or an object", found: crate::fields::type_name(other) }.into()
                );
            }
        }
        Ok(attr)
    }
}
