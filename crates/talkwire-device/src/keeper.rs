//! The keeper of changes: the journal, the guard and the Acts together. Everything that changes the device goes through here, one at a time.

mod lasting;
mod manage;
mod undo;

use crate::act::{AnyAct, Applied};
use crate::clock::Clock;
use crate::disk::Disk;
use crate::guard::{Guard, Hold, Reason, Refusal};
use crate::journal::{Journal, Operation, SetRecord, SetState, Step};
use crate::section::section_hash;
use crate::standing::Standing;
use crate::tool::{Args, ToolError};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use talkwire_proto::Code;
use talkwire_proto::command::{Answer, Outcome};
use talkwire_proto::op::canonical;

pub(crate) use manage::MANAGE_OPS;
pub(crate) use undo::Report;

const ROLLBACK_DEFAULT_S: f64 = 300.0;
const LOSS_DEFAULT_S: f64 = 30.0;
const LONGEST_S: f64 = 7.0 * 24.0 * 3600.0;
/// How long `check`, `capture` and `restore` may take.
const STEP_TIME: Duration = Duration::from_secs(60);

/// A command that changes something.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) id: String,
    pub(crate) op: String,
    pub(crate) args: Args,
    pub(crate) timeout: Duration,
}

pub(crate) struct Keeper {
    acts: BTreeMap<String, Arc<dyn AnyAct>>,
    journal: Journal,
    guard: Guard,
    clock: Arc<dyn Clock>,
    allow_unguarded: bool,
    failures: BTreeMap<String, Report>,
    on_their_way: BTreeSet<String>,
    standing: Standing,
    put_back: lasting::PutBack,
}

impl Keeper {
    /// Reads the journal. What it finds pending is due for restoring at once: call [`Keeper::tick`] before anything else. `boot` names the
    /// present boot of the machine, where that can be told.
    pub(crate) fn open(
        acts: BTreeMap<String, Arc<dyn AnyAct>>,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        allow_unguarded: bool,
        boot: Option<String>,
    ) -> io::Result<Self> {
        let standing = Standing::load(disk.clone(), boot)?;
        let journal = Journal::load(disk)?;
        let (failures, on_their_way, put_back) = (BTreeMap::new(), BTreeSet::new(), lasting::PutBack::at_start());
        let mut keeper = Self { acts, journal, guard: Guard::new(), clock, allow_unguarded, failures, on_their_way, standing, put_back };
        keeper.hold_pending();
        Ok(keeper)
    }

    /// The Act behind a name or alias.
    pub(crate) fn act(&self, op: &str) -> Option<Arc<dyn AnyAct>> {
        self.acts.get(canonical(op)).cloned()
    }

    /// The controller is out of reach since that moment of the steady clock, or is not.
    pub(crate) fn lost_since(&mut self, since: Option<Duration>) {
        self.guard.lost_since(since);
    }

    /// How long until something is due.
    pub(crate) fn wake_in(&self) -> Option<Duration> {
        let guard = self.guard.wake_at().map(|at| at.saturating_sub(self.clock.now().steady));
        guard.into_iter().chain(self.put_back_in()).min()
    }

    /// Runs a change: captures, writes down, applies. A command that was ever run is answered as it was, and not run.
    pub(crate) async fn change(&mut self, change: Change) -> Answer {
        if let Some(answer) = self.answered(&change.id) {
            return answer;
        }
        let id = change.id.clone();
        match self.try_change(change).await {
            Ok(answer) => answer,
            Err(error) => failure(&id, error),
        }
    }

    fn answered(&self, command_id: &str) -> Option<Answer> {
        let (set, operation) = self.journal.operation(command_id)?;
        Some(operation.answer.clone().unwrap_or_else(|| {
            let error = ToolError::failed("the device stopped while it applied this; what was there before was restored");
            failure(command_id, error.with("changeset_id", set.changeset_id.clone()))
        }))
    }

    async fn try_change(&mut self, change: Change) -> Result<Answer, ToolError> {
        let Some(act) = self.act(&change.op) else {
            return Err(ToolError::new(Code::UnknownOp, format!("this device cannot be changed by {}", change.op)));
        };
        let guarding = Guarding::read(&change.args)?;
        if guarding.changeset_id.is_none() && !self.allow_unguarded {
            return Err(ToolError::new(Code::ActNeedsChangeset, "args.changeset_id is missing; propose the change as a change set"));
        }
        if let Some(changeset_id) = &guarding.changeset_id {
            self.admit(changeset_id)?;
        } else if let Hold::Armed { changeset_id, deadline_ms, .. } | Hold::Undoing { changeset_id, deadline_ms, .. } = self.guard.hold() {
            return Err(conflict(changeset_id, *deadline_ms));
        }
        let kept = guarding.restores.as_deref().map(|command_id| self.kept(&change.op, command_id)).transpose()?;
        let args = kept.as_ref().map_or_else(|| own_args(&change.args), |operation| own_args(&Args(operation.args.clone())));
        if kept.is_none() {
            timed(STEP_TIME, act.clone().check(args.clone())).await?;
        }
        let previous = timed(STEP_TIME, act.clone().capture(args.clone())).await?;

        let now = self.clock.now();
        let hold = match &guarding.changeset_id {
            Some(id) => self.guard.armed(now, id, guarding.timeout, guarding.loss_after).map_err(|refusal| refused(id, &refusal))?,
            None => Hold::Free,
        };
        let record = self.with_operation(&change, &guarding, &hold, previous.clone());
        let changeset_id = record.changeset_id.clone();
        self.journal.save(record).await.map_err(|error| unwritable(&error))?;
        self.guard.enter(hold);

        let done = match kept {
            Some(operation) => timed(change.timeout, run_again(act, operation.previous)).await,
            None => timed(change.timeout, act.apply(args)).await,
        };
        match done {
            Ok(applied) => Ok(self.applied(&change, &changeset_id, applied, &previous).await),
            Err(error) => Ok(self.not_applied(&change, &changeset_id, error).await),
        }
    }

    /// What the journal keeps of a confirmed change that is to be undone.
    fn kept(&self, op: &str, command_id: &str) -> Result<Operation, ToolError> {
        let gone = || {
            let hint = format!("the journal has no confirmed change {command_id} by {op} any more; put back by hand what was there before");
            ToolError::new(Code::NotFound, hint).with("restores", command_id)
        };
        let (set, operation) = self.journal.operation(command_id).ok_or_else(gone)?;
        let fits = set.state == SetState::Committed && operation.op == canonical(op) && !operation.args.contains_key("restores");
        fits.then(|| operation.clone()).ok_or_else(gone)
    }

    fn admit(&self, changeset_id: &str) -> Result<(), ToolError> {
        match self.guard.hold() {
            Hold::Free => {}
            Hold::Armed { changeset_id: holder, .. } if holder == changeset_id => {}
            Hold::Armed { changeset_id: holder, deadline_ms, .. } | Hold::Undoing { changeset_id: holder, deadline_ms, .. } if holder != changeset_id => {
                return Err(conflict(holder, *deadline_ms));
            }
            _ => return Err(refused(changeset_id, &Refusal::TooLate)),
        }
        match self.journal.set(changeset_id).map(|set| set.state) {
            None | Some(SetState::Pending) => Ok(()),
            Some(state) => Err(ended(changeset_id, state)),
        }
    }

    fn with_operation(&self, change: &Change, guarding: &Guarding, hold: &Hold, previous: Value) -> SetRecord {
        let now_ms = self.clock.now().unix_ms;
        let id = guarding.changeset_id.clone().unwrap_or_else(|| format!("unguarded/{}", change.id));
        let mut record = self.journal.set(&id).cloned().unwrap_or_else(|| SetRecord {
            version: 1,
            changeset_id: id,
            number: self.journal.next_number().max(self.standing.through() + 1),
            state: if guarding.changeset_id.is_some() { SetState::Pending } else { SetState::Unguarded },
            deadline_unix_ms: now_ms,
            changed_unix_ms: now_ms,
            reason: None,
            restored_hash: None,
            unreported: false,
            operations: Vec::new(),
        });
        if let Hold::Armed { deadline_ms, .. } = hold {
            record.deadline_unix_ms = *deadline_ms;
        }
        record.changed_unix_ms = now_ms;
        record.operations.push(Operation {
            command_id: change.id.clone(),
            op: canonical(&change.op).into(),
            args: change.args.0.clone(),
            previous,
            step: Step::Started,
            config_hash: None,
            answer: None,
        });
        record
    }

    async fn applied(&mut self, change: &Change, changeset_id: &str, applied: Applied, previous: &Value) -> Answer {
        let config_hash = section_hash(&applied.section);
        let mut result = applied.result;
        result.insert("applied".into(), applied.section);
        result.insert("previous".into(), previous.clone());
        result.insert("config_hash".into(), json!(config_hash));
        result.insert("previous_hash".into(), json!(section_hash(previous)));
        if let Hold::Armed { deadline_ms, .. } = self.guard.hold() {
            result.insert("deadline_ms".into(), json!(deadline_ms));
        }
        let answer = success(&change.id, Value::Object(result));
        self.note(changeset_id, &change.id, Step::Applied, Some(config_hash), answer.clone()).await;
        answer
    }

    /// The operation failed: what it may have changed is restored at once. Earlier operations of the set stay, for the controller to decide.
    async fn not_applied(&mut self, change: &Change, changeset_id: &str, error: ToolError) -> Answer {
        let Some(set) = self.journal.set(changeset_id).cloned() else { return failure(&change.id, error) };
        let Some(operation) = set.operations.iter().find(|operation| operation.command_id == change.id) else { return failure(&change.id, error) };
        match self.restore(operation).await {
            Ok(restored_hash) => {
                let answer = failure(&change.id, error.with("restored_hash", restored_hash.clone()));
                self.note(changeset_id, &change.id, Step::Undone, None, answer.clone()).await;
                if set.operations.len() == 1 && set.state == SetState::Pending {
                    self.guard.undo(self.clock.now(), Reason::ApplyFailed);
                    self.end_undone(restored_hash).await;
                }
                answer
            }
            Err(restoring) => {
                let both = ToolError::new(Code::LlmRollbackFailed, format!("{}; and restoring failed: {}", error.message, restoring.message));
                let answer = failure(&change.id, both.with("cause", error.code).with("changeset_id", changeset_id));
                self.note(changeset_id, &change.id, Step::Started, None, answer.clone()).await;
                self.guard.undo(self.clock.now(), Reason::ApplyFailed);
                self.attempt_failed(&restoring);
                answer
            }
        }
    }

    /// Completes what the journal says of an operation. If the disk refuses, memory still knows, and a restart restores.
    async fn note(&mut self, changeset_id: &str, command_id: &str, step: Step, config_hash: Option<String>, answer: Answer) {
        let Some(mut set) = self.journal.set(changeset_id).cloned() else { return };
        if let Some(operation) = set.operations.iter_mut().find(|operation| operation.command_id == command_id) {
            operation.step = step;
            operation.config_hash = config_hash;
            operation.answer = Some(answer);
        }
        if let Err(error) = self.journal.save(set.clone()).await {
            tracing::error!(%error, changeset_id, "the journal could not be completed");
            self.journal.owe(set);
        }
    }
}

/// What an Act's arguments say to the journal.
struct Guarding {
    changeset_id: Option<String>,
    /// The command of a confirmed change whose section of before is to run again.
    restores: Option<String>,
    timeout: Duration,
    loss_after: Duration,
}

const GUARDING: [&str; 4] = ["changeset_id", "auto_rollback_timeout", "controller_loss_timeout", "restores"];

impl Guarding {
    fn read(args: &Args) -> Result<Self, ToolError> {
        Ok(Self {
            changeset_id: args.contains_key("changeset_id").then(|| changeset_id(args)).transpose()?,
            restores: args.contains_key("restores").then(|| word(args, "restores")).transpose()?,
            timeout: seconds(args, "auto_rollback_timeout", Some(ROLLBACK_DEFAULT_S))?,
            loss_after: seconds(args, "controller_loss_timeout", Some(LOSS_DEFAULT_S))?,
        })
    }
}

fn own_args(args: &Args) -> Args {
    Args(args.iter().filter(|(name, _)| !GUARDING.contains(&name.as_str())).map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn changeset_id(args: &Args) -> Result<String, ToolError> {
    word(args, "changeset_id")
}

fn word(args: &Args, name: &str) -> Result<String, ToolError> {
    match args.get(name).and_then(Value::as_str) {
        Some(id) if !id.is_empty() && id.len() <= 128 && !id.chars().any(char::is_control) && !id.starts_with("unguarded/") => Ok(id.into()),
        _ => Err(ToolError::invalid_args(format!("args.{name} must be 1-128 characters"))),
    }
}

/// Makes a section run again as a change of its own, proved by its hash.
async fn run_again(act: Arc<dyn AnyAct>, section: Value) -> Result<Applied, ToolError> {
    let now = act.restore(section.clone()).await?;
    if section_hash(&now) == section_hash(&section) {
        return Ok(Applied::section(now));
    }
    let error = ToolError::new(Code::LlmRollbackFailed, "after restoring, the device runs something else than before the change");
    Err(error.with("wanted", section).with("found", now))
}

fn seconds(args: &Args, name: &str, missing: Option<f64>) -> Result<Duration, ToolError> {
    let given = match args.get(name) {
        None | Some(Value::Null) => missing,
        Some(value) => value.as_f64(),
    };
    match given {
        Some(seconds) if seconds > 0.0 && seconds <= LONGEST_S => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(ToolError::invalid_args(format!("args.{name} must be a number of seconds, more than 0 and at most {LONGEST_S}"))),
    }
}

pub(crate) fn success(id: &str, result: Value) -> Answer {
    answer(id, Outcome::Completed, Some(result), None)
}

pub(crate) fn failure(id: &str, error: ToolError) -> Answer {
    let outcome = if error.is(Code::Timeout) { Outcome::Timeout } else { Outcome::Failed };
    answer(id, outcome, None, Some(error))
}

pub(crate) fn answer(id: &str, outcome: Outcome, result: Option<Value>, error: Option<ToolError>) -> Answer {
    Answer { id: id.into(), outcome: Some(outcome), progress_percent: None, progress_text: None, result, error: error.map(Into::into), recovery_action: None }
}

fn conflict(holder: &str, deadline_ms: i64) -> ToolError {
    ToolError::new(Code::LlmChangesetConflict, format!("change set {holder} holds this device; commit it or wait until it is undone"))
        .with("changeset_id", holder)
        .with("deadline_ms", deadline_ms)
}

fn ended(changeset_id: &str, state: SetState) -> ToolError {
    let word = if state == SetState::Committed { "committed" } else { "rolled_back" };
    ToolError::new(Code::ChangesetState, format!("change set {changeset_id} is {word} already")).with("state", word).with("changeset_id", changeset_id)
}

fn refused(changeset_id: &str, refusal: &Refusal) -> ToolError {
    match refusal {
        Refusal::Held { by, deadline_ms } => conflict(by, *deadline_ms),
        Refusal::TooLate => ToolError::new(Code::ChangesetState, format!("change set {changeset_id} is being undone")).with("changeset_id", changeset_id),
        Refusal::NotHolding => ToolError::new(Code::NotFound, format!("this device knows no change set {changeset_id}")).with("changeset_id", changeset_id),
    }
}

fn unwritable(error: &io::Error) -> ToolError {
    ToolError::new(Code::JournalUnavailable, format!("the change journal cannot be written, so nothing was changed: {error}"))
}

/// Runs a step of an author's code with a time limit; neither a panic nor a hang in it harms the keeper.
pub(crate) async fn timed<T: Send + 'static>(limit: Duration, step: impl Future<Output = Result<T, ToolError>> + Send + 'static) -> Result<T, ToolError> {
    let mut task = tokio::spawn(step);
    match tokio::time::timeout(limit, &mut task).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(ToolError::failed("the tool failed unexpectedly; see the device's log")),
        Err(_) => {
            task.abort();
            // Waited for, so that nothing of it runs on.
            let _ = task.await;
            let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            Err(ToolError::new(Code::Timeout, format!("not done within {limit_ms} ms")).with("timeout_ms", limit_ms))
        }
    }
}

/// For the answers of Manage ops.
type Managed = Result<Value, ToolError>;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}
