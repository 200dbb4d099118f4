//! What a device claims, and what came of it: ways back that were seen or not, tools that it does not have, another type than before.

use super::Core;
use crate::command::{Command, Status};
use crate::effect::EventRow;
use crate::wayback::Known;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use talkwire_proto::event::Severity;
use talkwire_proto::text::shown;
use talkwire_proto::{Code, DeviceKey, limits, op};

/// Words with which devices say that they do not have a tool.
const NOT_THERE: [&str; 4] = ["E_UNKNOWN_OP", "E_NOT_SUPPORTED", "unknown_op", "not_supported"];
/// Why such a tool is not offered: the device declared it and then said that it does not have it.
const REFUTED: &str = "refuted_by_device";

/// Who a device said it was, before it says it anew.
pub(super) struct Before {
    device_type: String,
    capabilities: Value,
}

impl Core {
    /// A device was seen to go back by itself.
    pub(super) fn way_back_seen(&mut self, now_ms: i64, changeset_id: &str, key: &DeviceKey, op: &str, how: &str) {
        let Some(device) = self.devices.get_mut(key) else { return };
        let news = !matches!(device.way_back(op), Some(Known::Proven { .. }));
        if news {
            device.note_way_back(op, Known::Proven { at_ms: now_ms, how: how.into() });
            let detail = json!({"op": op, "how": how, "changeset_id": changeset_id});
            self.audit(now_ms, key.tenant.as_str(), "system", "wayback.proven", &key.to_string(), detail);
            self.save_device(now_ms, key);
        }
    }

    /// A rehearsal failed; when the device is to blame it is marked.
    pub(super) fn way_back_unproven(&mut self, now_ms: i64, changeset_id: &str, key: &DeviceKey, op: &str, why: String, blamed: bool) {
        let why = shown(&why, limits::REASON_CHARS);
        let detail = json!({"code": Code::RollbackUnproven, "op": op, "why": why, "marked": blamed, "changeset_id": changeset_id});
        self.audit(now_ms, key.tenant.as_str(), "system", "wayback.unproven", &key.to_string(), detail);
        if let Some(device) = self.devices.get_mut(key).filter(|_| blamed) {
            device.note_way_back(op, Known::Failed { at_ms: now_ms, why });
            self.save_device(now_ms, key);
        }
    }

    /// A command ended: a device that says it does not have a declared tool is believed.
    pub(super) fn note_refuted(&mut self, now_ms: i64, command: &Command) {
        let says_so = command.error.as_ref().is_some_and(|error| NOT_THERE.contains(&error.code.as_str()));
        // What was not sent was not answered by anybody.
        if !says_so || !matches!(command.status, Status::Failed | Status::Rejected) || command.timings.sent_ms.is_none() {
            return;
        }
        let Some(device) = self.devices.get_mut(&command.key) else { return };
        let Some(tool) = device.tools.get_mut(&command.sent_op).filter(|tool| tool.supported) else { return };
        tool.supported = false;
        tool.reason = Some(REFUTED.into());
        device.refuted.insert(command.sent_op.clone());
        device.diagnostics.refuted_tools += 1;
        let detail = json!({"op": command.op, "command_id": command.id, "code": command.error.as_ref().map(|error| &error.code)});
        self.audit(now_ms, command.key.tenant.as_str(), "system", "device.tool_refuted", &command.key.to_string(), detail);
        self.save_device(now_ms, &command.key);
    }

    /// What is remembered before a device says anew who it is.
    pub(super) fn before_attr(&self, key: &DeviceKey) -> Option<Before> {
        let device = self.devices.get(key)?;
        Some(Before { device_type: device.device_type.clone(), capabilities: capabilities(&device.attr) })
    }

    /// A device said who it is: what was known of another type, model or software is forgotten.
    pub(super) fn after_attr(&mut self, now_ms: i64, key: &DeviceKey, before: &Before) {
        let Some(device) = self.devices.get_mut(key) else { return };
        if capabilities(&device.attr) == before.capabilities {
            for name in device.refuted.clone() {
                if let Some(tool) = device.tools.get_mut(&name) {
                    tool.supported = false;
                    tool.reason = Some(REFUTED.into());
                }
            }
        } else {
            device.refuted = BTreeSet::new();
        }
        let forgotten = device.forget_ways_back();
        let changed = (before.device_type != "unknown" && before.device_type != device.device_type).then(|| device.device_type.clone());
        if !forgotten.is_empty() {
            self.audit(now_ms, key.tenant.as_str(), &format!("device:{key}"), "wayback.forgotten", &key.to_string(), json!({"ops": forgotten}));
        }
        if let Some(device_type) = changed {
            let detail = json!({"from": before.device_type, "to": device_type});
            self.audit(now_ms, key.tenant.as_str(), &format!("device:{key}"), "device.type_changed", &key.to_string(), detail.clone());
            let (event_type, severity) = ("device.type_changed".to_owned(), Severity::Warning);
            self.tell_event(EventRow { key: key.clone(), event_type, severity, data: detail, ts_ms: now_ms, received_ms: now_ms, flag: None });
        }
    }

    /// The device tells of a change of a tool: whether it still goes back is not known.
    pub(super) fn forget_way_back(&mut self, now_ms: i64, key: &DeviceKey, tool: &str) {
        let name = op::canonical(tool).to_owned();
        let Some(device) = self.devices.get_mut(key) else { return };
        device.refuted.retain(|refuted| op::canonical(refuted) != name);
        if device.ways_back.remove(&name).is_some() {
            self.audit(now_ms, key.tenant.as_str(), &format!("device:{key}"), "wayback.forgotten", &key.to_string(), json!({"ops": [name]}));
        }
    }
}

/// What an `attr` declares, wherever it stands.
fn capabilities(attr: &Value) -> Value {
    attr.get("capabilities").or_else(|| attr.get("payload").and_then(|body| body.get("capabilities"))).cloned().unwrap_or(Value::Null)
}
