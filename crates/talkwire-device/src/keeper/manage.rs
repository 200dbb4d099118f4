//! The ops about change sets, which the SDK answers for every device.

use super::{
    Args, Change, Guarding, Keeper, LOSS_DEFAULT_S, Managed, STEP_TIME, changeset_id, ended, object, own_args, refused, seconds, success, timed, unwritable,
};
use crate::guard::{Hold, Reason, Refusal};
use crate::journal::{SetState, Step};
use crate::section::section_hash;
use crate::tool::ToolError;
use serde_json::{Value, json};
use talkwire_proto::Code;

/// The ops that this file answers.
pub(crate) const MANAGE_OPS: [&str; 6] =
    ["changeset.prepare", "changeset.rehearse", "changeset.commit", "changeset.rollback", "changeset.extend", "changeset.status"];
/// Most operations that one `changeset.prepare` may name.
const PREPARE_MAX: usize = 32;

impl Keeper {
    /// Answers one of [`MANAGE_OPS`].
    pub(crate) async fn manage(&mut self, op: &str, args: &Args) -> Managed {
        let id = changeset_id(args)?;
        match op {
            "changeset.prepare" => self.prepare(&id, args).await,
            "changeset.rehearse" => self.rehearse(&id, args).await,
            "changeset.commit" => self.commit(&id).await,
            "changeset.rollback" => self.rollback(&id).await,
            "changeset.extend" => self.extend(&id, args).await,
            "changeset.status" => Ok(self.status(&id)),
            other => Err(ToolError::new(Code::UnknownOp, format!("{other} is not an op about change sets"))),
        }
    }

    async fn prepare(&self, id: &str, args: &Args) -> Managed {
        self.admit(id)?;
        let list = args.get("operations").and_then(Value::as_array).filter(|list| !list.is_empty() && list.len() <= PREPARE_MAX);
        let list = list.ok_or_else(|| ToolError::invalid_args(format!("args.operations must be a list of 1-{PREPARE_MAX} operations")))?;
        let mut prepared = Vec::new();
        for (at, item) in list.iter().enumerate() {
            let place = |error: ToolError| error.with("operation", at);
            let op = item.get("op").and_then(Value::as_str).ok_or_else(|| place(ToolError::invalid_args("each operation needs `op`")))?;
            let unknown = || place(ToolError::new(Code::UnknownOp, format!("this device cannot be changed by {op}")));
            let act = self.act(op).ok_or_else(unknown)?;
            let args = own_args(&Args(object(item.get("args").cloned().unwrap_or_default())));
            let would_apply = timed(STEP_TIME, act.clone().check(args.clone())).await.map_err(place)?;
            let previous = timed(STEP_TIME, act.capture(args)).await.map_err(place)?;
            prepared.push(json!({"op": op, "previous_hash": section_hash(&previous), "previous": previous, "would_apply": would_apply}));
        }
        Ok(json!({"operations": prepared}))
    }

    /// Captures and journals as for a change, applies nothing, and lets the deadline pass: what follows is what follows a change that
    /// nobody confirms, so whoever hears the report knows that captures, journal and timer work.
    async fn rehearse(&mut self, id: &str, args: &Args) -> Managed {
        self.settle_due().await;
        self.admit(id)?;
        if self.journal.set(id).is_some() {
            return Ok(self.status(id));
        }
        let op = args.get("op").and_then(Value::as_str).ok_or_else(|| ToolError::invalid_args("args.op must name the tool"))?;
        let act = self.act(op).ok_or_else(|| ToolError::new(Code::UnknownOp, format!("this device cannot be changed by {op}")))?;
        let own = own_args(&Args(object(args.get("args").cloned().unwrap_or_default())));
        let (timeout, loss_after) = (seconds(args, "timeout_s", Some(1.0))?, seconds(args, "controller_loss_timeout", Some(LOSS_DEFAULT_S))?);
        let previous = timed(STEP_TIME, act.capture(own.clone())).await?;
        let hold = self.guard.armed(self.clock.now(), id, timeout, loss_after).map_err(|refusal| refused(id, &refusal))?;
        let Hold::Armed { deadline_ms, .. } = hold else { return Err(refused(id, &Refusal::NotHolding)) };
        let hash = section_hash(&previous);
        let result = json!({"rehearsing": true, "previous_hash": hash, "config_hash": hash, "deadline_ms": deadline_ms});
        let change = Change { id: format!("{id}/1"), op: op.into(), args: own, timeout };
        let guarding = Guarding { changeset_id: Some(id.into()), restores: None, timeout, loss_after };
        let mut record = self.with_operation(&change, &guarding, &hold, previous);
        if let Some(operation) = record.operations.last_mut() {
            operation.step = Step::Applied;
            operation.config_hash = Some(hash);
            operation.answer = Some(success(&change.id, result.clone()));
        }
        self.journal.save(record).await.map_err(|error| unwritable(&error))?;
        self.guard.enter(hold);
        Ok(result)
    }

    async fn commit(&mut self, id: &str) -> Managed {
        if let Some(set) = self.journal.set(id).filter(|set| set.state == SetState::Committed) {
            return Ok(committed(set.operations.iter().rev().find_map(|operation| operation.config_hash.clone())));
        }
        self.settle_due().await;
        self.guard.may_commit(self.clock.now(), id).map_err(|refusal| self.explain(id, &refusal))?;
        let Some(mut set) = self.journal.set(id).cloned() else { return Err(refused(id, &Refusal::NotHolding)) };
        set.state = SetState::Committed;
        set.changed_unix_ms = self.clock.now().unix_ms;
        let config_hash = set.operations.iter().rev().find_map(|operation| operation.config_hash.clone());
        self.journal.save(set).await.map_err(|error| {
            let message = format!("the change journal cannot be written, so the change stays unconfirmed: {error}");
            ToolError { message, ..unwritable(&error) }
        })?;
        self.guard.enter(Hold::Free);
        self.confirmed().await;
        Ok(committed(config_hash))
    }

    async fn rollback(&mut self, id: &str) -> Managed {
        if let Some(set) = self.journal.set(id).filter(|set| set.state == SetState::RolledBack) {
            return Ok(json!({"rolled_back": true, "restored_hash": set.restored_hash}));
        }
        match self.guard.hold() {
            Hold::Armed { changeset_id, .. } | Hold::Undoing { changeset_id, .. } if changeset_id == id => {}
            _ => return Err(self.explain(id, &Refusal::NotHolding)),
        }
        self.guard.undo(self.clock.now(), Reason::Requested);
        match self.undo_now().await {
            Ok(restored_hash) => Ok(json!({"rolled_back": true, "restored_hash": restored_hash})),
            Err(error) => {
                let failed = ToolError::new(Code::LlmRollbackFailed, format!("restoring failed and will be tried again: {}", error.message));
                Err(failed.with("changeset_id", id).with("cause", error.code).with("details", Value::Object(error.details)))
            }
        }
    }

    async fn extend(&mut self, id: &str, args: &Args) -> Managed {
        let timeout = seconds(args, "timeout_s", None)?;
        self.settle_due().await;
        let hold = self.guard.extended(self.clock.now(), id, timeout).map_err(|refusal| self.explain(id, &refusal))?;
        let Hold::Armed { deadline_ms, .. } = hold else { return Err(refused(id, &Refusal::NotHolding)) };
        let Some(mut set) = self.journal.set(id).cloned() else { return Err(refused(id, &Refusal::NotHolding)) };
        set.deadline_unix_ms = deadline_ms;
        self.journal
            .save(set)
            .await
            .map_err(|error| ToolError { message: format!("the change journal cannot be written, so the deadline stays: {error}"), ..unwritable(&error) })?;
        self.guard.enter(hold);
        Ok(json!({"deadline_ms": deadline_ms}))
    }

    fn status(&self, id: &str) -> Value {
        let Some(set) = self.journal.set(id) else { return json!({"state": "unknown"}) };
        let state = match set.state {
            SetState::Pending => "pending",
            SetState::Committed => "committed",
            SetState::RolledBack => "rolled_back",
            SetState::Unguarded => "unknown",
        };
        let mut status = json!({"state": state, "deadline_ms": set.deadline_unix_ms});
        let undoing = matches!(self.guard.hold(), Hold::Undoing { changeset_id, .. } if changeset_id == id);
        if undoing {
            status["undoing"] = json!(true);
        }
        if let Some(hash) = set.operations.iter().rev().find_map(|operation| operation.config_hash.as_ref()) {
            status["config_hash"] = json!(hash);
        }
        if let Some(first) = set.operations.first() {
            status["previous_hash"] = json!(section_hash(&first.previous));
        }
        if let Some(reason) = set.reason {
            status["reason"] = json!(reason);
        }
        if let Some(hash) = &set.restored_hash {
            status["restored_hash"] = json!(hash);
        }
        let operations = set.operations.iter().map(|operation| {
            json!({"command_id": operation.command_id, "op": operation.op, "applied": operation.step == Step::Applied,
                "config_hash": operation.config_hash, "previous_hash": section_hash(&operation.previous)})
        });
        status["operations"] = operations.collect();
        status
    }

    /// A deadline that has passed is carried out before anything that would come too late is answered.
    async fn settle_due(&mut self) {
        self.tick().await;
    }

    fn explain(&self, id: &str, refusal: &Refusal) -> ToolError {
        match self.journal.set(id) {
            Some(set) if set.state != SetState::Pending => ended(id, set.state),
            _ => refused(id, refusal),
        }
    }
}

fn committed(config_hash: Option<String>) -> Value {
    json!({"committed": true, "config_hash": config_hash})
}
