//! Diagnosis sessions: opened by a complaint, moved on by the mind, shown in the chat as they go.

use super::Core;
use super::commands::Wanted;
use crate::access::Principal;
use crate::catalogue::Class;
use crate::changeset::{Report, Status as SetStatus, view};
use crate::command::{Command, Status as CommandStatus};
use crate::effect::{Effect, Notice, Save};
use crate::input::Understood;
use crate::moves::Move;
use crate::refusal::Refusal;
use crate::session::{CLEANUP_MS, CONCURRENT_TOOLS, DURATION_MS, Phase, Session, SessionStatus, Step, StepError, StepStatus, VerdictKind};
use serde_json::{Value, json};
use talkwire_proto::chat::{Part, StepView};
use talkwire_proto::{Code, DeviceKey, Site, Tenant, op};

/// Most sessions of one site at a time.
const ACTIVE_PER_SITE: usize = 8;
/// Most steps of a session.
const STEPS: usize = 200;

/// Where the answer of a session goes in the chat.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub room: String,
    pub request_message_id: String,
}

impl Core {
    /// Opens a diagnosis for a complaint.
    pub(super) fn open_session(
        &mut self,
        now_ms: i64,
        who: &Principal,
        text: &str,
        place: Option<(String, String)>,
        understood: Understood,
        answer_in: Option<Place>,
    ) -> Result<String, Refusal> {
        let (tenant, site) = self.settle_place(place, text)?;
        let active = self.sessions.values().filter(|session| session.status == SessionStatus::Active && session.tenant == tenant && session.site == site);
        if active.count() >= ACTIVE_PER_SITE {
            return Err(Refusal::new(Code::RateLimited, format!("{ACTIVE_PER_SITE} diagnoses are already running here; wait for one to end, or stop one")));
        }
        let session_id = format!("s-{}", self.ids.ulid(now_ms));
        let is_complaint = understood.view.intent != "other";
        let mut session = Session {
            session_id: session_id.clone(),
            tenant,
            site,
            created_at: now_ms,
            ended_at: None,
            user_request: text.into(),
            asked_by: who.label(),
            status: SessionStatus::Active,
            steps: Vec::new(),
            intent: understood.view,
            verdict: None,
            changeset_id: None,
            room: answer_in.as_ref().map(|place| place.room.clone()),
            message_id: None,
            request_message_id: answer_in.map(|place| place.request_message_id),
            opening: understood.words,
            closing: String::new(),
        };
        if !is_complaint {
            session.status = SessionStatus::Completed;
            session.ended_at = Some(now_ms);
            session.closing = std::mem::take(&mut session.opening);
        }
        self.audit(now_ms, session.tenant.clone().as_str(), &who.label(), "session.opened", &session_id, json!({"intent": session.intent.intent}));
        self.sessions.insert(session_id.clone(), session);
        self.keep_session(now_ms, &session_id);
        if is_complaint {
            self.think(&session_id);
        }
        Ok(session_id)
    }

    /// Which tenant and site a complaint is about: as said, or the only one there is.
    pub(super) fn settle_place(&self, place: Option<(String, String)>, text: &str) -> Result<(Tenant, Site), Refusal> {
        if let Some((tenant, site)) = place {
            let wrong = |error: talkwire_proto::id::BadId| Refusal::new(Code::BadRequest, error.to_string());
            let place = (tenant.parse().map_err(wrong)?, site.parse().map_err(wrong)?);
            let has_devices = self.devices.keys().any(|key| key.tenant == place.0 && key.site == place.1);
            let unknown =
                || Refusal::new(Code::NotFound, format!("no device has joined at {}/{}; GET /api/v1/devices lists those that have", place.0, place.1));
            return if has_devices { Ok(place) } else { Err(unknown()) };
        }
        let sites = self.sites();
        let named: Vec<_> = sites.iter().filter(|(_, site)| text.to_lowercase().contains(site.as_str())).collect();
        match (sites.as_slice(), named.as_slice()) {
            ([], _) => Err(Refusal::new(Code::NotFound, "no device has joined yet; start one with `talkwire home run FILE`, or `talkwire demo`")),
            ([only], _) => Ok(only.clone()),
            (_, [only]) => Ok((*only).clone()),
            _ => {
                let names: Vec<_> = sites.iter().map(|(tenant, site)| format!("{tenant}/{site}")).collect();
                Err(Refusal::new(Code::BadRequest, format!("which place is meant? give tenant and site; known are {}", names.join(", ")))
                    .with("sites", json!(names)))
            }
        }
    }

    /// All tenants and sites that have devices.
    pub(super) fn sites(&self) -> Vec<(Tenant, Site)> {
        let mut sites: Vec<_> = self.devices.keys().map(|key| (key.tenant.clone(), key.site.clone())).collect();
        sites.dedup();
        sites
    }

    pub(super) fn cancel_session(&mut self, now_ms: i64, who: &Principal, id: &str) -> Result<Value, Refusal> {
        let session = self.sessions.get(id).ok_or_else(|| Refusal::new(Code::NotFound, format!("no session {id} is known")))?;
        if session.status != SessionStatus::Active {
            return Ok(json!(session));
        }
        if !who.may_stop(&session.asked_by) {
            return Err(Refusal::new(Code::Forbidden, format!("only {} or an operator stops this diagnosis", session.asked_by)));
        }
        let text = session.intent.language.pick("好，已停止這次診斷。", "好，已停止这次诊断。", "All right, I stopped this diagnosis.").to_owned();
        self.audit(now_ms, session.tenant.clone().as_str(), &who.label(), "session.cancelled", id, Value::Null);
        self.end_session(now_ms, id, SessionStatus::Cancelled, text);
        Ok(json!(self.sessions.get(id)))
    }

    fn end_session(&mut self, now_ms: i64, id: &str, status: SessionStatus, closing: String) {
        let Some(session) = self.sessions.get_mut(id).filter(|session| session.status == SessionStatus::Active) else { return };
        session.status = status;
        session.ended_at = Some(now_ms);
        if !closing.is_empty() {
            session.closing = closing;
        }
        let mut stopped = Vec::new();
        for step in session.steps.iter_mut().filter(|step| !step.status.has_ended()) {
            step.status = StepStatus::Skipped;
            step.completed_at = Some(now_ms);
            step.error = Some(StepError { code: "E_CANCELLED".into(), message: "the session ended first".into() });
            stopped.extend(step.command_id.clone());
        }
        let set = session.changeset_id.clone();
        for command_id in stopped {
            if let Some(change) = self.life.cancel(now_ms, &command_id, "the session ended first") {
                self.command_changed(now_ms, change);
            }
        }
        self.keep_session(now_ms, id);
        if let Some(set) = set.filter(|_| status != SessionStatus::Completed) {
            self.abandon(now_ms, &set, status == SessionStatus::Cancelled);
        }
    }

    /// The diagnosis behind a set is gone: nobody will measure, so nothing may stay.
    fn abandon(&mut self, now_ms: i64, set: &str, by_person: bool) {
        match self.sets.get(set).map(|set| set.status) {
            Some(SetStatus::Proposed) if by_person => self.close_unapplied(now_ms, set, SetStatus::Rejected, "rejected"),
            Some(SetStatus::Proposed) => self.close_unapplied(now_ms, set, SetStatus::Expired, "expired"),
            Some(SetStatus::Applied | SetStatus::Verifying) if !by_person => self.report(now_ms, set, Report::Judged(None)),
            Some(SetStatus::Approved | SetStatus::Preparing | SetStatus::Applied | SetStatus::Verifying) => {
                self.report(now_ms, set, Report::RollBack("system".into()));
            }
            _ => {}
        }
    }

    /// Asks the mind for the next moves of a session. While devices of the place are on their way back after a start it is asked
    /// later: who has not come back yet is not gone, and what was measured before the stop still counts.
    pub(super) fn think(&mut self, id: &str) {
        if self.sessions.get(id).is_some_and(|session| self.is_settling(&session.tenant, &session.site)) {
            return;
        }
        self.out.push(Effect::Think(id.into()));
    }

    /// Takes up the sessions of all places whose devices are back, or are waited for no longer.
    pub(super) fn think_where_all_are_back(&mut self) {
        let active = self.sessions.values().filter(|session| session.status == SessionStatus::Active);
        for id in active.map(|session| session.session_id.clone()).collect::<Vec<_>>() {
            self.think(&id);
        }
    }

    pub(super) fn tick_sessions(&mut self, now_ms: i64) {
        let late: Vec<_> = self
            .sessions
            .values()
            .filter(|session| session.status == SessionStatus::Active && now_ms - session.created_at >= DURATION_MS)
            .map(|session| session.session_id.clone())
            .collect();
        for id in late {
            let language = self.sessions[&id].intent.language;
            let text = language.pick(
                "這次診斷花太久了，我先停在這裡。請再問一次。",
                "这次诊断花太久了，我先停在这里。请再问一次。",
                "This diagnosis took too long, so I stopped here. Please ask again.",
            );
            self.end_session(now_ms, &id, SessionStatus::TimedOut, format!("{text} ({})", Code::LlmSessionTimeout));
        }
        self.sessions.retain(|_, session| session.ended_at.is_none_or(|ended| now_ms - ended < CLEANUP_MS));
    }

    /// Carries out what the mind asks for, each move under the same rules as a person's request.
    pub(super) fn apply_moves(&mut self, now_ms: i64, id: &str, moves: Vec<Move>) {
        for one in moves {
            if self.sessions.get(id).is_none_or(|session| session.status != SessionStatus::Active) {
                return;
            }
            self.apply_move(now_ms, id, one);
        }
        self.start_waiting(now_ms, id);
        self.keep_session(now_ms, id);
    }

    fn apply_move(&mut self, now_ms: i64, id: &str, one: Move) {
        match one {
            Move::Call { key, phase, device, op, args, description, after } => {
                let Some(session) = self.sessions.get_mut(id) else { return };
                if session.step(&key).is_some() || session.steps.len() >= STEPS {
                    return;
                }
                let parent = after.and_then(|key| session.step(&key).map(|step| step.trace_id.clone()));
                let device_name = self.devices.get(&device).map_or_else(|| device.device_id.shown(), |device| device.name.clone());
                session.steps.push(Step { parent_trace_id: parent, args, ..new_step(session.steps.len(), key, phase, &device, device_name, &op, description) });
                if phase == Phase::Verify {
                    self.begin_verifying(now_ms, id);
                }
            }
            Move::Skip { key, phase, device, op, description, code, reason } => {
                let Some(session) = self.sessions.get_mut(id) else { return };
                if session.step(&key).is_some() || session.steps.len() >= STEPS {
                    return;
                }
                let device = device.unwrap_or_else(|| no_device(session));
                let name = self.devices.get(&device).map_or_else(|| "—".into(), |device| device.name.clone());
                let step = new_step(session.steps.len(), key, phase, &device, name, &op, description);
                session.steps.push(Step { status: StepStatus::Skipped, completed_at: Some(now_ms), error: Some(StepError { code, message: reason }), ..step });
            }
            Move::Summarise { key, summary } => {
                if let Some(step) = self.sessions.get_mut(id).and_then(|session| session.steps.iter_mut().find(|step| step.key == key)) {
                    step.summary = Some(summary);
                }
            }
            Move::Conclude(verdict) => {
                if let Some(session) = self.sessions.get_mut(id).filter(|session| session.verdict.is_none()) {
                    let spoken = verdict.text.clone();
                    let detail = json!({"kind": verdict.kind, "cause": verdict.cause, "confidence": verdict.confidence});
                    session.verdict = Some(verdict);
                    let tenant = session.tenant.to_string();
                    self.audit(now_ms, &tenant, "assistant", "session.verdict", id, detail);
                    self.speak_in_room(now_ms, id, &spoken);
                }
            }
            Move::Propose(proposal) => {
                let Some(session) = self.sessions.get(id).filter(|session| session.changeset_id.is_none()).cloned() else { return };
                let title = proposal.title.clone();
                match self.propose(now_ms, "assistant", session.intent.language, Some(&session), proposal) {
                    Ok(changeset_id) => {
                        if let Some(session) = self.sessions.get_mut(id) {
                            session.changeset_id = Some(changeset_id);
                        }
                        let hint = session.intent.language.pick("請在控制台按「套用」。", "请在控制台按“应用”。", "Press Apply in the console.");
                        self.speak_in_room(now_ms, id, &format!("{title} {hint}"));
                    }
                    Err(refusal) => {
                        let words = session.intent.language.pick(
                            "我有一個建議，但現在不能提出：",
                            "我有一个建议，但现在不能提出：",
                            "I have a proposal, but cannot put it forward now: ",
                        );
                        self.end_session(now_ms, id, SessionStatus::Completed, format!("{words}{} ({})", refusal.message, refusal.code));
                    }
                }
            }
            Move::Judge { after } => {
                if let Some(changeset_id) = self.sessions.get(id).and_then(|session| session.changeset_id.clone()) {
                    self.report(now_ms, &changeset_id, Report::Judged(after));
                }
            }
            Move::Finish { text } => {
                self.speak_in_room(now_ms, id, &text);
                self.end_session(now_ms, id, SessionStatus::Completed, text);
            }
        }
    }

    fn begin_verifying(&mut self, now_ms: i64, session_id: &str) {
        let Some(id) = self.sessions.get(session_id).and_then(|session| session.changeset_id.clone()) else { return };
        if let Some(set) = self.sets.get_mut(&id).filter(|set| set.status == SetStatus::Applied && set.going_back.is_none()) {
            set.enter(SetStatus::Verifying, now_ms, "measured again");
            self.keep_set(now_ms, &id);
        }
    }

    /// A change set of a session ended: the session ends with it.
    pub(super) fn changeset_ended(&mut self, now_ms: i64, changeset_id: &str) {
        let Some(set) = self.sets.get(changeset_id) else { return };
        let (session_id, text) = (set.session_id.clone(), set.outcome.as_ref().map_or_else(String::new, |outcome| outcome.text.clone()));
        if let Some(session_id) = session_id {
            self.speak_in_room(now_ms, &session_id, &text);
            self.end_session(now_ms, &session_id, SessionStatus::Completed, text);
            self.refresh_message(now_ms, &session_id);
        }
    }

    /// Starts steps that wait, as far as the session's limit allows.
    fn start_waiting(&mut self, now_ms: i64, id: &str) {
        loop {
            let Some(session) = self.sessions.get_mut(id).filter(|session| session.status == SessionStatus::Active && session.running() < CONCURRENT_TOOLS)
            else {
                return;
            };
            let Some(at) = session.steps.iter().position(|step| step.status == StepStatus::Waiting) else { return };
            session.steps[at].status = StepStatus::Running;
            let step = session.steps[at].clone();
            let key = DeviceKey { tenant: session.tenant.clone(), site: session.site.clone(), device_id: step.device_id.clone() };
            let class = self.catalogue.tool(&step.tool).map(|entry| entry.class);
            let sent = if matches!(class, Some(Class::Act | Class::Manage)) {
                Err(Refusal::new(Code::LlmPermissionDenied, format!("{} changes a device; the assistant may only put it forward", step.tool)))
            } else {
                let wanted = Wanted {
                    key,
                    op: step.tool.clone(),
                    args: step.args.clone(),
                    session_id: Some(id.into()),
                    trace_id: Some(step.trace_id.clone()),
                    step_description: Some(step.step_description.clone()),
                    ..Wanted::default_for(&Principal::Assistant)
                };
                self.submit(now_ms, wanted)
            };
            let Some(step) = self.sessions.get_mut(id).map(|session| &mut session.steps[at]) else { return };
            match sent {
                Ok(command_id) => step.command_id = Some(command_id),
                Err(refusal) => {
                    step.status = StepStatus::Failed;
                    step.completed_at = Some(now_ms);
                    step.error = Some(StepError { code: refusal.code.to_string(), message: refusal.message });
                    self.think(id);
                }
            }
        }
    }

    fn step_of(&mut self, command: &Command) -> Option<&mut Step> {
        let trace_id = command.trace_id.as_ref()?;
        self.sessions.get_mut(command.session_id.as_ref()?)?.steps.iter_mut().find(|step| step.trace_id == *trace_id)
    }

    pub(super) fn step_started(&mut self, now_ms: i64, command: &Command) {
        if let Some(step) = self.step_of(command).filter(|step| step.started_at.is_none()) {
            step.started_at = Some(now_ms);
            step.command_id = Some(command.id.clone());
        }
    }

    pub(super) fn step_progressed(&mut self, now_ms: i64, command: &Command) {
        let Some(progress) = command.progress.as_ref().and_then(Value::as_f64) else { return };
        if let Some(step) = self.step_of(command).filter(|step| step.status == StepStatus::Running) {
            step.progress = Some(progress);
            let session_id = command.session_id.clone().unwrap_or_default();
            self.refresh_message(now_ms, &session_id);
        }
    }

    pub(super) fn step_ended(&mut self, now_ms: i64, command: &Command) {
        let (Some(session_id), Some(step)) = (command.session_id.clone(), self.step_of(command)) else { return };
        if step.status.has_ended() {
            return;
        }
        step.completed_at = Some(now_ms);
        step.progress = None;
        if command.status == CommandStatus::Completed {
            step.status = StepStatus::Completed;
            step.result = Some(command.result.clone().unwrap_or(Value::Null));
        } else {
            step.status = StepStatus::Failed;
            let (code, message) =
                command.error.as_ref().map_or_else(|| ("E_DEVICE".to_owned(), String::new()), |error| (error.code.clone(), error.message.clone()));
            step.error = Some(StepError { code, message });
        }
        self.start_waiting(now_ms, &session_id);
        self.keep_session(now_ms, &session_id);
        self.think(&session_id);
    }

    pub(super) fn keep_session(&mut self, now_ms: i64, id: &str) {
        let Some(session) = self.sessions.get(id).cloned() else { return };
        let session = Box::new(session);
        self.out.push(Effect::Save(Save::Session(session.clone())));
        self.out.push(Effect::Notify(Notice::Session(session)));
        self.refresh_message(now_ms, id);
    }

    /// The parts of the assistant's message for a session, as it stands now.
    pub(super) fn session_parts(&self, session: &Session) -> Vec<Part> {
        let mut parts = vec![Part::Understanding { intent: session.intent.intent.clone(), confidence: session.intent.confidence }];
        if !session.steps.is_empty() {
            let steps = session.steps.iter().map(step_view).collect();
            parts.push(Part::Steps { diagnosis_id: session.session_id.clone(), steps });
        }
        if let Some(verdict) = &session.verdict {
            let kind = match verdict.kind {
                VerdictKind::Fault => "fault",
                VerdictKind::Healthy => "healthy",
                VerdictKind::Inconclusive => "inconclusive",
            };
            parts.push(Part::Cause {
                verdict: kind.into(),
                cause: verdict.cause.clone(),
                text: verdict.text.clone(),
                confidence: verdict.confidence,
                evidence: verdict.evidence.clone(),
                rivals: verdict.rivals.clone(),
            });
            if let Some(chart) = &verdict.chart {
                parts.push(Part::Chart { title: chart.title.clone(), unit: chart.unit.clone(), points: chart.points.clone() });
            }
        }
        if let Some(set) = session.changeset_id.as_ref().and_then(|id| self.sets.get(id)) {
            parts.push(Part::Changeset(Box::new(view(set))));
        }
        parts
    }
}

fn step_view(step: &Step) -> StepView {
    let status = match step.status {
        StepStatus::Waiting => "waiting",
        StepStatus::Running => "running",
        StepStatus::Completed => "completed",
        StepStatus::Failed => "failed",
        StepStatus::Skipped => "skipped",
    };
    StepView {
        trace_id: step.trace_id.clone(),
        tool: step.tool.clone(),
        title: step.step_description.clone(),
        device_id: step.device_id.to_string(),
        device_name: step.device_name.clone(),
        status: status.into(),
        progress: step.progress,
        started_at: step.started_at,
        completed_at: step.completed_at,
        summary: step.summary.clone(),
        error: step.error.as_ref().map(|error| format!("{} ({})", error.message, error.code)),
    }
}

fn new_step(count: usize, key: String, phase: Phase, device: &DeviceKey, device_name: String, tool: &str, description: String) -> Step {
    let tool = op::canonical(tool).to_owned();
    Step {
        trace_id: format!("{}-step-{:02}", tool.replace(['.', '_'], "-"), count + 1),
        parent_trace_id: None,
        key,
        phase,
        tool,
        device_id: device.device_id.clone(),
        device_name,
        step_description: description,
        status: StepStatus::Waiting,
        args: Default::default(),
        started_at: None,
        completed_at: None,
        progress: None,
        result: None,
        summary: None,
        error: None,
        command_id: None,
    }
}

/// The key of a step that has no device.
fn no_device(session: &Session) -> DeviceKey {
    // "none" is a valid device id by its form.
    DeviceKey { tenant: session.tenant.clone(), site: session.site.clone(), device_id: "none".parse().expect("a valid id") }
}
