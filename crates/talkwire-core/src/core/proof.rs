//! The receipt of a change set: who asked, what was found, what was done, what it brought.

use super::Core;
use crate::changeset::{Changeset, Status};
use crate::effect::Save;
use crate::receipt;
use serde_json::{Value, json};

impl Core {
    /// Signs and keeps the receipt of a set that ended after an approval.
    pub(super) fn issue_receipt(&mut self, now_ms: i64, id: &str) {
        let Some(set) = self.sets.get(id).filter(|set| set.approved_by.is_some()) else { return };
        let tenant = set.tenant.to_string();
        let session = set.session_id.as_ref().and_then(|session_id| self.sessions.get(session_id));
        let asked = session
            .map(|session| json!({"who": session.asked_by, "words": session.user_request, "at_ms": session.created_at, "session_id": session.session_id}));
        let verdict = session.and_then(|session| session.verdict.as_ref());
        let operations = set.operations.iter().map(|operation| {
            json!({
                "device": operation.key.to_string(), "device_name": operation.device_name, "op": operation.op, "args": operation.args,
                "previous": operation.previous, "previous_hash": operation.previous_hash, "applied": operation.applied, "applied_hash": operation.applied_hash,
                "restored_hash": operation.restored_hash, "state": operation.state,
            })
        });
        let body = json!({
            "receipt_id": format!("r-{}", set.changeset_id),
            "changeset_id": set.changeset_id,
            "tenant": set.tenant, "site": set.site,
            "asked": asked,
            "evidence": verdict.map(|verdict| json!(verdict.evidence)),
            "hypothesis": verdict.map(|verdict| json!({"cause": verdict.cause, "confidence": verdict.confidence, "text": verdict.text})),
            "plan": {"title": set.title, "plan_hash": set.plan_hash, "auto_rollback_timeout_s": set.rollback_s, "expect": set.expect},
            "approval": {"by": set.approved_by, "at_ms": set.approved_ms, "plan_hash": set.plan_hash},
            "operations": operations.collect::<Vec<_>>(),
            "measured": {"before": set.before, "after": set.after},
            "outcome": {"status": set.status, "kind": set.outcome.as_ref().map(|outcome| &outcome.kind), "text": set.outcome.as_ref().map(|outcome| &outcome.text)},
            "history": set.history,
            "undo": undo_words(set),
            "issued_ms": now_ms,
        });
        let signed = receipt::sign(body, &self.key);
        if let Some(set) = self.sets.get_mut(id) {
            set.has_receipt = true;
        }
        self.audit(now_ms, &tenant, "system", "receipt.issued", id, json!({"signature": signed["signature"]["value"]}));
        self.save(Save::Receipt { changeset_id: id.into(), receipt: signed });
    }
}

fn undo_words(set: &Changeset) -> Value {
    if set.status == Status::Committed && set.restores_nothing() {
        json!({"possible": false, "how": "what was done leaves nothing that could be put back"})
    } else if set.status == Status::Committed {
        json!({"possible": true, "how": format!("talkwire changesets rollback {}, or Undo in the console", set.changeset_id)})
    } else {
        json!({"possible": false, "how": "nothing is left to undo: everything is as it was"})
    }
}
