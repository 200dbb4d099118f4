//! The RTK messages as they stand on the wire when Talkwire sends them, for their schemas alone.
#![allow(dead_code)]

use crate::capability::{CapabilityChange, CapabilityUpdate, ToolSupport};
use crate::command::{CommandError, Expect, Outcome};
use crate::envelope::Trace;
use crate::event::Severity;
use crate::lwt::Presence;
use crate::state::Health;
use schemars::JsonSchema;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Presence of a device: its will, and what it says at connect. QoS 1, retained.
#[derive(JsonSchema)]
pub(super) struct LwtMessage {
    /// `lwt/1.0`
    schema: String,
    /// Unix milliseconds; of a will, those of the connect.
    ts: i64,
    /// Whether the device is there.
    status: Presence,
    /// Unix milliseconds, in a will.
    #[schemars(default)]
    last_seen: Option<i64>,
    /// Why it went, for example `reboot`.
    #[schemars(default)]
    reason: Option<String>,
}

/// Identity and capabilities of a device. QoS 1, retained.
#[derive(JsonSchema)]
pub(super) struct AttrMessage {
    /// `attr/1.0`
    schema: String,
    /// Unix milliseconds.
    ts: i64,
    /// The device.
    device_id: String,
    /// For example `router`.
    #[schemars(default)]
    device_type: Option<String>,
    /// The name that people use.
    #[schemars(default)]
    name: Option<String>,
    /// Who made it.
    #[schemars(default)]
    manufacturer: Option<String>,
    /// Which one it is.
    #[schemars(default)]
    model: Option<String>,
    /// Version of its software.
    #[schemars(default)]
    firmware_version: Option<String>,
    /// Version of its hardware.
    #[schemars(default)]
    hardware_version: Option<String>,
    /// Number on the label.
    #[schemars(default)]
    serial_number: Option<String>,
    /// Twelve lower-case hex digits.
    #[schemars(default)]
    mac_address: Option<String>,
    /// How it reads commands: `flat`, `payload` or `both`.
    #[schemars(default)]
    command_envelope: Option<String>,
    /// What it can do: words, or tools by name.
    capabilities: Capabilities,
    /// A change of it carried along.
    #[schemars(default)]
    capability_update: Option<CapabilityUpdate>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Capabilities {
    /// Words such as `wifi`.
    Words(Vec<String>),
    /// Declared tools.
    Tools(Box<DeclaredTools>),
}

/// Declared tools.
#[derive(JsonSchema)]
struct DeclaredTools {
    /// Words such as `wifi`.
    #[schemars(default)]
    features: Vec<String>,
    /// Whether the assistant may use the tools.
    #[schemars(default)]
    llm_integration: Option<AssistantSupport>,
    /// Each tool by its name.
    #[schemars(default)]
    tools: BTreeMap<String, ToolSupport>,
}

/// Whether the assistant may use the tools.
#[derive(JsonSchema)]
struct AssistantSupport {
    /// Whether it may.
    supported: bool,
    /// Version of the integration.
    #[schemars(default)]
    version: Option<String>,
}

/// Health and figures of a device, every 300 s or on change. QoS 1, retained.
#[derive(JsonSchema)]
pub(super) struct StateMessage {
    /// `state/1.0`
    schema: String,
    /// Unix milliseconds.
    ts: i64,
    /// How the device is.
    health: Health,
    /// Seconds since it started.
    #[schemars(default)]
    uptime_s: Option<f64>,
    /// Percent of its processors in use.
    #[schemars(default)]
    cpu_usage: Option<f64>,
    /// Percent of its memory in use.
    #[schemars(default)]
    memory_usage: Option<f64>,
    /// Degrees Celsius.
    #[schemars(default)]
    temperature_c: Option<f64>,
}

/// One sample of the metric that the topic names. Further fields are named figures. QoS 0.
#[derive(JsonSchema)]
pub(super) struct TelemetryMessage {
    /// `telemetry.{metric}/1.0`
    schema: String,
    /// Unix milliseconds.
    ts: i64,
    /// The figure, when there is a single one.
    #[schemars(default)]
    value: Option<f64>,
    /// Its unit, for example `%`, `celsius`, `mbps`.
    #[schemars(default)]
    unit: Option<String>,
}

/// Something happened; the topic names it. QoS 1.
#[derive(JsonSchema)]
pub(super) struct EventMessage {
    /// `evt.{event_type}/1.0`
    schema: String,
    /// Unix milliseconds.
    ts: i64,
    /// The device.
    device_id: String,
    /// The full dotted name, for example `network.link_change`.
    event_type: String,
    /// How much it matters.
    severity: Severity,
    /// What happened.
    data: Map<String, Value>,
}

/// A command. `id`, `op` and `args` stand flat, in `payload`, or in both, as the device reads them. QoS 1.
#[derive(JsonSchema)]
pub(super) struct RequestMessage {
    /// `cmd.{op}/{version}`
    schema: String,
    /// Unix milliseconds.
    ts: i64,
    /// The command's id; a retry keeps it.
    #[schemars(default)]
    id: Option<String>,
    /// The tool.
    #[schemars(default)]
    op: Option<String>,
    /// Its arguments; a change to a device has `changeset_id` and `auto_rollback_timeout` (s) among them.
    #[schemars(default)]
    args: Map<String, Value>,
    /// How long the controller waits for the result, in milliseconds.
    #[schemars(default)]
    timeout_ms: Option<u64>,
    /// What the controller waits for.
    expect: Expect,
    /// The step that it belongs to.
    #[schemars(default)]
    trace: Option<Trace>,
    /// Who allowed it, for changes to a device.
    #[schemars(default)]
    authorization: Option<Map<String, Value>>,
    /// The same command for devices that read it here.
    #[schemars(default)]
    payload: Option<RequestPayload>,
}

/// The command inside `payload`.
#[derive(JsonSchema)]
struct RequestPayload {
    /// The command's id.
    id: String,
    /// The tool.
    op: String,
    /// Its arguments.
    args: Map<String, Value>,
}

/// A device took a command, or did not; within a second. QoS 1.
#[derive(JsonSchema)]
pub(super) struct AckMessage {
    /// `cmd.ack/1.0`
    schema: String,
    /// Unix milliseconds.
    ts: i64,
    /// The command.
    id: String,
    /// Whether the device will run it.
    status: AckStatus,
    /// Why not.
    #[schemars(default)]
    reason: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum AckStatus {
    /// It will.
    Received,
    /// It will not.
    Rejected,
}

/// A result, or progress towards one. QoS 1.
#[derive(JsonSchema)]
pub(super) struct AnswerMessage {
    /// `cmd.result/1.0`, or `cmd.error/1.0` with an `error`.
    schema: String,
    /// Unix milliseconds.
    ts: i64,
    /// The command.
    id: String,
    /// How it ended, or `running`.
    status: AnswerStatus,
    /// Percent done (0–100), or words.
    #[schemars(default)]
    progress: Option<Progress>,
    /// Words beside a percentage.
    #[schemars(default)]
    progress_text: Option<String>,
    /// What came out.
    #[schemars(default)]
    result: Option<Value>,
    /// What went wrong.
    #[schemars(default)]
    error: Option<CommandError>,
    /// What the device suggests instead.
    #[schemars(default)]
    recovery_action: Option<Map<String, Value>>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum AnswerStatus {
    /// It has ended.
    Ended(Outcome),
    /// It has not.
    UnderWay(UnderWay),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum UnderWay {
    /// The command still runs.
    Running,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Progress {
    /// Percent.
    Percent(f64),
    /// Words.
    Words(String),
}

/// What a device sees of the network. QoS 1.
#[derive(JsonSchema)]
pub(super) struct TopologyMessage {
    /// `topology.update/1.0`
    schema: String,
    /// Unix milliseconds.
    ts: i64,
    /// Devices seen.
    discovered_devices: Vec<Value>,
    /// Links between them.
    connections: Vec<Value>,
    /// What is new.
    changes: Vec<Value>,
}

/// What a device can do has changed. QoS 1.
#[derive(JsonSchema)]
pub(super) struct CapabilityMessage {
    /// `capability.update/1.0`
    schema: String,
    /// Unix milliseconds.
    ts: i64,
    /// The change.
    capability_update: CapabilityUpdateBody,
}

/// The change.
#[derive(JsonSchema)]
struct CapabilityUpdateBody {
    /// The device.
    device_id: String,
    /// Unix milliseconds.
    timestamp: i64,
    /// In order.
    changes: Vec<CapabilityChange>,
}
