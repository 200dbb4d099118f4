//! What the mind may ask for. Every move meets the same permissions, limits and audit as a person's request.

use crate::changeset::{Expectation, Measurement};
use crate::session::{Phase, Session, Verdict};
use crate::{Catalogue, changeset::Changeset, device::Device};
use serde_json::{Map, Value};
use talkwire_proto::DeviceKey;

/// What the mind looks at: the record of a session and what surrounds it. The same record leads to the same moves.
#[derive(Debug, Clone, Copy)]
pub struct Brief<'a> {
    /// The session with its steps.
    pub session: &'a Session,
    /// The devices of its site.
    pub devices: &'a [&'a Device],
    /// Its change set, once proposed.
    pub changeset: Option<&'a Changeset>,
    /// Change sets of the site that went back within the last day because they did not help.
    pub futile: &'a [&'a Changeset],
    /// The tools.
    pub catalogue: &'a Catalogue,
    /// Now, in Unix milliseconds.
    pub now_ms: i64,
}

/// A move of the mind.
#[derive(Debug, Clone, PartialEq)]
pub enum Move {
    /// Call a Read or Test tool. More than three at once wait their turn.
    Call {
        /// A name by which the mind recognises the step; a key that exists is ignored.
        key: String,
        /// What it is for.
        phase: Phase,
        /// The device.
        device: DeviceKey,
        /// The tool.
        op: String,
        /// Its arguments.
        args: Map<String, Value>,
        /// What it does, in the session's language.
        description: String,
        /// Key of the step that led to it.
        after: Option<String>,
    },
    /// Record a step that is left out, and why.
    Skip {
        /// Its name.
        key: String,
        /// What it would have been for.
        phase: Phase,
        /// The device, if one was chosen.
        device: Option<DeviceKey>,
        /// The tool.
        op: String,
        /// What it would have done.
        description: String,
        /// `E_LLM_TOOL_NOT_AVAILABLE`, `E_LLM_CAPABILITY_MISMATCH`…
        code: String,
        /// One sentence.
        reason: String,
    },
    /// A few words about the result of a step.
    Summarise {
        /// The step.
        key: String,
        /// For example `18 ↓ 9 ↑ Mbps`.
        summary: String,
    },
    /// Name the cause, or say that nothing is wrong, or what is missing.
    Conclude(Verdict),
    /// Put a change forward.
    Propose(Proposal),
    /// Say whether the change did what was promised.
    Judge {
        /// Measured after. `None`: it could not be measured.
        after: Option<Measurement>,
    },
    /// End the session with a last sentence.
    Finish {
        /// In the session's language.
        text: String,
    },
}

/// A change that the mind puts forward.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// What it does.
    pub title: String,
    /// Why.
    pub reason: String,
    /// The changes.
    pub operations: Vec<ProposedOperation>,
    /// What must get better.
    pub expect: Option<Expectation>,
    /// Measured before.
    pub before: Option<Measurement>,
}

/// One change of a proposal.
#[derive(Debug, Clone, PartialEq)]
pub struct ProposedOperation {
    /// The device.
    pub device: DeviceKey,
    /// The tool.
    pub op: String,
    /// Its arguments.
    pub args: Map<String, Value>,
    /// The arguments that put back what is there now, when known.
    pub undo_args: Option<Map<String, Value>>,
    /// What changes, for example `2.4 GHz channel`.
    pub label: String,
    /// The value now.
    pub before_text: String,
    /// The value wanted.
    pub after_text: String,
}
