//! The configuration that an Act replaces, and how it is put back.

use super::At;
use crate::error::ToolFault;
use crate::house::{House, ShaperState};
use serde_json::{Map, Value, json};

impl House {
    /// The part of the running configuration that this Act would replace; `null` if it replaces none.
    pub fn section(&self, device_id: &str, op: &str, args: &Value) -> Result<Value, ToolFault> {
        let Some(At::Node(node)) = self.find(device_id) else {
            return Err(ToolFault::new("E_UNKNOWN_OP", format!("{device_id} has no tool {op}")));
        };
        let none = Map::new();
        let args = args.as_object().unwrap_or(&none);
        Ok(match op {
            "wifi.set_channel" => {
                let radio = &self.nodes[node].radios[self.radio_of(node, args)?];
                json!({"interface": radio.interface, "channel": radio.channel})
            }
            "wifi.set_power" => {
                let radio = &self.nodes[node].radios[self.radio_of(node, args)?];
                json!({"interface": radio.interface, "power_dbm": radio.power_dbm})
            }
            "qos.apply_policy" => json!({"enabled": self.shaper.enabled, "policy_name": self.shaper.policy,
                "cap_down_mbps": self.shaper.cap_down, "cap_up_mbps": self.shaper.cap_up, "rules": self.shaper.rules}),
            "dhcpdns.set" => json!({"dns_servers": self.dns_servers, "dhcp_range": self.range_text(), "lease_s": self.pool.lease_s,
                "disable_other_dhcp": self.pool.block_others}),
            _ => Value::Null,
        })
    }

    /// The section that would run after this Act; changes nothing.
    pub fn preview(&self, device_id: &str, op: &str, args: &Value) -> Result<Value, ToolFault> {
        let mut copy = self.clone();
        copy.start(device_id, op, args)?;
        copy.section(device_id, op, args)
    }

    /// Puts back what [`House::section`] gave. Configuration returns; what happened meanwhile stays.
    pub fn restore(&mut self, device_id: &str, op: &str, previous: &Value) -> Result<(), ToolFault> {
        let Some(at @ At::Node(_)) = self.find(device_id) else {
            return Err(ToolFault::new("E_UNKNOWN_OP", format!("{device_id} has no tool {op}")));
        };
        let Value::Object(previous) = previous else {
            return if previous.is_null() { Ok(()) } else { Err(ToolFault::args("the previous state must be an object or null")) };
        };
        match op {
            "wifi.set_channel" | "wifi.set_power" => self.act(at, op, previous).map(|_| ()),
            "dhcpdns.set" => self.act(at, op, previous).map(|_| ()),
            "qos.apply_policy" => {
                self.shaper = ShaperState {
                    enabled: previous.get("enabled").and_then(Value::as_bool).unwrap_or(false),
                    policy: previous.get("policy_name").and_then(Value::as_str).map(String::from),
                    cap_down: previous.get("cap_down_mbps").and_then(Value::as_f64),
                    cap_up: previous.get("cap_up_mbps").and_then(Value::as_f64),
                    rules: previous.get("rules").and_then(Value::as_array).cloned().unwrap_or_default(),
                };
                self.loads = self.divide();
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
