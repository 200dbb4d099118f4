//! `attr`: who the device is and what it can do (`spec/rtk-integration-guide.md` phase 2, `spec/rtk-diagnostics-protocol.md` capabilities).

use crate::capability::{CapabilityUpdate, ToolSupport, read_tools};
use crate::envelope::{BadEnvelope, Envelope};
use crate::fields::{Fields, WrongType, read_texts, type_name};
use crate::id::mac_digits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
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
    /// Whether the device lets the assistant use its tools, when it says so (`llm_integration.supported`).
    pub llm_integration: Option<bool>,
    /// Which command envelope the device declared: `flat`, `payload` or `both`.
    pub command_envelope: Option<String>,
    /// A capability update carried along.
    pub update: Option<CapabilityUpdate>,
}

impl Attr {
    /// The schema tag that we send.
    pub const SCHEMA: &'static str = "attr/1.0";

    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, BadEnvelope> {
        let fields = envelope.fields();
        let mut attr = Self {
            device_type: fields.label(&["device_type"])?,
            name: fields.label(&["name", "friendly_name"])?,
            manufacturer: fields.label(&["manufacturer"])?,
            model: fields.label(&["model"])?,
            firmware_version: fields.label(&["firmware_version", "fw_version"])?,
            hardware_version: fields.label(&["hardware_version", "hw_version", "hw"])?,
            serial_number: fields.label(&["serial_number", "sn"])?,
            mac_address: fields.label(&["mac_address"])?.map(|mac| mac_digits(&mac).unwrap_or(mac)),
            command_envelope: fields.label(&["command_envelope"])?,
            update: fields.object(&["capability_update"])?.map(CapabilityUpdate::read_inner).transpose()?,
            ..Self::default()
        };
        match fields.any(&["capabilities"]).map(|(_, value)| value) {
            None => {}
            Some(Value::Array(list)) => attr.features = read_texts("capabilities", list)?,
            Some(Value::Object(object)) => attr.read_capabilities(Fields(object)).map_err(|error| match error {
                BadEnvelope::Field(wrong) => wrong.under("capabilities").into(),
                other => other,
            })?,
            Some(other) => return Err(WrongType { field: "capabilities".into(), expected: "a list or an object", found: type_name(other) }.into()),
        }
        Ok(attr)
    }

    fn read_capabilities(&mut self, fields: Fields<'_>) -> Result<(), BadEnvelope> {
        self.device_type = self.device_type.take().or(fields.label(&["device_type"])?);
        self.tools = fields.any(&["tools"]).map(|(_, tools)| read_tools(tools)).transpose()?;
        self.command_envelope = self.command_envelope.take().or(fields.label(&["command_envelope"])?);
        self.features = fields.texts(&["features"])?.unwrap_or_default();
        if let Some(assistant) = fields.object(&["llm_integration"])? {
            self.llm_integration = Fields(assistant).flag(&["supported"]).map_err(|wrong| wrong.under("llm_integration"))?;
        }
        Ok(())
    }

    /// Whether the device lets the assistant use its tools. A device that says nothing does.
    pub fn takes_assistant(&self) -> bool {
        self.llm_integration != Some(false)
    }

    /// The message for the wire: capabilities as an object when tools are declared, else as a list of words.
    pub fn encode(&self, device_id: &str, ts_ms: i64) -> Value {
        let mut message = json!({"schema": Self::SCHEMA, "ts": ts_ms, "device_id": device_id});
        let texts = [
            ("device_type", &self.device_type),
            ("name", &self.name),
            ("manufacturer", &self.manufacturer),
            ("model", &self.model),
            ("firmware_version", &self.firmware_version),
            ("hardware_version", &self.hardware_version),
            ("serial_number", &self.serial_number),
            ("mac_address", &self.mac_address),
            ("command_envelope", &self.command_envelope),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                message[name] = json!(text);
            }
        }
        message["capabilities"] = match (&self.tools, self.llm_integration) {
            (None, None) => json!(self.features),
            (tools, assistant) => {
                let mut capabilities = json!({"features": self.features});
                if let Some(supported) = assistant {
                    capabilities["llm_integration"] = json!({"supported": supported, "version": "1.0"});
                }
                if let Some(tools) = tools {
                    capabilities["tools"] = json!(tools);
                }
                capabilities
            }
        };
        if let Some(update) = &self.update {
            message["capability_update"] = json!(update);
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::DeviceBody;
    use crate::inbound::tests::{body, refusal};

    fn attr(text: &str) -> Attr {
        let DeviceBody::Attr(attr) = body("attr", text) else { panic!("not attr") };
        attr
    }

    #[test]
    fn the_attributes_of_the_integration_guide_are_read() {
        let attr = attr(
            r#"{"schema": "attr/1.0", "ts": 1699123456789, "device_type": "router", "manufacturer": "YourCompany", "model": "Device-Model-123",
            "firmware_version": "1.0.0", "hardware_version": "rev-a", "serial_number": "SN123456789", "mac_address": "aabbccddeeff",
            "capabilities": ["wifi", "ethernet", "diagnostics"]}"#,
        );
        assert_eq!(attr.features, ["wifi", "ethernet", "diagnostics"]);
        assert_eq!((attr.serial_number.as_deref(), attr.hardware_version.as_deref(), attr.tools), (Some("SN123456789"), Some("rev-a"), None));
    }

    #[test]
    fn capabilities_of_the_diagnostics_document_are_read() {
        let attr = attr(
            r#"{"device_id": "aabbccddeeff", "capabilities": {"device_type": "wifi_router", "llm_integration": {"supported": true, "version": "1.0"},
            "tools": {"network.speedtest_full": {"supported": true, "version": "1.0", "response_time_ms": 30000, "resource_usage": "high",
            "limitations": {"max_duration": 60, "concurrent_limit": 1}},
            "wifi.set_channel": {"supported": true, "version": "1.0", "permissions": ["config_change"], "rollback_supported": true}}}}"#,
        );
        assert_eq!((attr.device_type.as_deref(), attr.takes_assistant()), (Some("wifi_router"), true));
        let tools = attr.tools.unwrap();
        assert_eq!(tools["network.speedtest_full"].limitations["concurrent_limit"], 1);
        assert_eq!(tools["wifi.set_channel"].rollback_supported, Some(true));
        assert_eq!(tools["wifi.set_channel"].permissions, ["config_change"]);
    }

    #[test]
    fn a_mac_address_in_any_form_becomes_twelve_digits() {
        for mac in ["aabbccddeeff", "AA:BB:CC:DD:EE:FF", "aa-bb-cc-dd-ee-ff", "AABB.CCDD.EEFF"] {
            assert_eq!(attr(&format!(r#"{{"mac_address": "{mac}"}}"#)).mac_address.as_deref(), Some("aabbccddeeff"), "{mac}");
        }
    }

    #[test]
    fn tools_may_be_a_list_and_the_assistant_may_be_turned_away() {
        let attr = attr(r#"{"capabilities": {"tools": ["speed_test", "restart"], "llm_integration": {"supported": false}}}"#);
        assert_eq!(attr.tools.as_ref().map(BTreeMap::len), Some(2));
        assert!(!attr.takes_assistant());
    }

    #[test]
    fn a_wrong_type_is_named_with_the_path_to_it() {
        let cases = [
            (r#"{"model": 5}"#, "field `model` must be a string, not a number"),
            (r#"{"capabilities": "wifi"}"#, "field `capabilities` must be a list or an object, not a string"),
            (r#"{"capabilities": ["wifi", {}]}"#, "field `capabilities[1]` must be a string, not an object"),
            (r#"{"capabilities": {"tools": {"x": "yes"}}}"#, "field `capabilities.tools.x` must be an object or a boolean, not a string"),
            (r#"{"capabilities": {"tools": {"x": {"permissions": [1]}}}}"#, "field `capabilities.tools.x.permissions[0]` must be a string, not a number"),
        ];
        for (text, reason) in cases {
            assert_eq!(refusal("attr", text), reason);
        }
    }

    #[test]
    fn text_of_a_device_is_made_fit_to_be_shown() {
        assert_eq!(attr("{\"model\": \"R1\\u202e\\nApproved\"}").model.as_deref(), Some("R1 Approved"));
    }

    #[test]
    fn what_is_sent_reads_back() {
        let plain = Attr { device_type: Some("sensor".into()), features: vec!["wifi".into()], ..Attr::default() };
        let tools = Some(BTreeMap::from([("a.b".to_owned(), ToolSupport { version: Some("2.0".into()), ..ToolSupport::plain() })]));
        let full = Attr { tools, llm_integration: Some(false), command_envelope: Some("flat".into()), name: Some("客廳".into()), ..plain.clone() };
        for sent in [plain, full] {
            assert_eq!(attr(&sent.encode("aabbccddeeff", 5).to_string()), sent);
        }
    }
}
