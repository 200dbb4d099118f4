//! What the device says: each message family with its topic, schema, quality of service and retain flag.

use crate::clock::unix_ms;
use crate::config::StateReport;
use crate::counters::{Counters, add};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use talkwire_link::{Link, LinkError, Message, PublishHandle, Qos};
use talkwire_proto::command::{Ack, Answer};
use talkwire_proto::event::Severity;
use talkwire_proto::{DeviceKey, DeviceTail, Topic};

/// The device's end of the link.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    key: DeviceKey,
    link: Link,
    counters: Arc<Counters>,
}

impl Voice {
    pub(crate) fn new(key: DeviceKey, link: Link, counters: Arc<Counters>) -> Self {
        Self { key, link, counters }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Sends a message; a failure is counted and logged.
    fn say(&self, tail: DeviceTail, body: &Value) {
        let (handle, counters) = (self.send(tail.clone(), body), self.counters.clone());
        tokio::spawn(async move {
            match handle.await {
                // Figures and reports from before the connection was made are simply too early.
                Ok(()) | Err(LinkError::Down | LinkError::Closed) => {}
                Err(error) => {
                    add(&counters.unsent, 1);
                    tracing::warn!(%error, %tail, "message not sent");
                }
            }
        });
    }

    fn send(&self, tail: DeviceTail, body: &Value) -> PublishHandle {
        add(&self.counters.messages_sent, 1);
        let qos = if matches!(tail, DeviceTail::Telemetry(_)) { Qos::AtMostOnce } else { Qos::AtLeastOnce };
        let retain = tail.is_retained();
        self.link.publish(Topic::Device(self.key.clone(), tail).to_string(), body.to_string(), qos, retain)
    }

    pub(crate) fn online(&self) {
        self.say(DeviceTail::Lwt, &json!({"schema": "lwt/1.0", "ts": unix_ms(), "status": "online"}));
    }

    pub(crate) async fn offline(&self) {
        let now = unix_ms();
        let body = json!({"schema": "lwt/1.0", "ts": now, "status": "offline", "reason": "shutdown", "last_seen": now});
        if let Err(error) = self.send(DeviceTail::Lwt, &body).await {
            tracing::debug!(%error, "no goodbye");
        }
    }

    pub(crate) fn attr(&self, mut body: Map<String, Value>) {
        body.insert("ts".into(), json!(unix_ms()));
        self.say(DeviceTail::Attr, &Value::Object(body));
    }

    pub(crate) fn state(&self, report: &StateReport) {
        self.counters.heartbeat();
        let mut body = Map::new();
        body.insert("schema".into(), json!("state/1.0"));
        body.insert("ts".into(), json!(unix_ms()));
        body.extend(state_fields(report, &self.counters));
        self.say(DeviceTail::State, &Value::Object(body));
    }

    pub(crate) fn telemetry(&self, metric: &str, value: Value, unit: &str) {
        let body = json!({"schema": format!("telemetry.{metric}/1.0"), "ts": unix_ms(), "value": value, "unit": unit});
        self.say(DeviceTail::Telemetry(metric.into()), &body);
    }

    /// Sends an event; awaiting the handle means that the broker has it.
    pub(crate) fn event(&self, event_type: &str, severity: Severity, data: &Value) -> PublishHandle {
        let body = json!({"schema": format!("evt.{event_type}/1.0"), "ts": unix_ms(), "device_id": self.key.device_id,
            "event_type": event_type, "severity": severity, "data": data});
        self.send(DeviceTail::Event(event_type.into()), &body)
    }

    pub(crate) fn topology(&self, discovered_devices: &[Value], connections: &[Value], changes: &[Value]) {
        let body = json!({"schema": "topology.update/1.0", "ts": unix_ms(), "discovered_devices": discovered_devices,
            "connections": connections, "changes": changes});
        self.say(DeviceTail::Topology("update".into()), &body);
    }

    pub(crate) fn diagnostics(&self, test: &str, mut fields: Map<String, Value>) {
        fields.insert("schema".into(), json!(format!("diagnostics.{test}/1.0")));
        fields.insert("ts".into(), json!(unix_ms()));
        self.say(DeviceTail::Diagnostics(test.into()), &Value::Object(fields));
    }

    pub(crate) fn capability_update(&self, changes: &[Value]) {
        let now = unix_ms();
        let update = json!({"device_id": self.key.device_id, "timestamp": now, "changes": changes});
        self.say(DeviceTail::CapabilityUpdate, &json!({"schema": "capability.update/1.0", "ts": now, "capability_update": update}));
    }

    pub(crate) fn ack(&self, id: &str) {
        self.say(DeviceTail::CmdAck, &Ack { id: id.into(), accepted: true, reason: None }.encode(unix_ms()));
    }

    pub(crate) fn answer(&self, answer: &Answer) {
        self.say(DeviceTail::CmdRes, &answer.encode(unix_ms()));
    }
}

/// The body of a state, as `state` and `device.status` say it.
pub(crate) fn state_fields(report: &StateReport, counters: &Counters) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("health".into(), json!(report.health));
    fields.insert("uptime_s".into(), json!(counters.uptime_s()));
    fields.insert("connection_status".into(), json!("connected"));
    fields.insert("last_command_ts".into(), counters.last_command_ts());
    fields.extend(report.figures.clone());
    fields.insert("diagnostics".into(), counters.diagnostics());
    fields
}

/// What the broker says when the device is gone without a goodbye.
pub(crate) fn will(key: &DeviceKey) -> Message {
    let now = unix_ms();
    let body = json!({"schema": "lwt/1.0", "ts": now, "status": "offline", "reason": "unexpected_disconnect", "last_seen": now});
    Message { topic: Topic::Device(key.clone(), DeviceTail::Lwt).to_string(), payload: body.to_string().into(), qos: Qos::AtLeastOnce, retain: true }
}
