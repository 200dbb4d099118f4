//! Undoing: what was there before runs again, in reverse order, and what happened is reported until somebody has heard it.

use super::{Keeper, STEP_TIME, own_args, timed};
use crate::guard::{Hold, Reason};
use crate::journal::{Operation, SetState, Step};
use crate::section::section_hash;
use crate::tool::{Args, ToolError};
use serde_json::{Value, json};
use talkwire_proto::Code;
use talkwire_proto::event::Severity;

/// An event that must arrive.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    /// Names the report when it has arrived ([`Keeper::reported`]).
    pub(crate) key: String,
    pub(crate) event_type: &'static str,
    pub(crate) severity: Severity,
    pub(crate) data: Value,
}

impl Keeper {
    /// Takes hold of the newest set that the journal has pending, to undo it.
    pub(super) fn hold_pending(&mut self) {
        if *self.guard.hold() == Hold::Free
            && let Some(set) = self.journal.pending().first()
        {
            let now = self.clock.now();
            self.guard.enter(Hold::Undoing {
                changeset_id: set.changeset_id.clone(),
                reason: Reason::Restart,
                deadline_ms: set.deadline_unix_ms,
                failures: 0,
                retry_at: now.steady,
            });
        }
    }

    /// Does what is due. Returns whether anything was.
    pub(crate) async fn tick(&mut self) -> bool {
        let mut did = false;
        if let Err(error) = self.journal.settle().await {
            tracing::warn!(%error, "the journal is behind");
        }
        while let Some(reason) = self.guard.due(self.clock.now()) {
            self.guard.undo(self.clock.now(), reason);
            let done = self.undo_now().await;
            did = true;
            if done.is_err() {
                break;
            }
            self.hold_pending();
        }
        did
    }

    /// Undoes what is unconfirmed, because the process is about to end.
    pub(crate) async fn stop(&mut self) {
        self.guard.undo(self.clock.now(), Reason::Restart);
        while let Hold::Undoing { .. } = self.guard.hold() {
            if self.undo_now().await.is_err() {
                return;
            }
        }
    }

    /// One attempt to restore the set that holds the device. Returns the hash of what was restored last.
    pub(super) async fn undo_now(&mut self) -> Result<String, ToolError> {
        let Hold::Undoing { changeset_id, .. } = self.guard.hold().clone() else {
            return Err(ToolError::new(Code::Internal, "nothing is being undone"));
        };
        let operations = self.journal.set(&changeset_id).map(|set| set.operations.clone()).unwrap_or_default();
        let mut restored_hash = String::new();
        for operation in operations.iter().rev().filter(|operation| operation.step != Step::Undone) {
            match self.restore(operation).await {
                Ok(hash) => restored_hash = hash,
                Err(error) => {
                    self.attempt_failed(&error);
                    return Err(error);
                }
            }
        }
        if restored_hash.is_empty() {
            restored_hash = operations.first().map(|operation| section_hash(&operation.previous)).unwrap_or_default();
        }
        if self.end_undone(restored_hash.clone()).await {
            Ok(restored_hash)
        } else {
            Err(ToolError::new(Code::JournalUnavailable, "restored, but the journal cannot be written; the device stays held until it can"))
        }
    }

    /// Makes the section of before run again and proves it by the hash.
    pub(super) async fn restore(&self, operation: &Operation) -> Result<String, ToolError> {
        let Some(act) = self.act(&operation.op) else {
            return Err(ToolError::new(Code::LlmRollbackFailed, format!("this software no longer has {}, so it cannot restore what it changed", operation.op)));
        };
        let wanted = section_hash(&operation.previous);
        // What a change left as it was needs no touching, as long as that still runs.
        if operation.config_hash.as_ref() == Some(&wanted) && !operation.previous.is_null() {
            let now = timed(STEP_TIME, act.clone().capture(own_args(&Args(operation.args.clone())))).await;
            if now.is_ok_and(|now| section_hash(&now) == wanted) {
                return Ok(wanted);
            }
        }
        let now = timed(STEP_TIME, act.restore(operation.previous.clone())).await?;
        let found = section_hash(&now);
        if wanted == found {
            Ok(found)
        } else {
            let error = ToolError::new(Code::LlmRollbackFailed, format!("after restoring {} the device runs something else than before", operation.op));
            Err(error.with("wanted_hash", wanted).with("found_hash", found).with("found", now))
        }
    }

    /// Ends the set that is being undone, once everything of it is restored. `false`: the journal refused; it is tried again.
    pub(super) async fn end_undone(&mut self, restored_hash: String) -> bool {
        let Hold::Undoing { changeset_id, reason, failures, .. } = self.guard.hold().clone() else { return false };
        let Some(mut set) = self.journal.set(&changeset_id).cloned() else { return false };
        set.state = SetState::RolledBack;
        set.reason = Some(reason);
        set.restored_hash = Some(restored_hash);
        set.changed_unix_ms = self.clock.now().unix_ms;
        // What the controller asked for it learns from the answer, unless that said that it failed.
        set.unreported = !matches!(reason, Reason::Requested | Reason::ApplyFailed) || failures > 0;
        match self.journal.save(set).await {
            Ok(()) => {
                tracing::info!(changeset_id, ?reason, "change undone");
                self.failures.remove(&changeset_id);
                self.guard.enter(Hold::Free);
                true
            }
            Err(error) => {
                self.attempt_failed(&ToolError::new(Code::JournalUnavailable, error.to_string()));
                false
            }
        }
    }

    pub(super) fn attempt_failed(&mut self, error: &ToolError) {
        let now = self.clock.now();
        self.guard.undo_failed(now);
        let Hold::Undoing { changeset_id, reason, failures, retry_at, .. } = self.guard.hold().clone() else { return };
        tracing::error!(changeset_id, %error, failures, "restoring failed");
        let retry_after_ms = u64::try_from(retry_at.saturating_sub(now.steady).as_millis()).unwrap_or(u64::MAX);
        let data = json!({
            "changeset_id": changeset_id, "reason": reason, "attempt": failures, "retry_after_ms": retry_after_ms,
            "error": {"code": Code::LlmRollbackFailed.as_str(), "message": error.message, "cause": error.code, "details": error.details},
        });
        let key = format!("failed/{failures}/{changeset_id}");
        self.failures.insert(changeset_id, Report { key, event_type: "changeset.rollback_failed", severity: Severity::Critical, data });
    }

    /// The events that nobody has heard yet; each is handed out once until [`Keeper::reported`] says how it went.
    pub(crate) fn reports(&mut self) -> Vec<Report> {
        let ended = self.journal.sets().filter(|set| set.unreported).map(|set| {
            let data = json!({"changeset_id": set.changeset_id, "reason": set.reason, "restored_hash": set.restored_hash});
            Report { key: format!("ended/{}", set.changeset_id), event_type: "changeset.rolled_back", severity: Severity::Warning, data }
        });
        let unreadable = self.journal.unreadable().iter().map(|name| {
            let data = json!({"file": name, "message": "an entry of the change journal cannot be read; a change may be in force that nobody confirmed"});
            Report { key: format!("unreadable/{name}"), event_type: "changeset.journal_unreadable", severity: Severity::Critical, data }
        });
        let waiting: Vec<_> = ended.chain(unreadable).chain(self.failures.values().cloned()).collect();
        waiting.into_iter().filter(|report| self.on_their_way.insert(report.key.clone())).collect()
    }

    /// A report arrived, or could not be sent.
    pub(crate) async fn reported(&mut self, key: &str, arrived: bool) {
        self.on_their_way.remove(key);
        if !arrived {
            return;
        }
        if let Some(id) = key.strip_prefix("ended/")
            && let Some(mut set) = self.journal.set(id).cloned()
        {
            set.unreported = false;
            if let Err(error) = self.journal.save(set).await {
                tracing::warn!(%error, "the journal could not note that an event arrived; it will be sent again");
            }
        } else if let Some(name) = key.strip_prefix("unreadable/") {
            self.journal.unreadable_reported(name).await;
        } else {
            self.failures.retain(|_, report| report.key != key);
        }
        self.journal.prune(self.clock.now().steady, self.kept_through()).await;
    }
}
