//! Every JSON example that the specification prints, and every message that its programs send, is read as what it is.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use talkwire_proto::chatroom::{RoomOutput, StatusAnswer};
use talkwire_proto::command::{Outcome, Request};
use talkwire_proto::event::Severity;
use talkwire_proto::inbound::DeviceBody;
use talkwire_proto::lwt::Presence;
use talkwire_proto::state::Health;
use talkwire_proto::topic::RoomTail;
use talkwire_proto::{Inbound, batch, limits};

const NOW_MS: i64 = 1_753_527_913_675;
const DEVICE: &str = "rtk/v1/your-org/main-office/aabbccddeeff";

/// How a vector is read.
enum Reads {
    /// A client of the chat room sends it on this topic: who, and what is said.
    Room(&'static str, RoomTail, Option<&'static str>, Option<&'static str>),
    /// The room says it.
    RoomSays(&'static str),
    /// A device sends it on this tail, and this holds of it.
    Device(&'static str, fn(&DeviceBody) -> bool),
    /// The controller sends it: the op, and the trace's step.
    Command(&'static str, &'static str),
    /// The answer of `GET /mqtt/status`.
    Status,
    /// The trace of any message.
    Trace,
    /// Documentation of a structure that is no message; its first key, and a place that must be there.
    Shape(&'static str, &'static str),
}
use Reads::{Command, Device, Room, RoomSays, Shape, Status, Trace};

fn online(body: &DeviceBody, presence: Presence) -> bool {
    matches!(body, DeviceBody::Lwt(lwt) if lwt.status == presence)
}

fn sample(body: &DeviceBody, name: &str, value: f64, unit: Option<&str>) -> bool {
    matches!(body, DeviceBody::Telemetry(metric, sample) if metric == name && sample.value == Some(value) && sample.unit.as_deref() == unit)
}

fn completed(body: &DeviceBody, id: &str, place: &str) -> bool {
    matches!(body, DeviceBody::Answer(answer) if answer.id == id && answer.outcome == Some(Outcome::Completed) && answer.result.as_ref().is_some_and(|result| result.pointer(place).is_some()))
}

fn event(body: &DeviceBody, name: &str, severity: Severity, field: &str) -> bool {
    matches!(body, DeviceBody::Event(found, event) if found == name && event.severity == severity && event.data.contains_key(field))
}

fn vectors() -> Vec<(&'static str, Reads)> {
    use RoomTail::{MessagesIn, UsersJoin, UsersLeave};
    vec![
        ("01-chatroom-message-in", Room("chatroom/messages/in", MessagesIn, Some("MQTT用户"), Some("Hello from MQTT!"))),
        ("02-chatroom-user-message", RoomSays("user_message")),
        ("03-chatroom-ai-response", RoomSays("ai_response")),
        ("04-chatroom-join", Room("chatroom/users/join", UsersJoin, Some("新用户"), None)),
        ("05-chatroom-leave", Room("chatroom/users/leave", UsersLeave, None, None)),
        ("06-chatroom-system-message", RoomSays("system_message")),
        ("07-mqtt-status", Status),
        ("10-command-read", Command("wifi.get_environment", "wifi-scan-step-01")),
        ("11-command-test", Command("network.speedtest_full", "speed-test-step-02")),
        ("12-command-act", Command("wifi.set_channel", "channel-optimization-step-05")),
        ("13-session", Shape("session", "/session/steps/0/trace_id")),
        ("14-trace", Trace),
        (
            "15-attr-capabilities",
            Device(
                "attr",
                |body| matches!(body, DeviceBody::Attr(attr) if attr.tools.as_ref().is_some_and(|tools| tools.len() == 3) && attr.takes_assistant()),
            ),
        ),
        (
            "16-capability-update",
            Device("capability/update", |body| matches!(body, DeviceBody::Capability(update) if update.changes[0].new_value == Value::Bool(false))),
        ),
        ("17-command-no-internet", Command("diagnostics.wan_connectivity", "wan-check-01")),
        (
            "18-command-error",
            Device("cmd/res", |body| {
                matches!(body, DeviceBody::Answer(answer) if answer.outcome == Some(Outcome::Failed)
                    && answer.error.as_ref().is_some_and(|error| error.code == "E_LLM_TOOL_NOT_AVAILABLE" && error.details["retry_after_ms"] == 30_000)
                    && answer.recovery_action.is_some())
            }),
        ),
        ("19-security-context", Shape("security_context", "/security_context/changeset_protection/auto_rollback_timeout")),
        ("20-session-isolation", Shape("session_isolation", "/session_isolation/resource_limits/max_concurrent_tools")),
        ("21-diagnostics-metrics", Shape("diagnostics_metrics", "/diagnostics_metrics/error_distribution/E_LLM_SESSION_TIMEOUT")),
        ("22-device-config", Shape("mqtt", "/device/device_id")),
        ("30-mosquitto-pub", Room("chatroom/messages/in", MessagesIn, Some("测试"), Some("hello"))),
        ("31-python-chat-join", Room("chatroom/users/join", UsersJoin, Some("Python用户"), None)),
        ("32-python-chat-message", Room("chatroom/messages/in", MessagesIn, Some("Python用户"), Some("Hello from Python MQTT client!"))),
        ("33-python-chat-message-chinese", Room("chatroom/messages/in", MessagesIn, Some("Python用户"), Some("这是中文消息测试"))),
        ("34-python-chat-leave", Room("chatroom/users/leave", UsersLeave, None, None)),
        ("35-node-chat-join", Room("chatroom/users/join", UsersJoin, Some("Node.js用户"), None)),
        ("36-node-chat-message", Room("chatroom/room1/messages/in", MessagesIn, Some("Node.js用户"), Some("这是来自Node.js的中文消息"))),
        ("37-node-chat-leave", Room("chatroom/users/leave", UsersLeave, None, None)),
        ("38-esp32-chat-join", Room("chatroom/users/join", UsersJoin, Some("温度传感器"), None)),
        ("39-esp32-chat-temperature", Room("chatroom/messages/in", MessagesIn, Some("温度传感器"), Some("当前温度: 23.5°C"))),
        ("40-python-device-will", Device("lwt", |body| online(body, Presence::Offline))),
        ("41-python-device-online", Device("lwt", |body| online(body, Presence::Online))),
        (
            "42-python-device-attr",
            Device("attr", |body| matches!(body, DeviceBody::Attr(attr) if attr.features == ["wifi", "ethernet", "diagnostics"] && attr.tools.is_none())),
        ),
        (
            "43-python-device-state",
            Device("state", |body| matches!(body, DeviceBody::State(state) if state.health == Health::Ok && state.cpu_usage == Some(45.2))),
        ),
        ("44-python-device-telemetry-cpu-usage", Device("telemetry/cpu_usage", |body| sample(body, "cpu_usage", 45.2, Some("%")))),
        ("45-python-device-telemetry-temperature", Device("telemetry/temperature", |body| sample(body, "temperature", 68.5, Some("celsius")))),
        (
            "46-python-device-telemetry-network-throughput",
            Device("telemetry/network_throughput", |body| sample(body, "network_throughput", 85.3, Some("mbps"))),
        ),
        ("47-python-device-telemetry-no-unit", Device("telemetry/response_time", |body| sample(body, "response_time", 12.0, None))),
        ("48-python-device-ack", Device("cmd/ack", |body| matches!(body, DeviceBody::Ack(ack) if ack.accepted && ack.id == "cmd-1"))),
        ("49-python-device-result-status", Device("cmd/res", |body| completed(body, "cmd-1", "/network_status"))),
        ("50-python-device-result-speed", Device("cmd/res", |body| completed(body, "cmd-2", "/download_mbps"))),
        ("51-python-device-event-link", Device("evt/network.link_change", |body| event(body, "network.link_change", Severity::Info, "interface"))),
        ("52-python-device-event-error", Device("evt/system.error", |body| event(body, "system.error", Severity::Error, "description"))),
        (
            "53-python-device-topology",
            Device(
                "topology/update",
                |body| matches!(body, DeviceBody::Topology(_, seen) if seen.discovered_devices.len() == 1 && seen.connections.len() == 1),
            ),
        ),
        (
            "54-python-device-batch-results",
            Device("cmd/res", |body| {
                let DeviceBody::Answer(answer) = body else { return false };
                batch::results(answer).is_ok_and(|list| list.len() == 2 && list[1].outcome == Outcome::Failed)
            }),
        ),
    ]
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn decode(topic: &str, bytes: &[u8]) -> Inbound {
    Inbound::decode(topic, bytes, NOW_MS, limits::WEB_MESSAGE_BYTES).unwrap_or_else(|reason| panic!("{topic}: {reason}"))
}

#[test]
fn every_vector_is_read_as_what_it_is() {
    for (name, reads) in vectors() {
        let bytes = fs::read(folder().join(format!("{name}.json"))).unwrap_or_else(|error| panic!("{name}: {error}"));
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        match reads {
            Room(topic, wanted_tail, username, message) => {
                let Inbound::Room(_, tail, input) = decode(topic, &bytes) else { panic!("{name} is not for a room") };
                assert_eq!((tail, input.username.as_deref(), input.message.as_deref()), (wanted_tail, username, message), "{name}");
                assert_eq!(input.client_id.as_deref(), value["client_id"].as_str(), "{name}");
            }
            RoomSays(kind) => {
                let said: RoomOutput = serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(said.kind, kind, "{name}");
                let mut printed = serde_json::to_value(&said).unwrap();
                printed.as_object_mut().unwrap().shift_remove("ts");
                assert_eq!(printed, value, "{name}: what we send has the document's fields, and `ts`");
            }
            Device(tail, holds) => {
                let Inbound::Device(key, envelope, body) = decode(&format!("{DEVICE}/{tail}"), &bytes) else { panic!("{name} is not from a device") };
                assert_eq!(format!("rtk/v1/{key}"), DEVICE);
                assert!(holds(&body), "{name}: {body:?}");
                assert!(!envelope.schema_unknown && !envelope.ts_ahead && envelope.raw == value, "{name}");
                assert_eq!(envelope.ts_ms, Some(1_699_123_456_789), "{name}");
            }
            Command(op, trace_id) => {
                let request = Request::decode(&bytes, NOW_MS).unwrap_or_else(|reason| panic!("{name}: {reason}"));
                assert_eq!((request.op.as_str(), request.trace.map(|trace| trace.trace_id).as_deref()), (op, Some(trace_id)), "{name}");
                assert_eq!((request.id.as_str(), request.timeout_ms), (value["id"].as_str().unwrap(), value["timeout_ms"].as_u64()), "{name}");
                assert_eq!(Value::Object(request.args), value.get("args").cloned().unwrap_or(Value::Object(Default::default())), "{name}");
            }
            Status => {
                let status: StatusAnswer = serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(serde_json::to_value(status).unwrap(), value, "{name}: same fields, no more");
            }
            Trace => {
                let Inbound::Device(_, envelope, _) = decode(&format!("{DEVICE}/diagnostics/any"), &bytes) else { panic!("{name} is not from a device") };
                assert_eq!(serde_json::to_value(envelope.trace).unwrap(), value["trace"], "{name}");
            }
            Shape(first, place) => {
                assert_eq!(value.as_object().unwrap().keys().next().map(String::as_str), Some(first), "{name}");
                assert!(value.pointer(place).is_some(), "{name} has no {place}");
            }
        }
    }
}

#[test]
fn every_file_is_in_the_table_once() {
    let table: Vec<String> = vectors().iter().map(|(name, _)| format!("{name}.json")).collect();
    let files: BTreeSet<String> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(table.iter().cloned().collect::<BTreeSet<_>>(), files);
    assert_eq!(table.len(), files.len());
}

#[test]
fn a_capability_update_is_also_read_inside_attr() {
    let bytes = fs::read(folder().join("16-capability-update.json")).unwrap();
    let Inbound::Device(_, _, DeviceBody::Attr(attr)) = decode(&format!("{DEVICE}/attr"), &bytes) else { panic!("not attr") };
    assert_eq!(attr.update.map(|update| update.changes.len()), Some(1));
    assert_eq!((attr.tools, attr.model), (None, None), "an update alone says nothing of the rest");
}
