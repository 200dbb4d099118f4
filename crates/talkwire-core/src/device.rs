//! A device: identity, capabilities, presence and health, and the registry of all of them.

use crate::stamps::Stamps;
use crate::wayback::WayBack;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use talkwire_proto::capability::ToolSupport;
use talkwire_proto::command::CommandEnvelope;
use talkwire_proto::state::Health;
use talkwire_proto::{DeviceKey, op};

/// Counters that an operator can read (`spec/rtk-integration-guide.md`, diagnostics).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Messages accepted.
    pub messages_received: u64,
    /// Commands sent.
    pub messages_sent: u64,
    /// Messages that went to quarantine.
    pub malformed: u64,
    /// Results that came after their command had timed out.
    pub late_results: u64,
    /// Results that came twice.
    pub duplicate_results: u64,
    /// Results refused because the command was another device's, or nobody's.
    pub foreign_results: u64,
    /// Times that it went offline without a goodbye.
    pub connection_errors: u64,
    /// Messages whose clock was more than five minutes ahead.
    pub clock_ahead: u64,
    /// Events and samples that were told more than five minutes after their time.
    #[serde(default)]
    pub told_late: u64,
    /// States and identities that are older than what is known, or whose time cannot be true: kept, but not taken.
    #[serde(default)]
    pub stale: u64,
    /// Things and links that it told of and that were not kept: over the bound, or without a name.
    #[serde(default)]
    pub topology_left_out: u64,
    /// Times that it answered that it does not have a tool which it declared.
    #[serde(default)]
    pub refuted_tools: u64,
    /// Messages whose clock was never set: it counted from 1970.
    #[serde(default)]
    pub clock_unset: u64,
}

/// What is known of a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Whose, where, which.
    #[serde(flatten)]
    pub key: DeviceKey,
    /// The name for people: the device's own, or its id.
    pub name: String,
    /// For example `router`.
    pub device_type: String,
    /// Which one it is.
    pub model: Option<String>,
    /// Whether it is connected, as its will, its words and its messages say.
    pub online: bool,
    /// Since when it is online or offline, in Unix milliseconds.
    pub presence_since_ms: i64,
    /// Last state's health.
    pub health: Health,
    /// Arrival of its last message, in Unix milliseconds.
    pub last_seen_ms: i64,
    /// Arrival of its first message, in Unix milliseconds.
    pub first_seen_ms: i64,
    /// Plain capability words.
    pub features: Vec<String>,
    /// Declared tools by the name that the device uses. Empty: it declared none.
    pub tools: BTreeMap<String, ToolSupport>,
    /// How it wants to read commands.
    pub envelope: CommandEnvelope,
    /// The last `attr`, as it came.
    pub attr: Value,
    /// The last `state`, as it came.
    pub state: Value,
    /// Counters.
    pub diagnostics: Counters,
    /// What is known of the way back of its tools, by canonical name.
    #[serde(default)]
    pub ways_back: BTreeMap<String, WayBack>,
    /// Tools that it declared and then said it does not have; not offered until it declares something else.
    #[serde(default)]
    pub refuted: BTreeSet<String>,
    /// The newest times of its messages.
    #[serde(default)]
    pub stamps: Stamps,
}

impl Device {
    /// A device of which nothing is known but that it spoke.
    pub fn unknown(key: DeviceKey, now_ms: i64) -> Self {
        Self {
            name: key.device_id.shown(),
            key,
            device_type: "unknown".into(),
            model: None,
            online: true,
            presence_since_ms: now_ms,
            health: Health::Unknown,
            last_seen_ms: now_ms,
            first_seen_ms: now_ms,
            features: Vec::new(),
            tools: BTreeMap::new(),
            envelope: CommandEnvelope::Both,
            attr: Value::Null,
            state: Value::Null,
            diagnostics: Counters::default(),
            ways_back: BTreeMap::new(),
            refuted: BTreeSet::new(),
            stamps: Stamps::default(),
        }
    }

    /// The name and declaration under which the device knows a tool, whatever dialect it speaks.
    ///
    /// `None`: the device declared tools, and this is not one. A device that declared none is asked by the canonical name;
    /// having said that some tool is not available now declares nothing.
    pub fn tool(&self, op: &str) -> Option<(String, Option<&ToolSupport>)> {
        let named = op::names(op).into_iter().find_map(|name| self.tools.get_key_value(name)).map(|(name, support)| (name.clone(), Some(support)));
        named.or_else(|| (!self.tools.values().any(|support| support.supported)).then(|| (op::canonical(op).to_owned(), None)))
    }

    /// Whether the device has the tool and it is available now.
    pub fn can(&self, op: &str) -> bool {
        self.tool(op).is_some_and(|(_, support)| support.is_none_or(|support| support.supported))
    }

    /// Whether the device declared that it journals this change and undoes it by itself.
    pub fn undoes_itself(&self, op: &str) -> bool {
        self.tool(op).and_then(|(_, support)| support).is_some_and(|support| support.rollback_supported == Some(true))
    }

    /// Canonical names of the tools that are available now.
    pub fn available_ops(&self) -> Vec<String> {
        self.tools.iter().filter(|(_, support)| support.supported).map(|(name, _)| op::canonical(name).to_owned()).collect()
    }
}
