//! What the device says: each message family with its topic, schema, quality of service and retain flag.

use crate::clock::unix_ms;
use crate::config::StateReport;
use crate::counters::Counters;
use crate::letter::{Class, Letter};
use crate::post::Post;
use crate::seal::{Seal, SealError};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use talkwire_link::{Link, LinkError, Message, Qos};
use talkwire_proto::command::{Ack, Answer};
use talkwire_proto::event::Severity;
use talkwire_proto::{DeviceKey, DeviceTail, Topic};

/// The device's mouth.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    key: DeviceKey,
    post: Post,
    counters: Arc<Counters>,
}

impl Voice {
    pub(crate) fn new(key: DeviceKey, post: Post, counters: Arc<Counters>) -> Self {
        Self { key, post, counters }
    }

    pub(crate) fn link(&self) -> &Link {
        self.post.link()
    }

    pub(crate) fn post(&self) -> &Post {
        &self.post
    }

    /// What only now has a meaning: it is not kept over a restart.
    fn message(&self, tail: DeviceTail, body: &Value) -> Message {
        let retain = tail.is_retained();
        Message { topic: Topic::Device(self.key.clone(), tail).to_string(), payload: body.to_string().into(), qos: Qos::AtLeastOnce, retain }
    }

    /// What must arrive.
    fn letter(&self, class: Class, tail: DeviceTail, body: &Value) -> Letter {
        Letter { class, topic: Topic::Device(self.key.clone(), tail).to_string(), text: body.to_string() }
    }

    pub(crate) fn online(&self) {
        let body = json!({"schema": "lwt/1.0", "ts": unix_ms(), "status": "online"});
        self.post.say(self.message(DeviceTail::Lwt, &body));
    }

    pub(crate) async fn offline(&self) {
        let now = unix_ms();
        let body = json!({"schema": "lwt/1.0", "ts": now, "status": "offline", "reason": "shutdown", "last_seen": now});
        if let Some(Err(error)) = self.said(DeviceTail::Lwt, &body).await {
            tracing::debug!(%error, "no goodbye");
        }
    }

    pub(crate) fn attr(&self, mut body: Map<String, Value>) {
        body.insert("ts".into(), json!(unix_ms()));
        self.post.say(self.message(DeviceTail::Attr, &Value::Object(body)));
    }

    pub(crate) fn state(&self, report: &StateReport) {
        self.counters.heartbeat();
        let mut body = Map::new();
        body.insert("schema".into(), json!("state/1.0"));
        body.insert("ts".into(), json!(unix_ms()));
        body.extend(state_fields(report, &self.counters));
        self.post.state(self.message(DeviceTail::State, &Value::Object(body)));
    }

    pub(crate) fn telemetry(&self, metric: &str, value: Value, unit: &str) {
        let body = json!({"schema": format!("telemetry.{metric}/1.0"), "ts": unix_ms(), "value": value, "unit": unit});
        self.post.telemetry(self.letter(Class::Telemetry, DeviceTail::Telemetry(metric.into()), &body));
    }

    pub(crate) fn event(&self, event_type: &str, severity: Severity, data: &Value) {
        let body = self.event_body(event_type, severity, data);
        self.post.send(self.letter(Class::Event, DeviceTail::Event(event_type.into()), &body));
    }

    /// Sends an event of which the journal keeps that it must be sent; `Ok`: the broker has it.
    pub(crate) async fn event_now(&self, event_type: &str, severity: Severity, data: &Value) -> Result<(), LinkError> {
        let body = self.event_body(event_type, severity, data);
        self.said(DeviceTail::Event(event_type.into()), &body).await.unwrap_or(Err(LinkError::Down))
    }

    fn event_body(&self, event_type: &str, severity: Severity, data: &Value) -> Value {
        json!({"schema": format!("evt.{event_type}/1.0"), "ts": unix_ms(), "device_id": self.key.device_id,
            "event_type": event_type, "severity": severity, "data": data})
    }

    async fn said(&self, tail: DeviceTail, body: &Value) -> Option<Result<(), LinkError>> {
        Some(self.post.say_and_watch(self.message(tail, body))?.await)
    }

    pub(crate) fn topology(&self, discovered_devices: &[Value], connections: &[Value], changes: &[Value]) {
        let body = json!({"schema": "topology.update/1.0", "ts": unix_ms(), "discovered_devices": discovered_devices,
            "connections": connections, "changes": changes});
        self.post.send(self.letter(Class::Report, DeviceTail::Topology("update".into()), &body));
    }

    pub(crate) fn diagnostics(&self, test: &str, mut fields: Map<String, Value>) {
        fields.insert("schema".into(), json!(format!("diagnostics.{test}/1.0")));
        fields.insert("ts".into(), json!(unix_ms()));
        self.post.send(self.letter(Class::Report, DeviceTail::Diagnostics(test.into()), &Value::Object(fields)));
    }

    pub(crate) fn capability_update(&self, changes: &[Value]) {
        let now = unix_ms();
        let update = json!({"device_id": self.key.device_id, "timestamp": now, "changes": changes});
        let body = json!({"schema": "capability.update/1.0", "ts": now, "capability_update": update});
        self.post.send(self.letter(Class::Report, DeviceTail::CapabilityUpdate, &body));
    }

    pub(crate) fn ack(&self, id: &str) {
        let body = Ack { id: id.into(), accepted: true, reason: None }.encode(unix_ms());
        self.post.say(self.message(DeviceTail::CmdAck, &body));
    }

    pub(crate) fn answer(&self, answer: &Answer) {
        self.post.send(self.letter(Class::Answer, DeviceTail::CmdRes, &answer.encode(unix_ms())));
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
pub(crate) fn will(key: &DeviceKey, seal: &Seal) -> Result<Message, SealError> {
    let now = unix_ms();
    let body = json!({"schema": "lwt/1.0", "ts": now, "status": "offline", "reason": "unexpected_disconnect", "last_seen": now});
    let topic = Topic::Device(key.clone(), DeviceTail::Lwt).to_string();
    Ok(Message { topic, payload: seal.close(body.to_string())?.into(), qos: Qos::AtLeastOnce, retain: true })
}
