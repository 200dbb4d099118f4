//! Causes: the stable words, their names for people, and what can be done by hand.

use serde::{Deserialize, Serialize};
use talkwire_core::language::Text3;

/// A cause that a verdict can name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// The stable word.
    pub cause: String,
    /// The flows that it belongs to, the main one first.
    pub flows: Vec<String>,
    /// 1 (cosmetic) to 5 (nobody is online).
    pub severity: u8,
    /// Nothing is broken when this is the answer.
    #[serde(default)]
    pub healthy: bool,
    /// Its name.
    pub title: Text3,
    /// One or two sentences that say it, with `{evidence}`.
    #[serde(default)]
    pub text: Text3,
    /// What people can do by hand.
    #[serde(default)]
    pub advice: Text3,
    /// What is left to do by hand after a change was kept.
    #[serde(default)]
    pub after: Text3,
}

/// The words for a piece of evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceWords {
    /// Its name, for example `env.util_ext`.
    pub name: String,
    /// What it is, for a sentence about what is missing.
    #[serde(default)]
    pub label: Text3,
    /// What it says, with `{fields}` of its item.
    #[serde(default)]
    pub text: Text3,
}

/// The file of causes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CauseFile {
    #[serde(default)]
    pub cause: Vec<Cause>,
    #[serde(default)]
    pub evidence: Vec<EvidenceWords>,
}
