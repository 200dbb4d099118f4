//! From a sentence in Chinese or English to what the person wants fixed.
//!
//! Three layers look at the normalised sentence: a lexicon finds concepts ("slow", "only this device") and their
//! negation, rules weigh the concepts, and a small model trained from example sentences weighs words. Their sum decides; a measured
//! mapping makes its share the probability of being right.
//! All knowledge is data in `catalog/intents/`; the result for a text never changes between calls or processes.

mod calibration;
mod catalog;
mod language;
mod lexicon;
mod model;
mod recogniser;
mod rules;
mod scope;
mod slots;
mod spelling;
mod text;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub use catalog::{CatalogError, Sources};
pub use language::detect_language;
pub use recogniser::Recogniser;
pub use slots::{Slots, Who};
pub use talkwire_core::Language;

/// What the person wants fixed: one of the nine flows, or not a network complaint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// Everything on the site is out.
    NoInternet,
    /// The rate is low.
    SlowSpeed,
    /// It comes and goes, for everybody.
    UnstableDisconnect,
    /// It depends on the place.
    WeakSignalCoverage,
    /// Delay, jitter, chopped voice, lag in games.
    RealtimeLatency,
    /// One device while others work, whatever the symptom.
    DeviceSpecificIssue,
    /// Only while moving, or not changing over between access points.
    RoamingIssue,
    /// Everything behind a node, extender or bridge.
    MeshBackhaulIssue,
    /// Addresses, leases, names.
    DhcpDnsIssueAdvanced,
    /// Not a network complaint.
    Other,
}

impl Intent {
    /// Every intent, the nine flows first.
    pub const ALL: [Intent; 10] = [
        Intent::NoInternet,
        Intent::SlowSpeed,
        Intent::UnstableDisconnect,
        Intent::WeakSignalCoverage,
        Intent::RealtimeLatency,
        Intent::DeviceSpecificIssue,
        Intent::RoamingIssue,
        Intent::MeshBackhaulIssue,
        Intent::DhcpDnsIssueAdvanced,
        Intent::Other,
    ];

    /// The name on the wire, which is also the name of the flow.
    pub const fn as_str(self) -> &'static str {
        match self {
            Intent::NoInternet => "no_internet",
            Intent::SlowSpeed => "slow_speed",
            Intent::UnstableDisconnect => "unstable_disconnect",
            Intent::WeakSignalCoverage => "weak_signal_coverage",
            Intent::RealtimeLatency => "realtime_latency",
            Intent::DeviceSpecificIssue => "device_specific_issue",
            Intent::RoamingIssue => "roaming_issue",
            Intent::MeshBackhaulIssue => "mesh_backhaul_issue",
            Intent::DhcpDnsIssueAdvanced => "dhcp_dns_issue_advanced",
            Intent::Other => "other",
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no intent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown intent '{0}': use the name of one of the nine flows or 'other'")]
pub struct UnknownIntent(pub String);

impl FromStr for Intent {
    type Err = UnknownIntent;

    fn from_str(name: &str) -> Result<Self, UnknownIntent> {
        let found = Intent::ALL.into_iter().find(|intent| intent.as_str() == name);
        found.ok_or_else(|| UnknownIntent(name.to_owned()))
    }
}

/// What a sentence is that is not a network complaint, so that it can be answered as what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherKind {
    /// A greeting, a question about the assistant, a laugh.
    SmallTalk,
    /// A question about how things stand: devices online, channel in use, firmware.
    StatusQuestion,
    /// A wish to set, switch, limit or restart something.
    ConfigurationWish,
    /// Yes, go ahead.
    Approval,
    /// No, cancel. Kept apart from approval so that neither is ever taken for the other.
    Refusal,
    /// Thanks, or the message that all is well again.
    Thanks,
    /// What the assistant can do, or what a word means.
    Help,
    /// Nothing to do with the network.
    OffTopic,
}

/// What was understood of one sentence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Understanding {
    /// What the person wants fixed; of two complaints the main one.
    pub intent: Intent,
    /// The language to answer in.
    pub language: Language,
    /// Probability that `intent` is right, 0 to 1, as measured on sentences that taught nothing.
    pub confidence: f64,
    /// Details told along with the complaint.
    pub slots: Slots,
    /// Up to two other readings whose probability is above 0.05, likeliest first.
    pub rivals: Vec<(Intent, f64)>,
    /// The other complaint, when the sentence holds two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<Intent>,
    /// What it is instead, when `intent` is `other`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_kind: Option<OtherKind>,
}

/// Understands one sentence with the embedded catalogue. Pure: the same text always gives the same result.
pub fn understand(text: &str) -> Understanding {
    Recogniser::embedded().understand(text)
}
