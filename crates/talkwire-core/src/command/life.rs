//! The life of all commands: turns on a device, deadlines, retries with the same id, one end each, late results apart.

use super::{Command, Status};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use talkwire_proto::DeviceKey;
use talkwire_proto::command::{Ack, Answer, CommandError, Outcome};

/// Published again when not acknowledged after this time, in milliseconds; doubled each time.
const RESEND_MS: i64 = 2_000;
/// Published at most so often by the clock…
const ATTEMPTS: u32 = 4;
/// …and so often in all, with those after a device came back.
const PUBLISHES: u32 = 8;
/// Ended commands stay known for late and repeated results, at most so many…
const KNOWN: usize = 20_000;
/// …and so long, in milliseconds.
const KNOWN_MS: i64 = 86_400_000;

/// What an acknowledgement, a result or time did to a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It goes on.
    Updated(Command),
    /// It ended: now, and only once.
    Ended(Command),
    /// A result came after it had timed out.
    Late(Command),
    /// It must be published (again).
    Send(Command),
    /// Said before; nothing changed.
    Duplicate(Command),
    /// Nobody sent such a command, or to another device.
    Foreign {
        /// The id that was named.
        id: String,
        /// Who was asked, if anybody.
        asked: Option<DeviceKey>,
    },
}

/// All commands that may still change, and the recently ended.
#[derive(Debug, Clone, Default)]
pub struct Life {
    commands: BTreeMap<String, Command>,
    open: BTreeMap<DeviceKey, BTreeSet<String>>,
    due: BTreeSet<(i64, String)>,
    ended: VecDeque<(i64, String)>,
}

impl Life {
    /// Takes up a command from the store.
    pub fn resume(&mut self, command: Command) {
        let id = command.id.clone();
        if command.status.has_ended() {
            self.ended.push_back((command.timings.ended_ms.unwrap_or_default(), id.clone()));
        } else {
            self.open.entry(command.key.clone()).or_default().insert(id.clone());
            self.schedule(&command);
        }
        self.commands.insert(id, command);
    }

    /// A new command. It is sent at once when the device has room, else it waits for its turn.
    ///
    /// `limit`: how many of the tool the device runs at once, as it declared.
    pub fn submit(&mut self, now_ms: i64, command: Command, limit: Option<u64>) -> Change {
        let same_tool = |other: &Command| other.status != Status::Created && (other.op == command.op || (other.is_act && command.is_act));
        let running = self.open_of(&command.key).filter(|other| same_tool(other)).count() as u64;
        let limit = if command.is_act { 1 } else { limit.unwrap_or(u64::MAX).max(1) };
        let id = command.id.clone();
        self.open.entry(command.key.clone()).or_default().insert(id.clone());
        let waits = running >= limit;
        if waits {
            // A command that never gets its turn ends at its deadline all the same.
            let mut command = command;
            command.deadline_ms = Some(now_ms + command.timeout_ms as i64 * 2);
            self.schedule(&command);
            self.commands.insert(id, command.clone());
            return Change::Updated(command);
        }
        self.commands.insert(id.clone(), command);
        self.send(now_ms, &id)
    }

    fn send(&mut self, now_ms: i64, id: &str) -> Change {
        // Callers pass ids of commands that are in the map.
        let mut command = self.commands[id].clone();
        self.unschedule(&command);
        command.attempts += 1;
        if command.status == Status::Created {
            command.status = Status::Sent;
            command.timings.sent_ms = Some(now_ms);
            command.deadline_ms = Some(now_ms + command.timeout_ms as i64);
        }
        command.resend_ms = (command.status == Status::Sent && command.attempts < ATTEMPTS).then(|| now_ms + (RESEND_MS << (command.attempts - 1)));
        self.schedule(&command);
        self.commands.insert(id.into(), command.clone());
        Change::Send(command)
    }

    fn schedule(&mut self, command: &Command) {
        let at = command.deadline_ms.into_iter().chain(command.resend_ms).min();
        if let Some(at) = at {
            self.due.insert((at, command.id.clone()));
        }
    }

    fn unschedule(&mut self, command: &Command) {
        for at in command.deadline_ms.into_iter().chain(command.resend_ms) {
            self.due.remove(&(at, command.id.clone()));
        }
    }

    fn known(&self, id: &str, from: &DeviceKey) -> Result<Command, Box<Change>> {
        match self.commands.get(id) {
            Some(command) if command.key == *from => Ok(command.clone()),
            other => Err(Box::new(Change::Foreign { id: id.chars().take(128).collect(), asked: other.map(|command| command.key.clone()) })),
        }
    }

    fn keep(&mut self, before: &Command, command: Command) -> Command {
        self.unschedule(before);
        if command.status.has_ended() {
            if let Some(open) = self.open.get_mut(&command.key) {
                open.remove(&command.id);
                if open.is_empty() {
                    self.open.remove(&command.key);
                }
            }
            let at = command.timings.ended_ms.unwrap_or_default();
            self.ended.push_back((at, command.id.clone()));
            self.forget(at);
        } else {
            self.schedule(&command);
        }
        self.commands.insert(command.id.clone(), command.clone());
        command
    }

    /// Lets go of commands that ended long ago, or when there are too many.
    fn forget(&mut self, now_ms: i64) {
        while self.ended.len() > KNOWN || self.ended.front().is_some_and(|(at, _)| *at < now_ms - KNOWN_MS) {
            if let Some((_, id)) = self.ended.pop_front() {
                self.commands.remove(&id);
            }
        }
    }

    /// The device took a command, or did not.
    pub fn ack(&mut self, now_ms: i64, from: &DeviceKey, ack: Ack) -> Change {
        let before = match self.known(&ack.id, from) {
            Ok(command) => command,
            Err(foreign) => return *foreign,
        };
        let mut command = before.clone();
        match (command.status, ack.accepted) {
            (Status::Sent, true) => {
                (command.status, command.resend_ms, command.timings.acked_ms) = (Status::Acked, None, Some(now_ms));
                Change::Updated(self.keep(&before, command))
            }
            (Status::Sent | Status::Acked, false) => {
                let reason = ack.reason.unwrap_or_else(|| "the device did not take the command".into());
                command.error = Some(CommandError { code: "E_DEVICE".into(), message: reason, details: Default::default() });
                (command.status, command.timings.ended_ms) = (Status::Rejected, Some(now_ms));
                Change::Ended(self.keep(&before, command))
            }
            _ => Change::Duplicate(command),
        }
    }

    /// The device reports progress or a result.
    pub fn answer(&mut self, now_ms: i64, from: &DeviceKey, answer: Answer) -> Change {
        let before = match self.known(&answer.id, from) {
            Ok(command) => command,
            Err(foreign) => return *foreign,
        };
        let mut command = before.clone();
        let Some(outcome) = answer.outcome else {
            if command.status.has_ended() || command.status == Status::Created {
                return Change::Duplicate(command);
            }
            command.progress = answer.progress_percent.map(|percent| json!(percent)).or(answer.progress_text.map(Value::String));
            (command.status, command.resend_ms) = (Status::Acked, None);
            command.timings.acked_ms.get_or_insert(now_ms);
            return Change::Updated(self.keep(&before, command));
        };
        // A change that was made in part was not made.
        let changes = command.is_act || command.changeset_id.is_some();
        let done = outcome == Outcome::Completed || (outcome == Outcome::Partial && !changes);
        let late = command.status == Status::TimedOut;
        if (command.status.has_ended() && !late) || command.status == Status::Created {
            return Change::Duplicate(command);
        }
        command.result = answer.result;
        command.error = answer
            .error
            .or_else(|| (!done).then(|| CommandError { code: "E_DEVICE".into(), message: "the device gave no reason".into(), details: Default::default() }));
        command.late = late;
        command.status = match (done, late, outcome) {
            (true, false, _) => Status::Completed,
            (true, true, _) => Status::CompletedLate,
            (false, true, _) => Status::FailedLate,
            (false, false, Outcome::Cancelled) => Status::Cancelled,
            (false, false, _) => Status::Failed,
        };
        if late {
            self.commands.insert(command.id.clone(), command.clone());
            return Change::Late(command);
        }
        command.timings.ended_ms = Some(now_ms);
        Change::Ended(self.keep(&before, command))
    }

    /// Somebody stops waiting.
    pub fn cancel(&mut self, now_ms: i64, id: &str, why: &str) -> Option<Change> {
        let before = self.commands.get(id).filter(|command| !command.status.has_ended())?.clone();
        let mut command = before.clone();
        command.error = Some(CommandError { code: "E_CANCELLED".into(), message: why.into(), details: Default::default() });
        (command.status, command.timings.ended_ms) = (Status::Cancelled, Some(now_ms));
        Some(Change::Ended(self.keep(&before, command)))
    }

    /// What is due: time-outs, retries, and commands whose turn has come.
    pub fn due(&mut self, now_ms: i64) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some((at, id)) = self.due.first().cloned().filter(|(at, _)| *at <= now_ms) {
            self.due.remove(&(at, id.clone()));
            let Some(before) = self.commands.get(&id).filter(|command| !command.status.has_ended()).cloned() else { continue };
            if before.deadline_ms.is_some_and(|deadline| deadline <= now_ms) {
                let mut command = before.clone();
                let waited = command.timeout_ms / 1000;
                let message = if command.timings.acked_ms.is_some() {
                    format!("the device took the command but gave no result in {waited} s")
                } else {
                    format!("the device did not answer in {waited} s")
                };
                command.error = Some(CommandError { code: "E_TIMEOUT".into(), message, details: Default::default() });
                (command.status, command.timings.ended_ms) = (Status::TimedOut, Some(now_ms));
                changes.push(Change::Ended(self.keep(&before, command)));
            } else {
                changes.push(self.send(now_ms, &id));
            }
        }
        self.forget(now_ms);
        changes
    }

    /// After a command ended: the next one that waits for the same device, when there is room.
    pub fn next_turn(&mut self, now_ms: i64, ended: &Command) -> Option<Change> {
        let waits = |other: &&Command| other.status == Status::Created && (other.op == ended.op || (other.is_act && ended.is_act));
        let id = self.open_of(&ended.key).find(waits)?.id.clone();
        Some(self.send(now_ms, &id))
    }

    /// After a device came back: its open commands again, with the same ids.
    pub fn resend_to(&mut self, now_ms: i64, key: &DeviceKey) -> Vec<Change> {
        let may = |command: &&Command| command.status != Status::Created && command.attempts < PUBLISHES;
        let ids: Vec<_> = self.open_of(key).filter(may).map(|command| command.id.clone()).collect();
        ids.iter().map(|id| self.send(now_ms, id)).collect()
    }

    /// Commands that have not ended, per device oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Command> {
        self.open.values().flatten().filter_map(|id| self.commands.get(id))
    }

    /// Commands of a device that have not ended, oldest first.
    pub fn open_of(&self, key: &DeviceKey) -> impl Iterator<Item = &Command> {
        self.open.get(key).into_iter().flatten().filter_map(|id| self.commands.get(id))
    }

    /// A command that is still known.
    pub fn command(&self, id: &str) -> Option<&Command> {
        self.commands.get(id)
    }

    /// When something is due next, in Unix milliseconds.
    pub fn next_deadline(&self) -> Option<i64> {
        self.due.first().map(|(at, _)| *at)
    }
}
