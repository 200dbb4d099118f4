//! Going back: every device is brought to what it ran before, last change first, and asked again until it is.

use super::machine::{GRACE_MS, Order, World, go_back, send, text};
use super::{Changeset, Operation, OperationState as State, Outcome, Status};
use crate::command::{self, Command};
use serde_json::{Map, Value, json};
use talkwire_proto::DeviceKey;

/// Longest pause between two tries to restore, in milliseconds.
const RETRY_MOST_MS: i64 = 60_000;

/// What joins a set's id and the number of an undo to the id under which a kept change is undone on its device.
const UNDO: &str = ".undo.";

/// The set that an id on a device belongs to, and whether it names an undo of it.
pub fn set_of(id: &str) -> (&str, bool) {
    id.split_once(UNDO).map_or((id, false), |(set, _)| (set, true))
}

/// Sends what brings the next operation back, or ends the set when all are.
///
/// One device works at a time; one that is out of reach or refused a moment ago does not keep the others waiting.
pub(super) fn restore(set: &mut Changeset, now_ms: i64, world: &dyn World, orders: &mut Vec<Order>) {
    let open: Vec<usize> = (0..set.operations.len()).rev().filter(|at| !is_back(&set.operations[*at])).collect();
    if open.is_empty() {
        set.outcome.clone_from(&set.going_back);
        let done_once = set.operations.iter().any(|operation| operation.restores_nothing && operation.state == State::Restored);
        if let Some(outcome) = set.outcome.as_mut().filter(|_| done_once) {
            outcome.text += set.language.pick(
                "；已做過的重新啟動或斷線沒有東西可復原",
                "；已做过的重启或断线没有东西可还原",
                "; a restart or disconnection that was done leaves nothing to put back",
            );
        }
        set.deadline_ms = None;
        set.retry_ms = None;
        set.enter(Status::RolledBack, now_ms, set.outcome.as_ref().map_or(String::new(), |outcome| outcome.text.clone()));
        orders.push(Order::Ended);
        return;
    }
    let mut blocked: Vec<DeviceKey> = Vec::new();
    for at in open {
        let operation = &set.operations[at];
        let key = operation.key.clone();
        if blocked.contains(&key) {
            continue;
        }
        let acts = set.operations.iter().filter(|other| other.key == key).map(|other| other.op.as_str());
        if ["changeset.rollback", "changeset.commit"].into_iter().chain(acts).any(|op| world.is_under_way(&key, op)) {
            return;
        }
        if operation.error.is_some() && set.retry_ms.is_some() {
            blocked.push(key);
        } else if !world.is_online(&key) {
            wait_for(set, now_ms, at, orders);
            blocked.push(key);
        } else if let Some(order) = next_order(set, now_ms, at, world, orders) {
            orders.push(order);
            return;
        } else {
            blocked.push(key);
        }
    }
}

fn is_back(operation: &Operation) -> bool {
    matches!(operation.state, State::Restored | State::NotApplied)
}

/// A device that cannot be reached goes back by itself if it can; when it must have done so long ago, somebody is told.
fn wait_for(set: &mut Changeset, now_ms: i64, at: usize, orders: &mut Vec<Order>) {
    let operation = &set.operations[at];
    let guarded = operation.undoes_itself && !matches!(operation.state, State::Committed | State::Undoing);
    let overdue = !guarded || set.deadline_ms.is_none_or(|deadline| deadline + GRACE_MS <= now_ms);
    if overdue {
        let why = format!("{} is not connected; it is asked again when it comes back", operation.device_name);
        alert(set, now_ms, at, &why, orders);
    }
}

fn alert(set: &mut Changeset, now_ms: i64, at: usize, why: &str, orders: &mut Vec<Order>) {
    if set.status != Status::RollbackFailed {
        set.enter(Status::RollbackFailed, now_ms, why);
        orders.push(Order::Alert(format!("E_LLM_ROLLBACK_FAILED: {}: {why}", set.operations[at].key)));
    }
}

fn next_order(set: &mut Changeset, now_ms: i64, at: usize, world: &dyn World, orders: &mut Vec<Order>) -> Option<Order> {
    let undo_id = format!("{}{UNDO}{at}.{}", set.changeset_id, set.restore_tries);
    let timeout_s = set.rollback_s;
    let operation = &mut set.operations[at];
    let key = operation.key.clone();
    if operation.state == State::Undoing {
        let id = operation.command_id.as_deref().and_then(|command| world.argument(command, "changeset_id")).unwrap_or(json!(undo_id));
        return Some(send(&key, "changeset.commit", json!({"changeset_id": id}), None));
    }
    if operation.undoes_itself && operation.state != State::Committed {
        return Some(send(&key, "changeset.rollback", json!({"changeset_id": set.changeset_id}), None));
    }
    let Some(mut args) = undo_args(operation).or_else(|| from_journal(operation)) else {
        failed(set, now_ms, &key, Some("what was there before is not known, so it must be put back by hand".into()), orders);
        return None;
    };
    if operation.undoes_itself {
        args.insert("changeset_id".into(), json!(undo_id));
        args.insert("auto_rollback_timeout".into(), json!(timeout_s));
    } else if operation.state == State::Applying {
        // Whether it was applied is not known: from here on it counts as applied, and the next answer is the undo's.
        operation.state = State::Applied;
    }
    Some(Order::Send { key, op: operation.op.clone(), args, operation: Some(at) })
}

/// The arguments that put back what was there: the captured section's values of the same arguments, or those given with the plan.
fn undo_args(operation: &Operation) -> Option<Map<String, Value>> {
    let captured = operation.previous.as_object();
    let from_section = captured
        .and_then(|section| operation.args.keys().map(|name| section.get(name).map(|value| (name.clone(), value.clone()))).collect::<Option<Map<_, _>>>());
    from_section.or_else(|| operation.undo_args.clone())
}

/// Where the values of before cannot be told from the section, a device with a journal makes the section run again that it captured.
fn from_journal(operation: &Operation) -> Option<Map<String, Value>> {
    let command = operation.applied_by.as_ref().or(operation.command_id.as_ref()).filter(|_| operation.undoes_itself)?;
    Some(Map::from_iter([("restores".to_owned(), json!(command))]))
}

/// A device restored by itself. Only a device of the set, with a change of the set, can say so.
pub(super) fn self_restored(set: &mut Changeset, now_ms: i64, key: &DeviceKey, reason: &str, hash: Option<String>, orders: &mut Vec<Order>) {
    let concerned = |operation: &Operation| operation.key == *key && matches!(operation.state, State::Applying | State::Applied | State::RestoreFailed);
    if !set.operations.iter().any(concerned) {
        return;
    }
    go_back(set, if matches!(reason, "deadline" | "connection_lost" | "restart") { reason } else { "deadline" });
    mark_restored(set, now_ms, key, hash, orders);
}

/// The undoing of a kept change was undone by the device: it is begun anew.
pub(super) fn undo_lapsed(set: &mut Changeset, now_ms: i64, key: &DeviceKey, orders: &mut Vec<Order>) {
    let mut lapsed = false;
    for operation in set.operations.iter_mut().filter(|operation| operation.key == *key && operation.state == State::Undoing) {
        operation.state = State::Committed;
        lapsed = true;
    }
    if lapsed {
        failed(set, now_ms, key, Some("the device took the undo back before it was confirmed".into()), orders);
    }
}

/// The commit of an undo was not answered with yes.
pub(super) fn undo_not_kept(set: &mut Changeset, now_ms: i64, command: &Command, orders: &mut Vec<Order>) {
    match command.error.as_ref().map(|error| error.code.as_str()) {
        Some("E_CHANGESET_STATE" | "E_NOT_FOUND") => undo_lapsed(set, now_ms, &command.key, orders),
        _ => failed(set, now_ms, &command.key, command.error.as_ref().map(|error| error.message.clone()), orders),
    }
}

/// The Act that puts the old values back ended.
pub(super) fn undo_answered(set: &mut Changeset, now_ms: i64, at: usize, ok: bool, hash: Option<String>, problem: Option<String>, orders: &mut Vec<Order>) {
    let operation = &mut set.operations[at];
    if is_back(operation) {
        return;
    }
    if !ok {
        let key = operation.key.clone();
        return failed(set, now_ms, &key, problem, orders);
    }
    match operation.state {
        State::Committed if operation.undoes_itself => operation.state = State::Undoing,
        State::Committed | State::Applied | State::RestoreFailed => operation.state = State::Restored,
        _ => return,
    }
    operation.restored_hash = hash;
    operation.error = None;
}

/// A device answered `changeset.rollback`, or did not.
pub(super) fn rollback_answered(set: &mut Changeset, now_ms: i64, command: &Command, orders: &mut Vec<Order>) {
    let key = &command.key;
    if command.status == command::Status::Completed {
        let hash = command.result.as_ref().and_then(|result| text(result, "restored_hash"));
        return mark_restored(set, now_ms, key, hash, orders);
    }
    let error = command.error.as_ref();
    let state = error.and_then(|error| error.details.get("state")).and_then(Value::as_str).unwrap_or_default();
    match (error.map(|error| error.code.as_str()).unwrap_or_default(), state) {
        ("E_NOT_FOUND", _) => unknown_there(set, key),
        ("E_CHANGESET_STATE", "rolled_back") => mark_restored(set, now_ms, key, None, orders),
        ("E_CHANGESET_STATE", "committed") => in_doubt(set, key).for_each(|operation| (operation.state, operation.error) = (State::Committed, None)),
        _ => failed(set, now_ms, key, error.map(|error| error.message.clone()), orders),
    }
}

fn in_doubt<'a>(set: &'a mut Changeset, key: &'a DeviceKey) -> impl Iterator<Item = &'a mut Operation> {
    let in_doubt = |operation: &Operation| operation.undoes_itself && matches!(operation.state, State::Applying | State::Applied | State::RestoreFailed);
    set.operations.iter_mut().filter(move |operation| operation.key == *key && in_doubt(operation))
}

/// The device does not know the set: what it never proved was never applied; what it proved may still run, unguarded.
pub(super) fn unknown_there(set: &mut Changeset, key: &DeviceKey) {
    for operation in in_doubt(set, key) {
        operation.state = if operation.applied_hash.is_some() { State::Committed } else { State::NotApplied };
        operation.error = None;
    }
}

pub(super) fn restored_as_before(operation: &mut Operation) {
    operation.state = State::Restored;
    operation.restored_hash.clone_from(&operation.previous_hash);
    operation.error = None;
}

/// Everything of the set on the device is back, if the hash says the same as before the first change.
fn mark_restored(set: &mut Changeset, now_ms: i64, key: &DeviceKey, hash: Option<String>, orders: &mut Vec<Order>) {
    let first = set.operations.iter().find(|operation| operation.key == *key && operation.applied_hash.is_some());
    let wanted = first.and_then(|operation| operation.previous_hash.as_ref());
    if let (Some(wanted), Some(found)) = (wanted, &hash)
        && wanted != found
    {
        let why = format!("it restored something else than what was there before ({})", &found[..found.floor_char_boundary(12)]);
        return failed(set, now_ms, key, Some(why), orders);
    }
    for operation in in_doubt(set, key) {
        restored_as_before(operation);
        operation.restored_hash = hash.clone().or(operation.restored_hash.take());
    }
}

/// A try to restore failed: it is shown as such, and made again after a pause that grows.
fn failed(set: &mut Changeset, now_ms: i64, key: &DeviceKey, problem: Option<String>, orders: &mut Vec<Order>) {
    set.retry_ms = Some(now_ms + (1_000_i64 << set.restore_tries.min(6)).min(RETRY_MOST_MS));
    set.restore_tries = set.restore_tries.saturating_add(1);
    let problem = problem.unwrap_or_else(|| "the device could not go back".into());
    let mut first = None;
    for (at, operation) in set.operations.iter_mut().enumerate().filter(|(_, operation)| operation.key == *key && !is_back(operation)) {
        operation.error = Some(problem.clone());
        if matches!(operation.state, State::Applying | State::Applied) {
            operation.state = State::RestoreFailed;
        }
        first.get_or_insert(at);
    }
    if let Some(at) = first {
        alert(set, now_ms, at, &problem, orders);
    }
}

/// Somebody saw to the devices by hand: the set ends, and says that nobody proved what runs there.
pub(super) fn settled(set: &mut Changeset, now_ms: i64, who: &str, orders: &mut Vec<Order>) {
    let text = set.language.pick(
        "沒有自動復原成功；有人說已手動處理好，Talkwire 沒有驗證：",
        "没有自动还原成功；有人说已手动处理好，Talkwire 没有验证：",
        "it could not be undone; seen to by hand, which Talkwire did not verify, says ",
    );
    let text = format!("{text}{who}");
    set.outcome = Some(Outcome { kind: "by_hand".into(), text: text.clone() });
    (set.deadline_ms, set.retry_ms) = (None, None);
    set.enter(Status::RolledBack, now_ms, text);
    orders.push(Order::Ended);
}

/// An Act that timed out was applied after all. If the set went back meanwhile without knowing, the device is told once more;
/// its own deadline stands behind that.
pub(super) fn late_act(set: &Changeset, command: &Command, orders: &mut Vec<Order>) {
    let applied = command.status == command::Status::CompletedLate;
    let mine = |operation: &&Operation| operation.command_id.as_deref() == Some(&command.id) && operation.undoes_itself && is_back(operation);
    if applied && let Some(operation) = set.operations.iter().find(mine) {
        orders.push(send(&operation.key, "changeset.rollback", json!({"changeset_id": set.changeset_id}), None));
    }
}
