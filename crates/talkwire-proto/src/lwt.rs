//! `lwt`: presence, by the will and at connect (`spec/rtk-integration-guide.md`, phase 2).

use crate::envelope::{BadEnvelope, Envelope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether the device is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It said that it is.
    Online,
    /// It said goodbye, or the broker said it in its place.
    Offline,
}

/// What an `lwt` message says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lwt {
    /// Online or offline; `disconnected` is read as offline.
    pub status: Presence,
    /// Why, when given, for example `unexpected_disconnect`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

impl Lwt {
    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, BadEnvelope> {
        let fields = envelope.fields();
        let status = match fields.text(&["status"])?.as_deref() {
            Some("online") => Presence::Online,
            Some("offline" | "disconnected") => Presence::Offline,
            other => return Err(BadEnvelope::Schema(format!("field `status` must be online or offline, not {other:?}"))),
        };
        Ok(Self { status, reason: fields.text(&["reason"])? })
    }
}
