//! Commands: what may be sent to whom, and what comes of the answers.

use super::Core;
use crate::access::Principal;
use crate::catalogue::Class;
use crate::changeset::Report;
use crate::command::{Change, Command, Status, Timings};
use crate::effect::{Effect, Notice, Publish, Save};
use crate::refusal::Refusal;
use serde_json::{Map, Value, json};
use talkwire_proto::command::{Expect, Request};
use talkwire_proto::envelope::Trace;
use talkwire_proto::{Code, DeviceKey, DeviceTail, Topic, limits, op};

/// Longest time-out that a caller may ask for, in milliseconds.
const TIMEOUT_MOST_MS: u64 = 600_000;

/// A command that somebody wants sent.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub key: DeviceKey,
    pub op: String,
    pub args: Map<String, Value>,
    pub timeout_ms: Option<u64>,
    pub who: Principal,
    pub session_id: Option<String>,
    pub trace_id: Option<String>,
    pub step_description: Option<String>,
    pub changeset_id: Option<String>,
}

impl Wanted {
    /// A command of a door. The key is replaced by the caller.
    pub fn default_for(who: &Principal) -> Self {
        let key = "home/home/device".parse().expect("a valid key");
        Self {
            key,
            op: String::new(),
            args: Map::new(),
            timeout_ms: None,
            who: who.clone(),
            session_id: None,
            trace_id: None,
            step_description: None,
            changeset_id: None,
        }
    }
}

impl Core {
    /// Checks and sends a command; returns its id.
    pub(super) fn submit(&mut self, now_ms: i64, wanted: Wanted) -> Result<String, Refusal> {
        let name = op::canonical(&wanted.op).to_owned();
        let entry = self.catalogue.tool(&name).ok_or_else(|| {
            Refusal::new(
                Code::UnknownOp,
                format!("no tool is called {:?}; GET /api/v1/tools lists them", wanted.op.chars().take(limits::WORD_CHARS).collect::<String>()),
            )
        })?;
        let in_set = wanted.changeset_id.is_some() && wanted.who == Principal::System;
        match entry.class {
            Class::Act if !in_set => {
                let hint = format!("{name} changes a device, so it is put forward with POST /api/v1/changesets and approved by a person");
                return Err(Refusal::new(Code::ActNeedsChangeset, hint));
            }
            Class::Manage if !in_set => return Err(Refusal::new(Code::Forbidden, format!("{name} is sent by Talkwire itself; use /api/v1/changesets"))),
            Class::Read | Class::Test if !wanted.who.may(entry.permission) => {
                return Err(Refusal::new(Code::LlmPermissionDenied, format!("you may not use {name}")));
            }
            _ => {}
        }
        // What was there before a change was never anybody's argument; the device has it in its journal.
        let from_journal = in_set && wanted.args.contains_key("restores");
        if entry.class != Class::Manage && !from_journal {
            let added = ["changeset_id", "auto_rollback_timeout", "controller_loss_timeout"];
            let own: Map<_, _> =
                wanted.args.iter().filter(|(name, _)| !(in_set && added.contains(&name.as_str()))).map(|(name, value)| (name.clone(), value.clone())).collect();
            entry.check(&own)?;
        }
        let device = self
            .devices
            .get(&wanted.key)
            .ok_or_else(|| Refusal::new(Code::NotFound, format!("no device {} is known; GET /api/v1/devices lists them", wanted.key)))?;
        let (sent_op, support) = if entry.class == Class::Manage {
            (name.clone(), None)
        } else {
            let missing = |reason: &str| {
                Refusal::new(Code::LlmToolNotAvailable, format!("{} does not offer {name}: {reason}", device.name))
                    .with("requested_tool", name.clone())
                    .with("reason", reason)
                    .with("alternative_tools", json!(entry.alternatives))
            };
            let (sent_op, support) = device.tool(&name).ok_or_else(|| missing("not declared"))?;
            if let Some(support) = support.filter(|support| !support.supported) {
                return Err(missing(support.reason.as_deref().unwrap_or("not available now")));
            }
            (sent_op, support.cloned())
        };
        if !device.online {
            return Err(Refusal::new(Code::DeviceOffline, format!("{} is not connected; try again when it is back", device.name)));
        }
        let limit = support.as_ref().and_then(|support| support.limitations.get("concurrent_limit")).and_then(Value::as_u64);
        let declared =
            support.and_then(|support| support.version).filter(|version| version.bytes().all(|b| b.is_ascii_digit() || b == b'.') && version.contains('.'));
        let command = Command {
            id: self.ids.ulid(now_ms),
            key: wanted.key,
            op: name,
            sent_op,
            version: declared.unwrap_or_else(|| entry.version.clone()),
            args: wanted.args,
            status: Status::Created,
            result: None,
            error: None,
            progress: None,
            timings: Timings { created_ms: now_ms, ..Timings::default() },
            timeout_ms: wanted.timeout_ms.unwrap_or(entry.timeout_ms).clamp(100, TIMEOUT_MOST_MS),
            deadline_ms: None,
            resend_ms: None,
            attempts: 0,
            requested_by: wanted.who.label(),
            session_id: wanted.session_id,
            trace_id: wanted.trace_id,
            step_description: wanted.step_description,
            changeset_id: wanted.changeset_id,
            is_act: entry.class == Class::Act,
            late: false,
        };
        let id = command.id.clone();
        if command.is_act {
            let detail = json!({"op": command.op, "args": command.args, "changeset_id": command.changeset_id, "device": command.key.to_string()});
            self.audit(now_ms, command.key.tenant.clone().as_str(), &command.requested_by, "command.act", &id, detail);
        }
        let change = self.life.submit(now_ms, command, limit);
        self.command_changed(now_ms, change);
        Ok(id)
    }

    pub(super) fn cancel_command(&mut self, now_ms: i64, who: &Principal, id: &str) -> Result<Value, Refusal> {
        let known = self.life.command(id).ok_or_else(|| Refusal::new(Code::NotFound, format!("no command {id} is known")))?;
        if known.is_act || known.changeset_id.is_some() {
            return Err(Refusal::new(Code::Forbidden, "a command of a change set is not cancelled; roll the set back instead"));
        }
        if !who.may_stop(&known.requested_by) {
            return Err(Refusal::new(Code::Forbidden, format!("only {} or an operator stops this command", known.requested_by)));
        }
        if let Some(change) = self.life.cancel(now_ms, id, "cancelled on demand") {
            self.command_changed(now_ms, change);
        }
        Ok(json!(self.life.command(id)))
    }

    /// What a device's acknowledgement or answer led to.
    pub(super) fn command_answered(&mut self, now_ms: i64, from: &DeviceKey, change: Change) {
        if let Some(device) = self.devices.get_mut(from) {
            match &change {
                Change::Duplicate(_) => device.diagnostics.duplicate_results += 1,
                Change::Late(_) => device.diagnostics.late_results += 1,
                Change::Foreign { .. } => device.diagnostics.foreign_results += 1,
                _ => {}
            }
        }
        if let Change::Foreign { id, asked } = &change {
            let detail = json!({"code": Code::ForeignResult, "asked": asked.as_ref().map(ToString::to_string)});
            self.audit(now_ms, from.tenant.as_str(), &format!("device:{from}"), "command.foreign_result", id, detail);
            self.save_device(now_ms, from);
        }
        self.command_changed(now_ms, change);
    }

    pub(super) fn command_changed(&mut self, now_ms: i64, change: Change) {
        match change {
            Change::Send(command) => {
                self.publish_request(now_ms, &command);
                self.keep_command(&command);
                self.step_started(now_ms, &command);
            }
            Change::Updated(command) => {
                self.keep_command(&command);
                self.step_progressed(now_ms, &command);
            }
            Change::Late(command) => {
                self.keep_command(&command);
                if let Some(changeset_id) = command.changeset_id.clone() {
                    self.report(now_ms, &changeset_id, Report::Late(Box::new(command)));
                }
            }
            Change::Ended(command) => {
                self.keep_command(&command);
                if let Some(next) = self.life.next_turn(now_ms, &command) {
                    self.command_changed(now_ms, next);
                }
                self.step_ended(now_ms, &command);
                if let Some(changeset_id) = command.changeset_id.clone() {
                    self.report(now_ms, &changeset_id, Report::Ended(Box::new(command)));
                }
            }
            Change::Duplicate(_) | Change::Foreign { .. } => {}
        }
    }

    fn keep_command(&mut self, command: &Command) {
        self.out.push(Effect::Save(Save::Command(Box::new(command.clone()))));
        self.out.push(Effect::Notify(Notice::Command(Box::new(command.clone()))));
    }

    fn publish_request(&mut self, now_ms: i64, command: &Command) {
        let Some(device) = self.devices.get_mut(&command.key) else { return };
        device.diagnostics.messages_sent += 1;
        let trace = command.session_id.as_ref().map(|session_id| Trace {
            session_id: session_id.clone(),
            trace_id: command.trace_id.clone().unwrap_or_default(),
            parent_trace_id: None,
            step_description: command.step_description.clone(),
        });
        let request = Request {
            id: command.id.clone(),
            op: command.sent_op.clone(),
            args: command.args.clone(),
            timeout_ms: Some(command.timeout_ms),
            expect: Expect::Result,
            trace,
            authorization: command.is_act.then(|| {
                // The device sees that a person said yes; the proof stays in our audit.
                let approved = json!({"user_confirmed": true, "risk_acknowledged": true, "changeset_id": command.changeset_id});
                approved.as_object().cloned().unwrap_or_default()
            }),
            version: command.version.clone(),
        };
        let message = request.encode(device.envelope, now_ms);
        // A device that comes back later must not carry out what nobody waits for any more.
        let left = command.deadline_ms.map_or(command.timeout_ms, |at| u64::try_from(at - now_ms).unwrap_or(0).max(1));
        self.publish(Publish::json(Topic::Device(command.key.clone(), DeviceTail::CmdReq), &message).useful_for(left));
    }
}
