//! The desk where commands arrive: acknowledged at once, run in tasks of their own, answered exactly once.

use crate::catalog::{BATCH, CAPABILITIES, STATUS, Slot};
use crate::clock::unix_ms;
use crate::core::Core;
use crate::counters::add;
use crate::judge;
use crate::keeper::{Change, Keeper, MANAGE_OPS, answer, failure, success, timed};
use crate::memory::Known;
use crate::tool::{Args, Call, Progress, ToolError};
use crate::voice::state_fields;
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use talkwire_proto::command::{Answer, Expect, Outcome, Request};
use talkwire_proto::envelope::{Trace, parse_object};
use talkwire_proto::op::canonical;
use talkwire_proto::{Code, limits};
use tokio::sync::MutexGuard;

/// Longest time that a command may ask for.
const LONGEST: Duration = Duration::from_secs(3600);
/// Least time between two progress messages of a command.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// Most items of a batch.
const BATCH_MAX: usize = 32;

/// Room for topic and header of an answer within the broker's packet limit.
const HEADER: usize = limits::TOPIC_BYTES + 16;

/// What runs: one command, or one item of a batch.
#[derive(Debug, Clone)]
struct Job {
    id: String,
    op: String,
    args: Args,
    timeout: Duration,
    trace: Option<Trace>,
}

/// Takes what arrived on a command topic. Returns soon; the command runs on in a task.
pub(crate) fn take(core: &Arc<Core>, payload: &[u8]) {
    add(&core.counters.messages_received, 1);
    let request = match Request::decode(payload, unix_ms()) {
        Ok(request) => request,
        Err(error) => {
            add(&core.counters.malformed, 1);
            tracing::warn!(%error, "command not understood");
            if let Some(id) = salvage_id(payload) {
                core.voice.answer(&failure(&id, ToolError::new(Code::Malformed, error.to_string())));
            }
            return;
        }
    };
    core.counters.command();
    let known = core.memory().begin(&request.id, core.clock.now().steady);
    if request.expect != Expect::None {
        core.voice.ack(&request.id);
    }
    match known {
        Known::New => {}
        Known::Running => return add(&core.counters.duplicates, 1),
        Known::Answered(answer) => {
            add(&core.counters.duplicates, 1);
            return send(core, request.expect, &answer);
        }
    }
    let Ok(place) = core.places.clone().try_acquire_owned() else {
        core.memory().forget(&request.id);
        let busy = ToolError::new(Code::Busy, "the device runs as many commands as it can").with("retry_after_ms", 1000);
        return send(core, request.expect, &failure(&request.id, busy));
    };
    let core = core.clone();
    tokio::spawn(async move {
        let expect = request.expect;
        let timeout = request.timeout_ms.map_or(core.config.command_timeout, Duration::from_millis).min(LONGEST);
        let job = Job { id: request.id, op: request.op, args: Args(request.args), timeout, trace: request.trace };
        let (id, op) = (job.id.clone(), job.op.clone());
        let answer = if canonical(&op) == BATCH { batch(&core, job).await } else { run(&core, job).await };
        drop(place);
        let answer = fit(&core, &op, answer);
        let was_run = !answer.error.as_ref().is_some_and(|error| error.details.get("reason") == Some(&json!("device_busy")));
        if was_run {
            let bytes = answer.encode(0).to_string().len();
            core.memory().end(&id, &answer, bytes, core.clock.now().steady);
        } else {
            core.memory().forget(&id);
        }
        send(&core, expect, &answer);
    });
}

fn send(core: &Core, expect: Expect, answer: &Answer) {
    if expect == Expect::Result {
        core.voice.answer(answer);
    }
}

/// The id of a command that cannot be read otherwise, so that whoever sent it is not left waiting.
fn salvage_id(payload: &[u8]) -> Option<String> {
    let object = parse_object(payload, limits::MESSAGE_BYTES).ok()?;
    let id = object.get("id").or_else(|| object.get("payload")?.get("id"))?.as_str()?;
    (!id.is_empty() && id.len() <= 128 && !id.chars().any(char::is_control)).then(|| id.to_owned())
}

async fn run(core: &Arc<Core>, job: Job) -> Answer {
    let (id, op) = (job.id.clone(), job.op.clone());
    let name = canonical(&op).to_owned();
    let available = match core.catalog.check_available(&op) {
        Err(_) if judge::again(core, &op).await => core.catalog.check_available(&op),
        told => told,
    };
    let was_available = available.is_ok();
    let result = match available {
        Err(error) => Err(error),
        Ok(()) if core.has_acts && MANAGE_OPS.contains(&name.as_str()) => match keeper_turn(core, job.timeout).await {
            Ok((mut keeper, _)) => {
                let managed = keeper.manage(&name, &job.args).await;
                core.keeper_moved.notify_one();
                managed
            }
            Err(error) => Err(error),
        },
        Ok(()) if core.acts.contains_key(&name) => match keeper_turn(core, job.timeout).await {
            Ok((mut keeper, timeout)) => {
                let answer = keeper.change(Change { id: job.id, op: job.op, args: job.args, timeout }).await;
                core.keeper_moved.notify_one();
                drop(keeper);
                if answer.error.as_ref().is_some_and(|error| judge::is_lacking(&error.code)) {
                    judge::again(core, &op).await;
                }
                return with_alternatives(core, &op, answer);
            }
            Err(error) => Err(error),
        },
        Ok(()) => match core.catalog.tool(&op) {
            Some(slot) => call(core, slot, job).await,
            None if name == CAPABILITIES => Ok(core.catalog.capabilities(&core.config)),
            None if name == STATUS => Ok(Value::Object(state_fields(&core.state_report(), &core.counters))),
            None if name == BATCH => Err(ToolError::invalid_args("a batch cannot stand inside a batch")),
            None => Err(ToolError::new(Code::UnknownOp, format!("this device has no tool {op}")).with("reason", "unknown_op")),
        },
    };
    if was_available && result.as_ref().is_err_and(|error| judge::is_lacking(&error.code)) {
        judge::again(core, &op).await;
    }
    with_alternatives(core, &op, result.map_or_else(|error| failure(&id, error), |result| success(&id, result)))
}

/// Waits for the turn to change something, and says how much of the time is left. Whoever waited too long is not run late.
async fn keeper_turn(core: &Core, timeout: Duration) -> Result<(MutexGuard<'_, Keeper>, Duration), ToolError> {
    let began = Instant::now();
    let turn = tokio::time::timeout(timeout, core.keeper.lock()).await;
    let left = timeout.saturating_sub(began.elapsed());
    match turn {
        Ok(keeper) if !left.is_zero() => Ok((keeper, left)),
        _ => Err(ToolError::new(Code::Busy, "another change ran for the whole time of this command; nothing was changed").with("retry_after_ms", 1000)),
    }
}

async fn call(core: &Arc<Core>, slot: Slot, job: Job) -> Result<Value, ToolError> {
    let Ok(_place) = slot.places.try_acquire() else {
        let busy = ToolError::not_available("device_busy", format!("{} runs as often as it can at once", job.op));
        return Err(busy.with("retry_after_ms", slot.tool.support().response_time_ms.unwrap_or(1000).max(100)));
    };
    let progress = progress_of(core, &job.id);
    let call = Call { id: job.id, op: job.op, args: job.args, progress: progress.clone(), trace: job.trace };
    let result = timed(job.timeout, slot.tool.clone().run(call)).await;
    progress.close();
    result
}

fn progress_of(core: &Arc<Core>, id: &str) -> Progress {
    let (core, id, last) = (Arc::downgrade(core), id.to_owned(), Mutex::new(None::<Instant>));
    Progress::new(move |percent, text| {
        let Some(core) = core.upgrade() else { return };
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|at| at.elapsed() < PROGRESS_EVERY) {
            return;
        }
        *last = Some(Instant::now());
        core.voice.answer(&Answer { outcome: None, progress_percent: percent, progress_text: text, result: None, ..success(&id, Value::Null) });
    })
}

/// Runs the items in order; each has its own id, and its own place in the result.
async fn batch(core: &Arc<Core>, job: Job) -> Answer {
    let list = ["commands", "operations", "items"].iter().find_map(|name| job.args.get(*name)).and_then(Value::as_array);
    let Some(list) = list.filter(|list| !list.is_empty() && list.len() <= BATCH_MAX) else {
        return failure(&job.id, ToolError::invalid_args(format!("args.commands must be a list of 1-{BATCH_MAX} commands {{id, op, args}}")));
    };
    let deadline = Instant::now() + job.timeout;
    let mut results = Vec::new();
    let mut failed = 0;
    for (at, item) in list.iter().enumerate() {
        let id =
            item.get("id").and_then(Value::as_str).filter(|id| !id.is_empty() && id.len() <= 128).map_or_else(|| format!("{}.{at}", job.id), str::to_owned);
        let answer = batch_item(core, &job, item, id.clone(), deadline.saturating_duration_since(Instant::now())).await;
        results.push(match answer.error {
            None => json!({"command_id": id, "status": "success", "result": answer.result}),
            Some(error) => {
                failed += 1;
                json!({"command_id": id, "status": "error", "error": error})
            }
        });
    }
    let outcome = if failed == 0 { Outcome::Completed } else { Outcome::Partial };
    answer(&job.id, outcome, Some(json!({"results": results, "succeeded": results.len() - failed, "failed": failed})), None)
}

async fn batch_item(core: &Arc<Core>, job: &Job, item: &Value, id: String, left: Duration) -> Answer {
    let Some(op) = item.get("op").and_then(Value::as_str) else {
        return failure(&id, ToolError::invalid_args("each command of a batch needs `op`"));
    };
    if left.is_zero() {
        return failure(&id, ToolError::new(Code::Timeout, "the batch's time was over before this command"));
    }
    match core.memory().begin(&id, core.clock.now().steady) {
        Known::New => {}
        Known::Running => return failure(&id, ToolError::new(Code::Busy, "a command with this id runs already")),
        Known::Answered(answer) => return *answer,
    }
    let args = item.get("args").and_then(Value::as_object).cloned().unwrap_or_default();
    let item = Job { id: id.clone(), op: op.into(), args: Args(args), timeout: left, trace: job.trace.clone() };
    let answer = Box::pin(run(core, item)).await;
    core.memory().end(&id, &answer, answer.encode(0).to_string().len(), core.clock.now().steady);
    answer
}

/// Adds what could be asked instead to an error that says that a tool is not there.
fn with_alternatives(core: &Core, op: &str, mut answer: Answer) -> Answer {
    let Some(error) = &mut answer.error else { return answer };
    if error.code != Code::UnknownOp.as_str() && error.code != Code::LlmToolNotAvailable.as_str() {
        return answer;
    }
    let alternatives = core.catalog.alternatives(op);
    error.details.insert("requested_tool".into(), json!(op));
    error.details.insert("alternative_tools".into(), json!(alternatives));
    if let Some(first) = alternatives.first() {
        let mut action = Map::new();
        action.insert("type".into(), json!("use_alternative"));
        action.insert("alternative_tool".into(), json!(first));
        answer.recovery_action = Some(action);
    }
    answer
}

/// An answer that is too large to send says so; a change that was made is never hidden by that.
fn fit(core: &Core, op: &str, answer: Answer) -> Answer {
    let bytes = core.voice.post().seal().bytes(answer.encode(unix_ms()).to_string().len());
    let limit = core.config.max_message_bytes.min(core.voice.link().packet_limit().saturating_sub(HEADER));
    if bytes <= limit {
        return answer;
    }
    let change = core.acts.contains_key(canonical(op)) && answer.error.is_none();
    if let (true, Some(Value::Object(result))) = (change, &answer.result) {
        let kept = ["config_hash", "previous_hash", "deadline_ms"].into_iter().filter_map(|name| Some((name.to_owned(), result.get(name)?.clone())));
        let mut short: Map<String, Value> = kept.collect();
        short.insert("truncated_bytes".into(), json!(bytes));
        return success(&answer.id, Value::Object(short));
    }
    let message = format!("the result has {bytes} bytes, over the limit of {limit}; ask for less");
    failure(&answer.id, ToolError::new(Code::TooLarge, message).with("bytes", bytes).with("limit", limit))
}
