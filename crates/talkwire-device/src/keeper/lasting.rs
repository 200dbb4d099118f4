//! After a boot: what was confirmed and the machine forgot is put back, as soon as it can be, and what came of it is reported.

use super::undo::Report;
use super::{Keeper, STEP_TIME, timed};
use crate::guard::Hold;
use crate::journal::{SetState, Step};
use crate::section::section_hash;
use crate::standing::Entry;
use crate::tool::ToolError;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use talkwire_proto::Code;
use talkwire_proto::event::Severity;

/// How long after an attempt that failed the next one comes; ports and daemons may come up late. It doubles from try to try.
const AGAIN: Duration = Duration::from_secs(5);
const AGAIN_AT_MOST: Duration = Duration::from_secs(300);
/// The attempt whose failure is reported: by then, more than a minute after the boot, nobody is just late.
const REPORTED_AT: u32 = 5;

/// Where putting back stands.
#[derive(Debug, Default)]
pub(super) struct PutBack {
    /// The journal may have confirmed something that [`crate::standing::Standing`] does not have.
    behind: bool,
    /// Whether this process itself applied what it takes over, so that it runs in the present boot.
    ran_here: bool,
    /// The earliest moment of the next attempt.
    at: Duration,
    failures: u32,
}

impl PutBack {
    /// At the start: what the last process confirmed may not be taken over yet.
    pub(super) fn at_start() -> Self {
        Self { behind: true, ..Self::default() }
    }
}

impl Keeper {
    /// Something was confirmed just now.
    pub(super) async fn confirmed(&mut self) {
        self.put_back.behind = true;
        self.absorb().await;
    }

    /// The number up to which the journal may forget what was confirmed.
    pub(super) fn kept_through(&self) -> u64 {
        if self.put_back.behind { self.standing.through() } else { u64::MAX }
    }

    /// How long until the next attempt to put something back is due.
    pub(super) fn put_back_in(&self) -> Option<Duration> {
        let waits = self.put_back.behind || (*self.guard.hold() == Hold::Free && !self.standing.owed().is_empty());
        waits.then(|| self.put_back.at.saturating_sub(self.clock.now().steady))
    }

    /// Puts back what is owed. While a set holds the device it waits: nothing is changed beneath a change that nobody confirmed yet.
    pub(crate) async fn put_back(&mut self) {
        let now = self.clock.now().steady;
        if now < self.put_back.at {
            return;
        }
        self.absorb().await;
        if *self.guard.hold() != Hold::Free {
            return;
        }
        let (mut running, mut stuck, mut failed) = (Vec::new(), BTreeSet::new(), Vec::new());
        for entry in self.standing.owed() {
            // Later ones of the same op may lie over earlier ones, so their order is kept.
            if stuck.contains(&entry.op) {
                continue;
            }
            match self.put_back_one(&entry).await {
                Ok(()) => running.push(entry),
                Err(error) => {
                    stuck.insert(entry.op.clone());
                    failed.push((entry, error));
                }
            }
        }
        if !running.is_empty() {
            if let Err(error) = self.standing.runs(&running).await {
                tracing::warn!(%error, "it could not be noted that what was confirmed runs again; the next start puts it back once more");
                self.wait(now);
            }
            for entry in running {
                tracing::info!(op = entry.op, place = entry.place, "what was confirmed before the boot runs again");
                let data = json!({"op": entry.op, "place": entry.place, "changeset_id": entry.changeset_id, "config_hash": entry.config_hash});
                self.tell("config.put_back", Severity::Info, &entry, data);
            }
        }
        if failed.is_empty() {
            return;
        }
        self.wait(now);
        for (entry, error) in failed {
            tracing::warn!(op = entry.op, place = entry.place, %error, attempt = self.put_back.failures, "what was confirmed before the boot does not run yet");
            if self.put_back.failures == REPORTED_AT {
                let error = json!({"code": error.code, "message": error.message, "details": error.details});
                let data = json!({"op": entry.op, "place": entry.place, "changeset_id": entry.changeset_id, "config_hash": entry.config_hash, "error": error});
                self.tell("config.put_back_failed", Severity::Warning, &entry, data);
            }
        }
    }

    fn wait(&mut self, now: Duration) {
        self.put_back.failures = self.put_back.failures.saturating_add(1);
        let wait = AGAIN.saturating_mul(1 << (self.put_back.failures - 1).min(10)).min(AGAIN_AT_MOST);
        self.put_back.at = now + wait;
    }

    async fn put_back_one(&self, entry: &Entry) -> Result<(), ToolError> {
        let act = self.act(&entry.op).ok_or_else(|| ToolError::new(Code::UnknownOp, format!("this software no longer has {}", entry.op)))?;
        let now = timed(STEP_TIME, act.put_back(entry.section.clone())).await?;
        let found = section_hash(&now);
        if found == entry.config_hash {
            return Ok(());
        }
        let error = ToolError::failed(format!("after putting {} back the device runs something else than was confirmed", entry.op));
        Err(error.with("wanted_hash", entry.config_hash.clone()).with("found_hash", found).with("found", now))
    }

    fn tell(&mut self, event_type: &'static str, severity: Severity, entry: &Entry, data: Value) {
        let key = format!("{event_type}/{}/{}", entry.op, entry.place);
        self.failures.insert(key.clone(), Report { key, event_type, severity, data });
    }

    /// Takes over from the journal what was confirmed.
    async fn absorb(&mut self) {
        if !self.put_back.behind {
            return;
        }
        let mut sets: Vec<_> = self.journal.sets().filter(|set| set.state == SetState::Committed && set.number > self.standing.through()).collect();
        sets.sort_by_key(|set| set.number);
        let through = sets.last().map_or(0, |set| set.number);
        let boot = self.standing.boot().filter(|_| self.put_back.ran_here);
        let mut fresh = Vec::new();
        for set in sets {
            for operation in set.operations.iter().filter(|operation| operation.step == Step::Applied) {
                let section = operation.answer.as_ref().and_then(|answer| answer.result.as_ref()).and_then(|result| result.get("applied"));
                let Some((section, act)) = section.zip(self.act(&operation.op)) else { continue };
                let Some(place) = act.lasting(section) else { continue };
                let (op, changeset_id) = (operation.op.clone(), set.changeset_id.clone());
                fresh.push(Entry { op, place, section: section.clone(), config_hash: section_hash(section), changeset_id, boot: boot.clone() });
            }
        }
        if !fresh.is_empty()
            && let Err(error) = self.standing.take(fresh, through).await
        {
            tracing::error!(%error, "what was confirmed could not be kept for after a boot; it is tried again");
            self.put_back.at = self.clock.now().steady + AGAIN;
            return;
        }
        (self.put_back.behind, self.put_back.ran_here) = (false, true);
    }
}
