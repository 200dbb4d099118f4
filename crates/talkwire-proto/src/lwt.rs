//! `lwt`: presence, by the will and at connect (`spec/rtk-integration-guide.md`, phase 2).

use crate::envelope::{BadEnvelope, Envelope};
use crate::fields::unknown_word;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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
    /// The schema tag that we send.
    pub const SCHEMA: &'static str = "lwt/1.0";

    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, BadEnvelope> {
        let fields = envelope.fields();
        let status = match fields.text(&["status"])?.as_deref() {
            Some("online") => Presence::Online,
            Some("offline" | "disconnected") => Presence::Offline,
            other => return Err(unknown_word("status", "online or offline", other)),
        };
        Ok(Self { status, reason: fields.label(&["reason"])? })
    }

    /// The message for the wire. A will's `ts` is fixed when the device connects, so `last_seen` says the same.
    pub fn encode(&self, ts_ms: i64) -> Value {
        let mut message = json!({"schema": Self::SCHEMA, "ts": ts_ms, "status": self.status});
        if self.status == Presence::Offline {
            message["last_seen"] = json!(ts_ms);
        }
        if let Some(reason) = &self.reason {
            message["reason"] = json!(reason);
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::DeviceBody;
    use crate::inbound::tests::{body, refusal};

    #[test]
    fn the_will_and_the_greeting_of_the_integration_guide_are_read() {
        let will = r#"{"schema": "lwt/1.0", "ts": 1699123456789, "status": "offline", "last_seen": 1699123456789}"#;
        assert_eq!(body("lwt", will), DeviceBody::Lwt(Lwt { status: Presence::Offline, reason: None }));
        let greeting = r#"{"schema": "lwt/1.0", "ts": 1699123456789, "status": "online"}"#;
        assert_eq!(body("lwt", greeting), DeviceBody::Lwt(Lwt { status: Presence::Online, reason: None }));
    }

    #[test]
    fn disconnected_is_offline_and_the_reason_is_kept() {
        let text = r#"{"status": "disconnected", "reason": "unexpected_disconnect"}"#;
        assert_eq!(body("lwt", text), DeviceBody::Lwt(Lwt { status: Presence::Offline, reason: Some("unexpected_disconnect".into()) }));
    }

    #[test]
    fn a_status_that_is_missing_wrong_or_unknown_is_said_so() {
        assert_eq!(refusal("lwt", "{}"), "field `status` is missing");
        assert_eq!(refusal("lwt", r#"{"status": 1}"#), "field `status` must be a string, not a number");
        assert_eq!(refusal("lwt", r#"{"status": "asleep"}"#), "field `status` must be online or offline, not \"asleep\"");
    }

    #[test]
    fn what_is_sent_reads_back() {
        for lwt in [Lwt { status: Presence::Online, reason: None }, Lwt { status: Presence::Offline, reason: Some("reboot".into()) }] {
            assert_eq!(body("lwt", &lwt.encode(5).to_string()), DeviceBody::Lwt(lwt));
        }
    }
}
