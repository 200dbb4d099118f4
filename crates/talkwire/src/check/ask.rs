//! The commands of a check: what is asked, and how long an answer is waited for.

use super::evidence::{Purpose, Sent, exchange};
use super::heard::Heard;
use super::tap::{Tap, request, sealed};
use serde_json::{Map, Value, json};
use std::time::Duration;
use talkwire_core::Catalogue;
use talkwire_core::catalogue::Class;
use talkwire_proto::FernetKey;
use talkwire_proto::inbound::DeviceBody;

/// An op that no device has.
pub const UNKNOWN: &str = "talkwire.check_no_such_op";
/// How long a result is waited for.
pub const ANSWER: Duration = Duration::from_secs(15);
/// How long an acknowledgement is waited for after which no result is expected either.
const SILENCE: Duration = Duration::from_secs(6);

/// Waits until a command has its final answer; a device that says nothing at all is not waited for as long.
pub async fn answered(tap: &Tap, sent: &Sent) -> bool {
    if sent.refused.is_some() {
        return false;
    }
    let any = tap.until(SILENCE, |heard| is_over(sent, heard).or_else(|| (!exchange(sent, heard).acks.is_empty()).then_some(false))).await;
    match any {
        Some(true) => true,
        Some(false) => tap.until(ANSWER, |heard| is_over(sent, heard)).await.is_some(),
        None => false,
    }
}

fn is_over(sent: &Sent, heard: &[Heard]) -> Option<bool> {
    let exchange = exchange(sent, heard);
    (!exchange.answers.is_empty() || exchange.acks.iter().any(|(_, ack)| !ack.accepted)).then_some(true)
}

/// The harmless command, once.
pub async fn harmless(tap: &Tap, purpose: Purpose, op: &str) -> bool {
    let sent = tap.send(purpose, op, Map::new(), &tap.fresh_id()).await;
    answered(tap, &sent).await
}

/// Everything about commands but nonsense: unknown op, wrong arguments, a repeat, a list.
pub async fn all(tap: &Tap, op: &str) {
    let sent = tap.send(Purpose::UnknownOp, UNKNOWN, Map::new(), &tap.fresh_id()).await;
    answered(tap, &sent).await;
    bad_args(tap, op).await;
    repeat(tap, op).await;
    let id = tap.fresh_id();
    let item = |n: usize, op: &str| json!({"id": format!("{id}.{n}"), "op": op, "args": {}});
    let commands = json!([item(0, op), item(1, op), item(2, UNKNOWN)]);
    let args = Map::from_iter([("commands".to_owned(), commands)]);
    let sent = tap.send(Purpose::Batch, "batch.execute", args, &id).await;
    answered(tap, &sent).await;
}

async fn bad_args(tap: &Tap, op: &str) {
    let id = tap.fresh_id();
    let text = "; reboot";
    let message = json!({"schema": format!("cmd.{op}/1.0"), "ts": super::tap::unix_ms(), "id": id, "op": op, "args": text, "payload": {"id": id, "op": op, "args": text}});
    let sent = tap.send_bytes(Purpose::BadArgs, op, &id, message.to_string()).await;
    answered(tap, &sent).await;
    if let Some((op, args)) = wrong_argument(&tap.heard()) {
        let sent = tap.send(Purpose::BadArgs, &op, args, &tap.fresh_id()).await;
        answered(tap, &sent).await;
    }
}

/// A declared tool that only reads, and an argument of it with a value of the wrong kind.
fn wrong_argument(heard: &[Heard]) -> Option<(String, Map<String, Value>)> {
    let attr = heard.iter().rev().find_map(|heard| match heard.body() {
        Some(DeviceBody::Attr(attr)) => Some(attr),
        _ => None,
    })?;
    let catalogue = Catalogue::builtin();
    let usable = attr.tools.as_ref()?.iter().filter(|(op, support)| support.supported && op.as_str() != "device.status");
    usable.filter_map(|(op, _)| Some((op, catalogue.tool(op).filter(|tool| tool.class == Class::Read)?))).find_map(|(op, tool)| {
        let (name, _) = tool.args.iter().find(|(_, spec)| matches!(spec.kind.as_str(), "integer" | "number"))?;
        Some((op.clone(), Map::from_iter([(name.clone(), json!("; reboot"))])))
    })
}

async fn repeat(tap: &Tap, op: &str) {
    let id = tap.fresh_id();
    let first = tap.send(Purpose::First, op, Map::new(), &id).await;
    if !answered(tap, &first).await {
        return;
    }
    // Long enough for an up-time in seconds to move on.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let repeat = tap.send(Purpose::Repeat, op, Map::new(), &id).await;
    answered(tap, &repeat).await;
    harmless(tap, Purpose::Other, op).await;
}

/// Bytes that are no command, then a command.
pub async fn nonsense(tap: &Tap, op: &str) {
    for payload in ["this is not JSON", "{\"payload\":", "[]", "{}", "{\"id\":7,\"op\":[],\"payload\":{\"op\":null}}"] {
        tap.send_bytes(Purpose::Nonsense, "(nonsense)", "(none)", payload.to_owned()).await;
    }
    harmless(tap, Purpose::AfterNonsense, op).await;
}

/// Commands that a device with a key must not take: in clear, sealed by somebody else, sealed ten minutes ago.
pub async fn unsealed(tap: &Tap, op: &str) {
    let Some(key) = tap.fernet() else { return };
    let text = |id: &str| request(op, Map::new(), id);
    let id = tap.fresh_id();
    tap.send_as_it_is(Purpose::Clear, op, &id, text(&id)).await;
    let tokens = [(Purpose::Forged, FernetKey::new(crate::identity::seed()), Duration::ZERO), (Purpose::Stale, key.clone(), Duration::from_secs(600))];
    for (purpose, key, age) in tokens {
        let id = tap.fresh_id();
        if let Ok(token) = sealed(&key, &text(&id), age) {
            tap.send_as_it_is(purpose, op, &id, token).await;
        }
    }
    // What comes after them is answered, so they had their time.
    harmless(tap, Purpose::Other, op).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
}
