//! A command: asked of one device, sent, acknowledged, ended once (`PROTOCOL.md` §3).
//!
//! ```text
//! created → sent → acked → (progress)* → completed | failed | rejected | timed_out | cancelled
//!                                                        timed_out → completed_late | failed_late
//! ```

mod life;

pub use life::{Change, Life};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use talkwire_proto::DeviceKey;
use talkwire_proto::command::CommandError;

/// Where a command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Recorded, waiting for its turn on the device.
    Created,
    /// Published.
    Sent,
    /// The device took it.
    Acked,
    /// Done.
    Completed,
    /// The device says that it failed.
    Failed,
    /// The device did not take it.
    Rejected,
    /// No result in time.
    TimedOut,
    /// Stopped before it ended.
    Cancelled,
    /// Done, but after the time was over.
    CompletedLate,
    /// Failed, after the time was over.
    FailedLate,
}

impl Status {
    /// Whether the life cycle is over. Only a late result changes it then, and only from `TimedOut`.
    pub fn has_ended(self) -> bool {
        !matches!(self, Self::Created | Self::Sent | Self::Acked)
    }
}

/// When things happened, in Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timings {
    /// Asked for.
    pub created_ms: i64,
    /// First published.
    #[serde(default)]
    pub sent_ms: Option<i64>,
    /// Acknowledged.
    #[serde(default)]
    pub acked_ms: Option<i64>,
    /// Ended.
    #[serde(default)]
    pub ended_ms: Option<i64>,
}

/// A command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// ULID. Retries keep it.
    pub id: String,
    /// The device.
    #[serde(flatten)]
    pub key: DeviceKey,
    /// The tool, by canonical name.
    pub op: String,
    /// The name under which the device knows it.
    pub sent_op: String,
    /// Version of the tool that is asked for.
    pub version: String,
    /// Arguments as sent.
    pub args: Map<String, Value>,
    /// Where it stands.
    pub status: Status,
    /// What the device answered.
    #[serde(default)]
    pub result: Option<Value>,
    /// What went wrong.
    #[serde(default)]
    pub error: Option<CommandError>,
    /// Percent or words, while it runs.
    #[serde(default)]
    pub progress: Option<Value>,
    /// When things happened.
    pub timings: Timings,
    /// How long the result may take, in milliseconds from sending.
    pub timeout_ms: u64,
    /// When it times out, in Unix milliseconds; set at sending.
    #[serde(default)]
    pub deadline_ms: Option<i64>,
    /// When it is published again unless acknowledged, in Unix milliseconds.
    #[serde(default)]
    pub resend_ms: Option<i64>,
    /// How often it was published.
    pub attempts: u32,
    /// Who asked, as the audit names it.
    pub requested_by: String,
    /// The diagnosis that it belongs to.
    #[serde(default)]
    pub session_id: Option<String>,
    /// The step that it belongs to.
    #[serde(default)]
    pub trace_id: Option<String>,
    /// What the step is for.
    #[serde(default)]
    pub step_description: Option<String>,
    /// The change set that it belongs to.
    #[serde(default)]
    pub changeset_id: Option<String>,
    /// Whether the tool is an Act.
    #[serde(default)]
    pub is_act: bool,
    /// Whether a result came after the time was over.
    #[serde(default)]
    pub late: bool,
}
