//! Plays a session: carries out moves as the core does, with answers from a table instead of devices.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use talkwire_agent::Mind;
use talkwire_core::Catalogue;
use talkwire_core::changeset::{Changeset, Operation, OperationState, Status};
use talkwire_core::device::Device;
use talkwire_core::moves::{Brief, Move, Proposal};
use talkwire_core::session::{Phase, Session, SessionStatus, Step, StepError, StepStatus, Verdict};
use talkwire_proto::capability::ToolSupport;
use talkwire_proto::{DeviceId, DeviceKey};

/// What a device answers: successive samples, the last one for ever.
pub type Answers = BTreeMap<String, Vec<Result<Value, String>>>;

/// A session with its devices.
pub struct Play {
    pub session: Session,
    pub devices: Vec<Device>,
    pub catalogue: Catalogue,
    pub changeset: Option<Changeset>,
    /// Sets that went back lately because they did not help.
    pub futile: Vec<Changeset>,
    pub answers: Answers,
    pub proposals: Vec<Proposal>,
    pub judged: Option<Option<f64>>,
    asked: BTreeMap<String, usize>,
}

pub const ROUTER: &str = "020000000001";
pub const LIVING: &str = "020000000002";
pub const LAPTOP: &str = "02000000a001";

const ROUTER_TOOLS: &[&str] = &[
    "device.status",
    "system.get_hardware_info",
    "system.get_logs",
    "network.interface_status",
    "clients.list",
    "clients.health",
    "wifi.get_environment",
    "wifi.signal_map",
    "mesh.get_topology",
    "traffic.get_top_talkers",
    "qos.get_status",
    "dhcpdns.get_config",
    "dhcpdns.scan_rogue",
    "name.resolve_test",
    "diagnostics.wan_connectivity",
    "diagnostics.latency_matrix",
    "network.trace_route",
    "network.speedtest_full",
    "mesh.backhaul_test",
    "wifi.roaming_test",
    "wifi.set_channel",
    "wifi.set_power",
    "wifi.client_disconnect",
    "qos.apply_policy",
    "dhcpdns.set",
    "system.restart_service",
];
const AP_TOOLS: &[&str] = &[
    "device.status",
    "system.get_hardware_info",
    "system.get_logs",
    "clients.list",
    "wifi.get_environment",
    "diagnostics.latency_matrix",
    "wifi.set_channel",
    "wifi.set_power",
    "wifi.client_disconnect",
    "system.restart_service",
];
const CLIENT_TOOLS: &[&str] = &["device.status", "network.speedtest_full", "diagnostics.latency_matrix", "name.resolve_test", "network.trace_route"];

/// A device of the test home.
pub fn device(id: &str, name: &str, kind: &str, tools: &[&str]) -> Device {
    let key = DeviceKey { tenant: "home".parse().unwrap(), site: "living".parse().unwrap(), device_id: id.parse().unwrap() };
    let mut device = Device::unknown(key, 0);
    device.name = name.into();
    device.device_type = kind.into();
    let support = |tool: &&str| {
        let mut support = ToolSupport::plain();
        support.version = Some("1.0".into());
        support.rollback_supported = Some(true);
        ((*tool).to_owned(), support)
    };
    device.tools = tools.iter().map(support).collect();
    device
}

impl Play {
    /// The home of `healthy.json` and a complaint.
    pub fn new(intent: &str, language: &str, request: &str, slots: Value) -> Self {
        let session = json!({
            "session_id": "s1", "tenant": "home", "site": "living", "created_at": 0, "user_request": request, "asked_by": "alice",
            "status": "active", "steps": [], "intent": {"intent": intent, "language": language, "confidence": 0.9, "slots": slots},
        });
        let healthy: Map<String, Value> = serde_json::from_str(include_str!("../cases/healthy.json")).expect("healthy.json reads");
        Self {
            session: serde_json::from_value(session).expect("a session"),
            devices: vec![
                device(ROUTER, "router", "router", ROUTER_TOOLS),
                device(LIVING, "ap-living", "access_point", AP_TOOLS),
                device(LAPTOP, "mei-laptop", "client", CLIENT_TOOLS),
            ],
            catalogue: Catalogue::builtin(),
            changeset: None,
            futile: Vec::new(),
            answers: healthy.into_iter().map(|(key, value)| (key, vec![Ok(value)])).collect(),
            proposals: Vec::new(),
            judged: None,
            asked: BTreeMap::new(),
        }
    }

    /// The first answer of a tool on a device, to be changed.
    pub fn answer(&mut self, key: &str) -> &mut Value {
        match self.answers.get_mut(key).unwrap_or_else(|| panic!("no answer {key}")).first_mut() {
            Some(Ok(value)) => value,
            _ => panic!("{key} has no result"),
        }
    }

    /// Changes a value within an answer.
    pub fn set(&mut self, key: &str, pointer: &str, value: Value) -> &mut Self {
        let place = self.answer(key).pointer_mut(pointer).unwrap_or_else(|| panic!("{key} has no {pointer}"));
        *place = value;
        self
    }

    /// Lets a tool fail.
    pub fn fail(&mut self, key: &str, code: &str) -> &mut Self {
        self.answers.insert(key.into(), vec![Err(code.into())]);
        self
    }

    /// The moves for the record as it stands.
    pub fn next(&self, mind: &Mind) -> Vec<Move> {
        let devices: Vec<&Device> = self.devices.iter().collect();
        mind.next(&Brief {
            session: &self.session,
            devices: &devices,
            changeset: self.changeset.as_ref(),
            futile: &self.futile.iter().collect::<Vec<_>>(),
            catalogue: &self.catalogue,
            now_ms: 1,
        })
    }

    /// Runs until nothing more happens by itself.
    pub fn run(&mut self, mind: &Mind) -> &mut Self {
        for _ in 0..600 {
            let moves = self.next(mind);
            let again = self.next(mind);
            assert_eq!(moves, again, "the same record leads to the same moves");
            let news = self.apply(moves);
            let ended = self.answer_one();
            if !news && !ended {
                return self;
            }
        }
        panic!("the session does not come to an end");
    }

    fn apply(&mut self, moves: Vec<Move>) -> bool {
        let mut news = false;
        for one in moves {
            match one {
                Move::Call { key, phase, device, op, args, description, .. } => {
                    assert!(self.session.step(&key).is_none(), "{key} is asked twice");
                    let entry = self.catalogue.tool(&op).unwrap_or_else(|| panic!("{op} is no tool"));
                    assert!(matches!(entry.class, talkwire_core::catalogue::Class::Read | talkwire_core::catalogue::Class::Test), "{op} must not be called");
                    entry.check(&args).unwrap_or_else(|refusal| panic!("{key}: {refusal}"));
                    assert!(!description.is_empty());
                    self.push(key, phase, device.device_id, op, args, description, StepStatus::Waiting, None);
                }
                Move::Skip { key, phase, device, op, description, code, reason } => {
                    assert!(code.starts_with("E_LLM_") && !reason.is_empty());
                    let id = device.map_or_else(|| "-".parse().unwrap(), |device| device.device_id);
                    let error = Some(StepError { code, message: reason });
                    self.push(key, phase, id, op, Map::new(), description, StepStatus::Skipped, error);
                }
                Move::Summarise { key, summary } => {
                    assert!(!summary.is_empty());
                    let step = self.session.steps.iter_mut().find(|step| step.key == key).expect("a step to summarise");
                    step.summary = Some(summary);
                }
                Move::Conclude(verdict) => self.session.verdict = Some(verdict),
                Move::Propose(proposal) => {
                    assert!(self.changeset.is_none(), "one change at a time");
                    for operation in &proposal.operations {
                        let entry = self.catalogue.tool(&operation.op).expect("a tool");
                        entry.check(&operation.args).unwrap_or_else(|refusal| panic!("{refusal}"));
                        if let Some(args) = &operation.undo_args {
                            entry.check(args).unwrap_or_else(|refusal| panic!("undo: {refusal}"));
                        }
                    }
                    assert!(proposal.before.as_ref().is_some_and(|before| before.samples.len() >= 2), "never on one sample");
                    self.session.changeset_id = Some("c1".into());
                    self.changeset = Some(set_of(&proposal, self.session.intent.language));
                    self.proposals.push(proposal);
                }
                Move::Judge { after } => {
                    let set = self.changeset.as_mut().expect("a set to judge");
                    self.judged = Some(after.as_ref().map(|after| after.value));
                    let (expect, before) = (set.expect.clone().expect("a promise"), set.before.clone().expect("a baseline"));
                    let kept = after.as_ref().is_some_and(|after| expect.is_met(before.value, after.value));
                    set.after = after;
                    set.enter(if kept { Status::Committed } else { Status::RolledBack }, 2, "judged");
                }
                Move::Finish { text } => {
                    assert!(!text.is_empty());
                    self.session.closing = text;
                    self.session.status = SessionStatus::Completed;
                }
            }
            news = true;
        }
        news
    }

    #[allow(clippy::too_many_arguments)]
    fn push(
        &mut self,
        key: String,
        phase: Phase,
        id: DeviceId,
        op: String,
        args: Map<String, Value>,
        about: String,
        status: StepStatus,
        error: Option<StepError>,
    ) {
        let name = self.devices.iter().find(|device| device.key.device_id == id).map_or("-".into(), |device| device.name.clone());
        self.session.steps.push(Step {
            trace_id: format!("t{}", self.session.steps.len()),
            parent_trace_id: None,
            key,
            phase,
            tool: op,
            device_id: id,
            device_name: name,
            step_description: about,
            status,
            args,
            started_at: None,
            completed_at: None,
            progress: None,
            result: None,
            summary: None,
            error,
            command_id: None,
        });
    }

    fn answer_one(&mut self) -> bool {
        let Some(at) = self.session.steps.iter().position(|step| step.status == StepStatus::Waiting) else { return false };
        let step = &self.session.steps[at];
        let place = format!("{}@{}", step.tool, step.device_name);
        let asked = self.asked.entry(place.clone()).or_insert(0);
        let answer = self.answers.get(&place).and_then(|list| list.get((*asked).min(list.len().saturating_sub(1)))).cloned();
        *asked += 1;
        let step = &mut self.session.steps[at];
        match answer {
            Some(Ok(result)) => {
                step.status = StepStatus::Completed;
                step.result = Some(result);
            }
            Some(Err(code)) => {
                step.status = StepStatus::Failed;
                step.error = Some(StepError { code, message: "no".into() });
            }
            None => {
                step.status = StepStatus::Failed;
                step.error = Some(StepError { code: "E_UNSUPPORTED".into(), message: "no".into() });
            }
        }
        true
    }

    /// A person says yes, and devices prove it.
    pub fn approve(&mut self) -> &mut Self {
        let set = self.changeset.as_mut().expect("something was proposed");
        for operation in &mut set.operations {
            operation.state = OperationState::Applied;
        }
        set.enter(Status::Applied, 1, "approved");
        self
    }

    pub fn verdict(&self) -> &Verdict {
        self.session.verdict.as_ref().expect("a verdict")
    }

    pub fn cause(&self) -> Option<&str> {
        self.verdict().cause.as_deref()
    }
}

fn set_of(proposal: &Proposal, language: talkwire_core::Language) -> Changeset {
    let operations = proposal.operations.iter().map(|operation| Operation {
        key: operation.device.clone(),
        device_name: "device".into(),
        op: operation.op.clone(),
        args: operation.args.clone(),
        undo_args: operation.undo_args.clone(),
        label: operation.label.clone(),
        before_text: operation.before_text.clone(),
        after_text: operation.after_text.clone(),
        undoes_itself: true,
        restores_nothing: false,
        way: Default::default(),
        rehearsed: false,
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
    });
    let set = json!({
        "changeset_id": "c1", "status": "proposed", "plan_hash": "h", "tenant": "home", "site": "living", "title": proposal.title, "reason": proposal.reason,
        "language": language, "risk": "low", "needs_admin": false, "impact": "", "operations": [], "rollback_s": 300, "created_ms": 0,
        "approve_before_ms": 300_000, "proposed_by": "assistant", "history": [],
    });
    let mut set: Changeset = serde_json::from_value(set).expect("a change set");
    set.operations = operations.collect();
    set.expect = proposal.expect.clone();
    set.before = proposal.before.clone();
    set
}
