//! A change set: proposed, approved by a person, prepared, applied, verified, and kept or undone (`DESIGN.md` §5).
//!
//! ```text
//! proposed ─approve→ preparing ─all prepared→ applying ─all applied→ applied ─measuring→ verifying ─improved→ committed
//!    │ │                 └────────── any failure, silence, loss, restart of a device, or no gain ──────────→ rolled_back
//!    │ └─ 5 min → expired                                                       a device cannot restore → rollback_failed → …retried
//!    └─ no → rejected
//! ```

mod machine;
mod restore;
mod view;

pub use machine::{Order, Report, World, next_deadline, report};
pub use restore::set_of;
pub use view::{measured, view};

use crate::catalogue::Risk;
use crate::ids::{canonical_json, sha256_hex};
use crate::language::Language;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use talkwire_proto::{DeviceKey, Site, Tenant};

/// How long a proposal may be approved, in milliseconds.
pub const APPROVAL_MS: i64 = 300_000;
/// After this time without confirmation a device goes back, in seconds (`auto_rollback_timeout` of the diagnostics document).
pub const ROLLBACK_S: u64 = 300;
/// How long what went back without a gain is not put forward again, in milliseconds.
const FUTILE_MS: i64 = 86_400_000;

/// Where a set stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Being put together.
    Draft,
    /// Waiting for a person.
    Proposed,
    /// A person said yes.
    Approved,
    /// Devices capture what they would replace.
    Preparing,
    /// Applied or being applied; devices go back by themselves at the deadline.
    Applied,
    /// Measured again.
    Verifying,
    /// Kept, with proof.
    Committed,
    /// Everything is as it was.
    RolledBack,
    /// A device could not go back yet; tried again until it does.
    RollbackFailed,
    /// A person said no.
    Rejected,
    /// Nobody said anything in time.
    Expired,
}

impl Status {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Preparing => "preparing",
            Self::Applied => "applied",
            Self::Verifying => "verifying",
            Self::Committed => "committed",
            Self::RolledBack => "rolled_back",
            Self::RollbackFailed => "rollback_failed",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }

    /// Whether nothing more will happen by itself.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Committed | Self::RolledBack | Self::Rejected | Self::Expired)
    }

    /// Whether the set holds its devices against other sets.
    pub fn holds_devices(self) -> bool {
        !self.has_ended()
    }
}

/// Where one operation of a set stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// Nothing happened yet.
    Planned,
    /// The device captured what it would replace.
    Prepared,
    /// The command is out: it may or may not have been applied.
    Applying,
    /// The device proved it with a hash.
    Applied,
    /// The device dropped its journal entry: it stays.
    Committed,
    /// The device is as it was.
    Restored,
    /// Was never applied.
    NotApplied,
    /// After a commit: the arguments that put everything back are applied and wait to be kept.
    Undoing,
    /// The device could not restore.
    RestoreFailed,
}

/// One change on one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// The device.
    #[serde(flatten)]
    pub key: DeviceKey,
    /// Its name.
    pub device_name: String,
    /// The tool, by canonical name.
    pub op: String,
    /// Its arguments, without what the controller adds.
    pub args: Map<String, Value>,
    /// The arguments that put back what was there, for devices without a journal and for an undo after the commit.
    #[serde(default)]
    pub undo_args: Option<Map<String, Value>>,
    /// What changes, for people.
    pub label: String,
    /// The value now, for people.
    pub before_text: String,
    /// The value wanted, for people.
    pub after_text: String,
    /// Whether the device keeps a journal and goes back by itself.
    pub undoes_itself: bool,
    /// Whether it leaves nothing to put back (`restores = "nothing"` in the catalogue).
    #[serde(default)]
    pub restores_nothing: bool,
    /// Where it stands.
    pub state: OperationState,
    /// The configuration section before, as captured by the device.
    #[serde(default)]
    pub previous: Value,
    /// Its hash.
    #[serde(default)]
    pub previous_hash: Option<String>,
    /// What really runs now, as the device says.
    #[serde(default)]
    pub applied: Value,
    /// Hash of the section now running.
    #[serde(default)]
    pub applied_hash: Option<String>,
    /// Hash after restoring.
    #[serde(default)]
    pub restored_hash: Option<String>,
    /// When the device goes back by itself, in Unix milliseconds.
    #[serde(default)]
    pub deadline_ms: Option<i64>,
    /// What went wrong.
    #[serde(default)]
    pub error: Option<String>,
    /// The last command about it.
    #[serde(default)]
    pub command_id: Option<String>,
    /// The command under which the device's journal keeps it, once it is applied.
    #[serde(default)]
    pub applied_by: Option<String>,
}

/// What a measurement must do for the change to be kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// What is measured, for example `cspd.dn`.
    pub metric: String,
    /// Unit.
    pub unit: String,
    /// Whether it must rise (`up`) or fall (`down`).
    pub direction: String,
    /// Smallest change worth claiming, in percent of the value before; or…
    #[serde(default)]
    pub min_gain_percent: Option<f64>,
    /// …in the metric's unit.
    #[serde(default)]
    pub min_gain: Option<f64>,
    /// The promise for people, for example `18 → 60 Mbps or more`.
    pub text: String,
}

impl Expectation {
    /// Whether `after` is better than `before` by what was promised.
    pub fn is_met(&self, before: f64, after: f64) -> bool {
        let gain = if self.direction == "down" { before - after } else { after - before };
        let needed = self.min_gain.unwrap_or(0.0).max(self.min_gain_percent.map_or(0.0, |percent| before.abs() * percent / 100.0));
        gain.is_finite() && gain > 0.0 && gain >= needed
    }
}

/// A value measured, with its single samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// What was measured.
    pub metric: String,
    /// The median.
    pub value: f64,
    /// Unit.
    pub unit: String,
    /// The single samples.
    pub samples: Vec<f64>,
    /// The steps that measured.
    #[serde(default)]
    pub trace_ids: Vec<String>,
}

/// How a set ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// `kept`, `done_no_gain`, `done_not_measured`, `no_gain`, `not_measured`, `apply_failed`, `prepare_failed`, `deadline`, `connection_lost`, `restart`, `by_person`, `undone`, `by_hand`, `rejected`, `expired`.
    pub kind: String,
    /// One sentence.
    pub text: String,
}

/// A line of the set's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryLine {
    /// The state entered.
    pub state: Status,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// Why.
    pub why: String,
}

/// A change set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Changeset {
    /// Its id.
    pub changeset_id: String,
    /// Where it stands.
    pub status: Status,
    /// Hash of the exact plan: what an approval is bound to.
    pub plan_hash: String,
    /// Whose.
    pub tenant: Tenant,
    /// Where.
    pub site: Site,
    /// The diagnosis that led to it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session_id: Option<String>,
    /// What it does, for people.
    pub title: String,
    /// Why, for people.
    pub reason: String,
    /// Language of its texts.
    pub language: Language,
    /// The highest risk of its tools.
    pub risk: Risk,
    /// Whether an administrator must approve.
    pub needs_admin: bool,
    /// What people will feel.
    pub impact: String,
    /// The changes, applied in this order and undone in the reverse.
    pub operations: Vec<Operation>,
    /// After so many seconds without confirmation devices go back.
    pub rollback_s: u64,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Until when it may be approved, in Unix milliseconds.
    pub approve_before_ms: i64,
    /// When devices go back by themselves, in Unix milliseconds.
    #[serde(default)]
    pub deadline_ms: Option<i64>,
    /// Who put it forward.
    pub proposed_by: String,
    /// Who said yes.
    #[serde(default)]
    pub approved_by: Option<String>,
    /// When, in Unix milliseconds.
    #[serde(default)]
    pub approved_ms: Option<i64>,
    /// What must get better. `None`: nothing is measured, it is kept when every device proved it.
    #[serde(default)]
    pub expect: Option<Expectation>,
    /// Measured before.
    #[serde(default)]
    pub before: Option<Measurement>,
    /// Measured after.
    #[serde(default)]
    pub after: Option<Measurement>,
    /// How it ended.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// Why it is going back, once it is.
    #[serde(default)]
    pub going_back: Option<Outcome>,
    /// Every state entered.
    pub history: Vec<HistoryLine>,
    /// Whether a receipt was issued.
    #[serde(default)]
    pub has_receipt: bool,
    /// How often restoring was tried without success.
    #[serde(default)]
    pub restore_tries: u32,
    /// When something is tried again, in Unix milliseconds.
    #[serde(default)]
    pub retry_ms: Option<i64>,
}

impl Changeset {
    /// Hash of what an approval is bound to: devices, tools, arguments, order, time-out and promise.
    pub fn hash_plan(operations: &[Operation], rollback_s: u64, expect: Option<&Expectation>) -> String {
        let operations: Vec<_> =
            operations.iter().map(|operation| json!({"device": operation.key.to_string(), "op": operation.op, "args": operation.args})).collect();
        sha256_hex(canonical_json(&json!({"operations": operations, "auto_rollback_timeout_s": rollback_s, "expect": expect})).as_bytes())
    }

    /// Whether nothing of it could ever be put back: everything in it is done once.
    pub fn restores_nothing(&self) -> bool {
        self.operations.iter().all(|operation| operation.restores_nothing)
    }

    /// Whether it went back because nothing got better, less than a day before `now_ms`: what it did is not worth another try yet.
    pub fn was_futile_at(&self, now_ms: i64) -> bool {
        let no_gain = self.outcome.as_ref().is_some_and(|outcome| outcome.kind == "no_gain");
        let ended = self.history.last().map_or(self.created_ms, |line| line.at_ms);
        self.status == Status::RolledBack && no_gain && now_ms - ended < FUTILE_MS
    }

    /// Enters a state and notes when and why.
    pub fn enter(&mut self, status: Status, now_ms: i64, why: impl Into<String>) {
        self.status = status;
        self.history.push(HistoryLine { state: status, at_ms: now_ms, why: why.into() });
    }
}
