//! From a cause to a change: the first remedy that fits, measured before it is put forward.

use super::View;
use super::verdict::{Finding, bind, holding};
use crate::evidence::Evidence;
use crate::flow::{Expression, Remedy, Scope};
use crate::wording;
use crate::wording::fill::Filler;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use talkwire_core::changeset::{Expectation, Operation};
use talkwire_core::moves::{Move, Proposal, ProposedOperation};
use talkwire_core::session::Verdict;

impl<'a> View<'a, '_> {
    /// The next move towards a change: measure, propose, or say what to do by hand.
    pub fn change(&self, verdict: &Verdict, evidence: &Evidence, scope: &mut Scope) -> Vec<Move> {
        let by_hand = || vec![Move::Finish { text: self.last_words(verdict) }];
        let Some(finding) = self.finding_of(verdict, evidence, scope) else { return by_hand() };
        bind(scope, &finding, self.site.router_id());
        let mut futile = false;
        for remedy in self.library.remedies.iter().filter(|remedy| remedy.cause == finding.cause.cause) {
            if remedy.when.as_ref().is_some_and(|when| scope.test(when) != Some(true)) {
                continue;
            }
            let Some(operations) = self.operations(remedy, &finding, evidence, scope) else { continue };
            if operations.iter().any(|operation| self.was_futile(operation)) {
                futile = true;
                continue;
            }
            match self.baseline(remedy, verdict, &finding, scope) {
                Baseline::Ask(call) => return vec![call],
                Baseline::Waiting => return Vec::new(),
                Baseline::Impossible => continue,
                Baseline::Known(index, before) => {
                    let verify = &remedy.verify[index];
                    let expect = self.expectation(verify, before.value, &finding, evidence, scope);
                    let Some(expect) = expect else { continue };
                    let item = finding.item.as_ref().map(|(_, item)| item);
                    let filler = Filler { evidence, item, extra: &[] };
                    let title = remedy.title.text(self.language());
                    return vec![Move::Propose(Proposal {
                        title: filler.fill(title).unwrap_or_else(|| title.to_owned()),
                        reason: verdict.text.clone(),
                        operations,
                        expect: Some(expect),
                        before: Some(before),
                    })];
                }
            }
        }
        if futile {
            return vec![Move::Finish { text: wording::tried_in_vain(&self.last_words(verdict), self.language()) }];
        }
        by_hand()
    }

    /// Whether the same was done to the same device within the last day, and went back because nothing got better.
    fn was_futile(&self, proposed: &ProposedOperation) -> bool {
        let same = |done: &Operation| done.key == proposed.device && done.op == proposed.op && done.args == proposed.args;
        self.brief.futile.iter().flat_map(|set| &set.operations).any(same)
    }

    /// What the verdict rests on, found again in the same evidence.
    pub fn finding_of(&self, verdict: &Verdict, evidence: &Evidence, scope: &mut Scope) -> Option<Finding<'a>> {
        let word = verdict.cause.as_ref()?;
        holding(self.library, &self.flow.name, Some(word), evidence, scope).into_iter().find(|finding| finding.missing.is_empty())
    }

    /// The changes of a remedy with all values filled in. `None`: a device, a value or a tool is missing.
    fn operations(&self, remedy: &Remedy, finding: &Finding<'_>, evidence: &Evidence, scope: &mut Scope) -> Option<Vec<ProposedOperation>> {
        let language = self.language();
        let item = finding.item.as_ref().map(|(_, item)| item);
        let mut operations = Vec::new();
        for operation in &remedy.operations {
            let id = scope.json(&operation.device)?;
            let device = self.site.device(id.as_str()?).filter(|device| device.online && device.can(&operation.op))?;
            let args = values(&operation.args, scope)?;
            // A device may have the tool and yet say that it never does one of its things: then there is only the advice.
            let never = |name: &str| device.tool(&operation.op).and_then(|(_, support)| support?.limitations.get(name).cloned()) == Some(Value::Bool(false));
            if args.iter().any(|(name, value)| *value != Value::Bool(false) && never(name)) {
                return None;
            }
            self.brief.catalogue.tool(&operation.op)?.check(&args).ok()?;
            let undo_args = values(&operation.undo_args, scope).filter(|args| !args.is_empty());
            let shown: Vec<(String, String)> = args.iter().map(|(name, value)| (format!("arg_{name}"), shown(value))).collect();
            let extra: Vec<(&str, &str)> = shown.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let filler = Filler { evidence, item, extra: &extra };
            let text = |template: &talkwire_core::language::Text3| filler.fill(template.text(language));
            operations.push(ProposedOperation {
                device: device.key.clone(),
                op: operation.op.clone(),
                label: text(&operation.label)?,
                before_text: text(&operation.before).unwrap_or_else(|| "–".into()),
                after_text: text(&operation.after)?,
                args,
                undo_args,
            });
        }
        Some(operations)
    }

    fn expectation(&self, verify: &crate::flow::Verify, before: f64, finding: &Finding<'_>, evidence: &Evidence, scope: &mut Scope) -> Option<Expectation> {
        scope.bind("before", before);
        let min_gain = match &verify.min_gain {
            Some(gain) => Some(scope.number(gain)?.max(0.0)),
            None => None,
        };
        let gain = min_gain.unwrap_or(0.0).max(verify.min_gain_percent.map_or(0.0, |percent| before.abs() * percent / 100.0));
        let goal = if verify.direction == "down" { before - gain } else { before + gain };
        let (before, goal) = (crate::wording::fill::tidy(before), crate::wording::fill::tidy(goal));
        let extra = [("before", before.as_str()), ("goal", goal.as_str())];
        let filler = Filler { evidence, item: finding.item.as_ref().map(|(_, item)| item), extra: &extra };
        let template = verify.expect.text(self.language());
        Some(Expectation {
            metric: verify.metric.clone(),
            unit: verify.unit.clone(),
            direction: verify.direction.clone(),
            min_gain_percent: verify.min_gain_percent,
            min_gain,
            text: filler.fill(template).unwrap_or_else(|| format!("{before} → {goal} {}", verify.unit)),
        })
    }
}

/// What is known of a value before a change.
pub(crate) enum Baseline {
    Ask(Move),
    Waiting,
    /// No way to measure at this site.
    Impossible,
    /// Which verify, and the value.
    Known(usize, talkwire_core::changeset::Measurement),
}

pub(crate) fn values(args: &BTreeMap<String, Expression>, scope: &Scope) -> Option<Map<String, Value>> {
    args.iter().map(|(name, expression)| Some((name.clone(), scope.json(expression)?))).collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
