//! Change sets: put forward, approved by a person, carried out, ended with a receipt.

use super::Core;
use super::commands::Wanted;
use crate::access::Principal;
use crate::catalogue::{Class, Permission, Restores, Risk};
use crate::changeset::{APPROVAL_MS, Changeset, Operation, OperationState, Order, Outcome, ROLLBACK_S, Report, Status, World, next_deadline, report};
use crate::command::{Command, Status as CommandStatus, Timings};
use crate::effect::{Effect, Notice, Save};
use crate::language::Language;
use crate::moves::{Proposal, ProposedOperation};
use crate::refusal::Refusal;
use crate::session::Session;
use serde_json::{Map, Value, json};
use talkwire_proto::command::CommandError;
use talkwire_proto::{Code, DeviceKey};

/// A set goes back when a device is unreachable for longer than this, in milliseconds.
const LOSS_MS: i64 = 30_000;

struct Around<'a>(&'a Core, &'a str);

impl World for Around<'_> {
    fn is_under_way(&self, key: &DeviceKey, op: &str) -> bool {
        self.0.life.open_of(key).any(|command| command.op == op && command.changeset_id.as_deref() == Some(self.1))
    }
    fn is_online(&self, key: &DeviceKey) -> bool {
        self.0.devices.get(key).is_some_and(|device| device.online)
    }
    fn argument(&self, command_id: &str, name: &str) -> Option<Value> {
        self.0.life.command(command_id).and_then(|command| command.args.get(name)).cloned()
    }
}

impl Core {
    /// The set that holds a device against others, if any.
    pub(super) fn holder(&self, key: &DeviceKey) -> Option<&Changeset> {
        self.sets.values().find(|set| set.status.holds_devices() && set.operations.iter().any(|operation| operation.key == *key))
    }

    pub(super) fn open_sets_of(&self, key: &DeviceKey) -> Vec<String> {
        let touches = |set: &&Changeset| !set.status.has_ended() && set.operations.iter().any(|operation| operation.key == *key);
        self.sets.values().filter(touches).map(|set| set.changeset_id.clone()).collect()
    }

    /// Puts a change forward. Nothing happens to any device.
    pub(super) fn propose(&mut self, now_ms: i64, by: &str, language: Language, session: Option<&Session>, proposal: Proposal) -> Result<String, Refusal> {
        let first = proposal.operations.first().ok_or_else(|| Refusal::new(Code::BadRequest, "a change set needs at least one operation"))?;
        let (tenant, site) = (first.device.tenant.clone(), first.device.site.clone());
        let (mut operations, mut risk, mut needs_admin, mut impact) = (Vec::new(), Risk::Low, false, String::new());
        if session.is_some_and(|session| session.tenant != tenant || session.site != site) {
            return Err(Refusal::new(Code::Forbidden, "a diagnosis may only put changes forward for the devices of its own site"));
        }
        for wanted in proposal.operations {
            let (operation, entry_risk, permission, text) = self.check_operation(&tenant, &site, wanted, language)?;
            // What neither the device nor anybody else can put back is an administrator's to decide.
            let no_way_back = !operation.undoes_itself && operation.undo_args.is_none();
            needs_admin |= permission == Permission::Admin || no_way_back;
            let entry_risk = if no_way_back { Risk::High } else { entry_risk };
            if entry_risk >= risk || impact.is_empty() {
                impact = text;
            }
            risk = risk.max(entry_risk);
            operations.push(operation);
        }
        let changeset_id = format!("cs-{}", self.ids.ulid(now_ms));
        let mut set = Changeset {
            plan_hash: Changeset::hash_plan(&operations, ROLLBACK_S, proposal.expect.as_ref()),
            changeset_id: changeset_id.clone(),
            status: Status::Draft,
            tenant,
            site,
            session_id: session.map(|session| session.session_id.clone()),
            title: proposal.title,
            reason: proposal.reason,
            language,
            risk,
            needs_admin,
            impact,
            operations,
            rollback_s: ROLLBACK_S,
            created_ms: now_ms,
            approve_before_ms: now_ms + APPROVAL_MS,
            deadline_ms: None,
            proposed_by: by.into(),
            approved_by: None,
            approved_ms: None,
            expect: proposal.expect,
            before: proposal.before,
            after: None,
            outcome: None,
            going_back: None,
            history: Vec::new(),
            has_receipt: false,
            restore_tries: 0,
            retry_ms: None,
        };
        set.enter(Status::Proposed, now_ms, "waiting for a person");
        self.audit(now_ms, set.tenant.clone().as_str(), by, "changeset.proposed", &changeset_id, json!({"plan_hash": set.plan_hash, "title": set.title}));
        self.sets.insert(changeset_id.clone(), set);
        self.keep_set(now_ms, &changeset_id);
        Ok(changeset_id)
    }

    fn check_operation(
        &self,
        tenant: &talkwire_proto::Tenant,
        site: &talkwire_proto::Site,
        wanted: ProposedOperation,
        language: Language,
    ) -> Result<(Operation, Risk, Permission, String), Refusal> {
        let key = wanted.device;
        let entry = self.catalogue.tool(&wanted.op).ok_or_else(|| Refusal::new(Code::UnknownOp, format!("no tool is called {:?}", wanted.op)))?;
        if entry.class != Class::Act {
            return Err(Refusal::new(Code::BadRequest, format!("{} changes nothing, so it does not belong in a change set", entry.op)));
        }
        entry.check(&wanted.args)?;
        if key.tenant != *tenant || key.site != *site {
            return Err(Refusal::new(Code::BadRequest, "all devices of a change set must be of one site"));
        }
        let device = self.devices.get(&key).ok_or_else(|| Refusal::new(Code::NotFound, format!("no device {key} is known")))?;
        if !device.can(&entry.op) {
            return Err(Refusal::new(Code::LlmToolNotAvailable, format!("{} does not offer {}", device.name, entry.op)));
        }
        if let Some(holder) = self.holder(&key) {
            let until = holder.deadline_ms.unwrap_or(holder.approve_before_ms);
            let message = format!("{} is held by change set {} ({}); decide on that one first", device.name, holder.changeset_id, holder.status.word());
            return Err(Refusal::new(Code::LlmChangesetConflict, message).with("changeset_id", holder.changeset_id.clone()).with("until_ms", until));
        }
        let operation = Operation {
            device_name: device.name.clone(),
            undoes_itself: device.undoes_itself(&entry.op),
            restores_nothing: entry.restores == Restores::Nothing,
            op: entry.op.clone(),
            args: wanted.args,
            undo_args: wanted.undo_args,
            label: wanted.label,
            before_text: wanted.before_text,
            after_text: wanted.after_text,
            state: OperationState::Planned,
            previous: Value::Null,
            previous_hash: None,
            applied: Value::Null,
            applied_hash: None,
            restored_hash: None,
            deadline_ms: None,
            error: None,
            command_id: None,
            applied_by: None,
            key,
        };
        Ok((operation, entry.risk, entry.permission, entry.impact.text(language).to_owned()))
    }

    pub(super) fn propose_by_hand(
        &mut self,
        now_ms: i64,
        who: &Principal,
        operations: Vec<(DeviceKey, String, Map<String, Value>)>,
        reason: &str,
    ) -> Result<Value, Refusal> {
        self.must_be(who, Permission::Config)?;
        let operations = operations.into_iter().map(|(device, op, args)| ProposedOperation {
            device,
            label: op.clone(),
            op,
            before_text: "?".into(),
            after_text: args.values().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect::<Vec<_>>().join(", "),
            args,
            undo_args: None,
        });
        let proposal = Proposal { title: reason.into(), reason: reason.into(), operations: operations.collect(), expect: None, before: None };
        let id = self.propose(now_ms, &who.label(), Language::En, None, proposal)?;
        Ok(json!(self.sets.get(&id)))
    }

    /// Only a person who proved who it is, with the permission, counts.
    fn must_be(&self, who: &Principal, permission: Permission) -> Result<(), Refusal> {
        if !who.is_person() {
            return Err(Refusal::new(Code::AuthRequired, "only a signed-in person may decide on a change; open the console, or send the owner's token"));
        }
        if !who.may(permission) {
            let needed = if permission == Permission::Admin { "an administrator" } else { "an operator" };
            return Err(Refusal::new(Code::LlmPermissionDenied, format!("this needs {needed}; ask somebody who is one")));
        }
        Ok(())
    }

    fn set_for(&mut self, now_ms: i64, who: &Principal, id: &str, action: &str) -> Result<Changeset, Refusal> {
        let set = self
            .sets
            .get(id)
            .cloned()
            .ok_or_else(|| Refusal::new(Code::NotFound, format!("no change set {} is known", id.chars().take(64).collect::<String>())))?;
        let permission = if set.needs_admin { Permission::Admin } else { Permission::Config };
        if let Err(refusal) = self.must_be(who, permission) {
            self.audit(now_ms, set.tenant.as_str(), &who.label(), &format!("changeset.{action}_refused"), id, json!({"code": refusal.code}));
            return Err(refusal);
        }
        Ok(set)
    }

    /// A person says yes to the exact plan.
    pub(super) fn approve(&mut self, now_ms: i64, who: &Principal, id: &str, plan_hash: &str) -> Result<Value, Refusal> {
        let mut set = self.set_for(now_ms, who, id, "approval")?;
        let refusal = if set.status == Status::Expired || (set.status == Status::Proposed && now_ms >= set.approve_before_ms) {
            Some(Refusal::new(Code::ApprovalExpired, "the proposal has expired; ask again and a new one is made"))
        } else if set.status != Status::Proposed {
            Some(Refusal::new(Code::ChangesetState, format!("the change set is {}; only a proposed one can be approved", set.status.word())))
        } else if set.plan_hash != plan_hash {
            Some(Refusal::new(Code::PlanHashMismatch, "the approval names another plan than the one proposed; read the card again and press Apply there"))
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.audit(now_ms, set.tenant.as_str(), &who.label(), "changeset.approval_refused", id, json!({"code": refusal.code}));
            return Err(refusal);
        }
        self.audit(now_ms, set.tenant.as_str(), &who.label(), "changeset.approved", id, json!({"plan_hash": plan_hash}));
        set.approved_by = Some(who.label());
        set.approved_ms = Some(now_ms);
        set.enter(Status::Approved, now_ms, format!("approved by {}", who.label()));
        self.sets.insert(id.into(), set);
        self.report(now_ms, id, Report::Tick);
        Ok(json!(self.sets.get(id)))
    }

    /// A person says no.
    pub(super) fn reject(&mut self, now_ms: i64, who: &Principal, id: &str) -> Result<Value, Refusal> {
        let set = self.set_for(now_ms, who, id, "rejection")?;
        if set.status != Status::Proposed {
            return Err(Refusal::new(Code::ChangesetState, format!("the change set is {}; only a proposed one can be rejected", set.status.word())));
        }
        self.audit(now_ms, set.tenant.as_str(), &who.label(), "changeset.rejected", id, Value::Null);
        self.close_unapplied(now_ms, id, Status::Rejected, "rejected");
        Ok(json!(self.sets.get(id)))
    }

    /// A person wants everything back.
    pub(super) fn roll_back(&mut self, now_ms: i64, who: &Principal, id: &str) -> Result<Value, Refusal> {
        let set = self.set_for(now_ms, who, id, "rollback")?;
        match set.status {
            Status::Proposed => return self.reject(now_ms, who, id),
            Status::RolledBack | Status::Rejected | Status::Expired => {
                return Err(Refusal::new(Code::ChangesetState, format!("the change set is {}; there is nothing to undo", set.status.word())));
            }
            Status::Committed if set.restores_nothing() => {
                return Err(Refusal::new(Code::ChangesetState, "what was done leaves nothing that could be put back"));
            }
            _ => {}
        }
        if set.status == Status::Committed
            && let Some(holder) = set.operations.iter().find_map(|operation| self.holder(&operation.key))
        {
            return Err(Refusal::new(Code::LlmChangesetConflict, format!("change set {} holds the device; decide on that one first", holder.changeset_id))
                .with("changeset_id", holder.changeset_id.clone()));
        }
        self.audit(now_ms, set.tenant.as_str(), &who.label(), "changeset.rollback", id, Value::Null);
        self.report(now_ms, id, Report::RollBack(who.label()));
        Ok(json!(self.sets.get(id)))
    }

    /// An administrator takes over what Talkwire could not undo: its devices are free again.
    pub(super) fn settle(&mut self, now_ms: i64, who: &Principal, id: &str) -> Result<Value, Refusal> {
        let set = self.set_for(now_ms, who, id, "settling")?;
        self.must_be(who, Permission::Admin)?;
        if set.status != Status::RollbackFailed {
            let why = format!("the change set is {}; only one whose undo failed is settled by hand", set.status.word());
            return Err(Refusal::new(Code::ChangesetState, why));
        }
        self.audit(now_ms, set.tenant.as_str(), &who.label(), "changeset.settled_by_hand", id, Value::Null);
        self.report(now_ms, id, Report::Settled(who.label()));
        Ok(json!(self.sets.get(id)))
    }

    pub(super) fn close_unapplied(&mut self, now_ms: i64, id: &str, status: Status, kind: &str) {
        if let Some(set) = self.sets.get_mut(id) {
            let text = match kind {
                "rejected" => set.language.pick("好的，什麼都沒有改。", "好的，什么都没有改。", "All right, nothing was changed."),
                _ => set.language.pick(
                    "沒有人同意，提議已失效。什麼都沒有改。",
                    "没有人同意，提议已失效。什么都没有改。",
                    "Nobody agreed in time, so the proposal has expired. Nothing was changed.",
                ),
            };
            set.outcome = Some(Outcome { kind: kind.into(), text: text.into() });
            set.enter(status, now_ms, kind);
        }
        self.keep_set(now_ms, id);
        self.changeset_ended(now_ms, id);
    }

    /// Tells a set what happened and carries out what it orders.
    pub(super) fn report(&mut self, now_ms: i64, id: &str, what: Report) {
        let Some(mut set) = self.sets.get(id).cloned() else { return };
        let before = set.clone();
        let orders = report(&mut set, now_ms, what, &Around(self, id));
        let changed = set != before;
        self.sets.insert(id.into(), set);
        if changed {
            self.keep_set(now_ms, id);
        }
        for order in orders {
            self.carry_out(now_ms, id, order);
        }
    }

    fn carry_out(&mut self, now_ms: i64, id: &str, order: Order) {
        match order {
            // An order may be older than an end that an earlier order of the same turn brought about.
            Order::Send { op, .. } if op != "changeset.rollback" && self.sets.get(id).is_none_or(|set| set.status.has_ended()) => {}
            Order::Send { key, op, args, operation } => {
                let mut wanted =
                    Wanted { key: key.clone(), op: op.clone(), args: args.clone(), changeset_id: Some(id.into()), ..Wanted::default_for(&Principal::System) };
                wanted.session_id = self.sets.get(id).and_then(|set| set.session_id.clone());
                let sent = self.submit(now_ms, wanted);
                let command_id = sent.as_ref().map_or_else(|_| format!("unsent-{}", self.ids.ulid(now_ms)), Clone::clone);
                if let (Some(at), Some(set)) = (operation, self.sets.get_mut(id)) {
                    set.operations[at].command_id = Some(command_id.clone());
                    self.keep_set(now_ms, id);
                }
                if let Err(refusal) = sent {
                    self.report(now_ms, id, Report::Ended(Box::new(unsent(now_ms, command_id, key, op, args, id, &refusal))));
                }
            }
            Order::Verify => {
                if let Some(session_id) = self.sets.get(id).and_then(|set| set.session_id.clone()) {
                    self.think(&session_id);
                }
            }
            Order::Alert(text) => {
                if let Some(tenant) = self.sets.get(id).map(|set| set.tenant.to_string()) {
                    self.audit(now_ms, &tenant, "system", "changeset.alert", id, json!({"code": Code::LlmRollbackFailed, "text": text}));
                }
            }
            Order::Ended => {
                self.issue_receipt(now_ms, id);
                self.keep_set(now_ms, id);
                self.changeset_ended(now_ms, id);
            }
        }
    }

    pub(super) fn keep_set(&mut self, now_ms: i64, id: &str) {
        let Some(set) = self.sets.get(id).cloned() else { return };
        let session_id = set.session_id.clone();
        let set = Box::new(set);
        self.out.push(Effect::Save(Save::Changeset(set.clone())));
        self.out.push(Effect::Notify(Notice::Changeset(set)));
        if let Some(session_id) = session_id {
            self.refresh_message(now_ms, &session_id);
        }
    }

    pub(super) fn tick_changesets(&mut self, now_ms: i64) {
        let late: Vec<_> =
            self.sets.values().filter(|set| set.status == Status::Proposed && set.approve_before_ms <= now_ms).map(|set| set.changeset_id.clone()).collect();
        for id in late {
            self.audit_set(now_ms, &id, "changeset.expired");
            self.close_unapplied(now_ms, &id, Status::Expired, "expired");
        }
        for (id, key) in self.losses(now_ms) {
            self.report(now_ms, &id, Report::Lost(key));
        }
        let due: Vec<_> = self.sets.values().filter(|set| next_deadline(set).is_some_and(|at| at <= now_ms)).map(|set| set.changeset_id.clone()).collect();
        for id in due {
            self.report(now_ms, &id, Report::Tick);
        }
        let old: Vec<_> =
            self.sets.values().filter(|set| set.status.has_ended() && set.created_ms < now_ms - 86_400_000).map(|set| set.changeset_id.clone()).collect();
        for id in old {
            self.sets.remove(&id);
        }
    }

    fn audit_set(&mut self, now_ms: i64, id: &str, action: &str) {
        if let Some(tenant) = self.sets.get(id).map(|set| set.tenant.to_string()) {
            self.audit(now_ms, &tenant, "system", action, id, Value::Null);
        }
    }

    fn armed(&self) -> impl Iterator<Item = (&Changeset, &DeviceKey, i64)> {
        let armed = self.sets.values().filter(|set| matches!(set.status, Status::Preparing | Status::Applied | Status::Verifying) && set.going_back.is_none());
        armed.flat_map(move |set| {
            let applied = set.operations.iter().filter(|operation| operation.state == OperationState::Applied);
            applied.filter_map(move |operation| {
                let device = self.devices.get(&operation.key).filter(|device| !device.online)?;
                Some((set, &operation.key, device.presence_since_ms + LOSS_MS))
            })
        })
    }

    fn losses(&self, now_ms: i64) -> Vec<(String, DeviceKey)> {
        self.armed().filter(|(_, _, at)| *at <= now_ms).map(|(set, key, _)| (set.changeset_id.clone(), key.clone())).collect()
    }

    pub(super) fn next_loss_ms(&self) -> Option<i64> {
        self.armed().map(|(_, _, at)| at).min()
    }
}

/// A command of a set that could not even be sent, in the form of one that the device refused.
fn unsent(now_ms: i64, id: String, key: DeviceKey, op: String, args: Map<String, Value>, changeset_id: &str, refusal: &Refusal) -> Command {
    Command {
        id,
        key,
        sent_op: op.clone(),
        op,
        version: "1.0".into(),
        args,
        status: CommandStatus::Rejected,
        result: None,
        error: Some(CommandError { code: refusal.code.to_string(), message: refusal.message.clone(), details: Map::new() }),
        progress: None,
        timings: Timings { created_ms: now_ms, ended_ms: Some(now_ms), ..Timings::default() },
        timeout_ms: 0,
        deadline_ms: None,
        resend_ms: None,
        attempts: 0,
        requested_by: "system".into(),
        session_id: None,
        trace_id: None,
        step_description: None,
        changeset_id: Some(changeset_id.into()),
        is_act: false,
        late: false,
    }
}
