//! Measuring around a change: the baseline before it, the same again after it, and the judgement.

use super::View;
use super::remedy::{Baseline, values};
use super::verdict::{Finding, bind};
use crate::evidence::{Evidence, median};
use crate::flow::{Remedy, Scope, Verify};
use crate::wording;
use serde_json::{Map, Value};
use talkwire_core::changeset::{Changeset, Measurement, OperationState, Status};
use talkwire_core::device::Device;
use talkwire_core::moves::Move;
use talkwire_core::session::{Phase, Step, StepStatus, Verdict};
use talkwire_proto::op;

/// So many answers without the value, and the measurement is given up.
const MOST_FAILURES: usize = 4;
/// Takes some seconds, disturbs little, and every router has it: a way to let time pass.
const SETTLE_TOOL: &str = "diagnostics.latency_matrix";

impl<'a> View<'a, '_> {
    /// The value before the change, by the first way of proof that this site can measure.
    pub(super) fn baseline(&self, remedy: &Remedy, verdict: &Verdict, finding: &Finding<'_>, scope: &mut Scope) -> Baseline {
        for (index, verify) in remedy.verify.iter().enumerate() {
            if verify.when.as_ref().is_some_and(|when| scope.test(when) != Some(true)) {
                continue;
            }
            let Some((device, args)) = self.means(verify, scope) else { continue };
            if !device.online || !device.can(&verify.tool) {
                continue;
            }
            let prefix = format!("base-{}@", verify.metric);
            let same = |step: &&Step| {
                let counts = step.phase == Phase::Gather || (step.phase == Phase::Baseline && step.key.starts_with(&prefix));
                counts && op::canonical(&step.tool) == verify.tool && step.device_id == device.key.device_id && step.args == args
            };
            let steps: Vec<&Step> = self.brief.session.steps.iter().filter(same).collect();
            if steps.iter().any(|step| !step.status.has_ended()) {
                return Baseline::Waiting;
            }
            let samples = self.samples(&steps, verify, finding);
            if samples.len() >= verify.samples {
                return Baseline::Known(index, measurement(verify, &samples, verify.samples));
            }
            let asked = steps.iter().filter(|step| step.phase == Phase::Baseline).count();
            let failures = steps.len() - samples.len();
            if failures >= 2 && samples.is_empty() || failures >= MOST_FAILURES {
                if samples.len() >= 2 {
                    return Baseline::Known(index, measurement(verify, &samples, verify.samples));
                }
                continue;
            }
            let after = verdict.evidence.first().and_then(|view| self.brief.session.steps.iter().find(|step| step.trace_id == view.trace_id)).map(|step| step.key.clone());
            return Baseline::Ask(Move::Call {
                key: format!("{prefix}{}#{}", device.key.device_id, asked + 1),
                phase: Phase::Baseline,
                device: device.key.clone(),
                op: verify.tool.clone(),
                args,
                description: wording::before_change(verify.about.text(self.language()), self.language()),
                after,
            });
        }
        Baseline::Impossible
    }

    /// The device and arguments of a measurement.
    fn means(&self, verify: &Verify, scope: &Scope) -> Option<(&'a Device, Map<String, Value>)> {
        let id = scope.json(&verify.device)?;
        let device = self.site.device(id.as_str()?)?;
        let args = values(&verify.args, scope)?;
        self.brief.catalogue.tool(&verify.tool)?.check(&args).ok()?;
        Some((device, args))
    }

    /// The values that single answers give.
    fn samples(&self, steps: &[&Step], verify: &Verify, finding: &Finding<'_>) -> Vec<(f64, String)> {
        let session = self.brief.session;
        let value = |step: &&&Step| {
            let evidence = Evidence::of([**step], &self.site, &session.intent, &session.user_request);
            let mut scope = Scope::new(&evidence);
            bind(&mut scope, finding, self.site.router_id());
            Some((scope.number(&verify.value)?, step.trace_id.clone()))
        };
        steps.iter().filter(|step| step.status == StepStatus::Completed).filter_map(|step| value(&step)).collect()
    }

    /// What a change set needs next: a measurement after it, the judgement, or the last sentence.
    pub(super) fn follow(&self, set: &Changeset, verdict: &Verdict, evidence: &Evidence, scope: &mut Scope) -> Vec<Move> {
        if set.status.has_ended() {
            return vec![Move::Finish { text: self.ending(set, verdict) }];
        }
        let measurable = matches!(set.status, Status::Applied | Status::Verifying) && set.operations.iter().all(|operation| operation.state == OperationState::Applied);
        if !measurable || set.after.is_some() || set.going_back.is_some() {
            return Vec::new();
        }
        let Some(expect) = &set.expect else { return Vec::new() };
        let cannot = vec![Move::Judge { after: None }];
        let Some(finding) = self.finding_of(verdict, evidence, scope) else { return cannot };
        bind(scope, &finding, self.site.router_id());
        let same_ops = |remedy: &&Remedy| remedy.operations.iter().map(|operation| &operation.op).eq(set.operations.iter().map(|operation| &operation.op));
        let mut remedies = self.library.remedies.iter().filter(|remedy| remedy.cause == finding.cause.cause).filter(same_ops);
        let Some(verify) = remedies.find_map(|remedy| remedy.verify.iter().find(|verify| verify.metric == expect.metric)) else { return cannot };
        let Some((device, args)) = self.means(verify, scope) else { return cannot };
        self.measure_again(verify, device, args, &finding)
    }

    fn measure_again(&self, verify: &Verify, device: &Device, args: Map<String, Value>, finding: &Finding<'_>) -> Vec<Move> {
        let language = self.language();
        let begun: Vec<&Step> = self.brief.session.steps.iter().filter(|step| step.phase == Phase::Verify).collect();
        if begun.iter().any(|step| !step.status.has_ended()) {
            return Vec::new();
        }
        let asked: Vec<&Step> = begun.iter().copied().filter(|step| step.key.starts_with("verify@")).collect();
        let samples = self.samples(&asked, verify, finding);
        let failures = asked.len() - samples.len();
        if samples.len() >= verify.samples || failures > MOST_FAILURES {
            let after = (samples.len() >= 2).then(|| measurement(verify, &samples, verify.samples));
            return vec![Move::Judge { after }];
        }
        let settled = begun.iter().filter(|step| step.key.starts_with("settle@")).count();
        let after = begun.last().map(|step| step.key.clone());
        let router = self.site.router().filter(|router| router.online && router.can(SETTLE_TOOL) && self.brief.catalogue.tool(SETTLE_TOOL).is_some());
        if let Some(router) = router.filter(|_| settled < verify.settle + failures) {
            return vec![Move::Call {
                key: format!("settle@{}#{}", router.key.device_id, settled + 1),
                phase: Phase::Verify,
                device: router.key.clone(),
                op: SETTLE_TOOL.into(),
                args: Map::new(),
                description: wording::settling(language).to_owned(),
                after,
            }];
        }
        vec![Move::Call {
            key: format!("verify@{}#{}", device.key.device_id, asked.len() + 1),
            phase: Phase::Verify,
            device: device.key.clone(),
            op: verify.tool.clone(),
            args,
            description: wording::after_change(verify.about.text(language), language),
            after,
        }]
    }

    fn ending(&self, set: &Changeset, verdict: &Verdict) -> String {
        let language = self.language();
        let cause = verdict.cause.as_ref().and_then(|word| self.library.cause(word));
        let advice = cause.map(|cause| cause.advice.text(language)).unwrap_or_default();
        let left = cause.map(|cause| cause.after.text(language)).unwrap_or_default();
        wording::change_ended(set, advice, left, language)
    }
}

fn measurement(verify: &Verify, samples: &[(f64, String)], most: usize) -> Measurement {
    let last = &samples[samples.len().saturating_sub(most)..];
    let figures: Vec<f64> = last.iter().map(|(value, _)| *value).collect();
    Measurement {
        metric: verify.metric.clone(),
        value: median(&figures).unwrap_or_default(),
        unit: verify.unit.clone(),
        samples: figures,
        trace_ids: last.iter().map(|(_, trace_id)| trace_id.clone()).collect(),
    }
}
