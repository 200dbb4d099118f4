//! How a set moves on: one report in, orders out. What to do next is always derived from the operations' states,
//! so that a set read back from the store goes on where it was.

use super::restore;
use super::view::outcome_text;
use super::{Changeset, Measurement, Operation, OperationState as State, Outcome, Status};
use crate::command;
use serde_json::{Map, Value, json};
use talkwire_proto::DeviceKey;

/// A set is extended when less than this is left while it is measured, in milliseconds.
const EXTEND_BELOW_MS: i64 = 120_000;
/// Measuring may take so long after the approval, in milliseconds.
const MEASURE_MS: i64 = 1_800_000;
/// Pause before something that a device refused or did not answer is asked again, in milliseconds.
const AGAIN_MS: i64 = 5_000;
/// How long after its own deadline an unreachable device is given to have gone back by itself, in milliseconds.
pub(super) const GRACE_MS: i64 = 10_000;

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
    /// The answer of one of its Acts came after its time was over.
    Late(Box<command::Command>),
    /// A device undid the undoing of a kept change: what was kept runs there again.
    UndoLapsed(DeviceKey),
    /// A device is unreachable for longer than the set allows.
    Lost(DeviceKey),
    /// A device came back: ask where it stands.
    Back(DeviceKey),
    /// It was measured again; `None`: it could not be.
    Judged(Option<Measurement>),
    /// A person wants everything back.
    RollBack(String),
    /// A person says that its devices were seen to by hand.
    Settled(String),
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
    /// An argument of a command of the set, by the command's id.
    fn argument(&self, command_id: &str, name: &str) -> Option<Value>;
}

/// Takes a report and says what to do.
pub fn report(set: &mut Changeset, now_ms: i64, report: Report, world: &dyn World) -> Vec<Order> {
    let mut orders = Vec::new();
    if set.retry_ms.is_some_and(|at| at <= now_ms) {
        set.retry_ms = None;
    }
    match report {
        Report::RollBack(_) if set.status == Status::Committed => {
            set.enter(Status::Applied, now_ms, "undo asked for by a person");
            (set.outcome, set.has_receipt, set.restore_tries) = (None, false, 0);
            // What was done once is over; only the rest has something to put back.
            let over = set.operations.iter_mut().filter(|operation| operation.restores_nothing && operation.state == State::Committed);
            over.for_each(|operation| operation.state = State::Restored);
            go_back(set, "undone");
        }
        Report::Late(command) => restore::late_act(set, &command, &mut orders),
        // What is over stays over: answers and events that come afterwards change nothing.
        _ if set.status.has_ended() => return orders,
        Report::Ended(command) => ended(set, now_ms, &command, &mut orders),
        Report::SelfRestored { key, reason, hash } => restore::self_restored(set, now_ms, &key, &reason, hash, &mut orders),
        Report::UndoLapsed(key) => restore::undo_lapsed(set, now_ms, &key, &mut orders),
        Report::Lost(key) if is_armed(set) && set.operations.iter().any(|operation| operation.key == key && operation.state == State::Applied) => {
            go_back(set, "connection_lost")
        }
        Report::Back(key) => {
            if set.going_back.is_some() {
                set.retry_ms = None;
            }
            ask_where_it_stands(set, &key, world, &mut orders);
        }
        Report::Judged(after) if matches!(set.status, Status::Applied | Status::Verifying) && set.going_back.is_none() && set.outcome.is_none() => {
            judged(set, after)
        }
        Report::Settled(who) => {
            restore::settled(set, now_ms, &who, &mut orders);
            return orders;
        }
        Report::RollBack(_) => {
            set.retry_ms = None;
            go_back(set, "by_person");
        }
        Report::Lost(_) | Report::Judged(_) | Report::Tick => {}
    }
    if is_armed(set) && set.going_back.is_none() && set.deadline_ms.is_some_and(|deadline| deadline <= now_ms) {
        go_back(set, "deadline");
    }
    advance(set, now_ms, world, &mut orders);
    orders
}

/// When the set must be looked at again by itself, in Unix milliseconds.
pub fn next_deadline(set: &Changeset) -> Option<i64> {
    if set.status == Status::Proposed {
        return Some(set.approve_before_ms);
    }
    if set.status.has_ended() {
        return None;
    }
    let forward = set.deadline_ms.filter(|_| set.going_back.is_none());
    let overdue = set.deadline_ms.filter(|_| set.going_back.is_some() && set.status != Status::RollbackFailed).map(|at| at + GRACE_MS);
    let nearest = set.operations.iter().filter(|_| may_extend(set)).filter_map(extends_at(set)).min();
    let extend = nearest.map(|at| set.retry_ms.map_or(at, |retry| retry.max(at)));
    [forward, overdue, set.retry_ms, extend].into_iter().flatten().min()
}

fn is_armed(set: &Changeset) -> bool {
    matches!(set.status, Status::Preparing | Status::Applied | Status::Verifying)
}

fn may_extend(set: &Changeset) -> bool {
    let started = set.approved_ms.unwrap_or(set.created_ms);
    matches!(set.status, Status::Applied | Status::Verifying)
        && set.going_back.is_none()
        && set.outcome.is_none()
        && set.deadline_ms.is_some_and(|deadline| deadline < started + MEASURE_MS)
}

/// When the deadline of an applied operation is near enough to be moved.
fn extends_at(set: &Changeset) -> impl Fn(&Operation) -> Option<i64> + use<> {
    let below = EXTEND_BELOW_MS.min(set.rollback_s as i64 * 400);
    move |operation| operation.deadline_ms.filter(|_| operation.state == State::Applied).map(|deadline| deadline - below + 1)
}

pub(super) fn go_back(set: &mut Changeset, kind: &str) {
    if set.going_back.is_none() {
        set.going_back = Some(Outcome { kind: kind.into(), text: outcome_text(set, kind) });
        set.outcome = None;
        set.retry_ms = None;
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
    // Where nothing can be put back, it ends as done, with the truth about what it brought.
    let kind = match kind {
        "no_gain" if set.restores_nothing() => "done_no_gain",
        "not_measured" if set.restores_nothing() => "done_not_measured",
        kind => kind,
    };
    if matches!(kind, "kept" | "done_no_gain" | "done_not_measured") {
        set.outcome = Some(Outcome { kind: kind.into(), text: outcome_text(set, kind) });
        set.retry_ms = None;
    } else {
        go_back(set, kind);
    }
}

/// A command of the set that is still out answers by itself; only what has no command is asked about.
fn ask_where_it_stands(set: &mut Changeset, key: &DeviceKey, world: &dyn World, orders: &mut Vec<Order>) {
    let in_doubt = set.operations.iter().any(|operation| {
        let in_doubt = operation.state == State::Applied || operation.state == State::Applying && !world.is_under_way(key, &operation.op);
        operation.key == *key && operation.undoes_itself && in_doubt
    });
    if in_doubt && set.going_back.is_none() && !world.is_under_way(key, "changeset.status") {
        orders.push(send(key, "changeset.status", json!({"changeset_id": set.changeset_id}), None));
    }
}

pub(super) fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn ended(set: &mut Changeset, now_ms: i64, command: &command::Command, orders: &mut Vec<Order>) {
    let ok = command.status == command::Status::Completed;
    let result = command.result.clone().unwrap_or(Value::Null);
    let problem = command.error.as_ref().map(|error| error.message.clone());
    let of_undo = command.args.get("changeset_id").and_then(Value::as_str).is_some_and(|id| id != set.changeset_id);
    match command.op.as_str() {
        "changeset.prepare" if ok => prepared(set, &command.key, &result),
        "changeset.prepare" => {
            set_error(set, &command.key, problem);
            go_back(set, "prepare_failed");
        }
        "changeset.extend" if ok => {
            // The device counts from when it took the command, which was not before it was sent.
            let deadline = command.timings.sent_ms.unwrap_or(now_ms) + set.rollback_s as i64 * 1000;
            let moved = set.operations.iter_mut().filter(|operation| operation.key == command.key && operation.state == State::Applied);
            moved.for_each(|operation| operation.deadline_ms = operation.deadline_ms.max(Some(deadline)));
            settle_deadline(set);
        }
        "changeset.extend" => set.retry_ms = Some(now_ms + AGAIN_MS),
        "changeset.commit" if ok => {
            for operation in set.operations.iter_mut().filter(|operation| operation.key == command.key) {
                match operation.state {
                    State::Applied if !of_undo => operation.state = State::Committed,
                    State::Undoing if of_undo => operation.state = State::Restored,
                    _ => {}
                }
            }
        }
        "changeset.commit" if of_undo => restore::undo_not_kept(set, now_ms, command, orders),
        "changeset.commit" => commit_failed(set, now_ms, command),
        "changeset.rollback" => restore::rollback_answered(set, now_ms, command, orders),
        "changeset.status" if ok => status_told(set, now_ms, &command.key, &result, orders),
        "changeset.status" => set.retry_ms = Some(now_ms + AGAIN_MS),
        _ => {
            if let Some(at) = set.operations.iter().position(|operation| operation.command_id.as_deref() == Some(&command.id)) {
                act_ended(set, now_ms, at, command, orders);
            }
        }
    }
}

/// The set's deadline is that of its first operation to go back.
fn settle_deadline(set: &mut Changeset) {
    let running = set.operations.iter().filter(|operation| matches!(operation.state, State::Applying | State::Applied));
    set.deadline_ms = running.filter_map(|operation| operation.deadline_ms).min().or(set.deadline_ms);
}

fn act_ended(set: &mut Changeset, now_ms: i64, at: usize, command: &command::Command, orders: &mut Vec<Order>) {
    let result = command.result.clone().unwrap_or(Value::Null);
    let problem = command.error.as_ref().map(|error| error.message.clone());
    let ok = command.status == command::Status::Completed;
    let rollback_ms = set.rollback_s as i64 * 1000;
    let sent_ms = command.timings.sent_ms.unwrap_or(now_ms);
    let operation = &mut set.operations[at];
    let hash = text(&result, "config_hash");
    match (operation.state, ok) {
        (State::Applying, true) if operation.undoes_itself && hash.is_none() => {
            operation.error = Some("the device gave no proof (config_hash) of what runs now".into());
            go_back(set, "apply_failed");
        }
        (State::Applying, true) => {
            operation.state = State::Applied;
            operation.applied_by.clone_from(&operation.command_id);
            operation.applied = result.get("applied").cloned().unwrap_or(result.clone());
            operation.applied_hash = hash;
            if let Some(previous) = result.get("previous").filter(|value| !value.is_null()) {
                operation.previous = previous.clone();
            }
            operation.previous_hash = text(&result, "previous_hash").or(operation.previous_hash.take());
            operation.deadline_ms = Some(sent_ms + rollback_ms);
            settle_deadline(set);
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
        _ if set.going_back.is_some() => restore::undo_answered(set, now_ms, at, ok, hash, problem, orders),
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
    let error = command.error.as_ref();
    let code = error.map(|error| error.code.as_str()).unwrap_or_default();
    let mine = |operation: &&mut Operation| operation.key == command.key && operation.state == State::Applied;
    match code {
        // It went back by itself, or is doing so: then all of the set goes back.
        "E_CHANGESET_STATE" => {
            if error.and_then(|error| error.details.get("state")).is_some_and(|state| state == "rolled_back") {
                set.operations.iter_mut().filter(mine).for_each(restore::restored_as_before);
            }
            go_back(set, "deadline");
        }
        // It no longer knows the set, so nothing guards what may still run there.
        "E_NOT_FOUND" => {
            set.operations.iter_mut().filter(mine).for_each(|operation| operation.state = State::Committed);
            go_back(set, "restart");
        }
        _ => set.retry_ms = Some(now_ms + 1_000),
    }
}

fn status_told(set: &mut Changeset, now_ms: i64, key: &DeviceKey, result: &Value, orders: &mut Vec<Order>) {
    let undoing = result.get("undoing") == Some(&Value::Bool(true));
    match text(result, "state").as_deref() {
        Some("pending") if undoing => go_back(set, "deadline"),
        Some("pending") => {
            let deadline = set.deadline_ms;
            for operation in set.operations.iter_mut().filter(|operation| operation.key == *key && operation.state == State::Applying) {
                operation.applied_hash = text(result, "config_hash");
                operation.deadline_ms = operation.deadline_ms.or(deadline);
                operation.state = State::Applied;
            }
        }
        Some("committed") => set
            .operations
            .iter_mut()
            .filter(|operation| operation.key == *key && operation.state == State::Applied)
            .for_each(|operation| operation.state = State::Committed),
        Some("rolled_back") => restore::self_restored(set, now_ms, key, "restart", text(result, "restored_hash"), orders),
        Some("unknown") => {
            restore::unknown_there(set, key);
            go_back(set, "restart");
        }
        _ => set.retry_ms = Some(now_ms + AGAIN_MS),
    }
}

pub(super) fn send(key: &DeviceKey, op: &str, args: Value, operation: Option<usize>) -> Order {
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
        return restore::restore(set, now_ms, world, orders);
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
        // Its command is out. If it is not, the device is asked where it stands.
        let operation = &set.operations[at];
        let asked = world.is_under_way(&operation.key, &operation.op) || world.is_under_way(&operation.key, "changeset.status");
        if !asked && world.is_online(&operation.key) && set.retry_ms.is_none() {
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
        let deadline = now_ms + set.rollback_s as i64 * 1000;
        set.operations[at].deadline_ms = Some(deadline);
        set.deadline_ms.get_or_insert(deadline);
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
    let open = devices(set, |operation| operation.state == State::Applied && operation.undoes_itself);
    if open.is_empty() {
        // Devices without a journal have nothing to confirm: theirs counts as kept once all others are.
        set.operations.iter_mut().filter(|operation| operation.state == State::Applied).for_each(|operation| operation.state = State::Committed);
        set.deadline_ms = None;
        set.retry_ms = None;
        set.enter(Status::Committed, now_ms, set.outcome.as_ref().map_or(String::new(), |outcome| outcome.text.clone()));
        orders.push(Order::Ended);
        return;
    }
    if set.retry_ms.is_some() {
        return;
    }
    for key in open {
        if world.is_online(&key) && !world.is_under_way(&key, "changeset.commit") {
            orders.push(send(&key, "changeset.commit", json!({"changeset_id": set.changeset_id}), None));
        }
    }
}

/// While it is measured, deadlines that come near are moved; a device that does not answer is asked again after a pause.
fn extend(set: &mut Changeset, now_ms: i64, world: &dyn World, orders: &mut Vec<Order>) {
    if !may_extend(set) || set.retry_ms.is_some() {
        return;
    }
    let extends_at = extends_at(set);
    let is_near = |operation: &Operation| extends_at(operation).is_some_and(|at| at <= now_ms);
    for key in devices(set, |operation| operation.undoes_itself && is_near(operation)) {
        set.retry_ms = Some(now_ms + AGAIN_MS);
        if world.is_online(&key) && !world.is_under_way(&key, "changeset.extend") {
            orders.push(send(&key, "changeset.extend", json!({"changeset_id": set.changeset_id, "timeout_s": set.rollback_s}), None));
        }
    }
    // Nobody but this timer undoes on a device without a journal.
    let deadline = now_ms + set.rollback_s as i64 * 1000;
    set.operations.iter_mut().filter(|operation| !operation.undoes_itself && is_near(operation)).for_each(|operation| operation.deadline_ms = Some(deadline));
    settle_deadline(set);
}
