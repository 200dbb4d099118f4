//! The rehearsal: before a change, a device whose way back was never seen takes something back that changes nothing.
//!
//! It is a set of its own on the device (`{set}.rehearsal.{n}`) with a deadline of a second, which nobody confirms. A device that knows
//! `changeset.rehearse` captures, journals and waits; another is given the very values that run. Either must then say by itself that it
//! went back, with the hash of before. Until then nothing of the set is applied.

use super::machine::{Order, World, go_back, send, text};
use super::{Changeset, Operation, OperationState as State, Rehearsal, Way, restore};
use crate::command::{self, Command};
use serde_json::{Value, json};
use talkwire_proto::{Code, DeviceKey};

/// After so many seconds without confirmation a rehearsal goes back.
const ROLLBACK_S: u64 = 1;
/// So long after that it must have said so, in milliseconds.
const SLACK_MS: i64 = 15_000;
/// What joins a set's id and the number of a rehearsal.
pub(super) const REHEARSAL: &str = ".rehearsal.";

/// The op of a device that rehearses without touching anything.
const REHEARSE: &str = "changeset.rehearse";

/// With these codes a device says nothing of its way back: it is busy, held, or not there.
const NOT_ITS_FAULT: [Code; 5] = [Code::LlmChangesetConflict, Code::JournalUnavailable, Code::Busy, Code::DeviceOffline, Code::Cancelled];

/// Starts what must be rehearsed before anything is applied. `true`: the set waits for it.
pub(super) fn waits(set: &mut Changeset, now_ms: i64, world: &dyn World, orders: &mut Vec<Order>) -> bool {
    if let Some(rehearsal) = &set.rehearsal {
        if rehearsal.until_ms.is_some_and(|until| until <= now_ms) {
            let why = format!("it did not go back by itself within {} s", ROLLBACK_S as i64 + SLACK_MS / 1_000);
            let blamed = world.is_online(&set.operations[rehearsal.operation].key);
            fail(set, why, blamed, orders);
        }
        return true;
    }
    // Once something of the set is in force, the device is held by it.
    if !set.operations.iter().all(|operation| operation.state == State::Prepared) {
        return false;
    }
    let wanted = |operation: &Operation| {
        let claims = operation.undoes_itself && !operation.restores_nothing && !operation.rehearsed;
        claims && !matches!(operation.way, Way::Overridden { .. }) && !world.is_proven(&operation.key, &operation.op)
    };
    match set.operations.iter().position(wanted) {
        Some(at) => {
            start(set, at, false, orders);
            true
        }
        None => false,
    }
}

fn start(set: &mut Changeset, at: usize, by_values: bool, orders: &mut Vec<Order>) {
    let id = format!("{}{REHEARSAL}{}", set.changeset_id, at * 2 + usize::from(by_values));
    let operation = &set.operations[at];
    let (key, op) = (operation.key.clone(), operation.op.clone());
    if operation.previous_hash.is_none() {
        return fail_at(set, at, "it gave no hash (previous_hash) of what runs now".into(), true, orders);
    }
    let order = if by_values {
        // The values that run now, so that nobody notices.
        let Some(mut args) = restore::undo_args(operation).filter(|_| operation.previous.is_object()) else {
            return fail_at(set, at, "it does not know changeset.rehearse, and what runs now cannot be said in arguments of the tool".into(), true, orders);
        };
        args.insert("changeset_id".into(), json!(id));
        args.insert("auto_rollback_timeout".into(), json!(ROLLBACK_S));
        Order::Send { key, op, args, operation: None }
    } else {
        send(&key, REHEARSE, json!({"changeset_id": id, "op": op, "args": operation.args, "timeout_s": ROLLBACK_S}), None)
    };
    set.rehearsal = Some(Rehearsal { operation: at, id, by_values, until_ms: None, answered: false, restored: false });
    orders.push(order);
}

/// Whether a command is one of a rehearsal of the set, this one or one of before.
pub(super) fn is_of(command: &Command) -> bool {
    command.args.get("changeset_id").and_then(Value::as_str).is_some_and(|id| id.contains(REHEARSAL))
}

/// The device answered a rehearsal, or did not.
pub(super) fn answered(set: &mut Changeset, now_ms: i64, command: &Command, world: &dyn World, orders: &mut Vec<Order>) {
    let id = command.args.get("changeset_id").and_then(Value::as_str);
    let Some(rehearsal) = set.rehearsal.clone().filter(|rehearsal| Some(rehearsal.id.as_str()) == id && command.op != "changeset.rollback") else { return };
    let expected = set.operations[rehearsal.operation].previous_hash.clone();
    if command.status == command::Status::Completed {
        let result = command.result.clone().unwrap_or(Value::Null);
        let (runs, before) = (text(&result, "config_hash"), text(&result, "previous_hash"));
        if runs.is_some() && runs == expected && before.is_none_or(|before| Some(before) == expected) {
            if let Some(rehearsal) = &mut set.rehearsal {
                rehearsal.answered = true;
                rehearsal.until_ms = Some(now_ms + ROLLBACK_S as i64 * 1_000 + SLACK_MS);
            }
            return conclude(set, orders);
        }
        // Something that answers yes to everything does not know the op.
        if runs.is_none() && !rehearsal.by_values {
            return start(set, rehearsal.operation, true, orders);
        }
        return fail(set, "after being given what runs already, something else ran, or it gave no hash of it (config_hash)".into(), true, orders);
    }
    let error = command.error.as_ref();
    let code = error.map(|error| error.code.as_str()).unwrap_or_default();
    let not_its_fault = NOT_ITS_FAULT.iter().any(|known| known.as_str() == code) || !world.is_online(&command.key);
    if !rehearsal.by_values && !not_its_fault {
        return start(set, rehearsal.operation, true, orders);
    }
    let why = error.map_or_else(|| "it did not answer".to_owned(), |error| error.message.clone());
    fail(set, why, !not_its_fault, orders);
}

/// The device says that it took a rehearsal back by itself.
pub(super) fn restored(set: &mut Changeset, key: &DeviceKey, id: &str, hash: Option<String>, orders: &mut Vec<Order>) {
    let Some(rehearsal) = set.rehearsal.as_mut().filter(|rehearsal| rehearsal.id == id) else { return };
    let operation = &set.operations[rehearsal.operation];
    if operation.key != *key {
        return;
    }
    if hash.is_some() && hash == operation.previous_hash {
        rehearsal.restored = true;
        conclude(set, orders);
    } else {
        fail(set, "it went back to something else than what was there before, or gave no hash of it (restored_hash)".into(), true, orders);
    }
}

fn conclude(set: &mut Changeset, orders: &mut Vec<Order>) {
    let Some(rehearsal) = set.rehearsal.take_if(|rehearsal| rehearsal.answered && rehearsal.restored) else { return };
    let (key, op) = (set.operations[rehearsal.operation].key.clone(), set.operations[rehearsal.operation].op.clone());
    set.operations.iter_mut().filter(|operation| operation.key == key && operation.op == op).for_each(|operation| operation.rehearsed = true);
    orders.push(Order::Proven { key, op, how: "rehearsal" });
}

fn fail(set: &mut Changeset, why: String, blamed: bool, orders: &mut Vec<Order>) {
    if let Some(rehearsal) = set.rehearsal.take() {
        let key = &set.operations[rehearsal.operation].key;
        // Should it hold on to it, it is told to let go.
        orders.push(send(key, "changeset.rollback", json!({"changeset_id": rehearsal.id}), None));
        fail_at(set, rehearsal.operation, why, blamed, orders);
    }
}

fn fail_at(set: &mut Changeset, at: usize, why: String, blamed: bool, orders: &mut Vec<Order>) {
    set.rehearsal = None;
    let operation = &mut set.operations[at];
    operation.error = Some(format!("{}: {why}", Code::RollbackUnproven));
    orders.push(Order::Unproven { key: operation.key.clone(), op: operation.op.clone(), why, blamed });
    go_back(set, "rehearsal_failed");
}

/// The set that an id on a device belongs to, when it is that of a rehearsal.
pub fn rehearsed_set(id: &str) -> Option<&str> {
    id.split_once(REHEARSAL).map(|(set, _)| set)
}
