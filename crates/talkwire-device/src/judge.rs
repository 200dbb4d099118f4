//! Asks the tools again and again whether the machine still has what they need, and says so when that changes.

use crate::core::Core;
use serde_json::{Value, json};
use std::sync::Arc;
use talkwire_proto::Code;
use talkwire_proto::op::canonical;

/// What became of one tool.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) op: String,
    pub(crate) before: bool,
    pub(crate) now: bool,
    pub(crate) reason: Option<String>,
}

impl Change {
    fn body(&self) -> Value {
        json!({"tool": self.op, "change_type": "availability", "old_value": self.before, "new_value": self.now, "reason": self.reason})
    }
}

/// Asks all of them every [`crate::DeviceConfig::support_period`].
pub(crate) async fn watch(core: Arc<Core>) {
    let Some(period) = core.config.support_period else { return };
    loop {
        tokio::time::sleep(period).await;
        judge(&core, None).await;
    }
}

/// Asks one tool at once, because it is called although it was lacking, or because it said that something is missing.
/// Whether anything changed.
pub(crate) async fn again(core: &Arc<Core>, op: &str) -> bool {
    core.config.support_period.is_some() && judge(core, Some(canonical(op).to_owned())).await
}

/// Whether an error says that the machine lacks something, so that the tool is asked again.
pub(crate) fn is_lacking(code: &str) -> bool {
    code == Code::LlmToolNotAvailable.as_str()
}

async fn judge(core: &Arc<Core>, only: Option<String>) -> bool {
    let asked = core.clone();
    // A tool may look at files to know.
    let changes = tokio::task::spawn_blocking(move || asked.catalog.judge(&asked.acts, only.as_deref())).await.unwrap_or_default();
    if changes.is_empty() {
        return false;
    }
    for change in &changes {
        tracing::info!(op = change.op, supported = change.now, reason = change.reason, "what the machine can do changed");
    }
    let bodies: Vec<Value> = changes.iter().map(Change::body).collect();
    core.voice.capability_update(&bodies);
    // At the next connect it is said in any case.
    if core.lost_since.borrow().is_none() {
        core.voice.attr(core.catalog.attr(&core.config));
    }
    true
}
