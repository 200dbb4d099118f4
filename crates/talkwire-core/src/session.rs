//! A diagnosis session: the complaint, the traced steps, the verdict (`spec/rtk-diagnostics-protocol.md`, sessions).

use crate::language::Language;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use talkwire_proto::chat::{ChartPoint, EvidenceView, RivalView};
use talkwire_proto::{DeviceId, Site, Tenant};

/// At most so many tools of one session run at once.
pub const CONCURRENT_TOOLS: usize = 3;
/// A session ends after this time, in milliseconds.
pub const DURATION_MS: i64 = 3_600_000;
/// A finished session leaves the memory (not the store) after this time, in milliseconds.
pub const CLEANUP_MS: i64 = 7_200_000;

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    /// Working, or waiting for a person's yes.
    Active,
    /// Ended with a verdict.
    Completed,
    /// Ended by a defect or by missing devices.
    Failed,
    /// Stopped by a person.
    Cancelled,
    /// Over its time (`E_LLM_SESSION_TIMEOUT`).
    TimedOut,
}

/// What a step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Collects evidence.
    Gather,
    /// Measures before a change what will be measured after it.
    Baseline,
    /// Measures after a change.
    Verify,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Asked for, and held back by a limit.
    Waiting,
    /// The device is working.
    Running,
    /// Answered.
    Completed,
    /// Answered with an error, refused, or not answered.
    Failed,
    /// Left out, and the error says why.
    Skipped,
}

impl StepStatus {
    /// Whether nothing more will come.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Skipped)
    }
}

/// A traced step: one tool on one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its trace id, unique in the session.
    pub trace_id: String,
    /// The step that led to it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent_trace_id: Option<String>,
    /// What the mind calls it: a key by which it recognises the step later (unique per session).
    pub key: String,
    /// What it is for.
    pub phase: Phase,
    /// The tool, by canonical name.
    pub tool: String,
    /// The device.
    pub device_id: DeviceId,
    /// Its name.
    pub device_name: String,
    /// What it does, in the session's language.
    pub step_description: String,
    /// Where it stands.
    pub status: StepStatus,
    /// Arguments as sent.
    pub args: Map<String, Value>,
    /// Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started_at: Option<i64>,
    /// Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub completed_at: Option<i64>,
    /// Percent, while running.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub progress: Option<f64>,
    /// What the device answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub result: Option<Value>,
    /// A few words about the result, given by the mind.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub summary: Option<String>,
    /// Code and sentence, when it failed or was skipped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<StepError>,
    /// The command, once sent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub command_id: Option<String>,
}

/// Why a step did not give a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepError {
    /// Stable code.
    pub code: String,
    /// One sentence.
    pub message: String,
}

/// How the sentence was understood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntentView {
    /// One of the nine flows, or `other`.
    pub intent: String,
    /// The language of the sentence, and of every answer.
    pub language: Language,
    /// 0–1.
    pub confidence: f64,
    /// What else was said: when, where, who, which device, what changed.
    #[serde(default)]
    pub slots: Map<String, Value>,
    /// Other readings with their confidence.
    #[serde(default)]
    pub rivals: Vec<(String, f64)>,
}

/// What kind of verdict it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// Something is wrong, and this is what.
    Fault,
    /// Nothing is wrong that the measurements can see.
    Healthy,
    /// The evidence does not decide; the text says what is missing.
    Inconclusive,
}

/// What the diagnosis came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What kind.
    pub kind: VerdictKind,
    /// A stable snake_case word of `GET /api/v1/causes`.
    pub cause: Option<String>,
    /// The device concerned.
    pub device_id: Option<DeviceId>,
    /// 0–1.
    pub confidence: f64,
    /// What it rests on.
    pub evidence: Vec<EvidenceView>,
    /// One or two sentences in the session's language.
    pub text: String,
    /// What else was considered.
    #[serde(default)]
    pub rivals: Vec<RivalView>,
    /// A chart that shows it: title, unit, bars.
    #[serde(default)]
    pub chart: Option<Chart>,
}

/// A small chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// Unit of the values.
    pub unit: String,
    /// The bars.
    pub points: Vec<ChartPoint>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub session_id: String,
    /// Whose.
    pub tenant: Tenant,
    /// Where.
    pub site: Site,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended_at: Option<i64>,
    /// The sentence.
    pub user_request: String,
    /// Who asked, as the audit names it.
    pub asked_by: String,
    /// Where it stands.
    pub status: SessionStatus,
    /// The steps, in the order of asking.
    pub steps: Vec<Step>,
    /// How the sentence was understood.
    pub intent: IntentView,
    /// What it came to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verdict: Option<Verdict>,
    /// The proposed change.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub changeset_id: Option<String>,
    /// The room that the answer goes to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub room: Option<String>,
    /// The assistant's message that lives with the session.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message_id: Option<String>,
    /// The message that asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_message_id: Option<String>,
    /// What the assistant said first.
    #[serde(default)]
    pub opening: String,
    /// What it said last, when the session ended otherwise than by a change.
    #[serde(default)]
    pub closing: String,
}

impl Session {
    /// The step that the mind calls `key`.
    pub fn step(&self, key: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.key == key)
    }

    /// How many of its tools are running.
    pub fn running(&self) -> usize {
        self.steps.iter().filter(|step| step.status == StepStatus::Running).count()
    }
}
