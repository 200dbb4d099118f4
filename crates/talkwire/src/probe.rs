//! A command that the owner may send to a device directly, for `talkwire check`: it can change nothing, and it is audited.
//!
//! The commands' own door (`POST /api/v1/commands`) refuses unknown ops, wrong arguments and a second use of an id, which is
//! right for people and makes the device's own answers to them invisible. So the owner's MQTT connection, and no other, may
//! publish `cmd/req` when the op is a Read tool of the catalogue, the one op that exists nowhere, or a list of these.

use crate::check::ask::UNKNOWN;
use crate::check::tap::PREFIX;
use serde_json::Value;
use std::sync::LazyLock;
use talkwire_core::catalogue::Class;
use talkwire_core::{Catalogue, Principal, Role};
use talkwire_proto::command::Request;
use talkwire_proto::op::canonical;
use talkwire_proto::{DeviceKey, DeviceTail, Topic, batch};

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::builtin);

/// Whether a topic belongs to the tree in which a check tries what the broker lets a device do. It is no device's: the server reads
/// nothing there, stores nothing and makes no device of it, at its own broker and at any other.
pub fn is_trial(topic: &str) -> bool {
    let mut levels = topic.split('/');
    levels.next() == Some("rtk") && levels.nth(3).is_some_and(|id| id.starts_with(PREFIX))
}

/// A command that may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The device.
    pub key: DeviceKey,
    /// The command's id.
    pub id: String,
    /// The op.
    pub op: String,
}

impl Probe {
    /// What is asked, when `who` may ask it so; anything else is `None` and is treated like everybody's.
    pub fn read(who: &Principal, topic: &str, payload: &[u8], now_ms: i64) -> Option<Self> {
        let is_owner = matches!(who, Principal::Person { role: Role::Admin, .. });
        let Ok(Topic::Device(key, DeviceTail::CmdReq)) = topic.parse() else { return None };
        if !is_owner {
            return None;
        }
        // Reads only what has one meaning: flat fields and `payload` that differ are refused there.
        let request = Request::decode(payload, now_ms).ok()?;
        let harmless = if canonical(&request.op) == batch::OP { is_harmless_list(&request) } else { is_harmless(&request.op) };
        (harmless && request.authorization.is_none()).then_some(Self { key, id: request.id, op: request.op })
    }
}

fn is_harmless(op: &str) -> bool {
    op == UNKNOWN || CATALOGUE.tool(canonical(op)).is_some_and(|tool| tool.class == Class::Read)
}

/// One list under one name, with items that can be read in one way only.
fn is_harmless_list(request: &Request) -> bool {
    let plain = |item: &Value| item.as_object().is_some_and(|item| item.keys().all(|name| matches!(name.as_str(), "id" | "op" | "args")));
    let one_list = request.args.len() == 1 && request.args.get("commands").and_then(Value::as_array).is_some_and(|list| list.iter().all(plain));
    one_list && batch::commands(request).is_ok_and(|commands| commands.iter().all(|command| is_harmless(&command.op)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_tree_of_a_check_is_left_unread() {
        for (topic, trial) in [
            ("rtk/v1/home/lab/talkwire-check-29cd2a35/telemetry/talkwire_check", true),
            ("rtk/v1/home/lab/talkwire-check-29cd2a35/lwt", true),
            ("rtk/v1/home/lab/aabbccddeeff/telemetry/talkwire-check-1", false),
            ("rtk/v1/home/talkwire-check-1/aabbccddeeff/lwt", false),
            ("chatroom/v1/a/b/talkwire-check-1/messages/in", false),
            ("rtk/v1", false),
        ] {
            assert_eq!(is_trial(topic), trial, "{topic}");
        }
    }

    const TOPIC: &str = "rtk/v1/home/lab/aabbccddeeff/cmd/req";

    fn passes(who: &Principal, topic: &str, message: Value) -> bool {
        Probe::read(who, topic, message.to_string().as_bytes(), 0).is_some()
    }

    fn owner() -> Principal {
        Principal::Person { name: "owner".into(), role: Role::Admin }
    }

    #[test]
    fn the_owner_may_read_and_ask_for_what_does_not_exist() {
        for op in ["device.status", "device.get_capabilities", UNKNOWN] {
            assert!(passes(&owner(), TOPIC, json!({"id": "a", "op": op, "payload": {"id": "a", "op": op}})), "{op}");
        }
        assert!(passes(
            &owner(),
            TOPIC,
            json!({"id": "a", "op": "batch.execute", "args": {"commands": [{"id": "b", "op": "device.status"}, {"op": UNKNOWN}]}})
        ));
    }

    #[test]
    fn nothing_that_changes_anything_passes_by_any_trick() {
        let list = |items: Value| json!({"id": "a", "op": "batch.execute", "args": {"commands": items}});
        let tricks = [
            json!({"id": "a", "op": "wifi.set_channel", "args": {"channel": 6}}),
            json!({"id": "a", "op": "restart"}),
            json!({"id": "a", "op": "vendor.unheard_of"}),
            json!({"id": "a", "op": "network.speedtest_full"}),
            json!({"id": "a", "op": "device.status", "payload": {"id": "a", "op": "restart"}}),
            json!({"id": "a", "op": "device.status", "authorization": {"user_confirmed": true}}),
            list(json!([{"op": "device.status"}, {"op": "restart"}])),
            list(json!([{"op": "device.status", "payload": {"op": "restart"}}])),
            list(json!([{"op": "batch.execute", "args": {"commands": [{"op": "restart"}]}}])),
            json!({"id": "a", "op": "batch.execute", "args": {"commands": [{"op": "device.status"}], "operations": [{"op": "restart"}]}}),
        ];
        for trick in tricks {
            assert!(!passes(&owner(), TOPIC, trick.clone()), "{trick}");
        }
        let read = json!({"id": "a", "op": "device.status"});
        assert!(!passes(&Principal::Guest { name: "g".into() }, TOPIC, read.clone()));
        assert!(!passes(&owner(), "rtk/v1/home/lab/group/g/cmd/req", read.clone()));
        assert!(!passes(&owner(), "rtk/v1/home/lab/aabbccddeeff/cmd/res", read));
    }
}
