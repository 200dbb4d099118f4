//! The way back of a tool on a device: whether it was ever seen to go back by itself, or only says that it does.
//!
//! `rollback_supported: true` is a claim. It counts as proven when the device took a change back by itself and the hash of the section
//! was the same before and after: in a rehearsal, or in earnest. The proof is of this device, tool, type, model and software; when one of
//! these changes, or the device tells of a change of the tool, it is forgotten and the next change is rehearsed first.

use crate::device::Device;
use crate::ids::{canonical_json, sha256_hex};
use serde::{Deserialize, Serialize};
use serde_json::json;
use talkwire_proto::op;

/// What is known of a way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Known {
    /// It was seen.
    Proven {
        /// When, in Unix milliseconds.
        at_ms: i64,
        /// `rehearsal` or `restored`.
        how: String,
    },
    /// A rehearsal failed.
    Failed {
        /// When, in Unix milliseconds.
        at_ms: i64,
        /// Why.
        why: String,
    },
}

/// What is known, and of what it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayBack {
    /// What is known.
    #[serde(flatten)]
    pub known: Known,
    /// Hash of type, model, software and tool version.
    pub of: String,
}

impl Device {
    /// What is known of the way back of a tool, as the device is now.
    pub fn way_back(&self, name: &str) -> Option<&Known> {
        self.ways_back.get(op::canonical(name)).filter(|way| way.of == self.make_of(name)).map(|way| &way.known)
    }

    /// Notes what was seen.
    pub(crate) fn note_way_back(&mut self, name: &str, known: Known) {
        let of = self.make_of(name);
        self.ways_back.insert(op::canonical(name).into(), WayBack { known, of });
    }

    /// Forgets what is known of another make of the device; returns of which tools.
    pub(crate) fn forget_ways_back(&mut self) -> Vec<String> {
        let gone: Vec<_> = self.ways_back.iter().filter(|(name, way)| way.of != self.make_of(name)).map(|(name, _)| name.clone()).collect();
        gone.iter().for_each(|name| drop(self.ways_back.remove(name)));
        gone
    }

    /// What a proof is of.
    fn make_of(&self, name: &str) -> String {
        let version = self.tool(name).and_then(|(_, support)| support).map(|support| (&support.version, support.rollback_supported));
        let said = |field: &str| self.attr.get(field).or_else(|| self.attr.get("payload").and_then(|body| body.get(field)));
        let make = json!([self.device_type, self.model, said("firmware_version"), said("hardware_version"), version]);
        sha256_hex(canonical_json(&make).as_bytes())
    }
}
