//! Gathering: which tools to ask next, what stands in for a tool that is missing, and when everything has been asked.

use super::View;
use crate::flow::{GatherStep, Scope, Target};
use crate::wording;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use talkwire_core::device::Device;
use talkwire_core::moves::Move;
use talkwire_core::session::{Phase, StepStatus};
use talkwire_proto::{Code, op};

/// What became of one sample of a step on one device.
enum Outcome {
    Ask(Move),
    /// Left out; said at once, and nothing is waited for.
    Skip(Move),
    Waiting,
    Ended { answered: bool },
}

struct Refused {
    code: &'static str,
    reason: String,
}

impl<'a> View<'a, '_> {
    /// The calls to make now, and whether everything has been asked and answered.
    pub fn gather(&self, scope: &mut Scope) -> (Vec<Move>, bool) {
        let mut round = Round { moves: Vec::new(), ended: BTreeMap::new(), waiting: false };
        let steps = || self.flow.gather.iter().filter_map(|key| self.library.steps.get(key));
        for step in steps().filter(|step| !step.alone && step.along.is_none()) {
            self.advance(step, scope, &mut round);
        }
        for step in steps().filter(|step| step.alone) {
            self.advance(step, scope, &mut round);
        }
        for step in steps().filter(|step| step.along.is_some()) {
            self.advance(step, scope, &mut round);
        }
        let done = !round.waiting && !round.is_asking();
        (round.moves, done)
    }

    fn advance(&self, step: &'a GatherStep, scope: &mut Scope, round: &mut Round<'a>) {
        if step.needs.iter().any(|key| self.flow.gather.contains(key) && round.ended.get(key.as_str()) != Some(&true)) {
            // What it needs is waiting itself, or the file names it later, which a check at start cannot see as an error.
            round.ended.insert(&step.key, false);
            return;
        }
        if step.when.as_ref().is_some_and(|when| scope.test(when) != Some(true)) && !self.has_begun(step) {
            round.ended.insert(&step.key, true);
            return;
        }
        let devices = self.targets(step.target);
        if devices.is_empty() {
            let ended = self.without_device(step, round);
            round.ended.insert(&step.key, ended);
            return;
        }
        let mut all = true;
        for device in devices {
            all &= self.on_device(step, device, scope, round);
        }
        round.ended.insert(&step.key, all);
    }

    fn has_begun(&self, step: &GatherStep) -> bool {
        let prefix = format!("{}@", step.key);
        self.brief.session.steps.iter().any(|known| known.key.starts_with(&prefix))
    }

    fn without_device(&self, step: &GatherStep, round: &mut Round<'_>) -> bool {
        let key = format!("{}@-", step.key);
        if step.optional || self.brief.session.step(&key).is_some() {
            return true;
        }
        let reason = wording::no_device(step.target, self.language());
        round.moves.push(self.skip(step, key, None, Code::LlmToolNotAvailable.as_str(), reason));
        true
    }

    fn on_device(&self, step: &'a GatherStep, device: &'a Device, scope: &mut Scope, round: &mut Round<'a>) -> bool {
        let first = format!("{}@{}", step.key, device.key.device_id);
        if let Some(other) = &step.along
            && self.brief.session.step(&first).is_none()
            && !self.is_running_or_asked(&format!("{other}@{}", device.key.device_id), round)
        {
            return true;
        }
        let mut after = step.needs.iter().find_map(|key| self.key_of(key, device));
        for sample in 1..=step.samples {
            let key = if sample == 1 { first.clone() } else { format!("{first}#{sample}") };
            if sample > 1 && self.brief.session.step(&key).is_none() && !self.repeats(step, device, scope) {
                return true;
            }
            match self.attempt(step, device, &key, after.clone()) {
                Outcome::Ended { answered: true } => after = Some(key),
                Outcome::Ended { answered: false } => return true,
                Outcome::Waiting => {
                    round.waiting = true;
                    return false;
                }
                Outcome::Skip(skip) => {
                    round.moves.push(skip);
                    return true;
                }
                Outcome::Ask(call) => {
                    let busy = step.alone && (round.waiting || self.brief.session.steps.iter().any(|known| !known.status.has_ended()) || round.is_asking());
                    if busy {
                        round.waiting = true;
                    } else {
                        round.moves.push(call);
                    }
                    return false;
                }
            }
        }
        true
    }

    fn repeats(&self, step: &GatherStep, device: &Device, scope: &mut Scope) -> bool {
        let Some(condition) = &step.repeat_when else { return true };
        scope.bind("dev", device.key.device_id.as_str().to_owned());
        let holds = scope.test(condition) == Some(true);
        scope.unbind();
        holds
    }

    fn is_running_or_asked(&self, key: &str, round: &Round<'_>) -> bool {
        let running = self.brief.session.step(key).is_some_and(|step| !step.status.has_ended());
        running || round.moves.iter().any(|asked| matches!(asked, Move::Call { key: other, .. } if other == key))
    }

    /// The key under which another step ran, on this device or on any.
    fn key_of(&self, key: &str, device: &Device) -> Option<String> {
        let here = format!("{key}@{}", device.key.device_id);
        let prefix = format!("{key}@");
        let steps = &self.brief.session.steps;
        steps.iter().find(|step| step.key == here).or_else(|| steps.iter().find(|step| step.key.starts_with(&prefix))).map(|step| step.key.clone())
    }

    /// Devices that a target means now.
    pub fn targets(&self, target: Target) -> Vec<&'a Device> {
        match target {
            Target::Router => self.site.router().filter(|device| device.online).into_iter().collect(),
            Target::EachAp => self.site.access_points(),
            Target::ClientAgent => self.site.agents(),
            Target::Each => self.site.infrastructure(),
        }
    }

    fn attempt(&self, step: &GatherStep, device: &Device, key: &str, after: Option<String>) -> Outcome {
        let (candidates, refused) = self.candidates(step, device);
        let (mut index, mut tries, mut retried) = (0, 0, false);
        loop {
            let key = if tries == 0 { key.to_owned() } else { format!("{key}~{tries}") };
            let Some(known) = self.brief.session.step(&key) else {
                return match candidates.get(index) {
                    Some((op, args)) => Outcome::Ask(self.call(step, key, device, op, args.clone(), after)),
                    None if tries == 0 && !step.optional => {
                        Outcome::Skip(self.skip(step, key, Some(device), refused.code, refused.reason))
                    }
                    None => Outcome::Ended { answered: false },
                };
            };
            match known.status {
                StepStatus::Waiting | StepStatus::Running => return Outcome::Waiting,
                StepStatus::Completed => return Outcome::Ended { answered: true },
                StepStatus::Skipped => return Outcome::Ended { answered: false },
                StepStatus::Failed => {
                    let busy = known.error.as_ref().is_some_and(|error| error.code.contains("BUSY"));
                    if busy && !retried {
                        retried = true;
                    } else {
                        index += 1;
                        retried = false;
                    }
                    tries += 1;
                }
            }
        }
    }

    /// The tool and what can stand in for it, as far as the device has them; and why not, when it has none.
    fn candidates(&self, step: &GatherStep, device: &Device) -> (Vec<(String, Map<String, Value>)>, Refused) {
        let language = self.language();
        let mut code = Code::LlmToolNotAvailable.as_str();
        let mut reason = wording::no_tool(&device.name, &step.tool, language);
        let mut candidates = Vec::new();
        let alternatives = self.brief.catalogue.tool(&step.tool).map_or(&[][..], |entry| entry.alternatives.as_slice());
        for name in std::iter::once(&step.tool).chain(alternatives) {
            let Some(entry) = self.brief.catalogue.tool(name) else { continue };
            let Some((_, support)) = device.tool(name) else { continue };
            if let Some(support) = support.filter(|support| !support.supported) {
                if let Some(why) = support.reason.as_deref().filter(|_| name == &step.tool) {
                    reason = wording::tool_refused(&device.name, &crate::evidence::clean(why), language);
                }
                continue;
            }
            let spoken = support.and_then(|support| support.version.as_deref()).and_then(version);
            let ours = version(&entry.version);
            let too_old = name == &step.tool && step.min_version.as_deref().and_then(version).zip(spoken).is_some_and(|(least, spoken)| spoken < least);
            let too_new = spoken.zip(ours).is_some_and(|(spoken, ours)| spoken.0 > ours.0);
            if too_old || too_new {
                code = Code::LlmCapabilityMismatch.as_str();
                reason = wording::wrong_version(&device.name, &entry.op, language);
                continue;
            }
            // An older version gets the question in its plainest form.
            let plain = spoken.zip(ours).is_some_and(|(spoken, ours)| spoken.0 < ours.0);
            let fits = |name: &String, value: &Value| {
                entry.args.get(name).is_some_and(|spec| !plain || spec.required) && within_limits(name, value, support)
            };
            let args: Map<String, Value> = step.args.iter().filter(|(name, value)| fits(name, value)).map(|(name, value)| (name.clone(), value.clone())).collect();
            if entry.check(&args).is_ok() {
                candidates.push((op::canonical(name).to_owned(), args));
            }
        }
        (candidates, Refused { code, reason })
    }

    fn call(&self, step: &GatherStep, key: String, device: &Device, op: &str, args: Map<String, Value>, after: Option<String>) -> Move {
        let mut description = step.about.text(self.language()).to_owned();
        if !matches!(step.target, Target::Router) {
            description = wording::on_device(&description, &device.name, self.language());
        }
        Move::Call { key, phase: Phase::Gather, device: device.key.clone(), op: op.to_owned(), args, description, after }
    }

    fn skip(&self, step: &GatherStep, key: String, device: Option<&Device>, code: &str, reason: String) -> Move {
        Move::Skip {
            key,
            phase: Phase::Gather,
            device: device.map(|device| device.key.clone()),
            op: step.tool.clone(),
            description: step.about.text(self.language()).to_owned(),
            code: code.to_owned(),
            reason,
        }
    }
}

struct Round<'a> {
    moves: Vec<Move>,
    ended: BTreeMap<&'a str, bool>,
    waiting: bool,
}

impl Round<'_> {
    fn is_asking(&self) -> bool {
        self.moves.iter().any(|asked| matches!(asked, Move::Call { .. }))
    }
}

/// Major and minor of `2.0`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
}

/// A device may say that a test must not last so long.
fn within_limits(name: &str, value: &Value, support: Option<&talkwire_proto::capability::ToolSupport>) -> bool {
    let limit = support.and_then(|support| support.limitations.get(&format!("max_{name}"))).and_then(Value::as_f64);
    limit.zip(value.as_f64()).is_none_or(|(limit, value)| value <= limit)
}
