//! How a set moves on: one report in, orders out. What to do next is always derived from the operations' states,
//! so that a set read back from the store goes on where it was.

use super::view::outcome_text;
use super::{Changeset, Measurement, Operation, OperationState as State, Outcome, Status};
use crate::command;
use serde_json::{Map, Value, json};
use talkwire_proto::DeviceKey;

/// A set is extended when less than this is left while it is measured, in milliseconds.
const EXTEND_BELOW_MS: i64 = 120_000;
/// Measuring may take so long after the approval, in milliseconds.
const MEASURE_MS: i64 = 1_800_000;
/// How long after its own deadline an unreachable device is given to have gone back by itself, in milliseconds.
const GRACE_MS: i64 = 10_000;
/// Longest pause between two tries to restore, in milliseconds.
const RETRY_MOST_MS: i64 = 60_000;

/// Something that happened to a set.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// One of its commands ended.
    Ended(Box<command::Command>),
    /// A device restored by itself.
    SelfRestored {
        /// Which device.
        key: DeviceKey,
        /// `deadline`, `connection_lost` or `restart`.
        reason: String,
        /// Hash of the section restored.
        hash: Option<String>,
    },
    /// A device is unreachable for longer than the set allows.
    Lost(DeviceKey),
    /// A device came back: ask where it stands.
    Back(DeviceKey),
    /// It was measured again; `None`: it could not be.
    Judged(Option<Measurement>),
    /// A person wants everything back.
    RollBack(String),
    /// Time passed, or a person approved.
    Tick,
}

/// What is to be done for a set.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Send a command.
    Send {
        /// To whom.
        key: DeviceKey,
        /// The tool.
        op: String,
        /// Its arguments.
        args: Map<String, Value>,
        /// Which operation it applies, if it does.
        operation: Option<usize>,
    },
    /// Measure again.
    Verify,
    /// It is over: issue the receipt.
    Ended,
    /// Somebody must look.
    Alert(String),
}

/// What surrounds a set.
pub trait World {
    /// Whether a command of the set with this op is under way on the device.
    fn is_under_way(&self, key: &DeviceKey, op: &str) -> bool;
    /// Whether the device is connected.
    fn is_online(&self, key: &DeviceKey) -> bool;
}

/// Takes a report and says what to do.
pub fn report(set: &mut Changeset, now_ms: i64, report: Report, world: &dyn World) -> Vec<Order> {
    let mut orders = Vec::new();
    match report {
        Report::Ended(command) => ended(set, now_ms, &command, &mut orders),
        Report::SelfRestored { key, reason, hash } => self_restored(set, &key, &reason, hash),
        Report::Lost(key) if is_armed(set) && set.operations.iter().any(|operation| operation.key == key && operation.state == State::Applied) => {
            go_back(set, "connection_lost")
        }
        Report::Back(key) => ask_where_it_stands(set, &key, world, &mut orders),
        Report::Judged(after) if matches!(set.status, Status::Applied | Status::Verifying) && set.going_back.is_none() && set.outcome.is_none() => {
            judged(set, after)
        }
        Report::RollBack(_) if matches!(set.status, Status::Committed) => {
            set.enter(Status::Applied, now_ms, "undo asked for by a person");
            (set.outcome, set.has_receipt) = (None, false);
            go_back(set, "undone");
        }
        Report::RollBack(_) if !set.status.has_ended() => go_back(set, "by_person"),
        Report::Lost(_) | Report::Judged(_) | Report::RollBack(_) | Report::Tick => {}
    }
    if is_armed(set) && set.going_back.is_none() && set.deadline_ms.is_some_and(|deadline| deadline <= now_ms) {
        go_back(set, "deadline");
    }
    advance(set, now_ms, world, &mut orders);
    orders
}

/// When the set must be looked at again by itself, in Unix milliseconds.
pub fn next_deadline(set: &Changeset) -> Option<i64> {
    let extend = set.deadline_ms.filter(|_| is_armed(set) && may_extend(set)).map(|deadline| deadline - EXTEND_BELOW_MS + 1);
    match set.status {
        Status::Proposed => Some(set.approve_before_ms),
        status if status.has_ended() => None,
        _ => [
            set.deadline_ms.filter(|_| set.going_back.is_none()),
            set.deadline_ms.map(|at| at + GRACE_MS).filter(|_| set.going_back.is_some()),
            set.retry_ms,
            extend,
        ]
        .into_iter()
        .flatten()
        .min(),
    }
}

fn is_armed(set: &Changeset) -> bool {
    matches!(set.status, Status::Preparing | Status::Applied | Status::Verifying)
}

fn may_extend(set: &Changeset) -> bool {
    let started = set.approved_ms.unwrap_or(set.created_ms);
    matches!(set.status, Status::Applied | Status::Verifying)
        && set.going_back.is_none()
        && set.deadline_ms.is_some_and(|deadline| deadline < started + MEASURE_MS)
}

fn go_back(set: &mut Changeset, kind: &str) {
    if set.going_back.is_none() {
        set.going_back = Some(Outcome { kind: kind.into(), text: outcome_text(set, kind) });
        set.outcome = None;
    }
    for operation in &mut set.operations {
        if matches!(operation.state, State::Planned | State::Prepared) {
            operation.state = State::NotApplied;
        }
    }
}

fn judged(set: &mut Changeset, after: Option<Measurement>) {
    set.after = after;
    let kind = match (&set.expect, &set.before, &set.after) {
        (Some(expect), Some(before), Some(after)) if expect.is_met(before.value, after.value) => "kept",
        (Some(_), Some(_), Some(_)) => "no_gain",
        _ => "not_measured",
    };
    if kind == "kept" {
        set.outcome = Some(Outcome { kind: kind.into(), text: outcome_text(set, kind) });
    } else {
        go_back(set, kind);
    }
}

fn self_restored(set: &mut Changeset, key: &DeviceKey, reason: &str, hash: Option<String>) {
    for operation in set.operations.iter_mut().filter(|operation| operation.key == *key) {
        if matches!(operation.state, State::Applying | State::Applied | State::RestoreFailed) {
            operation.state = State::Restored;
            operation.restored_hash = hash.clone().or_else(|| operation.previous_hash.clone());
        }
    }
    if !set.status.has_ended() {
        let kind = if matches!(reason, "deadline" | "connection_lost" | "restart") { reason } else { "deadline" };
        go_back(set, kind);
    }
}

fn ask_where_it_stands(set: &Changeset, key: &DeviceKey, world: &dyn World, orders: &mut Vec<Order>) {
    let in_doubt =
        set.operations.iter().any(|operation| operation.key == *key && operation.undoes_itself && matches!(operation.state, State::Applying | State::Applied));
    if in_doubt && !set.status.has_ended() && !world.is_under_way(key, "changeset.status") {
        orders.push(send(key, "changeset.status", json!({"changeset_id": set.changeset_id}), None));
    }
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn ended(set: &mut Changeset, now_ms: i64, command: &command::Command, orders: &mut Vec<Order>) {
    let ok = command.status == command::Status::Completed;
    let result = command.result.clone().unwrap_or(Value::Null);
    let problem = command.error.as_ref().map(|error| error.message.clone());
    let of_undo = text(&Value::Object(command.args.clone()), "changeset_id").is_some_and(|id| id != set.changeset_id);
    match command.op.as_str() {
        "changeset.prepare" if ok => prepared(set, &command.key, &result),
        "changeset.prepare" => {
            set_error(set, &command.key, problem);
            go_back(set, "prepare_failed");
        }
        "changeset.extend" if ok => {
            let deadline = now_ms + set.rollback_s as i64 * 1000;
            set.operations.iter_mut().filter(|operation| operation.key == command.key).for_each(|operation| operation.deadline_ms = Some(deadline));
            set.deadline_ms = set.operations.iter().filter_map(|operation| operation.deadline_ms).min();
        }
        "changeset.extend" => {}
        "changeset.commit" if ok => {
            for operation in set.operations.iter_mut().filter(|operation| operation.key == command.key) {
                match operation.state {
                    State::Applied => operation.state = State::Committed,
                    State::Undoing if of_undo => operation.state = State::Restored,
                    _ => {}
                }
            }
        }
        "changeset.commit" => commit_failed(set, now_ms, command),
        "changeset.rollback" if ok => {
            let hash = text(&result, "restored_hash");
            for operation in set.operations.iter_mut().filter(|operation| operation.key == command.key) {
                if matches!(operation.state, State::Applying | State::Applied | State::RestoreFailed) {
                    operation.restored_hash = hash.clone().or_else(|| operation.previous_hash.clone());
                    operation.state = State::Restored;
                }
            }
        }
        "changeset.rollback" => restore_failed(set, now_ms, &command.key, problem, orders),
        "changeset.status" if ok => status_told(set, &command.key, &result),
        "changeset.status" => {}
        _ => match set.operations.iter().position(|operation| operation.command_id.as_deref() == Some(&command.id)) {
            Some(at) => act_ended(set, now_ms, at, command, orders),
            None => {}
        },
    }
}

fn act_ended(set: &mut Changeset, now_ms: i64, at: usize, command: &command::Command, orders: &mut Vec<Order>) {
    let result = command.result.clone().unwrap_or(Value::Null);
    let problem = command.error.as_ref().map(|error| error.message.clone());
    let ok = command.status == command::Status::Completed;
    let rollback_ms = set.rollback_s as i64 * 1000;
    let sent_ms = command.timings.sent_ms.unwrap_or(now_ms);
    let operation = &mut set.operations[at];
    match (operation.state, ok) {
        (State::Applying, true) => {
            operation.state = State::Applied;
            operation.applied = result.get("applied").cloned().unwrap_or(result.clone());
            operation.applied_hash = text(&result, "config_hash");
            if let Some(previous) = result.get("previous").filter(|value| !value.is_null()) {
                operation.previous = previous.clone();
            }
            operation.previous_hash = text(&result, "previous_hash").or(operation.previous_hash.take());
            operation.deadline_ms = Some(sent_ms + rollback_ms);
            set.deadline_ms = set.operations.iter().filter_map(|operation| operation.deadline_ms).min();
        }
        (State::Applying, false) => {
            operation.error = problem;
            // Refused before anything was touched: nothing to undo. Otherwise it may have been applied: restore.
            let refused =
                command.status == command::Status::Rejected || command.error.as_ref().is_some_and(|error| REFUSED_UNTOUCHED.contains(&error.code.as_str()));
            if refused {
                operation.state = State::NotApplied;
            }
            go_back(set, "apply_failed");
        }
        // An undo after the commit, or a restore of a device without a journal.
        (State::Committed, true) if operation.undoes_itself => operation.state = State::Undoing,
        (State::Committed | State::Applied | State::RestoreFailed, true) => operation.state = State::Restored,
        (State::Committed | State::Applied | State::RestoreFailed, false) => {
            let key = operation.key.clone();
            restore_failed(set, now_ms, &key, problem, orders);
        }
        _ => {}
    }
}

/// With these codes a device says that it did not begin.
const REFUSED_UNTOUCHED: [&str; 6] =
    ["E_INVALID_ARGS", "E_LLM_CHANGESET_CONFLICT", "E_JOURNAL_UNAVAILABLE", "E_UNKNOWN_OP", "E_LLM_TOOL_NOT_AVAILABLE", "E_ACT_NEEDS_CHANGESET"];

fn set_error(set: &mut Changeset, key: &DeviceKey, problem: Option<String>) {
    set.operations.iter_mut().filter(|operation| operation.key == *key).for_each(|operation| operation.error.clone_from(&problem));
}

fn prepared(set: &mut Changeset, key: &DeviceKey, result: &Value) {
    let answers = result.get("operations").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut answers = answers.into_iter();
    for operation in set.operations.iter_mut().filter(|operation| operation.key == *key && operation.undoes_itself && operation.state == State::Planned) {
        let answer = answers.next().unwrap_or(Value::Null);
        operation.previous = answer.get("previous").cloned().unwrap_or(Value::Null);
        operation.previous_hash = text(&answer, "previous_hash");
        operation.state = State::Prepared;
    }
}

fn commit_failed(set: &mut Changeset, now_ms: i64, command: &command::Command) {
    let gone = command.error.as_ref().is_some_and(|error| matches!(error.code.as_str(), "E_CHANGESET_STATE" | "E_NOT_FOUND"));
    if gone && set.going_back.is_none() {
        self_restored(set, &command.key, "deadline", None);
    } else {
        set.retry_ms = Some(now_ms + 1_000);
    }
}

fn restore_failed(set: &mut Changeset, now_ms: i64, key: &DeviceKey, problem: Option<String>, orders: &mut Vec<Order>) {
    set.restore_tries += 1;
    set.retry_ms = Some(now_ms + (1_000_i64 << set.restore_tries.min(6)).min(RETRY_MOST_MS));
    for operation in set
        .operations
        .iter_mut()
        .filter(|operation| operation.key == *key && matches!(operation.state, State::Applying | State::Applied | State::RestoreFailed))
    {
        operation.state = State::RestoreFailed;
        operation.error.clone_from(&problem);
    }
    if set.status != Status::RollbackFailed {
        set.enter(Status::RollbackFailed, now_ms, problem.clone().unwrap_or_else(|| "a device could not go back".into()));
    }
    orders.push(Order::Alert(format!("E_LLM_ROLLBACK_FAILED: {key} could not restore {}: {}", set.changeset_id, problem.unwrap_or_default())));
}

fn status_told(set: &mut Changeset, key: &DeviceKey, result: &Value) {
    match text(result, "state").as_deref() {
        Some("pending") => {
            for operation in set.operations.iter_mut().filter(|operation| operation.key == *key && operation.state == State::Applying) {
                operation.applied_hash = text(result, "config_hash");
                operation.state = State::Applied;
            }
        }
        Some("committed") => set
            .operations
            .iter_mut()
            .filter(|operation| operation.key == *key && operation.state == State::Applied)
            .for_each(|operation| operation.state = State::Committed),
        Some("rolled_back" | "unknown") => self_restored(set, key, "restart", None),
        _ => {}
    }
}

fn send(key: &DeviceKey, op: &str, args: Value, operation: Option<usize>) -> Order {
    let args = match args {
        Value::Object(args) => args,
        _ => Map::new(),
    };
    Order::Send { key: key.clone(), op: op.into(), args, operation }
}

fn advance(set: &mut Changeset, now_ms: i64, world: &dyn World, orders: &mut Vec<Order>) {
    if set.status.has_ended() || set.status == Status::Proposed {
        return;
    }
    if set.going_back.is_some() {
        return restore(set, now_ms, world, orders);
    }
    match set.status {
        Status::Approved => {
            set.enter(Status::Preparing, now_ms, "devices capture what they would replace");
            advance(set, now_ms, world, orders);
        }
        Status::Preparing => prepare_or_apply(set, now_ms, world, orders),
        Status::Applied | Status::Verifying if set.outcome.is_some() => commit(set, now_ms, world, orders),
        Status::Applied | Status::Verifying => extend(set, now_ms, world, orders),
        _ => {}
    }
}

fn devices(set: &Changeset, pick: impl Fn(&Operation) -> bool) -> Vec<DeviceKey> {
    let mut keys: Vec<DeviceKey> = Vec::new();
    for operation in set.operations.iter().filter(|operation| pick(operation)) {
        if !keys.contains(&operation.key) {
            keys.push(operation.key.clone());
        }
    }
    keys
}

fn prepare_or_apply(set: &mut Changeset, now_ms: i64, world: &dyn World, orders: &mut Vec<Order>) {
    for operation in set.operations.iter_mut().filter(|operation| operation.state == State::Planned && !operation.undoes_itself) {
        operation.previous = operation.undo_args.clone().map_or(Value::Null, Value::Object);
        operation.state = State::Prepared;
    }
    let unprepared = devices(set, |operation| operation.state == State::Planned);
    for key in &unprepared {
        if !world.is_under_way(key, "changeset.prepare") {
            let planned: Vec<_> =
                set.operations.iter().filter(|operation| operation.key == *key).map(|operation| json!({"op": operation.op, "args": operation.args})).collect();
            orders.push(send(key, "changeset.prepare", json!({"changeset_id": set.changeset_id, "operations": planned}), None));
        }
    }
    if !unprepared.is_empty() {
        return;
    }
    if let Some(at) = set.operations.iter().position(|operation| operation.state == State::Applying) {
        // Its command is out, or was when the server stopped: then the device is asked where it stands.
        let operation = &set.operations[at];
        if !world.is_under_way(&operation.key, &operation.op) && !world.is_under_way(&operation.key, "changeset.status") && world.is_online(&operation.key) {
            orders.push(send(&operation.key, "changeset.status", json!({"changeset_id": set.changeset_id}), None));
        }
        return;
    }
    if let Some(at) = set.operations.iter().position(|operation| operation.state == State::Prepared) {
        let mut args = set.operations[at].args.clone();
        if set.operations[at].undoes_itself {
            args.insert("changeset_id".into(), json!(set.changeset_id));
            args.insert("auto_rollback_timeout".into(), json!(set.rollback_s));
        }
        set.operations[at].state = State::Applying;
        // From the moment it may be applied, the clock runs.
        set.deadline_ms.get_or_insert(now_ms + set.rollback_s as i64 * 1000);
        let operation = &set.operations[at];
        orders.push(Order::Send { key: operation.key.clone(), op: operation.op.clone(), args, operation: Some(at) });
        return;
    }
    set.enter(Status::Applied, now_ms, "every device proved it");
    if set.expect.is_none() {
        set.outcome = Some(Outcome { kind: "kept".into(), text: outcome_text(set, "kept_unmeasured") });
        commit(set, now_ms, world, orders);
    } else {
        orders.push(Order::Verify);
    }
}

fn commit(set: &mut Changeset, now_ms: i64, world: &dyn World, orders: &mut Vec<Order>) {
    set.operations
        .iter_mut()
        .filter(|operation| operation.state == State::Applied && !operation.undoes_itself)
        .for_each(|operation| operation.state = State::Committed);
    let open = devices(set, |operation| operation.state == State::Applied);
    if open.is_empty() {
        set.deadline_ms = None;
        set.retry_ms = None;
        set.enter(Status::Committed, now_ms, set.outcome.as_ref().map_or(String::new(), |outcome| outcome.text.clone()));
        orders.push(Order::Ended);
        return;
    }
    if set.retry_ms.is_some_and(|at| at > now_ms) {
        return;
    }
    set.retry_ms = None;
    for key in open {
        if world.is_online(&key) && !world.is_under_way(&key, "changeset.commit") {
            orders.push(send(&key, "changeset.commit", json!({"changeset_id": set.changeset_id}), None));
        }
    }
}

fn extend(set: &mut Changeset, now_ms: i64, world: &dyn World, orders: &mut Vec<Order>) {
    let near = set.deadline_ms.is_some_and(|deadline| deadline - now_ms < EXTEND_BELOW_MS.min(set.rollback_s as i64 * 400));
    if near && may_extend(set) {
        for key in devices(set, |operation| operation.state == State::Applied && operation.undoes_itself) {
            if world.is_online(&key) && !world.is_under_way(&key, "changeset.extend") {
                orders.push(send(&key, "changeset.extend", json!({"changeset_id": set.changeset_id, "timeout_s": set.rollback_s}), None));
            }
        }
    }
}

fn restore(set: &mut Changeset, now_ms: i64, world: &dyn World, orders: &mut Vec<Order>) {
    let Some(at) = set.operations.iter().rposition(|operation| !matches!(operation.state, State::Restored | State::NotApplied)) else {
        set.outcome = set.going_back.clone();
        set.deadline_ms = None;
        set.retry_ms = None;
        set.enter(Status::RolledBack, now_ms, set.outcome.as_ref().map_or(String::new(), |outcome| outcome.text.clone()));
        orders.push(Order::Ended);
        return;
    };
    let operation = set.operations[at].clone();
    let key = &operation.key;
    let busy = ["changeset.rollback", "changeset.commit", operation.op.as_str()].iter().any(|op| world.is_under_way(key, op));
    if busy || (operation.state == State::RestoreFailed && set.retry_ms.is_some_and(|at| at > now_ms)) {
        return;
    }
    if !world.is_online(key) {
        let overdue = !operation.undoes_itself || operation.state == State::Committed || set.deadline_ms.is_none_or(|deadline| deadline + GRACE_MS <= now_ms);
        if overdue && set.status != Status::RollbackFailed {
            let why = format!("{} is not connected; it is asked again when it comes back", operation.device_name);
            set.enter(Status::RollbackFailed, now_ms, why.clone());
            orders.push(Order::Alert(format!("E_LLM_ROLLBACK_FAILED: {key}: {why}")));
        }
        return;
    }
    set.retry_ms = None;
    let undo_id = format!("{}.undo", set.changeset_id);
    let order = match operation.state {
        State::Undoing => send(key, "changeset.commit", json!({"changeset_id": undo_id}), None),
        State::Committed | State::Applied | State::Applying | State::RestoreFailed if !operation.undoes_itself || operation.state == State::Committed => {
            match undo_args(&operation) {
                Some(mut args) => {
                    if operation.undoes_itself {
                        args.insert("changeset_id".into(), json!(undo_id));
                        args.insert("auto_rollback_timeout".into(), json!(set.rollback_s));
                    }
                    Order::Send { key: key.clone(), op: operation.op.clone(), args, operation: Some(at) }
                }
                None => {
                    let why = Some("what was there before is not known, so it must be put back by hand".to_owned());
                    return restore_failed(set, now_ms, key, why, orders);
                }
            }
        }
        _ => send(key, "changeset.rollback", json!({"changeset_id": set.changeset_id}), None),
    };
    orders.push(order);
}

/// The arguments that put back what was there: those given with the plan, or the captured section's values of the same arguments.
fn undo_args(operation: &Operation) -> Option<Map<String, Value>> {
    let captured = operation.previous.as_object();
    let from_section = captured
        .and_then(|section| operation.args.keys().map(|name| section.get(name).map(|value| (name.clone(), value.clone()))).collect::<Option<Map<_, _>>>());
    from_section.or_else(|| operation.undo_args.clone())
}
