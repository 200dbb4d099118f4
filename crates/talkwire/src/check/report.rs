//! What the checks found, for people and for programs.

use super::evidence::Evidence;
use super::item::ITEMS;
use super::rules::commands::TO_COMMAND;
use serde_json::{Value, json};

/// What a rule says of the evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds; what was seen.
    Passed(String),
    /// It does not; what was seen instead.
    Failed(String),
    /// It could not be seen; why, and how to make it visible.
    Skipped(String),
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It holds.
    Passed,
    /// It does not.
    Failed,
    /// It could not be seen.
    Skipped,
}

impl Status {
    /// The word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// The sign for people.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Passed => "✓",
            Self::Failed => "✗",
            Self::Skipped => "·",
        }
    }
}

/// One check's ending.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The check's number.
    pub id: &'static str,
    /// What must hold.
    pub name: &'static str,
    /// How it ended.
    pub status: Status,
    /// What was seen, or why nothing was.
    pub detail: String,
    /// How to mend it; empty unless it failed.
    pub mend: &'static str,
}

/// All findings about one device.
#[derive(Debug, Clone)]
pub struct Report {
    /// Tenant, site and device id.
    pub device: String,
    /// The broker, without credentials.
    pub broker: String,
    /// When the check began, in Unix milliseconds.
    pub began_ms: i64,
    /// How long the device was watched, in seconds.
    pub seconds: f64,
    /// How many messages were heard.
    pub messages: usize,
    /// One per check, in the order of the table.
    pub findings: Vec<Finding>,
    /// Whether the check was ended before it was through.
    pub interrupted: bool,
    /// Why the device's credentials were not let in.
    pub login_refused: Option<String>,
}

/// The checks that need a command to reach the device.
const COMMANDED: [&str; 9] = ["B09", "B10", "C01", "C02", "C03", "C04", "C05", "R03", "R04"];

impl Report {
    /// Judges the evidence by every rule.
    pub fn judge(evidence: &Evidence, broker: &str) -> Self {
        let judged = ITEMS.iter().map(|item| {
            let (status, detail) = match (item.rule)(evidence) {
                Verdict::Passed(detail) => (Status::Passed, detail),
                Verdict::Failed(detail) => (Status::Failed, detail),
                Verdict::Skipped(_) if evidence.interrupted => (Status::Skipped, "interrupted before it could be seen".into()),
                Verdict::Skipped(detail) => (Status::Skipped, detail),
            };
            Finding { id: item.id, name: item.name, status, detail, mend: if status == Status::Failed { item.mend } else { "" } }
        });
        Self {
            device: evidence.key.to_string(),
            broker: broker.into(),
            began_ms: evidence.began_ms,
            seconds: evidence.watched.as_secs_f64(),
            messages: evidence.heard.len(),
            findings: judged.collect(),
            interrupted: evidence.interrupted,
            login_refused: evidence.login_refused().map(str::to_owned),
        }
    }

    /// What must not be overlooked: it says why much was skipped, and what to add.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.interrupted {
            notes.push("INTERRUPTED: only what was seen until then is judged".into());
        } else if COMMANDED.iter().all(|id| self.finding(id).is_none_or(|finding| finding.status == Status::Skipped)) {
            notes.push(format!("NO COMMAND WAS TESTED ({}): {TO_COMMAND}", COMMANDED.join(", ")));
        }
        if let Some(why) = &self.login_refused {
            notes.push(format!("THE DEVICE'S CREDENTIALS WERE REFUSED ({why}): correct --device-username and --device-password for S02, S04 and S05"));
        }
        notes
    }

    /// How many ended so.
    pub fn count(&self, status: Status) -> usize {
        self.findings.iter().filter(|finding| finding.status == status).count()
    }

    /// The finding of a check.
    pub fn finding(&self, id: &str) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.id == id)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let check = |finding: &Finding| json!({"id": finding.id, "name": finding.name, "status": finding.status.word(), "detail": finding.detail, "mend": finding.mend});
        json!({
            "passed": self.count(Status::Passed),
            "failed": self.count(Status::Failed),
            "skipped": self.count(Status::Skipped),
            "device": self.device,
            "broker": self.broker,
            "began_ms": self.began_ms,
            "seconds": (self.seconds * 10.0).round() / 10.0,
            "messages": self.messages,
            "interrupted": self.interrupted,
            "notes": self.notes(),
            "checks": self.findings.iter().map(check).collect::<Vec<_>>(),
        })
    }

    /// The line that sums it up.
    pub fn sum(&self) -> String {
        let counts = format!("{} passed, {} failed, {} skipped", self.count(Status::Passed), self.count(Status::Failed), self.count(Status::Skipped));
        [counts].into_iter().chain(self.notes()).collect::<Vec<_>>().join(" — ")
    }

    /// For people at a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            text += &format!("{} {} {}\n", finding.status.sign(), finding.id, finding.name);
            if finding.status != Status::Passed {
                text += &format!("      {}\n", finding.detail);
            }
            if !finding.mend.is_empty() {
                text += &format!("      → {}\n", finding.mend);
            }
        }
        text + &format!("\n{}: {}\n", self.device, self.sum())
    }
}
